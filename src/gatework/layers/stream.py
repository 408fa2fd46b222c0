"""A layer one step at a time."""

import itertools

import torch
from torch import Tensor

from gatework.cells import Cell
from gatework.engine import LayerStream, LayerWeights
from gatework.errors import ConfigError, ShapeError


class Stream:
    """A snapshot of a layer that is fed one step at a time: weights packed once, no allocation, no autograd.

    Later changes of the layer have no effect. Many streams of one layer are independent of each other. Not for several threads
    at once.

    >>> import gatework
    >>> stream = gatework.LSTM(3, 4).stream()
    >>> stream.step(torch.zeros(3)).shape
    torch.Size([4])
    """

    def __init__(self, cell: Cell, weights: list[LayerWeights], batch: int | None):
        """weights: of each layer. batch: sequences that go on together; None: one, and steps without a batch axis."""
        count = 1 if batch is None else batch
        if count < 1:
            raise ConfigError(f"batch is {batch}; expected at least 1, or None for one sequence. Give the number of sequences.")
        self.layers = [LayerStream(cell, own, count) for own in weights]
        first, last = self.layers[0], self.layers[-1]
        self.input_shape = first.x.shape[1:] if batch is None else first.x.shape
        self.output_shape = last.y.shape[1:] if batch is None else last.y.shape
        for below, above in itertools.pairwise(self.layers):
            below.write_into(above)
        self._below = [(below, above.x.data_ptr()) for below, above in itertools.pairwise(self.layers)]
        self._last = last
        self._num_inputs = cell.bypassing(first.units)
        self._dtype = first.x.dtype

    def step(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """The output after one more step.

        x: (input_size,), or (batch, input_size). out: (hidden_size,) or (batch, hidden_size), contiguous, written and returned;
        a new
        tensor when left out. Raises ShapeError for another shape or type.
        """
        if x.shape != self.input_shape or x.dtype is not self._dtype:
            raise ShapeError(
                f"The step has shape {tuple(x.shape)} and type {x.dtype}; expected {tuple(self.input_shape)} and {self._dtype}. "
                f"Reshape it, or make the stream for another batch: layer.stream(batch=…)."
            )
        if not x.is_contiguous():
            x = x.contiguous()
        if out is None:
            out = torch.empty(self.output_shape, dtype=self._dtype)
        elif out.shape != self.output_shape or out.dtype is not self._dtype or not out.is_contiguous():
            raise ShapeError(
                f"out has shape {tuple(out.shape)} and type {out.dtype}; expected contiguous {tuple(self.output_shape)} and "
                f"{self._dtype}. Give torch.empty of that shape, or leave out away."
            )
        if self._num_inputs:
            for layer in self.layers[1:]:
                layer.x[:, -self._num_inputs :] = x[..., -self._num_inputs :]
        address = x.data_ptr()
        for layer, inner in self._below:
            layer.step(address, inner)
            address = inner
        self._last.step(address, out.data_ptr())
        return out

    def state(self) -> list[dict[str, Tensor]]:
        """A copy of every layer's states by name, (batch, hidden_size) each."""
        return [layer.saved_state() for layer in self.layers]

    def restore(self, state: list[dict[str, Tensor]]) -> None:
        """Go on from a saved state; ShapeError when it is another layer's."""
        shapes = [{name: tuple(tensor.shape) for name, tensor in layer.items()} for layer in state]
        own = [{name: tuple(tensor.shape) for name, tensor in layer.items()} for layer in self.state()]
        if shapes != own:
            raise ShapeError(
                f"The saved state has {shapes}; expected {own}. Restore a state of a stream of the same layer and batch."
            )
        for layer, saved in zip(self.layers, state, strict=True):
            layer.restore(saved)

    def reset(self, which: Tensor | None = None) -> None:
        """Back to zero states: a new episode begins.

        which: (batch,) bool, True for the sequences that begin anew; all when left out.
        Raises ShapeError for another shape or type.
        """
        batch = self.layers[0].batch
        if which is None:
            which = torch.ones(batch, dtype=torch.bool)
        elif which.dtype is not torch.bool or tuple(which.shape) != (batch,):
            raise ShapeError(
                f"which has shape {tuple(which.shape)} and type {which.dtype}; expected ({batch},) and torch.bool, one flag per "
                f"sequence of the stream. Convert it with .bool(), or leave it out to reset all."
            )
        for layer in self.layers:
            layer.restore({name: tensor.masked_fill(which[:, None], 0.0) for name, tensor in layer.saved_state().items()})
