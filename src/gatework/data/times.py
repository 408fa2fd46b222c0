"""Time stamps: which text is one, in which format, and how columns such as year, month, day, hour make one."""

import itertools
import re

import polars as pl

from gatework.errors import DataError

_ISO_DATES = ("%Y-%m-%d", "%Y/%m/%d")
_OTHER_DATES = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y"),
    *("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%Y.%m.%d", "%Y%m%d"),
)
_MONTHS = ("%Y-%m", "%m/%Y", "%b %Y", "%B %Y", "%b-%Y")
_CLOCKS = (
    "%H:%M:%S%.f",
    "%H:%M",
    "%I:%M:%S %p",
    "%I:%M %p",
    "%H:%M:%S%.f%#z",
    "%H:%M:%S%.f %#z",
    "%H:%M%#z",
    "%H.%M.%S",
    "%H.%M",
)
_ISO_CLOCKS = (*_CLOCKS[:2], *_CLOCKS[4:7])
ISO_FORMATS = (*_ISO_DATES, *("".join(pieces) for pieces in itertools.product(_ISO_DATES, " T", _ISO_CLOCKS)))
"""Formats that need no mention: ISO 8601, with or without fractions of a second and an offset from UTC."""
_LOCAL_FORMATS = (*_OTHER_DATES, *("".join(pieces) for pieces in itertools.product(_OTHER_DATES, (" ", ", "), _CLOCKS)), *_MONTHS)
EPOCHS = {"epoch:s": 1, "epoch:ms": 1_000, "epoch:us": 1_000_000, "epoch:ns": 1_000_000_000}
"""Numbers that count from 1970-01-01 UTC, and how many there are in a second."""

DAMAGE_SAMPLE, DAMAGED_SHARE = 200, 0.1
"""So many values tell the form of a column's time stamps; with so many that are none it is a damaged time column, not text."""

PART_NAMES = {
    "year": ("year", "yr", "yyyy", "jahr"),
    "month": ("month", "mon", "mnth", "mo", "mm", "monat"),
    "day": ("day", "dd", "dom", "mday", "day_of_month", "tag"),
    "hour": ("hour", "hr", "hh", "stunde"),
    "minute": ("minute", "min", "mi"),
    "second": ("second", "sec", "ss"),
}
"""The columns that together make a time stamp, and the names that they go by."""


def part_of(name: str) -> str | None:
    """Which part of a time stamp a column's name says it is: year, month, …, or None."""
    return next((part for part, names in PART_NAMES.items() if name.strip().casefold() in names), None)


def detect_formats(text: pl.Series) -> list[str | None]:
    """Every format that all present values of a text column have: None stands for ISO 8601; empty when it is no time.

    More than one only where day and month cannot be told apart.
    """
    present = text.drop_nulls().unique(maintain_order=True)
    head = present.head(40)
    if head.is_empty() or not head.str.contains(r"\d").all() or head.str.len_chars().max() > 40:  # type: ignore[operator]
        return []
    if _iso(head) is not None and _iso(present) is not None:
        return [None]
    digits_only = head.str.contains(r"^\d+$").all()
    marks = {mark: mark in head[0] for mark in "/:, "}
    likely = [form for form in _LOCAL_FORMATS if all((mark in form) == there for mark, there in marks.items())]
    candidates = ["%Y%m%d"] if digits_only else [form for form in likely if _parse(head, form) is not None]
    return [form for form in candidates if _parse(present, form) is not None]


