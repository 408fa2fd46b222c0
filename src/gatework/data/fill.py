"""Filling gaps inside each series, never across two, and never from the future of a row that is not for training."""

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


def previous_observed(observed: BoolArray, rows: Rows) -> IntArray:
    """(total_steps,) the last row up to each row of its series that is observed; −1 where there is none."""
    latest = np.maximum.accumulate(np.where(observed, np.arange(len(observed)), -1)) if len(observed) else np.zeros(0)
    return np.where(latest >= rows.start, latest, -1).astype(np.int64)


def next_observed(observed: BoolArray, rows: Rows) -> IntArray:
    """(total_steps,) the first row from each row on, within its series, that is observed; −1 where there is none."""
    size = len(observed)
    first = np.minimum.accumulate(np.where(observed, np.arange(size), size)[::-1])[::-1] if size else np.zeros(0)
    return np.where(first < rows.end, first, -1).astype(np.int64)


def carry_forward(values: FloatArray, rows: Rows, default: float) -> FloatArray:
    """Gaps (NaN) take the last value of their series before them; `default` where there is none."""
    if not len(values):
        return values.copy()
    source = previous_observed(~np.isnan(values), rows)
    return np.where(source >= 0, values[source], default)


def interpolate(values: FloatArray, rows: Rows, default: float, times: FloatArray, may_look_ahead: BoolArray) -> FloatArray:
    """Gaps in training rows lie on the line between the observed values around them; others carry forward.

    times: (total_steps,) where each row lies on the line, any unit. may_look_ahead: (total_steps,) True in training rows.
    A line ends at a later observation. For a validation or test row that would be an observation from after the moment at which a
    forecast is made: a score that no deployed model can reach. So a line is drawn only where both the gap and the later
    observation are training rows.
    """
    if not len(values):
        return values.copy()
    observed = ~np.isnan(values)
    before, after = previous_observed(observed, rows), next_observed(observed, rows)
    is_between = ~observed & (before >= 0) & (after >= 0) & may_look_ahead & may_look_ahead[after]
    span = np.where(is_between, times[after] - times[before], 1.0)
    share = np.where(is_between, times - times[before], 0.0) / np.where(span > 0, span, 1.0)
    line = values[before] + share * (values[after] - values[before])
    return np.where(is_between, line, carry_forward(values, rows, default))


def fill(
    values: FloatArray, rows: Rows, policy: Missing, default: float, constant: float, times: FloatArray, may_look_ahead: BoolArray
) -> FloatArray:
    """The column without gaps, filled as the policy of its field says (see `table.Field`).

    values: (total_steps,) NaN where missing. default: the training mean, or whatever stands for it.
    """
    if policy == "linear":
        return interpolate(values, rows, default, times, may_look_ahead)
    if policy in ("mean", "constant"):
        return np.where(np.isnan(values), default if policy == "mean" else constant, values)
    return carry_forward(values, rows, default)
