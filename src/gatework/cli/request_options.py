"""The options that say what is wanted: one for each field of `Request`, shared by every command that plans a training."""

import csv
import functools
import inspect
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gatework.errors import ConfigError

if TYPE_CHECKING:
    from gatework.train import Request

Form = Literal["text", "list", "numbers", "pairs", "int", "float", "switch"]


@dataclass(frozen=True)
class RequestOption:
    """One option.

    name: the field of `Request`. metavar: what stands for its value in the help. group: the heading it stands under.
    text: the help. default: what leaving it out means, in words. form: how it is typed; `list`, `numbers` and
    `pairs` may be repeated.
    """

    name: str
    metavar: str
    group: str
    text: str
    default: str = ""
    form: Form = "text"

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return "--kind" if self.name == "kinds" else f"--{self.name.replace('_', '-')}"


ASKED, DATA, GAPS, SPLIT, NETWORK, CLASSES, TRAINING = (
    "What is asked",
    "Columns and layout",
    "Missing values",
    "Split",
    "Network",
    "Classes",
    "Training",
)

OPTIONS: tuple[RequestOption, ...] = (
    RequestOption("target", "COLUMN", ASKED, "The column to predict or watch; several: a,b or repeat the option.", "", "list"),
    RequestOption(
        "task",
        "TASK",
        ASKED,
        "forecast, classify, regress, classify-steps, regress-steps or anomaly.",
        "inferred from the data",
    ),
    RequestOption("horizon", "STEPS", ASKED, "How many steps ahead to forecast.", "inferred", "int"),
    RequestOption("window", "STEPS", ASKED, "How many past steps are read.", "inferred", "int"),
    RequestOption("season", "STEPS", ASKED, "Steps of one season.", "inferred from the time stamps", "int"),
    RequestOption("method", "METHOD", ASKED, "Anomalies: auto, forecast or reconstruction.", "inferred"),
    RequestOption(
        "false_alarms",
        "BUDGET",
        ASKED,
        "Anomalies: how many are allowed: a share of steps (0.001), 1/week, 1/1000 steps.",
        "0.001",
    ),
    RequestOption(
        "gap", "STEPS", ASKED, "Anomalies: alarms with so few quiet steps between them are one range.", "inferred", "int"
    ),
    RequestOption(
        "labels_column", "COLUMN", ASKED, "Anomalies: says which steps are some; only judges, never an input.", "inferred"
    ),
    RequestOption(
        "output",
        "OUTPUT",
        ASKED,
        "Forecasts: point, quantiles, gaussian, student-t, negative-binomial or zero-inflated.",
        "point",
    ),
    RequestOption("intervals", "SHARE", ASKED, "Numbers: the shares of truths that ranges should hold.", "0.8,0.95", "numbers"),
    RequestOption(
        "calibrate", "WAY", ASKED, "Numbers: how past errors correct ranges: split, none; forecasts: adaptive.", "split"
    ),
    RequestOption(
        "calibration_share", "SHARE", ASKED, "Forecasts: the later share of validation kept for that alone.", "none", "float"
    ),
    RequestOption("time", "COLUMN", DATA, "The time or order column; or year,month,day,hour.", "inferred", "list"),
    RequestOption("series", "COLUMN", DATA, "The column that says which series a row belongs to.", "inferred"),
    RequestOption("known_future", "COLUMN", DATA, "Covariates known over the horizon; all others are past only.", "none", "list"),
    RequestOption("static", "COLUMN", DATA, "Attributes that do not change within a series.", "inferred", "list"),
    RequestOption("ignore", "COLUMN", DATA, "Columns to leave out.", "none", "list"),
    RequestOption(
        "kinds", "COLUMN=KIND", DATA, "numeric, categorical, boolean or timestamp, where the guess is wrong.", "inferred", "pairs"
    ),
    RequestOption("bins", "COLUMN", DATA, "Numbers that are read by quantile bins as well; or all.", "none", "list"),
    RequestOption("layout", "LAYOUT", DATA, "What one row is: steps, sequences or long (id, time, variable, value).", "inferred"),
    RequestOption("variable", "COLUMN", DATA, "Layout long: the column that names the variable.", "inferred"),
    RequestOption("value", "COLUMN", DATA, "Layout long: the column that holds the value.", "inferred"),
    RequestOption("labels", "FILE", DATA, "A second table, joined by the series: labels or static attributes.", "none"),
    RequestOption(
        "missing", "POLICY", GAPS, "auto, previous, linear, mean, constant, mask, decay, drop; or COLUMN=POLICY.", "auto", "pairs"
    ),
    RequestOption("constant", "NUMBER", GAPS, "What --missing constant fills with.", "0", "float"),
    RequestOption("test", "FILE", SPLIT, "A separate file to test on.", "a share of DATA", "list"),
    RequestOption("validation", "FILE", SPLIT, "A separate file to validate on.", "a share of DATA", "list"),
    RequestOption("split_column", "COLUMN", SPLIT, "A column that says train, validation, test (or none).", "none"),
    RequestOption("group", "COLUMN", SPLIT, "Whom a sequence belongs to (patient, client): nobody is in two parts.", "none"),
    RequestOption("split_by", "WAY", SPLIT, "time, group or stratified.", "inferred from the task"),
    RequestOption("test_share", "SHARE", SPLIT, "The share of time or sequences to test on.", "0.15", "float"),
    RequestOption("validation_share", "SHARE", SPLIT, "The share of time or sequences to validate on.", "0.15", "float"),
    RequestOption("cell", "CELL", NETWORK, "The recurrent cell; 'gatework info' lists them.", "lstm"),
    RequestOption("hidden_size", "UNITS", NETWORK, "Units in each layer.", "inferred", "int"),
    RequestOption("num_layers", "LAYERS", NETWORK, "Recurrent layers.", "inferred", "int"),
    RequestOption("bidirectional", "", NETWORK, "Read sequences in both directions.", "inferred", "switch"),
    RequestOption("dropout", "SHARE", NETWORK, "The share of values set to 0 in training.", "inferred", "float"),
    RequestOption(
        "zoneout", "SHARE", NETWORK, "The share of states that units keep instead of renewing, in training.", "0", "float"
    ),
    RequestOption(
        "input_dropout", "SHARE", NETWORK, "The share of inputs left out of a whole sequence, in training.", "0", "float"
    ),
    RequestOption("segment", "STEPS", NETWORK, "Forecasts: steps that are one input of the recurrence.", "inferred", "int"),
    RequestOption(
        "normalise",
        "WAY",
        NETWORK,
        "Forecasts: what is taken off each window: none, last, mean, standard, scale, season.",
        "inferred",
    ),
    RequestOption("decoder", "DECODER", NETWORK, "Forecasts: direct, position, sequence or recursive.", "inferred"),
    RequestOption("channels", "WAY", NETWORK, "Forecasts: several targets together or apart.", "inferred"),
    RequestOption("linear_steps", "STEPS", NETWORK, "Forecasts: the last steps that are also read linearly.", "inferred", "int"),
    RequestOption(
        "loss",
        "LOSS",
        TRAINING,
        "Forecasts: mae, mse, huber or mase; classes: cross-entropy or focal.",
        "mae; cross-entropy",
    ),
    RequestOption("focal_gamma", "GAMMA", CLASSES, "How much focal loss turns away from what is right already.", "2", "float"),
    RequestOption(
        "class_weights",
        "WEIGHTS",
        CLASSES,
        "balanced, none, or CLASS=NUMBER: what a sequence counts in the loss.",
        "none",
        "pairs",
    ),
    RequestOption("calibration", "WAY", CLASSES, "How probabilities are corrected: none, temperature or platt.", "inferred"),
    RequestOption(
        "cost",
        "WHAT=NUMBER",
        CLASSES,
        "FALSE_ALARM=1,MISS=20, or CLASS=NUMBER: decide by the least cost.",
        "none",
        "pairs",
    ),
    RequestOption("positive", "CLASS", CLASSES, "Of two classes, the one that is looked for.", "the rarer one"),
    RequestOption(
        "min_sensitivity", "SHARE", CLASSES, "Decide so that this share of the positive class is found.", "none", "float"
    ),
    RequestOption("min_precision", "SHARE", CLASSES, "Decide so that this share of what is found is right.", "none", "float"),
    RequestOption("precision_at", "K", CLASSES, "The k of precision at k.", "as many as are positive", "int"),
    RequestOption(
        "pooling",
        "POOLING",
        NETWORK,
        "A sequence as one answer: last, mean, max, attention or summary (last and mean).",
        "inferred",
    ),
    RequestOption("epochs", "EPOCHS", TRAINING, "At most so many passes.", "inferred", "int"),
    RequestOption("batch_size", "SAMPLES", TRAINING, "Windows or sequences in one step.", "inferred", "int"),
    RequestOption("learning_rate", "RATE", TRAINING, "The peak of the schedule.", "inferred", "float"),
    RequestOption("weight_decay", "RATE", TRAINING, "AdamW's weight decay.", "inferred", "float"),
    RequestOption("clip_norm", "NORM", TRAINING, "The largest gradient norm let through.", "1", "float"),
    RequestOption(
        "patience", "EPOCHS", TRAINING, "Stop after so many epochs without a better validation loss.", "inferred", "int"
    ),
    RequestOption(
        "augment", "NAME", TRAINING, "jitter, scale, warp, mixup: vary the training batches; or NAME=STRENGTH.", "none", "list"
    ),
    RequestOption("init_from", "RUN", TRAINING, "Start from the weights of this run.", "none"),
    RequestOption("freeze", "", TRAINING, "With --init-from: the recurrent layers keep those weights.", "off", "switch"),
    RequestOption("keep_scales", "", TRAINING, "With --init-from: the scales of that run, not those of DATA.", "off", "switch"),
    RequestOption("refit", "", TRAINING, "Train anew on training and validation part together.", "inferred", "switch"),
    RequestOption("minutes", "MINUTES", TRAINING, "A limit on the training time.", "none", "float"),
    RequestOption("seed", "SEED", TRAINING, "The seed of everything random.", "0", "int"),
)


