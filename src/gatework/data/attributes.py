"""A named column that has one value for each series, such as sex or site, whether or not the model was given it."""

from collections.abc import Sequence

import polars as pl

from gatework.data.series import series_ids
from gatework.data.strict import to_ids
from gatework.data.table import SERIES, STEP, Table
from gatework.errors import DataError, nearest

MOST_VALUES = 12
"""With more, each has few series, and the largest difference among them is chance."""
UNKNOWN = "(unknown)"


def attribute_of(table: Table, name: str, frames: Sequence[pl.DataFrame] = ()) -> list[str]:
    """The value of a column for each series of the table, as text; `UNKNOWN` where it is empty.

    frames: the labels table and the data as they were read, where the column may stand that the model was not given.
    Raises DataError when the column is not there, varies within a series, or has fewer than two values or too many.
    """
    frame = next((each for each in (table.sequences, *frames) if name in each.columns and table.series in each.columns), None)
    if frame is None:
        columns = (column for each in (table.sequences, *frames) for column in each.columns)
        known = list(dict.fromkeys(column for column in columns if column not in (SERIES, STEP)))
        if table.series == SERIES:
            raise DataError(
                f"The scores were to be told apart by '{name}', and the data is one series, without a column that says whose "
                f"each row is. Expected several series, named with --series. Leave --by out."
            )
        raise DataError(
            f"There is no column '{name}' that could be told for each series; the data has {', '.join(known[:12])}. "
            f"Expected a column with one value for each '{table.series}', in the data or its labels table. "
            f"{nearest(name, known)} Correct --by."
        )
    pairs = pl.DataFrame([to_ids(frame[table.series]).cast(pl.String).alias("id"), frame[name].cast(pl.String).alias("value")])
    values = pairs.drop_nulls().unique()
    twice = values.filter(values["id"].is_duplicated())
    if twice.height:
        raise DataError(
            f"Column '{name}' has several values in series '{twice['id'].sort()[0]}' ({twice['id'].n_unique()} series in all). "
            f"Expected one for each series, which scores can be told apart by. Give another column with --by."
        )
    count = values["value"].n_unique()
    if not 2 <= count <= MOST_VALUES:
        raise DataError(
            f"Column '{name}' has {count} different values. Expected 2 to {MOST_VALUES} to tell scores apart by. "
            f"Give a column of fewer groups with --by, such as an age group in place of an age."
        )
    found = dict(values.iter_rows())
    return [found.get(each, UNKNOWN) for each in series_ids(table)]
