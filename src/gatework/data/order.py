"""The order of the steps: sorted by series, then time; each time once; gaps said."""

import numpy as np
import polars as pl

from gatework.data.read import PART
from gatework.errors import DataError

_ROW = "__row__"
DAY_S = 86_400.0
FEW_WEEKENDS = 0.05
"""The share of stamps on Saturdays and Sundays up to which a daily series counts trading days only."""
WEEK = 6
"""So many days in a row include a weekend; fewer cannot tell."""


def skips_weekends(times: pl.Series, step_s: float | None) -> bool:
    """Whether these are the stamps of a daily series that leaves weekends out, as prices on an exchange do.

    step_s: the usual step in seconds.
    """
    if not times.dtype.is_temporal() or step_s is None or not DAY_S / 2 < step_s < 2 * DAY_S or len(times) < WEEK:
        return False
    return float((times.dt.weekday() >= 6).to_numpy().mean()) <= FEW_WEEKENDS


def sort_steps(steps: pl.DataFrame, series: str, time: str) -> tuple[pl.DataFrame, list[str]]:
    """The rows by series, then time, and a note when the times of a series were not in order.

    Raises DataError when a series has the same time twice (series, time and rows named; the header is not counted).
    """
    if steps[series].n_unique() == 1 and _is_rising(steps[time]):
        return steps, []
    steps = steps.with_row_index(_ROW, offset=1)
    backwards = steps.select((pl.col(time).diff().over(series) < _zero(steps, time)).sum()).item()
    ordered = steps.sort(series, time, maintain_order=True)
    same = ordered.select((pl.col(series) == pl.col(series).shift()) & (pl.col(time) == pl.col(time).shift())).to_series()
    if same.any():
        i = same.arg_max() or 0
        twice = ordered.filter((pl.col(series) == ordered[series][i]) & (pl.col(time) == ordered[time][i]))
        rows = twice[_ROW].to_list()
        if PART in twice.columns and twice[PART].n_unique() > 1:
            parts = " and the ".join(twice[PART].unique(maintain_order=True).to_list())
            raise DataError(
                f"The {parts} files share {same.sum()} rows, first series '{ordered[series][i]}' at {time} = {ordered[time][i]}. "
                f"Expected files without a row in common: a model is judged on rows that it has not seen. "
                f"Remove these rows from one of the files, or give one file and --test-share."
            )
        raise DataError(
            f"Series '{ordered[series][i]}' has {len(rows)} rows at {time} = {ordered[time][i]}: "
            f"rows {', '.join(map(str, rows[:5]))} "
            f"({same.sum()} repeated time stamps in all). Expected each time once in a series. "
            f"Remove the repeats, name the column that tells series apart with --series, or give local times their offset."
        )
    unsorted = f"The rows were not in order of '{time}' ({backwards} steps back in time); they were sorted."
    return ordered.drop(_ROW), [unsorted] if backwards else []


def _is_rising(times: pl.Series) -> bool:
    """Whether each time is later than the one before: nothing to sort, nothing twice."""
    return bool((np.diff(_ticks(times)) > 0).all())


def _ticks(times: pl.Series) -> np.ndarray:
    """The times as numbers, whatever their unit."""
    return (times.cast(pl.Int64) if times.dtype.is_temporal() else times).to_numpy()


def _zero(steps: pl.DataFrame, time: str) -> pl.Expr:
    return pl.lit(0) if steps[time].dtype.is_numeric() else pl.duration(seconds=0)


def step_sizes(steps: pl.DataFrame, series: str, time: str) -> pl.DataFrame:
    """The steps from row to row within a series: series, `from`, `to`, and `size` in seconds (or counts of an order).

    Where only weekdays have stamps, a weekend is no part of a step.
    """
    before = pl.col(time).shift().over(series)
    size = pl.col(time) - before
    is_number = steps[time].dtype.is_numeric()
    frame = steps.select(
        series,
        before.alias("from"),
        pl.col(time).alias("to"),
        (size if is_number else size.dt.total_microseconds() / 1e6).cast(pl.Float64).alias("size"),
    )
    frame = frame.drop_nulls("size")
    middle = frame["size"].median()
    if is_number or not skips_weekends(steps[time], middle if isinstance(middle, float) else None):
        return frame
    weeks = pl.col("to").dt.truncate("1w") - pl.col("from").dt.truncate("1w")
    shorter = pl.col("size") - weeks.dt.total_microseconds() / 1e6 * 2 / 7
    return frame.with_columns(pl.when(shorter > 0).then(shorter).otherwise("size").alias("size"))


def is_regular(steps: pl.DataFrame, series: str, time: str) -> bool:
    """Whether all steps of a single series are equally long."""
    if steps[series].n_unique() > 1:
        return False
    sizes = np.diff(_ticks(steps[time]))
    return bool((sizes == sizes[:1]).all())


def irregularity_notes(steps: pl.DataFrame, series: str, time: str) -> list[str]:
    """The usual step, how many are longer by half or more, and where the longest gaps are; nothing when all are alike."""
    if is_regular(steps, series, time):
        return []
    sizes = step_sizes(steps, series, time)
    middle = sizes["size"].median()
    if not isinstance(middle, float) or middle <= 0:
        return []
    gaps = sizes.filter(pl.col("size") > 1.5 * middle)
    short = sizes.filter(pl.col("size") < middle / 1.5).height
    is_number = steps[time].dtype.is_numeric()
    if not gaps.height and not short:
        return []
    many = sizes[series].n_unique() > 1
    usual = f"{middle:g}" if is_number else duration_text(middle)
    note = f"The steps are not all alike: usually {usual}, but {gaps.height} of {sizes.height} {_are(gaps.height)} longer"
    note += f" and {short} shorter" if short else ""
    if not gaps.height:
        return [f"{note}."]
    first, largest = (
        gaps.sort("from", maintain_order=True).head(1),
        gaps.sort("size", descending=True, maintain_order=True).head(3),
    )
    many = sizes[series].n_unique() > 1
    note += f"; {_counted_gaps(gaps.height)}, first {_stretches(first, series, many)}, the longest from "
    note += f"{_stretches(largest, series, many)}. Rows beside a gap are read as neighbours: no step is invented. "
    return [f"{note}Add the missing rows with empty values where that is not meant."]


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _counted_gaps(count: int) -> str:
    return "1 gap" if count == 1 else f"{count} gaps"


def _stretches(gaps: pl.DataFrame, series: str, many: bool) -> str:
    """Where gaps begin and end, and in which series where there are several."""
    return "; ".join(
        f"{row['from']} to {row['to']}" + (f" in '{row[series]}'" if many else "") for row in gaps.iter_rows(named=True)
    )


def duration_text(seconds: float) -> str:
    """A duration in its largest fitting unit: 1 hour, 15 minutes, 2 days.

    >>> duration_text(3600.0), duration_text(900.0), duration_text(0.25)
    ('1 hour', '15 minutes', '0.25 seconds')
    """
    for size, unit in ((86_400.0, "day"), (3_600.0, "hour"), (60.0, "minute"), (1.0, "second")):
        if seconds >= size or unit == "second":
            count = seconds / size
            return f"{count:.4g} {unit}{'' if count == 1 else 's'}"
    raise AssertionError
