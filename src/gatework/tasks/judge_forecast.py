"""How a forecast is judged: what is true, its errors, when it begins, its predictions as a table."""

import numpy as np
import polars as pl

from gatework.data.prepared import Prepared
from gatework.data.samples import ForecastSamples
from gatework.data.series import Rows, listed, picked
from gatework.tasks.metrics import Measured, best_simple, follows, measure_forecast, moved_from, seasonal_change
from gatework.tasks.metrics.scores import Array, BoolArray, IntArray
from gatework.tasks.task import Answer, Case

SIMPLE = ("last value", "seasonal naive", "climatology")
"""The baselines that skill is measured against."""


def samples_of(case: Case) -> tuple[ForecastSamples, ForecastSamples]:
    """The training and the judged windows of a forecast's case."""
    assert isinstance(case.train, ForecastSamples)
    assert isinstance(case.judged, ForecastSamples)
    return case.train, case.judged


def truth_of(samples: ForecastSamples) -> Array:
    """(n, horizon, num_targets) in the units of the data, NaN where unobserved."""
    rows = samples.origin[:, None] + np.arange(samples.horizon)
    truth: Array = samples.prepared.raw_targets[rows]
    return truth


def train_rows(case: Case) -> BoolArray:
    """(total_steps,) whether each step of the training data belongs to the training part."""
    train, _ = samples_of(case)
    rows: BoolArray = case.split.rows_of("train")[train.prepared.rows]
    return rows


def series_in_training(case: Case) -> IntArray:
    """(num_sequences,) for each series of the judged data its number in the training data, −1 when it is not there."""
    train, judged = samples_of(case)
    place = {name: number for number, name in enumerate(train.prepared.ids)}
    return np.array([place.get(name, -1) for name in judged.prepared.ids], dtype=np.int64)


def errors(case: Case, answers: list[Answer]) -> list[Measured]:
    """The errors of each answer; skill is measured against the best of the simple baselines."""
    train, judged = samples_of(case)
    raw, is_train = train.prepared.raw_targets, train_rows(case)
    truth = truth_of(judged)
    scales = np.nanstd(raw[is_train], axis=0)
    scales = np.where(scales > 0, scales, 1.0)
    simple = {answer.name: answer.values for answer in answers if answer.name in SIMPLE}
    reference = simple[best_simple(truth, simple, scales)]
    mase_scale = mase_scales(case)[0][judged.sequence]
    return [
        measure_forecast(
            truth if answer.answered is None else np.where(answer.answered[:, None, None], truth, np.nan),
            answer.values,
            targets=judged.prepared.target_names,
            scales=scales,
            mase_scale=mase_scale,
            reference=reference,
            target_units=case.target_units,
        )
        for answer in answers
    ]


def mase_scales(case: Case) -> tuple[Array, IntArray]:
    """What MASE divides by in each series of the judged data; and the series whose scale is not from training.

    (num_sequences, num_targets), `seasonal_change` of the training part. A series that training does not know is measured by its
    own rows before its first judged forecast, and has NaN without a pair of them; one that repeats itself exactly has NaN.
    """
    train, judged = samples_of(case)
    known = seasonal_change(train.prepared.raw_targets, train.prepared.offsets, train_rows(case), case.period)
    # a series that is not in the training data has the number −1: the last row
    known = np.concatenate([known, np.full((1, known.shape[1]), np.nan)])[series_in_training(case)]
    prepared, rows = judged.prepared, Rows(judged.prepared.offsets)
    first = np.zeros(len(rows.lengths), dtype=np.int64)
    first[judged.sequence[::-1]] = judged.origin[::-1]
    before = np.arange(rows.total_steps) < first[rows.sequence]
    own = seasonal_change(prepared.raw_targets, prepared.offsets, before, case.period)
    scale = np.where(np.isnan(known), own, known)
    unknown = np.flatnonzero(np.isnan(known).any(axis=1) & (first > 0))
    return np.where(scale > 0, scale, np.nan), unknown


