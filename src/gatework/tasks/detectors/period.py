"""The dominant period of a series, and how well its next step follows from its last ones; what a plan has to know."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CLEAR = 0.3
"""The autocorrelation from which a period counts; noise of 1,000 steps stays below 0.1."""
SHORTEST = 4
MOST_STEPS = 100_000
LAGS = 16


def dominant_period(values: Array) -> int:
    """The lag in steps at which a series is most like itself, after its first fall below 0; 0 when there is none.

    values: (steps, channels) in time order, NaN where unobserved. By the autocorrelation of each channel, without its linear
    trend; the channel with the clearest period decides. A multiple that is no clearer than its divisor does not win.
    """
    best, period = CLEAR, 0
    for column in values[:MOST_STEPS].T:
        found, height = _period_of(column)
        if height > best:
            best, period = height, found
    return period


def _period_of(column: Array) -> tuple[int, float]:
    known = np.isfinite(column)
    if known.sum() < 4 * SHORTEST:
        return 0, 0.0
    place = np.arange(len(column))
    filled = np.interp(place, place[known], column[known])
    around = filled - np.polyval(np.polyfit(place, filled, 1), place)
    length = len(around)
    power = np.abs(np.fft.rfft(around, 2 * length)) ** 2
    correlation = np.fft.irfft(power)[: length // 2]
    if correlation[0] <= 1e-12 * max(1.0, float(np.abs(filled).max()) ** 2) * length:
        return 0, 0.0
    correlation = correlation / correlation[0] * length / (length - np.arange(len(correlation)))
    below = np.flatnonzero(correlation < 0)
    if not len(below) or below[0] >= len(correlation) - 2:
        return 0, 0.0
    inner = np.arange(max(below[0], SHORTEST), len(correlation) - 1)
    is_peak = (correlation[inner] >= correlation[inner - 1]) & (correlation[inner] >= correlation[inner + 1])
    peaks = inner[is_peak & (correlation[inner] > 0)]
    if not len(peaks):
        return 0, 0.0
    highest = float(correlation[peaks].max())
    first = int(peaks[correlation[peaks] >= 0.9 * highest][0])
    # noise makes several small peaks of one
    near = inner[(inner >= 0.9 * first) & (inner <= 1.1 * first)]
    return int(near[np.argmax(correlation[near])]), highest


def predictability(values: Array) -> float:
    """The share of the variance of the next step that a linear model of the last LAGS steps explains beyond the mean; 0 at worst.

    values: (steps, channels), NaN where unobserved. Fitted on the first four fifths, judged on the last; the mean over the
    channels.
    """
    shares = []
    for column in values[:MOST_STEPS].T:
        windows = (
            np.lib.stride_tricks.sliding_window_view(column, LAGS + 1) if len(column) > 4 * LAGS else np.zeros((0, LAGS + 1))
        )
        windows = windows[np.isfinite(windows).all(axis=1)]
        cut = len(windows) * 4 // 5
        if cut < 2 * LAGS:
            continue
        mean, spread = windows[:cut].mean(), max(float(windows[:cut].std()), 1e-12)
        past = np.column_stack([(windows[:, :-1] - mean) / spread, np.ones(len(windows))])
        coming = (windows[:, -1] - mean) / spread
        penalty = np.diag([1e-3] * LAGS + [0.0]) * cut
        weights = np.linalg.solve(past[:cut].T @ past[:cut] + penalty, past[:cut].T @ coming[:cut])
        around = coming[cut:] - coming[cut:].mean()
        error = coming[cut:] - past[cut:] @ weights
        shares.append(max(0.0, 1.0 - float((error**2).sum()) / max(float((around**2).sum()), 1e-12)))
    return float(np.mean(shares)) if shares else 0.0
