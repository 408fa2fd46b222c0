"""Dividing as a column or separate files say; a validation part is carved out of train when they name none."""

import numpy as np
import numpy.typing as npt
import polars as pl

from gatework.data.groups import check_whole_groups, groups_of
from gatework.data.series import table_rows
from gatework.data.split_by_sequence import TEST, TRAIN, VALIDATION, carve_groups, constant_of_each, divide_stratified, labels_of
from gatework.data.split_by_time import mark_by_boundaries, time_boundaries
from gatework.data.table import Table
from gatework.errors import ConfigError, DataError
from gatework.runs import SplitPlan

Int8Array = npt.NDArray[np.int8]

SPELLINGS = {
    "train": TRAIN,
    "training": TRAIN,
    "validation": VALIDATION,
    "valid": VALIDATION,
    "val": VALIDATION,
    "dev": VALIDATION,
    "development": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
"""What may stand in the column; case and surrounding blanks do not matter."""


CONTEXT = ("none", "context")
"""Where every step has an answer: a step that is read as context, and neither trained on nor judged."""


def split_column(table: Table) -> str:
    """The name of the column that says which part a row is in."""
    fields = table.named("split")
    if len(fields) != 1:
        raise ConfigError(
            f"The data has {len(fields)} columns with the role 'split' ({', '.join(field.name for field in fields) or 'none'}). "
            f"A split by column or by files needs exactly one, holding train, validation or test. "
            f"Name it with --split-column COLUMN."
        )
    return fields[0].name


def names_no_part(table: Table) -> tuple[str, ...]:
    """What else the column may say: steps that are read before others are judged need no part of their own."""
    return CONTEXT if table.answers_steps else ()


def column_parts(table: Table) -> Int8Array:
    """(total_steps,) the part that the column gives each row, whether it stands at the steps or at the sequences."""
    column = split_column(table)
    if column in table.steps.columns:
        return _parts_of(table.steps[column], column, names_no_part(table))
    return _parts_of(table.sequences[column], column, names_no_part(table))[table_rows(table).sequence]


def split_column_varies(table: Table) -> bool:
    """Whether there is such a column and it gives the steps of one series different parts."""
    fields = table.named("split")
    if len(fields) != 1 or fields[0].name not in table.steps.columns:
        return False
    counts = table.steps.group_by(table.series).agg(pl.col(fields[0].name).n_unique())
    return bool((counts[fields[0].name] > 1).any())


def column_parts_of_sequences(table: Table) -> Int8Array:
    """(num_sequences,) the part that the column gives each series; DataError when it changes within one."""
    column = split_column(table)
    if column in table.sequences.columns:
        return _parts_of(table.sequences[column], column, names_no_part(table))
    texts = constant_of_each(table, column)
    has_rows = table_rows(table).lengths > 0
    parts = np.full(len(texts), -1, dtype=np.int8)
    parts[has_rows] = _parts_of(pl.Series(texts, dtype=pl.String).filter(pl.Series(has_rows)), column, names_no_part(table))
    return parts


def divide_rows_by_column(table: Table, plan: SplitPlan) -> tuple[Int8Array, dict[str, str], list[str]]:
    """By rows: the part of each row, the boundary of a validation part carved out of train, and notes."""
    parts = column_parts(table)
    if (parts == VALIDATION).any():
        return parts, {}, []
    rows = parts == TRAIN
    boundaries = time_boundaries(table, rows, plan.validation, test=0)
    note = (
        f"{_who(table, plan)} no validation rows: the last {plan.validation:.0%} of train "
        f"(from {boundaries['validation']}) validates."
    )
    return parts + mark_by_boundaries(table, rows, boundaries), boundaries, [note]


def divide_sequences_by_column(table: Table, plan: SplitPlan) -> tuple[Int8Array, list[str]]:
    """For one answer per sequence: the part of each sequence and notes; -1 for sequences without an answer."""
    parts = column_parts_of_sequences(table)
    check_whole_groups(table, parts)
    parts[[label is None for label in labels_of(table)]] = -1
    if (parts == VALIDATION).any():
        return parts, []
    groups = groups_of(table)
    if groups is None:
        carved, notes = divide_stratified(table, plan, chosen=parts == TRAIN, test=0)
    else:
        carved, notes = carve_groups(table, plan, groups, parts == TRAIN), []
    parts[carved == VALIDATION] = VALIDATION
    note = f"{_who(table, plan)} no validation sequences: {plan.validation:.0%} of train, drawn at random, validates."
    return parts, [note, *notes]


def _who(table: Table, plan: SplitPlan) -> str:
    return "The files give" if plan.kind == "files" else f"Column '{split_column(table)}' names"


def _parts_of(values: pl.Series, column: str, no_part: tuple[str, ...] = ()) -> Int8Array:
    texts = values.cast(pl.String).str.strip_chars().str.to_lowercase()
    parts = texts.replace_strict(SPELLINGS | dict.fromkeys(no_part, -1), default=None, return_dtype=pl.Int8)
    if parts.null_count():
        row = int(parts.is_null().arg_max() or 0)
        raise DataError(
            f"Column '{column}' holds '{values[row]}' ({parts.null_count()} rows or sequences in all cannot be assigned). "
            f"It must say train, validation{', test or none' if no_part else ' or test'} "
            f"(also training, valid, val, dev, testing). Correct or fill these values."
        )
    return parts.to_numpy().astype(np.int8)
