"""Steps that are still to come: rows without targets behind each series, for which a forecast is wanted."""

from dataclasses import replace

import numpy as np
import polars as pl

from gatework.data.calendar import typical_step
from gatework.data.clock import why_irregular
from gatework.data.order import skips_weekends
from gatework.data.series import BoolArray, Rows, has_clock, iso_texts, picked, series_ids, table_rows
from gatework.data.table import Table
from gatework.errors import DataError

DAY_S = 86_400


def open_rows(table: Table) -> BoolArray:
    """(total_steps,) the rows at the end of each series that nobody has observed: every target and past covariate is missing."""
    names = [field.name for role in ("target", "past") for field in table.named(role) if field.name in table.steps.columns]
    if not table.is_forecast:
        return np.zeros(table.steps.height, dtype=bool)
    seen = np.zeros(table.steps.height, dtype=bool)
    for name in names:
        column = table.steps[name]
        if not column.null_count():
            return np.zeros(table.steps.height, dtype=bool)
        # a gap is null, which a Float64 column shows as NaN in numpy
        seen |= ~np.isnan(column.to_numpy()) if column.dtype == pl.Float64 else column.is_not_null().to_numpy()
    rows = table_rows(table)
    running = np.concatenate([[0], np.cumsum(seen, dtype=np.int64)])
    result: BoolArray = running[rows.end] == running[:-1]
    return result


def append_horizon(
    table: Table, horizon: int, known_future: pl.DataFrame | None = None, *, weekdays_only: bool | None = None
) -> Table:
    """The table with exactly `horizon` open rows behind the last observation of each series.

    Open rows that the table already has are used first; what is missing continues with the median step of the series (calendar
    months where the data is monthly, weekdays where the data is daily without weekends). Series without any row stay empty.
    known_future: further rows with series, time and known-future columns, as in `table.steps`; None when the table has them.
    weekdays_only: whether daily data skips weekends; None: as the stamps of this table say (see `order.skips_weekends`).
    Raises DataError when a known-future covariate has no value in one of these rows, or a step length cannot be told.
    """
    if known_future is not None:
        table = _with_rows(table, known_future)
    rows, is_open = table_rows(table), open_rows(table)
    running = np.concatenate([[0], np.cumsum(is_open, dtype=np.int64)])
    rank = running[1:] - running[rows.start]
    given = running[rows.offsets[1:]] - running[rows.offsets[:-1]]
    _check_known(table, is_open & (rank <= horizon), np.minimum(given, horizon), horizon)
    kept = _only(table, ~is_open | (rank <= horizon))
    wanted = np.where(rows.lengths > 0, horizon - np.minimum(given, horizon), 0)
    if not wanted.any():
        return kept
    kept_rows = rows if kept is table else table_rows(kept)
    stamps = [_continued(kept, kept_rows, index, int(count), weekdays_only) for index, count in enumerate(wanted) if count]
    ids = picked(table.sequences[table.series], np.repeat(np.arange(len(wanted)), wanted))
    times = stamps[0] if len(stamps) == 1 else pl.concat(stamps)
    kept = _with_note(kept)
    if kept.sequences.height == 1:
        return _continued_table(kept, ids, times)
    return _with_rows(kept, pl.DataFrame({table.series: ids, table.time: times}))


def _with_note(table: Table) -> Table:
    """The table with a word on the times of the forecast, where its own steps are of many lengths."""
    why = why_irregular(table) if has_clock(table) else ""
    if not why:
        return table
    note = (
        f"The forecast goes on by the usual step, because {why}. "
        f"For other times, append rows with their time stamps and empty targets."
    )
    return replace(table, notes=(*table.notes, note))


def _only(table: Table, chosen: BoolArray) -> Table:
    if chosen.all():
        return table
    return replace(table, steps=table.steps.filter(pl.Series(chosen)))


def _continued_table(table: Table, ids: pl.Series, times: pl.Series) -> Table:
    """A table of one series with later rows of which only series and time are known."""
    known = {table.series: ids, table.time: times}
    columns = [
        column.clone().append(known[column.name].cast(column.dtype))
        if column.name in known
        else column.clone().append(pl.Series(column.name, [None], column.dtype).new_from_index(0, len(times)))
        for column in table.steps
    ]
    return replace(table, steps=pl.DataFrame(columns))


def _with_rows(table: Table, more: pl.DataFrame) -> Table:
    """The table with rows added behind each series; columns that they lack are null."""
    schema = pl.Schema({name: dtype for name, dtype in table.steps.schema.items() if name in more.columns})
    lacking = {table.series, table.time} - set(more.columns)
    if lacking:
        raise DataError(
            f"The rows to be forecast have the columns {', '.join(more.columns)}; '{lacking.pop()}' is missing. "
            f"Expected the series and time columns of the training data and its known-future columns. Add the column."
        )
    steps = pl.concat([table.steps, more.select(schema.names()).cast(schema)], how="diagonal")
    if table.sequences.height == 1:
        return replace(table, steps=steps.sort(table.time))
    order = table.sequences.select(table.series).with_row_index("__order__")
    steps = steps.join(order, on=table.series, how="inner", maintain_order="left").sort(
        "__order__", table.time, maintain_order=True
    )
    return replace(table, steps=steps.drop("__order__"))


