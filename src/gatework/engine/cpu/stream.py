"""One step at a time: the weights packed once, no allocation, no autograd."""

from functools import lru_cache

import numpy as np
from torch import Tensor

from gatework.cells import Cell
from gatework.cells.equations import canonical_text
from gatework.engine.cpu.layer import lane_states, prepared_forward
from gatework.engine.cpu.plan import Sizes, plan
from gatework.engine.cpu.schedule import Schedule
from gatework.engine.records import LayerWeights


class LayerStream:
    """One layer's state between steps, for `batch` sequences that go on together.

    A snapshot: later changes of the layer's weights have no effect.
    """

    def __init__(self, cell: Cell, weights: LayerWeights, batch: int):
        self.names = cell.states
        like = weights.input.detach()
        units, columns = weights.recurrent.shape[1], weights.input.shape[1]
        columns += cell.bypassing(units)
        own = [tensor.detach() for tensor in weights.tensors()]
        self.units, self.batch = units, batch
        self.x = like.new_zeros(batch, columns)
        self.y = like.new_zeros(batch, units)
        initial = [like.new_zeros(batch, units) for _ in cell.states]
        self.plan = plan(Sizes.of(canonical_text(cell), self.x, own[1]), "inference", endless(batch))
        self.arguments, self.memory = prepared_forward(self.plan, self.x, own, initial)
        self.alone, self.turn = self.plan.kernel.code.alone, 0
        self.x_place, self.y_place = self.arguments.places["x"], self.arguments.places["y"]
        self._fill(self.y)

    def write_into(self, above: "LayerStream") -> None:
        """Leave each output where the layer above reads it, in the first columns."""
        self.y = above.x
        self._fill(above.x)

    def _fill(self, y: Tensor) -> None:
        """Arguments for either of the two ticks, all but where x and y are."""
        self.arguments.put(y_stride=y.shape[1])
        self.ticks = [self.arguments.copy(), self.arguments.copy()]
        for tick, arguments in enumerate(self.ticks):
            arguments.put(first_tick=tick, last_tick=tick + 1)

    def step(self, x: int, y: int) -> None:
        """One step; x, y: addresses of (batch, input_size) and (batch, units), contiguous."""
        arguments = self.ticks[self.turn]
        array = arguments.array
        array[self.x_place], array[self.y_place] = x, y
        self.alone(arguments.address)
        self.turn ^= 1

    def saved_state(self) -> dict[str, Tensor]:
        """A copy of the states, (batch, units) each."""
        return {name: view.clone() for name, view in zip(self.names, self._views(), strict=True)}

    def restore(self, saved: dict[str, Tensor]) -> None:
        """Go on from these states."""
        for name, view in zip(self.names, self._views(), strict=True):
            view.copy_(saved[name])

    def _views(self) -> Tensor:
        """The states in scratch: (num_states, batch, units)."""
        states = lane_states(self.plan, self.memory, self.turn)
        return states.view(len(self.names), self.batch, -1)[:, :, : self.units]


@lru_cache(maxsize=64)
def endless(batch: int) -> Schedule:
    """A schedule of two ticks that are computed in turn: no sequence begins or ends."""
    start = np.zeros((1, 2), dtype=np.int64)
    count = np.full((1, 2), batch, dtype=np.int64)
    events, ranges = np.zeros((0, 3), dtype=np.int64), np.zeros((1, 2), dtype=np.int64)
    return Schedule(1, batch, 2, np.full(1, 2, dtype=np.int64), start, count, events, ranges, events, ranges, None)
