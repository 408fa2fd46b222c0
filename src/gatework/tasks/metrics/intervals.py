"""How well ranges tell what may come: how many truths they hold, how wide they are, and one number for both."""

import numpy as np

from gatework.runs import IntervalScores
from gatework.tasks.metrics.scores import Array, BoolArray


def interval_scores(truth: Array, low: Array, high: Array, level: float, targets: list[str]) -> tuple[IntervalScores, ...]:
    """Coverage, width and interval score of one level: one record per target, over all and at each step ahead.

    truth, low, high: (n, horizon, num_targets) in the units of the data, truth NaN where unobserved. level: inside (0, 1).
    """
    observed = ~np.isnan(truth)
    known = np.where(observed, truth, 0.0)
    width = high - low
    score = width + 2.0 / (1.0 - level) * (np.maximum(low - known, 0.0) + np.maximum(known - high, 0.0))
    held = ((low <= known) & (known <= high)).astype(np.float64)
    return tuple(
        IntervalScores(
            target=target,
            level=level,
            coverage=mean_of(held[..., k], observed[..., k]),
            width=mean_of(width[..., k], observed[..., k]),
            score=mean_of(score[..., k], observed[..., k]),
            coverage_by_step=by_step(held[..., k], observed[..., k]),
            width_by_step=by_step(width[..., k], observed[..., k]),
            score_by_step=by_step(score[..., k], observed[..., k]),
        )
        for k, target in enumerate(targets)
    )


def quantile_loss(truth: Array, quantiles: Array, levels: tuple[float, ...], targets: list[str]) -> dict[str, float | None]:
    """For each target the mean over observed truths and levels of twice the pinball loss; None where none is observed.

    truth: (n, horizon, num_targets). quantiles: (n, horizon, num_targets, levels). Equal to the continuous ranked probability
    score in the limit of many evenly spaced levels (Gneiting and Raftery 2007, section 4.2); at the level 0.5 alone, to the MAE.
    """
    observed = ~np.isnan(truth)
    error = np.where(observed, truth, 0.0)[..., None] - quantiles
    share = np.array(levels)
    loss = 2.0 * np.maximum(share * error, (share - 1.0) * error).mean(-1)
    return {target: mean_of(loss[..., k], observed[..., k]) for k, target in enumerate(targets)}


def mean_of(values: Array, observed: BoolArray) -> float | None:
    """The mean where observed; None where nothing is, or where it is not finite."""
    mean = float(values[observed].mean()) if observed.any() else np.nan
    return mean if np.isfinite(mean) else None


def by_step(values: Array, observed: BoolArray) -> tuple[float | None, ...]:
    """(n, horizon) → the mean at each step ahead."""
    return tuple(mean_of(values[:, step], observed[:, step]) for step in range(values.shape[1]))
