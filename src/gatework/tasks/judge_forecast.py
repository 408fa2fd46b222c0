"""How a forecast is judged: its baselines, its errors, its figures, its predictions as a table."""

import numpy as np
import polars as pl

from gatework.data.prepared import Prepared
from gatework.data.samples import ForecastSamples
from gatework.data.series import Rows
from gatework.runs import Figure, Line, LinesFigure, ScatterFigure
from gatework.tasks.baselines import (
    Climatology,
    last_value,
    position_keys,
    ridge_window,
    season_keys,
    seasonal_naive,
    training_mean,
)
from gatework.tasks.metrics import Measured, best_simple, mae_by_horizon, measure_forecast, moved_from, seasonal_scale
from gatework.tasks.metrics.scores import Array, BoolArray, IntArray
from gatework.tasks.task import Answer, Case

SIMPLE = ("last value", "seasonal naive", "climatology")
RIDGE_BATCH = 1024
NUM_EXAMPLES = 3
MAX_POINTS = 400
"""Points of a scatter figure: more hide each other."""


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


def errors(case: Case, answers: list[Answer]) -> list[Measured]:
    """The errors of each answer; skill is measured against the best of the simple baselines."""
    train, judged = samples_of(case)
    raw, is_train = train.prepared.raw_targets, train_rows(case)
    truth = truth_of(judged)
    scales = np.nanstd(raw[is_train], axis=0)
    scales = np.where(scales > 0, scales, 1.0)
    simple = {answer.name: answer.values for answer in answers if answer.name in SIMPLE}
    reference = simple[best_simple(truth, simple, scales)]
    by_series = seasonal_scale(raw, train.prepared.offsets, is_train, case.period)
    usual = np.nanmean(by_series, axis=0, keepdims=True) if np.isfinite(by_series).any() else by_series[:1]
    # a series that training never saw has the number −1: the last row
    mase_scale = np.concatenate([by_series, usual])[series_in_training(case)[judged.sequence]]
    return [
        measure_forecast(
            truth,
            answer.values,
            targets=judged.prepared.target_names,
            scales=scales,
            mase_scale=mase_scale,
            reference=reference,
            target_units=case.target_units,
        )
        for answer in answers
    ]


def moved_from_last(case: Case, model: Answer, last: Answer) -> float | None:
    """How far the model moves from the last value, as a share of how far the truth does; None when the truth never moves."""
    _, judged = samples_of(case)
    return moved_from(truth_of(judged), model.values, last.values)


def origin_clock(case: Case) -> IntArray:
    """When each window's forecast begins, in typical steps since the first; the place in the series where there is no clock."""
    _, judged = samples_of(case)
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


def forecast_figures(case: Case, answers: list[Answer]) -> tuple[Figure, ...]:
    """Examples of forecasts, the error at each step ahead, predictions against truth; of the first target."""
    _, judged = samples_of(case)
    truth = truth_of(judged)
    return (*examples(case, judged, truth, answers), horizon_figure(case, truth, answers), scatter(case, truth, answers[0]))


def label(case: Case) -> str:
    """The first target with its unit."""
    unit = case.target_units[0] if case.target_units else ""
    name = case.judged.prepared.target_names[0]
    return f"{name} ({unit})" if unit else name


def examples(case: Case, judged: ForecastSamples, truth: np.ndarray, answers: list[Answer]) -> list[LinesFigure]:
    """Windows at fixed places of the judged part, chosen without looking at the error: at 1/6, 3/6, 5/6 of it."""
    places = sorted({int(len(judged) * (2 * number + 1) / (2 * NUM_EXAMPLES)) for number in range(NUM_EXAMPLES)})
    shown = min(judged.window, 3 * judged.horizon)
    prepared = judged.prepared
    figures = []
    for number, place in enumerate(places, start=1):
        origin = int(judged.origin[place])
        rows = np.arange(origin - shown, origin + judged.horizon)
        stamps = stamp_texts(prepared.times.gather(rows))
        lines = [
            Line(name="past", style="history", y=texts(prepared.raw_targets[rows[:shown], 0], after=judged.horizon)),
            Line(name="truth", style="truth", y=texts(truth[place, :, 0], before=shown)),
            Line(name=answers[0].name, style="prediction", y=texts(answers[0].values[place, :, 0], before=shown)),
        ]
        lines += [
            Line(name=answer.name, style="baseline", y=texts(answer.values[place, :, 0], before=shown))
            for answer in answers[1:]
            if answer.name == "ridge on the window"
        ]
        figures.append(
            LinesFigure(
                name=f"example-{number}",
                title=f"Forecast made at {stamps[shown - 1]}",
                caption=example_caption(judged, place, shown),
                x_label="time" if prepared.times.dtype.is_temporal() else "step",
                y_label=label(case),
                x=tuple(stamps) if prepared.times.dtype.is_temporal() else tuple(float(item) for item in stamps),
                lines=tuple(lines),
            )
        )
    return figures


