"""One vector per sequence from its steps: the poolings that `--pooling` names."""

import torch
from torch import Tensor, nn

from gatework.layers.attention import AttentionPooling, max_over_steps, sum_over_steps
from gatework.ragged import Ragged
from gatework.runs import PoolingName
from gatework.tasks.task import Features


def mean_over_steps(steps: Ragged) -> Tensor:
    """The mean of each sequence's steps, (num_sequences, features); 0 for an empty sequence."""
    lengths = steps.lengths.to(steps.values.device)
    return sum_over_steps(steps) / lengths.clamp(min=1).unsqueeze(-1)


class Pooling(nn.Module):
    """(num_sequences, output_size) from the features of each sequence.

    last: the final state, which knows the order. mean, max: over the steps; neither forgets the beginning.
    attention: a mean whose weights are learned (see `AttentionPooling`). summary: the final state beside the mean.
    """

    def __init__(self, name: PoolingName, feature_size: int):
        super().__init__()
        self.name = name
        self.output_size = feature_size * (2 if name == "summary" else 1)
        self.attention = AttentionPooling(feature_size) if name == "attention" else None

    def forward(self, features: Features) -> Tensor:
        if self.attention is not None:
            return self.attention(features.steps).values  # type: ignore[no-any-return]
        if self.name == "last":
            return features.last
        if self.name == "max":
            return max_over_steps(features.steps)
        mean = mean_over_steps(features.steps)
        return mean if self.name == "mean" else torch.cat([features.last, mean], dim=-1)