NUMBERS_BY_NAME = {"class_weights": "sick=5", "cost": "FALSE_ALARM=1,MISS=20"}
"""Options of the form NAME=NUMBER, each with an example."""


def takes_request(command: Callable[..., None]) -> Callable[..., None]:
    """The same command with an option for each field of `Request`; what was typed arrives as one mapping, `asked`."""
    signature = inspect.signature(command)
    # All by keyword, as typer calls them: then their order is free.
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in signature.parameters.values()
        if parameter.name != "asked"
    ]
    wanted = [parameter_of(option) for option in OPTIONS]
    # The file and the options of the run itself stand after those of the request, as in the help.
    first = [parameter for parameter in own if parameter.default is inspect.Parameter.empty]
    parameters = [*first, *wanted, *(parameter for parameter in own if parameter not in first)]

    @functools.wraps(command)
    def with_options(**values: Any) -> None:
        asked = {option.name: values.pop(option.name) for option in OPTIONS}
        command(**values, asked={name: value for name, value in asked.items() if value is not None and value != []})

    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del with_options.__wrapped__  # or its signature would be taken instead
    return with_options


def parameter_of(option: RequestOption) -> inspect.Parameter:
    """One option as typer reads it from a signature."""
    flags = f"{option.flag}/--no-{option.flag[2:]}" if option.form == "switch" else option.flag
    declared = typer.Option(
        flags,
        metavar=option.metavar or None,
        help=f"{option.text} [{option.default}]" if option.default else option.text,
        show_default=False,
        rich_help_panel=option.group,
    )
    several = option.form in ("list", "numbers", "pairs")
    typed: object = bool | None if option.form == "switch" else list[str] | None if several else str | None
    annotation = Annotated[typed, declared]  # type: ignore[valid-type]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def make_request_from(asked: Mapping[str, object], config: Path | None) -> "Request":
    """The request of a command line: the configuration file's options, overridden by those that were typed.

    Raises ConfigError for anything unknown or of the wrong type.
    """
    from gatework.cells import find_cell
    from gatework.config import make_request, read_request

    values: dict[str, object] = {} if config is None else read_request(config).said()
    forms = {option.name: option.form for option in OPTIONS}
    for name, value in asked.items():
        values[name] = typed_value(name, forms[name], value)
    request = make_request(values, "on the command line", lambda name, value: " ".join(words_of(name, value)))
    find_cell(request.cell)  # known without the data, so it is said before the data is read
    return request


