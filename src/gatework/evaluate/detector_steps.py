"""What a trained detector expects of the steps of one series as they come in: at once, or a window later."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatework.model import SequenceModel
from gatework.runs import AnomalyPlan
from gatework.tasks.detectors.expect import WINDOWS_AT_ONCE, Expected, errors_of, written_again
from gatework.tasks.detectors.heads import NextStepsHead

Array = NDArray[np.float64]


class DetectorSteps(Protocol):
    """One series, followed from its first step. delay: so many further steps must have come before a step is judged."""

    delay: int

    def read(self, features: Tensor, seen: Array) -> Expected:
        """The next steps; returns those that can be judged now, in order. features: (n, input_size). seen: (n, num_targets)."""

    def waiting(self) -> Expected:
        """The steps that were read and not judged yet, as though the series ended here. Changes nothing."""


def detector_steps(network: SequenceModel, plan: AnomalyPlan, window: int) -> DetectorSteps:
    """Those of the method that the network was trained for."""
    if isinstance(network.head, NextStepsHead):
        return ForecastSteps(network, network.head, plan.warmup)
    return ReconstructedSteps(network, window, plan.hop)


class ForecastSteps:
    """The state is carried: a step costs the layers one step of `layer.stream()`, whatever came before."""

    delay = 0

    def __init__(self, network: SequenceModel, head: NextStepsHead, warmup: int):
        self.head, self.warmup, self.count = head, warmup, 0
        self._stream = network.recurrent.stream()
        self._inputs = torch.zeros(head.recent.kernel_size[0] - 1, head.recent.in_channels)
        self._forecasts = np.zeros((0, head.horizon, head.num_targets))

    def read(self, features: Tensor, seen: Array) -> Expected:
        """The next steps; each is judged at once."""
        with torch.inference_mode():
            states = torch.stack([self._stream.step(row) for row in features])
            inputs = torch.cat([self._inputs, features])
            made = self.head.read(states.unsqueeze(0), inputs.unsqueeze(0))[0].double().numpy()
        self._inputs = inputs[len(features) :].clone()
        before = len(self._forecasts)
        forecasts = np.concatenate([self._forecasts, made])
        padded = np.concatenate([np.full((before, seen.shape[1]), np.nan), seen])
        found = errors_of(forecasts, padded, max(0, self.warmup - (self.count - before)))
        self._forecasts = forecasts[-self.head.horizon :]
        self.count += len(features)
        return Expected(found.errors[before:], found.values[before:])

    def waiting(self) -> Expected:
        """None ever waits."""
        nothing = np.zeros((0, self.head.num_targets))
        return Expected(np.zeros((0, self.head.horizon * self.head.num_targets)), nothing)


class ReconstructedSteps:
    """A step is judged once no window that may hold it is still to come: when `window` further steps have been read.

    Windows begin every `hop` steps, as where a whole series is reconstructed; the one that ends with the series holds its last
    `window` steps alone, so that no earlier step changes by where the series ends.
    """

    def __init__(self, network: nn.Module, window: int, hop: int):
        self.network, self.delay, self.hop = network, window, hop
        self.count = self._next_window = 0
        self._kept: _Kept | None = None

    def read(self, features: Tensor, seen: Array) -> Expected:
        """The next steps; returns those that no window still to come will hold."""
        kept = _Kept(features, seen, np.zeros_like(seen), np.zeros(len(seen)))
        self._kept = kept = kept if self._kept is None else self._kept.followed_by(kept)
        self.count += len(features)
        first = self.count - len(kept.seen)
        starts = np.arange(self._next_window, self.count - self.delay + 1, self.hop)
        kept.add(self.network, starts - first, self.delay)
        self._next_window += self.hop * len(starts)
        judged = max(0, self.count - self.delay - first)
        self._kept = kept.rows(judged, None)
        return kept.rows(0, judged).expected

    def waiting(self) -> Expected:
        """Judged by the windows that they are in so far, and by the one that ends here."""
        assert self._kept is not None, "a step is read before others wait"
        kept = self._kept.copied()
        last = self.count - self.delay
        if last >= 0 and last % self.hop:
            # where it ends a multiple of `hop` after the first, it was counted when its last step came
            kept.add(self.network, np.array([len(kept.seen) - self.delay]), self.delay)
        return kept.expected


class _Kept:
    """Steps with the sums of what the windows that hold them expect, and the number of these windows."""

    def __init__(self, features: Tensor, seen: Array, sums: Array, counts: Array):
        self.features, self.seen, self.sums, self.counts = features, seen, sums, counts

    def followed_by(self, other: "_Kept") -> "_Kept":
        return _Kept(
            torch.cat([self.features, other.features]),
            np.concatenate([self.seen, other.seen]),
            np.concatenate([self.sums, other.sums]),
            np.concatenate([self.counts, other.counts]),
        )

    def rows(self, start: int, end: int | None) -> "_Kept":
        return _Kept(self.features[start:end], self.seen[start:end], self.sums[start:end], self.counts[start:end])

    def copied(self) -> "_Kept":
        return _Kept(self.features, self.seen, self.sums.copy(), self.counts.copy())

    def add(self, network: nn.Module, starts: NDArray[np.integer], window: int) -> None:
        """The windows that begin at these rows."""
        for begin in range(0, len(starts), WINDOWS_AT_ONCE):
            rows = starts[begin : begin + WINDOWS_AT_ONCE][:, None] + np.arange(window)
            with torch.inference_mode():
                np.add.at(self.sums, rows.ravel(), written_again(network, self.features, rows))
            np.add.at(self.counts, rows.ravel(), 1.0)

    @property
    def expected(self) -> Expected:
        values = np.where(self.counts[:, None] > 0, self.sums / np.maximum(self.counts, 1.0)[:, None], np.nan)
        return Expected(self.seen - values, values)
