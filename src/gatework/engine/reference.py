"""The truth: a loop over ticks that calls the cell's own equations on tensors; autograd differentiates.

Any cell, any floating dtype, any device; double backward and torch.func work through it. At each tick only the sequences that
still have a step are computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import linear

from gatework.cells import Cell, Names
from gatework.cells.matrix import Matrix
from gatework.engine.records import DirectionTrace, LayerWeights, RowsResult
from gatework.engine.rows import Rows
from gatework.engine.untraced import untraced
from gatework.errors import ConfigError
from gatework.ragged import Ragged, live_sequences

States = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Tick:
    """One tick. rows: (live,), the steps computed. states and recurrent sums (live, …) at those steps."""

    rows: Tensor
    states: States
    recurrent_sums: Tensor


@untraced  # a compiler would unroll the loop over ticks
def run(cell: Cell, rows: Rows, weights: tuple[LayerWeights, ...], initial: States) -> RowsResult:
    """One layer, all its directions (backwards is the second).

    initial: per state (num_directions, num_sequences, size). Returns outputs in the memory order of `rows`.
    """
    x = rows.ragged()
    outputs, finals = [], []
    for direction, direction_weights in enumerate(weights):
        start = {name: state[direction] for name, state in initial.items()}
        sums = input_sums(cell, x.values, direction_weights)
        ticks, final = run_direction(cell, x.sequences, sums, direction_weights, start, backwards=direction == 1)
        outputs.append(values_in_step_order(ticks, [tick.states["h"] for tick in ticks], x.values, direction_weights.output_size))
        finals.append(final)
    joined = x.with_values(torch.cat(outputs, dim=-1) if len(outputs) > 1 else outputs[0])
    return RowsResult(rows.like(joined), {name: torch.stack([final[name] for final in finals]) for name in initial})


def input_sums(cell: Cell, values: Tensor, weights: LayerWeights) -> Tensor:
    """What the input adds to the gates, (…, num_gates * hidden_size).

    values: (…, input_size), its last columns the inputs that bypass the gates.
    """
    return linear(split_columns(cell, values, weights)[0], weights.input, weights.input_bias)


def split_columns(cell: Cell, values: Tensor, weights: LayerWeights) -> tuple[Tensor, dict[str, Tensor]]:
    """The columns (…, input_size) that go into the gates, and those that bypass them by name: (…, 1), or (…, hidden_size) for
    unit inputs.
    """
    if not cell.inputs and not cell.unit_inputs:
        return values, {}
    units = weights.recurrent.shape[0] // len(cell.gates)
    sizes = [1] * len(cell.inputs) + [units] * len(cell.unit_inputs)
    of_gates, *columns = torch.split(values, [values.shape[-1] - sum(sizes), *sizes], dim=-1)
    return of_gates, dict(zip((*cell.inputs, *cell.unit_inputs), columns, strict=True))


def run_direction(
    cell: Cell, x: Ragged, sums: Tensor, weights: LayerWeights, initial: States, backwards: bool
) -> tuple[list[Tick], States]:
    """One direction: every tick, and the states (num_sequences, size) after the last step of each sequence.

    x: values (total_steps, input_size). sums: what `input_sums` gives for them. initial: per state (num_sequences, size).
    """
    device = sums.device
    bypassing = split_columns(cell, x.values, weights)[1]
    order = x.lengths.argsort(descending=True, stable=True)
    first, last = x.offsets[:-1][order], x.offsets[1:][order] - 1
    own_weights = step_weights(weights)
    states = {name: state.index_select(0, order.to(device)) for name, state in initial.items()}
    ticks = []
    for tick, live in enumerate(live_sequences(x.lengths).tolist()):
        rows = (last[:live] - tick if backwards else first[:live] + tick).to(device)
        live_states = {name: state[:live] for name, state in states.items()}
        recurrent_sums = linear(live_states["h"], weights.recurrent, weights.recurrent_bias)
        x_gates, r_gates = _by_gate(cell, sums.index_select(0, rows)), _by_gate(cell, recurrent_sums)
        x_gates |= {name: column.index_select(0, rows) for name, column in bypassing.items()}
        r_gates = {gate: r_gates[gate] for gate in cell.recurrent_gates}
        new = cell.step(Names("gate", x_gates), Names("gate", r_gates), Names("state", live_states), own_weights)
        updated = _updated(cell, new, weights, (len(rows), weights.recurrent.shape[0] // len(cell.gates)))
        ticks.append(Tick(rows, updated, recurrent_sums))
        states = {name: _keep_ended(updated[name], states[name]) for name in states}
    place = order.argsort().to(device)
    return ticks, {name: state.index_select(0, place) for name, state in states.items()}


def trace_direction(cell: Cell, x: Ragged, weights: LayerWeights, initial: States, backwards: bool) -> DirectionTrace:
    """Every state at every step, and what the input and the recurrence add to each gate."""
    x_sums = input_sums(cell, x.values, weights)
    ticks, _ = run_direction(cell, x, x_sums, weights, initial, backwards)
    r_sums = values_in_step_order(ticks, [tick.recurrent_sums for tick in ticks], x.values, weights.recurrent.shape[0])
    states = {
        name: x.with_values(values_in_step_order(ticks, [tick.states[name] for tick in ticks], x.values, initial[name].shape[-1]))
        for name in cell.states
    }
    by_gate = [{gate: x.with_values(part) for gate, part in _by_gate(cell, sums).items()} for sums in (x_sums, r_sums)]
    return DirectionTrace(states, by_gate[0], by_gate[1])


def step_weights(weights: LayerWeights) -> Names:
    """What a step reads as w: the unit weights, and the matrices with their product."""
    matrices = {name: Matrix(name, partial(_product, matrix)) for name, matrix in weights.matrices.items()}
    return Names("weight" if matrices else "unit weight", {**weights.unit, **cast(dict[str, Tensor], matrices)})


def _product(matrix: Tensor, a: Tensor | float) -> Tensor:
    """matrix · a for each sequence. a: (live, hidden_size); or, the same for all units, (live, 1) or a number."""
    vector = a if isinstance(a, Tensor) else matrix.new_tensor(a)
    return linear(vector.expand(*vector.shape[:-1], matrix.shape[1]), matrix)


def _by_gate(cell: Cell, sums: Tensor) -> States:
    """The sums by gate, each (steps, hidden_size)."""
    return dict(zip(cell.gates, sums.chunk(len(cell.gates), dim=-1), strict=True))


def _updated(cell: Cell, new: object, weights: LayerWeights, shape: tuple[int, int]) -> States:
    """The states that the equations gave, each of this shape (live, hidden_size), and `h` projected where the layer projects."""
    if not isinstance(new, Mapping) or set(new) != set(cell.states):
        given = ", ".join(new) if isinstance(new, Mapping) else type(new).__name__
        raise ConfigError(
            f"The step of the cell '{cell.name}' returned {given}; declared are the states {', '.join(cell.states)}. "
            f"Return a dictionary with exactly these names."
        )
    # a state may be a weight, a number, or an input that is the same for all units
    like = weights.recurrent
    states: States = {
        name: value.expand(shape) if isinstance(value, Tensor) else like.new_full(shape, value) for name, value in new.items()
    }
    if weights.projection is not None:
        states["h"] = linear(states["h"], weights.projection)
    return states


def _keep_ended(updated: Tensor, before: Tensor) -> Tensor:
    """The states of live sequences renewed, those of ended sequences as they were."""
    return updated if len(updated) == len(before) else torch.cat([updated, before[len(updated) :]])


def values_in_step_order(ticks: list[Tick], parts: list[Tensor], like: Tensor, size: int) -> Tensor:
    """What each tick gave, (live, size), put at its steps: (total_steps, size)."""
    if not ticks:
        return like.new_zeros((0, size))
    place = torch.cat([tick.rows for tick in ticks]).argsort()
    return torch.cat(parts).index_select(0, place)
