"""Ridge regression on the window: the linear model that sees what the network sees.

A fixed recipe: the model's own scaled window, flattened, and the known future of the horizon; every step and target an output;
one penalty for all of them, chosen from `ALPHAS` on a held-out fifth of the windows (whole blocks of time), after which all of
them are used. It gives what `sklearn.linear_model.RidgeCV(ALPHAS, cv=PredefinedSplit(held_out))` gives (a test compares them)
from sums over batches (the normal equations), so that 10,000 windows × 3,500 features need no more memory than their covariance.
RidgeCV's default, leave-one-out, took 72 s for 3,000 windows and would leave in the overlapping neighbours of the one left out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from gatework.tasks.metrics.scores import Array, IntArray

Float32Array = NDArray[np.float32]
ALPHAS = tuple(float(10**power) for power in range(7))
MAX_WINDOWS = 10_000
MAX_FEATURES = 4_000
# 20 contiguous blocks, every fifth held out: all seasons and series are on both sides, and windows overlap only at 8 borders
NUM_BLOCKS = 20
HELD_OUT = 5
MIN_WINDOWS = 20
WINDOWS_AT_ONCE = 1_024
WindowSource = Callable[[IntArray], tuple[Float32Array, Float32Array, Float32Array]]


@dataclass(frozen=True)
class RidgeWindow:
    """A fitted ridge; `predict` gives scaled targets.

    weights: (features, outputs) float32, features in the order of the flattened window, then the known future.
    steps_used: the last steps of the window that are used. num_windows: training windows used. description: for the table.
    """

    weights: Float32Array
    intercept: Float32Array
    steps_used: int
    alpha: float
    num_windows: int
    description: str

    def predict(self, inputs: Float32Array, future: Float32Array) -> Float32Array:
        """(n, window, num_inputs) and (n, horizon·num_future) → (n, horizon·num_targets), scaled."""
        return _features(inputs, future, self.steps_used) @ self.weights + self.intercept


@dataclass
class _Moments:
    """Sums over windows of x, y, x xᵀ, x yᵀ and y², float64 over float32 batches; xx holds the lower triangle."""

    count: int
    x: Array
    y: Array
    xx: Array
    xy: Array
    yy: Array

    @classmethod
    def zeros(cls, num_features: int, num_outputs: int) -> "_Moments":
        """The sums of no windows."""
        shapes = [(num_features,), (num_outputs,), (num_features, num_features), (num_features, num_outputs), (num_outputs,)]
        return cls(0, *(np.zeros(shape, order="F") for shape in shapes))

    def add(self, x: Float32Array, y: Float32Array) -> None:
        """Adds a batch."""
        self.count += len(x)
        self.x += x.sum(0, dtype=np.float64)
        self.y += y.sum(0, dtype=np.float64)
        # syrk computes one triangle only: half the work of x.T @ x
        self.xx += linalg.blas.ssyrk(1.0, x.T, lower=1)
        self.xy += x.T @ y
        self.yy += np.square(y, dtype=np.float64).sum(0)

    def merge(self, other: "_Moments") -> None:
        """Adds the windows of other sums."""
        self.count += other.count
        for name in ("x", "y", "xx", "xy", "yy"):
            getattr(self, name)[...] += getattr(other, name)

    def solve(self, alphas: Sequence[float]) -> Iterator[tuple[Array, Array]]:
        """For each alpha: weights (features, outputs) and intercept (outputs,) of least squared error + alpha · weights²."""
        x_mean, y_mean = self.x / self.count, self.y / self.count
        centred = linalg.blas.dsyr(-float(self.count), x_mean, a=self.xx.copy(order="F"), lower=1, overwrite_a=1)
        cross = self.xy - np.outer(self.x, y_mean)
        diagonal = np.diag_indices_from(centred)
        for alpha in alphas:
            penalised = centred.copy(order="F")
            penalised[diagonal] += alpha
            try:
                factor = linalg.cho_factor(penalised, lower=True, overwrite_a=True, check_finite=False)
            except linalg.LinAlgError:  # a penalty below the float32 rounding of collinear features: NaN, never chosen
                yield np.full_like(cross, np.nan), y_mean
                continue
            weights: Array = linalg.cho_solve(factor, cross, check_finite=False)
            yield weights, y_mean - x_mean @ weights

    def squared_error(self, weights: Array, intercept: Array) -> float:
        """The summed squared error of a linear model on these windows."""
        predicted = linalg.blas.dsymm(1.0, self.xx, weights, lower=1)
        squared = (weights * (predicted - 2 * self.xy)).sum(0) + self.yy + self.count * intercept**2
        crossed = 2 * intercept * (self.x @ weights - self.y)
        return float((squared + crossed).sum())


def ridge_window(windows: WindowSource, num_windows: int, most: int | None = None) -> RidgeWindow | None:
    """Fits the recipe on at most `most` (MAX_WINDOWS) training windows, evenly spaced; None when it cannot be fitted.

    windows(index): the training windows of a sorted index (m,) into range(num_windows), in order of series and time:
    inputs (m, window, num_inputs) float32, finite; future (m, horizon·num_future), finite, width 0 when there is none;
    targets (m, horizon·num_targets) float32, scaled, NaN where unobserved.
    A window with any unobserved target is left out. With more than MAX_FEATURES features only the last steps of the window that
    fit are used. None with fewer than MIN_WINDOWS complete windows, when one step and the future alone exceed
    MAX_FEATURES, or when no penalty gives a solution.
    """
    if num_windows < MIN_WINDOWS:
        return None
    chosen = np.unique(np.linspace(0, num_windows - 1, min(num_windows, most or MAX_WINDOWS)).round().astype(np.int64))
    inputs, future, targets = windows(chosen[:1])
    _, window, num_inputs = inputs.shape
    steps_used = min(window, (MAX_FEATURES - future.shape[1]) // max(num_inputs, 1))
    if steps_used < 1:
        return None
    num_features = steps_used * num_inputs + future.shape[1]
    outputs = targets.shape[1]
    rest, held = _Moments.zeros(num_features, outputs), _Moments.zeros(num_features, outputs)
    for number, block in enumerate(np.array_split(chosen, NUM_BLOCKS)):
        part = held if number % HELD_OUT == HELD_OUT // 2 else rest
        for start in range(0, len(block), WINDOWS_AT_ONCE):
            inputs, future, targets = windows(block[start : start + WINDOWS_AT_ONCE])
            complete = ~np.isnan(targets).any(1)
            if complete.any():
                part.add(_features(inputs[complete], future[complete], steps_used), targets[complete])
    if rest.count + held.count < MIN_WINDOWS or min(rest.count, held.count) < 2:
        return None
    errors = [held.squared_error(weights, intercept) for weights, intercept in rest.solve(ALPHAS)]
    if not np.isfinite(errors).any():
        return None
    alpha = ALPHAS[int(np.nanargmin(errors))]
    rest.merge(held)
    weights, intercept = next(rest.solve([alpha]))
    words = _words(steps_used, window, alpha, f"{rest.count:,} of {num_windows:,}")
    return RidgeWindow(weights.astype(np.float32), intercept.astype(np.float32), steps_used, alpha, rest.count, words)


def _words(steps_used: int, window: int, alpha: float, fitted_on: str) -> str:
    steps = "window" if steps_used == window else f"last {steps_used} of the {window} steps of the window"
    return (
        f"Linear model on the {steps} and the known future, penalty {alpha:g} chosen on a held-out fifth of "
        f"{fitted_on} training windows"
    )


def held_out(num_chosen: int) -> NDArray[np.bool_]:
    """Which of the chosen windows the penalty is judged on: every fifth of NUM_BLOCKS contiguous blocks."""
    blocks = np.array_split(np.arange(num_chosen), NUM_BLOCKS)
    return np.concatenate([np.full(len(block), number % HELD_OUT == HELD_OUT // 2) for number, block in enumerate(blocks)])


def _features(inputs: Float32Array, future: Float32Array, steps_used: int) -> Float32Array:
    recent = inputs[:, inputs.shape[1] - steps_used :]
    return np.concatenate([recent.reshape(len(inputs), -1), future], axis=1, dtype=np.float32)