def _check_known(table: Table, is_open: BoolArray, given: np.ndarray, horizon: int) -> None:
    names = [field.name for field in table.named("known_future") if field.name in table.steps.columns]
    if not names:
        return
    short = np.flatnonzero((given < horizon) & (table_rows(table).lengths > 0))
    if len(short):
        raise DataError(
            f"Series '{series_ids(table)[short[0]]}' has {given[short[0]]} rows after its last observation, and the forecast "
            f"needs '{names[0]}' for the next {horizon} steps ({len(short)} series in all are short). "
            f"Append rows with time, {', '.join(names)} and empty targets to the data."
        )
    for name in names:
        empty = np.flatnonzero(is_open & table.steps[name].is_null().to_numpy())
        if len(empty):
            when = iso_texts(table.steps[table.time])[int(empty[0])]
            raise DataError(
                f"Column '{name}' has no value at {when}, a step to be forecast ({len(empty)} such steps in all). "
                f"It was declared as known in the future, so every step of the horizon needs it. Fill in these values."
            )


def _continued(table: Table, rows: Rows, index: int, count: int, weekdays_only: bool | None) -> pl.Series:
    """The next `count` time stamps of one series."""
    own = table.steps[table.time].slice(int(rows.offsets[index]), int(rows.lengths[index]))
    last = own.slice(len(own) - 1)
    if not has_clock(table):
        return pl.Series(table.time, np.arange(1, count + 1) + int(last[0]), dtype=own.dtype)
    whole = Rows(np.array([0, len(own)], dtype=np.int64))
    step = typical_step(own, whole, np.ones(len(own), dtype=bool))
    if step is None:
        step = typical_step(table.steps[table.time], rows, np.ones(rows.total_steps, dtype=bool))
    if not step:
        raise DataError(
            f"Series '{series_ids(table)[index]}' has {len(own)} row, from which no step length can be told. "
            f"A forecast needs at least two rows, or the rows to be forecast with their time stamps. Give either."
        )
    numbers = range(1, count + 1)
    if not own.dtype.is_temporal():
        return (last.new_from_index(0, count) + pl.Series(step * np.array(numbers)).cast(own.dtype)).alias(table.time)
    if weekdays_only is None:
        weekdays_only = skips_weekends(table.steps[table.time], step)
    if weekdays_only and step > DAY_S / 2:  # a Friday and a Monday alone would say three days
        return _later(last, _weekdays_after(int(last.dt.weekday()[0]), count), "d")
    unit, is_month_end = _calendar_unit(own, step)
    stamps = _later(last, [unit[0] * number for number in numbers], unit[1])
    return stamps.dt.month_end() if is_month_end else stamps


def _later(last: pl.Series, numbers: list[int], unit: str) -> pl.Series:
    """A time stamp and how many months (mo), days (d) or microseconds (us) later each wanted one is."""
    start = last.new_from_index(0, len(numbers))
    if unit == "us" and start.dtype == pl.Datetime("us"):
        ticks = start.cast(pl.Int64).to_numpy() + np.array(numbers, dtype=np.int64)
        return pl.Series(last.name, ticks).cast(start.dtype)
    offsets = pl.Series([f"{number}{unit}" for number in numbers])
    return pl.select(pl.lit(start).dt.offset_by(pl.lit(offsets))).to_series().alias(last.name)


def _weekdays_after(weekday: int, count: int) -> list[int]:
    """How many days after a day of the week (1 Monday, 7 Sunday) the next weekdays are.

    >>> _weekdays_after(4, 3), _weekdays_after(6, 2)
    ([1, 4, 5], [2, 3])
    """
    after = min(weekday, 5) - 1 + np.arange(1, count + 1)
    return [int(days) for days in after + 2 * (after // 5) - (weekday - 1)]


def _calendar_unit(own: pl.Series, step_s: float) -> tuple[tuple[int, str], bool]:
    """The step as a number of polars' units, and whether every stamp is the end of a month.

    Months and days follow the calendar, whatever the time zone and the leap years.
    """
    months = round(step_s / (30.44 * DAY_S))
    if months >= 1 and abs(step_s - months * 30.44 * DAY_S) < 2 * DAY_S:
        is_month_end = bool((own.dt.month_end() == own).all())
        if is_month_end or own.dt.day().n_unique() == 1:
            return (months, "mo"), is_month_end
    if step_s % DAY_S == 0:
        return (int(step_s // DAY_S), "d"), False
    return (round(step_s * 1e6), "us"), False
