"""What a forecast leaves unexplained: when, how much, whether it repeats itself, and in which series."""

import math

import numpy as np

from gatework.data.samples import ForecastSamples
from gatework.runs import BarsFigure, DotsFigure, Figure, Line, LinesFigure
from gatework.tasks.judge_forecast import stamp_texts, truth_of
from gatework.tasks.metrics.scores import Array, BoolArray, IntArray, divide
from gatework.tasks.task import Answer

FEWEST = 30
"""Residuals below which neither their distribution nor their memory can be seen."""
MOST_LAGS = 48
MOST_POINTS = 400
NUM_BARS = 31
MOST_SERIES = 20


def residual_figures(judged: ForecastSamples, model: Answer, period: int, label: str) -> tuple[Figure, ...]:
    """Of the forecasts one step ahead of the first target: when they were wrong, by how much, and how long.

    label: the target with its unit. Nothing with fewer than FEWEST residuals.
    """
    residual = truth_of(judged)[:, 0, 0] - model.values[:, 0, 0]
    seen = np.isfinite(residual)
    if seen.sum() < FEWEST or np.ptp(residual[seen]) == 0:
        return ()
    correlations = autocorrelation(judged, residual, min(MOST_LAGS, max(24, 2 * period)))
    memory = (memory_figure(correlations, int(seen.sum()), label),) if len(correlations) else ()
    return (over_time(judged, model, residual, seen, label), histogram(residual[seen], label), *memory)


