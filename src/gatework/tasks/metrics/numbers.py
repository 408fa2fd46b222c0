"""Metrics of predicted numbers: forecasts and regression.

An unobserved truth (NaN) is left out. With one target every metric is in the target's own unit. With several, the plain names are
the mean over the targets, each divided by its standard deviation in the training part (`scales`), so that no target drowns the
others; after them comes each target in its own unit: 'MAE load'.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gatework.errors import DataError
from gatework.runs import MetricInfo
from gatework.tasks.metrics.scores import Array, BoolArray, IntArray, Metric, divide, sum_by_unit

COUNT, ABSOLUTE, SQUARED, TRUTH, TRUTH_SQUARED, SCALED, SCALED_COUNT, REFERENCE = range(8)
NUM_SUMS = 8

MAE = Metric("MAE", "{unit}", "lower", "Mean absolute error: how far a prediction is from the truth on average.")
RMSE = Metric("RMSE", "{unit}", "lower", "Root of the mean squared error: like MAE, but large misses count more.")
MSE = Metric("MSE", "{unit}²", "lower", "Mean squared error.")
R2 = Metric("R²", "", "higher", "Share of the truth's variance that is predicted: 1 is perfect, 0 no better than its mean.")
MASE = Metric(
    "MASE",
    "",
    "lower",
    "Mean absolute error divided by that of the seasonal naive forecast, one step of its season ahead, within the training part "
    "(Hyndman and Koehler 2006), or, in a series that it does not know, before the first forecast; below 1 is better than it.",
)
SKILL = Metric(
    "skill",
    "",
    "higher",
    "Share of the error of the best simple baseline (last value, seasonal naive, climatology; lowest MAE here) that is "
    "avoided: 1 − MAE / its MAE. 0: no better than it; 1: perfect.",
)

FORECAST_METRICS: list[Metric] = [MAE, RMSE, MSE, R2, MASE, SKILL]
REGRESSION_METRICS: list[Metric] = [RMSE, MAE, MSE, R2]


def _r2(sums: Array) -> Array:
    total = sums[..., TRUTH_SQUARED] - divide(sums[..., TRUTH] ** 2, sums[..., COUNT])
    # a resample of equal truths leaves only rounding here; its R² is not defined
    rounding = 1e-12 * sums[..., TRUTH_SQUARED]
    return 1.0 - divide(sums[..., SQUARED], np.where(total > rounding, total, 0.0))


VALUES: dict[str, Callable[[Array], Array]] = {
    "MAE": lambda sums: divide(sums[..., ABSOLUTE], sums[..., COUNT]),
    "RMSE": lambda sums: np.sqrt(divide(sums[..., SQUARED], sums[..., COUNT])),
    "MSE": lambda sums: divide(sums[..., SQUARED], sums[..., COUNT]),
    "R²": _r2,
    "MASE": lambda sums: divide(sums[..., SCALED], sums[..., SCALED_COUNT]),
}
POWER_OF_UNIT = {"MAE": 1, "RMSE": 1, "MSE": 2}


@dataclass(frozen=True)
class NumberErrors:
    """Sums of errors per unit and target; see `Measured`.

    sums: (num_units, num_targets, NUM_SUMS). scales: (num_targets,) standard deviation of each target in the training part.
    """

    sums: Array
    scales: Array
    which: tuple[Metric, ...]
    targets: tuple[str, ...]
    target_units: tuple[str, ...]

    @property
    def num_units(self) -> int:
        return len(self.sums)

    @property
    def metrics(self) -> tuple[MetricInfo, ...]:
        if len(self.targets) == 1:
            return tuple(metric.info(self.target_units[0]) for metric in self.which)
        together = tuple(metric.info("training standard deviations") for metric in self.which)
        apart = tuple(
            metric.info(unit, target)
            for target, unit in zip(self.targets, self.target_units, strict=True)
            for metric in self.which
        )
        return together + apart

    def grouped(self, units: IntArray) -> "NumberErrors":
        return replace(self, sums=sum_by_unit(self.sums, units))

    def values(self, weights: Array) -> Array:
        sums = (weights @ self.sums.reshape(self.num_units, -1)).reshape(len(weights), len(self.targets), NUM_SUMS)
        apart = np.stack([self._per_target(metric.name, sums) for metric in self.which], axis=-1)
        if len(self.targets) == 1:
            return apart[:, 0]
        together = np.stack([self._over_targets(metric.name, sums) for metric in self.which], axis=-1)
        return np.concatenate([together, apart.reshape(len(weights), -1)], axis=1)

    def _per_target(self, name: str, sums: Array) -> Array:
        if name == "skill":
            return 1.0 - divide(sums[..., ABSOLUTE], sums[..., REFERENCE])
        return VALUES[name](sums)

    def _over_targets(self, name: str, sums: Array) -> Array:
        if name == "skill":
            ours, reference = sums[..., ABSOLUTE], sums[..., REFERENCE]
            weighting = divide(np.ones_like(ours), sums[..., COUNT] * self.scales)
            return 1.0 - divide(_mean_of_defined(ours * weighting), _mean_of_defined(reference * weighting))
        scaled = VALUES[name](sums) / self.scales ** POWER_OF_UNIT.get(name, 0)
        return _mean_of_defined(scaled)


def _mean_of_defined(values: Array) -> Array:
    """The mean over the last axis of what is defined; NaN where nothing is."""
    defined = np.isfinite(values)
    return divide(np.where(defined, values, 0.0).sum(-1), defined.sum(-1).astype(np.float64))


def measure_forecast(
    truth: Array,
    prediction: Array,
    *,
    targets: Sequence[str],
    scales: Array,
    mase_scale: Array,
    reference: Array,
    target_units: Sequence[str] = (),
) -> NumberErrors:
    """The errors of forecasts; a unit is one window until `grouped`.

    truth, prediction, reference: (n, horizon, num_targets); truth NaN where unobserved. reference: the predictions of the best
    simple baseline (`best_simple`), for skill. mase_scale: (n, num_targets), `seasonal_scale` of each window's series; NaN: left
    out of MASE. scales: (num_targets,) standard deviation of each target in the training part.
    Raises DataError when a prediction of an observed truth is not finite.
    """
    error, observed = _absolute_error(truth, prediction)
    scaled = observed & np.isfinite(mase_scale)[:, None]
    with np.errstate(invalid="ignore"):
        scaled_error = np.where(scaled, error / np.where(scaled, mase_scale[:, None], 1.0), 0.0)
    sums = _sums(truth, error, observed)
    sums[..., SCALED] = scaled_error.sum(1)
    sums[..., SCALED_COUNT] = scaled.sum(1)
    sums[..., REFERENCE] = _absolute_error(truth, reference)[0].sum(1)
    return NumberErrors(sums, scales, tuple(FORECAST_METRICS), tuple(targets), _units(targets, target_units))


def measure_regression(
    truth: Array, prediction: Array, *, targets: Sequence[str], scales: Array, target_units: Sequence[str] = ()
) -> NumberErrors:
    """The errors of a regression; a unit is one sequence until `grouped`.

    truth, prediction: (n, num_targets); truth NaN where unobserved.
    scales: (num_targets,) standard deviation of each target in the training part.
    Raises DataError when a prediction of an observed truth is not finite.
    """
    error, observed = _absolute_error(truth[:, None], prediction[:, None])
    sums = _sums(truth[:, None], error, observed)
    return NumberErrors(sums, scales, tuple(REGRESSION_METRICS), tuple(targets), _units(targets, target_units))


def _units(targets: Sequence[str], target_units: Sequence[str]) -> tuple[str, ...]:
    return tuple(target_units) or ("",) * len(targets)


def _absolute_error(truth: Array, prediction: Array) -> tuple[Array, BoolArray]:
    observed = ~np.isnan(truth)
    if truth.shape != prediction.shape:
        raise DataError(
            f"The predictions have shape {prediction.shape} and the truth {truth.shape}; a metric compares them one to one. "
            f"Give one prediction for every true value."
        )
    if not np.isfinite(prediction[observed]).all():
        bad = int((~np.isfinite(prediction[observed])).sum())
        raise DataError(
            f"{bad} predictions are infinite or not a number; a metric needs a number for every observed truth. "
            f"The model has diverged: train again with a lower --learning-rate."
        )
    return np.abs(np.where(observed, prediction, 0.0) - np.where(observed, truth, 0.0)), observed


def _sums(truth: Array, error: Array, observed: BoolArray) -> Array:
    num_samples, _, num_targets = truth.shape
    sums = np.zeros((num_samples, num_targets, NUM_SUMS))
    # around a typical value: the variance of large, close numbers would otherwise be lost in rounding
    centre = np.array([_median(truth[..., k][observed[..., k]]) for k in range(num_targets)])
    around = np.where(observed, truth - centre, 0.0)
    sums[..., COUNT] = observed.sum(1)
    sums[..., ABSOLUTE] = error.sum(1)
    sums[..., SQUARED] = (error**2).sum(1)
    sums[..., TRUTH] = around.sum(1)
    sums[..., TRUTH_SQUARED] = (around**2).sum(1)
    return sums


def _median(values: Array) -> float:
    return float(np.median(values)) if len(values) else 0.0


def mae_by_horizon(truth: Array, prediction: Array) -> Array:
    """Mean absolute error at each step ahead: (n, horizon, num_targets) → (horizon, num_targets); NaN where none is observed."""
    error, observed = _absolute_error(truth, prediction)
    return divide(error.sum(0), observed.sum(0).astype(np.float64))


def best_simple(truth: Array, predictions: dict[str, Array], scales: Array) -> str:
    """The name of the simple baseline with the lowest MAE (mean over targets, in `scales`); skill is measured against it."""

    def mean_error(prediction: Array) -> float:
        error, observed = _absolute_error(truth, prediction)
        per_target = divide(error.sum((0, 1)), observed.sum((0, 1)).astype(np.float64))
        return float(_mean_of_defined(per_target / scales))

    return min(predictions, key=lambda name: mean_error(predictions[name]))


def seasonal_scale(raw: Array, offsets: IntArray, is_train: BoolArray, period: int) -> Array:
    """The denominator of MASE: `seasonal_change` of the training rows of each series, (num_sequences, num_targets).

    A series without any gets the mean over the others; a series that repeats itself exactly gets NaN (the quotient is not
    defined). Hyndman and Koehler, "Another look at measures of forecast accuracy", 2006.
    """
    change = seasonal_change(raw, offsets, is_train, period)
    usual = _mean_of_defined(change.T)
    scale = np.where(np.isnan(change), usual, change)
    return np.where(scale > 0, scale, np.nan)


def seasonal_change(raw: Array, offsets: IntArray, counted: BoolArray, period: int) -> Array:
    """Mean |y(t) − y(t − period)| over the counted rows of each series, in the target's unit; NaN where there is no such pair.

    raw: (total_steps, num_targets), NaN unobserved. offsets: (num_sequences + 1,). counted: (total_steps,). period below 1
    counts as 1. Returns (num_sequences, num_targets).
    """
    period = max(period, 1)
    sequence = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    same = (sequence[period:] == sequence[:-period]) & counted[period:] & counted[:-period]
    change = np.where(same[:, None], np.abs(raw[period:] - raw[:-period]), np.nan)
    seen = ~np.isnan(change)
    sums, counts = (np.zeros((len(offsets) - 1, raw.shape[1])) for _ in range(2))
    np.add.at(sums, sequence[period:], np.where(seen, change, 0.0))
    np.add.at(counts, sequence[period:], seen.astype(np.float64))
    return divide(sums, counts)
