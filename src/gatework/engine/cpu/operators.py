"""The compiled engine as torch operators: one forward, one backward, taking tensors and the cell's canonical text.

`torch.compile` and `torch.export` keep each as one node: they know the shapes from the fake versions below. Gradients of
gradients go through the
reference, said once.
"""

import warnings
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gatework.engine.cpu.frame import Frame
from gatework.engine.cpu.layer import KEEP_BYTES, backward, forward, kept_bytes
from gatework.engine.cpu.machine import Machine, machine
from gatework.engine.cpu.module import make_frame
from gatework.engine.cpu.plan import padded_to
from gatework.engine.cpu.program import Program, program_of
from gatework.engine.cpu.schedule import Schedule, dense_schedule, ragged_schedule
from gatework.engine.cpu.twice import differentiable_gradients
from gatework.errors import SlowPath

TEAM_WORK = 2**16
"""Multiplications of a step and sequence from which on it is worth waiting for other threads: about 4 µs of one."""


@lru_cache(maxsize=64)
def _ragged(offsets: bytes, threads: int, backwards: bool, rows: int, is_team: bool) -> tuple[Schedule, Tensor | None]:
    schedule = ragged_schedule(np.frombuffer(offsets, dtype=np.int64), threads, backwards, rows, is_team)
    return schedule, None if schedule.rows is None else torch.from_numpy(schedule.rows)


def schedule_of(
    x: Tensor, offsets: Tensor | None, backwards: bool, cell: str, units: int, threads: int
) -> tuple[Schedule, Tensor | None]:
    """The schedule of dense time-major or ragged steps, and the row of x that each entry is (None: entries are rows).

    threads: that forward had; backward finds what was kept in the order of forward's schedule.
    """
    is_team = wants_team(program_of(cell), threads, x.shape[1] if offsets is None else len(offsets) - 1, units)
    if offsets is None:
        return dense_schedule(x.shape[0], x.shape[1], threads, backwards, is_team), None
    return _ragged(offsets.numpy().tobytes(), threads, backwards, frame_of(cell, x).tile_rows, is_team)


