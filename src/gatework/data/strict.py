"""One column → the type that its field says, or an error that shows row and value. Nothing is inferred here."""

import numpy as np
import polars as pl

from gatework.data.table import Field
from gatework.data.times import parse_times
from gatework.errors import DataError
from gatework.runs import FieldPlan

TRUE_WORDS = ("true", "yes", "t", "y", "on", "1")
FALSE_WORDS = ("false", "no", "f", "n", "off", "0")


def to_kind(column: pl.Series, field: Field | FieldPlan, time_format: str | None = None, *, is_new: bool = False) -> pl.Series:
    """The column as Float64, String, Boolean or a time, gaps null.

    is_new: the data is not that of the training, whose kinds cannot be changed any more.

    Raises DataError with row (the header is not counted) and value for what is not of that kind, and for infinite numbers.
    """
    if field.kind == "numeric":
        return to_numbers(column, is_new=is_new)
    if field.kind == "boolean":
        return to_booleans(column, is_new=is_new)
    if field.kind == "timestamp":
        return to_times(column, time_format)
    return to_categories(column)


def _or_as_text(column: pl.Series, is_new: bool) -> str:
    """The second remedy for a value of the wrong kind."""
    return "leave the cell empty" if is_new else f"treat the column as text with --kind {column.name}=categorical"


def to_numbers(column: pl.Series, *, is_new: bool = False) -> pl.Series:
    """Float64 without NaN or infinity; booleans become 0 and 1."""
    if column.dtype == pl.Date or isinstance(column.dtype, (pl.Datetime, pl.List)):
        raise DataError(
            f"Column '{column.name}' holds {column.dtype}. Expected numbers, as in training. "
            f"Write it as numbers{'' if is_new else f', or say what it is with --kind {column.name}=timestamp'}."
        )
    numbers = column.cast(pl.Float64, strict=False)
    if column.dtype.is_integer() or column.dtype == pl.Boolean:
        return numbers
    if column.dtype == pl.Float64 and np.isfinite(column.to_numpy()).sum() == len(column) - column.null_count():
        return numbers  # nothing to replace and nothing to refuse
    numbers = numbers.fill_nan(None)
    if column.dtype == pl.String and numbers.null_count() > column.null_count():
        bad = numbers.is_null() & column.is_not_null() & (column.str.strip_chars().str.to_lowercase() != "nan").fill_null(True)
        if bad.any():
            row = bad.arg_max() or 0
            more = f" ({bad.sum()} such values)" if bad.sum() > 1 else ""
            raise DataError(
                f"Column '{column.name}' has '{column[row]}' in row {row + 1}{more}; its other values are numbers. "
                f"Expected a number, or an empty cell where there is none. "
                f"Correct it, or {_or_as_text(column, is_new)}."
            )
    infinite = numbers.is_infinite().fill_null(False)
    if infinite.any():
        row = infinite.arg_max() or 0
        raise DataError(
            f"Column '{column.name}' is infinite in row {row + 1} ({infinite.sum()} such values). Expected finite numbers. "
            f"Leave the cell empty where there is no value, or put a large finite one."
        )
    return numbers


def to_booleans(column: pl.Series, *, is_new: bool = False) -> pl.Series:
    """Boolean from booleans, 0 and 1, or words such as yes and no."""
    if column.dtype == pl.Boolean:
        return column
    whole = column.cast(pl.Int64, strict=False) if column.dtype.is_float() else column
    words = whole.cast(pl.String).str.strip_chars().str.to_lowercase()
    known = words.is_in([*TRUE_WORDS, *FALSE_WORDS])
    bad = ~known.fill_null(True) | (whole.is_null() & column.is_not_null())
    if bad.any():
        row = bad.arg_max() or 0
        raise DataError(
            f"Column '{column.name}' has '{column[row]}' in row {row + 1}. Expected true or false (or yes/no, 1/0). "
            f"Correct it, or {_or_as_text(column, is_new)}."
        )
    return words.is_in(TRUE_WORDS)


def to_categories(column: pl.Series) -> pl.Series:
    """String; whole numbers are written without a point, so that 1 and 1.0 are the same category."""
    if column.dtype.is_float():
        column = column.fill_nan(None)
        whole = column.cast(pl.Int64, strict=False)
        if (whole.cast(pl.Float64) == column).all():
            column = whole
    return column.cast(pl.String)


def to_times(column: pl.Series, time_format: str | None) -> pl.Series:
    """A time stamp; DataError for numbers where no epoch was planned."""
    is_epoch = time_format is not None and (time_format.startswith("epoch:") or not time_format.replace("%Y%m%d", ""))
    if column.dtype.is_numeric() and not is_epoch:
        raise DataError(
            f"Column '{column.name}' holds numbers such as {next(iter(column.drop_nulls()), 'none')}. "
            f"Expected time stamps such as 2024-12-31 23:00:00. Write them so, or name another time column with --time."
        )
    return parse_times(column, time_format)


def to_ids(column: pl.Series) -> pl.Series:
    """Series ids as Int64 (whole numbers) or String."""
    if column.dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        return whole if (whole.cast(pl.Float64) == column).all() else column.cast(pl.String)
    return column if column.dtype == pl.Int64 else column.cast(pl.String)
