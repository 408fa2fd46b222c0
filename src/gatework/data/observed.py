"""Series in which nothing was measured, and columns that have no value in some series."""

import numpy as np

from gatework.data.series import IntArray, Rows
from gatework.data.table import Role, Table
from gatework.errors import DataError


def check_observed(table: Table, rows: Rows, ids: list[str]) -> None:
    """Raises DataError, naming the series, when one has steps and not a single value at any of them.

    rows: the grouping of `table.steps`. ids: the series, in their order. Known-future columns count where there are no others.
    """
    roles: tuple[Role, ...] = ("past", "target") if table.is_forecast else ("past",)
    names = [field.name for role in roles for field in table.named(role) if field.name in table.steps.columns]
    names = names or [field.name for field in table.named("known_future") if field.name in table.steps.columns]
    if not names:
        return
    counts = sum((observed_counts(table, name, rows) for name in names), np.zeros(len(ids), dtype=np.int64))
    empty = np.flatnonzero((counts == 0) & (rows.lengths > 0))
    if len(empty):
        raise DataError(
            f"Series '{ids[empty[0]]}' has {rows.lengths[empty[0]]} steps and no value at any of them: "
            f"{', '.join(names[:5])}{', …' if len(names) > 5 else ''} are all missing ({len(empty)} series in all). "
            f"A model needs at least one measurement of each series. Leave these series out, or give their values."
        )


def unseen_notes(table: Table, rows: Rows, ids: list[str]) -> list[str]:
    """One sentence for each past column that has no value in some of several series."""
    notes: list[str] = []
    if len(ids) == 1:
        return notes
    for field in table.named("past"):
        if field.name not in table.steps.columns or not table.steps[field.name].null_count():
            continue
        nowhere = np.flatnonzero((observed_counts(table, field.name, rows) == 0) & (rows.lengths > 0))
        if len(nowhere):
            shown = ", ".join(f"'{ids[index]}'" for index in nowhere[:3])
            notes.append(
                f"'{field.name}' has no value at all in {len(nowhere)} of {len(ids)} series ({shown}): "
                f"there the model sees what training found usual."
            )
    return notes


def observed_counts(table: Table, name: str, rows: Rows) -> IntArray:
    """(num_sequences,) how many values of a column each series has. Gaps are null."""
    there = table.steps[name].is_not_null().to_numpy()
    counts: IntArray = np.bincount(rows.sequence[there], minlength=len(rows.lengths)).astype(np.int64)
    return counts
