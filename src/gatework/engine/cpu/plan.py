"""Everything of a call that its sizes decide, worked out once: the kernels, the numbers among the arguments, the memory."""

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from gatework.cells.equations import Equations
from gatework.engine.cpu.arguments import Arguments
from gatework.engine.cpu.compile import Code, Kernel, kernel, products
from gatework.engine.cpu.frame import Frame, scratch_rows
from gatework.engine.cpu.machine import VARIABLE, machine
from gatework.engine.cpu.memory import empty
from gatework.engine.cpu.module import Kind
from gatework.engine.cpu.program import Program, program_of
from gatework.engine.cpu.schedule import Chunk, Schedule

CHUNK_BYTES = 2 * 2**20
"""The sums' gradients of a chunk, about: they stay in the cache until they have been multiplied."""

WORTH_SHARING = 2**15
"""Weights from which on several threads pack them: about 20 µs of one."""

ALIGNED = 16
"""Each piece of memory begins at a multiple of so many numbers: a line of the cache, or two."""


class Sizes(NamedTuple):
    """Of one direction of one layer. columns: of x."""

    text: str
    dtype: torch.dtype
    columns: int
    units: int

    @classmethod
    def of(cls, text: str, x: Tensor, recurrent: Tensor) -> "Sizes":
        """The sizes that these tensors ask for."""
        return cls(text, x.dtype, x.shape[-1], recurrent.shape[1])


@dataclass(frozen=True, eq=False)
class Plan:
    """template: the arguments as far as the sizes decide them. pieces: where each piece of the call's memory begins, in
    numbers; numbers: how many in all. products: the code of the large products, in backward. is_small: the weights are too few to
    be packed by several threads.
    """

    program: Program
    kernel: Kernel
    products: Code | None
    schedule: Schedule
    chunks: tuple[Chunk, ...]
    padded: int
    template: Arguments
    pieces: tuple[tuple[int, int], ...]
    numbers: int
    is_small: bool

    @property
    def frame(self) -> Frame:
        """The kernel's fixed choices."""
        return self.kernel.frame

    @property
    def longest(self) -> int:
        """Entries of the longest chunk."""
        return max((chunk.entries for chunk in self.chunks), default=0)

    def arguments(self, like: Tensor) -> tuple[Arguments, Tensor]:
        """Arguments for one call, and the memory that its pieces are in."""
        arguments, memory = self.template.copy(), empty(like, self.numbers)
        arguments.keep(memory)
        base, item, array = memory.data_ptr(), memory.element_size(), arguments.array
        for place, offset in self.pieces:
            array[place] = base + offset * item
        return arguments, memory

    def offset(self, name: str) -> int:
        """Where a piece begins in the memory, in numbers."""
        return dict(self.pieces)[self.template.places[name]]


def plan(sizes: Sizes, kind: Kind, schedule: Schedule) -> Plan:
    """The plan of a call. Plans of the last calls are kept."""
    return _plan(sizes, kind, schedule, os.environ.get(VARIABLE, ""), torch.get_num_threads())


def padded_to(size: int, multiple: int) -> int:
    """The next multiple."""
    return -(-size // multiple) * multiple


def bypassing(cell: Equations, units: int) -> int:
    """Columns of x that no gate reads."""
    return len(cell.inputs) + len(cell.unit_inputs) * units


@lru_cache(maxsize=128)
def _plan(sizes: Sizes, kind: Kind, schedule: Schedule, target: str, threads: int) -> Plan:
    processor = machine(target)
    program, compiled = program_of(sizes.text), kernel(sizes.text, sizes.dtype, kind, processor)
    frame = compiled.frame
    width, units, input_size = frame.lanes.width, sizes.units, sizes.columns - bypassing(program.cell, sizes.units)
    padded, back_width = padded_to(units, width), frame.back_vectors * width
    lane_stride = padded_to(units, back_width)
    scratch_size = scratch_rows(program, schedule.lanes) * lane_stride
    row = len(program.blocks) * padded
    chunks = schedule.chunks(max(1, CHUNK_BYTES // (row * frame.lanes.bytes)))
    template = Arguments(frame.slots.places)
    template.put_schedule(schedule)
    template.put(
        is_team=int(schedule.is_team), units=units, padded=padded, input_size=input_size, x_stride=sizes.columns,
        kept_rows=program.kept_rows, h_row=len(program.kept), scratch_size=scratch_size, lane_stride=lane_stride,
        tiles=padded // width, y_stride=units,
    )  # fmt: skip
    # what begins as zeros comes first
    pieces = {"barrier": 2 * ALIGNED * 2, "scratch": schedule.parts * scratch_size}
    large: Code | None = None
    if kind == "backward":
        tools = products(sizes.dtype, processor)
        tiles, large = tools.tiles, tools.code
        x_columns, r_columns = tiles.padded_columns(input_size), tiles.padded_columns(padded)
        x_row, r_row = len(program.x_blocks) * padded, len(program.r_blocks) * padded
        # a vector more than needed: rows a power of two apart would share a few places of the cache
        stride, panels_size = row + len(program.inner) * padded + width, tiles.scratch_size(input_size, padded)
        rows = torch.tensor(program.inner_rows, dtype=torch.int64)
        template.put(
            d_sums_stride=stride, vectors=row // width, x_vectors=x_row // width, d_input_size=x_columns,
            first_r_vector=program.first_r * padded // width, d_recurrent_size=r_columns, panels_size=panels_size,
            num_inner=len(program.inner), inner_rows=rows, d_inner_size=padded * r_columns,
        )  # fmt: skip
        pieces |= {"d_input": x_row * x_columns, "d_recurrent": r_row * r_columns, "d_bias": row}
        pieces |= {"d_inner": len(program.inner) * padded * r_columns}
        pieces |= {"d_unit_weights": schedule.parts * len(program.cell.unit_weights) * padded}
        zeros = sum(padded_to(size, ALIGNED) for size in pieces.values())
        pieces |= {"back_weights": r_row * lane_stride, "x_back_weights": x_row * padded_to(input_size, back_width)}
        pieces |= {"d_sums": max((chunk.entries for chunk in chunks), default=0) * stride, "panels": threads * panels_size}
    else:
        zeros = sum(padded_to(size, ALIGNED) for size in pieces.values())
        pieces |= {"x_weights": len(program.x_blocks) * padded * input_size, "bias": row}
        pieces |= {"r_weights": len(program.r_blocks) * padded * units}
    pieces["matrix_weights"] = len(program.cell.matrices) * lane_stride * units
    pieces["unit_weights"] = len(program.cell.unit_weights) * padded
    template.put(zeros_size=zeros)
    places, numbers = [(template.places["zeros"], 0)], 0
    for name, size in pieces.items():
        places.append((template.places[name], numbers))
        numbers += padded_to(size, ALIGNED)
    is_small = row * sizes.columns + row * units < WORTH_SHARING
    return Plan(program, compiled, large, schedule, chunks, padded, template, tuple(places), numbers, is_small)
