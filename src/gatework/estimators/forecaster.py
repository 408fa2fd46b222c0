"""Forecaster: the next steps of one or many series."""

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from gatework.data.layout import build_table
from gatework.data.series import has_clock, table_rows
from gatework.data.split import PARTS, Split
from gatework.data.table import Table
from gatework.errors import ConfigError, DataError, InputError
from gatework.estimators.arrays import allows_gaps
from gatework.estimators.base import SequenceEstimator
from gatework.estimators.coverage import check_coverage
from gatework.estimators.following import Following, moved
from gatework.estimators.history import History, history_of
from gatework.evaluate import Predictor
from gatework.model import TrainedModel
from gatework.runs import Plan, SplitRecord
from gatework.tasks.conformal import MEMORY
from gatework.tasks.ranges import percent
from gatework.train import Request
from gatework.train.planning import divide, plan_table

FloatArray = npt.NDArray[np.float64]

VALIDATION_SHARE = 0.15
"""Of the time given to fit, its end, for the moment at which training stops."""


class Forecaster(RegressorMixin, SequenceEstimator):  # type: ignore[misc]
    """The next `horizon` steps of every series, by recurrent layers.

    horizon, window: in steps; None: inferred. cell, hidden_size, epochs: as in Classifier. random_state: of everything random.
    options: any other option of a training, as a Request; of a data frame, its target, time and series columns stand there, and
    which covariates are known in advance. out: a folder for the run, which is then kept on disk.
    n_features_in_: columns of the X given to fit. n_iter_: epochs. run_: see `out`.
    """

    def __init__(
        self,
        *,
        horizon: int | None = None,
        window: int | None = None,
        cell: str = "lstm",
        hidden_size: int | None = None,
        epochs: int | None = None,
        random_state: object = 0,
        options: Request | None = None,
        out: str | Path | None = None,
    ):
        self.horizon = horizon
        self.window = window
        self.cell = cell
        self.hidden_size = hidden_size
        self.epochs = epochs
        self.random_state = random_state
        self.options = options
        self.out = out

    def fit(self, X: object, y: object = None) -> Self:
        """Train on the past.

        X: the series themselves when y is None, else their covariates. A series is (steps,) or (steps, targets), several are a
            list of such arrays, all with the same columns; or a data frame with a row a step.
        y: the series, in the same form, where X holds covariates. These are named x0, x1, …: known in advance are those that
            `options=Request(known_future=("x0",))` names.
        Raises InputError (a ValueError) for arrays that do not fit together or NaN; DataError for series that are too short.
        """
        history = history_of(X, y, self.options, allows_gaps(self.options))
        request = self.request(task="forecast", **history.wishes())
        plan, table = plan_table(history.frame, request)
        self.n_features_in_ = history.num_features
        self._history = history
        split = last_validates(table, plan, request)
        self.train(plan, divide(plan, table, split, parts=("train", "validation")), plan.data)
        self.horizon_ = plan.horizon
        self._following: Following | None = None
        self.carries_state_: bool | None = None
        self._history = history.numbered().end(self._kept_steps(plan))
        return self

    def predict(self, X: object = None, y: object = None, horizon: int | None = None) -> Any:
        """The steps after the end of the series: those of fit (and update), or of a new history.

        Without arguments: after what was fitted. y, or X where fit had no covariates: a new history in the form of fit.
        X beside no y, where fit had covariates: those that are known in advance, (horizon, covariates).
        horizon: steps ahead; another one than in fit needs `options=Request(decoder="recursive", linear_steps=0)`.
        Returns (horizon,) or (horizon, targets), one below the other (num_series, …) for several series; for a data frame, a
        polars frame with a row for each series, step and target.
        """
        predictor = self.predictor()
        carried = self._carried_forecast(X, y, horizon)
        if carried is not None:
            return self._history.formed(carried)
        history = self._history_given(X, y)
        frame = predictor.predict(history.frame, horizon=horizon).frame
        return frame if history.is_frame else history.shaped(frame)

    def predict_interval(self, X: object = None, y: object = None, *, coverage: float = 0.8, horizon: int | None = None) -> Any:
        """Between which values the steps after the end will lie, in `coverage` of cases; X, y, horizon: as for predict.

        Calibrated on the errors at the end of the time given to fit. coverage: 0.8 or 0.95, or one of
        `options=Request(intervals=…)`; what the network says of each value is `Request(output=…)`, how it is corrected
        `Request(calibrate=…)`: "adaptive" learns from the errors that the rows given to update have shown.
        Returns two arrays, lower and upper, each in the form of predict; where so few errors are known that a range has no end,
        -inf and inf. For a data frame, the frame of predict with the two columns of this coverage.
        Raises InputError where the fitted forecaster carries no such range, with the option that gives it.
        """
        predictor = self.predictor()
        sides = range_columns(predictor.trained, coverage, horizon)
        history = self._history_given(X, y)
        frame = predictor.predict(history.frame, horizon=horizon).frame
        if history.is_frame:
            return frame.select(name for name in frame.columns if name in sides or not name.startswith(("low ", "high ")))
        ends = [
            history.array(frame.with_columns(pl.col(name).fill_null(end)), name)
            for name, end in zip(sides, (-np.inf, np.inf), strict=True)
        ]
        carried = self._carried_forecast(X, y, horizon)
        if carried is not None:
            read = history.array(frame, "prediction")
            ends = [moved(predictor.trained, end, read, carried) for end in ends]
        lower, upper = (history.formed(end) for end in ends)
        return lower, upper

    def _carried_forecast(self, X: object, y: object, horizon: int | None) -> FloatArray | None:
        """(num_series, horizon, num_targets) after update; None where the history is read instead."""
        predictor, own = self.predictor(), self._history
        ahead = predictor.trained.plan.horizon
        is_own = y is None and (X is None or own.num_covariates > 0)
        if self._following is None or not is_own or horizon not in (None, ahead):
            return None
        known = own.known_rows(X)
        if len(known) != (ahead if own.known_names else 0):
            return None  # reading the history says what is missing
        return np.stack([live.forecast(known) for live in self._following.lives(predictor, own)])

    def _history_given(self, X: object, y: object) -> History:
        """What is forecast from: see predict."""
        own: History = self._history
        if X is None and y is None and own.known_names and not (own.is_frame or own.is_several):
            names = ", ".join(own.known_names)
            raise InputError(
                f"Nothing is said of the steps to come, and a forecast needs the covariates known in advance: {names}. "
                f"Expected one row for each step of the horizon. Give predict(X), X of shape (horizon, {own.num_covariates})."
            )
        if X is None and y is None:
            return own
        if y is None and own.num_covariates:
            return own.with_known(X)
        history = history_of(X, y, self.options, allows_gaps(self.options))
        own.check_like(history, type(self).__name__)
        return history

    def update(self, X: object, y: object = None) -> Self:
        """Further steps of the series, in the form of fit: the next forecast begins after them. Nothing is trained.

        The first update reads the last window; from then on each step is read once, as it comes, and predict and predict_interval
        without a history of their own go on from there. `carries_state_` says how:

        True: the state of the network is carried. The forecast is that of one window, which was the last one of fit and has grown
            since; of the last window alone, as predict(X) reads it, it differs by what the network remembers from before.
        False: the network does not read every step by itself on one scale (`normalise`, `segment`, `channels`, `decoder` or
            `output` of its own). The last window is kept and read for each forecast, with the numbers of predict(X).
        None: nothing is followed, and the end of the history is read again: for data frames, whose forecasts have time stamps
            and ranges; for models that read how long ago something was (gaps with `missing="decay"`, cells such as t_lstm); and
            while a series is shorter than the window.

        Another horizon than that of fit is always read from the history.
        """
        predictor = self.predictor()
        more = history_of(X, y, self.options, allows_gaps(self.options))
        self._history.check_like(more, type(self).__name__)
        joined = self._history.followed_by(more)
        if more.is_frame:
            build_table(joined.frame, predictor.trained.plan.data)  # rows that do not fit are refused before they are kept
        else:
            self._history.check_same_series(more)
            self._follow(predictor, more)
        self._history = joined.end(self._kept_steps(predictor.trained.plan))
        return self

    def _follow(self, predictor: Predictor, more: History) -> None:
        """Reads further steps; the last window before them where these are the first ones."""
        own: History = self._history
        if self._following is None and all(len(frame) >= predictor.trained.plan.window for frame in own.apart()):
            try:
                self._following = Following(predictor, own)
            except ConfigError:
                return  # a model that is not followed: predict reads the history again
        if self._following is None:
            return
        lives = self._following.lives(predictor, own)
        self.carries_state_ = lives[0].carries_state
        for live, frame in zip(lives, more.apart(), strict=True):
            for row in frame.iter_rows(named=True):
                live.update(row)

    @staticmethod
    def _kept_steps(plan: Plan) -> int:
        """Two windows, since gaps at the beginning of one are filled from before it; and the errors that ranges follow."""
        return 2 * plan.window + (MEMORY + plan.horizon if plan.ranges.calibrate == "adaptive" else 0)

    def score(self, X: object, y: object = None, sample_weight: object = None) -> float:
        """R² of the forecast of these steps, which follow what was fitted; X, y: in the form of fit.

        `cross_val_score(forecaster, series, cv=TimeSeriesSplit(test_size=horizon))` uses it: the horizon is the number of steps.
        """
        truth = np.asarray(X if y is None else y, dtype=np.float64)
        own: History = self._history
        known = X if y is not None and own.known else None
        steps = None if len(truth) == self.horizon_ else len(truth)
        predicted = self.predict(known, horizon=steps)
        if own.is_frame or own.num_series > 1:
            raise InputError(
                "score takes the steps of one series as an array. Expected that; for more use gatework.evaluate_run."
            )
        return float(r2_score(truth.reshape(len(truth), -1), predicted.reshape(len(truth), -1), sample_weight=sample_weight))


