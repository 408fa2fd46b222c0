"""Metrics of the order in which a class's probabilities put the samples: AUROC, average precision, precision at k.

All of them are functions of what a threshold that falls from 1 to 0 lets in: at each distinct probability, the weight of the
class's own samples and of all samples that have at least that probability. Samples of equal probability come in together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatework.tasks.metrics.scores import Array, BoolArray, divide

Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class LetIn:
    """What each threshold lets in, in every resample: (thresholds, resamples) each, falling thresholds.

    inside: the weight of the class's own samples. every: the weight of all. thresholds: (thresholds,) the probabilities.
    """

    thresholds: Array
    inside: Array
    every: Array


def let_in(score: Array, is_inside: BoolArray, weight: Float32Array) -> LetIn:
    """score, is_inside: (n,). weight: (n, resamples), counts: their sums are exact in float32 up to 2²⁴, beyond it in float64."""
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], len(falling) > 0))
    exact = np.float32 if weight.sum(0).max(initial=0) < 2**24 else np.float64
    rows = weight[order]
    every = np.cumsum(rows, axis=0, dtype=exact)[ends].astype(np.float64)
    inside = np.cumsum(np.where(is_inside[order, None], rows, np.float32(0)), axis=0, dtype=exact)[ends].astype(np.float64)
    return LetIn(falling[ends], inside, every)


def auroc(found: LetIn) -> Array:
    """(resamples,): the chance that an inside sample ranks above an outside one; ties count half; NaN without both sides."""
    outside = found.every - found.inside
    new_inside, new_outside = _steps(found.inside), _steps(outside)
    positives, negatives = _last(found.inside), _last(outside)
    ranked = (new_inside * (negatives - outside + new_outside / 2)).sum(0)
    return divide(ranked, positives * negatives)


def average_precision(found: LetIn) -> Array:
    """(resamples,): the precision at each threshold, weighted by the share of the class that it adds; NaN without the class.

    A sum over steps, without interpolation between them (Davis and Goadrich 2006 on why).
    """
    precision = np.nan_to_num(divide(found.inside, found.every))
    return divide((_steps(found.inside) * precision).sum(0), _last(found.inside))


def precision_at(found: LetIn, k: int | None) -> Array:
    """(resamples,): the share of the class among the k highest ranked; k: a count, None: as many as the class has.

    At most all samples. Where equal probabilities lie across the border, the share that a random order would let in.
    """
    total = _last(found.every)
    wanted = np.minimum(_last(found.inside) if k is None else np.full_like(total, k), total)
    if not len(found.every):
        return np.full(len(total), np.nan)
    group = np.minimum((found.every < wanted).sum(0), len(found.every) - 1)
    column = np.arange(len(wanted))
    new_inside, new_every = _steps(found.inside)[group, column], _steps(found.every)[group, column]
    missing = found.every[group, column] - wanted
    inside = found.inside[group, column] - np.nan_to_num(divide(new_inside * missing, new_every))
    return divide(inside, wanted)


def _steps(running: Array) -> Array:
    return np.diff(running, axis=0, prepend=0.0)


def _last(running: Array) -> Array:
    return running[-1] if len(running) else np.zeros(running.shape[1])
