"""The curves of a classification: precision over recall, ROC, what each threshold finds and costs, calibration."""

import numpy as np

from gatework.runs import Curve, CurvesFigure, Figure, Line, LinesFigure
from gatework.runs.decision import Decision
from gatework.tasks.calibration import Calibration
from gatework.tasks.metrics import ClassScoring, reliability
from gatework.tasks.metrics.ranking import LetIn, let_in
from gatework.tasks.metrics.scores import Array, IntArray
from gatework.tasks.task import Answer

MAX_POINTS = 200
NUM_THRESHOLDS = 101


def curve_figures(
    truth: IntArray, answers: list[Answer], scoring: ClassScoring, decision: Decision | None, classes: list[str]
) -> tuple[Figure, ...]:
    """Those of two classes, where both occur; and the calibration before and after the correction, where there was one.

    truth: (n,) class index, −1 unknown. The model's answer comes first.
    """
    known = truth >= 0
    figures: list[Figure] = []
    positive = scoring.positive
    if positive is not None and 0 < (truth[known] == positive).sum() < known.sum():
        found = [
            let_in(a.values[known, positive], truth[known] == positive, np.ones((int(known.sum()), 1), np.float32))
            for a in answers
        ]
        names = [answer.name for answer in answers]
        threshold = None if decision is None else decision.threshold
        figures += [
            precision_recall(names, found, threshold, classes[positive]),
            receiver(names, found, threshold, classes[positive]),
            by_threshold(found[0], threshold, classes[positive]),
        ]
        if scoring.costs:
            figures.append(cost_by_threshold(found[0], threshold, scoring.costs[positive], scoring.costs[1 - positive]))
    if decision is not None and decision.calibration != "none" and known.any():
        figures.append(before_and_after(truth, answers[0].values, Calibration(decision.scale, decision.shifts)))
    return tuple(figures)


def precision_recall(names: list[str], found: list[LetIn], threshold: float | None, positive: str) -> CurvesFigure:
    """Precision over sensitivity."""
    curves, points = [], []
    for number, (name, one) in enumerate(zip(names, found, strict=True)):
        recall, precision = one.inside[:, 0] / one.inside[-1, 0], one.inside[:, 0] / one.every[:, 0]
        curves.append(_curve(name, recall, precision, number))
        if number == 0 and (at := _place(one, threshold)) is not None:
            points.append((float(recall[at]), float(precision[at]), "threshold"))
    return CurvesFigure(
        name="precision-recall",
        title=f"How many are found, and how many of the found are '{positive}'",
        caption="Each threshold is a point; up and to the right is better. A baseline that guesses lies flat at the share of "
        "the class.",
        x_label="sensitivity (recall)",
        y_label="precision",
        curves=tuple(curves),
        points=tuple(points),
    )


def receiver(names: list[str], found: list[LetIn], threshold: float | None, positive: str) -> CurvesFigure:
    """Sensitivity over false alarms."""
    curves, points = [], []
    for number, (name, one) in enumerate(zip(names, found, strict=True)):
        outside = one.every[:, 0] - one.inside[:, 0]
        alarms, recall = outside / outside[-1], one.inside[:, 0] / one.inside[-1, 0]
        curves.append(_curve(name, np.append(0.0, alarms), np.append(0.0, recall), number))
        if number == 0 and (at := _place(one, threshold)) is not None:
            points.append((float(alarms[at]), float(recall[at]), "threshold"))
    return CurvesFigure(
        name="receiver",
        title=f"How many of '{positive}' are found, for how many false alarms",
        caption="Each threshold is a point; up and to the left is better, the diagonal is guessing (ROC curve).",
        x_label="share of the others taken for it (1 − specificity)",
        y_label="sensitivity (recall)",
        curves=tuple(curves),
        points=tuple(points),
        has_diagonal=True,
    )


