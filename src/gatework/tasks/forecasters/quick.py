"""The direct head of a forecast in plain NumPy: for one window at a time the calls into torch take longer than the products."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gatework.runs import ModelPlan
from gatework.tasks.forecasters.direct import CONTEXT_SIZE, DirectDecoder
from gatework.tasks.forecasters.head import ForecastHead

Float32Array = npt.NDArray[np.float32]

SQRT_HALF = np.float32(0.5**0.5)
ONE_THREAD = 32_768
"""Weights: OpenBLAS computes a matrix times a vector of so many on the calling thread."""
ERF_ONE_THREAD = 2_048
"""Numbers: MKL computes a function of so many on the calling thread."""


def can_be_quick(plan: ModelPlan, head: object) -> bool:
    """Whether a forecast can be read off a carried state: every step read by itself, on the training scale, targets together,
    single numbers.
    """
    if not isinstance(head, ForecastHead) or not isinstance(head.decoder, DirectDecoder):
        return False
    if head.output.num_parameters > 1 or head.output.is_count:
        return False
    return plan.segment == 1 and plan.normalise == "none" and head.own_targets == head.num_targets and not plan.bidirectional


class QuickHead:
    """What `ForecastHead` with a direct decoder gives, from the same weights. For one thread at a time.

    A call of NumPy takes longer than most of these products, so there are few of them: biases are weights of a 1 behind the
    state, memory and context are one product, and of GELU, a·(1 + erf(a/√2))/2, the roots are in the weights around it.
    """

    def __init__(self, head: ForecastHead):
        decoder = head.decoder
        assert isinstance(decoder, DirectDecoder)
        self.horizon, self.recent_steps = head.horizon, head.recent_steps if head.recent is not None else 0
        self.recent = Product(numbers(head.recent.weight)) if head.recent is not None else None
        memory = with_bias(decoder.memory)
        self.is_corrected = decoder.context is not None
        if decoder.context is None:
            self.product = Product(memory)
        else:
            first, second = decoder.step[0], decoder.step[2]
            assert isinstance(first, nn.Linear)
            assert isinstance(second, nn.Linear)
            memory[:, -1] += np.tile(numbers(second.bias), self.horizon)
            self.product = Product(np.concatenate([memory, with_one(with_bias(decoder.context), self.horizon)]))
            told, bias = numbers(first.weight).T * SQRT_HALF, numbers(first.bias) * SQRT_HALF
            self.told, self.planned = np.concatenate([told[:CONTEXT_SIZE], bias[None]]), told[CONTEXT_SIZE:].copy()
            self.correction = numbers(second.weight).T * SQRT_HALF
            self._hidden = np.empty((2, self.horizon, len(bias)), dtype=np.float32)
            flat = torch.from_numpy(self._hidden).flatten(1)  # the same numbers
            self._pieces = [part.unbind() for part in torch.split(flat, ERF_ONE_THREAD, dim=1)]
        self._state = np.ones(memory.shape[1], dtype=np.float32)
        found = self.product.out[: len(memory)], self.product.out[len(memory) :]
        self._memory, self._context = (part.reshape(self.horizon, -1) for part in found)

    def read(self, state: Float32Array, recent: Float32Array, future: Float32Array) -> Float32Array:
        """(horizon, num_targets) on the model's scale.

        state: (hidden_size,) after the last step. recent: (recent_steps, input_size), targets first; fewer at a start.
        future: (horizon, num_future).
        """
        self._state[:-1] = state
        self.product.of(self._state)
        output: Float32Array = self._memory + self._correction(future) if self.is_corrected else self._memory.copy()
        if self.recent is not None:
            lacking = self.recent_steps - len(recent)
            whole = np.pad(recent, ((lacking, 0), (0, 0))) if lacking else recent
            output += self.recent.of(whole.reshape(-1)).reshape(self.horizon, -1)
        return output

    def _correction(self, future: Float32Array) -> Float32Array:
        """(horizon, num_targets) what each step's own reading adds."""
        hidden, other = self._hidden
        np.dot(self._context, self.told, out=hidden)
        np.dot(future, self.planned, out=other)
        hidden += other
        for piece, out in self._pieces:  # a third of what scipy's function takes
            torch.erf(piece, out=out)
        other *= hidden
        other += hidden
        correction: Float32Array = np.dot(other, self.correction)
        return correction


class Product:
    """A weight that is multiplied by one vector, in blocks of rows so small that one thread computes them.

    NumPy's library wakes its other threads for larger ones, which takes longer than the product, on a busy machine milliseconds.
    out: (rows,), the last product.
    """

    def __init__(self, weight: Float32Array):
        """weight: (rows, size of the vector)."""
        self.out = np.empty(len(weight), dtype=np.float32)
        number = -(-weight.size // ONE_THREAD)
        self._blocks = list(zip(np.array_split(weight, number), np.array_split(self.out, number), strict=True))

    def of(self, vector: Float32Array) -> Float32Array:
        """(rows,) valid until the next call."""
        for block, out in self._blocks:
            np.dot(block, vector, out=out)
        return self.out


def with_bias(layer: nn.Linear) -> Float32Array:
    """(rows, columns + 1) the weight of a layer and its bias behind it."""
    return np.concatenate([numbers(layer.weight), numbers(layer.bias)[:, None]], axis=1)


def with_one(weight: Float32Array, horizon: int) -> Float32Array:
    """(horizon · (rows + 1), columns) a row behind those of each forecast step that gives 1, since the last column meets a 1."""
    steps = weight.reshape(horizon, -1, weight.shape[1])
    one = np.zeros((horizon, 1, weight.shape[1]), dtype=np.float32)
    one[..., -1] = 1.0
    return np.concatenate([steps, one], axis=1).reshape(-1, weight.shape[1])


def numbers(weight: Tensor) -> Float32Array:
    """A copy of a weight as an array."""
    array: Float32Array = weight.detach().numpy().copy()
    return array
