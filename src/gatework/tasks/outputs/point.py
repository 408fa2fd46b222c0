"""point: a single number."""

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from gatework.tasks.outputs.output import Array, Output

PointLoss = Literal["mae", "mse", "huber"]
LOSSES: dict[PointLoss, Callable[[Tensor, Tensor], Tensor]] = {
    "mae": lambda values, targets: (values - targets).abs(),
    "mse": lambda values, targets: (values - targets) ** 2,
    "huber": lambda values, targets: F.huber_loss(values, targets, reduction="none"),
}


class Point(Output):
    """A single number: the median under the loss `mae`, the mean under `mse`, between them under `huber`."""

    name = "point"
    num_parameters = 1

    def __init__(self, loss: PointLoss = "mae"):
        self.loss_name = loss

    def parameters(self, raw: Tensor) -> Tensor:
        return raw

    def rescale(self, parameters: Tensor, base: Tensor, spread: Tensor) -> Tensor:
        return base[..., None] + spread[..., None] * parameters

    def losses(self, parameters: Tensor, targets: Tensor) -> Tensor:
        return LOSSES[self.loss_name](parameters[..., 0], targets)

    def point(self, parameters: Array) -> Array:
        return parameters[..., 0]
