"""Metrics of predicted classes. A truth of −1 is unknown and left out.

Macro averages run over the classes that can be judged: for F1 those that occur in the truth or the predictions (as scikit-learn
does), for AUROC those with at least one sample inside and one outside.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gatework.errors import DataError
from gatework.runs import MetricInfo
from gatework.tasks.metrics.scores import Array, BoolArray, IntArray, Metric, divide

NUM_CALIBRATION_BINS = 15
# resamples × classes × samples that AUROC may rank, about a second; beyond it its interval comes from fewer resamples
AUROC_WORK = 200_000_000

ACCURACY = Metric("accuracy", "", "higher", "Share of sequences whose most probable class is the true one.")
MACRO_F1 = Metric(
    "macro-F1",
    "",
    "higher",
    "Harmonic mean of precision and recall, averaged over the classes: rare ones count like common ones.",
)
AUROC = Metric(
    "AUROC",
    "",
    "higher",
    "Chance that a sequence of a class is given a higher probability of it than one of another class, averaged over the classes: "
    "0.5 is guessing.",
)
LOG_LOSS = Metric("log-loss", "nats", "lower", "Mean of −ln of the probability given to the true class.")
BRIER = Metric(
    "Brier", "", "lower", "Mean squared distance of the probabilities from the truth (0 and 1), summed over classes: 0 to 2."
)
CALIBRATION = Metric(
    "calibration error",
    "",
    "lower",
    f"How far confidence is from the share that is right, over {NUM_CALIBRATION_BINS} equally wide bins of confidence, weighted "
    f"by their counts (expected calibration error): 0 means that '80 % sure' is right 80 % of the time.",
)

CLASSIFICATION_METRICS: list[Metric] = [ACCURACY, MACRO_F1, AUROC, LOG_LOSS, BRIER, CALIBRATION]


@dataclass(frozen=True)
class ClassErrors:
    """What the metrics of classes need; see `Measured`.

    unit: (n,) the unit of each sample. truth: (n,) class index. probabilities: (n, num_classes). sums: sparse (columns,
    num_units); the columns are count, correct, log-loss, Brier; true positives, predicted and true counts of each class; and of
    each bin of confidence the count, the confidence and the correct.
    """

    unit: IntArray
    truth: IntArray
    probabilities: Array
    sums: sparse.csr_array

    @property
    def num_units(self) -> int:
        return int(self.sums.shape[1])

    @property
    def metrics(self) -> tuple[MetricInfo, ...]:
        return tuple(metric.info(metric.unit) for metric in CLASSIFICATION_METRICS)

    def grouped(self, units: IntArray) -> "ClassErrors":
        unit, num_units = units[self.unit], int(units.max(initial=-1)) + 1
        return replace(self, unit=unit, sums=_columns(self.truth, self.probabilities, unit, num_units))

    def values(self, weights: Array) -> Array:
        num_classes = self.probabilities.shape[1]
        sums = np.asarray(self.sums @ weights.T)
        count, correct, log_loss, brier = sums[:4]
        by_class = sums[4 : 4 + 3 * num_classes].reshape(3, num_classes, -1)
        bins = sums[4 + 3 * num_classes :].reshape(3, NUM_CALIBRATION_BINS, -1)
        columns = {
            "accuracy": divide(correct, count),
            "macro-F1": _macro_f1(*by_class),
            "AUROC": self._auroc(weights),
            "log-loss": divide(log_loss, count),
            "Brier": divide(brier, count),
            "calibration error": divide(np.abs(bins[1] - bins[2]).sum(0), count),
        }
        return np.stack([columns[metric.name] for metric in CLASSIFICATION_METRICS], axis=1)

    def _auroc(self, weights: Array) -> Array:
        """One value per resample; NaN beyond the resamples that AUROC_WORK allows (never fewer than 100)."""
        num_classes, num_samples = self.probabilities.shape[1], max(len(self.truth), 1)
        classes = [1] if num_classes == 2 else np.unique(self.truth).tolist()
        affordable = max(100, AUROC_WORK // (num_samples * max(len(classes), 1)))
        values = np.full(len(weights), np.nan)
        at_once = max(1, 10_000_000 // num_samples)
        for start in range(0, min(affordable, len(weights)), at_once):
            stop = min(start + at_once, affordable, len(weights))
            # (n, resamples), float32: weights are counts, exact to 2²⁴; rows are gathered whole
            weight = np.ascontiguousarray(weights[start:stop].T, dtype=np.float32)[self.unit]
            each = [_weighted_auroc(self.probabilities[:, k], self.truth == k, weight) for k in classes]
            values[start:stop] = _mean_of_defined(np.array(each).reshape(len(classes), stop - start))
        return values


def _columns(truth: IntArray, probabilities: Array, unit: IntArray, num_units: int) -> sparse.csr_array:
    """The sums of `ClassErrors`, one column of the matrix per unit."""
    num_samples, num_classes = probabilities.shape
    predicted, confidence = probabilities.argmax(1), probabilities.max(1, initial=0.0)
    correct = (predicted == truth).astype(np.float64)
    given = np.clip(probabilities[np.arange(num_samples), truth], np.finfo(np.float64).eps, 1.0)
    brier = ((probabilities - np.eye(num_classes)[truth]) ** 2).sum(1)
    bins = confidence_bin(confidence)
    first_bin = 4 + 3 * num_classes
    one = np.ones(num_samples)
    entries = [
        (np.full(num_samples, 0), one),
        (np.full(num_samples, 1), correct),
        (np.full(num_samples, 2), -np.log(given)),
        (np.full(num_samples, 3), brier),
        (4 + truth, correct),
        (4 + num_classes + predicted, one),
        (4 + 2 * num_classes + truth, one),
        (first_bin + bins, one),
        (first_bin + NUM_CALIBRATION_BINS + bins, confidence),
        (first_bin + 2 * NUM_CALIBRATION_BINS + bins, correct),
    ]
    rows = np.concatenate([row for row, _ in entries])
    values = np.concatenate([value for _, value in entries])
    shape = (first_bin + 3 * NUM_CALIBRATION_BINS, num_units)
    return sparse.csr_array((values, (rows, np.tile(unit, len(entries)))), shape=shape)


def _macro_f1(true_positives: Array, predicted: Array, true: Array) -> Array:
    """(num_classes, resamples) each → (resamples,), over the classes that occur."""
    return _mean_of_defined(divide(2 * true_positives, predicted + true))


def _mean_of_defined(values: Array) -> Array:
    """The mean over the first axis of what is defined; NaN where nothing is."""
    defined = ~np.isnan(values)
    return divide(np.where(defined, values, 0.0).sum(0), defined.sum(0).astype(np.float64))


def _weighted_auroc(score: Array, inside: BoolArray, weight: NDArray[np.float32]) -> Array:
    """AUROC of one class in every resample: weight (n, resamples) → (resamples,); ties count half, NaN without both sides.

    The chance that an inside sample ranks above an outside one: for each inside sample, the weight of the outside ones below it.
    """
    order = np.argsort(score, kind="stable")
    sorted_score, sorted_inside = score[order], inside[order]
    below = np.zeros((len(score) + 1, weight.shape[1]), dtype=np.float32 if weight.sum(0).max(initial=0) < 2**24 else np.float64)
    np.cumsum(np.where(sorted_inside[:, None], np.float32(0), weight[order]), axis=0, out=below[1:])
    first = np.searchsorted(sorted_score, score[inside], side="left")
    last = np.searchsorted(sorted_score, score[inside], side="right")
    inside_weight = weight[inside].astype(np.float64)
    ranked = (inside_weight * (below[first].astype(np.float64) + below[last])).sum(0) / 2
    return divide(ranked, inside_weight.sum(0) * below[-1])


def confidence_bin(confidence: Array) -> IntArray:
    """The bin of each confidence: NUM_CALIBRATION_BINS equally wide ones, each open below and closed above."""
    bins = np.ceil(confidence * NUM_CALIBRATION_BINS).astype(np.int64) - 1
    return np.clip(bins, 0, NUM_CALIBRATION_BINS - 1)


def measure_classes(truth: IntArray, probabilities: Array) -> ClassErrors:
    """The errors of a classification; a unit is one sequence until `grouped`.

    truth: (n,) class index, −1 unknown. probabilities: (n, num_classes), rows sum to 1.
    Raises DataError when the probabilities of a known truth are not such rows.
    """
    known = truth >= 0
    rows = probabilities[known].astype(np.float64)
    # 1e-3: softmax in half precision
    if not (np.isfinite(rows).all() and (rows >= 0).all() and np.allclose(rows.sum(1), 1.0, atol=1e-3)):
        raise DataError(
            "The predicted probabilities are not rows of non-negative numbers that sum to 1; the metrics of classes need them. "
            "The model has diverged: train again with a lower --learning-rate."
        )
    unit = np.flatnonzero(known).astype(np.int64)
    return ClassErrors(unit, truth[known], rows, _columns(truth[known], rows, unit, len(truth)))


def confusion_counts(truth: IntArray, probabilities: Array) -> IntArray:
    """Counts (num_classes, num_classes): rows are the truth, columns the most probable class; unknown truths (−1) left out."""
    num_classes = probabilities.shape[1]
    known = truth >= 0
    cells = truth[known] * num_classes + probabilities[known].argmax(1)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes).astype(np.int64)


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
