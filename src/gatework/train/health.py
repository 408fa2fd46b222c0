"""How a network is doing: saturated gates, dead units, and how far back its gradient reaches. Looked at after every epoch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gatework.cells import Cell, Names
from gatework.engine import DirectionTrace
from gatework.model import SequenceModel
from gatework.ragged import Ragged
from gatework.tasks.task import Samples

PROBE_SAMPLES = 32
"""Samples looked at: enough for shares to a percent or two, few enough to cost less than a tenth of an epoch."""

LOW_GATE, HIGH_GATE = 0.1, 0.9
"""Gate values outside are saturated (Karpathy, Johnson and Fei-Fei 2015, section 4.2)."""

DEAD_MOVEMENT = 1e-3
"""A unit whose output varies less than this (standard deviation over all probed steps) carries no information."""

REACH_SHARE = 0.99
"""Share of the gradient that lies within the reach."""


@dataclass(frozen=True)
class Health:
    """See `HistoryRow` for the meaning of the numbers."""

    saturated_share: float | None
    dead_units: int
    reach_steps: int | None


def examine(network: SequenceModel, samples: Samples) -> Health:
    """Look at a network on a few evenly spaced samples. Mode, weights and gradients are left as they are."""
    index = np.unique(np.linspace(0, len(samples) - 1, PROBE_SAMPLES).astype(np.int64))
    batch = samples.batch(index)
    network.eval()
    with torch.no_grad():
        outputs = network.features(batch.inputs).steps.values
        gates = gate_values(network, batch.inputs)
    dead = int((outputs.std(dim=0, unbiased=False) < DEAD_MOVEMENT).sum()) if len(outputs) else 0
    saturated = float(((gates < LOW_GATE) | (gates > HIGH_GATE)).float().mean()) if gates.numel() else None
    return Health(saturated, dead, reach(network, batch.inputs, batch.future))


def gate_values(network: SequenceModel, inputs: Ragged) -> Tensor:
    """Every sigmoid of the first layer's equations at every step, flattened; empty for a cell without gates."""
    found: list[Tensor] = []
    for number, trace in enumerate(network.recurrent.trace(inputs).directions[0]):
        found += sigmoids(network.recurrent.cell, trace, backwards=number == 1)
    return torch.cat([values.flatten() for values in found]) if found else inputs.values.new_zeros(0)


def sigmoids(cell: Cell, trace: DirectionTrace, backwards: bool) -> list[Tensor]:
    """The values of the equations' sigmoids at every step, each (total_steps, hidden_size)."""
    seen: list[Tensor] = []

    def recorded(kind: str, values: dict[str, Tensor]) -> Names:
        return Names(kind, {name: Recorded(value, seen) for name, value in values.items()})

    cell.step(
        recorded("gate", {name: sums.values for name, sums in trace.input_sums.items()}),
        recorded("gate", {name: sums.values for name, sums in trace.recurrent_sums.items()}),
        recorded("state", {name: one_step_before(states, backwards) for name, states in trace.states.items()}),
        Names("unit weight", {}),
    )
    return seen


def one_step_before(states: Ragged, backwards: bool) -> Tensor:
    """The state that each step starts from, (total_steps, size): its neighbour's, zeros at the first step of a direction."""
    rows = torch.ones(states.total_steps, dtype=torch.bool)
    has_steps = states.lengths > 0
    rows[(states.offsets[1:] - 1 if backwards else states.offsets[:-1])[has_steps]] = False
    here = rows.nonzero().squeeze(-1)
    before = torch.zeros_like(states.values)
    before[here] = states.values[here + 1 if backwards else here - 1]
    return before


class Recorded:
    """A tensor that notes the result of every sigmoid taken of it or of what is computed from it."""

    def __init__(self, value: Tensor, seen: list[Tensor]):
        self.value = value
        self.seen = seen

    def _new(self, value: Tensor) -> "Recorded":
        return Recorded(value, self.seen)

    def __add__(self, other: Any) -> "Recorded":
        return self._new(self.value + plain(other))

    def __sub__(self, other: Any) -> "Recorded":
        return self._new(self.value - plain(other))

    def __rsub__(self, other: Any) -> "Recorded":
        return self._new(plain(other) - self.value)

    def __mul__(self, other: Any) -> "Recorded":
        return self._new(self.value * plain(other))

    def __truediv__(self, other: Any) -> "Recorded":
        return self._new(self.value / plain(other))

    def __neg__(self) -> "Recorded":
        return self._new(-self.value)

    __radd__ = __add__
    __rmul__ = __mul__

    def sigmoid(self) -> "Recorded":
        self.seen.append(self.value.sigmoid())
        return self._new(self.seen[-1])

    def tanh(self) -> "Recorded":
        return self._new(self.value.tanh())

    def relu(self) -> "Recorded":
        return self._new(self.value.relu())

    def exp(self) -> "Recorded":
        return self._new(self.value.exp())


def plain(other: Any) -> Any:
    """The tensor inside, or the number as it is."""
    return other.value if isinstance(other, Recorded) else other


def reach(network: SequenceModel, inputs: Ragged, future: Tensor | None) -> int | None:
    """The lag within which 99 % of the gradient of the output with respect to the input lies; None without steps.

    The gradient is that of the output along one random direction per sample (signs, drawn with a fixed seed): its expected
    squared norm is that of the whole Jacobian. Lag 1 is the last step.
    """
    if not inputs.total_steps:
        return None
    values = inputs.values.detach().clone().requires_grad_()
    output = network(inputs.with_values(values), future)
    signs = torch.randint(0, 2, output.shape, generator=torch.Generator().manual_seed(0)).to(output) * 2 - 1
    (gradient,) = torch.autograd.grad((output * signs).sum(), values)
    lengths = inputs.lengths
    owner = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    lag = inputs.offsets[1:][owner] - torch.arange(inputs.total_steps)
    by_lag = torch.zeros(int(lengths.max()), dtype=torch.float64).index_add(0, lag - 1, gradient.norm(dim=-1).double())
    total = float(by_lag.sum())
    if total == 0.0:
        return None
    return int((by_lag.cumsum(0) < REACH_SHARE * total).sum()) + 1
