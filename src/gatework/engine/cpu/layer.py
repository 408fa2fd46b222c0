"""One direction of one layer, forward and backward, in chunks of ticks.

A chunk's gate gradients are multiplied into the weights' gradients while they are in the cache. What backward needs of forward
is either kept, or forward is run again chunk by chunk from the states at the beginning of each chunk. Both walk the same chunks
in the same order and add up in the same order, so their gradients are equal bit for bit.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gatework.engine.cpu.arguments import Arguments
from gatework.engine.cpu.compile import Kernel, Products, kernel, products
from gatework.engine.cpu.frame import Frame, scratch_rows
from gatework.engine.cpu.machine import machine
from gatework.engine.cpu.memory import empty
from gatework.engine.cpu.products import SLOTS
from gatework.engine.cpu.program import Program, program_of
from gatework.engine.cpu.schedule import Chunk, Schedule

CHUNK_BYTES = 2 * 2**20
"""The sums' gradients of a chunk, about: they stay in the cache until they have been multiplied."""

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


def padded_to(size: int, multiple: int) -> int:
    """The next multiple."""
    return -(-size // multiple) * multiple


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

    def chunks(self, frame: Frame, schedule: Schedule) -> tuple[Chunk, ...]:
        """The ticks of each chunk, first to last; the same for keeping and for running again."""
        row_bytes = len(self.program.blocks) * self.padded(frame) * frame.lanes.bytes
        return schedule.chunks(max(1, CHUNK_BYTES // row_bytes))

    def arguments(self, frame: Frame, schedule: Schedule, x: Tensor, weights: Weights) -> Arguments:
        """What every call has: the schedule, the sizes, zeroed scratch, the weights in torch's order."""
        stride, padded = padded_to(self.units, frame.back_vectors * frame.lanes.width), self.padded(frame)
        size = scratch_rows(self.program, schedule.lanes) * stride
        arguments = Arguments(frame.slots)
        arguments.put_schedule(schedule)
        if schedule.is_team:
            arguments.put(is_team=1, barrier=torch.zeros(32, dtype=torch.int64))
        arguments.put(
            scratch=x.new_zeros(schedule.parts * size), scratch_size=size, lane_stride=stride, units=self.units, padded=padded,
            tiles=padded // frame.lanes.width, input_size=self.input_size, input=weights.input.contiguous(),
            recurrent=weights.recurrent.contiguous(),
        )  # fmt: skip
        for name, weight in zip(self.program.cell.unit_weights, weights.unit, strict=True):
            arguments.put(**{f"unit {name}": weight.contiguous()})
        return arguments

    def room(self, arguments: Arguments, like: Tensor, **sizes: int) -> None:
        """Memory for several arrays in one piece, so many numbers each."""
        memory = empty(like, sum(sizes.values()))
        arguments.keep("memory", memory)
        place, item = memory.data_ptr(), memory.element_size()
        for name, size in sizes.items():
            arguments.put(**{name: place})
            place += size * item


def kept_bytes(program: Program, entries: int, units: int, item_bytes: int) -> int:
    """What keeping everything for backward would take."""
    return entries * program.kept_rows * units * item_bytes


def prepared_forward(
    layer: Layer, compiled: Kernel, schedule: Schedule, x: Tensor, weights: Weights, initial: list[Tensor]
) -> Arguments:
    """The arguments of a forward call, the weights already in the kernel's order."""
    program, frame = layer.program, compiled.frame
    arguments, padded = layer.arguments(frame, schedule, x, weights), layer.padded(frame)
    arguments.put(
        x=x,
        x_stride=layer.input_size,
        input_bias=None if weights.input_bias is None else weights.input_bias.contiguous(),
        recurrent_bias=None if weights.recurrent_bias is None else weights.recurrent_bias.contiguous(),
    )
    layer.room(
        arguments,
        x,
        x_weights=len(program.x_blocks) * padded * layer.input_size,
        r_weights=len(program.r_blocks) * padded * layer.units,
        bias=len(program.blocks) * padded,
        unit_weights=len(program.cell.unit_weights) * padded,
    )
    for name, state in zip(program.cell.state_names, initial, strict=True):
        arguments.put(**{f"initial_{name}": state})
    compiled.code.once["prepare_forward"](arguments.address)
    return arguments


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
    layer = Layer.of(text, x, weights)
    compiled = layer.kernel("training" if mode == "keep" else "inference")
    entries, names = len(x), layer.program.cell.state_names
    arguments = prepared_forward(layer, compiled, schedule, x, weights, initial)
    y = empty(x, entries, layer.units)
    finals = [state.clone() for state in initial]
    states = [empty(x, entries, layer.units) for _ in names[1:]] if wants_states else []
    arguments.put(y=y, y_stride=layer.units)
    for name, final in zip(names, finals, strict=True):
        arguments.put(**{f"final_{name}": final})
    for name, state in zip(names[1:], states, strict=False):
        arguments.put(**{f"out_{name}": state})
    saved: list[Tensor] = []
    if mode == "keep":
        saved = [empty(x, entries, layer.program.kept_rows, layer.padded(compiled.frame))]
        arguments.put(kept=saved[0])
    if mode != "recompute":
        arguments.run(compiled.code)
        return Forward(y, finals, states, saved)
    checkpoints = []
    for chunk in layer.chunks(compiled.frame, schedule):
        checkpoints.append(lane_states(layer, arguments, schedule, chunk.first).clone())
        arguments.put_ticks(chunk)
        arguments.run(compiled.code)
    return Forward(y, finals, states, [torch.stack(checkpoints)] if checkpoints else [])


def lane_states(layer: Layer, arguments: Arguments, schedule: Schedule, tick: int) -> Tensor:
    """A view of the states of all lanes before a tick: (parts, numbers)."""
    scratch = arguments.tensor("scratch").view(schedule.parts, -1)
    size = len(layer.program.cell.state_names) * schedule.lanes * arguments.number("lane_stride")
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
    layer = Layer.of(text, x, weights)
    compiled = layer.kernel("backward")
    frame, names, program = compiled.frame, layer.program.cell.state_names, layer.program
    arguments, padded = layer.arguments(frame, schedule, x, weights), layer.padded(frame)
    d_initial = [
        d_final.clone() if d_final is not None else torch.zeros_like(state)
        for d_final, state in zip(d_finals, initial, strict=True)
    ]
    arguments.put(
        d_y=d_y, d_y_stride=0 if d_y is None else d_y.stride(0),
        d_unit_weights=x.new_zeros(schedule.parts * len(weights.unit) * padded) if weights.unit else None,
    )  # fmt: skip
    for number, name in enumerate(names):
        arguments.put(**{f"d_final_{name}": d_finals[number], f"d_initial_{name}": d_initial[number]})
    for name, d_state in zip(names[1:], d_states, strict=False):
        arguments.put(**{f"d_out_{name}": d_state})
    columns = frame.back_vectors * frame.lanes.width
    back_columns, x_columns = padded_to(layer.units, columns), padded_to(layer.input_size, columns)
    chunks = layer.chunks(frame, schedule)
    longest = max((chunk.entries for chunk in chunks), default=0)
    layer.room(
        arguments,
        x,
        back_weights=len(program.r_blocks) * padded * back_columns,
        x_back_weights=len(program.x_blocks) * padded * x_columns,
        unit_weights=len(weights.unit) * padded,
    )
    arguments.put(back_tiles=back_columns // columns)
    if not wants_x:
        arguments.put(x_back_weights=0)
    compiled.code.once["prepare_backward"](arguments.address)
    # a vector more than needed: rows a power of two apart would share a few places of the cache
    d_sums = empty(x, longest, len(program.blocks) * padded + frame.lanes.width)
    arguments.put(d_sums_stride=d_sums.stride(0))
    totals = Totals(layer, compiled, x, weights, arguments, d_sums, wants_x)
    again = Again(layer, schedule, x, weights, initial, saved[0], chunks) if mode == "recompute" and saved else None
    for number, chunk in reversed(list(enumerate(chunks))):
        kept = saved[0][chunk.first_entry : chunk.last_entry] if again is None else again.run(number, chunk)
        arguments.put_from("kept", kept, chunk.first_entry)
        arguments.put_from("d_sums", d_sums, chunk.first_entry)
        arguments.put_ticks(chunk)
        arguments.run(compiled.code)
        totals.add(chunk, kept)
    return totals.result(d_initial)


class Again:
    """Forward run again for one chunk at a time, into the same memory."""

    def __init__(
        self, layer: Layer, schedule: Schedule, x: Tensor, weights: Weights, initial: list[Tensor], checkpoints: Tensor,
        chunks: tuple[Chunk, ...],
    ):  # fmt: skip
        self.layer, self.schedule, self.checkpoints = layer, schedule, checkpoints
        self.kernel = layer.kernel("training")
        self.arguments = prepared_forward(layer, self.kernel, schedule, x, weights, initial)
        longest = max(chunk.entries for chunk in chunks)
        self.memory = empty(x, longest, layer.program.kept_rows, layer.padded(self.kernel.frame))
        self.y = x.new_empty(longest, layer.units)
        self.arguments.put(y_stride=layer.units)
        for name, state in zip(layer.program.cell.state_names, initial, strict=True):
            self.arguments.put(**{f"final_{name}": torch.empty_like(state)})

    def run(self, number: int, chunk: Chunk) -> Tensor:
        """The kept values and the states before each step of the chunk's entries."""
        lane_states(self.layer, self.arguments, self.schedule, chunk.first).copy_(self.checkpoints[number])
        self.arguments.put_from("kept", self.memory, chunk.first_entry)
        self.arguments.put_from("y", self.y, chunk.first_entry)
        self.arguments.put_ticks(chunk)
        self.arguments.run(self.kernel.code)
        return self.memory[: chunk.entries]


class Totals:
    """The large products after the loop, added up chunk by chunk: gradients of the weights and of x."""

    def __init__(
        self, layer: Layer, compiled: Kernel, x: Tensor, weights: Weights, arguments: Arguments, d_sums: Tensor, wants_x: bool
    ):
        self.layer, self.compiled, self.x, self.weights, self.arguments = layer, compiled, x, weights, arguments
        self.products: Products = products(x.dtype, machine())
        program, tiles, frame = layer.program, self.products.tiles, compiled.frame
        padded, width = layer.padded(frame), frame.lanes.width
        self.d_x = empty(x, *x.shape) if wants_x else None
        self.d_sums, threads = d_sums, torch.get_num_threads()
        x_columns, h_columns = tiles.padded_columns(layer.input_size), tiles.padded_columns(padded)
        x_rows, r_rows = len(program.x_blocks) * padded, len(program.r_blocks) * padded
        totals = x.new_zeros(x_rows * x_columns + r_rows * h_columns + len(program.blocks) * padded)
        item = x.element_size()
        self.places = {
            "d_input": totals.data_ptr(),
            "d_recurrent": totals.data_ptr() + x_rows * x_columns * item,
            "d_bias": totals.data_ptr() + (x_rows * x_columns + r_rows * h_columns) * item,
        }
        self.row_sizes = {"d_input_size": x_columns, "d_recurrent_size": h_columns}
        size = tiles.scratch_size(layer.input_size, padded)
        self.own = Arguments(SLOTS)
        self.own.put(
            parts=1, is_team=1, vectors=len(program.blocks) * padded // width, x_vectors=x_rows // width,
            first_r_vector=program.first_r * padded // width, input_size=layer.input_size, padded=padded, d_sums=d_sums,
            d_sums_stride=d_sums.shape[1], x_stride=layer.input_size, h_before_stride=program.kept_rows * padded,
            x_back_weights=arguments.number("x_back_weights"), scratch=empty(x, threads * size), scratch_size=size,
            **self.places,
        )  # fmt: skip
        self.own.keep("totals", totals)

    def add(self, chunk: Chunk, kept: Tensor) -> None:
        """One chunk's entries. kept: (entries, kept rows, padded)."""
        own, item = self.own, self.x.element_size()
        own.put(
            entries=chunk.entries,
            x=self.x.data_ptr() + chunk.first_entry * self.layer.input_size * item,
            h_before=kept.data_ptr() + len(self.layer.program.kept) * kept.shape[2] * item,
        )
        if self.d_x is not None:
            own.put(d_x=self.d_x.data_ptr() + chunk.first_entry * self.layer.input_size * item)
        own.run(self.products.code)

    def result(self, d_initial: list[Tensor]) -> Gradients:
        """Everything in torch's order."""
        program, weights = self.layer.program, self.weights
        make = torch.empty_like if all(block.has_x and block.has_r for block in program.blocks) else torch.zeros_like
        shape = torch.contiguous_format
        d_input, d_recurrent = (make(weight, memory_format=shape) for weight in (weights.input, weights.recurrent))
        biases = [
            None if bias is None else make(bias, memory_format=shape) for bias in (weights.input_bias, weights.recurrent_bias)
        ]
        d_unit = [torch.empty_like(weight, memory_format=shape) for weight in weights.unit]
        self.arguments.put(
            d_weight_input=d_input, d_weight_recurrent=d_recurrent, d_input_bias=biases[0], d_recurrent_bias=biases[1],
            **self.places, **self.row_sizes,
        )  # fmt: skip
        for name, gradient in zip(program.cell.unit_weights, d_unit, strict=True):
            self.arguments.put(**{f"d_unit {name}": gradient})
        self.compiled.code.once["finish"](self.arguments.address)
        return Gradients(self.d_x, Weights(d_input, d_recurrent, biases[0], biases[1], d_unit), d_initial)
