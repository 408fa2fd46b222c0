"""A layer's pass without gradients, made ready: all that does not change from batch to batch is in place.

For a small layer what surrounds the kernels (asking for memory, finding the plan, filling the arguments) takes as long as they.
"""

import os

import torch
from torch import Tensor

from gatework.cells import Cell
from gatework.cells.equations import canonical_text
from gatework.engine.cpu.layer import put_weights
from gatework.engine.cpu.machine import VARIABLE
from gatework.engine.cpu.memory import output
from gatework.engine.cpu.operators import schedule_of
from gatework.engine.cpu.plan import Sizes, plan

MOST_BYTES = 2**25
"""What one layer may hold between two calls."""


class ReadyLayer:
    """One direction of one layer on dense batches of one shape, from zero states. For one thread at a time.

    x: a batch of that shape. weights: in torch's order; where they are must not change, what is in them may.
    """

    def __init__(self, cell: Cell, x: Tensor, weights: list[Tensor]):
        text, self.units = canonical_text(cell), weights[1].shape[1]
        self.threads, self.target = torch.get_num_threads(), os.environ.get(VARIABLE, "")
        schedule, _ = schedule_of(x, None, False, text, self.units, self.threads)
        self.plan = plan(Sizes.of(text, x, weights[1]), "inference", schedule)
        self.arguments, self.memory = self.plan.arguments(x)
        program, places = self.plan.program, self.arguments.places
        zeros = x.new_zeros(x.shape[1], self.units)
        put_weights(self.arguments, program, weights)
        self.arguments.put_all(program.state_slots("initial_"), [zeros] * len(cell.states))
        self.x, self.y = places["x"], places["y"]
        self.finals = [places[name] for name in program.state_slots("final_")]
        self.code, self.once = self.plan.kernel.code, self.plan.kernel.code.once["prepare_forward"]

    @property
    def is_large(self) -> bool:
        """Whether it holds too much memory to be kept."""
        return self.memory.numel() * self.memory.element_size() > MOST_BYTES

    def fits_machine(self) -> bool:
        """Whether a call now would have as many threads and the same instructions."""
        return torch.get_num_threads() == self.threads and os.environ.get(VARIABLE, "") == self.target

    def run(self, x: Tensor, finals: list[int]) -> Tensor:
        """The outputs (steps, num_sequences, units). finals: where each state after the last step goes, an address each."""
        y = output(x, x.shape[0], x.shape[1], self.units)
        arguments, array = self.arguments, self.arguments.array
        array[self.x], array[self.y] = x.data_ptr(), y.data_ptr()
        for place, address in zip(self.finals, finals, strict=True):
            array[place] = address
        arguments.run(self.once, self.plan.is_small)
        arguments.run(self.code)
        return y