def mase_notes(case: Case) -> tuple[str, ...]:
    """Which series MASE measures by another past than that of training, and which it leaves out for want of any."""
    _, judged = samples_of(case)
    scale, unknown = mase_scales(case)
    is_left_out = np.isnan(scale[unknown]).any(axis=1)
    own, out = ([judged.prepared.ids[i] for i in unknown[chosen]] for chosen in (~is_left_out, is_left_out))
    season = f"a season ({case.period} steps)" if case.period > 1 else "a step"
    notes = []
    if own:
        notes.append(
            f"MASE of {len(own)} series that training does not know is measured by their own steps before their first judged "
            f"forecast: {listed(own)}."
        )
    if out:
        notes.append(
            f"MASE leaves out {len(out)} series: training does not know how far they move over {season}, and they have too few "
            f"steps before their first judged forecast, or repeat themselves there: {listed(out)}."
        )
    return tuple(notes)


def moved_from_last(case: Case, model: Answer, last: Answer) -> float | None:
    """How far the model moves from the last value, as a share of how far the truth does; None when the truth never moves."""
    _, judged = samples_of(case)
    return moved_from(truth_of(judged), model.values, last.values)


def follows_last(case: Case, model: Answer, last: Answer) -> tuple[float, float] | None:
    """How closely the forecasts follow the last value and the truth: see `metrics.follows`."""
    _, judged = samples_of(case)
    return follows(truth_of(judged), model.values, last.values, judged.sequence)


def origin_clock(case: Case) -> IntArray:
    """`forecast_clock` of the judged windows."""
    return forecast_clock(samples_of(case)[1])


def forecast_clock(judged: ForecastSamples) -> IntArray:
    """When each window's forecast begins, in typical steps since the first; the place in the series where there is no clock."""
    times = judged.prepared.times
    if not times.dtype.is_temporal():
        return np.asarray(judged.origin - judged.prepared.offsets[judged.sequence])
    seconds = times.dt.epoch("us").to_numpy() / 1e6
    gaps = np.diff(seconds)
    step_s = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 1.0
    clock: IntArray = np.round((seconds[judged.origin] - seconds[judged.origin].min()) / step_s).astype(np.int64)
    return clock


def stamp_texts(times: pl.Series) -> list[str]:
    """Time stamps as ISO texts, with fractions of a second only where there are any; orders as numbers."""
    if times.dtype == pl.Datetime:
        return times.dt.to_string("iso:strict").str.replace(r"\.0+([^0-9]|$)", "$1").to_list()
    return [str(item) for item in times.to_list()]


def prediction_rows(prepared: Prepared, samples: ForecastSamples, values: np.ndarray) -> pl.DataFrame:
    """One row per sample, step and target.

    series, forecast_from (the last stamp that was seen), time, step, target, truth (null when unknown), prediction.
    """
    num_samples, horizon, num_targets = values.shape
    per_sample, per_step = horizon * num_targets, num_targets
    rows = (samples.origin[:, None] + np.arange(horizon)).ravel()
    truth = prepared.raw_targets[rows].ravel()
    ids, targets = pl.Series(prepared.ids, dtype=pl.String), pl.Series(prepared.target_names, dtype=pl.String)
    return pl.DataFrame(
        {
            "series": picked(ids, np.repeat(samples.sequence, per_sample)),
            "forecast_from": prepared.times[np.repeat(samples.origin - 1, per_sample)],
            "time": prepared.times[np.repeat(rows, per_step)],
            "step": np.tile(np.repeat(np.arange(1, horizon + 1), num_targets), num_samples),
            "target": picked(targets, np.tile(np.arange(num_targets), num_samples * horizon)),
            "truth": pl.Series(truth, nan_to_null=True),
            "prediction": values.astype(np.float64).ravel(),
        }
    )
