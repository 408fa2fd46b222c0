"""One direction of one layer, forward and backward, in chunks of ticks.

A chunk's gate gradients are multiplied into the weights' gradients while they are in the cache. What backward needs of forward
is either kept, or forward is run again chunk by chunk from the states at the beginning of each chunk. Both walk the same chunks
in the same order and add up in the same order, so their gradients are equal bit for bit.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gatework.engine.cpu.arguments import Arguments
from gatework.engine.cpu.memory import empty, output
from gatework.engine.cpu.plan import Plan, Sizes, plan
from gatework.engine.cpu.program import Program
from gatework.engine.cpu.schedule import Chunk, Schedule

KEEP_BYTES = 256 * 2**20
"""What is kept for backward at the most; beyond it forward is run again."""


@dataclass(frozen=True, eq=False)
class Weights:
    """One direction's weights in torch's order; unit, matrices: each unit weight, each matrix."""

    input: Tensor
    recurrent: Tensor
    input_bias: Tensor | None
    recurrent_bias: Tensor | None
    unit: list[Tensor]
    matrices: list[Tensor]

    def contiguous(self) -> "Weights":
        """Row after row in memory, as the kernels read them."""
        biases = [None if bias is None else bias.contiguous() for bias in (self.input_bias, self.recurrent_bias)]
        unit, matrices = ([weight.contiguous() for weight in weights] for weights in (self.unit, self.matrices))
        return Weights(self.input.contiguous(), self.recurrent.contiguous(), biases[0], biases[1], unit, matrices)


def kept_bytes(program: Program, entries: int, units: int, item_bytes: int) -> int:
    """What keeping everything for backward would take."""
    return entries * program.kept_rows * units * item_bytes


def put_weights(arguments: Arguments, program: Program, weights: Weights) -> None:
    """The weights in torch's order, which `prepare` reads."""
    own = weights.contiguous()
    arguments.put(input=own.input, recurrent=own.recurrent, input_bias=own.input_bias, recurrent_bias=own.recurrent_bias)
    for name, weight in zip(program.cell.unit_weights, own.unit, strict=True):
        arguments.put(**{f"unit {name}": weight})
    for name, matrix in zip(program.cell.matrices, own.matrices, strict=True):
        arguments.put(**{f"matrix {name}": matrix})


def prepared_forward(own: Plan, x: Tensor, weights: Weights, initial: list[Tensor]) -> tuple[Arguments, Tensor]:
    """The arguments of a forward call, the weights already in the kernel's order; and the call's memory."""
    arguments, memory = own.arguments(x)
    put_weights(arguments, own.program, weights)
    arguments.put(x=x)
    for name, state in zip(own.program.cell.state_names, initial, strict=True):
        arguments.put(**{f"initial_{name}": state})
    own.kernel.code.once["prepare_forward"](arguments.address)
    return arguments, memory


@dataclass(frozen=True, eq=False)
class Forward:
    """y: (entries, units). finals: each state, shaped as the initial one. states: each other state after every step, or nothing.

    saved: what backward needs: [kept (entries, kept rows, padded)], or [lane states at the beginning of each chunk].
    """

    y: Tensor
    finals: list[Tensor]
    states: list[Tensor]
    saved: list[Tensor]


def forward(
    text: str, x: Tensor, weights: Weights, initial: list[Tensor], schedule: Schedule, mode: str, wants_states: bool = False
) -> Forward:
    """All steps. x: (entries, input_size), in entry order. initial: (…, num_sequences, units), contiguous.

    mode: `inference`, `keep` or `recompute`.
    """
    own = plan(Sizes.of(text, x, weights.recurrent), "training" if mode == "keep" else "inference", schedule)
    entries, units, names = len(x), weights.recurrent.shape[1], own.program.cell.state_names
    arguments, memory = prepared_forward(own, x, weights, initial)
    y = output(x, entries, units)
    # a sequence without a step ends in its initial state
    finals = [state.clone() for state in initial]
    states = [output(x, entries, units) for _ in names[1:]] if wants_states else []
    arguments.put(y=y)
    for name, final in zip(names, finals, strict=True):
        arguments.put(**{f"final_{name}": final})
    for name, state in zip(names[1:], states, strict=False):
        arguments.put(**{f"out_{name}": state})
    saved: list[Tensor] = []
    if mode == "keep":
        saved = [empty(x, entries, own.program.kept_rows, own.padded)]
        arguments.put(kept=saved[0])
    if mode != "recompute":
        arguments.run(own.kernel.code)
        return Forward(y, finals, states, saved)
    checkpoints = []
    for chunk in own.chunks:
        checkpoints.append(lane_states(own, memory, chunk.first).clone())
        arguments.put_ticks(chunk)
        arguments.run(own.kernel.code)
    return Forward(y, finals, states, [torch.stack(checkpoints)] if checkpoints else [])


def lane_states(own: Plan, memory: Tensor, tick: int) -> Tensor:
    """A view of the states of all lanes before a tick: (parts, numbers)."""
    parts, part_size = own.schedule.parts, own.template.number("scratch_size")
    first = own.offset("scratch")
    scratch = memory[first : first + parts * part_size].view(parts, part_size)
    size = len(own.program.cell.state_names) * own.schedule.lanes * own.template.number("lane_stride")
    turn = tick & 1
    return scratch[:, turn * size : (turn + 1) * size]


