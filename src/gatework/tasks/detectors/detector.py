"""A fitted detector: from what was expected and seen to scores, and the record of it that a run keeps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from gatework.data.prepared import Prepared
from gatework.data.series import Rows
from gatework.data.split import Split
from gatework.runs import AnomalyPlan, DetectorRecord, Plan
from gatework.tasks.detectors.budget import Budget
from gatework.tasks.detectors.expect import Expected, expect
from gatework.tasks.detectors.ranges import smoothed
from gatework.tasks.detectors.residuals import NormalResiduals, fit_residuals
from gatework.tasks.detectors.threshold import fit_threshold

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

DETECTOR = "detector.json"
FOLDS = 4
"""The validation part is scored in so many blocks of time, each by the covariance of the others: a covariance fits the
residuals that it was learned from better than any others, and a threshold from them would be too low."""


@dataclass(frozen=True)
class Scored:
    """Every step judged.

    scores: (total_steps,), NaN where there is none. shares: (total_steps, num_targets), see `NormalResiduals.score`.
    expected: (total_steps, num_targets) in the units of the data, NaN where nothing was expected.
    """

    scores: Array
    shares: Array
    expected: Array


def residuals_of(record: DetectorRecord) -> NormalResiduals:
    """The normal residuals that detector.json holds."""
    return NormalResiduals(np.array(record.centre), np.array(record.covariance), len(record.targets))


def scored(expected: Expected, normal: NormalResiduals, offsets: IntArray, smoothing: int) -> tuple[Array, Array]:
    """Scores (total_steps,) and shares (total_steps, num_targets) of every step."""
    scores, shares = normal.score(expected.errors)
    return smoothed(scores, offsets, smoothing), shares


def budget_of(plan: AnomalyPlan) -> Budget:
    """The budget that a plan holds."""
    return Budget(plan.alarm_rate, plan.counts, plan.false_alarms)


def fit_detector(network: nn.Module, plan: Plan, prepared: Prepared, split: Split) -> DetectorRecord:
    """What is normal and where an alarm begins, from the validation part of a trained network.

    Raises DataError or ConfigError when that part is too short.
    """
    anomaly = plan.anomaly
    assert anomaly is not None
    rows = split.rows_of("validation")[prepared.rows]
    expected = expect(network, prepared, anomaly, plan.window)
    errors, num_targets = expected.errors[rows], len(prepared.target_names)
    normal = fit_residuals(errors, num_targets)
    scores = np.full(len(rows), np.nan)
    scores[rows] = cross_scores(errors, normal)
    scores = smoothed(scores, prepared.offsets, anomaly.smoothing)
    sequence = Rows(prepared.offsets).sequence
    return DetectorRecord(
        targets=tuple(prepared.target_names),
        leads=errors.shape[1] // num_targets,
        centre=tuple(normal.centre.tolist()),
        covariance=tuple(tuple(row) for row in normal.covariance.tolist()),
        threshold=fit_threshold(scores[rows], sequence[rows], budget_of(anomaly), anomaly.gap),
        notes=normal.notes,
    )


def cross_scores(errors: Array, normal: NormalResiduals) -> Array:
    """(n,) the score of each row by the covariance of the other blocks of time, or by `normal` where these are too few."""
    blocks = np.arange(len(errors)) * FOLDS // max(len(errors), 1)
    scores = np.full(len(errors), np.nan)
    enough = 4 * errors.shape[1] + 20
    for number in range(FOLDS):
        inside = blocks == number
        others = errors[~inside]
        is_enough = np.isfinite(others).all(axis=1).sum() >= enough
        by = fit_residuals(others, normal.num_targets) if is_enough else normal
        scores[inside] = by.score(errors[inside])[0]
    return scores
