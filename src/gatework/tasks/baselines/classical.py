"""ETS, Theta and ARIMA, each chosen and fitted automatically, refitted at every origin that is asked: through statsforecast.

Hyndman and Khandakar, "Automatic time series forecasting", 2008 (ETS, ARIMA); Fiorucci et al., "Models for optimising the theta
method", 2016. A fit takes from a tenth of a second to many seconds, so they are run at evenly spaced origins, and a table says at
how many.
"""

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatework.errors import MissingExtra
from gatework.tasks.metrics.scores import Array, IntArray

CLASSICAL = {"ETS": ("AutoETS", 100), "Theta": ("AutoTheta", 100), "ARIMA": ("AutoARIMA", 25)}
"""Each method's class in statsforecast, and how many fits it is allowed: a minute or two for all three on hourly data."""
MOST_SECONDS = 300.0
"""Of one method: after it no further fit begins, so that a slow machine ends, too."""
FEWEST_STEPS, SEASONS, MOST_STEPS = 200, 12, 600
"""Each fit sees the last twelve seasons, and never less than 200 steps or more than 600."""
MAX_SEASON = 60
"""A longer season has more states than these methods can estimate; they are then run without one."""


@dataclass(frozen=True)
class Classical:
    """What one method says. values: (n, horizon, num_targets), NaN where it was not asked. answered: (n,) where it was."""

    name: str
    values: Array
    answered: np.ndarray
    history: int


def import_models() -> Any:
    """The models of statsforecast; MissingExtra naming the command when it is not installed."""
    try:
        from statsforecast import models
    except ImportError as error:
        raise MissingExtra(
            "ETS, Theta and ARIMA were asked for (--classical) and statsforecast is not installed. Expected: the package that "
            'fits them. Install it: pip install "gatework[classical]".'
        ) from error
    return models


def classical_forecasts(name: str, filled: Array, offsets: IntArray, origin: IntArray, horizon: int, period: int) -> Classical:
    """One method of CLASSICAL, fitted afresh at evenly spaced origins on the steps before each.

    filled: (total_steps, num_targets) without gaps. offsets: (num_sequences + 1,). origin: (n,). period: steps of one season.
    Raises MissingExtra when statsforecast is not installed.
    """
    models = import_models()
    class_name, most_fits = CLASSICAL[name]
    season = period if 1 < period <= MAX_SEASON else 1
    history = int(np.clip(SEASONS * season, FEWEST_STEPS, MOST_STEPS))
    num_targets = filled.shape[1]
    values = np.full((len(origin), horizon, num_targets), np.nan)
    starts = offsets[np.searchsorted(offsets, origin - 1, side="right") - 1]
    began = time.perf_counter()
    for window in evenly_spaced(len(origin), max(1, most_fits // num_targets)):
        past = filled[max(starts[window], origin[window] - history) : origin[window]]
        for k in range(num_targets):
            values[window, :, k] = _forecast(getattr(models, class_name), past[:, k], horizon, season)
        if time.perf_counter() - began > MOST_SECONDS:
            break
    return Classical(name, values, np.isfinite(values).all((1, 2)), history)


def _forecast(model: Any, past: Array, horizon: int, season: int) -> Array:
    """One fit and its forecast; the last value where the method gives none (a history too short or constant)."""
    usable = season if len(past) >= 2 * season + 3 else 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of optimisers that stop at a bound; the forecast is judged, not its fit
            forecast = np.asarray(model(season_length=usable).forecast(y=past, h=horizon)["mean"], dtype=np.float64)
    except (ValueError, ZeroDivisionError, IndexError, np.linalg.LinAlgError, NotImplementedError):
        forecast = np.full(horizon, np.nan)
    return np.where(np.isfinite(forecast), forecast, past[-1])


def evenly_spaced(count: int, most: int) -> list[int]:
    """At most so many of range(count), evenly spaced; in an order in which any beginning is spread over all of it.

    >>> evenly_spaced(100, 4)
    [12, 62, 37, 87]
    """
    number = min(count, most)
    places = [int((2 * i + 1) * count / (2 * number)) for i in range(number)]
    bits = max(1, (number - 1).bit_length())
    order = sorted(range(number), key=lambda i: int(f"{i:0{bits}b}"[::-1], 2))
    return [places[i] for i in order]