def range_columns(trained: TrainedModel, coverage: float, horizon: int | None) -> tuple[str, str]:
    """The names of the two ends of a range in a prediction; InputError where there are none."""
    plan = trained.plan
    check_coverage(trained, coverage)
    if horizon is not None and horizon > plan.horizon:
        raise InputError(
            f"horizon is {horizon}, and the forecaster was fitted for {plan.horizon} steps: beyond them no error was ever "
            f"measured. Expected a range of at most {plan.horizon} steps. Fit with horizon={horizon}."
        )
    return f"low {percent(coverage)}", f"high {percent(coverage)}"


def last_validates(table: Table, plan: Plan, request: Request) -> Split:
    """The end of the time validates, at least one horizon; what comes before trains, nothing tests."""
    share = VALIDATION_SHARE if request.validation_share is None else request.validation_share
    rows = table_rows(table)
    if has_clock(table):
        times = table.steps[table.time]
        distinct = times.unique().sort()
        count = max(plan.horizon, round(share * len(distinct)))
        is_late = (times >= distinct[max(0, len(distinct) - count)]).to_numpy()
    else:
        left = rows.end - np.arange(rows.total_steps)
        is_late = left <= np.maximum(plan.horizon, np.round(share * (rows.end - rows.start)))
    if is_late.all():
        longest = int(rows.lengths.max(initial=0))
        raise DataError(
            f"The series have {longest} steps, and the last {plan.horizon} of them, a whole horizon, are kept to find the best "
            f"epoch: nothing is left to train on. Expected several horizons. Fit with a smaller horizon, or on longer series."
        )
    steps = is_late.astype(np.int8)
    sequences = np.full(table.sequences.height, -1, dtype=np.int8)
    counts = {part: int((steps == code).sum()) for code, part in enumerate(PARTS)}
    return Split("time", steps, sequences, SplitRecord(kind="time", seed=plan.split.seed, counts=counts))
