"""Ranges of a forecast: the quantiles that it gives, in the units of the data, with their own names in tables."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from gatework.data.series import with_columns
from gatework.runs import Band
from gatework.tasks.conformal import Array, IntArray, ends_of, quantile_levels
from gatework.tasks.outputs import Distribution, Output


@dataclass(frozen=True)
class Ranges:
    """Quantiles of forecasts.

    intervals: the shares that the ranges should hold, rising, such as (0.8, 0.95). values: (n, horizon, num_targets, levels),
    never falling along the last axis; the levels are those of both ends of every interval, and the median.
    """

    intervals: tuple[float, ...]
    values: Array

    @property
    def levels(self) -> tuple[float, ...]:
        """The level of each quantile."""
        return quantile_levels(self.intervals)

    @property
    def ends(self) -> Array:
        """(n, horizon, num_targets, intervals, 2)."""
        return ends_of(self.values, self.levels, self.intervals)

    def only(self, chosen: IntArray) -> "Ranges":
        """Those of some forecasts, by number."""
        return Ranges(self.intervals, self.values[chosen])

    def mapped(self, change: Callable[[Array], Array]) -> "Ranges":
        """The same after a rising change of (..., num_targets), level by level."""
        return Ranges(self.intervals, np.moveaxis(change(np.moveaxis(self.values, -1, 0)), 0, -1))


def percent(share: float) -> str:
    """A share as it is written.

    >>> percent(0.8), percent(0.975)
    ('80 %', '97.5 %')
    """
    return f"{round(100 * share, 6):g} %"


def with_ranges(frame: pl.DataFrame, ranges: Ranges | None) -> pl.DataFrame:
    """Predictions, one row each in the order (sample, step, target), with `low 80 %`, `high 80 %` and so on beside them."""
    if ranges is None:
        return frame
    columns, ends = [], ranges.ends
    for number, share in enumerate(ranges.intervals):
        for side, name in enumerate(("low", "high")):
            values = ends[..., number, side].ravel()
            # a range without a bound has no number
            columns.append(pl.Series(f"{name} {percent(share)}", np.where(np.isfinite(values), values, np.nan), nan_to_null=True))
    return with_columns(frame, columns)


def own_quantiles(output: Output, numbers: Array, levels: tuple[float, ...]) -> Array:
    """The quantiles that the network itself gives, on the model's scale: (n, horizon, num_targets, levels).

    numbers: (n, horizon, num_targets, num_parameters). A single number stands for all of its quantiles.
    """
    if isinstance(output, Distribution):
        return output.quantile(numbers, levels)
    return np.repeat(output.point(numbers)[..., None], len(levels), axis=-1)


def from_ends(ends: Array, middle: Array, intervals: tuple[float, ...]) -> Ranges:
    """Ranges from (..., intervals, 2) and the median (...,)."""
    outwards = [ends[..., number, 0] for number in range(len(intervals))]
    upwards = [ends[..., number, 1] for number in range(len(intervals))]
    return Ranges(intervals, np.stack([*reversed(outwards), middle, *upwards], axis=-1))


def bands(ranges: Ranges | None, place: int, before: int) -> tuple[Band, ...]:
    """The ranges of one forecast of the first target, the widest first, behind `before` steps that have none."""
    if ranges is None:
        return ()
    ends = ranges.ends[place, :, 0]

    def side(number: int, which: int) -> tuple[float | None, ...]:
        values = [float(value) if np.isfinite(value) else None for value in ends[:, number, which]]
        return (*[None] * before, *values)

    return tuple(
        Band(name=percent(share), level=share, low=side(number, 0), high=side(number, 1))
        for number, share in reversed(list(enumerate(ranges.intervals)))
    )
