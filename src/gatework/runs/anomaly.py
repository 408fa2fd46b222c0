"""How anomalies are looked for, and what was learned for it: a part of config.json, and detector.json."""

from typing import Literal

from gatework.runs.record import SCHEMA_VERSION, Record

Method = Literal["forecast", "reconstruction"]


class AnomalyPlan(Record):
    """How anomalies are looked for.

    method: what a step is compared with: its forecast, or its reconstruction from the window around it.
    false_alarms: the budget as it was asked for. alarm_rate: the same per step; counts: whether it counts ranges or steps.
    gap: ranges with at most so many quiet steps between them are one. smoothing: the score is the mean over so many steps up to
    each one; 1: it is that of the step itself.
    warmup: the first steps of a series, which have no score. recent: the steps that the forecast's linear path reads.
    segment: the steps that the decoder writes at once. hop: from one reconstructed window to the next.
    """

    method: Method
    false_alarms: str
    alarm_rate: float
    counts: Literal["ranges", "steps"]
    gap: int
    smoothing: int = 1
    warmup: int = 0
    recent: int = 0
    segment: int = 0
    hop: int = 0


class ThresholdRecord(Record):
    """The score above which a step is an alarm, from the validation part alone.

    low, high: its 95 % interval over blocks of time, None where there are too few. how: the way it was found.
    expected: alarms (ranges or steps) that the budget allows in the steps it was found on. level, shape, scale: of the
    generalised Pareto distribution, of the excesses over `level`; 0 for a quantile. notes: what a reader must know, one
    sentence each.
    """

    value: float
    low: float | None = None
    high: float | None = None
    how: Literal["quantile", "extreme value theory"]
    num_steps: int
    num_peaks: int = 0
    expected: float
    level: float = 0.0
    shape: float = 0.0
    scale: float = 0.0
    notes: tuple[str, ...] = ()


class DetectorRecord(Record):
    """detector.json: how residuals become scores.

    targets: the watched columns. leads: steps ahead of the forecasts in one residual; 1 for a reconstruction.
    centre: (leads · targets), the residual of a normal step, in training standard deviations, lead by lead. covariance: of the
    residuals around it. threshold: of the model's score.
    baseline_thresholds: of the scores of the simple methods, found in the same way, by name.
    """

    schema_version: int = SCHEMA_VERSION
    targets: tuple[str, ...]
    leads: int
    centre: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    threshold: ThresholdRecord
    notes: tuple[str, ...] = ()