def example_caption(judged: ForecastSamples, place: int, shown: int) -> str:
    """What is shown: how much of the window, how far ahead, and of which series."""
    window, horizon = judged.window, judged.horizon
    past = counted(window, "step") if shown == window else f"last {shown} of the {counted(window, 'step')}"
    ids = judged.prepared.ids
    of_series = f" of series {ids[int(judged.sequence[place])]}" if len(ids) > 1 else ""
    return f"The {past}{of_series} that the forecast is made from, then the {counted(horizon, 'step')} that it predicts."


def counted(number: int, noun: str) -> str:
    """A count with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def texts(values: np.ndarray, before: int = 0, after: int = 0) -> tuple[float | None, ...]:
    """Numbers for a line, None where there is none, padded to its axis."""
    inner = [float(value) if np.isfinite(value) else None for value in values]
    return (*[None] * before, *inner, *[None] * after)


def horizon_figure(case: Case, truth: np.ndarray, answers: list[Answer]) -> LinesFigure:
    """Mean absolute error at each step ahead, for the model and every baseline."""
    lines = tuple(
        Line(
            name=answer.name,
            style="prediction" if answer is answers[0] else "baseline",
            y=texts(mae_by_horizon(truth, answer.values)[:, 0]),
        )
        for answer in answers
    )
    return LinesFigure(
        name="error-by-horizon",
        title="Error at each step ahead",
        caption="Mean absolute error over all forecasts that are scored.",
        x_label="steps ahead",
        y_label=f"MAE of {label(case)}",
        x=tuple(float(step) for step in range(1, truth.shape[1] + 1)),
        lines=lines,
    )


def scatter(case: Case, truth: np.ndarray, model: Answer) -> ScatterFigure:
    """Predictions against truth, evenly spaced over the judged part."""
    observed = np.flatnonzero(np.isfinite(truth[..., 0]).ravel())
    chosen = observed[np.unique(np.linspace(0, len(observed) - 1, min(MAX_POINTS, len(observed))).astype(np.int64))]
    return ScatterFigure(
        name="prediction-against-truth",
        title="Prediction against truth",
        caption=f"{len(chosen)} of {counted(len(observed), 'predicted step')}, evenly spaced; on the diagonal the forecast "
        "is right.",
        x_label=f"truth, {label(case)}",
        y_label=f"prediction, {label(case)}",
        x=tuple(float(value) for value in truth[..., 0].ravel()[chosen]),
        y=tuple(float(value) for value in model.values[..., 0].ravel()[chosen]),
    )


def prediction_rows(prepared: Prepared, samples: ForecastSamples, values: np.ndarray) -> pl.DataFrame:
    """One row per sample, step and target.

    series, forecast_from (the last stamp that was seen), time, step, target, truth (null when unknown), prediction.
    """
    num_samples, horizon, num_targets = values.shape
    per_sample, per_step = horizon * num_targets, num_targets
    rows = (samples.origin[:, None] + np.arange(horizon)).ravel()
    truth = prepared.raw_targets[rows].ravel()
    ids = pl.Series("series", prepared.ids, dtype=pl.String)
    return pl.DataFrame(
        {
            "series": ids[np.repeat(samples.sequence, per_sample)],
            "forecast_from": prepared.times[np.repeat(samples.origin - 1, per_sample)],
            "time": prepared.times[np.repeat(rows, per_step)],
            "step": np.tile(np.repeat(np.arange(1, horizon + 1), num_targets), num_samples),
            "target": pl.Series(prepared.target_names, dtype=pl.String)[np.tile(np.arange(num_targets), num_samples * horizon)],
            "truth": pl.Series(truth, nan_to_null=True),
            "prediction": values.astype(np.float64).ravel(),
        }
    )
