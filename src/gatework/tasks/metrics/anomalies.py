"""Metrics of anomaly scores against labelled ranges; and what can be said without labels.

No metric here adjusts points: to count a whole labelled range as found when one of its steps is, lets random scores reach the
highest values (Kim, Choi, Choi, Lee and Yoon, "Towards a rigorous evaluation of time-series anomaly detection", 2022).
"""

from dataclasses import dataclass, replace

import numpy as np

from gatework.runs import MetricInfo
from gatework.tasks.detectors.ranges import Ranges, find_ranges
from gatework.tasks.metrics.scores import Array, BoolArray, IntArray, Metric, divide

UCR_STEPS = 100
"""Steps beside a labelled range that still count as its place (Wu and Keogh 2021, the rule of the UCR anomaly archive)."""
RANKING_WORK = 100_000_000
"""Resamples × steps that average precision may rank, a few seconds; beyond it its interval comes from fewer resamples."""

AVERAGE_PRECISION = Metric(
    "average precision", "", "higher",
    "Precision over the steps, averaged over the recall as the threshold falls: 1 when every labelled step has a higher score "
    "than "
    "any other, about the share of labelled steps when scores are random. Points are not adjusted.",
)  # fmt: skip
TOP_IN_RANGE = Metric(
    "top score in range", "", "higher",
    f"1 when the highest score of all lies in a labelled range, or beside it by no more than its length (at least {UCR_STEPS} "
    f"steps), "
    f"else 0: the rule of the UCR anomaly archive.",
)  # fmt: skip
EVENT_RECALL = Metric(
    "event recall", "", "higher",
    "Share of the labelled ranges in which an alarm is raised, or up to the tolerance after them.",
)  # fmt: skip
EVENT_PRECISION = Metric(
    "event precision", "", "higher",
    "Share of the alarm ranges that touch a labelled range, widened by the tolerance on both sides.",
)  # fmt: skip
FALSE_ALARMS = Metric("false alarms", "{unit}", "lower", "Alarm ranges that touch no labelled range, in the given time.")
DELAY = Metric("delay", "steps", "lower", "Mean number of steps from the beginning of a labelled range to its first alarm.")
ALARMS = Metric("alarms", "{unit}", "lower", "Alarm ranges in the given time; without labels nobody knows which are false.")
ALARM_SHARE = Metric("steps in alarm", "", "lower", "Share of the steps that lie in an alarm range.")

LABELLED_METRICS: list[Metric] = [AVERAGE_PRECISION, TOP_IN_RANGE, EVENT_RECALL, EVENT_PRECISION, FALSE_ALARMS, DELAY]
UNLABELLED_METRICS: list[Metric] = [ALARMS, ALARM_SHARE]
ANOMALY_METRICS: list[Metric] = LABELLED_METRICS + UNLABELLED_METRICS


@dataclass(frozen=True)
class Pace:
    """In which time alarms are counted: `steps` of it, `unit` in words ("per day")."""

    steps: float
    unit: str