def by_threshold(found: LetIn, threshold: float | None, positive: str) -> LinesFigure:
    """Sensitivity, specificity and precision of the model at every threshold."""
    hits, every = _at_thresholds(found)
    others = found.every[-1, 0] - found.inside[-1, 0]
    precision = tuple(float(hit / all_) if all_ > 0 else None for hit, all_ in zip(hits, every, strict=True))
    lines = (
        Line(name="sensitivity", y=_floats(hits / found.inside[-1, 0]), style="prediction"),
        Line(name="specificity", y=_floats(1.0 - (every - hits) / others), style="baseline"),
        Line(name="precision", y=precision, style="truth"),
    )
    return _threshold_figure(
        "by-threshold",
        f"What each threshold of '{positive}' finds",
        "share",
        lines,
        threshold,
        "Of the model, on the judged part.",
    )


def cost_by_threshold(found: LetIn, threshold: float | None, miss: float, alarm: float) -> LinesFigure:
    """The mean cost of a sequence at every threshold."""
    hits, every = _at_thresholds(found)
    cost = (miss * (found.inside[-1, 0] - hits) + alarm * (every - hits)) / found.every[-1, 0]
    return _threshold_figure(
        "cost-by-threshold",
        "What each threshold costs",
        "cost per sequence",
        (Line(name="cost", y=_floats(cost), style="prediction"),),
        threshold,
        f"A miss costs {miss:g}, a false alarm {alarm:g}. The threshold was chosen on the validation part.",
    )


def before_and_after(truth: IntArray, values: Array, calibration: Calibration) -> CurvesFigure:
    """The share that is right over the confidence, with and without the correction."""
    # the probabilities determine the scores up to a constant, which softmax does not see
    scores = (np.log(np.clip(values, 1e-300, None)) - np.asarray(calibration.shifts)) / calibration.scale
    before = Calibration(1.0, (0.0,) * values.shape[1]).probabilities(scores)
    curves = []
    for number, (name, probabilities) in enumerate((("after", values), ("before", before))):
        confidence, right, _ = reliability(truth, probabilities)
        curves.append(_curve(name, confidence, right, number))
    return CurvesFigure(
        name="calibration-before-and-after",
        title="Calibration, before and after the correction",
        caption="The correction was fitted on the validation part. On the diagonal, '80 % sure' is right 80 % of the time.",
        x_label="confidence (probability of the most probable class)",
        y_label="share that is right",
        curves=tuple(curves),
        has_diagonal=True,
    )


def _curve(name: str, x: Array, y: Array, number: int) -> Curve:
    chosen = np.unique(np.linspace(0, len(x) - 1, min(MAX_POINTS, len(x))).round().astype(np.int64))
    return Curve(name=name, x=_floats(x[chosen]), y=_floats(y[chosen]), style="baseline" if number else "prediction")


def _place(found: LetIn, threshold: float | None) -> int | None:
    """The last threshold of the curve that is at or above the chosen one."""
    if threshold is None:
        return None
    at = int((found.thresholds >= threshold).sum()) - 1
    return at if at >= 0 else None


def _at_thresholds(found: LetIn) -> tuple[Array, Array]:
    """What NUM_THRESHOLDS equally spaced thresholds let in: of the class, of all."""
    grid = np.linspace(0.0, 1.0, NUM_THRESHOLDS)
    place = np.searchsorted(-found.thresholds, -grid, side="right")
    return np.append(0.0, found.inside[:, 0])[place], np.append(0.0, found.every[:, 0])[place]


def _threshold_figure(
    name: str, title: str, y_label: str, lines: tuple[Line, ...], threshold: float | None, caption: str
) -> LinesFigure:
    return LinesFigure(
        name=name,
        title=title,
        caption=caption,
        x_label="threshold (probability from which on it is decided for)",
        y_label=y_label,
        x=_floats(np.linspace(0.0, 1.0, NUM_THRESHOLDS)),
        lines=lines,
        marks=() if threshold is None else ((threshold, "threshold"),),
    )


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
