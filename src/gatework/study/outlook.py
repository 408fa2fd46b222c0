"""What more data would bring: the power law through a learning curve, said with its doubts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatework.report.numbers import short, whole
from gatework.runs import MetricInfo
from gatework.runs.study import RangeSeries
from gatework.study.power_law import FARTHEST, extrapolate, fit_power_law
from gatework.tasks.metrics.scores import Array

FITTED_DRAWS = 200
"""Resamples that the law is fitted to: percentiles of 2.5 and 97.5 need no more, and a fit costs some milliseconds."""


@dataclass(frozen=True)
class Outlook:
    """sizes: the further ones; seen: the sizes that were trained on. errors: at `seen`. ahead: (value, low, high) at `sizes`."""

    metric: MetricInfo
    seen: Array
    errors: tuple[float, ...]
    sizes: tuple[float, ...] = ()
    series: tuple[RangeSeries, ...] = ()
    ahead: tuple[tuple[float, float, float], ...] = ()
    why_none: str = ""

    def words(self, noun: str) -> tuple[str, ...]:
        """How the score changes with the size, and what twice the data would bring."""
        first, last, unit = self.errors[0], self.errors[-1], f" {self.metric.unit}".rstrip()
        sentence = (
            f"From {whole(round(self.seen[0]))} to {whole(round(self.seen[-1]))} training {noun} {self.metric.name} goes from "
            f"{short(first)} to {short(last)}{unit}."
        )
        if not self.sizes:
            return (sentence, self.why_none)
        value, low, high = self.ahead[0]
        more = (
            f"With twice the data ({whole(round(self.sizes[0]))} {noun}) the power law through the points expects {short(value)}"
            f"{unit} (95 % interval {short(low)} to {short(high)}). It is a guess: further data may differ from that at hand."
        )
        return sentence, more


def look_ahead(sizes: Array, points: Sequence[float], draws: Sequence[Array], metric: MetricInfo) -> Outlook:
    """The law through the points and its range at two and four times the largest size.

    points: the metric at each size. draws: its resamples at each size. There is no law when the score does not surely improve
    from the smallest to the largest size, or when it is no error that a power law could describe.
    """
    plain = Outlook(metric, sizes, tuple(float(value) for value in points))
    errors, resampled = as_errors(np.array(points), metric), as_errors(np.stack(draws, axis=1), metric)
    resampled = resampled[np.isfinite(resampled).all(axis=1)]
    if not len(resampled) or not np.isfinite(errors).all() or min(errors.min(), resampled.min()) <= 0:
        return refused(
            plain, f"Nothing is said about more data: {metric.name} has no interval here, or no error that falls to 0."
        )
    if np.percentile(resampled[:, 0] - resampled[:, -1], 2.5) <= 0:
        return refused(
            plain,
            "That is no sure improvement, so nothing is said about more data: what limits the model is not the amount of it, or "
            "the sizes are too close. Look at the inputs and the baselines first.",
        )
    further = np.array([2.0, FARTHEST]) * sizes[-1]
    every = np.concatenate([sizes, further])
    law = fit_power_law(sizes, errors).at(every)
    ranges = np.percentile(extrapolate(sizes, resampled[:FITTED_DRAWS], every), [2.5, 97.5], axis=0)
    back = [np.sort(as_errors(np.stack([law, ranges[0], ranges[1]]), metric)[:, k]) for k in range(len(every))]
    values = as_errors(law, metric)
    count = len(sizes)
    line = RangeSeries(
        name="power law",
        style="history",
        y=tuple(float(value) for value in values),
        low=(*[None] * count, *(float(each[0]) for each in back[count:])),
        high=(*[None] * count, *(float(each[-1]) for each in back[count:])),
    )
    ahead = tuple((float(values[k]), float(back[k][0]), float(back[k][-1])) for k in range(count, len(every)))
    return Outlook(metric, sizes, plain.errors, tuple(float(size) for size in further), (line,), ahead)


def refused(outlook: Outlook, why: str) -> Outlook:
    """No law, and the reason."""
    return Outlook(outlook.metric, outlook.seen, outlook.errors, why_none=why)


def as_errors(values: Array, metric: MetricInfo) -> Array:
    """A score as an error that falls to 0, and back: a score of at most 1 as its distance from 1."""
    return values if metric.better == "lower" else 1.0 - values
