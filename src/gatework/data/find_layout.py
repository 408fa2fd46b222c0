"""Which shape a table has: one row a step, one row a sequence, or long (id, time, variable, value); and who says the part."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from gatework.data.column_types import share_of_numbers
from gatework.data.kinds import MOSTLY
from gatework.data.read import PART
from gatework.data.reshape import is_named_like_steps, numbered_columns
from gatework.errors import ConfigError

_VARIABLE_NAMES = (
    "variable",
    "parameter",
    "measurement",
    "metric",
    "feature",
    "item",
    "vital",
    "quantity",
    "channel",
    "tag",
    "itemid",
)
_VALUE_NAMES = ("value", "values", "val", "reading", "result", "valuenum", "amount")
_PART_NAMES = ("part", "split", "fold", "subset", "set", "partition")
_PART_WORDS = ("train", "training", "validation", "valid", "val", "dev", "development", "test", "testing")
MANY_STEPS = 8
"""The least number of numbered columns that may be the steps of a sequence."""


@dataclass(frozen=True)
class Layout:
    """The shape of a table. channels: channel → its step columns, where one row is a sequence."""

    name: Literal["steps", "sequences", "long"]
    variable: str | None = None
    value: str | None = None
    channels: dict[str, list[str]] = field(default_factory=dict)


def find_layout(
    frame: pl.DataFrame,
    wished: Literal["steps", "sequences", "long"] | None,
    variable: str | None,
    value: str | None,
    reasons: dict[str, str],
) -> Layout:
    """The layout wished for, or the one that names and values show; ConfigError when the wish does not fit the columns."""
    channels = numbered_columns([column.name for column in frame if _is_numeric(column)])
    long = (variable or _named(frame, _VARIABLE_NAMES), value or _named(frame, _VALUE_NAMES))
    if wished == "sequences":
        return _sequences(channels)
    if wished == "long" or (wished is None and (variable or value)):
        if None in long:
            raise ConfigError(
                f"The long form needs a column of variable names and one of values; the data has {', '.join(frame.columns[:8])}. "
                f"Expected both. Name them with --variable and --value."
            )
        return Layout("long", *long)
    if wished == "steps":
        return Layout("steps")
    if None not in long and frame.width <= 8 and frame[str(long[0])].n_unique() * 2 <= frame.height:
        reasons["layout"] = f"One row is one value: '{long[0]}' names the variable and '{long[1]}' holds its value (long form)."
        return Layout("long", *long)
    wide = {channel: names for channel, names in channels.items() if _are_steps(frame, names)}
    if wide and sum(map(len, wide.values())) >= 0.5 * frame.width:
        names = next(iter(wide.values()))
        reasons["layout"] = f"One row is a sequence: columns {names[0]} to {names[-1]} are its {len(names)} steps."
        return Layout("sequences", channels=wide)
    reasons["layout"] = "One row is one step."
    return Layout("steps")


def _sequences(channels: dict[str, list[str]]) -> Layout:
    if not channels:
        raise ConfigError(
            "The layout 'sequences' was asked for, but no columns are numbered. Expected columns such as t0, t1, t2, … "
            "that hold the steps of the sequence in each row. Rename them, or leave the layout out."
        )
    return Layout("sequences", channels=channels)


def _named(frame: pl.DataFrame, names: tuple[str, ...]) -> str | None:
    return next((column for wanted in names for column in frame.columns if column.casefold() == wanted), None)


def _is_numeric(column: pl.Series) -> bool:
    return column.dtype.is_numeric() or (column.dtype == pl.String and share_of_numbers(column) >= MOSTLY)


def _are_steps(frame: pl.DataFrame, names: list[str]) -> bool:
    """Whether numbered columns are steps: by name, or because values are closer to those beside them than to those below."""
    if len(names) < MANY_STEPS:
        return False
    if is_named_like_steps(names):
        return True
    values = frame.head(500).select(names).cast(pl.Float64, strict=False).to_numpy()
    along_row, along_column = np.abs(np.diff(values, axis=1)), np.abs(np.diff(values, axis=0))
    if not np.isfinite(along_row).any() or not np.isfinite(along_column).any():
        return False
    return float(np.nanmean(along_row)) < 0.5 * float(np.nanmean(along_column))


def find_part_column(columns: Sequence[pl.Series], wished: str | None, taken: set[str], reasons: dict[str, str]) -> str | None:
    """The column that says train, validation or test: the wished one, that of separate files, or one named and filled like it."""
    names = [column.name for column in columns]
    if wished is not None or PART in names:
        return wished or PART
    for column in columns:
        is_named = column.dtype == pl.String and column.name.casefold() in _PART_NAMES and column.name not in taken
        if is_named and column.n_unique() > 1 and column.drop_nulls().str.to_lowercase().is_in(_PART_WORDS).all():
            reasons["split"] = f"Column '{column.name}' says which part each row is in."
            return column.name
    return None
