"""evaluation.json: the scores of one model on one part of the data."""

from typing import Literal

from gatework.runs.figures import Figure
from gatework.runs.notebook import Shown
from gatework.runs.record import SCHEMA_VERSION, Part, RangeMethod, Record, TaskName


class MetricInfo(Record):
    """A metric's name, unit (empty when it has none), direction and meaning in one sentence."""

    name: str
    unit: str = ""
    better: Literal["lower", "higher"]
    meaning: str


class Score(Record):
    """A value with its 95 % bootstrap interval; None where it is not defined (R² of a constant, AUROC of one class)."""

    value: float | None
    low: float | None = None
    high: float | None = None


class ScoreRow(Record):
    """The scores of the model or of one baseline, by metric name. num_samples: how many it answered; 0 for all of them."""

    name: str
    kind: Literal["model", "baseline"]
    description: str
    scores: dict[str, Score]
    num_samples: int = 0


class IntervalScores(Record):
    """How the interval of one level and one target held on the judged part; None where nothing was observed or it is unbounded.

    level: the share of truths that it should hold, 0–1. coverage: the share that it held. width: on average, in the target's
    unit. score: width plus 2 / (1 − level) times how far the truth lies outside, on average, in the target's unit; lower is
    better (Gneiting and Raftery 2007, section 6.2). The same at each step ahead: `…_by_step`, (horizon,).
    """

    target: str
    level: float
    coverage: float | None
    width: float | None
    score: float | None
    coverage_by_step: tuple[float | None, ...]
    width_by_step: tuple[float | None, ...]
    score_by_step: tuple[float | None, ...]


class UncertaintyScores(Record):
    """How well the ranges of a forecast tell what may come.

    output: what the network gives (`point`, `quantiles`, a distribution). calibration: how its ranges were corrected.
    quantile_loss: per target, the mean over `quantile_levels` of twice the pinball loss, in the target's unit: an approximation
    of the continuous ranked probability score. coverage: (nominal, observed), the shares of truths of the first target in ranges
    of all shares: those that the network itself gives, or around single numbers those that follow from past errors.
    notes: what a reader must know about the ranges.
    """

    output: str
    calibration: RangeMethod
    intervals: tuple[IntervalScores, ...]
    quantile_levels: tuple[float, ...]
    quantile_loss: dict[str, float | None]
    coverage: tuple[tuple[float, float], ...] = ()
    notes: tuple[str, ...] = ()


class GroupScores(Record):
    """The model's scores on the samples that have one value of an attribute. num_units: what the bootstrap draws of them."""

    value: str
    num_samples: int
    num_units: int
    scores: dict[str, Score]


class Gap(Record):
    """The two values of an attribute whose scores are farthest apart; difference: the higher score minus the lower one.

    num_compared: how many values had enough units to be compared.
    """

    metric: str
    higher: str
    lower: str
    difference: Score
    num_compared: int


class Differences(Record):
    """The scores for each value of an attribute, and the largest difference of each metric. sentence: the worst in words."""

    attribute: str
    groups: tuple[GroupScores, ...]
    gaps: tuple[Gap, ...]
    sentence: str


class Evaluation(Shown, Record):
    """evaluation.json: one model on one part of the data.

    num_samples: windows, sequences or steps scored. resampled: what the bootstrap draws, in words ("40 blocks of 168 steps").
    verdict: sentences; the first says who wins. notes: what a reader must know about the numbers.
    uncertainty: of forecasts with ranges; None without. differences: one for each attribute that was asked for.
    """

    schema_version: int = SCHEMA_VERSION
    task: TaskName
    part: Part | Literal["new"]
    num_samples: int
    resampled: str
    metrics: tuple[MetricInfo, ...]
    rows: tuple[ScoreRow, ...]
    verdict: tuple[str, ...]
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    uncertainty: UncertaintyScores | None = None
    differences: tuple[Differences, ...] = ()
    model_sha256: str = ""


def leaderboard(evaluation: Evaluation) -> tuple[ScoreRow, ...]:
    """The rows, the best on the leading metric first; those that answered some of the samples only stand last."""
    lead = evaluation.metrics[0]
    sign = 1.0 if lead.better == "lower" else -1.0

    def rank(row: ScoreRow) -> tuple[bool, float]:
        value = row.scores[lead.name].value if lead.name in row.scores else None
        return row.num_samples > 0, float("inf") if value is None else sign * value

    return tuple(sorted(evaluation.rows, key=rank))
