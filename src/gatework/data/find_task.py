"""Which task a target asks for: its type, and whether it varies along the steps."""

from collections.abc import Mapping

import polars as pl

from gatework.data.kinds import kind_of
from gatework.errors import ConfigError
from gatework.runs import CLASS_TASKS, STEP_TASKS, TaskName

FEW_CLASSES = 20


def find_task(wished: TaskName | None, targets: list[pl.Series], has_one_answer: bool, reasons: dict[str, str]) -> TaskName:
    """The task wished for if the targets allow it, else the one that their shape shows.

    has_one_answer: every target has one value for each whole series.
    Raises ConfigError when task and targets do not fit each other.
    """
    names = ", ".join(f"'{target.name}'" for target in targets)
    kinds = {target.name: kind_of(target)[0] for target in targets}
    if wished is not None:
        if wished == "anomaly":
            _check_watched(kinds, has_one_answer)
        else:
            _check(wished, targets, kinds, has_one_answer)
        return wished
    first = targets[0]
    distinct = first.drop_nulls().n_unique()
    if not has_one_answer:
        if kinds[first.name] in ("categorical", "boolean") and len(targets) == 1:
            reasons["task"] = f"Classify steps: {names} is one of {distinct} classes at each step."
            return "classify_steps"
        _check("forecast", targets, kinds, has_one_answer)
        reasons["task"] = f"Forecast: {names} varies along the steps."
        return "forecast"
    is_class = kinds[first.name] in ("categorical", "boolean") or (first.dtype == pl.Int64 and distinct <= FEW_CLASSES)
    task: TaskName = "classify" if is_class and len(targets) == 1 else "regress"
    _check(task, targets, kinds, has_one_answer)
    what = f"one of {distinct} classes" if task == "classify" else "one number"
    reasons["task"] = f"{'Classify' if task == 'classify' else 'Regress'}: {names} is {what} for each whole series."
    return task


def _check_watched(kinds: Mapping[str, str], has_one_answer: bool) -> None:
    text = [name for name, kind in kinds.items() if kind in ("categorical", "timestamp")]
    if text:
        raise ConfigError(
            f"The column '{text[0]}' is text, which cannot be watched for anomalies. Expected numbers. "
            f"Name numeric columns with --target, or leave it out to watch all of them."
        )
    if has_one_answer:
        raise ConfigError(
            f"{', '.join(kinds)} has one value for each whole series, so there is nothing to watch along the steps. "
            f"Expected columns that vary within a series. Name others with --target, or another column with --series."
        )


def _check(task: TaskName, targets: list[pl.Series], kinds: Mapping[str, str], has_one_answer: bool) -> None:
    names = ", ".join(f"'{target.name}'" for target in targets)
    if task in CLASS_TASKS and len(targets) > 1:
        raise ConfigError(f"{len(targets)} targets were given to classify: {names}. Expected one. Train one model for each.")
    text = [name for name, kind in kinds.items() if kind in ("categorical", "timestamp")]
    if task not in CLASS_TASKS and text:
        cure = "Use --task classify" if has_one_answer else "Use --task classify-steps to give each step one of these classes"
        raise ConfigError(
            f"The target '{text[0]}' is text, which {task.replace('_', '-')} cannot predict. Expected numbers. {cure}."
        )
    if task in STEP_TASKS:
        return  # an answer that never changes along the steps can still be asked for at each of them
    if task == "forecast" and has_one_answer:
        raise ConfigError(
            f"The target {names} has one value for each whole series, so there is nothing to forecast. "
            f"Expected a target that varies along the steps. Use --task classify or --task regress."
        )
    if task != "forecast" and not has_one_answer:
        raise ConfigError(
            f"The target {names} varies within a series, but {task} gives one answer for each whole series. "
            f"Expected one value in each series. Use --task {task}-steps for an answer at every step, --task forecast for the "
            f"next steps, or name the series column with --series."
        )
