"""Filling gaps inside each series, never across two, and never from the future of a row that is not for training.

Nor from a part whose values a row must not know: where training goes on behind a test stretch, as in folds, a gap there is filled
from before the stretch.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gatework.data.series import BoolArray, IntArray, Rows
from gatework.data.table import Missing

FloatArray = npt.NDArray[np.float64]

IN_WORDS: dict[Missing, str] = {
    "previous": "filled with the last value before it",
    "linear": "interpolated in the training part, elsewhere filled with the last value before it",
    "mean": "filled with the training mean",
    "constant": "filled with a constant",
    "mask": "filled with the last value before it, with an input that says so",
    "decay": "faded from the last value before it to the mean, at a rate that is learned",
    "drop": "left in place at the steps to be forecast",
}


@dataclass(frozen=True)
class Borders:
    """What each row may be filled from: rows of no part, and those of its own part and of earlier ones (train, validation, test).

    part: (total_steps,) the part of each row as `Split.steps` has it. reach: (total_steps,) the last part that it may be filled
    from; for a row of no part the first of those that follow, whose inputs it may be.
    """

    part: IntArray
    reach: IntArray

    @classmethod
    def of(cls, parts: npt.NDArray[np.integer], rows: Rows) -> "Borders | None":
        """The borders of a division; None where the parts of every series come in their order, so that a past knows no more."""
        if not len(parts):
            return None
        part, away = parts.astype(np.int64), 4 * rows.sequence  # so far apart that no series reaches into the next
        following = np.minimum.accumulate((np.where(part < 0, 3, part) + away)[::-1])[::-1] - away
        reach = np.where(part < 0, np.minimum(following, 2), part)
        before = np.maximum.accumulate(np.maximum(part, 0) + away) - away
        return cls(part, reach) if (before > reach).any() else None


def previous_observed(observed: BoolArray, rows: Rows, borders: Borders | None = None) -> IntArray:
    """(total_steps,) the last row up to each row of its series that is observed; −1 where there is none.

    borders: leaves out the rows that a row must not be filled from.
    """
    if borders is None:
        return latest_of(observed, rows)
    found = [latest_of(observed & (borders.part <= part), rows) for part in range(3)]
    return np.choose(borders.reach, found)


def latest_of(chosen: BoolArray, rows: Rows) -> IntArray:
    """(total_steps,) the last chosen row up to each row of its series; −1 where there is none."""
    latest = np.maximum.accumulate(np.where(chosen, np.arange(len(chosen)), -1)) if len(chosen) else np.zeros(0)
    return np.where(latest >= rows.start, latest, -1).astype(np.int64)


def next_observed(observed: BoolArray, rows: Rows) -> IntArray:
    """(total_steps,) the first row from each row on, within its series, that is observed; −1 where there is none."""
    size = len(observed)
    first = np.minimum.accumulate(np.where(observed, np.arange(size), size)[::-1])[::-1] if size else np.zeros(0)
    return np.where(first < rows.end, first, -1).astype(np.int64)


def carry_forward(values: FloatArray, rows: Rows, default: float, borders: Borders | None = None) -> FloatArray:
    """Gaps (NaN) take the last value of their series before them; `default` where there is none."""
    if not len(values):
        return values.copy()
    source = previous_observed(~np.isnan(values), rows, borders)
    return np.where(source >= 0, values[source], default)


def interpolate(
    values: FloatArray,
    rows: Rows,
    default: float,
    times: FloatArray,
    may_look_ahead: BoolArray,
    borders: Borders | None = None,
) -> FloatArray:
    """Gaps in training rows lie on the line between the observed values around them; others carry forward.

    times: (total_steps,) where each row lies on the line, any unit. may_look_ahead: (total_steps,) True in training rows.
    A line ends at a later observation. For a validation or test row that would be an observation from after the moment at which a
    forecast is made: a score that no deployed model can reach. So a line is drawn only where both the gap and the later
    observation are training rows.
    """
    if not len(values):
        return values.copy()
    observed = ~np.isnan(values)
    before, after = previous_observed(observed, rows, borders), next_observed(observed, rows)
    is_between = ~observed & (before >= 0) & (after >= 0) & may_look_ahead & may_look_ahead[after]
    span = np.where(is_between, times[after] - times[before], 1.0)
    share = np.where(is_between, times - times[before], 0.0) / np.where(span > 0, span, 1.0)
    line = values[before] + share * (values[after] - values[before])
    return np.where(is_between, line, carry_forward(values, rows, default, borders))


def fill(
    values: FloatArray,
    rows: Rows,
    policy: Missing,
    default: float,
    constant: float,
    times: FloatArray,
    may_look_ahead: BoolArray,
    borders: Borders | None = None,
) -> FloatArray:
    """The column without gaps, filled as the policy of its field says (see `table.Field`).

    values: (total_steps,) NaN where missing. default: the training mean, or whatever stands for it.
    """
    if policy == "linear":
        return interpolate(values, rows, default, times, may_look_ahead, borders)
    if policy in ("mean", "constant"):
        return np.where(np.isnan(values), default if policy == "mean" else constant, values)
    return carry_forward(values, rows, default, borders)
