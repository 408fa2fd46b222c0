"""Simple ways to score every step of a series: what a network has to beat.

Each takes values (length, num_targets) of one series in time order, float64 without gaps, and gives (length,) scores, the higher
the more unusual; NaN where there is none. With several channels the most unusual one counts.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gatework.tasks.metrics.scores import Array, BoolArray, IntArray

MOST_REFERENCE = 8192
"""Training subsequences that a subsequence is compared with: one comparison is a convolution with all of them."""
QUERIES_AT_ONCE = 64
FLAT = 1e-8
"""A subsequence whose deviation is below this share of the series' own is flat: its shape cannot be compared."""


def rolling_z_score(values: Array, window: int) -> Array:
    """How many standard deviations a step is from the mean of the `window` steps before it."""
    scores = np.full(len(values), np.nan)
    if len(values) <= window:
        return scores
    before = sliding_window_view(values, window, axis=0)[:-1]
    spread = np.maximum(before.std(axis=-1), 1e-6 * np.maximum(values.std(axis=0), 1e-300))
    scores[window:] = (np.abs(values[window:] - before.mean(axis=-1)) / spread).max(axis=1)
    return scores


def absolute_difference(values: Array, scale: Array) -> Array:
    """How far a step is from the one before it. scale: (num_targets,) the usual size of a difference."""
    scores = np.full(len(values), np.nan)
    scores[1:] = (np.abs(np.diff(values, axis=0)) / scale).max(axis=1) if len(values) > 1 else np.nan
    return scores


def seasonal_residual(values: Array, period: int, scale: Array) -> Array:
    """How far a step is from the same place one season earlier. scale: (num_targets,) the usual size of that."""
    scores = np.full(len(values), np.nan)
    if len(values) > period:
        scores[period:] = (np.abs(values[period:] - values[:-period]) / scale).max(axis=1)
    return scores


def nearest_neighbour(values: Array, reference: list[Array], length: int) -> Array:
    """How far the shape around a step is from the nearest shape in training: the distance on which the matrix profile rests.

    reference: the training stretches, (steps, num_targets) each. length: steps of one shape. The distance of each subsequence
    to its nearest neighbour (z-normalised Euclidean, summed over the channels in squares, by Mueen's convolution; Yeh et al.
    2016) is given to all of its steps; a step has the mean over the subsequences that it is in.
    """
    scores = np.full(len(values), np.nan)
    stretches = [stretch for stretch in reference if len(stretch) >= length]
    if len(values) < length or not stretches:
        return scores
    squared = np.full(len(values) - length + 1, np.inf)
    for stretch in stretches:
        squared = np.minimum(squared, _nearest_squared(values, stretch, length))
    distance = np.sqrt(squared)
    sums, counts = np.zeros(len(values) + 1), np.zeros(len(values) + 1)
    start = np.arange(len(distance))
    np.add.at(sums, start, distance)
    np.add.at(sums, start + length, -distance)
    np.add.at(counts, start, 1.0)
    np.add.at(counts, start + length, -1.0)
    mean: Array = np.cumsum(sums)[:-1] / np.cumsum(counts)[:-1]
    return mean


def _nearest_squared(values: Array, stretch: Array, length: int) -> Array:
    """(subsequences of values,) the least squared distance to a subsequence of one stretch; channels added."""
    size = int(2 ** np.ceil(np.log2(len(stretch) + length)))
    transformed = np.fft.rfft(stretch, size, axis=0)
    own, other = _moments(values, length), _moments(stretch, length)
    nearest = np.full(len(values) - length + 1, np.inf)
    windows = sliding_window_view(values, length, axis=0)
    for begin in range(0, len(nearest), QUERIES_AT_ONCE):
        queries = windows[begin : begin + QUERIES_AT_ONCE]
        total = np.zeros((len(queries), len(stretch) - length + 1))
        for channel in range(values.shape[1]):
            product = np.fft.rfft(queries[:, channel, ::-1], size, axis=1) * transformed[:, channel]
            dots = np.fft.irfft(product, size, axis=1)[:, length - 1 : len(stretch)]
            total += _squared_distances(dots, own, other, begin, channel, length)
        nearest[begin : begin + len(queries)] = total.min(axis=1)
    return nearest


def _moments(values: Array, length: int) -> tuple[Array, Array, BoolArray]:
    """Mean, deviation and flatness of every subsequence, (subsequences, num_targets) each."""
    windows = sliding_window_view(values, length, axis=0)
    mean, spread = windows.mean(axis=-1), windows.std(axis=-1)
    is_flat = spread <= FLAT * np.maximum(values.std(axis=0), 1e-300)
    return mean, np.where(is_flat, 1.0, spread), is_flat


def _squared_distances(
    dots: Array, own: tuple[Array, Array, BoolArray], other: tuple[Array, Array, BoolArray], begin: int, channel: int, length: int
) -> Array:
    """(queries, subsequences): 2·length·(1 − correlation); 0 between two flat ones, `length` where only one is."""
    rows = slice(begin, begin + len(dots))
    mean, spread, flat = own[0][rows, channel, None], own[1][rows, channel, None], own[2][rows, channel, None]
    other_flat = other[2][:, channel]
    correlation = (dots / length - mean * other[0][:, channel]) / (spread * other[1][:, channel])
    distance = 2.0 * length * (1.0 - np.clip(correlation, -1.0, 1.0))
    return np.where(flat & other_flat, 0.0, np.where(flat ^ other_flat, float(length), distance))


def carried_forward(values: Array, offsets: IntArray, fill: Array) -> Array:
    """Gaps filled with the last value of the series, or `fill` (num_targets,) before the first."""
    row = np.arange(len(values))[:, None]
    begin = np.repeat(offsets[:-1], np.diff(offsets))[:, None]
    last = np.maximum.accumulate(np.where(np.isfinite(values), row, -1), axis=0)
    found = np.take_along_axis(values, np.maximum(last, 0), axis=0)
    return np.where(last >= begin, found, fill)
