"""Every gate and state at every step, by name: the states from the layer's own backend, all gates of all steps
at once from the equations.
"""

from typing import Any

from torch import Tensor
from torch.nn.functional import linear

from gatework.cells import Cell, Names
from gatework.cells.equations import Equations, apply, trace
from gatework.cells.graph import FUNCTIONS, Symbol, ordered
from gatework.engine.cpu.backend import run_direction, why_not_compiled
from gatework.engine.records import DirectionTrace, LayerWeights
from gatework.engine.reference import input_sums, split_columns, step_weights, trace_direction
from gatework.ragged import Ragged


def trace_layer(
    cell: Cell, x: Ragged, weights: tuple[LayerWeights, ...], initial: tuple[dict[str, Tensor], ...]
) -> tuple[DirectionTrace, ...]:
    """Everything that a layer computes, per direction (the second runs backwards).

    x: values (total_steps, input_size). initial: per direction, each state (num_sequences, size).
    """
    return tuple(
        trace_one(cell, x, own, start, backwards=number == 1)
        for number, (own, start) in enumerate(zip(weights, initial, strict=True))
    )


def trace_one(cell: Cell, x: Ragged, weights: LayerWeights, initial: dict[str, Tensor], backwards: bool) -> DirectionTrace:
    """One direction; by the reference where there are no kernels."""
    if why_not_compiled(cell, weights) is not None or x.values.dtype != weights.input.dtype:
        return trace_direction(cell, x, weights, initial, backwards)
    start = [initial[name] for name in cell.states]
    results = run_direction(cell, x.values, x.offsets, weights, start, backwards, wants_states=True)
    after = dict(zip(cell.states, [results[0], *results[1 + len(start) :]], strict=True))
    before = {name: one_step_ago(after[name], initial[name], x, backwards) for name in cell.states}
    sums = [input_sums(cell, x.values, weights), linear(before["h"], weights.recurrent, weights.recurrent_bias)]
    by_gate = [dict(zip(cell.gates, both.chunk(len(cell.gates), dim=-1), strict=True)) for both in sums]
    gate_sums = by_gate[0] | split_columns(cell, x.values, weights)[1]
    values = inner_values(
        cell, Names("gate", gate_sums), Names("gate", by_gate[1]), Names("state", before), step_weights(weights)
    )

    def as_ragged(tensors: dict[str, Tensor]) -> dict[str, Ragged]:
        return {name: x.with_values(tensor) for name, tensor in tensors.items()}

    gates, preacts, sigmoids = values
    return DirectionTrace(
        as_ragged(after), as_ragged(by_gate[0]), as_ragged(by_gate[1]), as_ragged(gates), as_ragged(preacts), tuple(sigmoids)
    )


def one_step_ago(state: Tensor, initial: Tensor, x: Ragged, backwards: bool) -> Tensor:
    """The state before each step, (total_steps, size), the initial one at each sequence's first step."""
    if not len(state):
        return state
    filled = (x.lengths > 0).nonzero().squeeze(-1)
    first = (x.offsets[1:][filled] - 1) if backwards else x.offsets[:-1][filled]
    shifted = state.roll(-1 if backwards else 1, dims=0)
    return shifted.index_copy(0, first, initial.index_select(0, filled))


def inner_values(cell: Cell, x: Names, r: Names, s: Names, w: Names) -> tuple[dict[str, Tensor], dict[str, Tensor], list[Tensor]]:
    """Gates after and before their nonlinearity by name, and every sigmoid of the equations; all (total_steps, hidden_size).

    x, r, s, w: what the step reads, of all steps at once.
    """
    equations = trace(cell)
    leaves = {"x": x, "r": r, "s": s, "w": w, "step": x, "unit": x, "matrix": w}
    known: dict[Symbol, Any] = {}
    for node in ordered(equations.states.values()):
        if node.kind == "number":
            known[node] = node.value
        elif not node.args:
            known[node] = getattr(leaves[node.kind], node.name)
        else:
            known[node] = apply(node.kind, [known[arg] for arg in node.args])
    gates = gate_nodes(equations)
    after = {name: known[node] for name, node in gates.items()}
    before = {name: known[node.args[0]] for name, node in gates.items()}
    return after, before, [value for node, value in known.items() if node.kind == "sigmoid"]


def gate_nodes(equations: Equations) -> dict[str, Symbol]:
    """For each gate the first function that its sums go through by arithmetic alone: sigmoid of the forget gate,
    tanh of the candidate.
    """
    found: dict[str, Symbol] = {}
    for node in ordered(equations.states.values()):
        if node.kind in FUNCTIONS:
            for leaf in by_arithmetic(node.args[0]):
                if leaf.kind in ("x", "r"):
                    found.setdefault(leaf.name, node)
    return {gate: found[gate] for gate in equations.gates if gate in found}


def by_arithmetic(node: Symbol) -> set[Symbol]:
    """The leaves that a value is made of without passing through a function, a mean or a matrix."""
    if not node.args:
        return {node}
    if node.kind in FUNCTIONS or node.kind in ("mean", "product"):
        return set()
    return set().union(*(by_arithmetic(arg) for arg in node.args))
