"""Dividing whole sequences: at random within each class, or group by group."""

from collections import Counter, defaultdict

import numpy as np
import numpy.typing as npt
import polars as pl

from gatework.data.groups import group_column, groups_of
from gatework.data.series import class_field, class_texts, series_ids, table_rows
from gatework.data.split_by_time import count_of
from gatework.data.table import Table
from gatework.errors import ConfigError, DataError, nearest
from gatework.runs import SplitPlan

Int8Array = npt.NDArray[np.int8]
TRAIN, VALIDATION, TEST = 0, 1, 2


def labels_of(table: Table) -> list[str | None]:
    """What each sequence is stratified by: its class, or '' for all when the answers are no classes.

    None where the target is missing: such a sequence can be neither learned from nor scored. A sequence whose steps are of
    several classes stands under the rarest of them.
    """
    field = class_field(table)
    if table.answers_steps:
        return _rarest_of_steps(table, None if field is None else class_texts(table, field))
    if field is not None:
        return class_texts(table, field)
    missing = np.zeros(table.sequences.height, dtype=bool)
    for target in table.named("target"):
        if target.name in table.sequences.columns:
            missing |= table.sequences[target.name].is_null().to_numpy()
    return [None if is_missing else "" for is_missing in missing]


def _rarest_of_steps(table: Table, texts: list[str | None] | None) -> list[str | None]:
    """For each sequence, the class of its steps that is rarest in the whole table; '' without classes; None without answers."""
    if texts is None:
        known = pl.any_horizontal(pl.col(field.name).is_not_null() for field in table.named("target"))
        texts = [("" if is_known else None) for is_known in table.steps.select(known).to_series()]
    counts = Counter(texts)
    rarest: list[str | None] = [None] * table.sequences.height
    for index, text in zip(table_rows(table).sequence.tolist(), texts, strict=True):
        if text is not None and (rarest[index] is None or counts[text] < counts[rarest[index]]):
            rarest[index] = text
    return rarest


def divide_stratified(table: Table, plan: SplitPlan, chosen: npt.NDArray[np.bool_], test: float) -> tuple[Int8Array, list[str]]:
    """Each class divided at random in the same shares; -1 for sequences without an answer and outside `chosen`.

    A class with two sequences gives one to train and one to test (to validation when `test` is 0); a single one goes to train.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, label in enumerate(labels_of(table)):
        if label is not None and chosen[index]:
            members[label].append(index)
    generator = np.random.Generator(np.random.Philox(key=plan.seed % 2**64))
    parts = np.full(table.sequences.height, -1, dtype=np.int8)
    notes = []
    for label in sorted(members):
        order = generator.permutation(np.array(members[label]))
        for_test, for_validation = _shares_of_class(len(order), plan.validation, test)
        parts[order] = TRAIN
        parts[order[:for_test]] = TEST
        parts[order[for_test : for_test + for_validation]] = VALIDATION
        if len(order) == 1 and len(members) > 1:
            notes.append(f"Class '{label}' has one sequence: it trains, and no score tells how well the class is recognised.")
    return parts, notes


def _shares_of_class(count: int, validation: float, test: float) -> tuple[int, int]:
    for_test = min(max(count_of(count, test), int(test > 0)), count - 1)
    for_validation = min(max(count_of(count, validation), 1), count - 1 - for_test)
    if for_validation == 0 and for_test > 1:  # shares near 1: every part of a class of three or more gets one
        return for_test - 1, 1
    return for_test, for_validation


def divide_groups(table: Table, plan: SplitPlan) -> tuple[Int8Array, list[str]]:
    """Whole groups divided at random: no group is in two parts, and every class stays in train where that is possible.

    Groups are the values of `plan.column`, or the series themselves when it is None. A random order of groups is walked once for
    test and once for validation; a group is passed over when it would overfill the part or take a class's last group from train.
    """
    groups = group_of_each(table, plan.column)
    labels = labels_of(table)
    return _divide_whole(table, plan, groups, labels)


def carve_groups(table: Table, plan: SplitPlan, groups: list[str], chosen: npt.NDArray[np.bool_]) -> Int8Array:
    """A validation part of whole groups out of `chosen`; -1 elsewhere."""
    labels = [label if keep else None for label, keep in zip(labels_of(table), chosen, strict=True)]
    return _divide_whole(table, plan.model_copy(update={"test": 0.0}), groups, labels)[0]


def _divide_whole(table: Table, plan: SplitPlan, groups: list[str], labels: list[str | None]) -> tuple[Int8Array, list[str]]:
    members: dict[str, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        if label is not None:
            members[groups[index]].append(index)
    if len(members) < (3 if plan.test else 2):
        raise DataError(
            f"The data has {len(members)} groups ({plan.column or table.series}) with a known target. "
            f"A split by group needs at least 3: one each for train, validation and test. "
            f"Give more groups, or split by time (--split-by time) or at random (--split-by stratified)."
        )
    generator = np.random.Generator(np.random.Philox(key=plan.seed % 2**64))
    order = [sorted(members)[index] for index in generator.permutation(len(members))]
    left = Counter(label for label in labels if label is not None)
    total = left.total()
    parts = np.array([-1 if label is None else TRAIN for label in labels], dtype=np.int8)
    for part, share in ((TEST, plan.test), (VALIDATION, plan.validation)):
        if not share:
            continue
        wanted, taken = count_of(total, share), 0
        for group in order:
            classes = Counter(label for index in members[group] if (label := labels[index]) is not None)
            is_free = parts[members[group][0]] == TRAIN
            fits = taken + classes.total() <= wanted or taken == 0
            if is_free and fits and taken < wanted and all(left[label] > number for label, number in classes.items()):
                parts[members[group]] = part
                left -= classes
                taken += classes.total()
    return parts, [f"Each value of '{plan.column}' is in one part only."] if plan.column else []


def group_of_each(table: Table, column: str | None) -> list[str]:
    """The group of each sequence: its value of `column`, or its own id when that is None.

    Raises ConfigError for an unknown column, DataError when it changes within a series.
    """
    if column is None:
        return series_ids(table)
    known_groups = groups_of(table) if column == group_column(table) else None
    if known_groups is not None:
        return known_groups
    if column in table.sequences.columns:
        return [str(value) for value in table.sequences[column].to_list()]
    if column not in table.steps.columns:
        known = [*table.sequences.columns, *table.steps.columns]
        raise ConfigError(f"The data has no column '{column}' to group by. {nearest(column, known)} Name one of its columns.")
    return constant_of_each(table, column)


def constant_of_each(table: Table, column: str) -> list[str]:
    """The one value that a column of `steps` has in each series; 'None' for a series without rows.

    Raises DataError when it changes within a series.
    """
    values = table.steps.group_by(table.series).agg(first=pl.col(column).first(), different=pl.col(column).n_unique())
    changing = values.filter(values["different"] > 1)
    if changing.height:
        raise DataError(
            f"Column '{column}' has {changing['different'][0]} different values within series '{changing[table.series][0]}'. "
            f"A whole sequence belongs to one part, so the column must be constant in each series. "
            f"Correct the column, or choose another split with --split-by."
        )
    in_order = table.sequences.select(table.series).join(values, on=table.series, how="left", maintain_order="left")
    return [str(value) for value in in_order["first"].to_list()]
