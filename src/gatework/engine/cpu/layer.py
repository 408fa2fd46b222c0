"""One direction of one layer, forward and backward, in chunks of ticks.

A chunk's gate gradients are multiplied into the weights' gradients while they are in the cache. What backward needs of forward
is either kept, or
forward is run again chunk by chunk from the states at the beginning of each chunk. Both walk the same chunks in the same order
and
add up in the same order, so their gradients are equal bit for bit.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from gatework.engine.cpu.arguments import Arguments
from gatework.engine.cpu.compile import Kernel, kernel
from gatework.engine.cpu.frame import Frame, scratch_rows
from gatework.engine.cpu.machine import machine
from gatework.engine.cpu.pack import by_block, pack_backward, pack_bias, pack_forward, pack_units, padded_to, unpack
from gatework.engine.cpu.program import Program, program_of
from gatework.engine.cpu.schedule import Schedule

CHUNK_ENTRIES = 2048
"""Steps of a chunk, about: its gate gradients stay in the last-level cache until they have been multiplied."""

KEEP_BYTES = 256 * 2**20
"""What is kept for backward at the most; beyond it forward is run again."""


@dataclass(frozen=True, eq=False)
class Weights:
    """One direction's weights in torch's order; units: of each unit weight."""

    input: Tensor
    recurrent: Tensor
    input_bias: Tensor | None
    recurrent_bias: Tensor | None
    unit: list[Tensor]


@dataclass(frozen=True, eq=False)
class Layer:
    """A cell at the sizes of one call."""

    program: Program
    text: str
    dtype: torch.dtype
    units: int
    input_size: int

    @classmethod
    def of(cls, text: str, x: Tensor, weights: Weights) -> "Layer":
        """The layer that these tensors ask for; x: (entries, input_size)."""
        return cls(program_of(text), text, x.dtype, weights.recurrent.shape[1], x.shape[1])

    def kernel(self, kind: str) -> Kernel:
        """The compiled kernel of this kind."""
        return kernel(self.text, self.dtype, kind, machine())  # type: ignore[arg-type]

    def padded(self, frame: Frame) -> int:
        """Units rounded up to whole vectors."""
        return padded_to(self.units, frame.lanes.width)

    def base(self, frame: Frame, schedule: Schedule, like: Tensor) -> Arguments:
        """The arguments that every call has: the schedule, the sizes, zeroed scratch."""
        stride = padded_to(self.units, frame.back_vectors * frame.lanes.width)
        size = scratch_rows(self.program, schedule.lanes) * stride
        arguments = Arguments(self.program.cell.state_names)
        arguments.put_schedule(schedule)
        arguments.put(
            scratch=like.new_zeros(schedule.parts * size), scratch_size=size, lane_stride=stride, units=self.units,
            padded=self.padded(frame), tiles=self.padded(frame) // frame.lanes.width, input_size=self.input_size,
        )  # fmt: skip
        return arguments


def chunk_bounds(schedule: Schedule) -> list[tuple[int, int]]:
    """The ticks of each chunk, first to last; the same for keeping and for running again."""
    lanes = max(1, schedule.parts * schedule.lanes)
    ticks = max(1, CHUNK_ENTRIES // lanes)
    return [(first, min(first + ticks, schedule.max_ticks)) for first in range(0, schedule.max_ticks, ticks)]


def kept_bytes(program: Program, entries: int, units: int, item_bytes: int) -> int:
    """What keeping everything for backward would take."""
    rows = len(program.kept) + len(program.cell.state_names)
    return entries * rows * units * item_bytes


def put_forward(layer: Layer, frame: Frame, arguments: Arguments, x: Tensor, weights: Weights, initial: list[Tensor]) -> None:
    """Weights, input and initial states of a forward call."""
    program, width = layer.program, frame.lanes.width
    gates = program.cell.gates
    arguments.put(
        x=x,
        x_stride=x.stride(0) if len(x) > 1 else layer.input_size,
        x_weights=pack_forward(weights.input, gates, program.x_blocks, layer.units, width),
        r_weights=pack_forward(weights.recurrent, gates, program.r_blocks, layer.units, width),
        bias=pack_bias(weights.input_bias, weights.recurrent_bias, gates, program.blocks, layer.units, width, x),
        unit_weights=pack_units(weights.unit, layer.units, layer.padded(frame), x),
    )
    for name, state in zip(program.cell.state_names, initial, strict=True):
        arguments.put(**{f"initial_{name}": state})


@dataclass(frozen=True, eq=False)
class Forward:
    """y: (entries, units). finals: each state (num_sequences, units). states: each other state after every step, or nothing.

    saved: what backward needs: [kept, before of each state], or [lane states at the beginning of each chunk].
    """

    y: Tensor
    finals: list[Tensor]
    states: list[Tensor]
    saved: list[Tensor]


def forward(
    text: str, x: Tensor, weights: Weights, initial: list[Tensor], schedule: Schedule, mode: str, wants_states: bool = False
) -> Forward:
    """All steps. x: (entries, input_size), in entry order. mode: `inference`, `keep` or `recompute`."""
    layer = Layer.of(text, x, weights)
    compiled = layer.kernel("training" if mode == "keep" else "inference")
    frame = compiled.frame
    entries, names = len(x), layer.program.cell.state_names
    arguments = layer.base(frame, schedule, x)
    put_forward(layer, frame, arguments, x, weights, initial)
    y = x.new_empty(entries, layer.units)
    finals = [state.clone() for state in initial]
    states = [x.new_empty(entries, layer.units) for _ in names[1:]] if wants_states else []
    arguments.put(y=y, y_stride=layer.units)
    arguments.put(**{f"final_{name}": final for name, final in zip(names, finals, strict=True)})
    arguments.put(**{f"out_{name}": state for name, state in zip(names[1:], states, strict=False)})
    saved: list[Tensor] = []
    if mode == "keep":
        saved = kept_memory(layer, frame, entries, x)
        put_kept(layer, arguments, saved, 0)
    if mode != "recompute":
        arguments.run(compiled)
        return Forward(y, finals, states, saved)
    checkpoints = []
    for first, last in chunk_bounds(schedule):
        checkpoints.append(lane_states(layer, arguments, schedule, first).clone())
        arguments.put_ticks(schedule, first, last)
        arguments.run(compiled)
    return Forward(y, finals, states, [torch.stack(checkpoints)] if checkpoints else [])


def lane_states(layer: Layer, arguments: Arguments, schedule: Schedule, tick: int) -> Tensor:
    """A view of the states of all lanes before a tick: (parts, numbers)."""
    scratch = arguments.tensor("scratch").view(schedule.parts, -1)
    size = len(layer.program.cell.state_names) * schedule.lanes * int(arguments.number("lane_stride"))
    turn = tick & 1
    return scratch[:, turn * size : (turn + 1) * size]


def kept_memory(layer: Layer, frame: Frame, entries: int, like: Tensor) -> list[Tensor]:
    """Memory for the kept values and the states before each step."""
    padded = layer.padded(frame)
    kept = like.new_empty(entries, len(layer.program.kept), padded)
    return [kept, *(like.new_empty(entries, padded) for _ in layer.program.cell.state_names)]


def put_kept(layer: Layer, arguments: Arguments, saved: list[Tensor], first_entry: int) -> None:
    """Point a call at kept memory whose first row is `first_entry`; kernels count entries from 0."""
    kept, *before = saved
    arguments.put_shifted("kept", kept, first_entry)
    for name, tensor in zip(layer.program.cell.state_names, before, strict=True):
        arguments.put_shifted(f"before_{name}", tensor, first_entry)


@dataclass(frozen=True, eq=False)
class Gradients:
    """With respect to the input (entries, input_size), the weights, and the initial states."""

    x: Tensor
    weights: Weights
    initial: list[Tensor]


def backward(  # noqa: PLR0913, PLR0917 - what forward took and gave
    text: str, x: Tensor, weights: Weights, initial: list[Tensor], schedule: Schedule, saved: list[Tensor], mode: str,
    d_y: Tensor | None, d_finals: list[Tensor | None], d_states: list[Tensor | None],
) -> Gradients:  # fmt: skip
    """All gradients.

    d_y: (entries, units) with unit stride along units, or None; d_finals, d_states: as in `Forward`, or None.
    """
    layer = Layer.of(text, x, weights)
    compiled = layer.kernel("backward")
    frame, names = compiled.frame, layer.program.cell.state_names
    gates, width, padded = layer.program.cell.gates, frame.lanes.width, layer.padded(frame)
    arguments = layer.base(frame, schedule, x)
    d_initial = [
        d_final.clone() if d_final is not None else torch.zeros_like(state)
        for d_final, state in zip(d_finals, initial, strict=True)
    ]
    d_unit = x.new_zeros(schedule.parts, max(1, len(weights.unit)), padded)
    packed = pack_backward(weights.recurrent, gates, layer.program.r_blocks, layer.units, width, frame.back_vectors)
    arguments.put(
        unit_weights=pack_units(weights.unit, layer.units, padded, x), d_unit_weights=d_unit, back_weights=packed,
        back_tiles=packed.shape[0], d_y=d_y, d_y_stride=0 if d_y is None else d_y.stride(0),
    )  # fmt: skip
    for number, name in enumerate(names):
        arguments.put(**{f"d_final_{name}": d_finals[number], f"d_initial_{name}": d_initial[number]})
    for name, d_state in zip(names[1:], d_states, strict=False):
        arguments.put(**{f"d_out_{name}": d_state})
    again = Again(layer, schedule, x, weights, initial, saved[0]) if mode == "recompute" and saved else None
    totals = Totals(layer, frame, x, weights)
    chunks = [(bounds, schedule.entries_between(*bounds)) for bounds in chunk_bounds(schedule)]
    longest = max((last - first for _, (first, last) in chunks), default=0)
    memory = x.new_empty(longest, len(layer.program.blocks) * padded)
    for number, ((first, last), (first_entry, last_entry)) in reversed(list(enumerate(chunks))):
        rows = slice(first_entry, last_entry)
        chunk = [tensor[rows] for tensor in saved] if again is None else again.run(number, first, last, rows)
        put_kept(layer, arguments, chunk, first_entry)
        d_sums = memory[: last_entry - first_entry]
        arguments.put_shifted("d_sums", d_sums, first_entry)
        arguments.put_ticks(schedule, first, last)
        arguments.run(compiled)
        totals.add(rows, d_sums, chunk[1])
    return totals.result(d_initial, d_unit.sum(0))


class Again:
    """Forward run again for one chunk at a time, into the same memory."""

    def __init__(self, layer: Layer, schedule: Schedule, x: Tensor, weights: Weights, initial: list[Tensor], checkpoints: Tensor):
        self.layer, self.schedule, self.checkpoints = layer, schedule, checkpoints
        self.kernel = layer.kernel("training")
        self.arguments = layer.base(self.kernel.frame, schedule, x)
        put_forward(layer, self.kernel.frame, self.arguments, x, weights, initial)
        longest = max(last - first for first, last in (schedule.entries_between(*chunk) for chunk in chunk_bounds(schedule)))
        self.memory = kept_memory(layer, self.kernel.frame, longest, x)
        self.y = x.new_empty(longest, layer.units)
        names = layer.program.cell.state_names
        self.arguments.put(
            y_stride=layer.units, **{f"final_{name}": torch.empty_like(state) for name, state in zip(names, initial, strict=True)}
        )

    def run(self, number: int, first: int, last: int, rows: slice) -> list[Tensor]:
        """The kept values and the states before each step of the chunk's entries."""
        lane_states(self.layer, self.arguments, self.schedule, first).copy_(self.checkpoints[number])
        put_kept(self.layer, self.arguments, self.memory, rows.start)
        self.arguments.put_shifted("y", self.y, rows.start)
        self.arguments.put_ticks(self.schedule, first, last)
        self.arguments.run(self.kernel)
        return [tensor[: rows.stop - rows.start] for tensor in self.memory]


