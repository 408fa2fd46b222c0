"""negative-binomial: counts, with a variance above their mean."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gatework.tasks.outputs.output import Array, Distribution

SMALLEST_MEAN = 1e-6
"""In training means: where only zeros are predicted, a later one still has a likelihood."""
LEAST_DISPERSION, MOST_DISPERSION = 1e-6, 1e3
"""At the least the distribution is Poisson's to six digits; beyond the most nearly all of it lies at zero."""


class NegativeBinomial(Distribution):
    """Counts; parameters: mean μ, dispersion α; the variance is μ + α μ². The loss is the negative log likelihood.

    `rescale` multiplies the mean and takes no notice of the base: counts have a zero of their own.
    The parameters are those of Salinas et al., "DeepAR", 2020, section 3.1.
    """

    name = "negative-binomial"
    num_parameters = 2
    is_count = True

    def parameters(self, raw: Tensor) -> Tensor:
        return torch.stack([_mean(raw[..., 0]), _dispersion(raw[..., 1])], dim=-1)

    def rescale(self, parameters: Tensor, base: Tensor, spread: Tensor) -> Tensor:
        return torch.stack([spread * parameters[..., 0], parameters[..., 1] + torch.zeros_like(spread)], dim=-1)

    def losses(self, parameters: Tensor, targets: Tensor) -> Tensor:
        log_likelihood = log_mass(parameters, targets)
        return -log_likelihood

    def point(self, parameters: Array) -> Array:
        return self.quantile(parameters, [0.5])[..., 0]

    def quantile(self, parameters: Array, levels: Sequence[float] | Array) -> Array:
        from scipy import stats

        size, success = scipy_parameters(parameters[..., :1], parameters[..., 1:2])
        result: Array = stats.nbinom.ppf(np.asarray(levels), size, success)
        return result

    def cdf(self, parameters: Array, values: Array) -> Array:
        from scipy import stats

        result: Array = stats.nbinom.cdf(values, *scipy_parameters(parameters[..., 0], parameters[..., 1]))
        return result


def _mean(raw: Tensor) -> Tensor:
    return F.softplus(raw) + SMALLEST_MEAN


def _dispersion(raw: Tensor) -> Tensor:
    return (F.softplus(raw) + LEAST_DISPERSION).clamp(max=MOST_DISPERSION)


def log_mass(parameters: Tensor, counts: Tensor) -> Tensor:
    """The log probability of each count (...,), float64: the logarithms of gamma nearly cancel where α is small."""
    mean, dispersion = parameters.double().unbind(-1)
    counts = counts.double()
    size = 1.0 / dispersion
    below_one = torch.log1p(dispersion * mean)
    combinations = torch.lgamma(counts + size) - torch.lgamma(size) - torch.lgamma(counts + 1.0)
    return combinations - size * below_one + counts * ((dispersion * mean).log() - below_one)


def scipy_parameters(mean: Array, dispersion: Array) -> tuple[Array, Array]:
    """The two numbers that scipy takes: the number of successes and the probability of one."""
    size = 1.0 / dispersion
    return size, 1.0 / (1.0 + dispersion * mean)