@dataclass(frozen=True, eq=False)
class Gradients:
    """With respect to the input (entries, input_size) if wanted, the weights, and the initial states."""

    x: Tensor | None
    weights: Weights
    initial: list[Tensor]


def backward(  # noqa: PLR0913, PLR0917 - what forward took and gave
    text: str, x: Tensor, weights: Weights, initial: list[Tensor], schedule: Schedule, saved: list[Tensor], mode: str,
    d_y: Tensor | None, d_finals: list[Tensor | None], d_states: list[Tensor | None], wants_x: bool = True,
) -> Gradients:  # fmt: skip
    """All gradients.

    d_y: (entries, units) with unit stride along units, or None; d_finals, d_states: as in `Forward`, or None.
    """
    sizes = Sizes.of(text, x, weights.recurrent)
    own = plan(sizes, "backward", schedule)
    arguments, _ = own.arguments(x)
    put_weights(arguments, own.program, weights)
    names = own.program.cell.state_names
    # a sequence without a step hands the gradient of its final state on
    d_initial = [
        d_final.clone() if d_final is not None else torch.zeros_like(state)
        for d_final, state in zip(d_finals, initial, strict=True)
    ]
    d_x = output(x, *x.shape) if wants_x else None
    arguments.put(x=x, d_x=d_x, d_y=d_y, d_y_stride=0 if d_y is None else d_y.stride(0))
    for name, d_final, d_first in zip(names, d_finals, d_initial, strict=True):
        arguments.put(**{f"d_final_{name}": d_final, f"d_initial_{name}": d_first})
    for name, d_state in zip(names[1:], d_states, strict=False):
        arguments.put(**{f"d_out_{name}": d_state})
    if not wants_x:
        arguments.put(x_back_weights=0)
    gradients = empty_gradients(own.program, weights)
    put_gradients(arguments, own.program, gradients)
    code = own.kernel.code
    code.once["prepare_backward"](arguments.address)
    again = Again(sizes, schedule, x, weights, initial, saved[0]) if mode == "recompute" and saved else None
    d_sums, row_bytes = arguments.number("d_sums"), arguments.number("d_sums_stride") * x.element_size()
    for number, chunk in reversed(list(enumerate(own.chunks))):
        kept = saved[0][chunk.first_entry : chunk.last_entry] if again is None else again.run(number, chunk)
        arguments.put_from("kept", kept, chunk.first_entry)
        arguments.put(d_sums=d_sums - chunk.first_entry * row_bytes)
        arguments.put_ticks(chunk)
        arguments.run(code)
        arguments.run(own.products)  # type: ignore[arg-type]  # there in every plan for backward
    code.once["finish"](arguments.address)
    return Gradients(d_x, gradients, d_initial)


def empty_gradients(program: Program, weights: Weights) -> Weights:
    """Memory for the gradients of the weights; zeros where a gate has no part in a product."""
    is_whole = all(block.has_x and block.has_r for block in program.blocks)
    form = torch.contiguous_format

    def make(weight: Tensor) -> Tensor:
        return output(weight, *weight.shape) if is_whole else torch.zeros_like(weight, memory_format=form)

    biases = [None if bias is None else make(bias) for bias in (weights.input_bias, weights.recurrent_bias)]
    return Weights(
        make(weights.input),
        make(weights.recurrent),
        biases[0],
        biases[1],
        [torch.empty_like(weight, memory_format=form) for weight in weights.unit],
        [torch.zeros_like(matrix, memory_format=form) for matrix in weights.matrices],
    )


def put_gradients(arguments: Arguments, program: Program, gradients: Weights) -> None:
    """Where `finish` leaves the gradients of the weights."""
    arguments.put(
        d_weight_input=gradients.input, d_weight_recurrent=gradients.recurrent, d_input_bias=gradients.input_bias,
        d_recurrent_bias=gradients.recurrent_bias,
    )  # fmt: skip
    for name, gradient in zip(program.cell.unit_weights, gradients.unit, strict=True):
        arguments.put(**{f"d_unit {name}": gradient})
    for name, gradient in zip(program.cell.matrices, gradients.matrices, strict=True):
        arguments.put(**{f"d_matrix {name}": gradient})


class Again:
    """Forward run again for one chunk at a time, into the same memory."""

    def __init__(self, sizes: Sizes, schedule: Schedule, x: Tensor, weights: Weights, initial: list[Tensor], checkpoints: Tensor):
        self.plan, self.checkpoints = plan(sizes, "training", schedule), checkpoints
        self.arguments, self.memory = prepared_forward(self.plan, x, weights, initial)
        self.kept = empty(x, self.plan.longest, self.plan.program.kept_rows, self.plan.padded)
        self.y = x.new_empty(self.plan.longest, sizes.units)
        for name, state in zip(self.plan.program.cell.state_names, initial, strict=True):
            self.arguments.put(**{f"final_{name}": torch.empty_like(state)})

    def run(self, number: int, chunk: Chunk) -> Tensor:
        """The kept values and the states before each step of the chunk's entries."""
        lane_states(self.plan, self.memory, chunk.first).copy_(self.checkpoints[number])
        self.arguments.put_from("kept", self.kept, chunk.first_entry)
        self.arguments.put_from("y", self.y, chunk.first_entry)
        self.arguments.put_ticks(chunk)
        self.arguments.run(self.plan.kernel.code)
        return self.kept[: chunk.entries]
