"""What every output has in common: from the network's raw numbers to a statement about one value, its loss and its quantiles.

While training, everything is a torch tensor with gradients; what is read off a finished forecast is NumPy in float64.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

Array = npt.NDArray[np.float64]

SMALLEST_SCALE = 1e-3
"""Of a standard deviation, in the spread that the output is measured in: a density on repeated values would otherwise grow
without bound and drown every other value of the loss."""


class Output(ABC):
    """What the network says of one value: `num_parameters` numbers, on the last axis.

    is_count: targets are counts in their own units, not scaled values.
    """

    name: str
    num_parameters: int
    is_count: bool = False

    @abstractmethod
    def parameters(self, raw: Tensor) -> Tensor:
        """(..., num_parameters) of any numbers → the same shape, each parameter in its range.

        The first raw number is where the value lies (a centre or a size), on whose way up the value grows.
        """

    @abstractmethod
    def rescale(self, parameters: Tensor, base: Tensor, spread: Tensor) -> Tensor:
        """The parameters of base + spread · z where these are those of z; for counts those of spread · z.

        base, spread: broadcast against (...,); spread above 0.
        """

    @abstractmethod
    def losses(self, parameters: Tensor, targets: Tensor) -> Tensor:
        """The loss of each target: (..., num_parameters) and (...,) → (...,)."""

    def loss(self, parameters: Tensor, targets: Tensor, observed: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean loss over the observed targets (...,), a scalar; 0 when none is.

        weight: how much each counts, broadcast against (...,). Unobserved targets may hold anything.
        """
        # a NaN in a target would reach the gradient through the branch that is not used
        losses = self.losses(parameters, targets.masked_fill(~observed, 0.0))
        return masked_mean(losses if weight is None else losses * weight, observed).to(parameters.dtype)

    @abstractmethod
    def point(self, parameters: Array) -> Array:
        """(..., num_parameters) → (...,): the median, or whatever the loss of a single number aims at."""


class Distribution(Output):
    """An output that says what else may come."""

    @abstractmethod
    def quantile(self, parameters: Array, levels: Sequence[float] | Array) -> Array:
        """(..., num_parameters), levels in (0, 1), rising → (..., levels), never falling along the last axis.

        levels: one list for all, or an array that broadcasts against (..., levels).
        """

    @abstractmethod
    def cdf(self, parameters: Array, values: Array) -> Array:
        """The probability of at most `values` (...,); 0 to 1, NaN where the value is."""

    def sample(self, parameters: Array, num_samples: int, generator: np.random.Generator) -> Array:
        """(num_samples, ...) independent draws."""
        shape = (num_samples, *parameters.shape[:-1])
        drawn: Array = self.quantile(np.broadcast_to(parameters, (*shape, self.num_parameters)), open_uniform(generator, shape))
        return drawn[..., 0]


def open_uniform(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """(*shape, 1) uniform numbers inside (0, 1), neither end included: an infinite quantile is no draw."""
    half = 2.0**-54
    return generator.random((*shape, 1)) * (1.0 - 2.0 * half) + half


def masked_mean(values: Tensor, observed: Tensor) -> Tensor:
    """The mean of `values` where `observed`; 0 where nothing is observed. Never touches the rest, NaN included."""
    kept = values.masked_fill(~observed, 0.0)
    return kept.sum() / observed.sum().clamp(min=1)
