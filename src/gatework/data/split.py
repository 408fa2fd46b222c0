"""Which rows or sequences train, validate and test; decided once, written to split.json, rebuilt exactly from there."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gatework.data.series import class_field, class_texts, has_clock, series_ids, table_rows
from gatework.data.split_by_column import (
    column_parts,
    divide_rows_by_column,
    divide_sequences_by_column,
    split_column_varies,
)
from gatework.data.split_by_intervals import mark_by_intervals
from gatework.data.split_by_sequence import TEST, TRAIN, divide_groups, divide_stratified
from gatework.data.split_by_time import mark_by_boundaries, smallest_division, time_boundaries
from gatework.data.table import Table
from gatework.errors import ConfigError, DataError, RunError
from gatework.runs import Interval, Part, SplitPlan, SplitRecord

Int8Array = npt.NDArray[np.int8]

PARTS: tuple[Part, ...] = ("train", "validation", "test")
"""The parts; an index into this tuple is how `Split` names them."""


@dataclass(frozen=True)
class Split:
    """The part of every row and of every sequence.

    steps: (total_steps,) int8 index into PARTS for each row of `table.steps`; -1: in no part (no answer, or only context).
    sequences: (num_sequences,) int8; -1 when the sequence is cut by time, or has no answer to learn from.
    record: what split.json holds.
    """

    kind: str
    steps: Int8Array
    sequences: Int8Array
    record: SplitRecord

    @classmethod
    def all_test(cls, table: Table) -> "Split":
        """Everything is test: for data that a finished model has never seen."""
        sequences = np.full(table.sequences.height, TEST, dtype=np.int8)
        steps = np.full(table.steps.height, TEST, dtype=np.int8)
        size = table.steps.height if table.has_step_targets or table.answers_steps else table.sequences.height
        return cls("files", steps, sequences, SplitRecord(kind="files", counts={"train": 0, "validation": 0, "test": size}))

    def rows_of(self, part: Part) -> npt.NDArray[np.bool_]:
        """(total_steps,) which rows of `table.steps` are in that part."""
        chosen: npt.NDArray[np.bool_] = self.steps == PARTS.index(part)
        return chosen


def make_split(table: Table, plan: SplitPlan) -> Split:
    """The division that `plan` asks for.

    time: for forecasts and answers at every step; the last share `test` of the distinct time stamps tests, the share
        `validation` before it validates; without a time column, shares of each series' own rows.
    group: whole groups (`plan.column`, or the series). stratified: sequences at random within each class.
    column, files: as the column with the role 'split' says; when it names no validation part, one is carved out of train. Where
        every step has an answer, the column may change within a series: then rows are divided, not sequences.

    Raises ConfigError for impossible shares or kinds; DataError for too little data, an empty part, or a class unknown to train.
    """
    _check_plan(table, plan)
    if plan.kind == "time":
        every = np.ones(table.steps.height, dtype=bool)
        boundaries = time_boundaries(table, every, plan.validation, plan.test)
        return _by_rows(table, plan, mark_by_boundaries(table, every, boundaries), boundaries, [])
    is_by_row = table.is_forecast or (table.answers_steps and split_column_varies(table))
    if plan.kind in ("column", "files") and is_by_row:
        return _by_rows(table, plan, *divide_rows_by_column(table, plan))
    if plan.kind in ("column", "files"):
        return _by_sequences(table, plan, *divide_sequences_by_column(table, plan))
    if plan.kind == "group":
        return _by_sequences(table, plan, *divide_groups(table, plan))
    every = np.ones(table.sequences.height, dtype=bool)
    return _by_sequences(table, plan, *divide_stratified(table, plan, every, plan.test))


def split_by_intervals(table: Table, intervals: Sequence[Interval], seed: int = 0) -> Split:
    """Rows divided into stretches, as folds and backtests need them; what lies in none is in no part.

    Raises DataError when a part is empty.
    """
    steps = mark_by_intervals(table, intervals)
    _check_parts(steps, "rows")
    record = SplitRecord(kind="time", seed=seed, intervals=tuple(intervals), counts=_counts(steps))
    return Split("time", steps, _constant_parts(table, steps), record)


def split_by_parts(table: Table, plan: SplitPlan, sequences: Int8Array, notes: Sequence[str] = ()) -> Split:
    """Whole sequences divided as given: (num_sequences,) int8 index into PARTS, -1 in no part.

    Raises DataError when a part is empty or a class is unknown to train.
    """
    return _by_sequences(table, plan, sequences, list(notes))


def apply_split(record: SplitRecord, table: Table) -> Split:
    """The split that split.json describes, rebuilt on the table that it was made from.

    Raises RunError when the table is another one: a series or boundary is missing, or a part has another size.
    """
    try:
        if record.sequences:
            steps, sequences = _parts_from_ids(record, table)
        elif record.intervals:
            steps = mark_by_intervals(table, record.intervals)
            sequences = _constant_parts(table, steps)
        else:
            rows = np.ones(table.steps.height, dtype=bool)
            base = np.zeros(table.steps.height, dtype=np.int8)
            if record.kind in ("column", "files"):
                base = column_parts(table)
                rows = base == TRAIN
            steps = base + mark_by_boundaries(table, rows, record.boundaries)
            sequences = _constant_parts(table, steps)
    except DataError as error:
        raise RunError(str(error)) from error
    counts = _counts(sequences if record.sequences else steps)
    if counts != record.counts:
        raise RunError(
            f"split.json gives {_in_words(record.counts)}; the data gives {_in_words(counts)}. "
            f"Expected the data that the split was made from. Restore that data, or train again."
        )
    return Split(record.kind, steps, sequences, record)


def _check_plan(table: Table, plan: SplitPlan) -> None:
    if not (0 < plan.validation < 1 and 0 < plan.test < 1 and plan.validation + plan.test < 1):
        raise ConfigError(
            f"The split asks for validation {plan.validation} and test {plan.test}. "
            f"Each must be above 0 and their sum below 1, so that something is left to train on. Use for example 0.15 and 0.15."
        )
    if plan.kind == "time" and not table.has_step_targets:
        raise ConfigError(
            "A split by time was asked for, and each sequence has one answer. Such sequences are divided whole. "
            "Use --split-by stratified, or --split-by group for sequences that belong together."
        )
    by_row = plan.kind == "time"
    count, what = (table.steps.height, "rows") if by_row else (table.sequences.height, "sequences")
    needed = smallest_division(plan.validation, plan.test)
    if count < needed and plan.kind not in ("column", "files"):
        raise DataError(
            f"The data has {count} {what}; a split into train, validation and test needs at least {needed}, "
            f"and a model many more. "
            f"Give more {what}" + (", or split by time (--split-by time)." if table.has_step_targets and not by_row else ".")
        )


def _by_rows(table: Table, plan: SplitPlan, steps: Int8Array, boundaries: dict[str, str], notes: list[str]) -> Split:
    _check_parts(steps, "rows")
    _check_classes(table, steps, "steps")
    notes = notes + _time_notes(table, steps, plan)
    record = SplitRecord(kind=plan.kind, seed=plan.seed, boundaries=boundaries, counts=_counts(steps), notes=tuple(notes))
    return Split(plan.kind, steps, _constant_parts(table, steps), record)


def _by_sequences(table: Table, plan: SplitPlan, sequences: Int8Array, notes: list[str]) -> Split:
    _check_parts(sequences, "sequences")
    row_parts: Int8Array = sequences[table_rows(table).sequence]
    _check_classes(table, row_parts if table.answers_steps else sequences, "steps" if table.answers_steps else "sequences")
    notes = [*notes, *([] if table.answers_steps else _one_class_notes(table, sequences))]
    left_out = int((sequences == -1).sum())
    if left_out:
        notes = [
            *notes,
            f"{left_out} sequences have no answer in '{table.named('target')[0].name}' or no part: they are left out.",
        ]
    ids = series_ids(table)
    by_part = {part: tuple(ids[index] for index in np.flatnonzero(sequences == code)) for code, part in enumerate(PARTS)}
    record = SplitRecord(kind=plan.kind, seed=plan.seed, sequences=by_part, counts=_counts(sequences), notes=tuple(notes))
    return Split(plan.kind, row_parts, sequences, record)


def _check_parts(parts: Int8Array, what: str) -> None:
    for part, count in _counts(parts).items():
        if not count:
            raise DataError(
                f"The {part} part of the split is empty ({_in_words(_counts(parts))} {what}). "
                f"Each part needs at least one of the {what}. "
                f"Give more data, change the shares (--validation-share, --test-share), or choose another split with --split-by."
            )


def _check_classes(table: Table, parts: Int8Array, what: str) -> None:
    """DataError for a class that training never shows. parts: of each sequence, or of each step where these have answers."""
    field = class_field(table)
    if field is None:
        return
    texts = class_texts(table, field)
    in_train = {texts[index] for index in np.flatnonzero(parts == TRAIN)} | {None}
    elsewhere = Counter(texts[index] for index in np.flatnonzero(parts > TRAIN) if texts[index] not in in_train)
    for label, count in elsewhere.items():
        where = " and ".join(PARTS[code] for code in sorted({int(parts[i]) for i, t in enumerate(texts) if t == label} - {-1}))
        raise DataError(
            f"Class '{label}' of '{field.name}' occurs only in {where} ({count} {what}). "
            f"A model can only name classes that it has seen in training. "
            f"Move some of its {what} to train, leave the class out, or use --split-by stratified."
        )


def _one_class_notes(table: Table, sequences: Int8Array) -> list[str]:
    """What must be said of a part whose sequences are all of one class; DataError when it is the one that trains."""
    field = class_field(table)
    if field is None:
        return []
    texts = class_texts(table, field)
    notes = []
    for code, part in enumerate(PARTS):
        found = {texts[index] for index in np.flatnonzero(sequences == code)}
        if len(found) != 1:
            continue
        (only,) = found
        cure = "Move sequences between the parts, give more data, or use --split-by stratified."
        if part == "train":
            raise DataError(
                f"The train part has sequences of one class only, '{only}' of '{field.name}'. "
                f"Expected at least two classes to learn from. {cure}"
            )
        lost = "AUROC and PR-AUC are not defined on it" if part == "test" else "calibration and thresholds cannot be judged by it"
        notes.append(f"The {part} part has sequences of one class only, '{only}' of '{field.name}': {lost}. {cure}")
    return notes


def _time_notes(table: Table, steps: Int8Array, plan: SplitPlan) -> list[str]:
    rows = table_rows(table)
    running = np.concatenate([[0], np.cumsum(steps == TEST, dtype=np.int64)])
    without = [series_ids(table)[i] for i in np.flatnonzero(running[rows.offsets[1:]] == running[rows.offsets[:-1]])]
    notes = []
    if without:
        shown = ", ".join(without[:5]) + (", …" if len(without) > 5 else "")
        notes.append(f"{len(without)} of {len(rows.lengths)} series have no test rows ({shown}).")
    if plan.kind == "time" and not has_clock(table):
        notes.append("There is no time column: each series is cut at the same share of its own rows.")
    has_part = steps >= 0
    backwards = (np.diff(steps[has_part]) < 0) & (np.diff(rows.sequence[has_part]) == 0)
    if backwards.any():
        notes.append("Some training or validation rows come after later parts in time: windows may look into those parts.")
    return notes


def _constant_parts(table: Table, steps: Int8Array) -> Int8Array:
    rows = table_rows(table)
    parts = np.full(len(rows.lengths), -1, dtype=np.int8)
    filled = np.flatnonzero(rows.lengths)
    if len(filled):
        starts = rows.offsets[filled]
        lowest, highest = np.minimum.reduceat(steps, starts), np.maximum.reduceat(steps, starts)
        parts[filled] = np.where(lowest == highest, lowest, -1)
    return parts


def _parts_from_ids(record: SplitRecord, table: Table) -> tuple[Int8Array, Int8Array]:
    position = {name: index for index, name in enumerate(series_ids(table))}
    sequences = np.full(len(position), -1, dtype=np.int8)
    for code, part in enumerate(PARTS):
        for name in record.sequences.get(part, ()):
            if name not in position:
                raise DataError(
                    f"split.json puts series '{name}' into {part}, and the data has no such series. "
                    f"Expected the data that the split was made from. Restore that data, or train again."
                )
            sequences[position[name]] = code
    return sequences[table_rows(table).sequence], sequences


def _counts(parts: Int8Array) -> dict[Part, int]:
    return {part: int((parts == code).sum()) for code, part in enumerate(PARTS)}


def _in_words(counts: dict[Part, int]) -> str:
    return ", ".join(f"{counts.get(part, 0)} {part}" for part in PARTS)
