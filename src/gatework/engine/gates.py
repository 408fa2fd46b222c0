"""The values inside a cell's equations at every step, from the states and sums of a trace."""

from typing import Any

import torch
from torch import Tensor

from gatework.cells import Cell
from gatework.cells.equations import apply, trace
from gatework.cells.graph import Symbol, ordered
from gatework.engine.records import DirectionTrace


def sigmoid_values(
    cell: Cell, direction: DirectionTrace, unit_weights: dict[str, Tensor], backwards: bool = False
) -> list[Tensor]:
    """Every sigmoid of the equations, (total_steps, hidden_size) each.

    direction: traced from zero states.
    """
    h = direction.states["h"]
    total_steps = h.total_steps
    before = torch.arange(total_steps) + (1 if backwards else -1)
    is_first = torch.zeros(total_steps, dtype=torch.bool)
    is_first[(h.offsets[1:] - 1 if backwards else h.offsets[:-1])[h.lengths > 0]] = True
    before[is_first] = 0

    def one_step_ago(state: Tensor) -> Tensor:
        return state[before].masked_fill(is_first.unsqueeze(-1), 0.0)

    leaves = {
        "x": {name: sums.values for name, sums in direction.input_sums.items()},
        "r": {name: sums.values for name, sums in direction.recurrent_sums.items()},
        "s": {name: one_step_ago(state.values) for name, state in direction.states.items()},
        "w": unit_weights,
    }
    known: dict[Symbol, Any] = {}
    for node in ordered(trace(cell).states.values()):
        if node.kind == "number":
            known[node] = node.value
        elif not node.args:
            known[node] = leaves[node.kind][node.name]
        else:
            known[node] = apply(node.kind, [known[arg] for arg in node.args])
    return [value for node, value in known.items() if node.kind == "sigmoid"]
