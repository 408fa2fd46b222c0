"""What the validation part says about the errors of a forecast, and the ranges that follow from it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from gatework.data.samples import ForecastSamples
from gatework.errors import RunError
from gatework.runs import Conformal, RangePlan
from gatework.tasks.conformal import (
    MEMORY,
    Adaptive,
    Array,
    IntArray,
    adapt,
    conformal_quantile,
    conformity_scores,
    ends_of,
    quantile_levels,
    signed_scores,
    wanted_misses,
    widened,
)
from gatework.tasks.outputs import Distribution, Output
from gatework.tasks.paths import path_errors
from gatework.tasks.range_reliability import Coverage, coverage_from_errors, own_coverage, probabilities
from gatework.tasks.ranges import Ranges, from_ends, own_quantiles

LEAST_DEVIATION = 0.05
"""Of a window, in training deviations: where nothing moved for a window's length, something may still come."""
FEWEST_ERRORS = 10
LEAST_PROBABILITY = 1e-9
"""A truth far outside everything forecast has the probability 0 or 1, and no quantile."""
MOST_ERRORS = 250
"""Past forecasts whose errors are kept for sample paths."""


@dataclass(frozen=True)
class RangeCalibration:
    """The corrections, and the errors that they were learned from.

    scores: (m, horizon, num_targets, intervals, sides), the latest in the order of time; only kept for the adaptive method, else
    empty.
    errors: (k, horizon, num_targets), past forecasts without a gap, for `path_errors`: differences on the model's scale where
    the forecast is a single number (in deviations of the window where `record.is_scaled`), else the probability that it gave to
    at most the truth.
    """

    record: Conformal
    scores: Array
    errors: Array

    @cached_property
    def shift(self) -> Array:
        """(horizon, num_targets, intervals, sides), inf where there is no bound; a shorter forecast takes the first steps."""
        rows = np.array(self.record.shift, dtype=np.float64)
        return np.where(np.isnan(rows), np.inf, rows).transpose(3, 2, 0, 1)

    def adaptive(self) -> Adaptive:
        """Where the adaptive method begins."""
        return Adaptive.begin(self.scores, self.record.intervals)

    def ranges(self, output: Output, numbers: Array, scale: Array, shift: Array | None = None) -> Ranges:
        """The ranges of forecasts on the model's scale.

        numbers: (n, horizon, num_targets, num_parameters). scale: `deviations` of their windows. shift: in place of its own.
        """
        ends, middle = self._own(output, numbers)
        moved = (self.shift[: numbers.shape[1]] if shift is None else shift) * self._factor(scale)
        corrected = widened(ends, middle, moved)
        return from_ends(np.maximum(corrected, 0.0) if output.is_count else corrected, middle, self.record.intervals)

    def adapted(self, output: Output, numbers: Array, scale: Array, truth: Array, clock: IntArray) -> tuple[Array, Adaptive]:
        """The corrections that were known when each forecast was made, and where they stand afterwards; see `adapt`."""
        ends, _ = self._own(output, numbers)
        return adapt(self.adaptive(), scores_of(output, truth, ends) / self._factor(scale), clock)

    def paths(self, output: Output, numbers: Array, scale: Array, num_paths: int, generator: np.random.Generator) -> Array:
        """(n, num_paths, horizon, num_targets) courses of the future on the model's scale, each window's by itself.

        Raises RunError when too few past forecasts are known to tell how errors hang together.
        """
        past = self.errors[:, : numbers.shape[1]]
        if len(past) < FEWEST_ERRORS:
            raise RunError(
                f"The run has {len(past)} past forecasts whose truth is known at every step. Expected at least {FEWEST_ERRORS}, "
                f"which show how errors hang together. Train with a larger --validation-share, or without gaps in the target."
            )
        drawn = np.stack([path_errors(past, num_paths, generator) for _ in range(len(numbers))])
        if isinstance(output, Distribution):
            spread = np.broadcast_to(numbers[:, None], (*drawn.shape, output.num_parameters))
            inside: Array = output.quantile(spread, np.clip(drawn, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)[..., None])[..., 0]
            return inside
        moved: Array = output.point(numbers)[:, None] + drawn * (scale[:, None, None, :] if self.record.is_scaled else 1.0)
        return moved

    def coverage(self, output: Output, numbers: Array, scale: Array, truth: Array) -> Coverage:
        """How many truths of the first target central ranges of all shares hold: those that the network itself gives, or around
        single numbers those that follow from past errors.
        """
        numbers, truth = numbers[:, :, 0], truth[:, :, 0]
        if isinstance(output, Distribution):
            return own_coverage(output, numbers, truth)
        past = self.errors[:, : numbers.shape[1], 0]
        return coverage_from_errors(past, (truth - output.point(numbers)) / (scale[:, :1] if self.record.is_scaled else 1.0))

    def _own(self, output: Output, numbers: Array) -> tuple[Array, Array]:
        levels = quantile_levels(self.record.intervals)
        return ends_of(own_quantiles(output, numbers, levels), levels, self.record.intervals), output.point(numbers)

    def _factor(self, scale: Array) -> Array | float:
        return scale[:, None, :, None, None] if self.record.is_scaled else 1.0


