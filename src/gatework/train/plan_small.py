"""What is done differently where whole sequences are few: longer training, noise on the inputs, a second layer, none left out.

Chosen by cross-validation inside the training parts of Japanese Vowels (270 sequences) and BasicMotions (40), not by a test part;
the figures stand in docs/classification.md.
"""

import math

from gatework.data.table import Table
from gatework.runs import TaskName
from gatework.train.choices import Choices

WHOLE: tuple[TaskName, ...] = ("classify", "regress")
"""Tasks with one answer for a whole sequence."""

SMALL_DATA = 2000
"""Training samples below which a smaller, more regularised network is taken."""

LEAST_STEPS = 600
"""Optimiser steps below which a network of the usual size has hardly left its beginning."""

FEW_EPOCHS, MOST_EPOCHS = 40, 200
TRAIN_SHARE = 0.7
JITTER = "jitter=0.2"
LONG = 50
"""Steps of a sequence, on average, from which a second layer is worth its time: at 7 to 29 it gained nothing, at 100 much."""


def few_epochs(task: TaskName, num_samples: int, batch_size: object) -> int:
    """Passes over few samples: more of them where a pass is only a handful of steps."""
    if task not in WHOLE or not isinstance(batch_size, int):
        return FEW_EPOCHS
    steps = math.ceil(max(1.0, TRAIN_SHARE * num_samples) / batch_size)
    return min(MOST_EPOCHS, max(FEW_EPOCHS, math.ceil(LEAST_STEPS / steps)))


def why_patience(waited: int, usual: int, epochs: object) -> str:
    """Why so many epochs are waited for, half of those that are usual, in a training of `epochs`."""
    if epochs == usual:
        return "half of the epochs: the last ones are often the best"
    if isinstance(epochs, int) and waited >= epochs:
        return f"half of the {usual} epochs that are usual; {epochs} are trained, so that training never stops early"
    return f"half of the {usual} epochs that are usual: the last ones are often the best"


def plan_augment(asked: tuple[str, ...], task: TaskName, few: bool, choices: Choices) -> tuple[str, ...]:
    """How batches are varied."""
    if asked or not few or task != "classify":
        return asked
    choices.reasons["augment"] = (
        f"{JITTER}: noise on few sequences, so that their details are not learned by heart; jitter=0: none"
    )
    return (JITTER,)


def plan_layers(asked: int | None, task: TaskName, table: Table, choices: Choices) -> int:
    """How many recurrent layers: two where whole sequences are few and long."""
    count = max(1, table.sequences.height)
    if asked is not None or task != "classify" or count >= SMALL_DATA or table.steps.height < LONG * count:
        return asked or 1
    choices.reasons["num_layers"] = (
        f"2: {count} sequences of {table.steps.height / count:.0f} steps are few and long, and a second layer reads the course "
        f"of what the first one says"
    )
    return 2


def plan_refit(asked: bool | None, task: TaskName, few: bool, choices: Choices) -> bool:
    """Whether the validation part is trained on in the end."""
    if asked is None and not (few and task in WHOLE):
        return False
    why = "sequences are few, so the validation part is trained on, too, once it has said for how many epochs"
    return bool(choices.pick("refit", asked, True, why))