def typed_value(name: str, form: Form, value: Any) -> object:
    """What was typed for one option as the value of the field."""
    if form == "list":
        items = [item for text in value for item in split_list(text)]
        is_one = name in ("target", "time") and len(items) == 1
        return items[0] if is_one else items
    if form == "numbers":
        return [typed_number("float", item) for text in value for item in split_list(text)]
    if form == "pairs":
        return typed_pairs(name, [item for text in value for item in split_list(text)])
    if form in ("int", "float"):
        return typed_number(form, value)
    return value


def typed_number(form: Form, text: str) -> object:
    """A number; the text itself when it is none, so that `make_request` reports it with all others."""
    try:
        return int(text) if form == "int" else float(text)
    except ValueError:
        return text


def split_list(text: str) -> list[str]:
    """The names in `a,b`; a name that holds a comma stands in double quotes.

    >>> split_list('load,"wind, mean"')
    ['load', 'wind, mean']
    """
    return [item.strip() for item in next(csv.reader([text], skipinitialspace=True), []) if item.strip()]


def typed_pairs(name: str, items: Sequence[str]) -> object:
    """`column=word` items as a mapping; for --missing and --class-weights a single word stands for all."""
    if name in ("missing", "class_weights") and len(items) == 1 and "=" not in items[0]:
        return items[0]
    if name in NUMBERS_BY_NAME:
        return typed_numbers(name, items)
    split = [item.rpartition("=") for item in items]
    pairs = {column.strip(): word.strip() for column, sign, word in split if sign}
    bad = [item for item in items if "=" not in item]
    if bad:
        flag = "--kind" if name == "kinds" else f"--{name}"
        mixed = " A policy for all columns stands alone." if name == "missing" else ""
        word = "numeric" if name == "kinds" else "linear"
        raise ConfigError(f"{flag} has '{bad[0]}'; expected COLUMN=WORD.{mixed} Write for example {flag} temperature={word}.")
    return pairs


