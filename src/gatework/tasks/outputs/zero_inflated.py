"""zero-inflated: counts that are zero more often than their size alone explains."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gatework.tasks.outputs.negative_binomial import NegativeBinomial, log_mass
from gatework.tasks.outputs.output import Array, Distribution

FARTHEST_LOGIT = 30.0
"""Of the share of extra zeros: beyond it, 1 minus the share is 0 in float32."""


class ZeroInflated(Distribution):
    """Zero with probability π, else negative binomial; parameters: mean, dispersion, π as a logit.

    The mean is that of the negative binomial part. Lambert, "Zero-inflated Poisson regression", 1992, with a dispersion.
    """

    name = "zero-inflated"
    num_parameters = 3
    is_count = True

    def __init__(self) -> None:
        self.counts = NegativeBinomial()

    def parameters(self, raw: Tensor) -> Tensor:
        logit = raw[..., 2].clamp(-FARTHEST_LOGIT, FARTHEST_LOGIT)
        return torch.cat([self.counts.parameters(raw[..., :2]), logit[..., None]], dim=-1)

    def rescale(self, parameters: Tensor, base: Tensor, spread: Tensor) -> Tensor:
        counts = self.counts.rescale(parameters[..., :2], base, spread)
        return torch.cat([counts, parameters[..., 2:] + torch.zeros_like(counts[..., :1])], dim=-1)

    def losses(self, parameters: Tensor, targets: Tensor) -> Tensor:
        counts, logit = targets, parameters[..., 2].double()
        counted = F.logsigmoid(-logit) + log_mass(parameters[..., :2], counts)
        log_likelihood = torch.where(counts == 0, torch.logaddexp(F.logsigmoid(logit), counted), counted)
        return -log_likelihood

    def point(self, parameters: Array) -> Array:
        return self.quantile(parameters, [0.5])[..., 0]

    def quantile(self, parameters: Array, levels: Sequence[float] | Array) -> Array:
        extra = _share(parameters[..., 2:])
        inner = (np.asarray(levels) - extra) / (1.0 - extra)
        counts = self.counts.quantile(parameters[..., :2], np.clip(inner, 1e-300, None))
        return np.where(inner > 0, counts, 0.0)

    def cdf(self, parameters: Array, values: Array) -> Array:
        extra = _share(parameters[..., 2])
        result: Array = np.where(values < 0, 0.0, extra + (1.0 - extra) * self.counts.cdf(parameters[..., :2], values))
        return result


def _share(logit: Array) -> Array:
    result: Array = 1.0 / (1.0 + np.exp(-logit))
    return result
