"""Whole courses of the future: each step like its forecast says, and all steps of one path erring together as past errors did.

A sum over the horizon (the energy of a day) is as uncertain as the errors of its steps hang together; drawing each step by itself
makes sums far too certain. The errors of one past forecast at all its steps are one example of how they hang together: their
ranks are carried over to new forecasts (Clark et al., "The Schaake shuffle", 2004; an empirical copula).

Ancestral sampling, where each draw is fed back, needs a decoder that was trained on the true values of the steps before (Salinas
et al., "DeepAR", 2020). The recursive decoder is trained on its own forecasts: it says how uncertain a step is given the past
alone, and hardly reacts to what it is fed, so that paths drawn in that way lose what ties their steps together.
"""

import numpy as np

from gatework.tasks.conformal import Array


def path_errors(past: Array, num_paths: int, generator: np.random.Generator) -> Array:
    """Errors for `num_paths` paths, dependent along the steps like those of past forecasts.

    past: (n, horizon, num_targets), the errors of n past forecasts, each measured so that it can be taken over to another
    forecast: a difference on the model's scale, or the probability that the forecast gave to at most the truth.
    Returns (num_paths, horizon, num_targets). Each path follows the ranks of one past forecast, all of them equally often; its
    values lie between those at the neighbouring ranks, so that paths repeat themselves only where `past` does.
    """
    number = len(past)
    rows = np.concatenate([generator.permutation(number) for _ in range(-(-num_paths // number))])[:num_paths]
    # ties get different ranks by chance: equal ones would tie the steps together more than they are
    shuffled = generator.permutation(number)
    ranks = np.empty(past.shape, dtype=np.int64)
    ranks[shuffled] = past[shuffled].argsort(axis=0, kind="stable").argsort(axis=0)
    ordered = np.sort(past, axis=0)
    # one draw for a whole path: a draw for each step would loosen what the ranks tie together
    place = np.clip(ranks[rows] + generator.uniform(-0.5, 0.5, num_paths)[:, None, None], 0, number - 1)
    below = np.minimum(place.astype(np.int64), max(0, number - 2))
    above = np.minimum(below + 1, number - 1)
    low, high = (np.take_along_axis(ordered, at, axis=0) for at in (below, above))
    result: Array = low + (place - below) * (high - low)
    return result
