"""student-t: like gaussian, with tails as heavy as the data asks for."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy import special
from torch import Tensor

from gatework.tasks.outputs.output import SMALLEST_SCALE, Array, Distribution

FEWEST_DEGREES = 2.0
"""Degrees of freedom stay above: at 2 the variance becomes infinite, and the scale can no longer be learned from few values."""


class StudentT(Distribution):
    """Student's t; parameters: location, scale, degrees of freedom. The loss is the negative log likelihood."""

    name = "student-t"
    num_parameters = 3

    def parameters(self, raw: Tensor) -> Tensor:
        scale = F.softplus(raw[..., 1]) + SMALLEST_SCALE
        degrees = F.softplus(raw[..., 2]) + FEWEST_DEGREES
        return torch.stack([raw[..., 0], scale, degrees], dim=-1)

    def rescale(self, parameters: Tensor, base: Tensor, spread: Tensor) -> Tensor:
        location, scale, degrees = parameters.unbind(-1)
        return torch.stack([base + spread * location, spread * scale, degrees], dim=-1)

    def losses(self, parameters: Tensor, targets: Tensor) -> Tensor:
        location, scale, degrees = parameters.double().unbind(-1)  # the logarithms of gamma nearly cancel
        distance = (targets - location) / scale
        normaliser = torch.lgamma(degrees / 2.0) - torch.lgamma((degrees + 1.0) / 2.0) + 0.5 * (degrees * math.pi).log()
        tail = 0.5 * (degrees + 1.0) * torch.log1p(distance**2 / degrees)
        return normaliser + scale.log() + tail

    def point(self, parameters: Array) -> Array:
        return parameters[..., 0]

    def quantile(self, parameters: Array, levels: Sequence[float] | Array) -> Array:
        result: Array = parameters[..., :1] + parameters[..., 1:2] * special.stdtrit(parameters[..., 2:], np.asarray(levels))
        return result

    def cdf(self, parameters: Array, values: Array) -> Array:
        result: Array = special.stdtr(parameters[..., 2], (values - parameters[..., 0]) / parameters[..., 1])
        return result