class Totals:
    """The large products after the kernel, added up chunk by chunk: gradients of the weights and of x."""

    def __init__(self, layer: Layer, frame: Frame, x: Tensor, weights: Weights):
        self.layer, self.x, self.weights = layer, x, weights
        program, self.padded = layer.program, layer.padded(frame)
        self.num_x, self.first_r = len(program.x_blocks), program.first_r
        blocks_x = by_block(weights.input, program.cell.gates, program.x_blocks, layer.units)
        rows = pad(blocks_x, (0, 0, 0, self.padded - layer.units)).reshape(self.num_x * self.padded, -1)
        # transposed where one side is short: MKL is up to ten times faster on (7, steps) · (steps, 256) than on its transpose
        self.x_weights = rows.t().contiguous().t()
        self.d_x = torch.empty_like(x)
        self.d_input = x.new_zeros(layer.input_size, self.num_x * self.padded)
        self.d_recurrent = x.new_zeros(self.padded, len(program.r_blocks) * self.padded)
        self.d_bias = x.new_zeros(len(program.blocks) * self.padded)

    def add(self, rows: slice, d_sums: Tensor, h_before: Tensor) -> None:
        """One chunk. d_sums: (entries, blocks · padded). h_before: (entries, padded)."""
        of_x, of_r = d_sums[:, : self.num_x * self.padded], d_sums[:, self.first_r * self.padded :]
        x = self.x[rows]
        torch.mm(of_x, self.x_weights, out=self.d_x[rows])
        self.d_input.addmm_(x.t(), of_x)
        self.d_recurrent.addmm_(h_before.t(), of_r)
        self.d_bias += d_sums.sum(0)

    def result(self, d_initial: list[Tensor], d_unit: Tensor) -> Gradients:
        """Everything in torch's order."""
        program, units = self.layer.program, self.layer.units
        gates, by_x, by_r = program.cell.gates, program.x_blocks, program.r_blocks
        of_x, of_r = self.d_bias[: self.num_x * self.padded], self.d_bias[self.first_r * self.padded :]
        has_bias = self.weights.input_bias is not None
        weights = Weights(
            unpack(self.d_input.t(), gates, by_x, units),
            unpack(self.d_recurrent.t(), gates, by_r, units)[:, :units].contiguous(),
            unpack(of_x[:, None], gates, by_x, units)[:, 0].clone() if has_bias else None,
            unpack(of_r[:, None], gates, by_r, units)[:, 0].clone() if has_bias else None,
            [d_unit[number, :units].clone() for number in range(len(self.weights.unit))],
        )
        return Gradients(self.d_x, weights, d_initial)
