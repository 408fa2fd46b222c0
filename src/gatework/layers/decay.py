"""Decay: a value that was not measured fades from its last measurement to where it usually is, at a rate that is learned."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gatework.errors import ConfigError
from gatework.ragged import Ragged

FIRST_RATE = 0.5
"""The rate at the start of a training: where times are scaled to a mean of 1, a value is then faded by 40 % after a usual gap."""


class Decay(nn.Module):
    """Columns of a step's input, with those fading that were not measured; for the cell `gru_d`, and any other.

    In a gap, x becomes γ · last + (1 − γ) · resting with γ = exp(−max(0, rate · since + offset)), one rate and offset a column.

    values, observed, since: for each fading column where it stands in the input, where its mask stands (1 measured, 0 not) and
        where the time since its last measurement stands. In a gap, the value column holds the last measurement.
    resting: what each column fades to: its mean; 0 where left out, which is the mean of what is scaled to one of 0.
    Raises ConfigError unless there are as many of each, all different columns.
    Che et al. 2018, doi:10.1038/s41598-018-24271-9, Methods: the trainable decays of the input.

    >>> decay = Decay(values=[0], observed=[1], since=[2])
    >>> steps = torch.tensor([[3.0, 1.0, 1.0], [3.0, 0.0, 1.0], [3.0, 0.0, 2.0]])
    >>> decay(Ragged.one(steps)).values[:, 0].detach()
    tensor([3.0000, 1.8196, 1.1036])
    """

    values: Tensor
    observed: Tensor
    since: Tensor
    resting: Tensor

    def __init__(
        self, values: Sequence[int], observed: Sequence[int], since: Sequence[int], resting: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        resting = [0.0] * len(values) if resting is None else resting
        columns = [*values, *observed, *since]
        if not len(values) == len(observed) == len(since) == len(resting) or len(set(columns)) < len(columns):
            raise ConfigError(
                f"Decay got values={list(values)}, observed={list(observed)}, since={list(since)} and {len(resting)} resting "
                f"values; expected as many of each, all different columns. Give the three columns of each fading value."
            )
        for name, places in (("values", values), ("observed", observed), ("since", since)):
            self.register_buffer(name, torch.tensor(list(places), dtype=torch.int64), persistent=False)
        self.register_buffer("resting", torch.tensor(list(resting), dtype=torch.get_default_dtype()), persistent=False)
        self.rate = nn.Parameter(torch.full((len(values),), FIRST_RATE))
        self.offset = nn.Parameter(torch.zeros(len(values)))

    def forward(self, inputs: Ragged) -> Ragged:
        """The same steps, faded. inputs: values (total_steps, input_size)."""
        steps = inputs.values
        last, since = steps[:, self.values], steps[:, self.since]
        left = torch.exp(-torch.relu(self.rate * since + self.offset))
        faded = self.resting + left * (last - self.resting)
        # chosen, not multiplied by the mask: what is measured keeps its bits
        now = torch.where(steps[:, self.observed] > 0, last, faded)
        return inputs.with_values(steps.index_copy(1, self.values, now))
