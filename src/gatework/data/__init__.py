"""Files → typed fields → arrays: read, recognise, build the table, split, prepare, draw samples."""
