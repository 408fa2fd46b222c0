"""Frame → plan: what each column is, what it is used for, and why. Every choice that the user did not make has a reason."""

from dataclasses import dataclass, replace

import polars as pl

from gatework.data.find_layout import find_layout
from gatework.data.find_task import find_task
from gatework.data.findings import Findings, constant_within_series, find_order
from gatework.data.kinds import why_useless
from gatework.data.roles import say_missing, value_fields
from gatework.data.watch import label_column, watched_columns
from gatework.data.wishes import Wishes, check_names
from gatework.errors import ConfigError, DataError
from gatework.runs import STEP_TASKS, DataPlan, FieldPlan

__all__ = ["Recognised", "Wishes", "recognise"]


@dataclass(frozen=True)
class Recognised:
    """The plan, and why: one sentence for each choice that was inferred, by subject (task, time, series, kinds.load, …)."""

    plan: DataPlan
    reasons: dict[str, str]


def recognise(frame: pl.DataFrame, wishes: Wishes, labels: pl.DataFrame | None = None) -> Recognised:
    """The plan for this data under these wishes.

    labels: a second table joined by the series id (targets, static attributes), or None.
    Raises ConfigError for a column that does not exist, a missing target, wishes that contradict each other or the data;
    DataError for too few rows.
    """
    if frame.height < 2:
        raise DataError(
            f"The data has {frame.height} row. Expected at least two, and many more to learn from. "
            f"Check that the file is complete."
        )
    reasons: dict[str, str] = {}
    layout = find_layout(frame, wishes.layout, wishes.variable, wishes.value, reasons)
    found = find_order(frame, wishes, labels, layout, reasons)
    check_names(wishes, [*frame.columns, *found.steps.columns, *(labels.columns if labels is not None else [])])
    found.constants = constant_within_series(found)
    if wishes.task == "anomaly":
        label = label_column(found)
        found.wishes = replace(wishes, labels_column=label, targets=watched_columns(found, label))
    _check_targets_given(found)
    task = find_task(wishes.task, _target_columns(found), _has_one_answer(found), reasons)
    fields = [*_order_fields(found), *value_fields(found, task)]
    say_missing(fields, found, task)
    plan = DataPlan(
        task=task,
        labels=wishes.labels,
        layout=layout.name,
        targets=found.wishes.targets,
        time=_time_name(found),
        time_parts=found.time.parts,
        time_format=found.time.time_format,
        series=found.series,
        variable=layout.variable,
        value=layout.value,
        fields=tuple(fields),
    )
    return Recognised(plan, reasons)


def _check_targets_given(found: Findings) -> None:
    if found.wishes.targets:
        return
    candidates = [column.name for column in found.value_columns() if why_useless(column) is None]
    raise ConfigError(
        f"No target was given. Expected the column to predict. Candidates: {', '.join(candidates[:20]) or 'none'}. "
        f"Name one (or several) with --target."
    )


def _target_columns(found: Findings) -> list[pl.Series]:
    columns = {column.name: column for column in found.value_columns()}
    misused = [name for name in found.wishes.targets if name not in columns]
    if misused:
        raise ConfigError(
            f"Column '{misused[0]}' is the time or the series column and cannot be the target. Expected a column of values. "
            f"Name another --target, or other columns with --time and --series."
        )
    labelled = [name for name in found.wishes.targets if name not in found.steps.columns]
    if found.wishes.task in STEP_TASKS and labelled:
        raise ConfigError(
            f"The target '{labelled[0]}' stands in the labels table, once for each series, and "
            f"{found.wishes.task.replace('_', '-')} asks for an answer at every step. Expected it in the data, one value a step. "
            f"Use --task {found.wishes.task.removesuffix('_steps')}, or move the column."
        )
    return [columns[name] for name in found.wishes.targets]


def _has_one_answer(found: Findings) -> bool:
    return all(target in found.constants for target in found.wishes.targets)


def _time_name(found: Findings) -> str | None:
    if not found.time.parts:
        return found.time.name
    return next(name for name in ("time", "timestamp", "__time__") if name not in found.steps.columns or name == "__time__")


def _order_fields(found: Findings) -> list[FieldPlan]:
    fields = []
    time = _time_name(found)
    if time is not None:
        fields.append(FieldPlan(name=time, kind="numeric" if found.time.is_number else "timestamp", role="time"))
    fields += [FieldPlan(name=part, kind="numeric", role="ignored") for part in found.time.parts]
    if found.series is not None:
        fields.append(FieldPlan(name=found.series, kind="categorical", role="series"))
    return fields
