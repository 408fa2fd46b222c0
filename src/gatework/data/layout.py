"""Frame + plan → `Table`. Strict: what the plan says is done or refused, for training data and new data alike."""

from dataclasses import dataclass, field

import polars as pl

from gatework.data.column_types import shortened
from gatework.data.labels import typed_labels
from gatework.data.order import irregularity_notes, sort_steps
from gatework.data.reshape import long_to_steps, numbered_columns, wide_to_steps
from gatework.data.series import with_columns
from gatework.data.strict import to_ids, to_kind
from gatework.data.table import SERIES, STEP, Field, Table
from gatework.data.times import parse_parts
from gatework.errors import DataError, nearest
from gatework.runs import HISTORY_TASKS, STEP_TASKS, DataPlan, FieldPlan

_EMPTY_TYPES: dict[str, pl.DataType] = {
    "numeric": pl.Float64(),
    "categorical": pl.String(),
    "boolean": pl.Boolean(),
    "timestamp": pl.Datetime("us"),
}
ONE_SERIES = "all"
"""The id of the only series, where the data has no series column."""


@dataclass
class _Draft:
    """The table while it is made. labels: one row per id, or None; label_fields: names that stand there."""

    plan: DataPlan
    steps: pl.DataFrame
    series: str
    time: str
    labels: pl.DataFrame | None = None
    notes: list[str] = field(default_factory=list)

    def fields(self, *roles: str) -> list[FieldPlan]:
        """The planned fields with one of these roles."""
        return [planned for planned in self.plan.fields if planned.role in roles]

    @property
    def has_step_targets(self) -> bool:
        """Whether the targets vary along the steps."""
        return self.plan.task in HISTORY_TASKS or self.plan.task in STEP_TASKS

    def is_label(self, name: str) -> bool:
        """Whether a field stands in the labels table."""
        return self.labels is not None and name in self.labels.columns and name != self.series


def build_table(
    frame: pl.DataFrame,
    plan: DataPlan,
    labels: pl.DataFrame | None = None,
    *,
    targets_required: bool = True,
    is_new: bool = False,
) -> Table:
    """The data in its one form, exactly as planned.

    labels: one row per series id: targets and static attributes. targets_required: True for training and evaluation; False for
    prediction, where answers may be absent (then null), and attributes too when they stood in a labels table at training.
    is_new: the data is not that of the training: what was decided there, such as the kind of a column, stands.
    Raises DataError for whatever the plan does not allow: missing columns, text among numbers, infinite values, duplicate time
    stamps, attributes that vary within a series, constant targets, too few rows.
    """
    if targets_required and frame.height < 2:
        raise DataError(
            f"The data has {frame.height} row. Expected at least two, and many more to learn from. "
            f"Check that the file is complete."
        )
    labels = None if labels is None else typed_labels(labels, plan, is_new)
    steps, notes = _as_steps(frame, plan)
    draft = _Draft(plan, steps, plan.series or SERIES, plan.time or STEP, labels, list(notes))
    _settle_columns(draft, targets_required, is_new)
    _settle_types(draft, is_new)
    draft.steps, order_notes = sort_steps(draft.steps, draft.series, draft.time)
    draft.notes += order_notes + irregularity_notes(draft.steps, draft.series, draft.time)
    _match_labels(draft, targets_required)
    sequences, moved = _sequences(draft)
    if targets_required:
        _check_targets(draft, sequences)
    used = [planned.name for planned in plan.fields if planned.role != "ignored"]
    varying = [name for name in used if name in draft.steps.columns and name not in moved]
    steps = draft.steps[list(dict.fromkeys([draft.series, draft.time, *varying]))]
    if steps.is_empty():
        raise DataError(
            f"No row is left after reading: {' '.join(draft.notes)} Expected at least one step. Check the ids and the columns."
        )
    return Table(
        steps,
        sequences,
        _fields(draft, steps, sequences),
        draft.series,
        draft.time,
        tuple(draft.notes),
        answers_steps=plan.task in STEP_TASKS,
        clock=plan.clock,
        elapsed=plan.elapsed,
    )


