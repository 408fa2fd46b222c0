"""One vector per sequence from its steps."""

import torch
from torch import Tensor

from gatework.ragged import Ragged
from gatework.tasks.task import Features


def mean_over_steps(steps: Ragged) -> Tensor:
    """The mean of each sequence's steps, (num_sequences, features); 0 for an empty sequence."""
    lengths = steps.lengths.to(steps.values.device)
    owner = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    total = steps.values.new_zeros(len(lengths), steps.values.shape[-1]).index_add(0, owner, steps.values)
    return total / lengths.clamp(min=1).unsqueeze(-1)


def summary(features: Features) -> Tensor:
    """The final state beside the mean over the steps, (num_sequences, 2 · feature_size).

    The final state knows the order, the mean does not forget the beginning.
    """
    return torch.cat([features.last, mean_over_steps(features.steps)], dim=-1)
