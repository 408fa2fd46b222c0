"""Series to be watched as a user gives them → one table with a row a step, and one number a step back in the same form."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from gatework.data.in_memory import frame_in_memory
from gatework.data.layout import build_table
from gatework.errors import InputError
from gatework.estimators.arrays import SERIES, Sequences, check_numbers, checked_sequences, is_rows
from gatework.runs import DataPlan

FloatArray = npt.NDArray[np.float64]
ROW = "row"


@dataclass(frozen=True)
class Watched:
    """frame: one row a step: `series` and the channels x0, x1, …; or the user's own frame.

    lengths: steps of each series, one number for a frame. is_several: several series were given as such. is_frame: a data frame.
    """

    frame: pl.DataFrame
    lengths: tuple[int, ...]
    is_several: bool = False
    is_frame: bool = False

    def wishes(self) -> dict[str, object]:
        """The options that these columns ask for."""
        if self.is_frame:
            return {}
        return {"series": SERIES, "kinds": dict.fromkeys(self.frame.columns[1:], "numeric")}

    def one_each(self, steps: pl.DataFrame, column: str, plan: DataPlan) -> FloatArray:
        """(rows,) a column of `steps`, one number for each row in the order of X; NaN where there is none.

        steps: with `series` and `time`. Raises InputError where rows are no steps.
        """
        if plan.layout != "steps":
            raise InputError(
                f"X has the layout '{plan.layout}', whose rows are no steps. Expected a frame with one row a step, to give one "
                f"number a row. Use steps(X), which has a row for each step, or reshape X."
            )
        # the numbers of the rows are sorted as the values of a column would be
        numbers = pl.int_range(self.frame.height).cast(pl.Float64).alias(plan.targets[0])
        table = build_table(self.frame.with_columns(numbers), plan, None, targets_required=False, is_new=True)
        rows = table.steps.select(
            pl.col(table.series).cast(pl.String).alias("series"),
            pl.col(table.time).alias("time"),
            pl.col(plan.targets[0]).alias(ROW),
        )
        found = rows.join(steps.select("series", "time", column), on=["series", "time"], how="left")
        return found.sort(ROW)[column].fill_null(float("nan")).to_numpy().astype(np.float64)

    def shaped(self, values: npt.NDArray[np.generic]) -> object:
        """One number for each row, in the form of X: an array, or a list of arrays for several series."""
        return np.split(values, np.cumsum(self.lengths)[:-1]) if self.is_several else values


def watched_in(estimator: Any, X: object, reset: bool, allow_gaps: bool) -> Watched:
    """What fit, predict and the others are given; sets or checks the estimator's `n_features_in_`.

    One series: (steps,), or an array or nested list (steps, channels). Several: a list of arrays, an array (series, steps,
    channels), a Ragged. Or a data frame with a row a step.
    Raises InputError for arrays that do not fit together; ValueError where scikit-learn finds fault with an array of two axes.
    """
    if is_frame(X):
        frame = frame_in_memory(X).frame
        if reset:
            estimator.n_features_in_ = frame.width
        return Watched(frame, (frame.height,), is_frame=True)
    if not is_rows(X):
        sequences = checked_sequences(estimator, X, reset, allow_gaps)
        return Watched(sequences.frame(), tuple(sequences.lengths.tolist()), is_several=True)
    num_axes = np.ndim(X) if isinstance(X, list | tuple) else getattr(X, "ndim", 2)
    rows = np.asarray(X)[:, None] if num_axes == 1 and not issparse(X) else X
    # our own message on NaN says the step, and what to do
    values = validate_data(estimator, rows, reset=reset, dtype=np.float64, ensure_all_finite=False, ensure_min_samples=1 + reset)
    sequences = Sequences(values, np.array([len(values)], dtype=np.int64))
    check_numbers(sequences, allow_gaps)
    return Watched(sequences.frame(), (len(values),))


def is_frame(X: object) -> bool:
    """Whether X has columns with names, as the data frames of pandas, polars and Arrow have."""
    return hasattr(X, "columns") and not isinstance(X, np.ndarray)
