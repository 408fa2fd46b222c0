"""Metrics of predicted classes. A truth of −1 is unknown and left out.

Macro averages run over the classes that can be judged: for F1 those that occur in the truth or the decisions (as scikit-learn
does), for AUROC those with at least one sample inside and one outside.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from gatework.errors import DataError
from gatework.runs import MetricInfo
from gatework.tasks.metrics.class_metrics import ClassScoring
from gatework.tasks.metrics.confusion import (
    Counts,
    balanced_accuracy,
    macro_f1,
    matthews,
    mean_cost,
    mean_of_defined,
)
from gatework.tasks.metrics.ranking import LetIn, auroc, average_precision, let_in, precision_at
from gatework.tasks.metrics.reliability import NUM_CALIBRATION_BINS, confidence_bin, expected_calibration_error
from gatework.tasks.metrics.scores import Array, IntArray, divide

# resamples × classes × samples that may be ranked, about a second; beyond it the intervals come from fewer resamples
RANKING_WORK = 200_000_000


@dataclass(frozen=True)
class ClassErrors:
    """What the metrics of classes need; see `Measured`.

    unit: (n,) the unit of each sample. truth, decided: (n,) class index. probabilities: (n, num_classes). sums: sparse (columns,
    num_units); the columns are count, log-loss, Brier; hits, decided and true counts of each class; and of each bin of
    confidence the confidence and how often the most probable class was right.
    """

    scoring: ClassScoring
    unit: IntArray
    truth: IntArray
    decided: IntArray
    probabilities: Array
    sums: sparse.csr_array

    @property
    def num_units(self) -> int:
        return int(self.sums.shape[1])

    @property
    def metrics(self) -> tuple[MetricInfo, ...]:
        return tuple(metric.info(metric.unit) for metric in self.scoring.metrics)

    def grouped(self, units: IntArray) -> "ClassErrors":
        unit, num_units = units[self.unit], int(units.max(initial=-1)) + 1
        return replace(self, unit=unit, sums=_columns(self.truth, self.decided, self.probabilities, unit, num_units))

    def values(self, weights: Array) -> Array:
        num_classes = self.probabilities.shape[1]
        sums = np.asarray(self.sums @ weights.T)
        count, log_loss, brier = sums[:3]
        counts = Counts(*sums[3 : 3 + 3 * num_classes].reshape(3, num_classes, -1))
        confidence, right = sums[3 + 3 * num_classes :].reshape(2, NUM_CALIBRATION_BINS, -1)
        columns = {
            "accuracy": divide(counts.hits.sum(0), count),
            "balanced accuracy": balanced_accuracy(counts),
            "macro-F1": macro_f1(counts),
            "MCC": matthews(counts),
            "log-loss": divide(log_loss, count),
            "Brier": divide(brier, count),
            "calibration error": expected_calibration_error(confidence, right, count),
            **self._of_positive(counts),
            **self._ranked(weights),
        }
        if self.scoring.costs:
            columns["cost"] = mean_cost(counts, self.scoring.costs)
        return np.stack([columns[info.name] for info in self.metrics], axis=1)

    def _of_positive(self, counts: Counts) -> dict[str, Array]:
        positive = self.scoring.positive
        if positive is None:
            return {}
        recall = counts.recall()
        return {
            "sensitivity": recall[positive],
            "specificity": recall[1 - positive],
            "precision": counts.precision()[positive],
        }

    def _ranked(self, weights: Array) -> dict[str, Array]:
        """AUROC, PR-AUC and precision at k; NaN beyond the resamples that RANKING_WORK allows (never fewer than 100)."""
        num_samples = max(len(self.truth), 1)
        positive = self.scoring.positive
        classes = np.unique(self.truth).tolist() if positive is None else [positive]
        affordable = max(100, RANKING_WORK // (num_samples * max(len(classes), 1)))
        values = {
            metric.name: np.full(len(weights), np.nan) for metric in self.scoring.metrics if metric.name in self._rankings()
        }
        at_once = max(1, 10_000_000 // num_samples)
        for start in range(0, min(affordable, len(weights)), at_once):
            stop = min(start + at_once, affordable, len(weights))
            # (n, resamples), float32: weights are counts, exact to 2²⁴; rows are gathered whole
            weight = np.ascontiguousarray(weights[start:stop].T, dtype=np.float32)[self.unit]
            found = [let_in(self.probabilities[:, k], self.truth == k, weight) for k in classes]
            for name, values_of_name in values.items():
                each = [self._ranking(name, one) for one in found]
                values_of_name[start:stop] = mean_of_defined(np.array(each).reshape(len(classes), stop - start))
        return values

    def _rankings(self) -> tuple[str, ...]:
        top = "k" if self.scoring.top is None else str(self.scoring.top)
        return ("AUROC", "PR-AUC", f"precision at {top}")

    def _ranking(self, name: str, found: LetIn) -> Array:
        if name == "AUROC":
            return auroc(found)
        return average_precision(found) if name == "PR-AUC" else precision_at(found, self.scoring.top)


def _columns(truth: IntArray, decided: IntArray, probabilities: Array, unit: IntArray, num_units: int) -> sparse.csr_array:
    """The sums of `ClassErrors`, one column of the matrix per unit."""
    num_samples, num_classes = probabilities.shape
    likeliest, confidence = probabilities.argmax(1), probabilities.max(1, initial=0.0)
    given = np.clip(probabilities[np.arange(num_samples), truth], np.finfo(np.float64).eps, 1.0)
    brier = ((probabilities - np.eye(num_classes)[truth]) ** 2).sum(1)
    bins = confidence_bin(confidence)
    first_bin = 3 + 3 * num_classes
    one = np.ones(num_samples)
    entries = [
        (np.full(num_samples, 0), one),
        (np.full(num_samples, 1), -np.log(given)),
        (np.full(num_samples, 2), brier),
        (3 + truth, (decided == truth).astype(np.float64)),
        (3 + num_classes + decided, one),
        (3 + 2 * num_classes + truth, one),
        (first_bin + bins, confidence),
        (first_bin + NUM_CALIBRATION_BINS + bins, (likeliest == truth).astype(np.float64)),
    ]
    rows = np.concatenate([row for row, _ in entries])
    values = np.concatenate([value for _, value in entries])
    shape = (first_bin + 2 * NUM_CALIBRATION_BINS, num_units)
    return sparse.csr_array((values, (rows, np.tile(unit, len(entries)))), shape=shape)


def measure_classes(
    truth: IntArray, probabilities: Array, scoring: ClassScoring | None = None, decided: IntArray | None = None
) -> ClassErrors:
    """The errors of a classification; a unit is one sequence until `grouped`.

    truth: (n,) class index, −1 unknown. probabilities: (n, num_classes), rows sum to 1. scoring: by default the second of two
    classes is the positive one. decided: (n,) the class that was decided for; by default the most probable one.
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
    if scoring is None:
        scoring = ClassScoring(positive=1 if probabilities.shape[1] == 2 else None)
    chosen = rows.argmax(1) if decided is None else decided[known]
    unit = np.flatnonzero(known).astype(np.int64)
    sums = _columns(truth[known], chosen, rows, unit, len(truth))
    return ClassErrors(scoring, unit, truth[known], chosen, rows, sums)


def confusion_counts(truth: IntArray, probabilities: Array, decided: IntArray | None = None) -> IntArray:
    """Counts (num_classes, num_classes): rows are the truth, columns the decision; unknown truths (−1) left out.

    decided: (n,), by default the most probable class.
    """
    num_classes = probabilities.shape[1]
    known = truth >= 0
    chosen = probabilities.argmax(1) if decided is None else decided
    cells = truth[known] * num_classes + chosen[known]
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes).astype(np.int64)
