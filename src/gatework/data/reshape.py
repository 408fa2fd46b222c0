"""Other layouts → one row a step: one row a sequence, long (id, time, variable, value), columns that hold lists."""

import re

import numpy as np
import polars as pl

from gatework.data.column_types import shortened, typed_frame
from gatework.data.strict import to_numbers
from gatework.data.table import SERIES, STEP
from gatework.errors import DataError

VALUE = "value"
"""The name of the steps' values where one row is a sequence and the columns have only numbers for names."""
_NUMBERED = re.compile(r"^(.*?)[_\-. ]?(\d+)$")
_STEP_WORDS = ("", "t", "step", "time", "timestep", "v", "lag", "value")


def numbered_columns(names: list[str]) -> dict[str, list[str]]:
    """Channel → its columns in step order, for columns such as t0, t1, …: names with one stem and consecutive numbers.

    The channel is the stem, or `VALUE` where the stem only says "step" (t0, step_1, V2, 3). A stem with fewer than three columns
    or with gaps in its numbers is none.
    """
    stems: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        found = _NUMBERED.match(name)
        if found:
            stems.setdefault(found[1], []).append((int(found[2]), name))
    channels = {}
    for stem, members in stems.items():
        members.sort()
        numbers = [number for number, _ in members]
        if len(numbers) >= 3 and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            channels[VALUE if stem.casefold() in _STEP_WORDS else stem] = [name for _, name in members]
    return channels


def is_named_like_steps(names: list[str]) -> bool:
    """Whether numbered columns carry the names of steps (t0, step_1, 3), not of things measured side by side (sensor_1)."""
    found = _NUMBERED.match(names[0])
    return found is not None and found[1].casefold() in _STEP_WORDS


def wide_to_steps(frame: pl.DataFrame, channels: dict[str, list[str]], series: str | None) -> pl.DataFrame:
    """One row a sequence → one row a step, with the sequence's own columns repeated. Nulls at the end of a row are its end.

    Rows without a series column are numbered 0, 1, 2, … in `SERIES`; the order of the steps is `STEP`.
    Raises DataError for text in a step (row and value) and for channels of different lengths.
    """
    widths = {channel: len(names) for channel, names in channels.items()}
    if len(set(widths.values())) > 1:
        raise DataError(
            f"One row is a sequence, but its channels have {', '.join(f'{n} steps ({c})' for c, n in widths.items())}. "
            f"Expected the same number of steps in each channel. Add the missing columns, or leave that channel out."
        )
    steps = [name for names in channels.values() for name in names]
    values = {channel: _all_numbers(frame.select(names)).to_numpy() for channel, names in channels.items()}
    width = next(iter(widths.values()))
    observed = np.any([np.isfinite(array) for array in values.values()], axis=0)
    lengths = np.where(observed.any(axis=1), width - np.argmax(observed[:, ::-1], axis=1), 0)
    is_step = np.arange(width) < lengths[:, None]
    rest = frame.drop(steps) if series is not None else frame.drop(steps).with_columns(pl.Series(SERIES, range(frame.height)))
    columns = [pl.Series(channel, array[is_step]).fill_nan(None) for channel, array in values.items()]
    order = pl.Series(STEP, np.broadcast_to(np.arange(width), is_step.shape)[is_step])
    return rest[np.repeat(np.arange(frame.height), lengths)].with_columns(order, *columns)


def _all_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """Every column Float64; column by column only where something is wrong, since there may be thousands."""
    is_plain = all(dtype.is_numeric() for dtype in frame.dtypes)
    numbers = frame.cast(pl.Float64) if is_plain else frame
    if is_plain and not numbers.select(pl.any_horizontal(pl.all().is_infinite().any())).item():
        return numbers.fill_nan(None)
    return frame.select(to_numbers(column) for column in frame)


