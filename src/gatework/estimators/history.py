"""Series as a user gives them → one table with a row a step, and forecasts back in the same form."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from gatework.data.in_memory import frame_in_memory
from gatework.data.table import STEP
from gatework.errors import InputError
from gatework.estimators.arrays import SERIES, Sequences, check_numbers, check_options, from_ragged, from_several
from gatework.ragged import Ragged
from gatework.train import Request

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class History:
    """Series and their covariates.

    frame: one row a step: `series` (where there are several), targets y0, y1, …, covariates x0, x1, …; or the user's own frame.
    is_flat: targets were given without an axis of their own. is_several: several series were given. known: covariates that are
    known in advance. num_features: columns of the X of fit.
    """

    frame: pl.DataFrame
    num_targets: int = 1
    num_covariates: int = 0
    num_series: int = 1
    num_features: int = 1
    is_flat: bool = True
    is_several: bool = False
    is_frame: bool = False
    known: tuple[str, ...] = ()

    def wishes(self) -> dict[str, object]:
        """The options that these columns ask for."""
        if self.is_frame:
            return {}
        columns = [f"y{number}" for number in range(self.num_targets)]
        kinds = dict.fromkeys([*columns, *(f"x{number}" for number in range(self.num_covariates))], "numeric")
        series = {"series": SERIES} if self.is_several else {}
        return {"target": tuple(columns), "kinds": kinds, **series}

    def numbered(self) -> Self:
        """The same with the place of each step in its series, which stays when the first ones are left out."""
        if self.is_frame:
            return self  # where its series and times are, the frame's plan knows
        if self.is_several:
            place = pl.int_range(pl.len()) + (pl.col(STEP).first() if STEP in self.frame.columns else 0)
            return replace(self, frame=self.frame.with_columns(place.over(SERIES).alias(STEP)))
        first = self.frame[STEP][0] if STEP in self.frame.columns and len(self.frame) else 0
        columns = [column for column in self.frame.get_columns() if column.name != STEP]
        return replace(self, frame=pl.DataFrame([*columns, pl.Series(STEP, np.arange(first, first + len(self.frame)))]))

    def end(self, steps: int) -> Self:
        """The last steps of each series: what a forecast needs."""
        if self.is_frame:
            return self
        frame = self.frame.group_by(SERIES, maintain_order=True).tail(steps) if self.is_several else self.frame.tail(steps)
        return replace(self, frame=frame)

    def followed_by(self, more: "History") -> Self:
        """The same series with more steps behind."""
        if not (self.is_several or self.is_frame):  # step after step comes this way: no query, whose threads take a millisecond
            values = [column for column in self.frame.get_columns() if column.name != STEP]
            columns = [column.clone().append(more.frame[column.name]).rechunk() for column in values]
            places = self.frame[STEP].extend_constant(None, len(more.frame))
            return replace(self, frame=pl.DataFrame([*columns, places])).numbered()
        frame = pl.concat([self.frame, more.frame], how="diagonal_relaxed")
        return replace(self, frame=frame.sort(SERIES, maintain_order=True) if self.is_several else frame).numbered()

    def with_known(self, X: object) -> Self:
        """The series with rows behind them of which the covariates in X are known."""
        if self.is_several or self.is_frame:
            raise InputError(
                "Covariates of the steps to come were given for several series. Expected one series. "
                "Give the data as a frame with rows for these steps, their targets missing."
            )
        values = from_several([X]).values
        if values.shape[1] != self.num_covariates:
            raise InputError(
                f"X has {values.shape[1]} features, but the covariates of fit were {self.num_covariates}. "
                f"Expected one column for each. Give (horizon, {self.num_covariates})."
            )
        columns = {name: values[:, int(name[1:])] for name in self.known_names}
        return replace(self, frame=pl.concat([self.frame, pl.DataFrame(columns)], how="diagonal_relaxed")).numbered()

    def check_like(self, other: "History", who: str) -> None:
        """InputError when another history has other columns than that of fit."""
        own, given = (self.num_targets, self.num_covariates), (other.num_targets, other.num_covariates)
        if own != given and not self.is_frame:
            raise InputError(
                f"X has {other.num_features} features, but {who} is expecting {self.num_features} features as input: "
                f"{self.num_targets} targets and {self.num_covariates} covariates, as in fit. Give a history with those columns."
            )

    def check_same_series(self, more: "History") -> None:
        """InputError when further steps are those of another number of series."""
        if more.num_series != self.num_series or more.is_several != self.is_several:
            form = f"a list of {self.num_series} arrays" if self.is_several else "one series, no list"
            raise InputError(
                f"X has {more.num_series} series{' in a list' if more.is_several else ''}, and fit had {self.num_series}. "
                f"Expected further steps of each, in the same order: {form}. Give an empty array for a series without any."
            )

    def apart(self) -> list[pl.DataFrame]:
        """The rows of each series, none where it has none."""
        if not self.is_several:
            return [self.frame]
        parts = self.frame.partition_by(SERIES, as_dict=True)
        return [parts.get((number,), self.frame.head(0)) for number in range(self.num_series)]

    @property
    def known_names(self) -> list[str]:
        """The covariates that are known in advance."""
        return [name for name in (f"x{number}" for number in range(self.num_covariates)) if name in self.known]

    def known_rows(self, X: object) -> list[dict[str, float]]:
        """What X says of them, one dict for each step; no step where there are none."""
        if X is None or not self.known_names:
            return []
        return [{name: float(row[int(name[1:])]) for name in self.known_names} for row in from_several([X]).values]

    def shaped(self, frame: pl.DataFrame, column: str = "prediction") -> FloatArray:
        """A column of predicted rows as an array in the form of the history."""
        return self.formed(self.array(frame, column))

    def formed(self, values: FloatArray) -> FloatArray:
        """(num_series, steps, num_targets) in the form of the history."""
        values = values[..., 0] if self.is_flat else values
        return values if self.is_several else values[0]

    def array(self, frame: pl.DataFrame, column: str) -> FloatArray:
        """(num_series, steps, num_targets) a column of predicted rows."""
        steps = frame["step"].n_unique()
        values: FloatArray = frame[column].to_numpy().reshape(-1, steps, self.num_targets)
        if len(values) != self.num_series:
            raise InputError(
                f"{self.num_series - len(values)} of {self.num_series} series are too short to be forecast. "
                f"Expected longer ones. Leave the short ones out, or fit with a smaller window."
            )
        return values


def history_of(X: object, y: object, options: Request | None, allow_gaps: bool) -> History:
    """What fit, predict and update are given; InputError for arrays that do not fit together."""
    check_options(options)
    known = () if options is None else options.known_future
    if y is None and options is not None and options.targets and options.targets[0]:
        frame = frame_in_memory(X).frame
        return History(frame, is_frame=True, known=known, num_features=frame.width, num_targets=len(options.targets))
    series, is_flat, is_several = series_in(X if y is None else y, allow_gaps)
    columns = {f"y{i}": pl.Series(series.values[:, i], nan_to_null=True) for i in range(series.values.shape[1])}
    covariates = 0
    if y is not None:
        others, _, _ = series_in(X, allow_gaps)
        if others.lengths.tolist() != series.lengths.tolist():
            raise InputError(
                f"X has {others.lengths.tolist()[:5]} steps and y has {series.lengths.tolist()[:5]}: inconsistent numbers of "
                f"samples. Expected covariates for each step of the series. Cut them to the same steps."
            )
        covariates = others.values.shape[1]
        columns |= {f"x{i}": pl.Series(others.values[:, i], nan_to_null=True) for i in range(covariates)}
    if is_several:
        columns[SERIES] = pl.Series(np.repeat(np.arange(len(series)), series.lengths))
    return History(
        frame=pl.DataFrame(columns),
        num_targets=series.values.shape[1],
        num_covariates=covariates,
        num_series=len(series),
        num_features=covariates or series.values.shape[1],
        is_flat=is_flat,
        is_several=is_several,
        known=known,
    )


def series_in(given: Any, allow_gaps: bool) -> tuple[Sequences, bool, bool]:
    """The series, whether they were given without an axis for their columns, and whether as several."""
    if isinstance(given, Ragged):
        found, is_flat, is_several = from_ragged(given), given.values.dim() == 1, True
    elif isinstance(given, Sequence) and len(given) and np.ndim(given[0]) > 0:
        found, is_flat, is_several = from_several(given), all(np.ndim(item) == 1 for item in given), True
    else:
        array = np.asarray(given)
        if array.ndim not in (1, 2, 3):
            raise InputError(
                f"The series have {array.ndim} axes, shape {array.shape}; expected (steps,), (steps, targets), or several "
                f"series as a list of those. Reshape them."
            )
        is_flat, is_several = array.ndim == 1, array.ndim == 3
        found = from_several(array if is_several else [array])
    check_numbers(found, allow_gaps)
    return found, is_flat, is_several
