"""Where each series of a table begins and ends, and which rows belong to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from gatework.data.table import STEP, Field, Table

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """Consecutive rows grouped into series.

    offsets: (num_sequences + 1,) int64; the rows of series i are offsets[i] to offsets[i + 1].
    """

    offsets: IntArray

    @cached_property
    def lengths(self) -> IntArray:
        """(num_sequences,) rows of each series, zero allowed."""
        return np.diff(self.offsets)

    @property
    def total_steps(self) -> int:
        """All rows of all series."""
        return int(self.offsets[-1])

    @property
    def sequence(self) -> IntArray:
        """(total_steps,) the series of each row."""
        return np.repeat(np.arange(len(self.lengths), dtype=np.int64), self.lengths)

    @property
    def start(self) -> IntArray:
        """(total_steps,) the first row of the series of each row."""
        return np.repeat(self.offsets[:-1], self.lengths)

    @property
    def end(self) -> IntArray:
        """(total_steps,) one past the last row of the series of each row."""
        return np.repeat(self.offsets[1:], self.lengths)

    def only(self, kept_rows: BoolArray, kept_sequences: BoolArray) -> "Rows":
        """The grouping that is left when only some rows and some series are kept."""
        running = np.concatenate([[0], np.cumsum(kept_rows, dtype=np.int64)])
        lengths = (running[self.offsets[1:]] - running[self.offsets[:-1]])[kept_sequences]
        return from_lengths(lengths)


def from_lengths(lengths: IntArray) -> Rows:
    """Rows from the number of rows of each series."""
    return Rows(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64))


def table_rows(table: Table) -> Rows:
    """The grouping of `table.steps`, in the order of `table.sequences`; a series without rows has length zero."""
    if table.sequences.height == 1:  # the usual case, and asked for many times in one prediction
        return from_lengths(np.array([table.steps.height]))
    name = table.series
    counts = table.steps.group_by(name, maintain_order=True).len("rows")
    in_order = table.sequences.select(name).join(counts, on=name, how="left", maintain_order="left")
    return from_lengths(in_order["rows"].fill_null(0).to_numpy().astype(np.int64))


def series_ids(table: Table) -> list[str]:
    """The ids of the series as text, in the order of `table.sequences`."""
    return [str(value) for value in table.sequences[table.series].cast(pl.String).to_list()]


def has_clock(table: Table) -> bool:
    """True when the time column is one that all series share (a time or an order from the data), False for a mere step count."""
    return table.time != STEP


def iso_texts(times: pl.Series) -> pl.Series:
    """Time stamps as ISO 8601 text with their offset from UTC, orders as plain numbers; equal texts, equal times."""
    return times.dt.to_string("iso:strict") if times.dtype.is_temporal() else times.cast(pl.String)


def with_columns(frame: pl.DataFrame, columns: list[pl.Series]) -> pl.DataFrame:
    """The frame with these columns, by name in the place of its own or behind them.

    `DataFrame.with_columns` starts a query each time, which for one window costs more than the network.
    """
    if not columns:
        return frame
    return pl.DataFrame(list(({column.name: column for column in frame} | {column.name: column for column in columns}).values()))


def without_column(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """The frame without a column, likewise without a query."""
    return pl.DataFrame([column for column in frame if column.name != name])


def picked(column: pl.Series, rows: IntArray) -> pl.Series:
    """The values at some rows. Where there is only one value, no row is looked up."""
    return column.new_from_index(0, len(rows)) if len(column) == 1 else column[rows]


def listed(names: Sequence[str]) -> str:
    """Up to five names, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def time_numbers(times: pl.Series) -> npt.NDArray[np.float64]:
    """Times as float64: seconds since the first one in the column, or the order itself."""
    if not times.dtype.is_temporal():
        return times.cast(pl.Float64).to_numpy()
    ticks = times.cast(pl.Datetime("us")).cast(pl.Int64).to_numpy()
    return (ticks - ticks.min()).astype(np.float64) / 1e6 if len(ticks) else np.zeros(0)


def class_field(table: Table) -> Field | None:
    """The target whose values are classes, or None when the task is not a classification."""
    targets = table.named("target")
    return targets[0] if targets and not table.is_forecast and targets[0].kind in ("categorical", "boolean") else None


def class_texts(table: Table, field: Field) -> list[str | None]:
    """The class of each sequence, or of each step, as text; None where it is not known."""
    frame = table.steps if field.name in table.steps.columns else table.sequences
    return frame[field.name].cast(pl.String).to_list()
