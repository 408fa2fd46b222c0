"""What a trained detector expects at every step of a series, and how far what was seen is from it."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatework.data.prepared import Prepared
from gatework.layers import Recurrent
from gatework.ragged import Ragged
from gatework.runs import AnomalyPlan
from gatework.tasks.detectors.heads import NextStepsHead
from gatework.tasks.detectors.windows import step_features

Array = NDArray[np.float64]

CHUNK = 4096
"""Steps of a series that go through the layers at once; the state is carried from one to the next."""
WINDOWS_AT_ONCE = 256


@dataclass(frozen=True)
class Expected:
    """What was expected, on the model's scale.

    errors: (total_steps, leads · num_targets) seen minus expected, lead by lead, NaN where nothing was seen or expected.
    values: (total_steps, num_targets) the mean of what the leads expect, NaN where nothing was expected.
    """

    errors: Array
    values: Array


def expect(network: nn.Module, prepared: Prepared, plan: AnomalyPlan, window: int) -> Expected:
    """Expectations and errors of every step of every series. network: a `SequenceModel` with one of the detectors' heads."""
    with torch.inference_mode():
        if plan.method == "forecast":
            return _forecast(network, prepared, plan.warmup)
        return _reconstruct(network, prepared, window, plan.hop)


def errors_of(forecasts: Array, seen: Array, warmup: int) -> Expected:
    """The errors of one series' forecasts, sorted by the step that they are of.

    forecasts: (length, leads, num_targets), row t made after step t, of the steps t + 1 to t + leads. seen: (length,
    num_targets), NaN unobserved. Forecasts made in the first `warmup` steps do not count.
    """
    length, leads, num_targets = forecasts.shape
    expected = np.full((length, leads, num_targets), np.nan)
    for lead in range(1, leads + 1):
        made = np.arange(warmup, length - lead)
        expected[made + lead, lead - 1] = forecasts[made, lead - 1]
    known = np.isfinite(expected).all(axis=2)
    mean = np.where(known[:, :, None], expected, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)[:, None]
    values = np.where(known.any(axis=1)[:, None], mean, np.nan)
    return Expected((seen[:, None] - expected).reshape(length, -1), values)


def _forecast(network: nn.Module, prepared: Prepared, warmup: int) -> Expected:
    recurrent, head = network.recurrent, network.head
    assert isinstance(recurrent, Recurrent)
    assert isinstance(head, NextStepsHead)
    features, parts = step_features(prepared), []
    seen = prepared.targets.astype(np.float64)
    for start, end in zip(prepared.offsets[:-1], prepared.offsets[1:], strict=True):
        forecasts = _carried(recurrent, head, torch.from_numpy(features[start:end]))
        parts.append(errors_of(forecasts.double().numpy(), seen[start:end], warmup))
    return Expected(np.concatenate([part.errors for part in parts]), np.concatenate([part.values for part in parts]))


def _carried(recurrent: Recurrent, head: NextStepsHead, inputs: Tensor) -> Tensor:
    """(length, leads, num_targets): the forecasts made at every step of one series, its state carried along."""
    before = head.recent.kernel_size[0] - 1
    padded = nn.functional.pad(inputs, (0, 0, before, 0))
    state, parts = None, [inputs.new_zeros(0, head.horizon, head.num_targets)]
    for start in range(0, len(inputs), CHUNK):
        chunk = inputs[start : start + CHUNK]
        outputs, state = recurrent(chunk.unsqueeze(1), state)
        parts.append(head.read(outputs.transpose(0, 1), padded[start : start + before + len(chunk)].unsqueeze(0))[0])
    return torch.cat(parts)


def window_starts(length: int, window: int, hop: int) -> NDArray[np.int64]:
    """Where the reconstructed windows of a series begin: every `hop` steps, and one that ends with the series."""
    if length < window:
        return np.zeros(0, dtype=np.int64)
    return np.unique(np.append(np.arange(0, length - window + 1, hop), length - window))


def _reconstruct(network: nn.Module, prepared: Prepared, window: int, hop: int) -> Expected:
    features = torch.from_numpy(step_features(prepared))
    total, num_targets = prepared.targets.shape
    sums, counts = np.zeros((total, num_targets)), np.zeros(total)
    lengths = np.diff(prepared.offsets)
    starts = np.concatenate(
        [offset + window_starts(int(length), window, hop) for offset, length in zip(prepared.offsets, lengths, strict=False)]
    ).astype(np.int64)
    for begin in range(0, len(starts), WINDOWS_AT_ONCE):
        rows = starts[begin : begin + WINDOWS_AT_ONCE][:, None] + np.arange(window)
        np.add.at(sums, rows.ravel(), written_again(network, features, rows))
        np.add.at(counts, rows.ravel(), 1.0)
    values = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1.0)[:, None], np.nan)
    return Expected(prepared.targets.astype(np.float64) - values, values)


def written_again(network: nn.Module, features: Tensor, rows: NDArray[np.integer]) -> Array:
    """(num_windows · window, num_targets) what the network makes of windows. rows: (num_windows, window) of `features`."""
    inputs = Ragged(features[rows.ravel()], torch.arange(len(rows) + 1, dtype=torch.int64) * rows.shape[1])
    again: Array = network(inputs, None).double().numpy()[:, :, 0]
    return again.reshape(-1, again.shape[-1])
