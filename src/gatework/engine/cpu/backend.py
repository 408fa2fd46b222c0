"""The compiled engine as a backend: what it can compute, and one layer with all its directions."""

import sys

import torch
from torch import Tensor

from gatework.cells import Cell
from gatework.cells.equations import canonical_text
from gatework.engine.cpu.compile import openmp_is_there
from gatework.engine.cpu.operators import Eager, mode_of, recurrent, recurrent_now
from gatework.engine.records import LayerWeights, RowsResult
from gatework.engine.rows import DenseRows, RaggedRows, Rows
from gatework.engine.untraced import read_while_tracing
from gatework.errors import ConfigError

PLAIN = (Tensor, torch.nn.Parameter)
"""Tensors with memory of their own; fake tensors and other subclasses go through the operator."""


@read_while_tracing
def text_or_reason(cell: Cell) -> tuple[str, str | None]:
    """The cell's canonical text, or why there is none: read while torch.compile traces, not traced."""
    try:
        return canonical_text(cell), None
    except ConfigError as error:
        return "", str(error)


def why_not(cell: Cell, rows: Rows, weights: tuple[LayerWeights, ...]) -> str | None:
    """The reason why the compiled engine cannot run this layer, or None when it can."""
    if rows.values.device.type != "cpu":
        return "the compiled engine runs on the CPU"
    dtype = rows.values.dtype
    for direction in weights:
        for tensor in direction.tensors():
            if tensor.dtype != dtype:
                return "input and weights are of different types"
    return why_not_compiled(cell, weights[0])


def why_not_compiled(cell: Cell, weights: LayerWeights) -> str | None:
    """The reason why there are no kernels for this cell with these weights, or None when there are."""
    if weights.input.device.type != "cpu":
        return "the compiled engine runs on the CPU"
    if weights.input.dtype not in (torch.float32, torch.float64):
        return f"the compiled engine has no kernels for {weights.input.dtype}"
    if weights.projection is not None:
        return "the compiled engine has no projection yet"
    reason: str | None = text_or_reason(cell)[1]
    return reason


def run(cell: Cell, rows: Rows, weights: tuple[LayerWeights, ...], initial: dict[str, Tensor]) -> RowsResult:
    """One layer, all its directions (backwards is the second).

    initial: per state (num_directions, num_sequences, size). Returns outputs in the memory order of dense or ragged rows.
    """
    given = rows if isinstance(rows, DenseRows) else rows.ragged()
    offsets = given.sequences.offsets if isinstance(given, RaggedRows) else None
    outputs, finals = [], []
    for direction, own in enumerate(weights):
        start = [of_type(initial[name][direction : direction + 1], given.values.dtype) for name in cell.states]
        y, *final = run_direction(cell, given.values, offsets, own, start, backwards=direction == 1)
        outputs.append(y)
        finals.append(final[: len(start)])
    if len(outputs) == 1:
        # the kernels leave the states in the form in which they got them: nothing to copy, and no view
        return RowsResult(given.with_values(outputs[0]), dict(zip(cell.states, finals[0], strict=True)))
    by_name = {name: torch.cat([final[number] for final in finals]) for number, name in enumerate(cell.states)}
    return RowsResult(given.with_values(torch.cat(outputs, dim=-1)), by_name)


def run_direction(
    cell: Cell, values: Tensor, offsets: Tensor | None, weights: LayerWeights, initial: list[Tensor], backwards: bool,
    wants_states: bool = False,
) -> list[Tensor]:  # fmt: skip
    """y, the final states, and every other state after every step if wanted.

    initial: (num_sequences, hidden_size) each, or (1, num_sequences, hidden_size); the final states have the same form.
    """
    text = text_or_reason(cell)[0]
    tensors = weights.tensors()
    needs_gradient = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (values, *tensors, *initial))
    if is_traced((values, *tensors, *initial)):
        # a graph may run with other sizes than it was traced with: it keeps whatever the size
        mode = "keep" if needs_gradient else "inference"
        results: list[Tensor] = recurrent(values, tensors, initial, offsets, text, backwards, wants_states, mode)
    elif needs_gradient:
        options = (text, backwards, wants_states, mode_of(text, values, weights.recurrent.shape[1]))
        counts = (len(tensors), len(initial))
        results = list(Eager.apply(counts, options, offsets, values, *tensors, *initial))  # type: ignore[no-untyped-call]
    else:
        results = recurrent_now(values, tensors, initial, offsets, text, backwards, wants_states, "inference")
    return results[: 1 + len(initial) + (len(initial) - 1 if wants_states else 0)]


def of_type(state: Tensor, dtype: torch.dtype) -> Tensor:
    """Under autocast, initial states may be of another type than the input."""
    return state if state.dtype == dtype else state.to(dtype)


def is_traced(tensors: tuple[Tensor, ...]) -> bool:
    """Whether something looks on that must see an operator: a compiler, a tracer, a dispatch mode, a tensor subclass."""
    return (
        torch.compiler.is_compiling()
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._get_tracing_state() is not None
        or not all(type(tensor) in PLAIN for tensor in tensors)
    )


def pool_in_words() -> str:
    """Where the kernels run, for `gatework info`."""
    if openmp_is_there():
        threads = torch.get_num_threads()
        return f"torch's own OpenMP pool, {threads} thread{'' if threads == 1 else 's'}"
    return f"the calling thread alone: torch on {sys.platform} has no GNU OpenMP to share"