@dataclass(frozen=True)
class AnomalyErrors:
    """What the metrics of anomalies need; see `Measured`.

    unit: (n,) the unit of each step. score: (n,) in thresholds, −inf where there is none. truth: (n,) labelled as anomalous; None
    without labels. near: (n,) whether the UCR rule counts this place as right. events: columns of numbers per range, with the
    step that each range begins at: found and delay of the labelled ones; false of the alarms. in_alarm: (n,).
    """

    unit: IntArray
    units: int
    score: Array
    in_alarm: BoolArray
    alarm_at: IntArray
    false: BoolArray
    pace: Pace
    truth: BoolArray | None = None
    near: BoolArray | None = None
    event_at: IntArray | None = None
    delay: Array | None = None

    @property
    def num_units(self) -> int:
        return self.units

    @property
    def metrics(self) -> tuple[MetricInfo, ...]:
        which = UNLABELLED_METRICS if self.truth is None else LABELLED_METRICS
        return tuple(metric.info(self.pace.unit if "{unit}" in metric.unit else metric.unit) for metric in which)

    def grouped(self, units: IntArray) -> "AnomalyErrors":
        return replace(self, unit=units[self.unit], units=int(units.max(initial=-1)) + 1)

    def values(self, weights: Array) -> Array:
        steps = weights @ self._count(np.ones(len(self.unit)), self.unit)
        alarms = weights @ self._count(np.ones(len(self.alarm_at)), self.unit[self.alarm_at])
        false = weights @ self._count(self.false.astype(np.float64), self.unit[self.alarm_at])
        if self.truth is None or self.event_at is None or self.delay is None:
            inside = weights @ self._count(self.in_alarm.astype(np.float64), self.unit)
            return np.stack([divide(alarms, steps) * self.pace.steps, divide(inside, steps)], axis=1)
        at, is_found = self.unit[self.event_at], np.isfinite(self.delay)
        events = weights @ self._count(np.ones(len(at)), at)
        found = weights @ self._count(is_found.astype(np.float64), at)
        delay = weights @ self._count(np.where(is_found, self.delay, 0.0), at)
        columns = [
            self._average_precision(weights),
            self._top_in_range(weights),
            divide(found, events),
            divide(alarms - false, alarms),
            divide(false, steps) * self.pace.steps,
            divide(delay, found),
        ]
        return np.stack(columns, axis=1)

    def _count(self, values: Array, unit: IntArray) -> Array:
        return np.bincount(unit, values, minlength=self.units).astype(np.float64)

    def _top_in_range(self, weights: Array) -> Array:
        """One value per resample: whether the highest score of the drawn units is near a labelled range; NaN when none is
        drawn.
        """
        assert self.near is not None
        assert self.truth is not None
        order = np.lexsort((self.score, self.unit))
        last = np.flatnonzero(np.append(np.diff(self.unit[order]) > 0, True)) if len(order) else order
        best, hit = np.full(self.units, -np.inf), np.zeros(self.units)
        best[self.unit[order[last]]], hit[self.unit[order[last]]] = self.score[order[last]], self.near[order[last]]
        drawn = np.where(weights > 0, best, -np.inf).argmax(axis=1)
        has_truth = weights @ self._count(self.truth.astype(np.float64), self.unit) > 0
        return np.where(has_truth, hit[drawn], np.nan)

    def _average_precision(self, weights: Array) -> Array:
        """One value per resample; NaN beyond the resamples that RANKING_WORK allows (never fewer than 100)."""
        assert self.truth is not None
        order = np.argsort(-self.score, kind="stable")
        score, truth, unit = self.score[order], self.truth[order], self.unit[order]
        ends = np.append(score[1:] != score[:-1], True)  # equal scores pass the threshold together
        values = np.full(len(weights), np.nan)
        affordable = max(100, RANKING_WORK // max(len(score), 1))
        for number in range(min(len(weights), affordable)):
            weight = weights[number][unit]
            hits, total = np.cumsum(weight * truth)[ends], np.cumsum(weight)[ends]
            if hits[-1] > 0:
                values[number] = (np.diff(hits, prepend=0.0) * divide(hits, total)).sum(where=total > 0) / hits[-1]
        return values


def measure_anomalies(
    score: Array, sequence: IntArray, truth: Array | None, *, gap: int, tolerance: int, pace: Pace
) -> AnomalyErrors:
    """Scores judged by labels, or counted where there are none; a unit is one step until `grouped`.

    score: (n,) in thresholds: above 1 is an alarm; NaN where there is no score. sequence: (n,) the series of each step, in order.
    truth: (n,) 1 anomalous, 0 normal, NaN unknown (taken as normal); None without labels. gap: of `find_ranges`. tolerance:
    in steps.
    """
    known = np.where(np.isfinite(score), score, -np.inf)
    alarms = find_ranges(known > 1.0, sequence, gap)
    in_alarm = covered(alarms, len(score))
    base = AnomalyErrors(
        unit=np.arange(len(score), dtype=np.int64), units=len(score), score=known, in_alarm=in_alarm, alarm_at=alarms.first,
        false=np.ones(len(alarms), dtype=bool), pace=pace,
    )  # fmt: skip
    if truth is None:
        return base
    labelled = find_ranges(truth == 1, sequence)
    widened = widen(labelled, sequence, np.full(len(labelled), tolerance), np.full(len(labelled), tolerance))
    beside = np.maximum(UCR_STEPS, labelled.last - labelled.first + 1)
    near = covered(widen(labelled, sequence, beside, beside), len(score))
    late = widen(labelled, sequence, np.zeros(len(labelled), dtype=np.int64), np.full(len(labelled), tolerance))
    running = np.concatenate([[0], np.cumsum(covered(widened, len(score)))])
    return replace(
        base,
        truth=truth == 1,
        near=near,
        false=running[alarms.last + 1] == running[alarms.first],
        event_at=labelled.first,
        delay=np.array([_delay(in_alarm, first, last) for first, last in zip(late.first, late.last, strict=True)]),
    )


def _delay(in_alarm: BoolArray, first: int, last: int) -> float:
    """Steps until the first alarm from `first` to `last`; NaN without any."""
    inside = np.flatnonzero(in_alarm[first : last + 1])
    return float(inside[0]) if len(inside) else np.nan


def widen(ranges: Ranges, sequence: IntArray, before: IntArray, after: IntArray) -> Ranges:
    """The ranges made longer on both sides, never across the ends of their series."""
    starts = np.searchsorted(sequence, ranges.sequence, side="left")
    ends = np.searchsorted(sequence, ranges.sequence, side="right") - 1
    return Ranges(np.maximum(ranges.first - before, starts), np.minimum(ranges.last + after, ends), ranges.sequence)


def covered(ranges: Ranges, length: int) -> BoolArray:
    """(length,) the rows inside any of the ranges."""
    change = np.zeros(length + 1, dtype=np.int64)
    np.add.at(change, ranges.first, 1)
    np.add.at(change, ranges.last + 1, -1)
    inside: BoolArray = np.cumsum(change[:-1]) > 0
    return inside
