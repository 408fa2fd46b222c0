"""Rows of the table that answer for some of the samples only: compared with the model on those samples alone."""

from dataclasses import replace

import numpy as np

from gatework.evaluate.bootstrap import Resampled, bootstrap, gain
from gatework.runs import Score
from gatework.tasks.metrics.scores import IntArray
from gatework.tasks.task import Answer, Case, Task


def gains_over_baselines(
    task: Task, case: Case, answers: list[Answer], resampled: list[Resampled], units: IntArray
) -> dict[str, Score]:
    """By how much the model is better than each baseline on the leading metric, both on the samples that the baseline answers."""
    lead = resampled[0].metrics[0].name
    gains = {}
    for answer, row in zip(answers[1:], resampled[1:], strict=True):
        gains[answer.name] = gain(model_there(task, case, answers, answer, resampled[0], units), row, lead)
    return gains


def model_there(
    task: Task, case: Case, answers: list[Answer], answer: Answer, everywhere: Resampled, units: IntArray
) -> Resampled:
    """The model on the samples that a baseline answers; the same draws."""
    if answer.answered is None:
        return everywhere
    restricted = replace(answers[0], answered=answer.answered)
    return bootstrap(task.measure(case, [restricted, *answers[1:]])[0], units)


def partial_notes(task: Task, case: Case, answers: list[Answer], resampled: list[Resampled], units: IntArray) -> tuple[str, ...]:
    """How the model does on the samples of each such row, which its own row in the table does not say."""
    lead = resampled[0].metrics[0]
    notes = []
    for answer, row in zip(answers, resampled, strict=True):
        if answer.answered is None:
            continue
        ours = model_there(task, case, answers, answer, resampled[0], units).point[0]
        unit = f" {lead.unit}" if lead.unit else ""
        notes.append(
            f"{answer.name} was run on {int(np.sum(answer.answered))} of {len(answer.answered)} windows, evenly spaced, and has "
            f"{lead.name} {row.point[0]:.4g}{unit} there; {answers[0].name} has {ours:.4g}{unit} on the same ones."
        )
    return tuple(notes)
