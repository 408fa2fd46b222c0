"""Attention over the steps of each sequence, without padding."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gatework.ragged import Ragged


class Attended(NamedTuple):
    """What attention pooling gives.

    values: (num_sequences, feature_size), the weighted mean of each sequence's steps; zeros for an empty sequence.
    weights: Ragged (total_steps,), the weight of each step, 0 to 1; those of a sequence sum to 1.
    """

    values: Tensor
    weights: Ragged


class AttentionPooling(nn.Module):
    """One vector per sequence: the mean of its steps, weighted by how much each matters.

    Each step is scored by a small tanh layer and a learned query, score = query · tanh(W step + b), and the scores of a sequence
    go through a softmax (additive attention: Bahdanau, Cho and Bengio 2015, section 3.1; with a query that belongs to the
    task, not to a decoder: Yang et al. 2016, equations 5 to 7). The query starts at zero, so that an untrained
    pooling is the plain mean.

    >>> pooling = AttentionPooling(2, attention_size=3)
    >>> steps = Ragged.from_list([torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.empty(0, 2)])
    >>> pooled = pooling(steps)
    >>> pooled.values.tolist(), pooled.weights[0].tolist()
    ([[2.0, 3.0], [0.0, 0.0]], [0.5, 0.5])
    """

    def __init__(self, feature_size: int, attention_size: int = 32):
        super().__init__()
        self.look = nn.Linear(feature_size, attention_size)
        self.query = nn.Parameter(torch.zeros(attention_size))

    def forward(self, steps: Ragged) -> Attended:
        """steps: Ragged (total_steps, feature_size)."""
        scores = torch.tanh(self.look(steps.values)) @ self.query
        weights = softmax_over_steps(steps.with_values(scores))
        return Attended(sum_over_steps(steps.with_values(steps.values * weights.values.unsqueeze(-1))), weights)


def softmax_over_steps(scores: Ragged) -> Ragged:
    """The softmax of each sequence's steps by itself; exact whatever the other sequences hold.

    scores: Ragged (total_steps,), finite. Returns the same shape; each sequence sums to 1, one of a single step is 1.
    """
    owner = scores.sequence_index.to(scores.values.device)
    # the largest score of a sequence is taken off before exp: nothing overflows, and the quotient does not change
    highest = scores.values.new_zeros(scores.num_sequences).scatter_reduce(
        0, owner, scores.values.detach(), "amax", include_self=False
    )
    shares = torch.exp(scores.values - highest[owner])
    total = shares.new_zeros(scores.num_sequences).index_add(0, owner, shares)
    return scores.with_values(shares / total[owner])


def sum_over_steps(steps: Ragged) -> Tensor:
    """The sum of each sequence's steps: (num_sequences, feature_size), 0 for an empty sequence."""
    owner = steps.sequence_index.to(steps.values.device)
    return steps.values.new_zeros(steps.num_sequences, *steps.values.shape[1:]).index_add(0, owner, steps.values)


def max_over_steps(steps: Ragged) -> Tensor:
    """The largest value of each feature: (num_sequences, feature_size), 0 for an empty sequence.

    Steps that share the largest value share its gradient equally.
    """
    owner = steps.sequence_index.to(steps.values.device).unsqueeze(-1).expand_as(steps.values)
    empty = steps.values.new_zeros(steps.num_sequences, steps.values.shape[1])
    return empty.scatter_reduce(0, owner, steps.values, "amax", include_self=False)