def refuse_damaged(column: pl.Series) -> None:
    """DataError for a column of text in which nearly all values are time stamps of one form and some are none.

    Left alone, one misprinted stamp would make a category of the column, and the order of its rows would be lost without a word.
    """
    present = column.drop_nulls()
    if column.dtype != pl.String or not present.head(40).str.contains(r"\d").any():
        return
    sample = present.gather_every(max(1, len(present) // DAMAGE_SAMPLE))
    form = min((*ISO_FORMATS, *_LOCAL_FORMATS), key=lambda form: _parsed(sample, form).null_count())
    times = _parsed(column, form)
    wrong = times.is_null() & column.is_not_null()
    if not 0 < int(wrong.sum()) <= len(present) * DAMAGED_SHARE:
        return
    row, count = wrong.arg_max() or 0, int(wrong.sum())
    raise DataError(
        f"Column '{column.name}' has '{column[row]}' in row {row + 1}{f' ({count} such values)' if count > 1 else ''}; its other "
        f"values are time stamps, such as '{column.filter(times.is_not_null())[0]}'. Expected one in every row. Correct it, "
        f"leave that row out, or leave the column out with --ignore {column.name}."
    )


def choose_format(text: pl.Series, formats: list[str | None]) -> tuple[str | None, str]:
    """The format under which the steps are most even, and why; the first (day before month) when they are equal."""
    readings = {form: _parsed(text.drop_nulls().head(2000), form) for form in formats}
    first = formats[0]
    if all(times.equals(readings[first]) for times in readings.values()):
        return first, f"its text is a time stamp ({first or 'ISO 8601'})"
    unevenness = {form: _unevenness(times) for form, times in readings.items()}
    best = min(formats, key=lambda form: unevenness[form])
    others = " or ".join(str(form) for form in formats if form != best)
    if list(unevenness.values()).count(unevenness[best]) == 1:
        return best, f"its text is a time stamp ({best}; read as {others} its steps would be less even)"
    return best, f"its text is a time stamp, read as {best}; it could also be {others}: rewrite it as 2024-12-31 if that is wrong"


def _unevenness(times: pl.Series) -> float:
    """The largest step over the median one; 1 for perfectly even steps."""
    steps = times.unique().sort().diff().drop_nulls().dt.total_seconds()
    largest, middle = steps.max(), steps.median()
    return largest / middle if isinstance(largest, int) and isinstance(middle, float) and middle else 1.0


def detect_epoch(column: pl.Series) -> str | None:
    """The unit of a numeric column that counts from 1970 and lies between 1990 and 2100, or None."""
    low, high = column.min(), column.max()
    if not isinstance(low, (int, float)) or not isinstance(high, (int, float)):
        return None
    return next((form for form, scale in EPOCHS.items() if low >= 631_152_000 * scale and high <= 4_102_444_800 * scale), None)


def parse_times(column: pl.Series, time_format: str | None) -> pl.Series:
    """The column as Date or Datetime, time zone kept (one whole-hour offset, or UTC where offsets differ).

    Raises DataError with row and value for the first entry that is no time stamp of this format.
    """
    if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
        return column
    if time_format in EPOCHS and column.dtype.is_numeric():
        micros = (column.cast(pl.Float64) if column.dtype.is_float() else column) * 1_000_000 // EPOCHS[time_format]
        return micros.cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
    text = column.cast(pl.String)
    times = _iso(text) if time_format is None else _parse(text, time_format)
    if times is not None:
        return times
    partly = _best_effort(text, time_format)
    row = (partly.is_null() & text.is_not_null()).arg_max()
    raise DataError(
        f"Column '{column.name}' has '{text[row or 0]}' in row {(row or 0) + 1}, which is no time stamp. "
        f"Expected {time_format or 'ISO 8601 such as 2024-12-31 23:00:00'} in every row. Correct it, or leave that row out."
    )


def parse_parts(frame: pl.DataFrame, names: tuple[str, ...], time_format: str | None, name: str) -> pl.Series:
    """Several columns as one Datetime: (year, month, day, …), or a date and then an hour or a clock such as 18:30.

    Raises DataError with row and values where they make no time stamp.
    """
    parts = {part_of(column): column for column in names}
    if "year" in parts:
        year, month, day = (
            pl.col(parts[part]).cast(pl.Int64, strict=False) if part in parts else pl.lit(1) for part in ("year", "month", "day")
        )
        text = frame.select(pl.format("{}-{}-{}", year, month, day).alias(name)).to_series()
        date = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    else:
        date = parse_times(frame[names[0]], time_format).cast(pl.Datetime("us"))
    total = date.to_frame(name).with_columns(frame.select(names))
    for column in names:
        part = part_of(column)
        if part in ("hour", "minute", "second"):
            total = total.with_columns(pl.col(name) + _duration(part, pl.col(column).cast(pl.Int64, strict=False)))
        elif part is None and ("year" in parts or column != names[0]):
            clock = pl.col(column).cast(pl.String).str.replace_all(".", ":", literal=True)
            total = total.with_columns(pl.col(name) + _clock_duration(clock))
    times = total[name]
    if times.null_count():
        row = times.is_null().arg_max() or 0
        values = ", ".join(f"{column} = {frame[column][row]}" for column in names)
        raise DataError(
            f"Row {row + 1} has {values}, which is no time stamp. Expected a date and a time of day in every row. "
            f"Correct it, or leave that row out."
        )
    return times.rename(name)


def _duration(part: str, count: pl.Expr) -> pl.Expr:
    if part == "hour":
        return pl.duration(hours=count)
    return pl.duration(minutes=count) if part == "minute" else pl.duration(seconds=count)


def _clock_duration(clock: pl.Expr) -> pl.Expr:
    pieces = clock.str.extract_groups(r"^(\d{1,2}):(\d{2})(?::(\d{2}))?$")
    hours, minutes, seconds = (pieces.struct.field(str(i)).cast(pl.Int64) for i in (1, 2, 3))
    return pl.duration(hours=hours, minutes=minutes, seconds=seconds.fill_null(0))


def _iso(text: pl.Series) -> pl.Series | None:
    """The column read as ISO 8601, one form for all rows, or None."""
    head = text.drop_nulls().head(3)
    for form in ISO_FORMATS:
        if head.is_empty() or _parse(head, form) is not None:
            times = _parse(text, form)
            if times is not None:
                return times
    return None


def _parse(text: pl.Series, form: str) -> pl.Series | None:
    """The column in this format, or None when a present value has another."""
    times = _parsed(text, form)
    if times.null_count() > text.null_count():
        return None
    first = times.dt.year().min()
    if isinstance(first, int) and first < 1000:  # %Y takes 13 for the year 13
        return None
    if "z" in form and re.search(r"z$", form):
        return _in_own_zone(text, times)
    return times


def _parsed(text: pl.Series, form: str | None) -> pl.Series:
    if form is None:
        times = _iso(text)
        return pl.Series(text.name, [None] * len(text), pl.Datetime("us")) if times is None else times
    has_clock = "%H" in form or "%I" in form
    return text.str.to_datetime(form, strict=False, time_unit="us") if has_clock else text.str.to_date(form, strict=False)


def _best_effort(text: pl.Series, time_format: str | None) -> pl.Series:
    """The column with null where it cannot be read; for ISO in the form that most rows have."""
    forms = ISO_FORMATS if time_format is None else (time_format,)
    return min((_parsed(text, form) for form in forms), key=lambda times: times.null_count())


def _in_own_zone(text: pl.Series, times: pl.Series) -> pl.Series:
    """UTC times in the zone of their offset when all have the same whole-hour one, so that hours of the day keep their sense."""
    offsets = text.str.extract(r"([+-]\d{2}):?(?:00)?$").drop_nulls().unique()
    if len(offsets) != 1 or text.str.extract(r"([+-]\d{2}):?(?:00)?$").null_count() > text.null_count():
        return times
    hours = int(offsets[0])
    return times.dt.convert_time_zone(f"Etc/GMT{-hours:+d}" if hours else "UTC")
