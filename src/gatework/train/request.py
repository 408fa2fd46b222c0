"""What a user may say about a training; whatever is left out is inferred, and said."""

from typing import Literal

from pydantic import field_validator

from gatework.runs import DecoderName, LossName, Normalisation, OutputName, PoolingName, RangeMethod, Record, TaskName
from gatework.runs.decision import CalibrationName

MissingPolicy = Literal["auto", "previous", "linear", "mean", "constant", "mask", "decay", "drop"]
KindName = Literal["numeric", "categorical", "boolean", "timestamp"]


class Request(Record):
    """One training as its user asks for it: the options of `gatework train`, and the keys of its TOML file.

    target: one or several columns. task: forecast, classify, regress, classify_steps or regress_steps. time, series: columns;
    `time` may name several columns (year, month, day, hour). known_future: covariates known over the horizon. static: attributes
    of a series. ignore: columns left out.
    horizon, window: in steps; where every step has an answer, `window` is what is read before the first one. labels: a second
    table joined by the series id. test, validation: separate files.
    split_column: a column that says train, validation or test (or none, where every step has an answer). split_by: "time",
    "group" or "stratified".
    test_share, validation_share: of time or of the sequences, between 0 and 1.
    missing: a policy for gaps, for all columns (`"linear"`) or per column (`{"load": "linear"}`). constant: what `constant`
    fills with.
    bins: numeric inputs that are read by bins as well, or `all`.
    kinds: the kind of a column where the guess is wrong. variable, value: two columns of the (id, time, variable, value) form.
    pooling: how a whole sequence becomes one answer: "last", "mean", "max", "attention" or "summary" (last and mean).
    minutes: a limit on the training time. seed: of everything random.
    season: steps of one season. segment: steps that are one input of the recurrence. normalise: what is taken off each window's
    targets: "none", "last", "mean", "standard", "scale" or "season". decoder: "direct", "position", "sequence" or "recursive".
    channels: several targets "together" or "apart". linear_steps: the last steps that are also read linearly. loss: "mae", "mse",
    "huber" or "mase" of a forecast, "cross-entropy" or "focal" of classes. focal_gamma: of the focal loss.
    class_weights: "balanced", or a number per class. calibration: "none", "temperature" or "platt". cost: of a FALSE_ALARM and a
    MISS of the positive class, or of missing each class. positive: of two classes, the one that is looked for. min_sensitivity,
    min_precision: a threshold that reaches so much. precision_at: the k of precision at k.
    group: a column that says whom a sequence belongs to (patient, client): nobody is in two parts, and intervals draw whole
    groups. refit: train anew on training and validation part together once the number of epochs is known.
    augment: how training batches are varied: "jitter", "scale", "warp", "mixup", with a strength ("jitter=0.05") or without.
    zoneout, input_dropout: more guards against overfitting, each a share: of states that are kept, of inputs left out.
    init_from: a run folder whose weights the training starts from. freeze: then only what is not recurrent learns.
    keep_scales: put the data on the scales of that run, not on its own.
    method: of anomaly detection: "auto", "forecast" or "reconstruction". false_alarms: its budget, such as "1/week" or "0.001"
    of the steps. gap: alarms with at most so many quiet steps between them are one range.
    labels_column: says which steps are anomalies; it is no input and only judges.
    output: what a forecast says of each value: "point", "quantiles", "gaussian", "student-t", "negative-binomial" or
    "zero-inflated". intervals: the shares of truths that the ranges of a forecast, or of numbers of whole sequences, should hold,
    such as (0.8, 0.95). calibrate: how the errors on the validation part correct them: "split", "adaptive" (forecasts) or "none".
    calibration_share: the later share of that part that is kept for this alone.
    """

    target: str | tuple[str, ...] = ()
    task: TaskName | None = None
    time: str | tuple[str, ...] = ()
    series: str | None = None
    known_future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    labels: str | None = None
    test: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    split_column: str | None = None
    split_by: Literal["time", "group", "stratified"] | None = None
    test_share: float | None = None
    validation_share: float | None = None
    missing: MissingPolicy | dict[str, MissingPolicy] | None = None
    constant: float = 0.0
    bins: tuple[str, ...] = ()
    kinds: dict[str, KindName] = {}  # noqa: RUF012 - pydantic copies it for every record
    layout: Literal["steps", "sequences", "long"] | None = None
    variable: str | None = None
    value: str | None = None
    horizon: int | None = None
    window: int | None = None
    cell: str = "lstm"
    hidden_size: int | None = None
    num_layers: int | None = None
    bidirectional: bool | None = None
    dropout: float | None = None
    pooling: PoolingName | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    clip_norm: float = 1.0
    patience: int | None = None
    minutes: float | None = None
    seed: int = 0
    method: Literal["auto", "forecast", "reconstruction"] | None = None
    false_alarms: str | None = None
    gap: int | None = None
    labels_column: str | None = None
    season: int | None = None
    segment: int | None = None
    normalise: Normalisation | None = None
    decoder: DecoderName | None = None
    channels: Literal["together", "apart"] | None = None
    linear_steps: int | None = None
    loss: LossName | None = None
    augment: tuple[str, ...] = ()
    zoneout: float = 0.0
    input_dropout: float = 0.0
    init_from: str | None = None
    freeze: bool | None = None
    keep_scales: bool | None = None
    focal_gamma: float = 2.0
    class_weights: Literal["balanced", "none"] | dict[str, float] | None = None
    calibration: CalibrationName | None = None
    cost: dict[str, float] = {}  # noqa: RUF012 - as above
    positive: str | None = None
    min_sensitivity: float | None = None
    min_precision: float | None = None
    precision_at: int | None = None
    group: str | None = None
    refit: bool | None = None
    output: OutputName | None = None
    intervals: tuple[float, ...] = ()
    calibrate: RangeMethod | None = None
    calibration_share: float | None = None

    @field_validator("task", mode="before")
    @classmethod
    def _as_written(cls, value: object) -> object:
        """`classify-steps`, as it is typed, is `classify_steps`."""
        return value.replace("-", "_") if isinstance(value, str) else value

    @property
    def targets(self) -> tuple[str, ...]:
        """The target columns, always a tuple."""
        return (self.target,) if isinstance(self.target, str) else self.target

    @property
    def time_columns(self) -> tuple[str, ...]:
        """The time columns, always a tuple."""
        return (self.time,) if isinstance(self.time, str) else self.time

    def said(self) -> dict[str, object]:
        """Only what differs from leaving it out, in the order of the fields."""
        return {
            name: getattr(self, name) for name, field in type(self).model_fields.items() if getattr(self, name) != field.default
        }

    def as_python(self, data: str, out: str) -> str:
        """The lines of Python that train the same model."""
        options = ", ".join(f"{name}={value!r}" for name, value in self.said().items())
        return (
            "from gatework import Request, evaluate_run, train_model, write_report\n\n"
            f"run = train_model({data!r}, Request({options}), out={out!r})\n"
            "evaluate_run(run)\n"
            "write_report(run)"
        )
