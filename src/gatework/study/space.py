"""What a search may choose: ranges and choices of options, the usual ones of a task or those of a TOML file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gatework.config import read_toml
from gatework.errors import ConfigError, nearest
from gatework.runs import Plan
from gatework.train.request import Request

if TYPE_CHECKING:
    from optuna import Trial

SEARCHABLE = (
    "window",
    "segment",
    "normalise",
    "decoder",
    "channels",
    "linear_steps",
    "cell",
    "hidden_size",
    "num_layers",
    "bidirectional",
    "dropout",
    "zoneout",
    "epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "clip_norm",
)
"""Options that change the network or its training, and not what is asked or what is judged; those that `Request` has."""


@dataclass(frozen=True)
class Range:
    """Numbers from low to high; on a logarithmic scale where is_log, whole ones where is_whole."""

    low: float
    high: float
    is_log: bool = False
    is_whole: bool = False


Space = dict[str, "Range | tuple[object, ...]"]


def known_options() -> list[str]:
    """The options that a search may choose."""
    return [name for name in SEARCHABLE if name in Request.model_fields]


def default_space(plan: Plan, request: Request) -> Space:
    """The usual ranges of a task around its plan; what the user fixed stays fixed."""
    space: Space = {
        "hidden_size": Range(16, 128, is_log=True, is_whole=True),
        "num_layers": (1, 2),
        "dropout": Range(0.0, 0.6),
        "learning_rate": Range(5e-4, 1e-2, is_log=True),
        "weight_decay": Range(1e-4, 1e-1, is_log=True),
        "batch_size": (16, 32, 64, 128),
        "cell": ("lstm", "gru"),
    }
    if plan.data.task == "forecast":
        windows = tuple(sorted({max(plan.horizon, round(plan.window * factor)) for factor in (0.5, 1, 2)}))
        space["window"] = windows
        space["normalise"] = ("none", "last", "standard")
        space["segment"] = tuple(size for size in (1, 6, 12, 24) if size == 1 or size <= windows[0] // 2)
        space["decoder"] = ("direct", "position")
    else:
        space["bidirectional"] = (False, True)
    fixed = set(request.said())
    return {
        name: choice for name, choice in space.items() if name in Request.model_fields and name not in fixed and choice != (1,)
    }


def read_space(path: Path | str) -> Space:
    """The ranges of a TOML file: `dropout = { low = 0.0, high = 0.5 }`, `cell = ["lstm", "gru"]`.

    Raises ConfigError when the file cannot be read, names an option that cannot be searched, or a range is none.
    """
    space: Space = {}
    for key, value in read_toml(Path(path)).items():
        name = key.replace("-", "_")
        if name not in known_options():
            raise ConfigError(
                f"There is no option '{key}' to search (in '{path}'). Expected some of {', '.join(known_options())}. "
                f"{nearest(name, known_options())} Correct the name or remove it."
            )
        space[name] = range_of(key, value, path)
    if not space:
        raise ConfigError(
            f"'{path}' names no option to search. Expected some of {', '.join(known_options())}. Add a line for each."
        )
    return space


def range_of(name: str, value: object, path: Path | str) -> "Range | tuple[object, ...]":
    """One line of a space."""
    if isinstance(value, list) and value:
        return tuple(value)
    if isinstance(value, Mapping) and {"low", "high"} <= set(value) <= {"low", "high", "log"}:
        low, high, is_log = value["low"], value["high"], value.get("log", False)
        numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
        if numbers and low < high and (low > 0 or not is_log):
            return Range(float(low), float(high), bool(is_log), isinstance(low, int) and isinstance(high, int))
    raise ConfigError(
        f"'{name}' in '{path}' is {value}; expected a list of choices, or a range whose low is below its high (and above 0 with "
        f"log). Write for example: {name} = {{ low = 1, high = 8, log = true }}"
    )


def suggest(trial: "Trial", space: Space) -> dict[str, object]:
    """One value for each option of the space."""
    chosen: dict[str, object] = {}
    for name, choice in space.items():
        if isinstance(choice, tuple):
            chosen[name] = trial.suggest_categorical(name, choice)  # type: ignore[arg-type]
        elif choice.is_whole:
            chosen[name] = trial.suggest_int(name, int(choice.low), int(choice.high), log=choice.is_log)
        else:
            chosen[name] = trial.suggest_float(name, choice.low, choice.high, log=choice.is_log)
    return chosen


def planned_values(plan: Plan, space: Space) -> dict[str, object]:
    """What the plan has for the options of a space."""
    places = (plan.model, plan.training, plan)
    return {name: next(getattr(part, name) for part in places if name in type(part).model_fields) for name in space}


def allows(choice: "Range | tuple[object, ...]", value: object) -> bool:
    """Whether a search could choose this value."""
    if isinstance(choice, tuple):
        return value in choice
    return isinstance(value, int | float) and choice.low <= value <= choice.high
