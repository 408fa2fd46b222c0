"""A packed batch as a row of dense pieces: from tick to tick the same sequences live, until one ends.

On the CPU torch runs a packed batch tick by tick, and its backward pass writes a gradient of the whole batch for each tick. Each
piece between two ends is a dense batch that lies in memory as it is, so it goes to the dense kernel without a copy.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gatework.engine.rows import Schedule

DenseKernel = Callable[[Tensor, tuple[Tensor, ...]], tuple[Tensor, Sequence[Tensor]]]
"""(steps, live, size) and states (1, live, …) to outputs (steps, live, output_size) and final states (1, live, …)."""


def has_long_chunks(schedule: Schedule) -> bool:
    """True when a piece is two ticks long on average.

    Measured: a call of the dense kernel costs about as much as two ticks of the packed one. For 64 lengths from 3 to 200 (43
    pieces, 200 ticks) pieces train at least 1.7 times faster; for 32 lengths from 7 to 29 (19 pieces, 29 ticks) slower.
    """
    num_chunks = len(torch.unique_consecutive(schedule.batch_sizes))
    return 2 * num_chunks <= len(schedule.batch_sizes)


def run_chunks(
    values: Tensor, schedule: Schedule, states: tuple[Tensor, ...], kernel: DenseKernel
) -> tuple[Tensor, list[Tensor]]:
    """One direction, forwards.

    values: (total_steps, size), packed. states: (1, num_live, …) each, in packed places.
    Returns outputs (total_steps, output_size), packed, and the final states as the initial ones were given.
    """
    live_counts, ticks = torch.unique_consecutive(schedule.batch_sizes, return_counts=True)
    outputs: list[Tensor] = []
    ended: list[list[Tensor]] = [[] for _ in states]
    pieces = torch.split(values, (live_counts * ticks).tolist())
    for piece, live, steps in zip(pieces, live_counts.tolist(), ticks.tolist(), strict=True):
        if live < states[0].shape[1]:
            for parts, state in zip(ended, states, strict=True):
                parts.append(state[:, live:])
            states = tuple(state[:, :live].contiguous() for state in states)
        output, finals = kernel(piece.reshape(steps, live, -1), states)
        outputs.append(output.reshape(steps * live, -1))
        states = tuple(finals)
    # Places count from the longest sequence: those that ended last come first.
    return torch.cat(outputs), [torch.cat([state, *parts[::-1]], dim=1) for state, parts in zip(states, ended, strict=True)]
