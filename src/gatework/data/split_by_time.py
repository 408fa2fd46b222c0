"""Dividing rows by time: the past trains, the later past validates, the latest tests.

With a clock that all series share, boundaries are time stamps common to all of them, so that nothing about the test period is
known from a neighbour. Where the data only counts steps, each series is cut at the same share of its own rows.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from gatework.data.series import BoolArray, has_clock, iso_texts, table_rows
from gatework.data.table import Table
from gatework.errors import DataError

Int8Array = npt.NDArray[np.int8]
OF_EACH = "of each series"


def smallest_division(validation: float, test: float) -> int:
    """The least number of rows or sequences of which each part gets one; `test` 0: there is no test part."""
    count = 2
    while not _divides(count, validation, test):
        count += 1
    return count


def _divides(count: int, validation: float, test: float) -> bool:
    for_validation, for_test = count_of(count, validation), count_of(count, test)
    return for_validation >= 1 and (for_test >= 1 or test == 0) and count - for_validation - for_test >= 1


def count_of(number: int, share: float) -> int:
    """A share of a number, rounded half up; at least 1 when the share is positive and the number 3 or more."""
    return max(int(number * share + 0.5), int(share > 0 and number >= 3))


def time_boundaries(table: Table, rows: BoolArray, validation: float, test: float) -> dict[str, str]:
    """The first time stamp of validation and of test among `rows`, as text; `test` 0: none is cut off.

    rows: (total_steps,) the rows to divide.
    Raises DataError when there are too few time stamps to give each part one.
    """
    if not has_clock(table):
        shares = {"validation": 1 - validation - test} | ({"test": 1 - test} if test else {})
        return {part: f"{round(share, 9)} {OF_EACH}" for part, share in shares.items()}
    distinct = table.steps[table.time].filter(pl.Series(rows)).unique().sort()
    for_test = count_of(len(distinct), test)
    first_validation = len(distinct) - for_test - count_of(len(distinct), validation)
    if not _divides(len(distinct), validation, test):
        raise DataError(
            f"The data has {len(distinct)} distinct time stamps in '{table.time}' to divide into train, validation and test. "
            f"A split by time needs at least {smallest_division(validation, test)}, and a model many more. "
            f"Give more rows, or name the time column with --time if it was not recognised."
        )
    texts = iso_texts(distinct)
    boundaries = {"validation": str(texts[first_validation])}
    return boundaries | ({"test": str(texts[len(distinct) - for_test])} if test else {})


def mark_by_boundaries(table: Table, rows: BoolArray, boundaries: dict[str, str]) -> Int8Array:
    """(total_steps,) the part of each row: 0 before the first boundary, 1 from `validation` on, 2 from `test` on.

    Rows outside `rows` are 0. Raises DataError when a boundary is no time stamp of the table.
    """
    parts = np.zeros(len(rows), dtype=np.int8)
    for part, name in ((1, "validation"), (2, "test")):
        if name in boundaries:
            parts[rows & _from_boundary(table, rows, boundaries[name])] = part
    return parts


def _from_boundary(table: Table, rows: BoolArray, boundary: str) -> BoolArray:
    if boundary.endswith(OF_EACH):
        return _from_share(table, rows, float(boundary.removesuffix(OF_EACH)))
    distinct = table.steps[table.time].unique().sort()
    position = iso_texts(distinct).index_of(boundary)
    if position is None:
        raise DataError(
            f"The split begins a part at '{boundary}', and the data has no such time stamp in '{table.time}'. "
            f"Expected the data that the split was made from. Restore that data, or train again."
        )
    later: BoolArray = (table.steps[table.time] >= distinct[position]).to_numpy()
    return later


def _from_share(table: Table, rows: BoolArray, share: float) -> BoolArray:
    grouping = table_rows(table)
    running = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)])
    rank = running[:-1] - running[grouping.start]
    total = running[grouping.end] - running[grouping.start]
    later: BoolArray = rank >= np.floor(total * share + 0.5)
    return later
