"""The files of one run and their schemas.

    config.json         Plan            everything that was decided before training
    split.json          SplitRecord     which rows or sequences were used for what
    prepare.json        (data.prepare)  scales and categories, fitted on training rows only
    model.safetensors   (model)         the best weights
    detector.json       DetectorRecord  of anomaly detection: what is normal, and the threshold of an alarm
    checkpoint.safetensors  (train)     all that a killed training needs to go on
    decision.json       Decision        of a classification: calibration and threshold, fitted on the validation part
    history.jsonl       HistoryRow      one line per epoch
    conformal.json      Conformal       how ranges are corrected by the errors on the validation part (forecasts)
    conformal.safetensors  (model)      those errors
    evaluation.json     Evaluation      metrics with intervals beside the baselines, and the numbers of the figures
    predictions.parquet (evaluate)      every test prediction, with time stamps
    figures/, report.html  (report)
    run.json            Manifest        versions, seeds, hashes, wall time

Stages meet only in this folder: each reads what the earlier ones wrote and can be run again alone. Writing is atomic (a temporary
file, flushed, then renamed), so a file is either the old or the new one. No torch here.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from gatework.errors import RunError
from gatework.runs.anomaly import AnomalyPlan, DetectorRecord, ThresholdRecord
from gatework.runs.conformal import Conformal
from gatework.runs.decision import Decision, DecisionPlan
from gatework.runs.evaluation import Evaluation, IntervalScores, MetricInfo, Score, ScoreRow, UncertaintyScores, leaderboard
from gatework.runs.figures import (
    AnyFigure,
    Band,
    BarsFigure,
    Curve,
    CurvesFigure,
    DotsFigure,
    Figure,
    Line,
    LinesFigure,
    MatrixFigure,
    ScatterFigure,
)
from gatework.runs.notebook import Shown
from gatework.runs.record import (
    CLASS_TASKS,
    HISTORY_TASKS,
    SCHEMA_VERSION,
    STEP_TASKS,
    DecoderName,
    LossName,
    Normalisation,
    OutputName,
    Part,
    PoolingName,
    RangeMethod,
    Record,
    TaskName,
)

__all__ = [
    "CLASS_TASKS",
    "HISTORY_TASKS",
    "SCHEMA_VERSION",
    "STEP_TASKS",
    "AnomalyPlan",
    "AnyFigure",
    "Band",
    "BarsFigure",
    "Conformal",
    "Curve",
    "CurvesFigure",
    "DataPlan",
    "Decision",
    "DecisionPlan",
    "DecoderName",
    "DetectorRecord",
    "DotsFigure",
    "Evaluation",
    "FieldPlan",
    "Figure",
    "HistoryRow",
    "IntervalScores",
    "Line",
    "LinesFigure",
    "LossName",
    "Manifest",
    "MatrixFigure",
    "MetricInfo",
    "ModelPlan",
    "Normalisation",
    "OutputName",
    "Part",
    "Plan",
    "PoolingName",
    "RangeMethod",
    "RangePlan",
    "Record",
    "RunFolder",
    "ScatterFigure",
    "Score",
    "ScoreRow",
    "SourceFile",
    "SplitPlan",
    "SplitRecord",
    "TaskName",
    "ThresholdRecord",
    "TrainingPlan",
    "UncertaintyScores",
    "atomic_write",
    "file_sha256",
    "leaderboard",
]


class FieldPlan(Record):
    """One column of the data; see `data.table.Field`."""

    name: str
    kind: Literal["numeric", "categorical", "boolean", "timestamp"]
    role: Literal["target", "past", "known_future", "static", "series", "time", "split", "group", "label", "ignored"]
    missing: Literal["previous", "linear", "mean", "constant", "mask", "decay", "drop"] = "previous"
    constant: float = 0.0


class DataPlan(Record):
    """What is read, and what each column is for.

    sources: files, folders or globs as the user gave them; `bundled:NAME` for a data set inside the package; empty for a frame
        in memory.
    test_sources, validation_sources: separate files for these parts, empty when the split is made from `sources`.
    labels: a second table joined by the series id (targets and static attributes), or None.
    layout: `steps` one row a step; `sequences` one row a sequence, its columns being the steps; `long` one row per (id, time,
        variable, value).
    time_parts: columns that together make the time stamp, such as ("year", "month", "day", "hour"); else empty.
    time_format: strptime format of a text time column, or None when it is ISO 8601 or already a time.
    variable, value: the two columns of the long form.
    clock: the inputs that the cell reads past its gates, from the time stamps: `elapsed`, `time`.
    elapsed: whether the time since the step before is an input, because the steps are not equally long.
    """

    task: TaskName
    sources: tuple[str, ...] = ()
    test_sources: tuple[str, ...] = ()
    validation_sources: tuple[str, ...] = ()
    labels: str | None = None
    layout: Literal["steps", "sequences", "long"] = "steps"
    targets: tuple[str, ...]
    time: str | None = None
    time_parts: tuple[str, ...] = ()
    time_format: str | None = None
    series: str | None = None
    variable: str | None = None
    value: str | None = None
    fields: tuple[FieldPlan, ...]
    clock: tuple[str, ...] = ()
    elapsed: bool = False


class SplitPlan(Record):
    """How the data is divided. kind `column`: a column says train / validation / test; `files`: separate files do."""

    kind: Literal["time", "group", "stratified", "column", "files"]
    column: str | None = None
    validation: float = 0.15
    test: float = 0.15
    seed: int = 0


class ModelPlan(Record):
    """The network: input → recurrent layers → head.

    dropout: of what the layers give; zoneout: of their states; input_dropout: of what they read, the same at every step.
    Of forecasts: segment: steps that are one input of the recurrence. normalise: what is taken off each window's targets before
    the layers and put back behind them (see `tasks.forecasters.window`). decoder: how the horizon is read off the final state
    (see `tasks.forecasters`). channels: targets through the network together, or each by itself. linear_steps: the last steps
    that are also read linearly.
    pooling: how one answer for a whole sequence is read from its steps; see `tasks.pooling`.
    """

    cell: str = "lstm"
    hidden_size: int = 64
    num_layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0
    zoneout: float = 0.0
    input_dropout: float = 0.0
    segment: int = 1
    normalise: Normalisation = "none"
    decoder: DecoderName = "direct"
    channels: Literal["together", "apart"] = "together"
    linear_steps: int = 24
    pooling: PoolingName = "summary"


class TrainingPlan(Record):
    """One training.

    epochs: at most so many. epoch_samples: samples drawn for one epoch, without repetition; 0 for all of them.
    learning_rate: the peak of the schedule. clip_norm: the largest gradient norm let through. patience: epochs without a better
    validation loss before stopping. loss: what is trained on; None: the mean absolute error of a forecast, the cross-entropy of
    classes. focal_gamma: how much focal loss turns away from what is right already. class_weights: what a sequence of each class
    counts in the loss; `balanced`: inversely to its frequency in the training part. refit: trained anew on the training and the
    validation part together, for as many epochs as the first training needed.
    minutes: a limit on the training time; None for none.
    augment: how strongly training batches are varied, by name; see `train.augment`.
    init_from: the folder of the run whose weights the training started from, empty for none; init_sha256: those weights.
    freeze: the recurrent layers kept them. keep_scales: the data was put on the scales of that run.
    """

    epochs: int = 30
    epoch_samples: int = 0
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    clip_norm: float = 1.0
    patience: int = 6
    loss: LossName | None = None
    focal_gamma: float = 2.0
    class_weights: Literal["none", "balanced"] | dict[str, float] = "none"
    refit: bool = False
    minutes: float | None = None
    seed: int = 0
    augment: dict[str, float] = {}
    init_from: str = ""
    init_sha256: str = ""
    freeze: bool = False
    keep_scales: bool = False


class RangePlan(Record):
    """What a forecast says beside its single numbers.

    output: what the network gives for each value. intervals: the shares of truths that ranges should hold, rising.
    calibrate: how the ranges are corrected by the errors on the validation part. calibration_share: the later share of that
    part that is kept for this alone, 0–1; 0: the whole part serves both this and the choice of the best epoch.
    """

    output: OutputName = "point"
    intervals: tuple[float, ...] = (0.8, 0.95)
    calibrate: RangeMethod = "none"
    calibration_share: float = 0.0


class Plan(Record):
    """Everything that was decided before training; `reasons` says why, one sentence per inferred or defaulted choice.

    horizon, window: in steps; 0 where the task has none (classification, regression). period: steps of one season, 0 if unknown.
    piece: where every step has an answer, a sequence is judged in pieces of so many steps, each after reading the `window` steps
        before it; 0 for other tasks.
    python: the lines of Python that do the same as the command. anomaly: how anomalies are looked for; None for other tasks.
    """

    schema_version: int = SCHEMA_VERSION
    data: DataPlan
    split: SplitPlan
    model: ModelPlan = ModelPlan()
    training: TrainingPlan = TrainingPlan()
    decision: DecisionPlan = DecisionPlan()
    ranges: RangePlan = RangePlan()
    horizon: int = 0
    window: int = 0
    piece: int = 0
    period: int = 0
    anomaly: AnomalyPlan | None = None
    reasons: dict[str, str] = {}
    python: str = ""


class Bound(Record):
    """A place in every series: where a stretch of rows begins or ends.

    stamp: the first row at or after this time stamp (ISO) or order. Where the data has no clock it is None, and the place is this
    `share` of the series' own rows, 0–1. steps: so many rows of the series further on; negative: before it.
    """

    stamp: str | None = None
    share: float = 0.0
    steps: int = 0


class Interval(Record):
    """Rows of one part: in every series from `begin` up to, and without, `end`."""

    part: Part
    begin: Bound
    end: Bound


class SplitRecord(Record):
    """split.json. boundaries: first time stamp (ISO) or order of `validation` and `test` where the split is by time.

    intervals: where rows are divided into stretches (folds, backtests), these; what lies in none of them is in no part.
    sequences: ids per part where whole sequences are split, else empty. counts: rows (by time) or sequences per part.
    """

    schema_version: int = SCHEMA_VERSION
    kind: Literal["time", "group", "stratified", "column", "files"]
    seed: int = 0
    boundaries: dict[str, str] = {}
    intervals: tuple[Interval, ...] = ()
    sequences: dict[Part, tuple[str, ...]] = {}
    counts: dict[Part, int]
    notes: tuple[str, ...] = ()


class HistoryRow(Record):
    """One line of history.jsonl: one epoch.

    gradient_norm: median over the steps of the epoch, before clipping. clip_rate: share of steps that were clipped, 0–1.
    saturated_share: share of gate values below 0.1 or above 0.9, 0–1. dead_units: hidden units whose output hardly moves.
    reach_steps: the lag within which 99 % of the gradient of the prediction with respect to the input lies.
    train_loss: as it was trained, dropout on, mean over the epoch. fitted_loss: on a sample of the training part after the epoch,
    measured as validation_loss is, dropout off: their difference is the generalisation gap. None in older runs.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    learning_rate: float
    gradient_norm: float
    clip_rate: float
    saturated_share: float | None = None
    dead_units: int | None = None
    reach_steps: int | None = None
    fitted_loss: float | None = None
    is_best: bool
    elapsed_s: float


