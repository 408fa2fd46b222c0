"""The mean of several models' answers, as a task whose outputs carry one entry for each member."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gatework.data.prepare import Preparation
from gatework.tasks.conformal import quantile_levels
from gatework.tasks.forecast import Forecast
from gatework.tasks.outputs import INNER_LEVELS, Distribution, Quantiles
from gatework.tasks.task import Task


def mean_of_members(tasks: Sequence[Task], preparation: Preparation) -> Task:
    """The same task for outputs (n, members, …): each member is decoded by its own task, then the mean is taken.

    So the mean is of forecasts in the units of the data, of calibrated probabilities, of quantiles; not of what leads to them.
    preparation: of the data, the same for all.
    """
    if isinstance(tasks[0], Forecast):
        return MeanForecast(tasks[0], preparation)
    kind: Any = type(tasks[0])

    class MeanOfMembers(kind):  # type: ignore[misc]
        """A task that decodes several members."""

        def decode(self, output: np.ndarray, preparation: Preparation) -> np.ndarray:
            decoded = [task.decode(output[:, number], preparation) for number, task in enumerate(tasks)]
            mean: np.ndarray = np.mean(decoded, axis=0)
            return mean

        def scaled(self, output: np.ndarray) -> np.ndarray:
            """Of numbers: the mean, on the model's scale."""
            return preparation.scale_targets(self.decode(output, preparation))

    together: Task = copy.copy(tasks[0])
    together.__class__ = MeanOfMembers
    return together


class MeanForecast(Forecast):
    """A forecast from outputs (n, members, horizon, num_targets[, num_parameters]): the mean of the members' single numbers, or
    of their quantiles at each level, in the units of the data.

    The mean of quantiles keeps the shape of the members' distributions and lies where they lie on average; their mixture would be
    wider than each of them (Vincentization: Ratcliff 1979; Lichtendahl, Grushka-Cockayne and Winkler, "Is it better to average
    probabilities or quantiles?", 2013). What it lacks or has too much of is measured afterwards, on the errors of the ensemble.
    """

    def __init__(self, member: Forecast, preparation: Preparation):
        super().__init__(member.horizon, member.window, member.model, member.season, asked=member.asked)
        self.member_output, self.preparation = member.output, preparation
        self.output = member.output
        if isinstance(member.output, Distribution):
            self.output = Quantiles(sorted({*quantile_levels(member.asked.intervals), *INNER_LEVELS}))
            self.output.is_count = member.output.is_count

    def _numbers(self, output: np.ndarray) -> np.ndarray:
        """(n, horizon, num_targets, levels) on the model's scale; one level, the forecast, where it is a single number."""
        total: np.ndarray | float = 0.0
        for number in range(output.shape[1]):
            parameters = super()._numbers(output[:, number])
            if isinstance(self.output, Quantiles) and isinstance(self.member_output, Distribution):
                parameters = self.member_output.quantile(parameters, self.output.levels)
            total = total + self._changed(parameters, self.preparation.inverse_targets)
        return self._changed(total / output.shape[1], self.preparation.scale_targets)

    def _changed(self, values: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """(..., num_targets, levels) after a change of (..., num_targets); counts have no other scale."""
        if self.output.is_count:
            return values
        return np.moveaxis(change(np.moveaxis(values, -1, 0)), 0, -1)
