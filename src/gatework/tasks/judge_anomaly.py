"""How a detector is judged: its baselines, its errors where there are labels, its figures, its ranges as a table."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gatework.data.prepared import Prepared
from gatework.data.series import IntArray, Rows
from gatework.errors import ConfigError, DataError
from gatework.runs import AnomalyPlan
from gatework.tasks.baselines.anomalies import (
    MOST_REFERENCE,
    absolute_difference,
    carried_forward,
    nearest_neighbour,
    rolling_z_score,
    seasonal_residual,
)
from gatework.tasks.detectors.budget import DAY_S
from gatework.tasks.detectors.detector import budget_of
from gatework.tasks.detectors.threshold import fit_threshold
from gatework.tasks.detectors.windows import DetectorWindows, JudgedSteps
from gatework.tasks.metrics.anomalies import AnomalyErrors, Pace, measure_anomalies
from gatework.tasks.metrics.scores import Array, BoolArray
from gatework.tasks.task import Answer, Case

STEPS_WITHOUT_CLOCK = 1000
LONGEST_SHAPE = 256
"""Steps of a subsequence that is compared with those of the training."""


@dataclass(frozen=True)
class Simple:
    """A simple method's scores of the run's own data and of the judged data, each (total_steps,)."""

    name: str
    description: str
    own: Array
    judged: Array


def pace_of(judged: JudgedSteps) -> Pace:
    """Alarms are counted per day, or in 1,000 steps where there is no clock."""
    step_s = judged.step_s
    return Pace(DAY_S / step_s, "per day") if step_s else Pace(float(STEPS_WITHOUT_CLOCK), f"per {STEPS_WITHOUT_CLOCK:,} steps")


def judged_steps(case: Case) -> JudgedSteps:
    """The judged steps of an anomaly's case."""
    assert isinstance(case.judged, JudgedSteps)
    return case.judged


def baseline_answers(case: Case, plan: AnomalyPlan) -> list[Answer]:
    """Rolling z-score, difference, nearest shape and (where a season is known) seasonal residual; each with its own threshold.

    Values are in thresholds: above 1 is an alarm. The threshold comes from the validation part and the same budget.
    """
    assert isinstance(case.train, DetectorWindows)
    own, judged = case.train.prepared, judged_steps(case)
    validation = case.split.rows_of("validation")[own.rows]
    sequence = Rows(own.offsets).sequence[validation]
    answers = []
    for simple in simple_scores(case, own, judged.prepared):
        try:
            threshold = fit_threshold(simple.own[validation], sequence, budget_of(plan), plan.gap).value
        except (DataError, ConfigError):
            continue  # no score in the validation part: nothing that could be compared
        values = simple.judged[judged.rows] / max(threshold, 1e-300)
        answers.append(Answer(simple.name, simple.description, values))
    return answers


def simple_scores(case: Case, own: Prepared, judged: Prepared) -> list[Simple]:
    """Each simple method on both data; what it has to know comes from the training part."""
    assert isinstance(case.train, DetectorWindows)
    train = case.split.rows_of("train")[own.rows]
    fill = np.nanmean(own.raw_targets[train], axis=0)
    window, period = case.train.window, case.period
    both = [(carried_forward(data.raw_targets, data.offsets, fill), data.offsets, data.raw_targets) for data in (own, judged)]
    change = usual_change(both[0][0], both[0][1], train, 1)
    stretches = training_stretches(both[0][0], both[0][1], train)
    shape = min(period if period > 3 else window, window, LONGEST_SHAPE)
    methods: list[tuple[str, str, Callable[[Array], Array]]] = [
        ("rolling z-score", f"Distance from the mean of the {window} steps before, in their standard deviations.",
         lambda values: rolling_z_score(values, window)),
        ("difference", "Distance from the step before, in the usual distance of the training part.",
         lambda values: absolute_difference(values, change)),
        ("nearest shape", f"Distance of the {shape} steps around from the most similar ones in training (matrix profile).",
         lambda values: nearest_neighbour(values, stretches, shape)),
    ]  # fmt: skip
    if period > 1:
        apart = usual_change(both[0][0], both[0][1], train, period)
        methods.append(
            ("seasonal residual", f"Distance from the value one season ({period} steps) earlier.",
             lambda values: seasonal_residual(values, period, apart))
        )  # fmt: skip
    found = []
    for name, description, method in methods:
        per_data = []
        for values, offsets, raw in both:
            parts = [method(values[start:end]) for start, end in pairwise(offsets.tolist())]
            scores = np.concatenate(parts)
            per_data.append(np.where(np.isfinite(raw).any(axis=1), scores, np.nan))
        found.append(Simple(name, description, *per_data))
    return found


def usual_change(values: Array, offsets: IntArray, train: BoolArray, steps: int) -> Array:
    """(num_targets,) the median distance between training rows `steps` apart in one series, with a floor above 0."""
    sequence = Rows(offsets).sequence
    same = (sequence[steps:] == sequence[:-steps]) & train[steps:] & train[:-steps]
    apart = np.abs(values[steps:] - values[:-steps])[same]
    spread = np.maximum(values[train].std(axis=0), 1e-12)
    usual: Array = np.maximum(np.median(apart, axis=0), 1e-3 * spread) if len(apart) else spread
    return usual


def training_stretches(values: Array, offsets: IntArray, train: BoolArray) -> list[Array]:
    """The stretches of consecutive training rows, the latest first, of at most MOST_REFERENCE rows together."""
    sequence = Rows(offsets).sequence
    rows = np.flatnonzero(train)
    cuts = np.flatnonzero((np.diff(rows) > 1) | (np.diff(sequence[rows]) != 0)) + 1
    left, stretches = MOST_REFERENCE, []
    for stretch in reversed(np.split(rows, cuts)):
        if left > 0 and len(stretch):
            stretches.append(values[stretch[-left:]])
            left -= len(stretches[-1])
    return stretches


def errors(case: Case, answers: list[Answer], plan: AnomalyPlan) -> list[AnomalyErrors]:
    """Every answer judged by the same labels, or counted where there are none."""
    judged = judged_steps(case)
    return [
        measure_anomalies(answer.values, judged.sequence, judged.labels, gap=plan.gap, tolerance=plan.gap, pace=pace_of(judged))
        for answer in answers
    ]
