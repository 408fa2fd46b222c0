"""What a time stamp says by itself: hour of the day, day of the week, day of the year, each as a point on a circle."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from gatework.data.series import BoolArray, Rows, time_numbers

FloatArray = npt.NDArray[np.float64]
Period = Literal["hour of day", "day of week", "day of year"]

DAY_S = 86_400.0
LENGTH_S: dict[Period, float] = {"hour of day": DAY_S, "day of week": 7 * DAY_S, "day of year": 365 * DAY_S}


def typical_step(times: pl.Series, rows: Rows, chosen: BoolArray) -> float | None:
    """The median time between neighbouring chosen rows of one series, in seconds or units of the order; None without any."""
    neighbours = (np.diff(rows.sequence) == 0) & chosen[1:] & chosen[:-1]
    steps = np.diff(time_numbers(times))[neighbours] if len(times) > 1 else np.zeros(0)
    return float(np.median(steps)) if len(steps) else None


def choose_periods(times: pl.Series, rows: Rows, train: BoolArray) -> tuple[Period, ...]:
    """The circles worth showing a model: sampled at least twice a turn, and seen a whole turn in training.

    Hourly data of some years get all three, daily data the week and the year, monthly data the year; an order gets none.
    A circle of which training shows only a part would put test rows where the model has never been.
    """
    step = typical_step(times, rows, train) if times.dtype.is_temporal() else None
    if step is None:
        return ()
    seconds = time_numbers(times)[train]
    span = float(seconds.max() - seconds.min()) + step
    return tuple(period for period, length in LENGTH_S.items() if 2 * step <= length <= span)


def calendar_names(periods: tuple[Period, ...]) -> list[str]:
    """The names of the columns of `calendar_features`."""
    return [f"{period} ({wave})" for period in periods for wave in ("sin", "cos")]


def calendar_features(times: pl.Series, periods: tuple[Period, ...]) -> FloatArray:
    """(total_steps, 2 · periods) sine and cosine of each period's angle, in local time where a time zone is known."""
    if not periods:
        return np.zeros((len(times), 0))
    local = times.dt.replace_time_zone(None) if getattr(times.dtype, "time_zone", None) else times
    seconds = local.to_numpy().astype("datetime64[s]")
    columns = [wave(2 * np.pi * _turns(seconds, period)) for period in periods for wave in (np.sin, np.cos)]
    return np.stack(columns, axis=1)


def _turns(seconds: npt.NDArray[np.datetime64], period: Period) -> FloatArray:
    """How often each period has gone round since its last beginning, 0 to 1. seconds: local time."""
    days = seconds.astype("datetime64[D]")
    share: FloatArray = (seconds - days).astype(np.float64) / DAY_S
    if period == "hour of day":
        return share
    if period == "day of week":
        of_week: FloatArray = ((days.astype(np.int64) + 3) % 7 + share) / 7  # 1970-01-01 was a Thursday
        return of_week
    years = days.astype("datetime64[Y]")
    first, next_first = years.astype("datetime64[D]"), (years + 1).astype("datetime64[D]")
    of_year: FloatArray = ((days - first).astype(np.float64) + share) / (next_first - first).astype(np.float64)
    return of_year