def words_of(name: str, value: Any) -> list[str]:
    """One option with its value as words of a command line."""
    option = next((option for option in OPTIONS if option.name == name), None)
    if option is None:
        return [f"--{name}"]
    if option.form == "switch":
        return [option.flag if value else f"--no-{option.flag[2:]}"]
    if isinstance(value, Mapping):
        return [word for key, item in value.items() for word in (option.flag, quoted_item(f"{key}={item}"))]
    if option.form in ("list", "numbers", "pairs"):
        items = (value,) if isinstance(value, str) else value
        return [option.flag, ",".join(quoted_item(str(item)) for item in items)]
    return [option.flag, repr(value) if isinstance(value, float) else str(value)]


def typed_numbers(name: str, items: Sequence[str]) -> dict[str, object]:
    """`CLASS=NUMBER` items as a mapping; ConfigError for an item that is none."""
    flag = f"--{name.replace('_', '-')}"
    pairs = {}
    for item in items:
        key, sign, text = item.rpartition("=")
        number = typed_number("float", text)
        if not sign or not isinstance(number, float):
            raise ConfigError(f"{flag} has '{item}'; expected CLASS=NUMBER. Write for example {flag} {NUMBERS_BY_NAME[name]}.")
        pairs[key.strip()] = number
    return dict(pairs)


def quoted_item(item: str) -> str:
    """A name as `split_list` reads it back."""
    has_to = any(sign in item for sign in ',"\n') or item != item.strip()
    return '"' + item.replace('"', '""') + '"' if has_to else item


def as_command(verb: str, sources: Sequence[str], request: "Request", extra: Sequence[str] = ()) -> str:
    """The command line that makes this request; for the shell, with everything quoted that needs it."""
    words = [word for name, value in request.said().items() for word in words_of(name, value)]
    return shlex.join(["gatework", *verb.split(), *sources, *words, *extra])
