"""Dropout with one mask for all steps of a sequence."""

from torch import Tensor, nn

from gatework.ragged import Ragged


class LockedDropout(nn.Module):
    """Sets columns of a sequence to 0 at all its steps in training; the others grow by 1 / (1 − rate).

    Gal and Ghahramani 2016, "A theoretically grounded application of dropout in recurrent neural networks", section 4: on the
    inputs.
    """

    def __init__(self, rate: float):
        """rate: the share of columns, 0 to below 1."""
        super().__init__()
        self.rate = rate

    def forward(self, x: Ragged) -> Ragged:
        """x: values (total_steps, features). The same lengths."""
        if not self.training or self.rate == 0:
            return x
        return x.with_values(x.values * self.mask(x).repeat_interleave(x.lengths.to(x.values.device), dim=0))

    def mask(self, x: Ragged) -> Tensor:
        """(num_sequences, features): 0, or 1 / (1 − rate)."""
        kept = x.values.new_empty(x.num_sequences, x.values.shape[-1]).bernoulli_(1 - self.rate)
        return kept / (1 - self.rate)

    def extra_repr(self) -> str:
        return f"{self.rate}"
