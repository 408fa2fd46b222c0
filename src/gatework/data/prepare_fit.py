"""What a preparation learns from the training rows, and what prepare.json holds of it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import model_validator

from gatework.data.calendar import Period, choose_periods
from gatework.data.clock import elapsed_steps, since_observed, times_in_steps, usual_step
from gatework.data.encode import MOST_CATEGORIES, FittedField, fit_field
from gatework.data.future import open_rows
from gatework.data.observed import check_observed
from gatework.data.scale import NumericScale, fit_scale
from gatework.data.series import BoolArray, Rows, class_field, class_texts, series_ids, table_rows
from gatework.data.split import Split
from gatework.data.table import MANY_GAPS, Field, Table
from gatework.errors import DataError
from gatework.runs import CLASS_TASKS, SCHEMA_VERSION, Record, TaskName

INPUT_ROLES = ("past", "known_future", "static")
FloatArray = npt.NDArray[np.float64]


class PreparationRecord(Record):
    """prepare.json. fields: the columns that become inputs or scaled targets, targets last. classes: of a classification.

    targets: in their order. calendar: what is read off the time stamps. notes: what was decided, one sentence each.
    like: the preparation of the run that the training started from, or None; see `fit_record`. keeps_scales: with its numbers.
    usual_step: the median step of training, in seconds or units of the order. elapsed: the scale of the time since the step
    before, where that is an input. clock: the inputs that the cell reads past its gates.
    """

    schema_version: int = SCHEMA_VERSION
    task: TaskName
    targets: tuple[str, ...]
    fields: tuple[FittedField, ...]
    classes: tuple[str, ...] = ()
    calendar: tuple[Period, ...] = ()
    usual_step: float = 1.0
    elapsed: NumericScale | None = None
    clock: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    like: "PreparationRecord | None" = None
    keeps_scales: bool = False

    @model_validator(mode="after")
    def _is_whole(self) -> "PreparationRecord":
        fitted = {field.name for field in self.fields if field.role == "target"}
        if self.task in CLASS_TASKS and len(self.classes) < 2:
            raise ValueError("a classification needs its classes")
        if self.task not in CLASS_TASKS and fitted != set(self.targets):
            raise ValueError("every target needs its scale")
        return self


def kept(table: Table, names: set[str]) -> tuple[BoolArray, BoolArray]:
    """(total_steps,), (num_sequences,): what stays when rows with a gap in one of these columns are left out.

    A gap in a static column leaves out its whole series. Steps that are still to come always stay.
    """
    sequences = np.ones(table.sequences.height, dtype=bool)
    rows = np.ones(table.steps.height, dtype=bool)
    if not names:
        return rows, sequences
    for name in sorted(names):
        if name in table.steps.columns:
            rows &= ~_missing(table.steps[name])
        else:
            sequences &= ~_missing(table.sequences[name])
    return (rows | open_rows(table)) & sequences[table_rows(table).sequence], sequences


def dropping(fields: tuple[Field, ...] | tuple[FittedField, ...], task: TaskName) -> set[str]:
    """The names of the columns whose gaps leave a row out; an answer that is no history is not among them."""
    roles = INPUT_ROLES + (("target",) if task == "forecast" else ())
    return {field.name for field in fields if field.missing == "drop" and field.role in roles}


def task_of(table: Table) -> TaskName:
    """What is asked, as the place and the kind of the targets say."""
    if table.is_forecast:
        return "forecast"
    if table.answers_steps:
        return "classify_steps" if class_field(table) else "regress_steps"
    return "classify" if class_field(table) else "regress"


def fit_record(
    table: Table, split: Split, like: PreparationRecord | None = None, keeps_scales: bool = False
) -> PreparationRecord:
    """Everything that is learned from data, from training rows only.

    like: what a network learned to read before. A column of the same name and kind takes its logarithm over, and every circle of
        its calendar; with `keeps_scales` all its numbers.
    Raises DataError when a target is constant, missing or no number there, when no column is left as input, or when a series has
    steps and not one value.
    """
    task = task_of(table)
    rows, sequences = kept(table, dropping(table.fields, task))
    if rows.all() and sequences.all():
        check_observed(table, table_rows(table), series_ids(table))
    train_rows = split.rows_of("train") & rows
    train_sequences = split.sequences == 0
    if table.has_step_targets:
        train_sequences = np.bincount(table_rows(table).sequence[train_rows], minlength=len(sequences)) > 0
    train_sequences &= sequences
    fields: list[FittedField] = []
    notes: list[str] = []
    wanted = [field for field in table.fields if field.role in INPUT_ROLES]
    for field in [*wanted, *(table.named("target") if task not in CLASS_TASKS else ())]:
        before = earlier(field, table, like)
        fitted = _fit(field, table, train_rows, train_sequences, before)
        if field.role == "target":
            fitted = _fit_target(field, fitted, table, train_rows)
        if fitted is not None and before is not None and keeps_scales:
            fitted = with_numbers_of(before, fitted)
        if fitted is None:
            notes.append(f"'{field.name}' has no value in the training part: it is left out.")
        else:
            fields.append(fitted)
            notes += _decisions(fitted)
    clock = _Clock.of(table, rows, sequences, train_rows)
    fields = [clock.fitted(field, table) for field in fields]
    calendar = choose_periods(table.steps[table.time], table_rows(table), train_rows) if task == "forecast" else ()
    if like is not None and table.steps[table.time].dtype.is_temporal():
        calendar = (*like.calendar, *(period for period in calendar if period not in like.calendar))
    if calendar:
        notes.append(f"The calendar of '{table.time}' is an input: {', '.join(calendar)}.")
    if not fields or (task != "forecast" and all(field.role == "target" for field in fields)):
        raise DataError(
            f"No column is left as input ({', '.join(field.name for field in table.fields)}). "
            f"A model needs at least one column besides the target, with values in the training part. Add one to the data."
        )
    return PreparationRecord(
        task=task,
        targets=tuple(field.name for field in table.named("target")),
        fields=tuple(fields),
        classes=_fit_classes(table, train_rows if table.answers_steps else train_sequences) if task in CLASS_TASKS else (),
        calendar=calendar,
        usual_step=clock.usual,
        elapsed=clock.elapsed() if table.elapsed else None,
        clock=table.clock,
        notes=tuple(notes),
        like=None if like is None else like.model_copy(update={"like": None}),
        keeps_scales=keeps_scales,
    )


def earlier(field: Field, table: Table, like: PreparationRecord | None) -> FittedField | None:
    """The fit that a network knows this field by, or None. Targets are known by their place among the targets."""
    if like is None:
        return None
    names = [target.name for target in table.named("target")]
    is_target = field.role == "target" and len(names) == len(like.targets)
    name = like.targets[names.index(field.name)] if is_target else field.name
    return next((old for old in like.fields if (old.name, old.role, old.kind) == (name, field.role, field.kind)), None)


def with_numbers_of(before: FittedField, fitted: FittedField) -> FittedField:
    """The field with the numbers that it had before; its name and what is done about gaps are those of now."""
    own = {name: getattr(fitted, name) for name in ("name", "missing", "constant", "where", "has_since")}
    return before.model_copy(update={**own, "has_mask": before.has_mask or fitted.has_mask})


@dataclass(frozen=True)
class _Clock:
    """The times of the kept rows in usual steps. kept: which rows of the table; train: which of those are training rows."""

    usual: float
    times: FloatArray
    rows: Rows
    kept: BoolArray
    train: BoolArray

    @classmethod
    def of(cls, table: Table, kept_rows: BoolArray, sequences: BoolArray, train_rows: BoolArray) -> "_Clock":
        rows = table_rows(table)
        usual = usual_step(table.steps[table.time], rows, train_rows)
        if not (kept_rows.all() and sequences.all()):
            rows = rows.only(kept_rows, sequences)
        times = table.steps[table.time].filter(pl.Series(kept_rows))
        return cls(usual, times_in_steps(times, rows, usual), rows, kept_rows, train_rows[kept_rows])

    def elapsed(self) -> NumericScale:
        """The scale of the time since the step before, where there was one."""
        chosen = self.train & (np.arange(len(self.times)) > self.rows.start)
        return fit_scale(elapsed_steps(self.times, self.rows)[chosen] if chosen.any() else np.ones(1))

    def fitted(self, field: FittedField, table: Table) -> FittedField:
        """The field with the time since its last observation as an input where many values are missing, and its scale."""
        if field.where != "steps" or not field.has_mask:
            return field
        observed = ~_missing(table.steps[field.name])[self.kept]
        many = bool(self.train.any()) and float((~observed[self.train]).mean()) >= MANY_GAPS
        if not (field.has_since or many):
            return field
        since = since_observed(observed, self.times, self.rows)[self.train]
        since = since[since > 0]
        return field.model_copy(update={"has_since": True, "since_scale": float(since.mean()) if len(since) else 1.0})


def _missing(column: pl.Series) -> BoolArray:
    missing = column.is_null() | column.is_nan().fill_null(value=True) if column.dtype.is_float() else column.is_null()
    return missing.to_numpy()


def _fit(
    field: Field, table: Table, train_rows: BoolArray, train_sequences: BoolArray, like: FittedField | None
) -> FittedField | None:
    if field.name in table.steps.columns:
        return fit_field(field, table.steps[field.name], train_rows, "steps", like)
    return fit_field(field, table.sequences[field.name], train_sequences, "sequences", like)


def _fit_target(field: Field, fitted: FittedField | None, table: Table, train_rows: BoolArray) -> FittedField:
    """The target's field, with an input that says where it was observed when training has gaps."""
    if field.kind not in ("numeric", "boolean"):
        raise DataError(
            f"Target '{field.name}' is {field.kind}; a forecast or regression needs a number. "
            f"Choose a numeric column with --target, or --task classify (classify-steps) for a class per sequence (step)."
        )
    column = table.steps[field.name] if table.has_step_targets else table.sequences[field.name]
    if fitted is None:
        raise DataError(
            f"Target '{field.name}' has no value in the training part ({len(column)} rows, {column.null_count()} of them empty "
            f"in all). A model learns from known targets. Give data with more known values, or choose another target or split."
        )
    if fitted.scale.is_constant:
        raise DataError(
            f"Target '{field.name}' is {fitted.scale.fill:g} in every training row. There is nothing to learn from a constant. "
            f"Choose another target, or a split whose training part shows how it changes."
        )
    has_gaps = table.is_forecast and bool((_missing(column) & train_rows).any())
    return fitted.model_copy(update={"has_mask": table.is_forecast and (fitted.has_mask or has_gaps)})


