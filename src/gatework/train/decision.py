"""What a trained classification learns from the validation part: its calibration and its threshold."""

import numpy as np
import torch

from gatework.data.prepare import Preparation
from gatework.data.samples import SequenceSamples
from gatework.data.step_samples import StepSamples
from gatework.model import SequenceModel
from gatework.runs import Decision, Plan, TrainingPlan
from gatework.tasks import Classify, ClassifySteps, Task
from gatework.tasks.calibration import Calibration, fit_calibration
from gatework.tasks.decide import fit_rule
from gatework.tasks.task import Samples
from gatework.train.loop import batches_in_order

FEW_POSITIVES = 10
"""Fewer validation sequences of a class than this make a threshold a matter of luck."""


def with_class_weights(task: Task, plan: TrainingPlan, train: Samples) -> Task:
    """The task with what a sequence of each class counts in its loss, by the classes of the training part."""
    if not isinstance(task, Classify | ClassifySteps) or plan.class_weights == "none":
        return task
    prepared = train.prepared
    if isinstance(plan.class_weights, dict):
        return task.weighted(tuple(plan.class_weights.get(name, 1.0) for name in prepared.classes))
    known = classes_of(train)
    counts = np.bincount(known[known >= 0], minlength=len(prepared.classes))
    # scikit-learn's 'balanced' (King and Zeng 2001): every class weighs the same in all
    return task.weighted(tuple(float(counts.sum() / (len(counts) * max(1, count))) for count in counts))


def classes_of(samples: Samples) -> np.ndarray:
    """(n,) class index of each sequence or judged step, −1 unknown."""
    assert isinstance(samples, SequenceSamples | StepSamples)
    return samples.prepared.targets[samples.place].astype(np.int64)


def fit_decision(
    plan: Plan, network: SequenceModel, task: Task, validation: Samples, preparation: Preparation
) -> Decision | None:
    """decision.json of a classification; None for other tasks."""
    if not isinstance(task, Classify | ClassifySteps):
        return None
    whole = task.whole if isinstance(task, ClassifySteps) else task
    truth, classes = classes_of(validation), preparation.classes
    scores = scores_of(network, validation)
    wishes = plan.decision
    calibration = fit_calibration(wishes.calibration, scores, truth, whole.loss_of_classes.weights)
    probabilities = calibration.probabilities(scores)
    rule, is_reached = fit_rule(wishes, classes, truth, probabilities)
    return Decision(
        calibration=wishes.calibration,
        classes=tuple(classes),
        scale=calibration.scale,
        shifts=calibration.shifts,
        positive=wishes.positive,
        threshold=rule.threshold,
        costs=rule.costs,
        num_sequences=len(truth),
        log_loss=(log_loss(Calibration(1.0, (0.0,) * len(classes)), scores, truth), log_loss(calibration, scores, truth)),
        notes=notes_on(plan, truth, classes, rule.threshold, is_reached),
    )


def scores_of(network: SequenceModel, samples: Samples) -> np.ndarray:
    """(n, num_classes) scores of the network, without dropout."""
    network.eval()
    with torch.inference_mode():
        return np.concatenate([network.predict(batch).numpy() for batch in batches_in_order(samples)]).astype(np.float64)


def log_loss(calibration: Calibration, scores: np.ndarray, truth: np.ndarray) -> float:
    """Mean of −ln of the probability given to the true class."""
    given = calibration.probabilities(scores)[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(given, np.finfo(np.float64).eps, 1.0)).mean())


def count_of(plan: Plan, truth: np.ndarray, classes: list[str]) -> int:
    """How many sequences are of the positive class."""
    return int((truth == classes.index(plan.decision.positive)).sum())


def notes_on(plan: Plan, truth: np.ndarray, classes: list[str], threshold: float | None, is_reached: bool) -> tuple[str, ...]:
    """What must be said about a decision that was fitted on little, or does not reach what was wanted."""
    notes = []
    if len(np.unique(truth)) == 1:
        notes.append(
            f"The validation part has sequences of '{classes[int(truth[0])]}' alone, so that calibration and threshold "
            f"say little. "
            f"Give more data, or a larger --validation-share."
        )
    elif threshold is not None and (positives := count_of(plan, truth, classes)) < FEW_POSITIVES:
        notes.append(
            f"The threshold was chosen on {positives} validation sequences of '{plan.decision.positive}': another draw "
            f"would give another one. A larger --validation-share makes it steadier."
        )
    wanted = plan.decision.sensitivity or plan.decision.precision
    if threshold is not None and wanted and not is_reached:
        what = "sensitivity" if plan.decision.sensitivity else "precision"
        notes.append(f"No threshold reaches the wanted {what} of {wanted:g} on the validation part; the best one was taken.")
    return tuple(notes)
