"""Rows divided into stretches of time: what folds and backtests need beyond one cut into past, later and latest.

A stretch begins and ends at the same time stamp in every series, or at the same share of each series' own rows where the data has
no clock; both may be moved by some of the series' own steps, which is how a purge is said exactly where steps are missing.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gatework.data.series import IntArray, Rows, has_clock, iso_texts, table_rows
from gatework.data.table import Table
from gatework.errors import DataError
from gatework.runs import Bound, Interval, Part

Int8Array = npt.NDArray[np.int8]
CODES: dict[Part | None, int] = {None: -1, "train": 0, "validation": 1, "test": 2}


def mark_by_intervals(table: Table, intervals: Sequence[Interval]) -> Int8Array:
    """(total_steps,) the part of each row; -1 where no interval lies. A later interval wins over an earlier one.

    Raises DataError when a bound names a time stamp and the table has no clock, or not that stamp.
    """
    rows = table_rows(table)
    parts = np.full(rows.total_steps, -1, dtype=np.int8)
    row = np.arange(rows.total_steps)
    for interval in intervals:
        begin = _positions(table, rows, interval.begin)[rows.sequence]
        end = _positions(table, rows, interval.end)[rows.sequence]
        parts[(row >= begin) & (row < end)] = CODES[interval.part]
    return parts


def _positions(table: Table, rows: Rows, bound: Bound) -> IntArray:
    """(num_sequences,) the row of the table at which the bound lies in each series, never outside the series."""
    first, last = rows.offsets[:-1], rows.offsets[1:]
    place = _share(rows, bound.share) if bound.stamp is None else _first_at(table, rows, bound.stamp)
    clipped: IntArray = np.clip(place + bound.steps, first, last)
    return clipped


def _share(rows: Rows, share: float) -> IntArray:
    places: IntArray = rows.offsets[:-1] + np.floor(rows.lengths * share + 0.5).astype(np.int64)
    return places


def _first_at(table: Table, rows: Rows, stamp: str) -> IntArray:
    """The first row of each series at or after a time stamp of the table."""
    distinct = table.steps[table.time].unique().sort()
    position = iso_texts(distinct).index_of(stamp) if has_clock(table) else None
    if position is None:
        raise DataError(
            f"The split has a part that begins or ends at '{stamp}', and the data has no such time stamp in '{table.time}'. "
            f"Expected the data that the split was made from. Restore that data, or train again."
        )
    earlier = (table.steps[table.time] < distinct[position]).to_numpy()
    running = np.concatenate([[0], np.cumsum(earlier, dtype=np.int64)])
    places: IntArray = rows.offsets[:-1] + running[rows.offsets[1:]] - running[rows.offsets[:-1]]
    return places