def _fit_classes(table: Table, in_train: BoolArray) -> tuple[str, ...]:
    """The classes of the training sequences or steps, numbers in their own order."""
    targets = table.named("target")
    if len(targets) > 1:
        raise DataError(
            f"The classification has {len(targets)} targets ({', '.join(field.name for field in targets)}). "
            f"It answers one question. Choose one with --target and train once for each."
        )
    texts = class_texts(table, targets[0])
    found = {text for index in np.flatnonzero(in_train) if (text := texts[index]) is not None}
    if len(found) < 2:
        raise DataError(
            f"Target '{targets[0].name}' has {len(found)} class in the training part ({', '.join(found) or 'none known'}). "
            f"A classification needs at least two. Choose another target, or give data of further classes."
        )
    try:
        return tuple(sorted(found, key=lambda text: (float(text), text)))
    except ValueError:
        return tuple(sorted(found))


def _decisions(field: FittedField) -> list[str]:
    if field.kind == "categorical":
        is_full = len(field.categories) == MOST_CATEGORIES
        return [f"'{field.name}': the {MOST_CATEGORIES} most frequent categories have an input each."] if is_full else []
    if field.scale.is_constant:
        return [f"'{field.name}' never changes in the training part: the model cannot learn from it."]
    if field.scale.is_log:
        return [f"'{field.name}' is skewed and never negative in training: the model sees its logarithm, log(1 + x)."]
    return []
