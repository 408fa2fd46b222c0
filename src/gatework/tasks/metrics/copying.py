"""Does a forecast say more than the last value does?"""

import numpy as np

from gatework.tasks.metrics.scores import Array, IntArray

FEWEST = 20
"""Windows below which a correlation says little."""


def moved_from(truth: Array, prediction: Array, last: Array) -> float | None:
    """How far the predictions move from the last value, as a share of how far the truth does; None when the truth never moves.

    All (n, horizon, num_targets), truth NaN where unobserved; with several targets the mean of their shares.
    """
    observed = ~np.isnan(truth)
    moved = np.where(observed, np.abs(prediction - last), 0.0).sum((0, 1))
    needed = np.where(observed, np.abs(np.where(observed, truth, 0.0) - last), 0.0).sum((0, 1))
    does_move = needed > 0
    return float((moved[does_move] / needed[does_move]).mean()) if does_move.any() else None


def follows(truth: Array, prediction: Array, last: Array, sequence: IntArray) -> tuple[float, float] | None:
    """The correlation of the predictions with the last value, and with the truth; means over the steps ahead and the targets.

    All (n, horizon, num_targets), truth NaN where unobserved; sequence: (n,) the series of each window, whose own level is
    taken out first: series of different levels would otherwise correlate with anything. None with fewer than FEWEST windows, or
    without variation. A forecast that is nearer to the last value than to what came is that value, shifted.
    """
    found = []
    for step, k in np.ndindex(truth.shape[1:]):
        seen = ~np.isnan(truth[:, step, k])
        if seen.sum() < FEWEST:
            continue
        columns = [_centred(values[seen, step, k], sequence[seen]) for values in (prediction, last, truth)]
        spread = [float(np.sqrt((column**2).mean())) for column in columns]
        if min(spread) <= 1e-9 * max(spread):
            continue
        ours, before, after = (column / size for column, size in zip(columns, spread, strict=True))
        found.append((float((ours * before).mean()), float((ours * after).mean())))
    if not found:
        return None
    with_last, with_truth = np.mean(found, axis=0)
    return float(with_last), float(with_truth)


def _centred(values: Array, sequence: IntArray) -> Array:
    """The values without the mean of their series."""
    index = np.unique(sequence, return_inverse=True)[1]
    means = np.bincount(index, values) / np.bincount(index)
    centred: Array = values - means[index]
    return centred
