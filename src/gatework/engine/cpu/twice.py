"""Gradients that can be differentiated again: the reference, run on the equations of a canonical text."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gatework.cells.equations import cell_of
from gatework.engine.records import LayerWeights
from gatework.engine.reference import input_sums, run_direction, values_in_step_order
from gatework.engine.rows import DenseRows, RaggedRows
from gatework.ragged import Ragged


def reference_outputs(
    text: str,
    x: Tensor,
    weights: list[Tensor],
    initial: list[Tensor],
    offsets: Tensor | None,
    backwards: bool,
    wants_states: bool,
) -> list[Tensor]:
    """What the operator `recurrent` returns, without what it saves: y, final states, the other states if wanted."""
    cell = cell_of(text)
    count = len(weights) - len(cell.unit_weights) - len(cell.matrices)
    biases = weights[2:4] if count == 4 else [None, None]
    named = dict(zip((*cell.unit_weights, *cell.matrices), weights[count:], strict=True))  # a name stands for one of the two
    unit, matrices = ({name: named[name] for name in names} for names in (cell.unit_weights, cell.matrices))
    own = LayerWeights(weights[0], weights[1], biases[0], biases[1], None, unit, matrices)
    rows = DenseRows(x) if offsets is None else RaggedRows(Ragged(x, offsets))
    ragged = rows.ragged().sequences
    sums = input_sums(cell, ragged.values, own)
    start = {name: state.reshape(state.shape[-2:]) for name, state in zip(cell.states, initial, strict=True)}
    ticks, final = run_direction(cell, ragged, sums, own, start, backwards)
    wanted = cell.states if wants_states else cell.states[:1]
    outputs = []
    for name in wanted:
        values = values_in_step_order(ticks, [tick.states[name] for tick in ticks], ragged.values, initial[0].shape[-1])
        outputs.append(rows.like(RaggedRows(ragged.with_values(values))).values)
    finals = [final[name].reshape(state.shape) for name, state in zip(cell.states, initial, strict=True)]
    return [outputs[0], *finals, *outputs[1:]]


def differentiable_gradients(
    text: str,
    x: Tensor,
    weights: list[Tensor],
    initial: list[Tensor],
    offsets: Tensor | None,
    backwards: bool,
    wants_states: bool,
    incoming: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """The gradients of x, every weight and every initial state, as functions of all of them and of `incoming`."""
    inputs = [x, *weights, *initial]
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    with torch.enable_grad():
        outputs = reference_outputs(text, x, weights, initial, offsets, backwards, wants_states)
        pairs = [(output, gradient) for output, gradient in zip(outputs, incoming, strict=True) if gradient is not None]
        found = iter(
            torch.autograd.grad(
                [output for output, _ in pairs], wanted, [gradient for _, gradient in pairs], create_graph=True, allow_unused=True
            )
        )
    return [next(found) if tensor.requires_grad else None for tensor in inputs]