def fit_range_calibration(
    output: Output,
    numbers: Array,
    samples: ForecastSamples,
    targets: Array,
    clock: IntArray,
    asked: RangePlan,
) -> RangeCalibration:
    """The corrections from the forecasts of the validation part.

    numbers: (n, horizon, num_targets, num_parameters) on the model's scale. targets: (total_steps, num_targets), what the network
    forecasts. clock: (n,) when each forecast begins. With several series, errors are measured in deviations of their window: a
    large series would else set the ranges of all.
    """
    order = np.argsort(clock, kind="stable")
    is_scaled = len(np.unique(samples.sequence)) > 1
    past = PastAnswers(
        numbers=numbers[order],
        truth=model_truth(samples, targets)[order],
        scale=deviations(samples, targets)[order] if is_scaled else None,
        until=last_stamp(samples, samples.origin + samples.horizon - 1),
    )
    return range_calibration(output, past, asked)


@dataclass(frozen=True)
class PastAnswers:
    """Answers whose truths are known, in the order of time where they have one.

    numbers: (n, horizon, num_targets, num_parameters) on the model's scale. truth: (n, horizon, num_targets), NaN where unknown.
    scale: (n, num_targets) in which the errors of each are measured; None: as they are. until: the last time stamp of the truths.
    """

    numbers: Array
    truth: Array
    scale: Array | None = None
    until: str = ""


def range_calibration(output: Output, past: PastAnswers, asked: RangePlan) -> RangeCalibration:
    """The corrections from past answers."""
    method, intervals = asked.calibrate, asked.intervals
    numbers, truth, is_scaled = past.numbers, past.truth, past.scale is not None
    levels = quantile_levels(intervals)
    ends = ends_of(own_quantiles(output, numbers, levels), levels, intervals)
    factor = 1.0 if past.scale is None else past.scale[:, None, :, None, None]
    scores = scores_of(output, truth, ends) / factor
    shift = fitted_shift(scores, intervals) if method != "none" else np.zeros(scores.shape[1:])
    rows = shift.transpose(2, 3, 1, 0)
    record = Conformal(
        method=method,
        intervals=intervals,
        shift=as_lists(rows),
        is_scaled=is_scaled,
        num_windows=len(truth),
        until=past.until,
        notes=too_few_note(len(truth), shift, intervals),
    )
    kept = scores[-MEMORY:] if method == "adaptive" else scores[:0]
    return RangeCalibration(record, kept, past_errors(output, numbers, truth, past.scale))


