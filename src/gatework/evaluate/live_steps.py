"""An answer to each row as it comes: the state is carried from row to row, nothing is read again within a piece."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from gatework.data.encode_row import ColumnEncoder, RowEncoder, Value
from gatework.errors import ConfigError, DataError
from gatework.evaluate.live import Rolling
from gatework.model import Ensemble, TrainedModel
from gatework.runs import STEP_TASKS
from gatework.tasks.classify_steps import StepHead
from gatework.tasks.forecasters.quick import numbers


class LiveSteps:
    """One series of a trained task with an answer at every step, from its first row on. Made by `Predictor.stream`.

    The answers are those of `Predictor.predict` on the same rows: a new piece begins after `piece` rows, and the `window` rows
    before it are then read anew. columns: what a row must hold. classes: in the order of the probabilities; empty for numbers.
    """

    def __init__(self, trained: TrainedModel, static: Mapping[str, Value]):
        """static: the attributes of the series, where the model was trained with any.

        Raises ConfigError for another task and for a network that reads ahead; DataError for an attribute that is not given.
        """
        plan, network = trained.plan, trained.network
        if isinstance(network, Ensemble):
            raise ConfigError(
                "stream() carries the state of one network, and this run is an ensemble. Give one of its members, or use predict."
            )
        if plan.data.task not in STEP_TASKS or plan.model.bidirectional or network.recurrent.cell.inputs:
            why = "reads ahead" if plan.model.bidirectional else f"has the task {plan.data.task} and the cell {plan.model.cell}"
            raise ConfigError(
                f"stream() answers row by row, and this run {why}. Expected classify-steps or regress-steps, read forwards, "
                f"with a cell that reads no time. Use predict."
            )
        assert isinstance(network.head, StepHead)
        self.trained, self.window, self.piece = trained, plan.window, plan.piece
        record = trained.preparation.record
        inputs = record.model_copy(update={"fields": tuple(field for field in record.fields if field.role != "target")})
        self.encoder = RowEncoder(inputs, np.zeros(0, dtype=np.float32))
        self.columns, self.classes = self.encoder.inputs, trained.preparation.classes
        self._own = np.array(
            [
                number
                for field in inputs.fields
                if field.where == "sequences"
                for number in ColumnEncoder(field).encode(attribute(static, field.name))
            ],
            dtype=np.float32,
        )
        self._stream = network.recurrent.stream()
        self._x = torch.zeros(network.recurrent.input_size)
        self._state = torch.zeros(network.recurrent.hidden_size)
        self._x_array, self._state_array = self._x.numpy(), self._state.numpy()
        self._head = QuickStepHead(network.head)
        self._rows = Rolling(self.window, len(self._x))
        self._count = 0

    def update(self, row: Mapping[str, Value]) -> npt.NDArray[np.float64]:
        """The answer to one more row: the probability of each of `classes`, or one number for each target in the data's units.

        row: a value for each of `columns`; None where it is missing. Raises DataError for a column that is not there.
        """
        if self._count and self._count % self.piece == 0:
            self._stream.reset()
            for known in self._rows.all():
                self._x_array[:] = known
                self._stream.step(self._x, self._state)
        observed = self.encoder.encode_observed(row)
        self._x_array[: len(observed)] = observed
        self._x_array[len(observed) :] = self._own
        self._rows.add(self._x_array)
        self._count += 1
        self._stream.step(self._x, self._state)
        output = self._head.read(self._state_array, self._x_array)
        answer: npt.NDArray[np.float64] = self.trained.task.decode(output[None], self.trained.preparation)[0]
        return answer


class QuickStepHead:
    """What `StepHead` gives for one step, from the same weights, in as few calls as can be."""

    def __init__(self, head: StepHead):
        first, second = head.together[0], head.together[2]
        assert isinstance(first, nn.Linear)
        assert isinstance(second, nn.Linear)
        self.first, self.first_bias = numbers(first.weight), numbers(first.bias)
        self.second, self.second_bias = numbers(second.weight), numbers(second.bias)
        self.own = numbers(head.own.weight)

    def read(self, state: npt.NDArray[np.float32], inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(output_size,) scores. state: (hidden_size,) after the step. inputs: (input_size,) of the step."""
        hidden = self.first @ np.concatenate([state, inputs]) + self.first_bias
        active = nn.functional.gelu(torch.from_numpy(hidden)).numpy()  # NumPy has no error function
        scores: npt.NDArray[np.float32] = self.second @ active + self.second_bias + self.own @ inputs
        return scores


def attribute(static: Mapping[str, Value], name: str) -> Value:
    """An attribute of the series; DataError when it is not given."""
    if name not in static:
        raise DataError(
            f"The attributes {', '.join(static) or '(none)'} were given, and '{name}' is not among them. "
            f"Expected every attribute of the training. Give it: stream({{'{name}': …}}); None where it is missing."
        )
    return static[name]
