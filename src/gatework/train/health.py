"""How a network is doing: saturated gates, dead units, and how far back its gradient reaches. Looked at after every epoch."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

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
        outputs = network.features(batch.inputs, batch.future.shape[1]).steps.values
        gates = gate_values(network, batch.inputs, batch.future.shape[1])
    dead = int((outputs.std(dim=0, unbiased=False) < DEAD_MOVEMENT).sum()) if len(outputs) else 0
    saturated = float(((gates < LOW_GATE) | (gates > HIGH_GATE)).float().mean()) if gates.numel() else None
    return Health(saturated, dead, reach(network, batch.inputs, batch.future, batch.judged is not None))


def gate_values(network: SequenceModel, inputs: Ragged, horizon: int = 0) -> Tensor:
    """Every sigmoid of the first layer's equations at every step, flattened; empty for a cell without gates."""
    read, _, _ = network.read(inputs, horizon)
    found = [values for direction in network.recurrent.trace(read).directions[0] for values in direction.sigmoids]
    return torch.cat([values.flatten() for values in found]) if found else inputs.values.new_zeros(0)


def reach(network: SequenceModel, inputs: Ragged, future: Tensor | None, answers_steps: bool = False) -> int | None:
    """The lag within which 99 % of the gradient of the output with respect to the input lies; None without steps.

    The gradient is that of the output along one random direction per sample (signs, drawn with a fixed seed): its expected
    squared norm is that of the whole Jacobian. Lag 1 is the last step. answers_steps: the output has a row for each step, of
    which the last of each sample is looked at.
    """
    if not inputs.total_steps:
        return None
    values = inputs.values.detach().clone().requires_grad_()
    output = network(inputs.with_values(values), future)
    if answers_steps:
        output = output[inputs.offsets[1:] - 1]
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
