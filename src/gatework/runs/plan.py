"""config.json: everything that is decided before a training."""

from typing import Literal

from gatework.runs.anomaly import AnomalyPlan
from gatework.runs.decision import DecisionPlan
from gatework.runs.record import (
    SCHEMA_VERSION,
    DecoderName,
    LossName,
    Normalisation,
    OutputName,
    PoolingName,
    RangeMethod,
    Record,
    TaskName,
)


class FieldPlan(Record):
    """One column of the data; see `data.table.Field`."""

    name: str
    kind: Literal["numeric", "categorical", "boolean", "timestamp"]
    role: Literal["target", "past", "known_future", "static", "series", "time", "split", "group", "label", "ignored"]
    missing: Literal["previous", "linear", "mean", "constant", "mask", "decay", "drop"] = "previous"
    constant: float = 0.0
    bins: bool = False


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

    @property
    def has_ranges(self) -> bool:
        """Whether there are ranges: measured ones, or those that the network gives by itself."""
        return self.calibrate != "none" or self.output != "point"


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
