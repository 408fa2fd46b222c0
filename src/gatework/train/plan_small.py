"""What is done differently where whole sequences are few: longer training, noise on the inputs, no sequence left out in the end.

Chosen by cross-validation inside the training parts of Japanese Vowels (270 sequences) and BasicMotions (40), not by a test part;
the figures stand in docs/benchmarks-time.md.
"""

import math

from gatework.runs import TaskName
from gatework.train.choices import Choices

WHOLE: tuple[TaskName, ...] = ("classify", "regress")
"""Tasks with one answer for a whole sequence."""

LEAST_STEPS = 600
"""Optimiser steps below which a network of the usual size has hardly left its beginning."""

FEW_EPOCHS, MOST_EPOCHS = 40, 200
TRAIN_SHARE = 0.7
JITTER = "jitter=0.2"


def few_epochs(task: TaskName, num_samples: int, batch_size: object) -> int:
    """Passes over few samples: more of them where a pass is only a handful of steps."""
    if task not in WHOLE or not isinstance(batch_size, int):
        return FEW_EPOCHS
    steps = math.ceil(max(1.0, TRAIN_SHARE * num_samples) / batch_size)
    return min(MOST_EPOCHS, max(FEW_EPOCHS, math.ceil(LEAST_STEPS / steps)))


def plan_augment(asked: tuple[str, ...], task: TaskName, few: bool, choices: Choices) -> tuple[str, ...]:
    """How batches are varied."""
    if asked or not few or task != "classify":
        return asked
    choices.reasons["augment"] = (
        f"{JITTER}: noise on few sequences, so that their details are not learned by heart; jitter=0: none"
    )
    return (JITTER,)


def plan_refit(asked: bool | None, task: TaskName, few: bool, choices: Choices) -> bool:
    """Whether the validation part is trained on in the end."""
    if asked is None and not (few and task in WHOLE):
        return False
    why = "sequences are few, so the validation part is trained on, too, once it has said for how many epochs"
    return bool(choices.pick("refit", asked, True, why))
