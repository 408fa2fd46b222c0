"""Means over folds: of each score, and of its resamples, so that the mean has an interval of its own.

The mean over folds, not one score over all predictions at once: models of different folds put their scores on different scales
(Forman and Scholz, "Apples-to-apples in cross-validation studies", 2010). Units are drawn within each fold.
"""

import warnings
from collections.abc import Sequence

import numpy as np

from gatework.evaluate.bootstrap import MIN_UNITS, NUM_RESAMPLES, Resampled, draw_weights, gain
from gatework.evaluate.verdict import verdict
from gatework.runs import MetricInfo, Score, ScoreRow
from gatework.study.job import Fold
from gatework.tasks.metrics.scores import Array


def mean_over(rows: Sequence[Resampled]) -> Resampled:
    """The mean of each metric over folds, where it is defined.

    Where a fold has no resamples of its own, whole folds are drawn, if there are enough.
    """
    points = np.stack([row.point for row in rows])
    has_draws = all(len(row.draws) == NUM_RESAMPLES for row in rows)
    if has_draws:
        draws = mean_of_defined(np.stack([row.draws for row in rows]))
    elif len(rows) >= MIN_UNITS:
        chosen = draw_weights(np.random.default_rng(0), len(rows), NUM_RESAMPLES)
        known = np.isfinite(points)
        counts = chosen @ known
        draws = (chosen @ np.where(known, points, 0.0)) / np.where(counts > 0, counts, np.nan)
    else:
        draws = np.empty((0, points.shape[1]))
    return Resampled(rows[0].metrics, mean_of_defined(points), draws)


def mean_of_defined(values: Array) -> Array:
    """The mean over the first axis of what is defined; NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Mean of empty slice")
        mean: Array = np.nanmean(values, axis=0)
    return mean


def drawn_words(folds: Sequence[Fold]) -> str:
    """What the intervals of the mean rest on."""
    if all(len(fold.resampled[0].draws) == NUM_RESAMPLES for fold in folds):
        return f"{folds[0].evaluation.resampled} in the first of {len(folds)} test parts, and likewise in the others"
    return f"{len(folds)} whole test parts, since a single one has too few"


def pooled_rows(folds: Sequence[Fold]) -> list[tuple[ScoreRow, Resampled]]:
    """The mean over folds of the model and of each baseline that every fold has, the model first."""
    shared = [row for row in folds[0].evaluation.rows if all(place_of(fold, row.name) is not None for fold in folds)]
    pooled = []
    for row in shared:
        mean = mean_over([fold.resampled[place_of(fold, row.name) or 0] for fold in folds])
        pooled.append((row.model_copy(update={"scores": mean.scores()}), mean))
    return pooled


def place_of(fold: Fold, name: str) -> int | None:
    """Which row of a fold has this name."""
    return next((number for number, row in enumerate(fold.evaluation.rows) if row.name == name), None)


def pooled_verdict(pooled: Sequence[tuple[ScoreRow, Resampled]]) -> tuple[str, ...]:
    """Who wins on the mean over folds."""
    metrics = pooled[0][1].metrics
    gains = {row.name: gain(pooled[0][1], mean, metrics[0].name) for row, mean in pooled[1:]}
    return verdict([row for row, _ in pooled], metrics, gains)


def lead_of(folds: Sequence[Fold]) -> MetricInfo:
    """The metric that decides."""
    return folds[0].evaluation.metrics[0]


def score_of(fold: Fold, name: str, metric: str) -> Score:
    """One score of a fold; one without a value where the row is not there."""
    row = next((row for row in fold.evaluation.rows if row.name == name), None)
    return row.scores.get(metric, Score(value=None)) if row else Score(value=None)
