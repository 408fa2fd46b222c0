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


def kept_bytes(program: Program, entries: int, units: int, item_bytes: int) -> int:
    """What keeping everything for backward would take."""
    return entries * program.kept_rows * units * item_bytes


def put_weights(arguments: Arguments, program: Program, weights: list[Tensor]) -> None:
    """The weights in torch's order, which `prepare` reads."""
    arguments.put_all(program.weight_slots(len(weights)), [weight.contiguous() for weight in weights])


def prepared_forward(own: Plan, x: Tensor, weights: list[Tensor], initial: list[Tensor]) -> tuple[Arguments, Tensor]:
    """The arguments of a forward call, the weights already in the kernel's order; and the call's memory."""
    arguments, memory = own.arguments(x)
    put_weights(arguments, own.program, weights)
    arguments.put_all(own.program.state_slots("initial_"), initial)
    arguments.put(x=x)
    arguments.run(own.kernel.code.once["prepare_forward"], own.is_small)
    return arguments, memory


@dataclass(frozen=True, eq=False)
class Forward:
    """y: (…, units), as x. finals: each state, shaped as the initial one. states: each other state after every step, or nothing.

    saved: what backward needs: [kept (entries, kept rows, padded)], or [lane states at the beginning of each chunk].
    """

    y: Tensor
    finals: list[Tensor]
    states: list[Tensor]
    saved: list[Tensor]


def forward(
    text: str, x: Tensor, weights: list[Tensor], initial: list[Tensor], schedule: Schedule, mode: str, wants_states: bool = False
) -> Forward:
    """All steps. x: (…, input_size), contiguous, in entry order. initial: (…, num_sequences, units), contiguous.

    weights: input, recurrent, the biases of both if there are any, unit weights, matrices.
    mode: `inference`, `keep` or `recompute`.
    """
    own = plan(Sizes.of(text, x, weights[1]), "training" if mode == "keep" else "inference", schedule)
    steps, units = x.shape[:-1], weights[1].shape[1]
    arguments, memory = prepared_forward(own, x, weights, initial)
    y = output(x, *steps, units)
    # a sequence without a step ends in its initial state
    finals = [state.clone() for state in initial]
    states = [output(x, *steps, units) for _ in initial[1:]] if wants_states else []
    arguments.put(y=y)
    arguments.put_all(own.program.state_slots("final_"), finals)
    if states:
        arguments.put_all(own.program.state_slots("out_")[1:], states)
    saved: list[Tensor] = []
    if mode == "keep":
        saved = [empty(x, steps.numel(), own.program.kept_rows, own.padded)]
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
    """With respect to the input (…, input_size) if wanted, the weights, and the initial states."""

    x: Tensor | None
    weights: list[Tensor]
    initial: list[Tensor]


def backward(  # noqa: PLR0913, PLR0917 - what forward took and gave
    text: str, x: Tensor, weights: list[Tensor], initial: list[Tensor], schedule: Schedule, saved: list[Tensor], mode: str,
    d_y: Tensor | None, d_finals: list[Tensor | None], d_states: list[Tensor | None], wants_x: bool = True,
) -> Gradients:  # fmt: skip
    """All gradients.

    d_y: (…, units), contiguous, or None; d_finals, d_states: as in `Forward`, or None.
    """
    sizes = Sizes.of(text, x, weights[1])
    own = plan(sizes, "backward", schedule)
    arguments, _ = own.arguments(x)
    program = own.program
    put_weights(arguments, program, weights)
    # a sequence without a step hands the gradient of its final state on
    d_initial = [
        d_final.clone() if d_final is not None else torch.zeros_like(state)
        for d_final, state in zip(d_finals, initial, strict=True)
    ]
    d_x = output(x, *x.shape) if wants_x else None
    if d_x is not None and not own.program.x_blocks:
        d_x.zero_()  # no gate reads x, so that no product writes there
    arguments.put(x=x, d_x=d_x, d_y=d_y, d_y_stride=0 if d_y is None else d_y.shape[-1])
    arguments.put_all(program.state_slots("d_final_"), d_finals)
    arguments.put_all(program.state_slots("d_initial_"), d_initial)
    if d_states:
        arguments.put_all(program.state_slots("d_out_")[1:], d_states)
    if not wants_x:
        arguments.put(x_back_weights=0)
    gradients = empty_gradients(program, weights)
    arguments.put_all(tuple(f"d {name}" for name in program.weight_slots(len(weights))), gradients)
    code = own.kernel.code
    arguments.run(code.once["prepare_backward"], own.is_small)
    again = Again(sizes, schedule, x, weights, initial, saved[0]) if mode == "recompute" and saved else None
    d_sums, row_bytes = arguments.number("d_sums"), arguments.number("d_sums_stride") * x.element_size()
    for number, chunk in reversed(list(enumerate(own.chunks))):
        kept = saved[0][chunk.first_entry : chunk.last_entry] if again is None else again.run(number, chunk)
        arguments.put_from("kept", kept, chunk.first_entry)
        arguments.put(d_sums=d_sums - chunk.first_entry * row_bytes)
        arguments.put_ticks(chunk)
        arguments.run(code)
        arguments.run(own.products)  # type: ignore[arg-type]  # there in every plan for backward
    arguments.run(code.once["finish"], own.is_small)
    return Gradients(d_x, gradients, d_initial)


def empty_gradients(program: Program, weights: list[Tensor]) -> list[Tensor]:
    """Memory for the gradients of the weights; zeros where a gate has no part in a product, and where products of one matrix
    add up.
    """
    is_whole = all(block.has_x and block.has_r for block in program.blocks) and not program.inner
    if is_whole:
        return [output(weight, *weight.shape) for weight in weights]
    return [torch.zeros_like(weight, memory_format=torch.contiguous_format) for weight in weights]


class Again:
    """Forward run again for one chunk at a time, into the same memory."""

    def __init__(
        self, sizes: Sizes, schedule: Schedule, x: Tensor, weights: list[Tensor], initial: list[Tensor], checkpoints: Tensor
    ):
        self.plan, self.checkpoints = plan(sizes, "training", schedule), checkpoints
        self.arguments, self.memory = prepared_forward(self.plan, x, weights, initial)
        self.kept = empty(x, self.plan.longest, self.plan.program.kept_rows, self.plan.padded)
        self.y = x.new_empty(self.plan.longest, sizes.units)
        self.arguments.put_all(self.plan.program.state_slots("final_"), [torch.empty_like(state) for state in initial])

    def run(self, number: int, chunk: Chunk) -> Tensor:
        """The kept values and the states before each step of the chunk's entries."""
        lane_states(self.plan, self.memory, chunk.first).copy_(self.checkpoints[number])
        self.arguments.put_from("kept", self.kept, chunk.first_entry)
        self.arguments.put_from("y", self.y, chunk.first_entry)
        self.arguments.put_ticks(chunk)
        self.arguments.run(self.plan.kernel.code)
        return self.kept[: chunk.entries]
