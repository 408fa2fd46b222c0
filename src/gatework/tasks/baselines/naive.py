"""Forecasts that need no model: the last value, a line, the value one season ago, the usual value for the time of day and year.

All work in the target's own unit on plain arrays: raw (total_steps, num_targets), NaN where unobserved; offsets (num_sequences +
1,) with series i in rows offsets[i] to offsets[i + 1]; origin (n,) row of the first forecast step of each window.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatework.errors import DataError
from gatework.tasks.metrics.scores import Array, BoolArray, IntArray, divide


def training_mean(raw: Array, is_train: BoolArray) -> Array:
    """The mean of the observed training values of each target, (num_targets,).

    is_train: (rows,). Raises DataError when a target was never observed in the training part.
    """
    rows = raw[is_train]
    observed = ~np.isnan(rows)
    mean = divide(np.where(observed, rows, 0.0).sum(0), observed.sum(0).astype(np.float64))
    if np.isnan(mean).any():
        raise DataError(
            f"Target number {int(np.isnan(mean).argmax()) + 1} has no observed value in the training part; "
            f"a baseline needs at least one. "
            f"Check the target column, or give the training part more data with a smaller --test-share."
        )
    return mean


def carried(raw: Array, offsets: IntArray, period: int = 1) -> Array:
    """For every row the last observed value of its series at or before it, a whole number of periods away; NaN if none."""
    total_steps, num_targets = raw.shape
    sequence = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    phase = (np.arange(total_steps) - offsets[sequence]) % period
    order = np.lexsort((phase, sequence))  # stable: rows of one phase stay in time order
    place = np.arange(total_steps)
    is_first = np.ones(total_steps, dtype=bool)
    is_first[1:] = (np.diff(sequence[order]) != 0) | (np.diff(phase[order]) != 0)
    group_start = np.maximum.accumulate(np.where(is_first, place, 0))
    filled = np.full((total_steps, num_targets), np.nan)
    for k in range(num_targets):
        column = raw[order, k]
        seen = np.maximum.accumulate(np.where(np.isnan(column), -1, place))
        filled[order, k] = np.where(seen >= group_start, column[seen], np.nan)
    return filled


def last_value(raw: Array, offsets: IntArray, origin: IntArray, horizon: int, fallback: Array) -> Array:
    """The last observed value before the forecast, at every step of the horizon: (n, horizon, num_targets).

    fallback: (num_targets,) used where nothing was observed before, such as `training_mean`.
    """
    value = _before(carried(raw, offsets), offsets, origin)
    value = np.where(np.isnan(value), fallback, value)
    return np.repeat(value[:, None], horizon, axis=1)


def seasonal_naive(raw: Array, offsets: IntArray, origin: IntArray, horizon: int, period: int, fallback: Array) -> Array:
    """The value one season earlier: (n, horizon, num_targets).

    Beyond one season the last known season is repeated. An unobserved value is taken from the season before it, and so on; then
    from the last observed value, then from `fallback` (num_targets,). period: steps of one season; 1 is `last_value`.
    """
    latest = last_value(raw, offsets, origin, horizon, fallback)
    lag = period - np.arange(horizon) % period
    row = origin[:, None] - lag
    start = _starts(offsets, origin)[:, None]
    season = carried(raw, offsets, period)[np.maximum(row, 0)]
    usable = (row >= start)[..., None] & ~np.isnan(season)
    return np.where(usable, season, latest)


def drift(raw: Array, offsets: IntArray, origin: IntArray, horizon: int, fallback: Array) -> Array:
    """The line through the first and the last observed value of the series, continued: (n, horizon, num_targets).

    With one observation it is flat; with none it is `fallback` (num_targets,).
    Hyndman and Athanasopoulos, "Forecasting: Principles and Practice" (3rd edition), section 5.2.
    """
    total_steps, num_targets = raw.shape
    row = np.arange(total_steps)
    start = np.repeat(offsets[:-1], np.diff(offsets))
    steps = origin[:, None] + np.arange(horizon)
    before = np.maximum(origin - 1, 0)
    values = np.empty((len(origin), horizon, num_targets))
    for k in range(num_targets):
        observed = ~np.isnan(raw[:, k])
        latest = np.maximum.accumulate(np.where(observed, row, -1))[before]
        has_past = (latest >= start[before]) & (origin > _starts(offsets, origin))
        first = np.minimum.accumulate(np.where(observed, row, total_steps)[::-1])[::-1][start[before]]
        latest, first = np.where(has_past, latest, 0), np.where(has_past, first, 0)
        rise = np.where(latest > first, raw[latest, k] - raw[first, k], 0.0)
        slope = rise / np.maximum(latest - first, 1)
        line = raw[latest, k][:, None] + slope[:, None] * (steps - latest[:, None])
        values[..., k] = np.where(has_past[:, None], line, fallback[k])
    return values


def _starts(offsets: IntArray, row: IntArray) -> IntArray:
    """The first row of the series that each row lies in; an empty series holds no row."""
    starts: IntArray = offsets[np.searchsorted(offsets, row, side="right") - 1]
    return starts


def _before(filled: Array, offsets: IntArray, origin: IntArray) -> Array:
    """The values one row before each origin; NaN where that is another series."""
    has_past = origin > _starts(offsets, origin)
    return np.where(has_past[:, None], filled[np.maximum(origin - 1, 0)], np.nan)


def season_keys(times: NDArray[np.datetime64]) -> tuple[IntArray, str]:
    """The place of each time stamp in its seasons, from the finest key to the coarsest: ((total_steps, 2), words).

    Stamps less than a day apart (median): hour of the day in each month, hour of the day. A day up to a week apart:
    day of the week in each month, day of the week (only below a week: month). Else: month twice.
    times: local time without zone, no NaT; series one after the other.
    """
    steps = np.diff(times.astype("datetime64[s]").astype(np.int64))
    step_s = float(np.median(steps[steps > 0])) if (steps > 0).any() else 86_400.0
    month = times.astype("datetime64[M]").astype(np.int64) % 12
    if step_s < 86_400:
        hour = times.astype("datetime64[h]").astype(np.int64) % 24
        return np.stack([month * 24 + hour, hour], axis=1), "the hour of the day and the month"
    if step_s < 7 * 86_400:
        weekday = (times.astype("datetime64[D]").astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
        return np.stack([month * 7 + weekday, weekday], axis=1), "the day of the week and the month"
    return np.stack([month, month], axis=1), "the month"


def position_keys(offsets: IntArray, period: int) -> tuple[IntArray, str]:
    """`season_keys` for data without time stamps: the place in a season of `period` steps; below 2, one place for all."""
    period = max(period, 1)
    sequence = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    place = (np.arange(int(offsets[-1])) - offsets[sequence]) % period
    words = f"the place in a season of {period} steps" if period > 1 else "its series"
    return np.stack([place, place], axis=1), words


@dataclass(frozen=True)
class Climatology:
    """The mean of the training rows at the same place in the season, per series.

    An empty cell falls back to a coarser one: series and fine key, series and coarse key, series; then over all series
    the same. Fitted on training rows only.
    """

    levels: tuple[tuple[IntArray, Array], ...]

    @classmethod
    def fit(cls, raw: Array, keys: IntArray, sequence: IntArray, is_train: BoolArray) -> "Climatology":
        """From the observed training rows. keys: (rows, 2) of `season_keys`. sequence: (rows,) number of the series."""
        fallback = training_mean(raw, is_train)
        rows = raw[is_train]
        levels = []
        for codes in _codes(keys[is_train], sequence[is_train]):
            known, cell = np.unique(codes, return_inverse=True)
            mean = np.empty((len(known), raw.shape[1]))
            for k in range(raw.shape[1]):
                observed = ~np.isnan(rows[:, k])
                count = np.bincount(cell[observed], minlength=len(known)).astype(np.float64)
                total = np.bincount(cell[observed], rows[observed, k], len(known)).astype(np.float64)
                mean[:, k] = divide(total, count)
            levels.append((known, mean))
        levels.append((np.zeros(1, dtype=np.int64), fallback[None]))
        return cls(tuple(levels))

    def predict(self, keys: IntArray, sequence: IntArray) -> Array:
        """The usual value of each row: (rows, num_targets). sequence: −1 for a series not seen in training."""
        codes = [*_codes(keys, sequence), np.zeros(len(keys), dtype=np.int64)]
        value = np.full((len(keys), self.levels[0][1].shape[1]), np.nan)
        for code, (known, mean) in zip(codes, self.levels, strict=True):
            place = np.searchsorted(known, code).clip(max=len(known) - 1)
            found = np.where((known[place] == code)[:, None], mean[place], np.nan)
            value = np.where(np.isnan(value), found, value)
        return value


def _codes(keys: IntArray, sequence: IntArray) -> list[IntArray]:
    """One number per cell and row, for each level from the finest to the coarsest but the overall mean."""
    width = np.int64(1_000_000)  # keys are far below it
    fine, coarse = keys[:, 0], keys[:, 1]
    return [sequence * width + fine, sequence * width + coarse, sequence, fine, coarse]


def climatology(raw: Array, offsets: IntArray, origin: IntArray, horizon: int, keys: IntArray, is_train: BoolArray) -> Array:
    """`Climatology` fitted on the training rows and read at every step of every window: (n, horizon, num_targets)."""
    sequence = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)).astype(np.int64)
    fitted = Climatology.fit(raw, keys, sequence, is_train)
    usual = fitted.predict(keys, sequence)
    windows: Array = usual[origin[:, None] + np.arange(horizon)]
    return windows
