"""A training that starts from the weights of another run: learn from many series, then go on with few.

What has the same meaning in both runs starts with the old weights: the recurrent layers, each input column of the same name,
and the head where it answers the same question. An input that the old run did not have starts with weights of zero, so that it
first changes nothing; a head for other classes, another horizon or other columns starts anew. All of it is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gatework.data.calendar import calendar_names
from gatework.data.prepare import Preparation
from gatework.data.prepared import Prepared
from gatework.errors import ConfigError, RunError
from gatework.model import WEIGHTS, SequenceModel, build_model, load_weights
from gatework.runs import Plan, RunFolder
from gatework.tasks import planned_task
from gatework.tasks.task import Sizes


@dataclass(frozen=True)
class Start:
    """The run that a training starts from.

    columns: its input columns, past, future and static; future: those that are known of the horizon. sha256: of its weights.
    """

    path: str
    plan: Plan
    preparation: Preparation
    columns: tuple[str, ...]
    future: tuple[str, ...]
    tensors: dict[str, Tensor]
    sha256: str


def read_start(path: str) -> Start:
    """The run in that folder; RunError when it is unfinished or damaged."""
    folder = RunFolder(path)
    plan = folder.read("config.json", Plan)
    preparation = Preparation.from_json(folder.read_text("prepare.json"))
    tensors, header = load_weights(folder.file(WEIGHTS))
    columns, future = columns_of(preparation)
    return Start(str(path), plan, preparation, columns, future, tensors, header["sha256"])


def columns_of(preparation: Preparation) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All input columns in the order in which batches have them: past, future, attributes of the series; and the future ones."""
    record = preparation.record
    rooms: dict[str, list[str]] = {"inputs": [], "future": [], "static": []}
    for fitted in record.fields:
        if not preparation.is_answer(fitted):
            rooms[preparation.room_of(fitted)] += fitted.names
    future = (*rooms["future"], *calendar_names(record.calendar))
    return (*rooms["inputs"], *future, *rooms["static"]), future


def take_over(network: SequenceModel, plan: Plan, sizes: Sizes, prepared: Prepared) -> tuple[str, ...]:
    """Puts the weights of `plan.training.init_from` into a new network, in place.

    Returns what the user must know, one sentence each. Raises ConfigError when the recurrent layers do not fit, RunError when
    that run is no longer what it was when this training was planned.
    """
    start = read_start(plan.training.init_from)
    check_unchanged(start, plan)
    own = (*prepared.input_names, *prepared.future_names, *prepared.static_names)
    columns = as_read(own, plan, prepared.target_names)
    old_columns = as_read(start.columns, start.plan, start.plan.data.targets)
    same_head = list(start.preparation.classes) == prepared.classes
    by_input = tied_to(network, plan, sizes, "input_size") if columns != old_columns else set()
    by_future = tied_to(network, plan, sizes, "num_future") if tuple(prepared.future_names) != start.future else set()
    fresh: list[str] = []
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            old = start.tensors.get(name)
            fits = old is not None and old.shape == tensor.shape and name not in by_input | by_future
            sorts = old is not None and name in by_input - by_future and is_by_column(old, tensor, old_columns, columns)
            if name.startswith("head.") and not (same_head and (fits or sorts)):
                fresh.append(name)
            elif old is not None and sorts:
                tensor.copy_(by_name(old, old_columns, columns))
            elif old is not None and fits:
                tensor.copy_(old)
            else:
                raise not_fitting(start, name, tensor, old)
    return (*column_notes(start, old_columns, columns), *head_notes(start, prepared, fresh, same_head))


def as_read(columns: tuple[str, ...], plan: Plan, targets: Sequence[str]) -> tuple[str, ...]:
    """What the network reads at each step, in its order: of forecasts the history of the targets first, known by their places;
    one of them alone where each goes through the network by itself.
    """
    if plan.data.task != "forecast":
        return columns
    own = {name: f"target {number}" for number, name in enumerate(targets)}
    own |= {f"{name}:observed": f"{title}:observed" for name, title in own.items()}
    others = tuple(own.get(name, name) for name in columns if name not in targets)
    return (*(own[name] for name in targets[: 1 if plan.model.channels == "apart" else None]), *others)


def check_unchanged(start: Start, plan: Plan) -> None:
    """RunError when the old run was trained again in the meantime."""
    if start.sha256 != plan.training.init_sha256:
        raise RunError(
            f"The weights in '{start.path}' are no longer those that this training was planned with. "
            f"Expected sha256 {plan.training.init_sha256[:12]}…. Restore that run, or train anew."
        )


def tied_to(network: SequenceModel, plan: Plan, sizes: Sizes, size: str) -> set[str]:
    """The tensors whose shape depends on one of the sizes: found by building the network with one more."""
    more = replace(sizes, **{size: getattr(sizes, size) + 1})
    wider = {name: tensor.shape for name, tensor in build_model(plan, more, planned_task(plan), seed=0).state_dict().items()}
    return {name for name, tensor in network.state_dict().items() if wider.get(name) != tensor.shape}


def is_by_column(old: Tensor, new: Tensor, old_columns: tuple[str, ...], columns: tuple[str, ...]) -> bool:
    """Whether these weights are, step after step, one column for each input."""
    steps = new.shape[-1] // len(columns)
    return old.shape == (*new.shape[:-1], steps * len(old_columns)) and new.shape[-1] == steps * len(columns)


def by_name(old: Tensor, old_columns: tuple[str, ...], columns: tuple[str, ...]) -> Tensor:
    """(rows, steps · columns): each input's old weights, zeros for an input that is new."""
    place = {name: number for number, name in enumerate(old_columns)}
    known = [number for number, name in enumerate(columns) if name in place]
    before = old.reshape(*old.shape[:-1], -1, len(old_columns))
    result = old.new_zeros(*before.shape[:-1], len(columns))
    result[..., known] = before[..., [place[columns[number]] for number in known]]
    return result.flatten(-2)


def column_notes(start: Start, old_columns: tuple[str, ...], columns: tuple[str, ...]) -> list[str]:
    """Which inputs came and went."""
    notes = []
    new, gone = [name for name in columns if name not in old_columns], [name for name in old_columns if name not in columns]
    if new:
        notes.append(f"{listed(new)}: unknown to '{start.path}', so weights of zero to begin with.")
    if gone:
        notes.append(f"{listed(gone)}: an input of '{start.path}' and not of this data; its weights were left out.")
    return notes


def head_notes(start: Start, prepared: Prepared, fresh: list[str], same_head: bool) -> list[str]:
    """Which part of the head starts anew, and why."""
    if not fresh:
        return []
    if not same_head:
        old, now = listed(start.preparation.classes), listed(prepared.classes)
        return [f"'{start.path}' knows the classes {old}, this data {now}: the head starts anew."]
    return [f"{', '.join(fresh)}: of another shape or meaning than in '{start.path}', so these weights start anew."]


def listed(names: list[str]) -> str:
    """Up to six names in quotes."""
    return ", ".join(f"'{name}'" for name in names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def not_fitting(start: Start, name: str, tensor: Tensor, old: Tensor | None) -> ConfigError:
    """The recurrent layers are others, or several columns are joined into one input that cannot be sorted by name."""
    had = "none" if old is None else str(tuple(old.shape))
    return ConfigError(
        f"The weights {name} are {tuple(tensor.shape)} here and {had} in '{start.path}'. "
        f"Expected the same network on the same input columns. "
        f"Train on data with the columns of that run, or without --init-from."
    )
