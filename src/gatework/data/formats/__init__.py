"""File formats, one file each: bytes in, a `RawFrame` out."""
