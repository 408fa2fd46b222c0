"""What a classification asks for beyond a class: weights, costs, thresholds, calibration; checked against the data's classes."""

from collections import Counter
from collections.abc import Mapping

from gatework.data.series import class_field, class_texts
from gatework.data.table import Table
from gatework.errors import ConfigError, nearest
from gatework.runs import CLASS_TASKS, DecisionPlan, TaskName
from gatework.runs.decision import CalibrationName
from gatework.train.request import Request

CLASSES_ONLY = (
    "class_weights", "calibration", "cost", "positive", "min_sensitivity", "min_precision", "precision_at",
)  # fmt: skip
"""Options that mean nothing to a task without classes."""

LOSSES: dict[TaskName, tuple[str, ...]] = {
    "forecast": ("mae", "mse", "huber", "mase"),
    **dict.fromkeys(CLASS_TASKS, ("cross-entropy", "focal")),
}
FALSE_ALARM, MISS = "FALSE_ALARM", "MISS"


def check_class_options(request: Request, task: TaskName) -> None:
    """ConfigError for an option of classes where there are none, a loss of another task, or a number out of range."""
    for name in CLASSES_ONLY:
        if task not in CLASS_TASKS and getattr(request, name):
            raise ConfigError(
                f"{name} is {getattr(request, name)}, but the task is {task}, which has no classes. "
                f"Expected --{name.replace('_', '-')} with --task classify or classify-steps only. Leave it out."
            )
    known = LOSSES.get(task, ())
    if request.loss is not None and request.loss not in known:
        raise ConfigError(
            f"loss is {request.loss}, but the task is {task}. Expected {' or '.join(known) or 'none'} there. "
            f"{f'Write --loss {known[0]}' if known else 'Leave --loss out'}."
        )
    for name in ("min_sensitivity", "min_precision"):
        value = getattr(request, name)
        if value is not None and not 0 < value <= 1:
            raise ConfigError(f"{name} is {value}; expected a share above 0, at most 1. Give --{name.replace('_', '-')} 0.9.")
    if request.precision_at is not None and request.precision_at < 1:
        raise ConfigError(f"precision_at is {request.precision_at}; expected a count of at least 1. Give --precision-at 100.")
    if not 0 < request.focal_gamma < float("inf"):
        raise ConfigError(f"focal_gamma is {request.focal_gamma}; expected a number above 0. Give --focal-gamma 2.")
    if sum(map(bool, (request.cost, request.min_sensitivity, request.min_precision))) > 1:
        raise ConfigError(
            "Of --cost, --min-sensitivity and --min-precision more than one was given; each of them sets the threshold. "
            "Expected one. Leave the others out."
        )


def plan_decision(request: Request, table: Table, reasons: dict[str, str]) -> DecisionPlan:
    """How probabilities become decisions. Raises ConfigError for classes that the data does not have."""
    counts = class_counts(table)
    if isinstance(request.class_weights, Mapping):
        check_classes("class-weights", request.class_weights, list(counts))
    positive = plan_positive(request, counts, reasons)
    needs_two = {
        "min-sensitivity": request.min_sensitivity, "min-precision": request.min_precision, "precision-at": request.precision_at,
    }  # fmt: skip
    for name, value in needs_two.items():
        if value and not positive:
            raise ConfigError(
                f"--{name} is {value}, and the data has {len(counts)} classes. Expected two, of which one is looked for. "
                f"Leave it out, or say what each class costs with --cost."
            )
    return DecisionPlan(
        calibration=plan_calibration(request, reasons),
        positive=positive,
        costs=plan_costs(request, list(counts), positive),
        sensitivity=request.min_sensitivity,
        precision=request.min_precision,
        top=request.precision_at,
    )


def class_counts(table: Table) -> dict[str, int]:
    """How many sequences each class has, in the order of the classes."""
    field = class_field(table)
    texts = [] if field is None else class_texts(table, field)
    return dict(sorted(Counter(text for text in texts if text is not None).items()))


def plan_positive(request: Request, counts: dict[str, int], reasons: dict[str, str]) -> str:
    """The class that is looked for, of two; empty with more."""
    if request.positive is not None:
        check_classes("positive", {request.positive: 1.0}, list(counts))
        if len(counts) != 2:
            raise ConfigError(
                f"--positive is '{request.positive}', and the data has {len(counts)} classes. Expected two. Leave it out."
            )
        return request.positive
    if len(counts) != 2:
        return ""
    first, second = counts
    positive = second if counts[second] <= counts[first] else first
    why = "the rarer class" if counts[first] != counts[second] else "the second of two equally frequent classes"
    reasons["positive"] = f"{positive}: {why}, {counts[positive]} of {sum(counts.values())} sequences"
    return positive


def plan_calibration(request: Request, reasons: dict[str, str]) -> CalibrationName:
    """How probabilities are corrected."""
    if request.calibration is not None:
        return request.calibration
    if request.loss == "focal" or request.class_weights not in (None, "none"):
        reasons["calibration"] = "platt: a weighted loss bends the probabilities, and this bends them back"
        return "platt"
    reasons["calibration"] = "temperature: one number, fitted on the validation part, keeps the order of the classes"
    return "temperature"


def plan_costs(request: Request, classes: list[str], positive: str) -> dict[str, float]:
    """What it costs not to decide for each class; empty when nothing was said."""
    cost = dict(request.cost)
    if not cost:
        return {}
    if set(cost) <= {FALSE_ALARM, MISS} and not set(cost) & set(classes):
        if not positive:
            raise ConfigError(
                f"--cost names {' and '.join(cost)}, and the data has {len(classes)} classes. Expected a cost for each class: "
                f"what it costs to take it for another. Write for example --cost {classes[0]}=5."
            )
        other = next(name for name in classes if name != positive)
        cost = {positive: cost.get(MISS, 1.0), other: cost.get(FALSE_ALARM, 1.0)}
    check_classes("cost", cost, classes, (FALSE_ALARM, MISS) if positive else ())
    return {name: cost.get(name, 1.0) for name in classes}


def check_classes(option: str, numbers: Mapping[str, float], classes: list[str], others: tuple[str, ...] = ()) -> None:
    """ConfigError for a class that the data does not have, or a number that is not positive."""
    for name, number in numbers.items():
        if name not in classes:
            known = [*classes, *others]
            raise ConfigError(
                f"--{option} names '{name}', which is no class of the data. Expected one of {', '.join(known[:12])}. "
                f"{nearest(name, known)} Correct the name."
            )
        if not 0 < number < float("inf"):
            raise ConfigError(f"--{option} gives '{name}' {number}; expected a positive number. Write for example {name}=5.")
