"""What each column is used for, which kind it is and how its gaps are filled, with the reasons."""

from collections.abc import Mapping

import polars as pl

from gatework.data.bins import ALL
from gatework.data.find_layout import find_part_column
from gatework.data.findings import Findings
from gatework.data.kinds import Kind, kind_of, why_useless
from gatework.data.table import MANY_GAPS, Missing, Role
from gatework.data.wishes import Wishes
from gatework.errors import ConfigError
from gatework.runs import CLASS_TASKS, HISTORY_TASKS, STEP_TASKS, FieldPlan, TaskName


def value_fields(found: Findings, task: TaskName) -> list[FieldPlan]:
    """One field for every column that is neither time nor series; the reasons are added to `found`."""
    columns = found.value_columns()
    part = find_part_column(columns, found.wishes.split_column, {*found.wishes.targets, *found.wishes.ignore}, found.reasons)
    fields = []
    for column in columns:
        role = "split" if column.name == part else _role(column, found, task)
        kind = _kind(column, role, found, task)
        policy = _policy(column, role, task, found.wishes)
        bins = _has_bins(column.name, role, kind, found.wishes)
        fields.append(
            FieldPlan(name=column.name, kind=kind, role=role, missing=policy, constant=found.wishes.constant, bins=bins)
        )
    return fields


def _role(column: pl.Series, found: Findings, task: TaskName) -> Role:
    wishes, name = found.wishes, column.name
    if name in wishes.targets:
        return "target"
    if task == "anomaly" and name == wishes.labels_column:
        return "label"
    if name == wishes.group:
        return "group"
    if name in wishes.ignore:
        return "ignored"
    if name in wishes.static:
        return "static"
    if name in wishes.known_future:
        if task not in HISTORY_TASKS:
            raise ConfigError(
                f"Column '{name}' was declared known in the future, but the task is {task.replace('_', '-')}, which has no "
                f"future. Expected --known-future with forecasts only. Leave it out."
            )
        return "known_future"
    useless = None if name in wishes.kinds else why_useless(column)
    if useless is not None:
        found.reasons[f"ignored.{name}"] = f"Column '{name}' is ignored: {useless}."
        return "ignored"
    if name in found.constants:
        found.reasons[f"static.{name}"] = f"Column '{name}' is a static attribute: it has one value in each series."
        return "static"
    return "past"


def _kind(column: pl.Series, role: Role, found: Findings, task: TaskName) -> Kind:
    if column.name in found.wishes.kinds:
        return found.wishes.kinds[column.name]
    if role == "target":
        return "categorical" if task in CLASS_TASKS else "numeric"
    if role in ("split", "group", "label"):
        return "categorical"
    kind, why = kind_of(column)
    if role != "ignored":
        found.reasons[f"kinds.{column.name}"] = f"Column '{column.name}' is {why}."
    return kind


def _policy(column: pl.Series, role: Role, task: TaskName, wishes: Wishes) -> Missing:
    said = wishes.missing
    asked = said.get(column.name) if isinstance(said, Mapping) else said
    is_covered = isinstance(said, Mapping) or role not in ("ignored", "split", "group", "label", "target")
    if asked is not None and asked != "auto" and is_covered:
        return "mean" if role == "static" and asked == "decay" else asked  # no time passes in what has one value for a series
    if role == "target" and task in HISTORY_TASKS:
        # unobserved targets are never trained on or scored, whatever fills the history
        return "decay" if asked == "decay" or (wishes.gaps_fade and column.null_count()) else "mask"
    if role == "static":
        return "mean"
    if wishes.gaps_fade and column.null_count():
        return "decay"
    return "mask" if column.null_count() >= MANY_GAPS * max(1, len(column)) else "previous"


def _has_bins(name: str, role: Role, kind: Kind, wishes: Wishes) -> bool:
    """Whether a number is read by bins as well; ConfigError where it is no number, or no input."""
    fits = kind == "numeric" and role in ("past", "known_future", "static")
    if name in wishes.bins and not fits:
        what = f"is {kind}" if role in ("past", "known_future", "static") else f"is no input ({role})"
        raise ConfigError(
            f"--bins names '{name}', which {what}. Expected a numeric input. Leave it out, or say --kind {name}=numeric."
        )
    return fits and (name in wishes.bins or ALL in wishes.bins)


def say_missing(fields: list[FieldPlan], found: Findings, task: TaskName) -> None:
    """Adds the reason `missing`: how many values are missing where, and what is done about it."""
    used = {planned.name: planned for planned in fields if planned.role in ("past", "known_future", "static", "target")}
    gaps = [(column.name, column.null_count()) for column in found.value_columns() if column.name in used and column.null_count()]
    if not gaps:
        found.reasons["missing"] = "No used column has missing values."
        return

    def treatment(planned: FieldPlan) -> str:
        if planned.role == "target" and task in STEP_TASKS:
            return "no answer: these steps are read and not judged"
        is_answer = planned.role == "target" and len(found.constants & {planned.name}) > 0
        return "no answer: these series are left out" if is_answer else planned.missing

    said = ", ".join(f"'{name}' {count} ({treatment(used[name])})" for name, count in gaps[:10])
    words = f"Missing values, and what is done about them: {said}{', …' if len(gaps) > 10 else ''}."
    found.reasons["missing"] = f"{words}{_why_chosen({used[name].missing for name, _ in gaps}, found.wishes)}"


def _why_chosen(policies: set[Missing], wishes: Wishes) -> str:
    """Why `auto` chose these policies; empty where they were asked for."""
    if wishes.missing not in (None, "auto"):
        return ""
    if "decay" in policies:
        return " The cell is one for values that fade in gaps; --missing changes it."
    if "mask" in policies:
        return f" mask: the target, or at least {MANY_GAPS:.0%} of the values are missing, so the gaps may tell something."
    return f" Fewer than {MANY_GAPS:.0%} of the values are missing; --missing changes it."
