"""Text becomes numbers where a whole column is numbers; every other type becomes one of a few plain ones."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from gatework.errors import DataError

MISSING_SPELLINGS = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "null", "NULL", "-", "?")
"""What stands for "no value" in a text file."""

_THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"
_COMMA_NUMBER = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+)?(,\d+)?([eE][+-]?\d+)?$"
_CODE = r"^0\d\d"  # 00123 is a code whose zeros matter; 07 may be an hour


def typed_frame(frame: pl.DataFrame, has_decimal_comma: bool = False) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """A frame of text with its missing values null and its numeric columns numbers, and what was decided on the way.

    A column with a single value that is no number stays text, so that a later error can show that value.
    """
    columns, notes = [], []
    as_numbers = frame.cast(pl.Float64, strict=False)  # all at once: a frame may have thousands of columns
    for text, numbers in zip(frame, as_numbers, strict=True):
        column, note = _typed_column(text, numbers, has_decimal_comma)
        columns.append(column)
        notes.extend(note)
    return pl.DataFrame(columns), tuple(notes)


def _typed_column(text: pl.Series, numbers: pl.Series, has_decimal_comma: bool) -> tuple[pl.Series, list[str]]:
    if numbers.null_count() > text.null_count():  # only then pay for a closer look
        text = text.str.strip_chars()
        text = text.zip_with(~text.is_in(list(MISSING_SPELLINGS)).fill_null(False), pl.Series([None], dtype=pl.String))
        numbers = text.cast(pl.Float64, strict=False)
    if text.null_count() == len(text):
        return text.cast(pl.Float64), []
    if numbers.null_count() == text.null_count():
        return _narrowest(text, numbers.fill_nan(None)), []
    present = text.drop_nulls()
    if has_decimal_comma and present.str.contains(_COMMA_NUMBER).all() and present.str.contains(",", literal=True).any():
        plain = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        return plain.cast(pl.Float64), [f"Column '{text.name}' is written with decimal commas (1,5 is read as 1.5)."]
    if present.str.contains(",", literal=True).any():
        plain = text.str.replace_all(",", "", literal=True)
        numbers = plain.cast(pl.Float64, strict=False)
        grouped = present.filter(present.str.contains(",", literal=True)).str.contains(_THOUSANDS).all()
        if grouped and numbers.null_count() == text.null_count():
            return numbers, [f"Column '{text.name}' is written with commas between thousands (1,234 is read as 1234)."]
    return text, []


def _narrowest(text: pl.Series, numbers: pl.Series) -> pl.Series:
    """Whole numbers as Int64; codes with leading zeros, and whole numbers too long for 64 bits, stay text."""
    whole = text.cast(pl.Int64, strict=False)
    if whole.null_count() > text.null_count():
        is_long = text.str.contains(r"^[+-]?\d{19,}$").any()
        return text if is_long else numbers
    return text if text.str.contains(_CODE).any() else whole


def plain_frame(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """The frame with few types only: Int64, Float64 (no NaN: null), Boolean, String, Date, Datetime, lists of these.

    Raises DataError for a column of another type (bytes, structures).
    """
    return pl.DataFrame([_plain_column(column, name) for column in frame])


def _plain_column(column: pl.Series, name: str) -> pl.Series:
    dtype = column.dtype
    if dtype.is_integer() and (dtype != pl.UInt64 or (column.max() or 0) < 2**63):  # type: ignore[operator]
        return column.cast(pl.Int64)
    if dtype in (pl.Float64, pl.Float32) and np.isnan(column.to_numpy()).sum() == column.null_count():
        return column.cast(pl.Float64)  # a gap is null, which numpy shows as NaN; nothing else is one
    if dtype.is_float() or dtype.is_decimal() or dtype in (pl.UInt64, pl.Null):
        return column.cast(pl.Float64).fill_nan(None)
    if dtype == pl.Duration:
        return column.dt.total_microseconds().cast(pl.Float64) / 1e6  # seconds
    if isinstance(dtype, (pl.Categorical, pl.Enum)) or dtype == pl.Time:
        return column.cast(pl.String)
    if isinstance(dtype, (pl.Datetime, pl.List, pl.Array)) or dtype in (pl.Boolean, pl.String, pl.Date):
        return column
    if dtype == pl.Object:
        return pl.Series(column.name, [None if value is None else str(value) for value in column], pl.String)
    raise DataError(
        f"Column '{column.name}' of '{name}' holds {dtype}. Expected numbers, text, booleans, times, or lists of numbers. "
        f"Leave that column out, or write its parts as columns of their own."
    )


def share_of_numbers(text: pl.Series) -> float:
    """The share of the present values of a text column that are numbers, 0–1."""
    present = text.drop_nulls()
    return 0.0 if present.is_empty() else present.cast(pl.Float64, strict=False).count() / len(present)


def shortened(values: Iterable[object], limit: int = 5) -> str:
    """The first few values as text, quoted, and how many more there are."""
    listed = [str(value) for value in values]
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(f"'{value}'" for value in listed[:limit]) + more
