"""95 % intervals: what else the scores could have been, had other sequences or other weeks been in the test part.

Units are drawn with replacement and every metric is computed again; the interval lies between the 2.5th and the 97.5th percentile
(Efron, 1979). Overlapping windows are no independent units: whole blocks of time are drawn instead (Künsch 1989; Carlstein 1986,
blocks that do not overlap). The same seed draws the same units for every row of the table, so that rows can be compared in pairs.
With few units a percentile interval is too narrow; below `MIN_UNITS` there is none.
"""

from dataclasses import dataclass

import numpy as np

from gatework.runs import MetricInfo, Score
from gatework.tasks.metrics.scores import Array, IntArray, Measured, divide

NUM_RESAMPLES = 1000
MIN_UNITS = 3
FEW_UNITS = 10
# from here on the series themselves are the units of a forecast, not blocks of time
MANY_SERIES = 20
# of a part with few sequences whose every step has an answer
NUM_BLOCKS = 30
# weights held at once: 2,000,000 doubles are 16 MB
WEIGHTS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Units:
    """What the bootstrap draws.

    index: (num_samples,) from 0 up, the unit of each sample. words: what the units are ("39 blocks of 168 steps").
    note: what the reader must know, or empty.
    """

    index: IntArray
    words: str
    note: str = ""

    @property
    def number(self) -> int:
        """How many there are."""
        return int(self.index.max(initial=-1)) + 1


@dataclass(frozen=True)
class Resampled:
    """One row of the table: point (num_metrics,), draws (num_resamples, num_metrics); NaN where a metric is not defined."""

    metrics: tuple[MetricInfo, ...]
    point: Array
    draws: Array

    def scores(self) -> dict[str, Score]:
        """Value and interval of each metric, by name."""
        return {
            info.name: score_of(value, draws) for info, value, draws in zip(self.metrics, self.point, self.draws.T, strict=True)
        }


def bootstrap(measured: Measured, units: IntArray, num_resamples: int = NUM_RESAMPLES, seed: int = 0) -> Resampled:
    """Every metric on the samples and on `num_resamples` resamples of their units.

    measured: one unit per sample, as `measure_forecast` and its siblings return it. units: (num_samples,) from 0 up.
    No draws with fewer than MIN_UNITS units.
    """
    number = int(units.max(initial=-1)) + 1
    grouped = measured.grouped(units)
    point = grouped.values(np.ones((1, grouped.num_units)))[0]
    if number < MIN_UNITS:
        return Resampled(measured.metrics, point, np.empty((0, len(point))))
    generator = np.random.default_rng(seed)
    at_once = max(100, WEIGHTS_AT_ONCE // number)
    draws = [
        grouped.values(draw_weights(generator, number, min(at_once, num_resamples - start)))
        for start in range(0, num_resamples, at_once)
    ]
    return Resampled(measured.metrics, point, np.concatenate(draws))


def draw_weights(generator: np.random.Generator, num_units: int, num_resamples: int) -> Array:
    """How often each unit occurs in each resample: (num_resamples, num_units) counts, every row summing to num_units."""
    weights = np.empty((num_resamples, num_units))
    for row in weights:  # one row at a time stays in the cache: ten times faster than all at once
        row[:] = np.bincount(generator.integers(0, num_units, num_units), minlength=num_units)
    return weights


def gain(model: Resampled, baseline: Resampled, metric: str) -> Score:
    """By how much the model is better than the baseline, with its interval over the same resamples.

    'lower is better' metrics: share of the baseline's value that is avoided, 1 − model / baseline. 'higher is better': the
    difference. Positive: the model is better. None when either is not defined, or the baseline's error is 0.
    """
    place = [info.name for info in model.metrics].index(metric)
    values = [_advantage(model.metrics[place], row[..., place], other[..., place]) for row, other in _pairs(model, baseline)]
    return score_of(float(values[0]), values[1])


def _pairs(model: Resampled, baseline: Resampled) -> list[tuple[Array, Array]]:
    return [(model.point, baseline.point), (model.draws, baseline.draws)]


def _advantage(info: MetricInfo, ours: Array, theirs: Array) -> Array:
    if info.better == "higher":
        return ours - theirs
    return 1.0 - divide(ours, theirs)


def score_of(value: float, draws: Array) -> Score:
    """A value with the percentile interval of the draws that are defined; without one where there are too few of them."""
    if not np.isfinite(value):
        return Score(value=None)
    defined = draws[np.isfinite(draws)]
    if len(defined) < max(1, min(100, len(draws))):
        return Score(value=float(value))
    low, high = np.percentile(defined, [2.5, 97.5])
    return Score(value=float(value), low=float(low), high=float(high))


def sequence_units(sequence: IntArray, word: str = "sequences") -> Units:
    """Whole sequences (or groups) as units. sequence: (num_samples,) which one each sample belongs to."""
    index = np.unique(sequence, return_inverse=True)[1].astype(np.int64)
    number = int(index.max(initial=-1)) + 1
    return Units(index, f"{number} {word}", _note(number, word))


def forecast_units(sequence: IntArray, clock: IntArray, horizon: int, period: int) -> Units:
    """Units for forecast windows: the series themselves when there are MANY_SERIES or more, else blocks of time.

    sequence: (num_samples,). clock: (num_samples,) step of the window's first forecast, counted from a start that all series
    share (their position in the series where they have no common time). A block holds the windows of all series whose forecast
    begins in it, because series measured at the same time err together.
    Block length: twice the horizon or seven seasons (a week of hours), whichever is longer, but such that there are at least
    ten blocks where the horizon leaves room for them, and never shorter than the horizon, so that windows overlap
    only with those of the next block.
    """
    if len(np.unique(sequence)) >= MANY_SERIES:
        return sequence_units(sequence, "series")
    start = clock - clock.min() if len(clock) else clock
    span = int(start.max(initial=0)) + 1
    steps = max(horizon, min(max(2 * horizon, 7 * period), span // FEW_UNITS), 1)
    index = np.unique(start // steps, return_inverse=True)[1].astype(np.int64)
    number = int(index.max(initial=-1)) + 1
    return Units(index, f"{number} blocks of {steps} steps", _note(number, "blocks of time"))


def step_units(sequence: IntArray, clock: IntArray | None) -> Units:
    """Units for answers at every step: whole sequences, or NUM_BLOCKS blocks of time where a clock is given.

    sequence: (num_answers,). clock: (num_answers,) the place of each step in its sequence. A block holds the steps of all
    sequences whose place lies in it; neighbouring steps err together and are drawn together.
    """
    if clock is None:
        return sequence_units(sequence)
    start = clock - clock.min() if len(clock) else clock
    steps = max(1, -(-(int(start.max(initial=0)) + 1) // NUM_BLOCKS))
    index = np.unique(start // steps, return_inverse=True)[1].astype(np.int64)
    number = int(index.max(initial=-1)) + 1
    return Units(index, f"{number} blocks of {steps} steps", _note(number, "blocks of time"))


def _note(number: int, word: str) -> str:
    if number < MIN_UNITS:
        return f"There are no intervals: the test part has only {number} {word}, and at least {MIN_UNITS} are needed."
    if number < FEW_UNITS:
        return f"The intervals are rough and rather too narrow: they rest on only {number} {word}."
    return ""
