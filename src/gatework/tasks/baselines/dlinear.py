"""DLinear: the moving average of a window and what remains, one linear layer each, shared by all series and targets.

Zeng, Chen, Zhang and Xu, "Are Transformers Effective for Time Series Forecasting?", AAAI 2023, section 4. It sees each target's
own past and nothing else. Both layers are solved for at once, as ridge with the recipe of `ridge.py` (the penalty chosen on
held-out blocks of the training windows), where the paper descends by gradient and stops early.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gatework.tasks.baselines.ridge import Float32Array, RidgeWindow, ridge_window
from gatework.tasks.metrics.scores import IntArray

KERNEL = 25
"""Steps of the moving average, as in the paper."""
MOST_ROWS = 40_000
"""Windows times targets that the layers are fitted on."""

TargetSource = Callable[[IntArray], tuple[Float32Array, Float32Array]]


@dataclass(frozen=True)
class DLinear:
    """A fitted DLinear. description: for the table."""

    layers: RidgeWindow

    @property
    def description(self) -> str:
        """What it is, in a sentence."""
        return (
            f"Moving average of {KERNEL} steps and the remainder, one linear layer each on each target's own past (Zeng et al. "
            f"2023), shared by all series and targets; penalty {self.layers.alpha:g}."
        )

    def predict(self, past: Float32Array) -> Float32Array:
        """(n, window, num_targets), scaled, finite → (n, horizon, num_targets), scaled."""
        rows = by_channel(past)
        found = self.layers.predict(decomposed(rows), np.zeros((len(rows), 0), dtype=np.float32))
        return np.ascontiguousarray(found.reshape(len(past), past.shape[2], -1).swapaxes(1, 2))


def fit_dlinear(windows: TargetSource, num_windows: int, num_targets: int) -> DLinear | None:
    """Fits both layers on training windows, evenly spaced; None with too few of them.

    windows(index): past (m, window, num_targets), scaled, finite; future (m, horizon, num_targets), scaled, NaN where unobserved.
    """

    def channels(index: IntArray) -> tuple[Float32Array, Float32Array, Float32Array]:
        past, future = windows(index)
        rows = by_channel(past)
        return decomposed(rows), np.zeros((len(rows), 0), dtype=np.float32), by_channel(future)

    layers = ridge_window(channels, num_windows, most=max(1, MOST_ROWS // num_targets))
    return None if layers is None else DLinear(layers)


def by_channel(values: Float32Array) -> Float32Array:
    """(n, steps, num_targets) → (n · num_targets, steps): every target of every window a row of its own."""
    rows: Float32Array = values.swapaxes(1, 2).reshape(-1, values.shape[1])
    return rows


def decomposed(rows: Float32Array) -> Float32Array:
    """(n, window) → (n, window, 2): the moving average over KERNEL steps, the ends repeated beyond it; and the remainder."""
    half = KERNEL // 2
    padded = np.pad(rows.astype(np.float64), ((0, 0), (half + 1, half)), mode="edge")
    total = np.cumsum(padded, axis=1)
    trend = (total[:, KERNEL:] - total[:, :-KERNEL]) / KERNEL
    parts: Float32Array = np.stack([trend, rows - trend], axis=2).astype(np.float32)
    return parts