def wants_team(program: Program, threads: int, num_sequences: int, units: int) -> bool:
    """Whether all threads compute each step together, every one some of the units, instead of each its own sequences.

    They wait for each other at each step, so only where a sixth of the threads' time or more would go unused and a step is long
    enough; never in cells that look at all units at once. No bit of the result depends on it.
    """
    is_long = len(program.blocks) * units * units >= TEAM_WORK
    places = threads * -(-num_sequences // threads)
    return threads > 1 and is_long and 6 * (places - num_sequences) >= places and not program.in_passes


def in_entry_order(values: Tensor, rows: Tensor | None) -> Tensor:
    """Steps (…, size), contiguous, in the order of the entries."""
    return values.contiguous() if rows is None else values.index_select(0, rows)


def in_step_order(entries: Tensor, rows: Tensor | None) -> Tensor:
    """Entries back at their steps. No view is made: autograd refuses in-place changes of outputs that are views."""
    return entries if rows is None else torch.empty_like(entries).index_copy_(0, rows, entries)


def frame_of(cell: str, x: Tensor) -> Frame:
    """The fixed choices of the kernels for this cell and number type."""
    return _frame(cell, "float" if x.dtype == torch.float32 else "double", machine())


@lru_cache(maxsize=256)
def _frame(cell: str, dtype: str, processor: Machine) -> Frame:
    return make_frame(program_of(cell), processor, dtype, "inference")


def mode_of(cell: str, x: Tensor, units: int) -> str:
    """Keep what backward needs, or run forward again in backward."""
    entries = x.shape[:-1].numel()
    return "keep" if kept_bytes(program_of(cell), entries, units, x.element_size()) <= KEEP_BYTES else "recompute"


def recurrent_now(
    x: Tensor,
    weights: list[Tensor],
    initial: list[Tensor],
    offsets: Tensor | None,
    cell: str,
    backwards: bool,
    wants_states: bool,
    mode: str,
) -> list[Tensor]:
    """What the operator `recurrent` computes."""
    schedule, rows = schedule_of(x, offsets, backwards, cell, weights[1].shape[1], torch.get_num_threads())
    contiguous = [state.contiguous() for state in initial]
    result = forward(cell, in_entry_order(x, rows), weights, contiguous, schedule, mode, wants_states)
    states = [in_step_order(state, rows) for state in result.states]
    return [in_step_order(result.y, rows), *result.finals, *states, *result.saved]


@torch.library.custom_op("gatework::recurrent", mutates_args=())
def recurrent(
    x: Tensor,
    weights: list[Tensor],
    initial: list[Tensor],
    offsets: Tensor | None,
    cell: str,
    backwards: bool,
    wants_states: bool,
    mode: str,
) -> list[Tensor]:
    """One direction of one layer.

    x: (steps, num_sequences, input_size), or (total_steps, input_size) with offsets (num_sequences + 1,) int64 on the CPU.
    weights: input, recurrent, both biases or none, unit weights. initial: each state (num_sequences, hidden_size).
    cell: its canonical text. wants_states: every other state after every step, too. mode: inference, keep or recompute.
    Returns y, the final states, the other states if wanted, then what backward needs: at last the number of threads.
    """
    found = recurrent_now(x, weights, initial, offsets, cell, backwards, wants_states, mode)
    return found if mode == "inference" else [*found, torch.tensor(torch.get_num_threads())]


@recurrent.register_fake
def _(
    x: Tensor,
    weights: list[Tensor],
    initial: list[Tensor],
    offsets: Tensor | None,
    cell: str,
    backwards: bool,
    wants_states: bool,
    mode: str,
) -> list[Tensor]:
    program, frame = program_of(cell), frame_of(cell, x)
    units = weights[1].shape[1]
    y = x.new_empty(*x.shape[:-1], units)
    finals = [torch.empty_like(state, memory_format=torch.contiguous_format) for state in initial]
    states = [torch.empty_like(y) for _ in initial[1:]] if wants_states else []
    if mode == "inference":
        return [y, *finals, *states]
    threads = x.new_empty((), dtype=torch.int64)
    if mode == "recompute":
        # the states at the beginning of each chunk: how many there are depends on the lengths
        return [y, *finals, *states, x.new_empty([torch.library.get_ctx().new_dynamic_size() for _ in range(3)]), threads]
    entries = y.numel() // units
    padded = padded_to(units, frame.lanes.width)
    return [y, *finals, *states, x.new_empty(entries, program.kept_rows, padded), threads]


def gradients_now(  # noqa: PLR0913, PLR0917 - an operator takes tensors and plain values, no records
    d_y: Tensor | None,
    d_finals: list[Tensor],
    has_final: list[bool],
    d_states: list[Tensor],
    has_state: list[bool],
    x: Tensor,
    weights: list[Tensor],
    initial: list[Tensor],
    offsets: Tensor | None,
    saved: list[Tensor],
    cell: str,
    backwards: bool,
    mode: str,
    threads: int,
    wants_x: bool = True,
) -> list[Tensor | None]:
    """What the operator `recurrent_backward` computes; nothing for x where its gradient is not wanted. threads: forward's."""
    schedule, rows = schedule_of(x, offsets, backwards, cell, weights[1].shape[1], threads)
    finals, states = iter(d_finals), iter(d_states)
    gradients = backward(
        cell,
        in_entry_order(x, rows),
        weights,
        [state.contiguous() for state in initial],
        schedule,
        saved,
        mode,
        None if d_y is None else in_entry_order(d_y, rows),
        [next(finals).contiguous() if there else None for there in has_final],
        [in_entry_order(next(states), rows) if there else None for there in has_state],
        wants_x,
    )
    d_x = None if gradients.x is None else in_step_order(gradients.x, rows)
    return [d_x, *gradients.weights, *gradients.initial]


@torch.library.custom_op("gatework::recurrent_backward", mutates_args=())
def recurrent_backward(  # noqa: PLR0913, PLR0917 - an operator takes tensors and plain values, no records
    d_y: Tensor | None,
    d_finals: list[Tensor],
    has_final: list[bool],
    d_states: list[Tensor],
    has_state: list[bool],
    x: Tensor,
    weights: list[Tensor],
    initial: list[Tensor],
    offsets: Tensor | None,
    saved: list[Tensor],
    cell: str,
    backwards: bool,
    mode: str,
) -> list[Tensor]:
    """The gradients of `recurrent`: x, every weight, every initial state.

    has_*: which of the states have an incoming gradient.
    """
    *kept, threads = saved
    found = gradients_now(
        d_y, d_finals, has_final, d_states, has_state, x, weights, initial, offsets, kept, cell, backwards, mode, int(threads)
    )
    return [gradient for gradient in found if gradient is not None]


@recurrent_backward.register_fake
def _(  # noqa: PLR0913, PLR0917 - the same arguments
    d_y: Tensor | None,
    d_finals: list[Tensor],
    has_final: list[bool],
    d_states: list[Tensor],
    has_state: list[bool],
    x: Tensor,
    weights: list[Tensor],
    initial: list[Tensor],
    offsets: Tensor | None,
    saved: list[Tensor],
    cell: str,
    backwards: bool,
    mode: str,
) -> list[Tensor]:
    return [torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in (x, *weights, *initial)]


def _setup(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, weights, initial, offsets, cell, backwards, wants_states, mode = inputs
    ctx.set_materialize_grads(False)
    first_saved = 1 + len(initial) + (len(initial) - 1 if wants_states else 0)
    ctx.counts = (len(weights), len(initial))
    ctx.options = (cell, backwards, wants_states, mode)
    ctx.save_for_backward(x, *weights, *initial, *output[first_saved:])
    ctx.offsets = offsets


def _backward(ctx, gradients):  # type: ignore[no-untyped-def]
    wanted = _gradients(ctx, gradients, recurrent_backward)
    num_weights = ctx.counts[0]
    return wanted[0], list(wanted[1 : 1 + num_weights]), list(wanted[1 + num_weights :]), None, None, None, None, None


def _gradients(ctx: Any, gradients: Any, compute: Any) -> Any:
    """The gradients of x, every weight and every initial state; compute: the operator, or what it computes."""
    num_weights, num_states = ctx.counts
    cell, backwards, wants_states, mode = ctx.options
    x, *rest = ctx.saved_tensors
    weights, initial, saved = rest[:num_weights], rest[num_weights : num_weights + num_states], rest[num_weights + num_states :]
    d_y, d_finals = gradients[0], gradients[1 : 1 + num_states]
    d_states = gradients[1 + num_states : 2 * num_states] if wants_states else [None] * (num_states - 1)
    if torch.is_grad_enabled():
        warn_twice()
        incoming = [d_y, *d_finals, *(d_states if wants_states else [])]
        return differentiable_gradients(cell, x, weights, initial, ctx.offsets, backwards, wants_states, incoming)
    if all(gradient is None for gradient in (d_y, *d_finals, *d_states)):
        return [None] * (1 + num_weights + num_states)
    return compute(
        d_y,
        [gradient for gradient in d_finals if gradient is not None],
        [gradient is not None for gradient in d_finals],
        [gradient for gradient in d_states if gradient is not None],
        [gradient is not None for gradient in d_states],
        x,
        weights,
        initial,
        ctx.offsets,
        saved,
        cell,
        backwards,
        mode,
    )


class Eager(torch.autograd.Function):
    """The same without the dispatcher, which costs more than a small kernel: for plain tensors outside of tracing."""

    @staticmethod
    def forward(ctx, counts, options, offsets, *tensors):  # type: ignore[no-untyped-def]
        num_weights, num_states = counts
        cell, backwards, wants_states, mode = options
        x, weights, initial = tensors[0], list(tensors[1 : 1 + num_weights]), list(tensors[1 + num_weights :])
        output = recurrent_now(x, weights, initial, offsets, cell, backwards, wants_states, mode)
        first_saved = 1 + num_states + (num_states - 1 if wants_states else 0)
        ctx.set_materialize_grads(False)
        ctx.counts, ctx.options, ctx.offsets, ctx.threads = counts, options, offsets, torch.get_num_threads()
        ctx.save_for_backward(*tensors, *output[first_saved:])
        return tuple(output[:first_saved])

    @staticmethod
    def backward(ctx, *gradients):  # type: ignore[no-untyped-def]
        compute = partial(gradients_now, threads=ctx.threads, wants_x=ctx.needs_input_grad[3])
        return None, None, None, *_gradients(ctx, gradients, compute)


recurrent.register_autograd(_backward, setup_context=_setup)


@lru_cache(maxsize=1)
def warn_twice() -> None:
    """Said once per process."""
    warnings.warn(
        "A gradient of a gradient of a compiled layer is computed by the reference, step by step: right, but slower. Nothing "
        "needs to be done for the result; for one derivative alone, leave create_graph out.",
        SlowPath,
        stacklevel=2,
    )
