"""Our LSTM beside torch's, and what one training step of a layer is."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

import gatework

Gradients = Callable[[], tuple[Tensor, ...]]


def same_layers(input_size: int, hidden_size: int) -> tuple[gatework.LSTM, nn.LSTM]:
    """Ours and torch's with the same weights."""
    ours, theirs = gatework.LSTM(input_size, hidden_size), nn.LSTM(input_size, hidden_size)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def trainer(layer: nn.Module, x: Tensor, gradient: Tensor) -> Gradients:
    """One training step of a layer as it is: the gradients of the input and of every parameter."""
    parameters = list(layer.parameters())
    return lambda: torch.autograd.grad(layer(x)[0], [x, *parameters], gradient)


def gflops(total_steps: int, layer: nn.LSTM, time_ms: float, passes: int) -> float:
    """passes: 1 for inference; 3 for training, whose backward multiplies twice as much."""
    return passes * total_steps * 8 * layer.hidden_size * (layer.input_size + layer.hidden_size) / time_ms / 1e6
