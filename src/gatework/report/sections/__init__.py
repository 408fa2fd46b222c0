"""The sections of the report, one file each; every one is a function from the material to HTML."""