def long_to_steps(
    frame: pl.DataFrame, series: str | None, time: str, variable: str, value: str
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """(id, time, variable, value) → one row a step, one column a variable, numbers where a whole variable is numbers; and notes.

    Other columns are kept where they are constant within each series, else dropped (said).
    Raises DataError when a variable has two values at the same time.
    """
    index = [name for name in (series, time) if name is not None]
    unnamed = frame[variable].null_count()
    present = named_rows(frame, variable)
    twice = present.filter(present.select([*index, variable]).is_duplicated())
    if twice.height:
        where = ", ".join(f"{name} {twice[name][0]}" for name in index)
        raise DataError(
            f"Variable '{twice[variable][0]}' has more than one value at {where} ({twice.height} such rows). "
            f"Expected one value for each id, time and variable. Average them, or keep one."
        )
    wide = present.pivot(on=variable, index=index, values=value, aggregate_function=None)
    names = [name for name in wide.columns if name not in index]
    if wide[names[0]].dtype == pl.String:
        typed, _ = typed_frame(wide.select(names))
        wide = wide.with_columns(typed.get_columns())
    wide, notes = _with_constants(frame, wide, index, [variable, value], series)
    if unnamed:
        notes = (*notes, f"{unnamed} rows without a name in '{variable}' were left out.")
    return wide, (f"The long form has {len(names)} variables: {shortened(names, 12)}.", *notes)


def named_rows(frame: pl.DataFrame, variable: str) -> pl.DataFrame:
    """The rows of the long form that name a variable; DataError when none does."""
    present = frame.drop_nulls([variable])
    if present.is_empty():
        raise DataError(
            f"Column '{variable}' names no variable in any row. Expected the name of what was measured in each row. "
            f"Name the right column with --variable, or another layout with --layout."
        )
    return present


def _with_constants(
    frame: pl.DataFrame, wide: pl.DataFrame, index: list[str], used: list[str], series: str | None
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    others = [name for name in frame.columns if name not in (*index, *used)]
    if not others:
        return wide, ()
    keys = [] if series is None else [series]
    counts = frame.select(*keys, *others).group_by(keys or pl.lit(0)).agg(pl.col(others).drop_nulls().n_unique())
    kept = [name for name in others if (counts[name].max() or 0) <= 1]  # type: ignore[operator]
    dropped = [name for name in others if name not in kept]
    if kept and series is not None:
        firsts = frame.group_by(series).agg(pl.col(kept).drop_nulls().first())
        wide = wide.join(firsts, on=series, how="left", maintain_order="left", nulls_equal=True)
    return wide, (f"Columns {shortened(dropped)} vary within a series and were dropped from the long form.",) if dropped else ()


def lists_to_steps(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns that hold lists → one row a step. Sequences are numbered in `series` where no such column exists.

    Raises DataError when the lists of a row have different lengths.
    """
    lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, (pl.List, pl.Array))]
    if not lists:
        return frame
    frame = frame.cast({name: pl.List(frame.schema[name].inner) for name in lists if isinstance(frame.schema[name], pl.Array)})  # type: ignore[attr-defined]
    if "series" not in frame.columns and "id" not in frame.columns:
        frame = frame.with_row_index("series").cast({"series": pl.Int64})
    lengths = frame.select(pl.col(lists).list.len())
    uneven = (
        lengths.select(pl.any_horizontal(pl.col(name) != pl.col(lists[0]) for name in lists).arg_max()).item() if lists else 0
    )
    if len({lengths[name][uneven or 0] for name in lists}) > 1:
        raise DataError(
            f"Row {(uneven or 0) + 1} has lists of different lengths in {shortened(lists)}. "
            f"Expected one entry a step in each. Fill the shorter ones with null."
        )
    steps = pl.int_ranges(pl.col(lists[0]).list.len()).alias("step")
    return frame.with_columns(steps if "step" not in frame.columns else []).explode(
        *lists, *(["step"] if "step" not in frame.columns else [])
    )
