"""What simple methods say of the windows of a forecast, fitted on the training part."""

import numpy as np
import polars as pl

from gatework.data.prepared import Prepared
from gatework.data.samples import Batch, ForecastSamples
from gatework.data.series import Rows
from gatework.tasks.baselines import (
    CLASSICAL,
    Climatology,
    carried,
    classical_forecasts,
    drift,
    fit_dlinear,
    last_value,
    position_keys,
    ridge_window,
    season_keys,
    seasonal_naive,
    training_mean,
)
from gatework.tasks.judge_forecast import SIMPLE, samples_of, series_in_training, train_rows
from gatework.tasks.metrics.scores import Array, IntArray
from gatework.tasks.task import Answer, Case

RIDGE_BATCH = 1024


def baseline_answers(case: Case) -> list[Answer]:
    """Last value, seasonal naive (where a season is known), climatology, drift, DLinear, and ridge on the model's own window."""
    train, judged = samples_of(case)
    raw, offsets, origin, horizon = judged.prepared.raw_targets, judged.prepared.offsets, judged.origin, judged.horizon
    fallback = training_mean(train.prepared.raw_targets, train_rows(case))
    answers = [Answer(SIMPLE[0], "The last observed value, repeated.", last_value(raw, offsets, origin, horizon, fallback))]
    if case.period > 1:
        values = seasonal_naive(raw, offsets, origin, horizon, case.period, fallback)
        answers.append(Answer(SIMPLE[1], f"The value one season ({case.period} steps) earlier.", values))
    answers.append(climatology_answer(case, train, judged))
    line = "The line through the first and the last value of the series, continued."
    answers.append(Answer("drift", line, drift(raw, offsets, origin, horizon, fallback)))
    linear = (dlinear_answer(case, train, judged), ridge_answer(case, train, judged))
    return [*answers, *(answer for answer in linear if answer is not None)]


def classical_answers(case: Case) -> list[Answer]:
    """ETS, Theta and ARIMA at evenly spaced windows; MissingExtra when statsforecast is not installed."""
    _, judged = samples_of(case)
    filled = gapless(case, judged.prepared)
    answers = []
    for name in CLASSICAL:
        found = classical_forecasts(name, filled, judged.prepared.offsets, judged.origin, judged.horizon, case.period)
        number = int(found.answered.sum())
        where = "every window" if number == len(judged) else f"{number} of {len(judged)} windows, evenly spaced"
        words = f"Chosen and fitted afresh at {where}, on the last {found.history} steps before it (statsforecast)."
        answered = None if number == len(judged) else found.answered
        answers.append(Answer(name, words, found.values, answered))
    return answers


def gapless(case: Case, prepared: Prepared) -> Array:
    """(total_steps, num_targets) the targets, their gaps filled from the season before, the last value, the training mean."""
    train, _ = samples_of(case)
    fallback = training_mean(train.prepared.raw_targets, train_rows(case))
    filled = prepared.raw_targets
    for period in (max(case.period, 1), 1):
        filled = np.where(np.isnan(filled), carried(prepared.raw_targets, prepared.offsets, period), filled)
    return np.where(np.isnan(filled), fallback, filled)


def dlinear_answer(case: Case, train: ForecastSamples, judged: ForecastSamples) -> Answer | None:
    """DLinear on the targets' own past, a window of it; the first step of a shorter one stands for those before."""
    hidden = case.split.steps[train.prepared.rows] > 0  # behind them training may go on, as in folds
    past_of = {
        id(judged): scaled_past(case, judged.prepared.raw_targets, judged.prepared.offsets),
        id(train): scaled_past(case, np.where(hidden[:, None], np.nan, train.prepared.raw_targets), train.prepared.offsets),
    }

    def past(samples: ForecastSamples, index: np.ndarray) -> np.ndarray:
        start = samples.prepared.offsets[samples.sequence[index]]
        rows = np.maximum(samples.origin[index][:, None] + np.arange(-samples.window, 0), start[:, None])
        found: np.ndarray = past_of[id(samples)][rows]
        return found

    def windows(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        future = train.origin[index][:, None] + np.arange(train.horizon)
        return past(train, index), train.prepared.targets[future]

    fitted = fit_dlinear(windows, len(train), train.prepared.raw_targets.shape[1])
    if fitted is None:
        return None
    places = np.arange(len(judged))
    parts = [fitted.predict(past(judged, places[start : start + RIDGE_BATCH])) for start in range(0, len(judged), RIDGE_BATCH)]
    return Answer("DLinear", fitted.description, case.preparation.inverse_targets(np.concatenate(parts)))


def scaled_past(case: Case, raw: np.ndarray, offsets: IntArray) -> np.ndarray:
    """(total_steps, num_targets) float32: the targets on the model's scale, each gap filled with the value before it, or 0."""
    scaled = case.preparation.scale_targets(carried(raw, offsets))
    return np.nan_to_num(scaled, nan=0.0).astype(np.float32)


def climatology_answer(case: Case, train: ForecastSamples, judged: ForecastSamples) -> Answer:
    """The usual value for the season, learned from the training rows."""
    keys, words = keys_of(train.prepared, case.period)
    fitted = Climatology.fit(train.prepared.raw_targets, keys, Rows(train.prepared.offsets).sequence, train_rows(case))
    asked, _ = keys_of(judged.prepared, case.period)
    usual = fitted.predict(asked, series_in_training(case)[Rows(judged.prepared.offsets).sequence])
    values = usual[judged.origin[:, None] + np.arange(judged.horizon)]
    return Answer(SIMPLE[2], f"The training mean at {words}, per series.", values)


def keys_of(prepared: Prepared, period: int) -> tuple[IntArray, str]:
    """The place of each step in its season."""
    times = prepared.times
    if times.dtype.is_temporal():
        local = times.dt.replace_time_zone(None) if getattr(times.dtype, "time_zone", None) else times
        return season_keys(local.cast(pl.Datetime("us")).to_numpy())
    return position_keys(prepared.offsets, period)


def filled_windows(batch: Batch, window: int) -> np.ndarray:
    """(n, window, input_size): the inputs of each window, its first step repeated in front where it is shorter."""
    begin, end = batch.inputs.offsets[:-1, None].numpy(), batch.inputs.offsets[1:, None].numpy()
    filled: np.ndarray = batch.inputs.values.numpy()[np.maximum(end + np.arange(-window, 0), begin)]
    return filled


def ridge_answer(case: Case, train: ForecastSamples, judged: ForecastSamples) -> Answer | None:
    """Ridge on the window, in the units of the data; the first step of a shorter one stands for those before."""

    def windows(index: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        batch = train.batch(index)
        count = len(index)
        # on the scale of the preparation, whatever scale the network forecasts on
        targets = train.prepared.targets[train.origin[index][:, None] + np.arange(train.horizon)].reshape(count, -1)
        return filled_windows(batch, train.window), batch.future.reshape(count, -1).numpy(), targets

    fitted = ridge_window(windows, len(train))
    if fitted is None:
        return None
    parts = []
    for start in range(0, len(judged), RIDGE_BATCH):
        batch = judged.batch(np.arange(start, min(start + RIDGE_BATCH, len(judged))))
        count = len(batch.index)
        parts.append(fitted.predict(filled_windows(batch, judged.window), batch.future.reshape(count, -1).numpy()))
    scaled = np.concatenate(parts).reshape(len(judged), judged.horizon, -1)
    return Answer("ridge on the window", fitted.description, case.preparation.inverse_targets(scaled))
