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
    columns = [wave(2 * np.pi * _turns(times, period)) for period in periods for wave in (np.sin, np.cos)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(times), 0))


def _turns(times: pl.Series, period: Period) -> FloatArray:
    local = times.cast(pl.Datetime("us")) if times.dtype == pl.Date else times
    day = (local.dt.hour() * 3600.0 + local.dt.minute() * 60.0 + local.dt.second()).to_numpy() / DAY_S
    if period == "hour of day":
        return day
    if period == "day of week":
        return (local.dt.weekday().to_numpy() - 1 + day) / 7
    return (local.dt.ordinal_day().to_numpy() - 1 + day) / np.where(local.dt.is_leap_year().to_numpy(), 366, 365)
