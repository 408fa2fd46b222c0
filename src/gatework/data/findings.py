"""What is known about a frame before roles are given: its layout, time, series, and what never varies within a series."""

from dataclasses import dataclass

import polars as pl

from gatework.data.find_layout import Layout
from gatework.data.find_order import TimeFound, as_time, find_series, find_time
from gatework.data.read import PART
from gatework.data.reshape import long_to_steps, named_rows, wide_to_steps
from gatework.data.strict import to_ids
from gatework.data.table import SERIES, STEP
from gatework.data.times import detect_epoch
from gatework.data.wishes import Wishes, check_names
from gatework.errors import ConfigError


@dataclass
class Findings:
    """What is known so far. steps: one row a step; constants: columns that never vary within a series."""

    wishes: Wishes
    steps: pl.DataFrame
    labels: pl.DataFrame | None
    layout: Layout
    time: TimeFound
    series: str | None
    reasons: dict[str, str]
    constants: frozenset[str] = frozenset()

    def value_columns(self) -> list[pl.Series]:
        """Every column of both tables that is neither time nor series."""
        order = {self.series or SERIES, self.time.name or STEP, *self.time.parts, SERIES, STEP}
        names = {column for column in self.steps.columns if column not in order}
        labels = [] if self.labels is None else [c for c in self.labels if c.name != self.series and c.name not in names]
        return [column for column in self.steps if column.name in names] + labels


def find_order(
    frame: pl.DataFrame, wishes: Wishes, labels: pl.DataFrame | None, layout: Layout, reasons: dict[str, str]
) -> Findings:
    """Time and series, and the data with one row a step. ConfigError for names that do not exist."""
    known = [*frame.columns, *(labels.columns if labels is not None else [])]
    check_names(wishes, known, frozenset({"time", "series", "variable", "value", "split-column"}))
    excluded = {
        *wishes.targets,
        *wishes.ignore,
        *wishes.known_future,
        *wishes.static,
        PART,
        wishes.split_column or PART,
        wishes.group or PART,
    }
    excluded |= {name for name in (layout.variable, layout.value) if name}
    if layout.name == "sequences":
        series = _series_of_rows(frame, wishes, labels, layout, excluded, reasons)
        reasons["time"] = "Each row is a sequence; its columns are the steps, in the order of their numbers."
        return Findings(wishes, wide_to_steps(frame, layout.channels, series), labels, layout, TimeFound(None), series, reasons)
    sample = frame
    if layout.name == "long" and layout.variable:  # within one variable, times repeat only where there are several series
        sample = named_rows(frame, layout.variable)
        sample = sample.filter(pl.col(layout.variable) == sample[layout.variable].mode().sort()[0])
    time = _wished_time(frame, wishes) or find_time(sample, wishes.series, excluded)
    series = wishes.series or _shared_id(frame, labels, reasons)
    if series is None:
        series, why = find_series(sample, time, excluded)
        reasons["series"] = f"{why[0].upper()}{why[1:]}."
    if wishes.time is None:
        _say_time(time, reasons)
    steps = frame
    if layout.name == "long" and layout.variable and layout.value:
        if time.name is None:
            raise ConfigError(
                "The long form (id, time, variable, value) was recognised, but no time column. Expected one. Name it with --time."
            )
        steps, notes = long_to_steps(frame, series, time.name, layout.variable, layout.value)
        reasons["variables"] = " ".join(notes)
    return Findings(wishes, steps, labels, layout, time, series, reasons)


def _wished_time(frame: pl.DataFrame, wishes: Wishes) -> TimeFound | None:
    if wishes.time is None:
        return None
    if isinstance(wishes.time, tuple) and len(wishes.time) > 1:
        first = as_time(frame[wishes.time[0]])
        return TimeFound(None, wishes.time, first.time_format if first else None)
    name = wishes.time if isinstance(wishes.time, str) else wishes.time[0]
    column = frame[name]
    if column.dtype.is_numeric():
        epoch = detect_epoch(column)
        return TimeFound(name, time_format=epoch, is_number=epoch is None)
    found = as_time(column)
    if found is None:
        raise ConfigError(
            f"Column '{name}' is no time: it holds text such as '{next(iter(column.drop_nulls()), '')}'. "
            f"Expected time stamps in one format, such as 2024-12-31 23:00:00, or numbers that count up. "
            f"Rewrite the column, or name another one with --time."
        )
    return found


def _say_time(time: TimeFound, reasons: dict[str, str]) -> None:
    if time.name is not None:
        reasons["time"] = f"'{time.name}' is the time: {time.why}."
    elif time.parts:
        reasons["time"] = f"{time.why[0].upper()}{time.why[1:]}."
    else:
        reasons["time"] = "No column is a time; the rows are steps in the order in which they stand."


def _shared_id(frame: pl.DataFrame, labels: pl.DataFrame | None, reasons: dict[str, str]) -> str | None:
    """The series column when there is a table of labels: the column that both have and that is unique there."""
    if labels is None:
        return None
    shared = [name for name in labels.columns if name in frame.columns]
    unique = [name for name in shared if not labels[name].is_duplicated().any() and not labels[name].null_count()]
    if not unique:
        raise ConfigError(
            f"The labels table has the columns {', '.join(labels.columns[:12])}; none of them is an id that the data also has. "
            f"Expected one column of the same name in both, once per row of the labels. Rename it, or name it with --series."
        )
    reasons["series"] = f"'{unique[0]}' names the series: both tables have it, and the labels have it once per row."
    return unique[0]


def _series_of_rows(
    frame: pl.DataFrame, wishes: Wishes, labels: pl.DataFrame | None, layout: Layout, excluded: set[str], reasons: dict[str, str]
) -> str | None:
    """The id of each row where one row is a sequence: a column without repeats, or None (rows are numbered)."""
    series = wishes.series or _shared_id(frame, labels, reasons)
    steps = {name for names in layout.channels.values() for name in names}
    free = [c for c in frame if c.name not in steps | excluded and not c.dtype.is_float() and not c.null_count()]
    unique = [column.name for column in free if not column.is_duplicated().any()]
    if series is None and unique:
        series = unique[0]
        reasons["series"] = f"'{series}' names the series: each row has its own."
    elif series is None:
        reasons["series"] = "The rows have no names; they are numbered from 0."
    return series


def constant_within_series(found: Findings) -> frozenset[str]:
    """Columns with one value in each of several series; every column of the labels."""
    labels = frozenset() if found.labels is None else frozenset(found.labels.columns)
    series = found.series or (SERIES if SERIES in found.steps.columns else None)
    if series is None:
        return labels
    names = [column.name for column in found.value_columns() if column.name in found.steps.columns and column.name != series]
    ids = to_ids(found.steps[series])
    counts = (
        found.steps.select(pl.col(names).cast(pl.String))
        .with_columns(ids.alias(series))
        .group_by(series)
        .agg(pl.col(names).drop_nulls().n_unique())
    )
    if counts.height < 2 or counts.height == found.steps.height:
        return labels
    return labels | {name for name in names if (counts[name].max() or 0) <= 1}  # type: ignore[operator]
