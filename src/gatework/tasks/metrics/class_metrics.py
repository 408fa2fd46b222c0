"""The list of the metrics of classes, and which of them a table shows."""

from dataclasses import dataclass

from gatework.tasks.metrics.reliability import NUM_CALIBRATION_BINS
from gatework.tasks.metrics.scores import Metric

ACCURACY = Metric("accuracy", "", "higher", "Share of sequences whose decision is the true class.")
BALANCED = Metric(
    "balanced accuracy", "", "higher", "Share of each class that is found, averaged over the classes: 1 / classes is guessing."
)
SENSITIVITY = Metric("sensitivity", "", "higher", "Share of the positive class that is found (recall).")
SPECIFICITY = Metric("specificity", "", "higher", "Share of the other class that is left alone.")
PRECISION = Metric("precision", "", "higher", "Share of the decisions for the positive class that are right.")
MACRO_F1 = Metric(
    "macro-F1",
    "",
    "higher",
    "Harmonic mean of precision and recall, averaged over the classes: rare ones count like common ones.",
)
MCC = Metric("MCC", "", "higher", "Correlation of decision and truth (Matthews 1975): 1 is perfect, 0 is guessing.")
AUROC = Metric(
    "AUROC",
    "",
    "higher",
    "Chance that a sequence of a class is given a higher probability of it than one of another class, averaged over the classes: "
    "0.5 is guessing.",
)
PR_AUC = Metric(
    "PR-AUC",
    "",
    "higher",
    "Precision over all thresholds, weighted by what each adds to the recall (average precision): guessing gives the share of "
    "the class.",
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
COST = Metric("cost", "", "lower", "What the wrong decisions cost per sequence, by --cost.")

CLASSIFICATION_METRICS: list[Metric] = [
    ACCURACY, BALANCED, SENSITIVITY, SPECIFICITY, PRECISION, MACRO_F1, MCC, AUROC, PR_AUC, LOG_LOSS, BRIER, CALIBRATION, COST,
]  # fmt: skip
"""Every one but precision at k, whose name says its k; see `precision_at_k`."""

TWO_CLASSES_ONLY = (SENSITIVITY, SPECIFICITY, PRECISION)
DOMINANT_SHARE = 0.8
"""A class this frequent makes accuracy look good by itself; the table is then led by a metric that it cannot flatter."""


@dataclass(frozen=True)
class ClassScoring:
    """How classes are scored. positive: the class that is looked for, of two; None with more.

    costs: of not deciding for a class that it was, one for each class, or empty. top: the k of precision at k; None: as many as
    there are positives. lead: the metric that decides who wins.
    """

    positive: int | None = None
    costs: tuple[float, ...] = ()
    top: int | None = None
    lead: str = "accuracy"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What the table shows, the leading metric first."""
        shown = [metric for metric in CLASSIFICATION_METRICS if metric is not COST or self.costs]
        if self.positive is None:
            shown = [metric for metric in shown if metric not in TWO_CLASSES_ONLY]
        else:
            shown.insert(shown.index(PR_AUC) + 1, precision_at_k(self.top))
        return tuple(sorted(shown, key=lambda metric: metric.name != self.lead))


def precision_at_k(top: int | None) -> Metric:
    """Precision among the `top` most probable, or among as many as there are positives."""
    if top is None:
        meaning = "Share of the positive class among as many sequences as it has, those with the highest probability of it."
        return Metric("precision at k", "", "higher", meaning)
    return Metric(
        f"precision at {top}",
        "",
        "higher",
        f"Share of the positive class among the {top} sequences with the highest probability of it.",
    )


def scoring_for(
    counts: list[int], costs: tuple[float, ...] = (), top: int | None = None, positive: int | None = None
) -> ClassScoring:
    """counts: of each class in the training part. The rarer of two classes is looked for, unless `positive` says which.

    Cost leads where it is known; where one class makes up DOMINANT_SHARE, PR-AUC (two classes) or macro-F1; else accuracy.
    """
    if len(counts) == 2 and positive is None:
        positive = 1 if counts[1] <= counts[0] else 0
    is_dominated = max(counts, default=0) >= DOMINANT_SHARE * max(1, sum(counts))
    lead = (PR_AUC.name if len(counts) == 2 else MACRO_F1.name) if is_dominated else ACCURACY.name
    return ClassScoring(positive if len(counts) == 2 else None, costs, top, COST.name if costs else lead)
