"""gaussian: a mean and a standard deviation."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy import special
from torch import Tensor

from gatework.tasks.outputs.output import SMALLEST_SCALE, Array, Distribution


class Gaussian(Distribution):
    """The normal distribution; parameters: mean, standard deviation. The loss is the negative log likelihood."""

    name = "gaussian"
    num_parameters = 2

    def parameters(self, raw: Tensor) -> Tensor:
        return torch.stack([raw[..., 0], F.softplus(raw[..., 1]) + SMALLEST_SCALE], dim=-1)

    def rescale(self, parameters: Tensor, base: Tensor, spread: Tensor) -> Tensor:
        return torch.stack([base + spread * parameters[..., 0], spread * parameters[..., 1]], dim=-1)

    def losses(self, parameters: Tensor, targets: Tensor) -> Tensor:
        mean, deviation = parameters.double().unbind(-1)  # squares of far values overflow float32
        distance = (targets - mean) / deviation
        return deviation.log() + 0.5 * distance**2 + 0.5 * math.log(2.0 * math.pi)

    def point(self, parameters: Array) -> Array:
        return parameters[..., 0]

    def quantile(self, parameters: Array, levels: Sequence[float] | Array) -> Array:
        result: Array = parameters[..., :1] + parameters[..., 1:] * special.ndtri(np.asarray(levels))
        return result

    def cdf(self, parameters: Array, values: Array) -> Array:
        result: Array = special.ndtr((values - parameters[..., 0]) / parameters[..., 1])
        return result
