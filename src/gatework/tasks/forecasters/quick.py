"""The direct head of a forecast in plain NumPy: for one window at a time the calls into torch take longer than the products."""

import numpy as np
import numpy.typing as npt
import scipy.special
from torch import Tensor, nn

from gatework.runs import ModelPlan
from gatework.tasks.forecasters.direct import CONTEXT_SIZE, DirectDecoder
from gatework.tasks.forecasters.head import ForecastHead

Float32Array = npt.NDArray[np.float32]

HALF, SQRT_HALF = np.float32(0.5), np.float32(0.5**0.5)
ONE_THREAD = 32_768
"""Weights: OpenBLAS computes a matrix times a vector of so many on the calling thread."""


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
    """What `ForecastHead` with a direct decoder gives, from the same weights."""

    def __init__(self, head: ForecastHead):
        decoder = head.decoder
        assert isinstance(decoder, DirectDecoder)
        self.horizon, self.recent_steps = head.horizon, head.recent_steps if head.recent is not None else 0
        self.memory, self.bias = Product(decoder.memory.weight), numbers(decoder.memory.bias)
        self.recent = Product(head.recent.weight) if head.recent is not None else None
        self.context = None
        if decoder.context is not None:
            first, second = decoder.step[0], decoder.step[2]
            assert isinstance(first, nn.Linear)
            assert isinstance(second, nn.Linear)
            self.context = (Product(decoder.context.weight), numbers(decoder.context.bias))
            told = numbers(first.weight).T.copy()
            self.hidden = (told[:CONTEXT_SIZE].copy(), told[CONTEXT_SIZE:].copy(), numbers(first.bias))
            self.correction = (numbers(second.weight).T.copy(), numbers(second.bias))

    def read(self, state: Float32Array, recent: Float32Array, future: Float32Array) -> Float32Array:
        """(horizon, num_targets) on the model's scale.

        state: (hidden_size,) after the last step. recent: (recent_steps, input_size), targets first; fewer at a start.
        future: (horizon, num_future).
        """
        flat = self.memory.of(state) + self.bias
        if self.recent is not None:
            lacking = self.recent_steps - len(recent)
            flat += self.recent.of((np.pad(recent, ((lacking, 0), (0, 0))) if lacking else recent).reshape(-1))
        output: Float32Array = flat.reshape(self.horizon, -1)
        if self.context is None:
            return output
        context = (self.context[0].of(state) + self.context[1]).reshape(self.horizon, -1)
        hidden: Float32Array = context @ self.hidden[0] + (future @ self.hidden[1] + self.hidden[2])
        active = hidden * (HALF + HALF * scipy.special.erf(hidden * SQRT_HALF))  # GELU; torch's own takes longer to call
        corrected: Float32Array = output + (active @ self.correction[0] + self.correction[1])
        return corrected


class Product:
    """A weight that is multiplied by one vector, in blocks of rows so small that one thread computes them.

    NumPy's library wakes its other threads for larger ones, which takes longer than the product, on a busy machine milliseconds.
    """

    def __init__(self, weight: Tensor):
        whole = numbers(weight)
        self.blocks = np.array_split(whole, -(-whole.size // ONE_THREAD))

    def of(self, vector: Float32Array) -> Float32Array:
        """(rows,)"""
        return np.concatenate([block @ vector for block in self.blocks])


def numbers(weight: Tensor) -> Float32Array:
    """A copy of a weight as an array."""
    array: Float32Array = weight.detach().numpy().copy()
    return array