class SourceFile(Record):
    """One input file as it was when it was read."""

    path: str
    sha256: str
    size_bytes: int


class Manifest(Record):
    """run.json: what produced this folder. files: sha256 of each finished file by name. wall_time_s: seconds per stage."""

    schema_version: int = SCHEMA_VERSION
    gatework: str
    python: str
    torch: str
    platform: str
    status: Literal["planned", "training", "trained", "evaluated"]
    command: str = ""
    seed: int
    started_at: str
    wall_time_s: dict[str, float] = {}
    sources: tuple[SourceFile, ...] = ()
    files: dict[str, str] = {}
    num_parameters: int = 0
    notes: tuple[str, ...] = ()


AnyRecord = TypeVar("AnyRecord", bound=Record)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; what is written there replaces `path` when the block ends without an error."""
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


CURES = {
    "history.jsonl": "Finish the training with 'gatework resume {run}'.",
    "evaluation.json": "Score the run with 'gatework evaluate {run}'.",
}
"""What writes a missing file. The others are written before training, so that without them there is no run."""


class RunFolder(Shown):
    """One run on disk: typed reading and atomic writing of its files.

    Raises RunError with the file's name when a file is missing, damaged, truncated or from a newer schema.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)

    def file(self, name: str) -> Path:
        """The path of one of the run's files."""
        return self.path / name

    def has(self, name: str) -> bool:
        """Whether that file is there."""
        return self.file(name).is_file()

    def remove_leftovers(self) -> None:
        """Delete what a killed process left half-written; see `atomic_write`."""
        for path in self.path.glob(".*.part"):
            path.unlink(missing_ok=True)

    def read(self, name: str, schema: type[AnyRecord]) -> AnyRecord:
        """One JSON file as its record."""
        text = self.read_text(name)
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise self._damaged(name, f"it is not complete JSON (line {error.lineno})") from error
        self._check_version(name, data)
        try:
            return schema.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise self._damaged(name, f"'{where}': {first['msg']}") from error

    def read_text(self, name: str) -> str:
        """One file as text; RunError when the folder or the file is missing or not UTF-8."""
        if not self.path.is_dir():
            raise RunError(
                f"'{self.path}' is not a run folder: it does not exist. "
                f"Expected a folder written by 'gatework train'. Check the path, or train first."
            )
        try:
            return self.file(name).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            cure = CURES.get(name, "Restore it from a copy, or train again.").format(run=self.path)
            raise RunError(
                f"The run folder '{self.path}' has no '{name}'. Expected the file that an earlier stage writes. {cure}"
            ) from error
        except UnicodeDecodeError as error:
            raise self._damaged(name, "it is not text") from error
        except OSError as error:
            raise self._damaged(name, f"it cannot be read ({error.strerror})") from error

    def write(self, name: str, record: Record) -> None:
        """One record as a JSON file, atomically."""
        self.write_text(name, record.model_dump_json(indent=1) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Text as a file, atomically."""
        with atomic_write(self.file(name)) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def read_history(self) -> list[HistoryRow]:
        """history.jsonl, one row per epoch."""
        try:
            return [HistoryRow.model_validate_json(line) for line in self.read_text("history.jsonl").splitlines()]
        except ValidationError as error:
            raise self._damaged("history.jsonl", "a line is not an epoch") from error

    def write_history(self, rows: list[HistoryRow]) -> None:
        """All rows, atomically: a killed training never leaves half a line."""
        self.write_text("history.jsonl", "".join(row.model_dump_json() + "\n" for row in rows))

    def update_manifest(self, **changes: object) -> Manifest:
        """run.json with some of its properties changed; `wall_time_s` and `files` are merged, not replaced."""
        old = self.read("run.json", Manifest)
        merged = dict(changes)
        for name in ("wall_time_s", "files"):
            if name in merged:
                merged[name] = {**getattr(old, name), **merged[name]}  # type: ignore[dict-item]
        new = Manifest.model_validate({**old.model_dump(), **merged})
        self.write("run.json", new)
        return new

    def _check_version(self, name: str, data: object) -> None:
        version = data.get("schema_version", SCHEMA_VERSION) if isinstance(data, dict) else None
        if not isinstance(version, int):
            raise self._damaged(name, "it has no schema version")
        if version > SCHEMA_VERSION:
            raise RunError(
                f"'{self.file(name)}' has schema version {version}; this gatework reads versions up to {SCHEMA_VERSION}. "
                f"Upgrade gatework: pip install --upgrade gatework."
            )

    def _damaged(self, name: str, what: str) -> RunError:
        return RunError(
            f"'{self.file(name)}' is damaged: {what}. Expected the file as gatework wrote it. "
            f"{CURES.get(name, 'Restore it from a copy, or train again.').format(run=self.path)}"
        )
