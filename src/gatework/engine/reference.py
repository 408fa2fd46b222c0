"""The truth: a loop over ticks that calls the cell's own equations on tensors; autograd differentiates.

Any cell, any floating dtype, any device; double backward and torch.func work through it. At each tick only the sequences that
still have a step are computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear

from gatework.cells import Cell, Names
from gatework.engine.records import DirectionTrace, LayerWeights, RowsResult
from gatework.engine.rows import Rows
from gatework.errors import ConfigError
from gatework.ragged import Ragged, live_sequences

States = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Tick:
    """One tick. rows: (live,), the steps computed. states and recurrent sums (live, …) at those steps."""

    rows: Tensor
    states: States
    recurrent_sums: Tensor


@torch.compiler.disable  # type: ignore[untyped-decorator]  # a compiler would unroll the loop over ticks
def run(cell: Cell, rows: Rows, weights: tuple[LayerWeights, ...], initial: States) -> RowsResult:
    """One layer, all its directions (backwards is the second).

    initial: per state (num_directions, num_sequences, size). Returns outputs in the memory order of `rows`.
    """
    x = rows.ragged()
    outputs, finals = [], []
    for direction, direction_weights in enumerate(weights):
        start = {name: state[direction] for name, state in initial.items()}
        input_sums = linear(x.values, direction_weights.input, direction_weights.input_bias)
        ticks, final = run_direction(cell, x.sequences, input_sums, direction_weights, start, backwards=direction == 1)
        outputs.append(values_in_step_order(ticks, [tick.states["h"] for tick in ticks], x.values, direction_weights.output_size))
        finals.append(final)
    joined = x.with_values(torch.cat(outputs, dim=-1) if len(outputs) > 1 else outputs[0])
    return RowsResult(rows.like(joined), {name: torch.stack([final[name] for final in finals]) for name in initial})


def run_direction(
    cell: Cell, x: Ragged, input_sums: Tensor, weights: LayerWeights, initial: States, backwards: bool
) -> tuple[list[Tick], States]:
    """One direction: every tick, and the states (num_sequences, size) after the last step of each sequence.

    input_sums: (total_steps, num_gates * hidden_size). initial: per state (num_sequences, size).
    """
    device = input_sums.device
    order = x.lengths.argsort(descending=True, stable=True)
    first, last = x.offsets[:-1][order], x.offsets[1:][order] - 1
    unit_weights = Names("unit weight", weights.unit)
    states = {name: state.index_select(0, order.to(device)) for name, state in initial.items()}
    ticks = []
    for tick, live in enumerate(live_sequences(x.lengths).tolist()):
        rows = (last[:live] - tick if backwards else first[:live] + tick).to(device)
        live_states = {name: state[:live] for name, state in states.items()}
        recurrent_sums = linear(live_states["h"], weights.recurrent, weights.recurrent_bias)
        x_gates, r_gates = _gates(cell, input_sums.index_select(0, rows)), _gates(cell, recurrent_sums)
        new = cell.step(x_gates, r_gates, Names("state", live_states), unit_weights)
        updated = _updated(cell, new, weights)
        ticks.append(Tick(rows, updated, recurrent_sums))
        states = {name: _keep_ended(updated[name], states[name]) for name in states}
    place = order.argsort().to(device)
    return ticks, {name: state.index_select(0, place) for name, state in states.items()}


def trace_direction(cell: Cell, x: Ragged, weights: LayerWeights, initial: States, backwards: bool) -> DirectionTrace:
    """Every state at every step, and what the input and the recurrence add to each gate."""
    input_sums = linear(x.values, weights.input, weights.input_bias)
    ticks, _ = run_direction(cell, x, input_sums, weights, initial, backwards)
    sums = values_in_step_order(ticks, [tick.recurrent_sums for tick in ticks], x.values, weights.recurrent.shape[0])
    states = {
        name: x.with_values(values_in_step_order(ticks, [tick.states[name] for tick in ticks], x.values, initial[name].shape[-1]))
        for name in cell.states
    }
    num_gates = len(cell.gates)
    by_gate = [
        {gate: x.with_values(part) for gate, part in zip(cell.gates, all_sums.chunk(num_gates, dim=-1), strict=True)}
        for all_sums in (input_sums, sums)
    ]
    return DirectionTrace(states, by_gate[0], by_gate[1])


def _gates(cell: Cell, sums: Tensor) -> Names:
    """The sums by gate, each (live, hidden_size)."""
    return Names("gate", dict(zip(cell.gates, sums.chunk(len(cell.gates), dim=-1), strict=True)))


def _updated(cell: Cell, new: object, weights: LayerWeights) -> States:
    """The states that the equations gave, `h` projected where the layer projects."""
    if not isinstance(new, Mapping) or set(new) != set(cell.states):
        given = ", ".join(new) if isinstance(new, Mapping) else type(new).__name__
        raise ConfigError(
            f"The step of the cell '{cell.name}' returned {given}; declared are the states {', '.join(cell.states)}. "
            f"Return a dictionary with exactly these names."
        )
    states: States = dict(new)
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