def as_lists(values: Array) -> Any:
    """An array of any depth as lists, None where it is not finite."""
    if values.ndim:
        return [as_lists(row) for row in values]
    return float(values) if np.isfinite(values) else None


def scores_of(output: Output, truth: Array, ends: Array) -> Array:
    """(..., intervals, sides): a score for each end; of counts one for both, since nothing lies below a lower end of zero."""
    return conformity_scores(truth, ends) if output.is_count else signed_scores(truth, ends)


def fitted_shift(scores: Array, intervals: tuple[float, ...]) -> Array:
    """(horizon, num_targets, intervals, sides) by how much to widen, inf where no bound follows from so few scores.

    scores: (n, horizon, num_targets, intervals, sides). Where they are too few for half of the misses on each side, both ends
    move by the same: that needs half as many. The choice looks at their number alone, so that the guarantee stands.
    """
    shift = conformal_quantile(scores, 1.0 - wanted_misses(intervals, scores.shape[-1]))
    same = conformal_quantile(scores.max(axis=-1, keepdims=True), 1.0 - wanted_misses(intervals, 1))
    return np.where(np.isfinite(shift).all(axis=-1, keepdims=True), shift, same)


def last_stamp(samples: ForecastSamples, rows: IntArray) -> str:
    """The last time stamp, or order, of some rows, as text."""
    times = samples.prepared.times.gather(rows)
    return str(times.cast(pl.String).max() if times.dtype.is_temporal() else times.max())


def too_few_note(number: int, shift: Array, intervals: tuple[float, ...]) -> tuple[str, ...]:
    """A sentence on ranges that have no end."""
    if np.isfinite(shift).all():
        return ()
    needed = int(np.ceil(round(max(intervals) / (1.0 - max(intervals)), 9)))
    note = (
        f"The validation part has {number} windows; some ranges have no bound, since a range of {max(intervals):g} needs the "
        f"errors of {needed} windows at every step."
    )
    return (note,)


def past_errors(output: Output, numbers: Array, truth: Array, scale: Array | None) -> Array:
    """(k, horizon, num_targets) the errors of past forecasts without a gap, evenly chosen; see `RangeCalibration`."""
    whole = np.flatnonzero(~np.isnan(truth).any((1, 2)))
    chosen = whole[np.unique(np.linspace(0, len(whole) - 1, min(MOST_ERRORS, len(whole))).astype(np.int64))]
    numbers, truth = numbers[chosen], truth[chosen]
    if not isinstance(output, Distribution):
        errors: Array = truth - output.point(numbers)
        return errors if scale is None else errors / scale[chosen][:, None]
    return probabilities(output, numbers, truth)


def model_truth(samples: ForecastSamples, targets: Array) -> Array:
    """(n, horizon, num_targets) what came, on the scale that the network forecasts on; NaN where unobserved."""
    rows = samples.origin[:, None] + np.arange(samples.horizon)
    truth: Array = targets[rows]
    return truth


def deviations(samples: ForecastSamples, targets: Array) -> Array:
    """(n, num_targets) the standard deviation of each window's observed targets on the model's scale, not below the least."""
    spread = np.empty((len(samples), targets.shape[1]))
    for start in range(0, len(samples), 2048):  # a few megabytes at once, whatever the number of windows
        origin = samples.origin[start : start + 2048]
        start_row = samples.prepared.offsets[samples.sequence[start : start + 2048]][:, None]
        rows = origin[:, None] + np.arange(-samples.window, 0)
        window = targets[np.maximum(rows, start_row)]
        seen = ~np.isnan(window) & (rows >= start_row)[..., None]
        count = np.maximum(seen.sum(1), 1)
        filled = np.where(seen, window, 0.0)
        mean = filled.sum(1) / count
        square = (np.where(seen, window - mean[:, None], 0.0) ** 2).sum(1) / count
        spread[start : start + 2048] = np.sqrt(square)
    return np.maximum(spread, LEAST_DEVIATION)
