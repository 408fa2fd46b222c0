"""Which column is the time and which names the series, from types, names and what repeats."""

import re
from dataclasses import dataclass

import polars as pl

from gatework.data.times import choose_format, detect_epoch, detect_formats, part_of, refuse_damaged

_TIME_NAME = re.compile(
    r"(?i)(^|[^a-z])(date|time|timestamp|datetime|when|ts|day|month|week|year|datum|zeit|dt)|date$|time$|dteday"
)
_ORDER_NAME = re.compile(
    r"(?i)^(t|time|step|steps|time_?step|timeidx|time_idx|order|tick|cycle|cycles|seq_?no|year|epoch|minute|frame)$|^time_?(ms|s|us|ns|sec|seconds|min|h)$"
)
_SERIES_NAME = re.compile(
    r"(?i)^(__part__)?(series|sequence|seq|unique|item|patient|subject|station|site|sensor|device|machine|unit|engine|ticker|symbol|store|"
    r"customer|user|account|case|run|trial|session|stock|asset|location|city|country|region|basin|file|icustay|stay|record|meter|id)"
    r"([_\- ]?(id|no|nr|name|number|key|code))?$"
)
_COUNTER_NAME = re.compile(
    r"(?i)^(no|nr|row|rows|id|index|idx|instant|record|rec|obs|observation|unnamed.*|column_1|row_?(id|no|nr|number|index)|#)$"
)
_CLOCK = r"^\d{1,2}[:.]\d{2}([:.]\d{2})?$"


@dataclass(frozen=True)
class TimeFound:
    """The time column, or the columns that make it; `why` completes "… is the time because"."""

    name: str | None
    parts: tuple[str, ...] = ()
    time_format: str | None = None
    is_number: bool = False
    why: str = ""


def find_time(frame: pl.DataFrame, series: str | None, excluded: set[str]) -> TimeFound:
    """The time of the rows: typed or text time stamps first, then year/month/day columns, then a number that counts up.

    Raises DataError where no column holds time stamps and one nearly does.
    """
    candidates = [column for column in frame if column.name not in excluded and column.name != series]
    stamped = []
    for column in candidates:
        found = as_time(column)
        if found is not None:
            stamped.append(found)
    stamped.sort(key=lambda found: not _TIME_NAME.search(found.name or ""))
    spread = _spread_parts([column.name for column in candidates])
    if stamped:
        return _with_clock(frame, stamped[0], candidates, series)
    if spread:
        return TimeFound(None, spread, why=f"columns {', '.join(spread)} together make a time stamp")
    for column in candidates:
        refuse_damaged(column)
    for column in candidates:
        if column.dtype.is_numeric() and _ORDER_NAME.match(column.name) and _is_order(frame, column.name, series):
            epoch = detect_epoch(column)
            if epoch:
                return TimeFound(column.name, time_format=epoch, why=f"it counts from 1970 ({epoch.removeprefix('epoch:')})")
            return TimeFound(column.name, is_number=True, why="of its name, and it never repeats within a series")
    for column in candidates:
        if column.dtype == pl.Int64 and _TIME_NAME.search(column.name):
            form = detect_epoch(column) or _compact_date(column)
            if form:
                return TimeFound(column.name, time_format=form, why=f"its numbers are time stamps ({form})")
    return TimeFound(None)


def as_time(column: pl.Series) -> TimeFound | None:
    """The column as a time column when it holds time stamps (typed or text), else None."""
    if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
        return TimeFound(column.name, why="it holds time stamps")
    if column.dtype != pl.String:
        return None
    formats = detect_formats(column)
    if not formats:
        return None
    time_format, why = choose_format(column, formats)
    return TimeFound(column.name, time_format=time_format, why=why)


def _compact_date(column: pl.Series) -> str | None:
    text = column.drop_nulls().cast(pl.String)
    return "%Y%m%d" if text.str.contains(r"^(19|20)\d{6}$").all() and detect_formats(text) == ["%Y%m%d"] else None


def _spread_parts(names: list[str]) -> tuple[str, ...]:
    """year, month, day, … columns in this order, as far as they go without a gap; at least year and month."""
    by_part = {part_of(name): name for name in reversed(names) if part_of(name)}
    parts = []
    for part in ("year", "month", "day", "hour", "minute", "second"):
        if part not in by_part:
            break
        parts.append(by_part[part])
    return tuple(parts) if len(parts) >= 2 else ()


def _with_clock(frame: pl.DataFrame, found: TimeFound, candidates: list[pl.Series], series: str | None) -> TimeFound:
    """A date that repeats gets its hour or clock from another column, where there is one."""
    date = frame[found.name or ""]
    has_clock = isinstance(date.dtype, pl.Datetime) or (date.dtype == pl.String and date.str.contains(":", literal=True).any())
    if has_clock or not date.is_duplicated().any():
        return found
    for column in candidates:
        is_clock = column.dtype == pl.String and column.count() > 0 and column.drop_nulls().str.contains(_CLOCK).all()
        is_hour = part_of(column.name) == "hour" and column.dtype == pl.Int64 and _between(column, 0, 24)
        if is_clock or is_hour:
            why = f"'{found.name}' is a date and '{column.name}' the time of day"
            return TimeFound(None, (found.name or "", column.name), found.time_format, why=why)
    return found


def _between(column: pl.Series, low: int, high: int) -> bool:
    return bool(((column >= low) & (column <= high)).all())


def _is_order(frame: pl.DataFrame, name: str, series: str | None) -> bool:
    if frame[name].null_count():
        return False
    keys = [name] if series is None else [series, name]
    if not frame.select(keys).is_duplicated().any():
        return True
    return series is None and any(
        _SERIES_NAME.match(other) and not frame.select(other, name).is_duplicated().any()
        for other in frame.columns
        if other != name
    )


def find_series(frame: pl.DataFrame, time: TimeFound, excluded: set[str]) -> tuple[str | None, str]:
    """The column that names the series, and why; (None, why) when all rows are one series."""
    keys = [time.name] if time.name is not None else list(time.parts)
    repeats = bool(keys) and frame.select(keys).is_duplicated().any()
    usable = [column for column in frame if column.name not in excluded and column.name not in keys and _could_be_id(column)]
    named = [column for column in usable if _SERIES_NAME.match(column.name)]
    for column in named:
        if not keys or not repeats or not frame.select(column.name, *keys).is_duplicated().any():
            return column.name, f"'{column.name}' names the series: of its name, and it repeats over the rows"
    if repeats:
        telling = [column for column in usable if not frame.select(column.name, *keys).is_duplicated().any()]
        telling = [column for column in telling if column.dtype in (pl.String, pl.Boolean)] or [
            column for column in telling if column.n_unique() <= len(column) // 10
        ]
        if telling:
            best = min(telling, key=lambda column: column.n_unique())
            return best.name, f"'{best.name}' names the series: times repeat, and within each of its values they do not"
    return None, "the rows are one series: no column names several"


def _could_be_id(column: pl.Series) -> bool:
    if column.dtype.is_float() or column.null_count() or column.dtype not in (pl.String, pl.Int64, pl.Boolean):
        return False
    return column.n_unique() <= max(1, len(column) // 2) or len(column) < 4


def counts_rows(column: pl.Series) -> bool:
    """Whether a column only counts the rows: up by one each row, from 0 or 1, or under a name such as No or index."""
    if column.dtype != pl.Int64 or column.null_count() or len(column) < 3 or not (column.diff().drop_nulls() == 1).all():
        return False
    return column[0] in (0, 1) or _COUNTER_NAME.match(column.name) is not None
