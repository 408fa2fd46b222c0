"""Suspected leaks: covariates that hold the answer, or will only be known after the forecast is made."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from gatework.data.series import IntArray, listed, table_rows
from gatework.data.table import Field, Table

Array = npt.NDArray[np.float64]

LEAK = 0.999
"""The correlation with the target from which a covariate is suspected to hold the answer."""
UNEXPLAINED = 0.95
"""The same for what the target's own past leaves of its future: a slow series correlates with its own future without any leak."""
USUAL_SHIFTS = (1, 2, 3, 6, 7, 12, 24, 48, 168)
"""Steps into the future at which a covariate is compared with the target, besides those of the horizon."""
MOST_SHIFTS = 200
MOST_ROWS = 20_000
"""The last so many rows are compared: enough to tell a copy, and a second for a hundred columns."""
FEWEST = 12


@dataclass(frozen=True)
class Leak:
    """A column that may hold the answer: `reason` is a sentence. lag: steps that it is ahead of the target; 0: the same step."""

    column: str
    target: str
    lag: int
    reason: str

    @property
    def warning(self) -> str:
        """The reason with its cure."""
        return f"{self.reason} If so, leave it out: --ignore {self.column}."


def suspected_leaks(table: Table, horizon: int = 0) -> tuple[Leak, ...]:
    """Each numeric covariate that follows a target of the same or a later step almost exactly.

    horizon: steps that are forecast; each of them is looked at, up to MOST_SHIFTS.
    """
    frame = table.steps if table.has_step_targets else table.sequences
    roles = ("past", "known_future", "static")
    columns = [field for field in table.fields if field.kind == "numeric" and field.role in roles and field.name in frame.columns]
    targets = [field for field in table.named("target") if field.kind == "numeric" and field.name in frame.columns]
    frame = frame.tail(MOST_ROWS)
    series = table_rows(table).sequence[-MOST_ROWS:] if table.has_step_targets else np.arange(frame.height)
    shifts = sorted({*USUAL_SHIFTS, *range(1, min(horizon, MOST_SHIFTS) + 1)}) if table.is_forecast else []
    values = {field.name: frame[field.name].cast(pl.Float64).to_numpy() for field in (*columns, *targets)}
    found = (
        _leak(field, values[field.name], target, values[target.name], series, shifts) for target in targets for field in columns
    )
    return tuple(leak for leak in found if leak is not None)


def _leak(field: Field, x: Array, target: Field, y: Array, series: IntArray, shifts: list[int]) -> Leak | None:
    name, of = field.name, target.name
    if not shifts:  # one answer for each sequence: there is no past that could explain anything
        lag, found = 0, correlation(x, y)
        threshold = LEAK
    else:
        lag, found = max(((shift, _news(x, y, series, shift)) for shift in (0, *shifts)), key=lambda pair: pair[1])
        threshold = UNEXPLAINED
    if found <= threshold:
        return None
    if lag:
        steps = "step" if lag == 1 else "steps"
        words = f"Column '{name}' is the target '{of}' {lag} {steps} ahead: it would not be known when forecasting."
        return Leak(name, of, lag, words)
    close = f"|correlation| {correlation(x, y):.5f}"
    return Leak(name, of, 0, f"Column '{name}' follows the target '{of}' almost exactly ({close}): is it the answer?")


def _news(x: Array, y: Array, series: IntArray, shift: int) -> float:
    """How closely x follows y `shift` steps later, beyond what the two values of y that are known by then say of both.

    0 where it does not follow it at all. Known are y of this step and the one before; for shift 0 the two before it.
    """
    count = len(y) - shift
    if count < FEWEST:
        return 0.0
    later = _moved(y, series, shift)[:count]
    if correlation(x[:count], later) <= LEAK:
        return 0.0
    newest = 1 if shift == 0 else 0
    own = np.stack([np.ones(count), *(_moved(y, series, -lag)[:count] for lag in (newest, newest + 1))], axis=1)
    both = np.stack([x[:count], later], axis=1)
    seen = np.isfinite(own).all(1) & np.isfinite(both).all(1)
    if seen.sum() < FEWEST:
        return 0.0
    own, both = own[seen], both[seen]
    left = both - own @ np.linalg.lstsq(own, both, rcond=None)[0]
    if (np.std(left, axis=0) <= 1e-7 * np.std(both, axis=0)).any():
        return 0.0  # the target's own past says it all, as of a straight line
    return correlation(left[:, 0], left[:, 1])


def _moved(y: Array, series: IntArray, shift: int) -> Array:
    """The value so many steps later (earlier when negative) in the same series; NaN beyond its ends."""
    moved = np.full(len(y), np.nan)
    here, there = (slice(0, len(y) - shift), slice(shift, len(y))) if shift >= 0 else (slice(-shift, len(y)), slice(0, shift))
    moved[here] = np.where(series[here] == series[there], y[there], np.nan)
    return moved


def correlation(one: Array, other: Array) -> float:
    """Absolute Pearson correlation over rows where both are present; 0 where it is not defined. Float64 sums."""
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < 3:
        return 0.0
    x, y = one[both], other[both]
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return abs(float(np.corrcoef(x, y)[0, 1]))


def silent_series(table: Table) -> tuple[str, ...]:
    """A note that names the series in which no target was ever observed; nothing when there is none."""
    names = [field.name for field in table.named("target") if field.name in table.steps.columns]
    if not table.is_forecast or not names:
        return ()
    seen = table.steps.group_by(table.series, maintain_order=True).agg(pl.any_horizontal(pl.col(names).is_not_null().any()))
    silent = seen.filter(~pl.col(seen.columns[1]))[table.series].cast(pl.String).to_list()
    if not silent:
        return ()
    have = "1 series has" if len(silent) == 1 else f"{len(silent)} series have"
    return (
        f"{have} no known value of {', '.join(names)}: {listed(silent)}. Nothing is learned from them, and they are not scored.",
    )