def over_time(judged: ForecastSamples, model: Answer, residual: Array, seen: BoolArray, label: str) -> LinesFigure:
    """The mean residual of each moment, all series together; of neighbouring moments where there are many."""
    prepared, rows = judged.prepared, judged.origin[seen]
    is_time = prepared.times.dtype.is_temporal()
    stamp = prepared.times.gather(rows).to_numpy() if is_time else rows - prepared.offsets[judged.sequence[seen]]
    moments, place = np.unique(stamp, return_inverse=True)
    groups = np.minimum(place * MOST_POINTS // len(moments), MOST_POINTS - 1) if len(moments) > MOST_POINTS else place
    present = np.unique(groups, return_inverse=True)[1]
    means = np.bincount(present, residual[seen]) / np.bincount(present)
    stamps = stamp_texts(prepared.times.gather(rows[_earliest(stamp, present)]))
    several = " (the mean where a point holds several)" if len(means) < len(rows) else ""
    return LinesFigure(
        name="residuals-over-time",
        title="What is left over time, one step ahead",
        caption=f"Truth minus prediction{several}. It should scatter evenly around 0: a stretch on one side of it is a level "
        "that the model does not follow, a growing scatter is a time that it does not know.",
        x_label="time" if is_time else "step",
        y_label=f"truth − prediction, {label}",
        x=tuple(stamps) if is_time else tuple(float(value) for value in stamp[_earliest(stamp, present)]),
        lines=(
            Line(name="zero", style="history", y=(0.0,) * len(means)),
            Line(name=model.name, y=tuple(float(value) for value in means)),
        ),
    )


def _earliest(stamp: np.ndarray, group: IntArray) -> IntArray:
    """The place of the earliest stamp of each group."""
    order = np.argsort(stamp, kind="stable")
    found: IntArray = order[np.unique(group[order], return_index=True)[1]]
    return found


def histogram(residual: Array, label: str) -> BarsFigure:
    """The distribution of the residuals beside a normal one of the same mean and deviation."""
    mean, deviation = float(residual.mean()), float(residual.std())
    low, high = np.quantile(residual, [0.002, 0.998])
    edges = np.linspace(min(low, mean - 3 * deviation), max(high, mean + 3 * deviation), NUM_BARS + 1)
    inside = np.clip(residual, edges[0], edges[-1])
    share = np.histogram(inside, edges)[0] / len(residual)
    width = float(edges[1] - edges[0])
    grid = np.linspace(edges[0], edges[-1], 121)
    height = width * np.exp(-(((grid - mean) / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))
    middle = (edges[1:] + edges[:-1]) / 2
    return BarsFigure(
        name="residuals-distribution",
        title="How large what is left is, one step ahead",
        caption="Truth minus prediction; the curve is the normal distribution of the same mean and deviation. A middle away from "
        "0 is a bias, bars far outside the curve are misses that a normal distribution does not know. The outermost bars hold "
        "all beyond.",
        x_label=f"truth − prediction, {label}",
        y_label="share of the forecasts",
        x=tuple(float(value) for value in middle),
        y=tuple(float(value) for value in share),
        width=width,
        curve=tuple((float(x), float(y)) for x, y in zip(grid, height, strict=True)),
        curve_name="normal distribution",
    )


def autocorrelation(judged: ForecastSamples, residual: Array, most_lags: int) -> Array:
    """(lags,) the correlation of the residuals with those so many steps earlier in the same series; empty without neighbours."""
    at_row = np.full(len(judged.prepared.raw_targets), np.nan)
    at_row[judged.origin] = residual - np.nanmean(residual)
    variance = float(np.nanmean(at_row**2))
    sequence = np.repeat(np.arange(len(judged.prepared.ids)), np.diff(judged.prepared.offsets))
    found = []
    for lag in range(1, most_lags + 1):
        pairs = np.where(sequence[lag:] == sequence[:-lag], at_row[lag:] * at_row[:-lag], np.nan)
        if np.isfinite(pairs).sum() < FEWEST:
            break
        found.append(float(np.nanmean(pairs)) / variance)
    return np.array(found)


def memory_figure(correlations: Array, number: int, label: str) -> BarsFigure:
    """The autocorrelation with the limits that white noise keeps in 95 of 100 lags."""
    limit = 1.96 / math.sqrt(number)
    outside = int((np.abs(correlations) > limit).sum())
    return BarsFigure(
        name="residuals-memory",
        title="Does what is left repeat itself?",
        caption=f"Correlation of the residuals one step ahead with those so many steps before. {outside} of {len(correlations)} "
        "lags are outside the range of white noise: a bar far outside is something that could still be learned from that lag.",
        x_label="lag, steps",
        y_label=f"autocorrelation of what is left of {label}",
        x=tuple(float(lag) for lag in range(1, len(correlations) + 1)),
        y=tuple(float(value) for value in correlations),
        width=0.8,
        limits=(-limit, limit),
        limits_name="95 % of white noise",
    )


def series_figure(judged: ForecastSamples, truth: Array, answers: list[Answer], label: str) -> DotsFigure | None:
    """The mean absolute error in each series, the worst first, of the model and the best baseline; None for a single series."""
    present = np.unique(judged.sequence)
    if len(present) < 2:
        return None
    whole = [answer for answer in answers[1:] if answer.answered is None]
    best = min(whole, key=lambda answer: float(np.nanmean(np.abs(truth - answer.values)[..., 0])), default=None)
    shown = [answers[0], *([best] if best is not None else [])]
    errors = {answer.name: _error_of(judged, truth, answer) for answer in shown}
    ours = errors[answers[0].name]
    known = np.flatnonzero(np.isfinite(ours))
    order = known[np.argsort(-ours[known], kind="stable")][:MOST_SERIES]
    if len(order) < 2:
        return None
    ids = judged.prepared.ids
    many = f"The {len(order)} worst of {len(known)} series" if len(known) > len(order) else f"All {len(known)} series"
    worse = int((ours[known] > errors[shown[-1].name][known]).sum())
    against = f" In {worse} of {len(known)} the model is behind {shown[-1].name}." if best is not None else ""
    return DotsFigure(
        name="error-by-series",
        title="Error in each series",
        caption=f"{many}, the worst first: '{ids[int(order[0])]}'.{against}",
        x_label=f"MAE of {label}",
        labels=tuple(ids[int(number)] for number in order),
        lines=tuple(
            Line(
                name=answer.name,
                style="prediction" if answer is answers[0] else "baseline",
                y=tuple(float(value) if np.isfinite(value) else None for value in errors[answer.name][order]),
            )
            for answer in shown
        ),
    )


def _error_of(judged: ForecastSamples, truth: Array, answer: Answer) -> Array:
    """(num_sequences,) the mean absolute error of the first target in each series; NaN where nothing is known."""
    error = np.abs(truth - answer.values)[..., 0]
    seen = np.isfinite(error)
    number = len(judged.prepared.ids)
    total = np.bincount(judged.sequence, np.where(seen, error, 0.0).sum(1), number).astype(np.float64)
    count = np.bincount(judged.sequence, seen.sum(1), number).astype(np.float64)
    return divide(total, count)
