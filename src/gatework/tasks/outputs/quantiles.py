"""quantiles: the values that the truth stays below with given probabilities."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gatework.errors import ConfigError
from gatework.tasks.outputs.output import Array, Distribution

SMALLEST_STEP = 1e-9
"""Between two quantiles where a tail is extrapolated: two equal ones leave it no slope."""


class Quantiles(Distribution):
    """The median and what lies beside it, outwards by steps that cannot be negative: quantiles never cross.

    levels: rising, inside (0, 1), 0.5 among them. The loss is the mean over the levels of twice the pinball loss (Koenker and
    Bassett 1978), an approximation of the continuous ranked probability score; at the median it is the absolute error. The other
    levels do not move the median: it is trained as if it stood alone.
    """

    name = "quantiles"

    def __init__(self, levels: Sequence[float]):
        """Raises ConfigError when the levels are not rising, not inside (0, 1), or without the median."""
        self.levels = tuple(levels)
        inside = all(0 < level < 1 for level in self.levels)
        if not inside or 0.5 not in self.levels or any(b <= a for a, b in zip(self.levels, self.levels[1:], strict=False)):
            raise ConfigError(
                f"The levels of the quantiles are {', '.join(f'{level:g}' for level in self.levels)}; expected rising numbers "
                f"between 0 and 1 with 0.5 among them. Give levels such as 0.1, 0.5, 0.9."
            )
        self.middle = self.levels.index(0.5)
        self.num_parameters = len(self.levels)

    def parameters(self, raw: Tensor) -> Tensor:
        """raw: the median, the steps from it downwards, the steps from it upwards."""
        median, down, up = raw[..., :1], raw[..., 1 : self.middle + 1], raw[..., self.middle + 1 :]
        fixed = median.detach()
        below = fixed - F.softplus(down).cumsum(-1).flip(-1)
        above = fixed + F.softplus(up).cumsum(-1)
        return torch.cat([below, median, above], dim=-1)

    def rescale(self, parameters: Tensor, base: Tensor, spread: Tensor) -> Tensor:
        return base[..., None] + spread[..., None] * parameters

    def losses(self, parameters: Tensor, targets: Tensor) -> Tensor:
        error = targets[..., None] - parameters
        levels = torch.tensor(self.levels, dtype=parameters.dtype, device=parameters.device)
        twice_pinball = 2.0 * torch.maximum(levels * error, (levels - 1.0) * error)
        return twice_pinball.mean(-1)

    def point(self, parameters: Array) -> Array:
        return parameters[..., self.middle]

    def quantile(self, parameters: Array, levels: Sequence[float] | Array) -> Array:
        """Linear between the levels; beyond the outermost the tail of an exponential distribution with the slope at the end."""
        wanted = np.asarray(levels, dtype=np.float64)
        known_levels = np.array(self.levels)
        place = np.clip(np.searchsorted(known_levels, wanted, side="right") - 1, 0, max(0, len(known_levels) - 2))
        place = np.broadcast_to(place, np.broadcast_shapes(place.shape, (*parameters.shape[:-1], wanted.shape[-1])))
        if self.num_parameters == 1:
            return np.take_along_axis(parameters, place, -1)
        low, high = (np.take_along_axis(parameters, place + step, -1) for step in (0, 1))
        start, end = known_levels[place], known_levels[place + 1]
        inner = low + (high - low) * np.clip((wanted - start) / (end - start), 0.0, 1.0)
        first, last = _tail_scales(parameters, known_levels)
        left = first * np.log(np.minimum(wanted / known_levels[0], 1.0))
        right = last * np.log(np.minimum((1.0 - wanted) / (1.0 - known_levels[-1]), 1.0))
        result: Array = inner + left - right
        return result

    def cdf(self, parameters: Array, values: Array) -> Array:
        known_levels = np.array(self.levels)
        if self.num_parameters == 1:
            return np.where(np.isnan(values), np.nan, np.where(values < parameters[..., 0], 0.25, 0.75))
        first, last = _tail_scales(parameters, known_levels)
        left = known_levels[0] * np.exp(np.minimum((values - parameters[..., 0]) / first[..., 0], 0.0))
        right = (1.0 - known_levels[-1]) * np.exp(np.minimum(-(values - parameters[..., -1]) / last[..., 0], 0.0))
        inner = np.zeros(np.broadcast_shapes(values.shape, parameters.shape[:-1]))
        for number in range(len(known_levels) - 1):
            low, high = parameters[..., number], parameters[..., number + 1]
            share = np.clip((values - low) / np.maximum(high - low, SMALLEST_STEP), 0.0, 1.0)
            inner = inner + share * (known_levels[number + 1] - known_levels[number])
        result: Array = left + inner + (1.0 - known_levels[-1]) - right
        return result


def _tail_scales(parameters: Array, levels: Array) -> tuple[Array, Array]:
    """(..., 1) the scales of the two exponential tails: what makes the outermost step between two levels that of the tail."""
    steps = np.maximum(np.diff(parameters, axis=-1), SMALLEST_STEP)
    return (
        steps[..., :1] / np.log(levels[1] / levels[0]),
        steps[..., -1:] / np.log((1.0 - levels[-2]) / (1.0 - levels[-1])),
    )
