"""What simple methods say of the windows of a forecast, fitted on the training part."""

import numpy as np
import polars as pl

from gatework.data.prepared import Prepared
from gatework.data.samples import ForecastSamples
from gatework.data.series import Rows
from gatework.tasks.baselines import (
    Climatology,
    last_value,
    position_keys,
    ridge_window,
    season_keys,
    seasonal_naive,
    training_mean,
)
from gatework.tasks.judge_forecast import SIMPLE, samples_of, series_in_training, train_rows
from gatework.tasks.metrics.scores import IntArray
from gatework.tasks.task import Answer, Case

RIDGE_BATCH = 1024


def baseline_answers(case: Case) -> list[Answer]:
    """Last value, seasonal naive (where a season is known), climatology and ridge on the model's own window."""
    train, judged = samples_of(case)
    raw, offsets, origin, horizon = judged.prepared.raw_targets, judged.prepared.offsets, judged.origin, judged.horizon
    fallback = training_mean(train.prepared.raw_targets, train_rows(case))
    answers = [Answer(SIMPLE[0], "The last observed value, repeated.", last_value(raw, offsets, origin, horizon, fallback))]
    if case.period > 1:
        values = seasonal_naive(raw, offsets, origin, horizon, case.period, fallback)
        answers.append(Answer(SIMPLE[1], f"The value one season ({case.period} steps) earlier.", values))
    answers.append(climatology_answer(case, train, judged))
    ridge = ridge_answer(case, train, judged)
    return [*answers, ridge] if ridge is not None else answers


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


def ridge_answer(case: Case, train: ForecastSamples, judged: ForecastSamples) -> Answer | None:
    """Ridge on the window, in the units of the data."""

    def windows(index: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        batch = train.batch(index)
        count = len(index)
        targets = batch.targets.masked_fill(~batch.observed, float("nan")).reshape(count, -1).numpy()
        return batch.inputs.values.reshape(count, train.window, -1).numpy(), batch.future.reshape(count, -1).numpy(), targets

    fitted = ridge_window(windows, len(train))
    if fitted is None:
        return None
    parts = []
    for start in range(0, len(judged), RIDGE_BATCH):
        batch = judged.batch(np.arange(start, min(start + RIDGE_BATCH, len(judged))))
        count = len(batch.index)
        inputs = batch.inputs.values.reshape(count, judged.window, -1).numpy()
        parts.append(fitted.predict(inputs, batch.future.reshape(count, -1).numpy()))
    scaled = np.concatenate(parts).reshape(len(judged), judged.horizon, -1)
    return Answer("ridge on the window", fitted.description, case.preparation.inverse_targets(scaled))