def _as_steps(frame: pl.DataFrame, plan: DataPlan) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The frame with one row a step, whatever its layout."""
    if plan.layout == "long":
        named = [name for name in (plan.series, plan.time, plan.variable, plan.value) if name is not None]
        _refuse_missing([name for name in named if name not in frame.columns], frame)
        if plan.time is None or plan.variable is None or plan.value is None:
            raise DataError(
                "The long form was planned without its time, variable or value column. Expected all three. "
                "Name them with --time, --variable and --value."
            )
        return long_to_steps(frame, plan.series, plan.time, plan.variable, plan.value)
    if plan.layout == "sequences":
        planned = {field.name for field in plan.fields}
        own = [name for name in frame.columns if name not in planned]
        channels = {channel: names for channel, names in numbered_columns(own).items() if channel in planned}
        if not channels:
            wanted = [field.name for field in plan.fields if field.role in ("past", "known_future", "target")]
            raise DataError(
                f"No numbered columns hold the steps of {shortened(wanted)}. Expected one row a sequence with columns such as "
                f"t0, t1, t2, … as in training. Check the header of the file."
            )
        steps = wide_to_steps(frame, channels, plan.series)
        empty = frame.height - steps[plan.series or SERIES].n_unique()
        return steps, (f"{empty} rows without a single value were left out.",) if empty > 0 else ()
    return frame, ()


def _settle_columns(draft: _Draft, targets_required: bool, is_new: bool) -> None:
    """Every planned column is there: made (series, step, time of parts), null where it may be absent, else refused."""
    plan, have = draft.plan, set(draft.steps.columns)
    optional = set() if targets_required else {planned.name for planned in draft.fields("split")}
    optional |= {planned.name for planned in draft.fields("group")} if is_new else set()
    optional |= {planned.name for planned in draft.fields("label")}
    if not targets_required and plan.task not in HISTORY_TASKS:
        optional |= set(plan.targets)
    if not targets_required and plan.labels is not None and draft.labels is None:
        optional |= {planned.name for planned in draft.fields("static")}
    if plan.layout == "long":  # a variable that nobody measured this time
        optional |= {planned.name for planned in draft.fields("past", "known_future", "static")}
    made = {draft.series, draft.time} if plan.series is None else set()
    made |= {draft.time} if plan.time is None or plan.time_parts else set()
    needed = [planned.name for planned in plan.fields if planned.role != "ignored" and not draft.is_label(planned.name)]
    absent = [name for name in dict.fromkeys([*needed, *plan.time_parts]) if name not in have | made]
    _refuse_missing([name for name in absent if name not in optional], draft.steps)
    kinds = {planned.name: planned.kind for planned in plan.fields}
    empty = [pl.Series(name, [None], _EMPTY_TYPES[kinds[name]]).new_from_index(0, draft.steps.height) for name in absent]
    draft.steps = with_columns(draft.steps, empty)
    if plan.layout == "long" and absent:
        draft.notes.append(f"No row has the variables {shortened(absent)}; they count as missing.")
    extra = [name for name in draft.steps.columns if name not in kinds and name not in (*plan.time_parts, SERIES, STEP)]
    if extra:
        draft.notes.append(f"Columns that the plan does not know were ignored: {shortened(extra, 10)}.")
    if plan.series is None and SERIES not in have:
        draft.steps = with_columns(draft.steps, [pl.Series(SERIES, [ONE_SERIES]).new_from_index(0, draft.steps.height)])


def _refuse_missing(missing: list[str], frame: pl.DataFrame) -> None:
    if missing:
        hint = nearest(missing[0], frame.columns[:50])
        raise DataError(
            f"The data has no column {shortened(missing)}. Expected every column that the plan uses, under the same name. "
            f"{hint} Rename or add it, or train a model without it."
        )


def _settle_types(draft: _Draft, is_new: bool) -> None:
    """Every used column in the type of its field; ids whole numbers or text; the time parsed or counted."""
    plan, steps = draft.plan, draft.steps
    columns = []
    for planned in plan.fields:
        if planned.role in ("ignored", "series", "split", "group", "time") or planned.name not in steps.columns:
            continue
        columns.append(to_kind(steps[planned.name], _field(planned), is_new=is_new))
    texts = draft.fields("split", "group")
    columns += [steps[planned.name].cast(pl.String) for planned in texts if planned.name in steps.columns]
    ids = to_ids(steps[draft.series])
    if ids.null_count():
        raise DataError(
            f"Column '{draft.series}' names no series in {ids.null_count()} rows, first in row {first_null(ids)}. "
            f"Expected an id in every row. Fill it in, or leave these rows out."
        )
    steps = with_columns(steps, [*columns, ids])
    draft.steps = with_columns(steps, [_times(draft, steps)])


def _times(draft: _Draft, steps: pl.DataFrame) -> pl.Series:
    plan = draft.plan
    if plan.time_parts:
        return parse_parts(steps, plan.time_parts, plan.time_format, draft.time)
    if plan.time is None:
        if STEP in steps.columns:
            return steps[STEP].cast(pl.Int64)
        return steps.select((pl.int_range(pl.len()).over(draft.series)).alias(STEP)).to_series().cast(pl.Int64)
    planned = next((planned for planned in plan.fields if planned.role == "time"), None)
    kind = planned.kind if planned is not None else "timestamp"
    times = to_kind(steps[plan.time], Field(plan.time, kind, "time"), plan.time_format)
    if times.null_count():
        raise DataError(
            f"Column '{plan.time}' has no time in {times.null_count()} rows, first in row {first_null(times)}. "
            f"Expected a time in every row. Fill it in, or leave these rows out."
        )
    whole = times.cast(pl.Int64, strict=False) if kind == "numeric" else times
    return whole if kind == "numeric" and (whole.cast(pl.Float64) == times).all() else times


def first_null(column: pl.Series) -> int:
    """The first row without a value, counted from 1 (the header is not counted)."""
    return (column.is_null().arg_max() or 0) + 1


def _match_labels(draft: _Draft, targets_required: bool) -> None:
    """Ids of the same type on both sides; what stands on one side only is counted and said."""
    if draft.labels is None:
        return
    if draft.labels[draft.series].dtype != draft.steps[draft.series].dtype:
        as_text = pl.col(draft.series).cast(pl.String)
        draft.labels, draft.steps = (
            draft.labels.with_columns(as_text),
            draft.steps.with_columns(as_text).sort(draft.series, maintain_order=True),
        )
    ids, labelled = draft.steps[draft.series].unique(maintain_order=True), draft.labels[draft.series]
    without = ids.filter(~ids.is_in(labelled.to_list()))
    if len(without):
        draft.notes.append(
            f"{len(without)} series have no row in the labels table, such as {shortened(without, 3)}"
            f"{'; they were left out.' if targets_required else '.'}"
        )
    if targets_required and len(without):
        draft.steps = draft.steps.filter(~pl.col(draft.series).is_in(without.to_list()))
    empty = labelled.filter(~labelled.is_in(ids.to_list()))
    if len(empty):
        draft.notes.append(
            f"{len(empty)} ids of the labels table have no steps, such as {shortened(empty, 3)}: sequences of length zero."
        )


def _sequences(draft: _Draft) -> tuple[pl.DataFrame, list[str]]:
    """One row per series with all that is constant in it, and the names of the columns of `steps` that moved there."""
    roles = ("static", "group") if draft.has_step_targets else ("static", "group", "target")
    moved = [
        planned.name
        for planned in draft.fields(*roles)
        if planned.name in draft.steps.columns and not draft.is_label(planned.name)
    ]
    if draft.plan.task not in HISTORY_TASKS:
        parts = [planned.name for planned in draft.fields("split") if planned.name in draft.steps.columns]
        moved += [name for name in parts if _varying(draft, [name]).is_empty()]
    varying = _varying(draft, moved)
    if varying.height:
        name = next(name for name in moved if varying[name].max() > 1)  # type: ignore[operator]
        where, most = varying.filter(pl.col(name) > 1).select(draft.series, name).row(0)
        is_target = name in draft.plan.targets
        raise DataError(
            f"Column '{name}' has {most} different values in series '{where}'. "
            f"Expected one value for each whole series, because it is "
            f"{'what ' + draft.plan.task + ' predicts for it' if is_target else _whole_series_role(draft, name)}. "
            + (
                "Use --task forecast to predict values along the steps, --task classify-steps or regress-steps for an answer at "
                "every step, or name the right series column with --series."
                if is_target
                else "Treat it as a value that varies (leave it out of --static and --group), or correct the data."
            )
        )
    sequences = draft.steps[[draft.series]].head(1)
    if moved or draft.steps[draft.series].n_unique() != 1:
        sequences = draft.steps.group_by(draft.series, maintain_order=True).agg(
            pl.col(moved).drop_nulls().first() if moved else []
        )
    if draft.labels is not None:
        sequences = draft.labels.join(sequences, on=draft.series, how="full", coalesce=True).sort(draft.series)
    missing = [planned for planned in draft.fields(*roles) if planned.name not in sequences.columns]
    empty = [pl.Series(p.name, [None], _EMPTY_TYPES[p.kind]).new_from_index(0, sequences.height) for p in missing]
    return with_columns(sequences, empty), moved


def _whole_series_role(draft: _Draft, name: str) -> str:
    is_group = any(planned.name == name for planned in draft.fields("group"))
    return "whom the series belongs to (--group)" if is_group else "a static attribute"


def _varying(draft: _Draft, names: list[str]) -> pl.DataFrame:
    """Series in which one of the columns has several values: the counts."""
    if not names:
        return pl.DataFrame()
    counts = draft.steps.group_by(draft.series, maintain_order=True).agg(pl.col(names).drop_nulls().n_unique())
    return counts.filter(pl.any_horizontal(pl.col(name) > 1 for name in names))


def _check_targets(draft: _Draft, sequences: pl.DataFrame) -> None:
    for name in draft.plan.targets:
        values = (draft.steps if draft.has_step_targets else sequences)[name].drop_nulls()
        if values.n_unique() < 2:
            only = f"is always {values[0]}" if len(values) else "has no value at all"
            raise DataError(
                f"The target '{name}' {only}. Expected a target that varies: otherwise there is nothing to learn. "
                f"Choose another --target, or check how the data was exported."
            )


def _field(planned: FieldPlan) -> Field:
    return Field(planned.name, planned.kind, planned.role, planned.missing, planned.constant, planned.bins)


def _fields(draft: _Draft, steps: pl.DataFrame, sequences: pl.DataFrame) -> tuple[Field, ...]:
    """Series and time first, then the planned fields that the table holds."""
    numeric_time = steps[draft.time].dtype.is_numeric()
    first = [
        Field(draft.series, "categorical", "series"),
        Field(draft.time, "numeric" if numeric_time else "timestamp", "time"),
    ]
    have = {*steps.columns, *sequences.columns} - {draft.series, draft.time}
    return (*first, *(_field(planned) for planned in draft.plan.fields if planned.name in have and planned.role != "ignored"))
