"""How far the probabilities can be taken at their word."""

import numpy as np

from gatework.tasks.metrics.scores import Array, IntArray, divide

NUM_CALIBRATION_BINS = 15


def confidence_bin(confidence: Array) -> IntArray:
    """The bin of each confidence: NUM_CALIBRATION_BINS equally wide ones, each open below and closed above."""
    bins = np.ceil(confidence * NUM_CALIBRATION_BINS).astype(np.int64) - 1
    return np.clip(bins, 0, NUM_CALIBRATION_BINS - 1)


def expected_calibration_error(confidence: Array, correct: Array, count: Array) -> Array:
    """(resamples,), from the sums of confidence and correct of each bin, (NUM_CALIBRATION_BINS, resamples), and all counts."""
    return divide(np.abs(confidence - correct).sum(0), count)


def reliability(truth: IntArray, probabilities: Array) -> tuple[Array, Array, IntArray]:
    """The points of a calibration plot: for each bin of confidence that is not empty, mean confidence, share right, count."""
    known = truth >= 0
    confidence, right = probabilities[known].max(1), probabilities[known].argmax(1) == truth[known]
    bins = confidence_bin(confidence)
    count = np.bincount(bins, minlength=NUM_CALIBRATION_BINS)
    filled = count > 0
    mean = np.bincount(bins, confidence, NUM_CALIBRATION_BINS)[filled] / count[filled]
    share = np.bincount(bins, right, NUM_CALIBRATION_BINS)[filled] / count[filled]
    return mean, share, count[filled].astype(np.int64)
