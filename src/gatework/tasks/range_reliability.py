"""Whether ranges of every share hold it, not only of those that were asked for: a curve of observed against nominal coverage."""

import numpy as np

from gatework.tasks.conformal import Array, conformal_quantile, signed_scores, wanted_misses, widened
from gatework.tasks.outputs import Distribution

NOMINAL = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)

Coverage = tuple[tuple[float, float], ...]
"""(nominal, observed) shares of truths, rising in the first."""


def probabilities(output: Distribution, numbers: Array, truth: Array) -> Array:
    """The probability that each forecast gave to at most the truth, (...,): evenly spread over 0–1 where it is right.

    numbers: (..., num_parameters). A count takes up a stretch of probability; where in it is chance, drawn with a fixed seed.
    """
    upper = output.cdf(numbers, truth)
    if not output.is_count:
        return upper
    lower = output.cdf(numbers, truth - 1.0)
    return lower + (upper - lower) * np.random.default_rng(0).random(truth.shape)


def own_coverage(output: Distribution, numbers: Array, truth: Array) -> Coverage:
    """Of the central ranges that the network itself gives. truth: (...,), NaN where unobserved; numbers as `probabilities`."""
    place = probabilities(output, numbers, truth)
    away = 2.0 * np.abs(place[~np.isnan(place)] - 0.5)
    return tuple((share, float((away <= share).mean())) for share in NOMINAL) if len(away) else ()


def coverage_from_errors(past: Array, errors: Array) -> Coverage:
    """Of ranges around single numbers that have the past errors inside, on each side by itself; see `signed_scores`.

    past: (k, horizon), errors of past forecasts. errors: (n, horizon), NaN where unobserved. Shares that so few past errors give
    no end for are left out.
    """
    found = []
    observed, zero = np.count_nonzero(~np.isnan(errors)), np.zeros_like(errors)
    scores = signed_scores(past, np.zeros((*past.shape, 1, 2)))
    for share in NOMINAL:
        shift = conformal_quantile(scores, 1.0 - wanted_misses((share,), 2))
        ends = widened(np.zeros((*errors.shape, 1, 2)), zero, shift)[..., 0, :]
        inside = (ends[..., 0] <= errors) & (errors <= ends[..., 1])
        if np.isfinite(shift).all() and observed:
            found.append((share, float(inside.sum() / observed)))
    return tuple(found)
