"""From a score at every step to ranges: where it was unusual, for how long, and which channels made it so."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Ranges:
    """Stretches of rows, in order. first, last: (num_ranges,) rows, both inside. sequence: the series of each."""

    first: IntArray
    last: IntArray
    sequence: IntArray

    def __len__(self) -> int:
        """The number of ranges."""
        return len(self.first)


def find_ranges(is_alarm: BoolArray, sequence: IntArray, gap: int = 0) -> Ranges:
    """The stretches of alarms; two with at most `gap` quiet steps of one series between them are one.

    is_alarm, sequence: (n,), the rows in order of series and time.

    >>> found = find_ranges(np.array([0, 1, 1, 0, 1, 0, 0, 1], dtype=bool), np.zeros(8, dtype=np.int64), gap=1)
    >>> found.first.tolist(), found.last.tolist()
    ([1, 7], [4, 7])
    """
    rows = np.flatnonzero(is_alarm).astype(np.int64)
    if not len(rows):
        return Ranges(rows, rows.copy(), rows.copy())
    begins = np.ones(len(rows), dtype=bool)
    begins[1:] = (np.diff(rows) > gap + 1) | (np.diff(sequence[rows]) != 0)
    first = rows[begins]
    last = rows[np.append(np.flatnonzero(begins)[1:] - 1, len(rows) - 1)]
    return Ranges(first, last, sequence[first])


def smoothed(scores: Array, offsets: IntArray, steps: int) -> Array:
    """The mean of the last `steps` scores at each step of its series, of those that there are; never of a later one.

    scores: (n,), NaN where there is none: such a step keeps none.
    """
    if steps <= 1:
        return scores
    known = np.isfinite(scores)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, scores, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    row = np.arange(len(scores))
    begin = np.maximum(row - steps + 1, np.repeat(offsets[:-1], np.diff(offsets)))
    mean = (sums[row + 1] - sums[begin]) / np.maximum(counts[row + 1] - counts[begin], 1)
    return np.where(known, mean, np.nan)
