"""What a format's reader gives: a frame as the file holds it, before types are settled over all files of a source."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class RawFrame:
    """One file as it stands.

    is_text: every value is still text; the types are found later, over all files together.
    has_decimal_comma: numbers may be written 1,5 (the file separates its columns by something else).
    is_numbered: its series have no names of their own, only their positions 0, 1, 2, … in the column `series`.
    """

    frame: pl.DataFrame
    notes: tuple[str, ...] = ()
    is_text: bool = False
    has_decimal_comma: bool = False
    is_numbered: bool = False
