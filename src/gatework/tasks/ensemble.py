"""The mean of several models' answers, as a task whose outputs carry one entry for each member."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from gatework.data.prepare import Preparation
from gatework.tasks.task import Task


def mean_of_members(tasks: Sequence[Task]) -> Task:
    """The same task for outputs (n, members, …): each member is decoded by its own task, then the mean is taken.

    So the mean is of forecasts in the units of the data, of calibrated probabilities, of quantiles; not of what leads to them.
    """
    kind: Any = type(tasks[0])

    class MeanOfMembers(kind):  # type: ignore[misc]
        """A task that decodes several members."""

        def decode(self, output: np.ndarray, preparation: Preparation) -> np.ndarray:
            decoded = [task.decode(output[:, number], preparation) for number, task in enumerate(tasks)]
            mean: np.ndarray = np.mean(decoded, axis=0)
            return mean

    together: Task = copy.copy(tasks[0])
    together.__class__ = MeanOfMembers
    return together
