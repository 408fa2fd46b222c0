"""A trained detector on some data: its score of every step, its ranges, and what can be said of them."""

import numpy as np

from gatework.data.prepared import Prepared
from gatework.data.series import IntArray
from gatework.errors import RunError
from gatework.model import TrainedModel
from gatework.runs import Evaluation, Figure
from gatework.tasks.detectors.detector import Scored, residuals_of, scored
from gatework.tasks.detectors.expect import expect
from gatework.tasks.detectors.explain import Judgement
from gatework.tasks.detectors.figures import anomaly_figures
from gatework.tasks.metrics.anomalies import LABELLED_METRICS


def judge_steps(trained: TrainedModel, prepared: Prepared, rows: IntArray) -> Judgement:
    """Every series read from its start; `rows` of them judged. Scores are in thresholds: above 1 is an alarm.

    Raises RunError when the run has no detector.
    """
    plan, record = trained.plan, trained.detector
    if plan.anomaly is None or record is None:
        raise RunError(
            f"The task of this run is {plan.data.task}, which has no detector. Expected a run of anomaly detection. "
            f"Train one with --task anomaly."
        )
    expected = expect(trained.network, prepared, plan.anomaly, plan.window)
    scores, shares = scored(expected, residuals_of(record), prepared.offsets, plan.anomaly.smoothing)
    values = trained.preparation.inverse_targets(expected.values)
    return Judgement(prepared, Scored(scores / record.threshold.value, shares, values), rows, plan.anomaly.gap)


def figures_of(trained: TrainedModel, judgement: Judgement, units: tuple[str, ...]) -> tuple[Figure, ...]:
    """The score with its threshold and the most unusual places."""
    return anomaly_figures(judgement, trained.plan.window, units)


def without_labels(evaluation: Evaluation, judgement: Judgement) -> tuple[str, ...]:
    """The verdict where nobody knows what was an anomaly: counts, and no winner; else the verdict as it is."""
    if any(metric.name == LABELLED_METRICS[0].name for metric in evaluation.metrics):
        return evaluation.verdict
    found = len(judgement.ranges)
    scored_steps = int(np.isfinite(judgement.found.scores[judgement.rows]).sum())
    alarms = f"{found} range{'' if found == 1 else 's'}"
    sentence = (
        f"There are no labels, so nothing can be said about who wins: {alarms} of {scored_steps} scored steps are above the "
        f"threshold. "
        f"Look at them; name a column that says which steps are anomalies with --labels-column to have them judged."
    )
    return (sentence,)


def threshold_notes(trained: TrainedModel) -> tuple[str, ...]:
    """What a reader must know of the threshold."""
    record, plan = trained.detector, trained.plan.anomaly
    if record is None or plan is None:
        return ()
    threshold = record.threshold
    interval = f", 95 % interval {threshold.low:.3g} to {threshold.high:.3g}" if threshold.low is not None else ""
    first = (
        f"The threshold is {threshold.value:.3g} times the usual residual{interval}: by {threshold.how}, from "
        f"{threshold.num_steps} "
        f"steps of the validation part, for a budget of {plan.false_alarms}. Scores are in thresholds; events are judged with a "
        f"tolerance of {plan.gap} steps, and no points are adjusted."
    )
    return (first, *record.notes, *threshold.notes)
