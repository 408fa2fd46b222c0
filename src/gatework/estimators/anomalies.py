"""AnomalyDetector: the steps of one or many series that are unlike what was usual."""

from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.base import OutlierMixin

from gatework.data.split import PARTS, Split, make_split
from gatework.data.split_by_time import mark_by_boundaries, time_boundaries
from gatework.data.table import Table
from gatework.errors import InputError
from gatework.estimators.arrays import allows_gaps
from gatework.estimators.base import SequenceEstimator
from gatework.estimators.watched import Watched, is_frame, watched_in
from gatework.evaluate import Prediction
from gatework.evaluate.live_anomalies import LiveAnomalies, LiveDetector
from gatework.runs import SplitPlan, SplitRecord
from gatework.train import Request
from gatework.train.planning import divide, plan_table

FloatArray = npt.NDArray[np.float64]
MethodName = Literal["auto", "forecast", "reconstruction"]


class AnomalyDetector(OutlierMixin, SequenceEstimator):  # type: ignore[misc]
    """Which steps of a series are unlike what it usually does, by recurrent layers.

    method: "forecast", "reconstruction", or "auto": what the series suits. false_alarms: a budget, such as "0.001" of the steps,
    "1/1000 steps", or in a frame with a clock "1/week". window: in steps; None: inferred. hidden_size, epochs, random_state, out:
    as in Forecaster. options: any other option of a training, as a Request; of a data frame, its time and series columns stand
    there, and its target, where not every column that varies is watched.
    offset_: -1, the threshold on `score_samples`. method_, window_: what was taken. n_features_in_: channels, or columns of a
    frame. n_iter_: epochs. run_: see `out`.
    """

    def __init__(
        self,
        *,
        method: MethodName = "auto",
        false_alarms: str | float | None = None,
        window: int | None = None,
        hidden_size: int | None = None,
        epochs: int | None = None,
        random_state: object = 0,
        options: Request | None = None,
        out: str | Path | None = None,
    ):
        self.method = method
        self.false_alarms = false_alarms
        self.window = window
        self.hidden_size = hidden_size
        self.epochs = epochs
        self.random_state = random_state
        self.options = options
        self.out = out

    def fit(self, X: object, y: object = None) -> Self:
        """Train on series that are mostly normal; the end of their time sets the threshold.

        X: one series, (steps,) or (steps, channels); several, as a list of such arrays, an array (series, steps, channels) or a
            Ragged; or a data frame with a row a step. y: not used.
        Raises InputError (a ValueError) for arrays that do not fit together or NaN; DataError for too few steps; ConfigError for
        a budget that they cannot tell anything about.
        """
        if self.method not in get_args(MethodName):
            known = ", ".join(repr(name) for name in get_args(MethodName))
            raise InputError(f"method is {self.method!r}; expected one of {known}. Leave it out to have it chosen.")
        watched = watched_in(self, X, reset=True, allow_gaps=allows_gaps(self.options))
        plan, table = plan_table(watched.frame, self.request(task="anomaly", **watched.wishes()))
        split = end_validates(table, plan.split)
        self.train(plan, divide(plan, table, split, parts=("train", "validation")), plan.data)
        assert plan.anomaly is not None
        self.method_, self.window_, self.offset_ = plan.anomaly.method, plan.window, -1.0
        self._has_frame = watched.is_frame
        return self

    def score_samples(self, X: object) -> Any:
        """How normal each step is: minus its score in thresholds. About 0 at best; below -1 is an alarm.

        X: in the form of fit; each series is read from its start. A step without a score (the first ones of a forecast, one where
        nothing was observed) has 0: nothing speaks against it; `steps` tells which.
        Returns (steps,), of several series a list of such arrays, of a frame one number for each of its rows.
        Raises DataError where no step can be scored.
        """
        watched, found = self._found(X)
        return watched.shaped(self._normality(watched, found))

    def decision_function(self, X: object) -> Any:
        """`score_samples` minus `offset_`: below 0 is an alarm."""
        watched, found = self._found(X)
        return watched.shaped(self._normality(watched, found) - self.offset_)

    def predict(self, X: object) -> Any:
        """-1 for each step that is an alarm, 1 for every other one, in the form of `score_samples`."""
        watched, found = self._found(X)
        return watched.shaped(np.where(self._normality(watched, found) < self.offset_, -1, 1))

    def ranges(self, X: object) -> pl.DataFrame:
        """The alarms of X, close ones as one: series, start, end, steps, peak score, the channel that made most of it, what was
        seen and expected there, and the explanation in words.
        """
        _, found = self._found(X)
        return found.frame

    def steps(self, X: object) -> pl.DataFrame:
        """One row for each step, sorted by series and time: its score in thresholds (null where there is none), whether it is in
        a range, and for each channel what it contributed and what was expected.
        """
        _, found = self._found(X)
        assert found.steps is not None
        return found.steps

    def stream(self) -> "DetectorStream":
        """One series whose steps come in, from its first one: `update(X)` scores them as they come."""
        return DetectorStream(self, self.predictor().detector())

    def _found(self, X: object) -> tuple[Watched, Prediction]:
        predictor = self.predictor()  # NotFittedError before fit
        watched = self._watched(X)
        return watched, predictor.predict(watched.frame)

    def _watched(self, X: object) -> Watched:
        if is_frame(X) != self._has_frame:
            named = ("a data frame", "arrays")
            raise InputError(
                f"X is given as {named[self._has_frame]}, and fit had {named[not self._has_frame]}. Expected the same in both, "
                f"since columns are known by their names. Give X as in fit, or fit again."
            )
        return watched_in(self, X, reset=False, allow_gaps=allows_gaps(self.options))

    def _normality(self, watched: Watched, found: Prediction) -> FloatArray:
        """(rows,) see `score_samples`."""
        assert found.steps is not None
        scores = watched.one_each(found.steps, "score", self.predictor().trained.plan.data)
        return -np.nan_to_num(scores, nan=0.0)


class DetectorStream:
    """One series, followed from its first step. delay: so many steps must follow a step before it is scored."""

    def __init__(self, detector: AnomalyDetector, live: LiveDetector):
        self._detector, self._live, self.delay = detector, live, live.delay

    def update(self, X: object) -> LiveAnomalies:
        """The next steps, one or many, in the form of fit; what is known by now: `steps` with their scores, the ranges that were
        `closed`, and the `open` one.

        The scores are those of `steps(X)` for the whole series. Raises InputError for several series.
        """
        watched = self._detector._watched(X)
        if len(watched.lengths) > 1:
            raise InputError(
                f"X has {len(watched.lengths)} series, and a stream follows one. Expected (steps, channels). "
                f"Make a stream for each series."
            )
        return self._live.update(watched.frame)

    def end(self) -> LiveAnomalies:
        """What there would still be to say if the series ended here; changes nothing. See `LiveDetector.end`."""
        return self._live.end()


def end_validates(table: Table, plan: SplitPlan) -> Split:
    """The end of the time validates, what comes before trains, nothing tests: that is for whoever holds it back from fit.

    A division that stands in the data is kept.
    """
    if plan.kind != "time":
        return make_split(table, plan)
    every = np.ones(table.steps.height, dtype=bool)
    boundaries = time_boundaries(table, every, plan.validation, 0.0)
    steps = mark_by_boundaries(table, every, boundaries)
    counts = {part: int((steps == code).sum()) for code, part in enumerate(PARTS)}
    sequences = np.full(table.sequences.height, -1, dtype=np.int8)
    return Split("time", steps, sequences, SplitRecord(kind="time", seed=plan.seed, boundaries=boundaries, counts=counts))
