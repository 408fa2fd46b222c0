"""Whom a sequence belongs to: the column that `--group` names."""

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from gatework.data.series import series_ids
from gatework.data.table import Table
from gatework.errors import DataError

NAMES = ("train", "validation", "test")
"""The parts in the order of `split.PARTS`, which stands above this file."""


def group_column(table: Table) -> str | None:
    """The name of the column, or None."""
    fields = table.named("group")
    return fields[0].name if fields else None


def groups_of(table: Table) -> list[str] | None:
    """The group of each sequence; None without a group column, or where the data names no group at all (new data).

    Raises DataError when some sequences have a group and others none.
    """
    column = group_column(table)
    if column is None:
        return None
    texts = table.sequences[column].to_list()
    missing = [name for name, text in zip(series_ids(table), texts, strict=True) if text is None]
    if len(missing) == len(texts):
        return None
    if missing:
        raise DataError(
            f"Column '{column}' names no group for {len(missing)} of {len(texts)} series, the first is '{missing[0]}'. "
            f"Expected one for every series. Fill it in, or leave these series out."
        )
    return texts


def check_whole_groups(table: Table, sequences: npt.NDArray[np.int8]) -> None:
    """DataError when a given split has one group in several parts. sequences: (num_sequences,) index into NAMES, −1: none."""
    groups = groups_of(table)
    if groups is None:
        return
    seen: dict[str, set[int]] = defaultdict(set)
    for group, part in zip(groups, sequences.tolist(), strict=True):
        if part >= 0:
            seen[group].add(part)
    torn = sorted(group for group, found in seen.items() if len(found) > 1)
    if torn:
        where = " and ".join(NAMES[part] for part in sorted(seen[torn[0]]))
        raise DataError(
            f"The given split has {len(torn)} values of '{group_column(table)}' in several parts: '{torn[0]}' is in {where}. "
            f"Expected each in one part, or what is learned of somebody is tested on the same person. "
            f"Correct the split column, or leave it out: whole groups are then divided at random."
        )
