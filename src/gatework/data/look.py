"""What there is to see in a table before anything is trained: columns, series, time, gaps, suspected leaks. Plain records."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from gatework.data.bundled import unit_of
from gatework.data.clock import why_irregular
from gatework.data.leaks import Leak, suspected_leaks
from gatework.data.order import duration_text, step_sizes
from gatework.data.table import Field, Table
from gatework.runs import DataPlan


@dataclass(frozen=True)
class ColumnFacts:
    """One column. missing_share: 0–1.

    low, middle, high: of numbers and times, as text, else empty. categories: the most frequent first.
    """

    name: str
    kind: str
    role: str
    unit: str
    missing_share: float
    low: str = ""
    middle: str = ""
    high: str = ""
    categories: tuple[str, ...] = ()
    num_categories: int = 0


@dataclass(frozen=True)
class SeriesFacts:
    """How many series, and their lengths in steps."""

    count: int
    shortest: int
    median: float
    longest: int


@dataclass(frozen=True)
class TimeFacts:
    """The time column. step: the usual one, in words. num_gaps: steps longer by half or more. largest: (from, to, series).

    irregular: how the steps differ, in words; empty where they are alike.
    """

    name: str
    first: str
    last: str
    step: str
    num_gaps: int
    largest: tuple[tuple[str, str, str], ...] = ()
    irregular: str = ""


@dataclass(frozen=True)
class Look:
    """Everything that `gatework look` shows about the data itself."""

    columns: tuple[ColumnFacts, ...]
    series: SeriesFacts
    time: TimeFacts
    leaks: tuple[Leak, ...]
    notes: tuple[str, ...]


def describe(table: Table, plan: DataPlan, horizon: int = 0) -> Look:
    """The facts of a table. Suspected leaks are looked for among the numeric covariates only, `horizon` steps ahead."""
    columns = tuple(_column_facts(table, field, plan) for field in table.fields if field.role not in ("series", "time"))
    lengths = (
        table.sequences.select(table.series)
        .join(table.steps.group_by(table.series).len("steps"), on=table.series, how="left")["steps"]
        .fill_null(0)
    )
    low, high = lengths.min(), lengths.max()
    series = SeriesFacts(
        len(lengths),
        low if isinstance(low, int) else 0,
        float(np.median(lengths.to_numpy())),
        high if isinstance(high, int) else 0,
    )
    leaks = suspected_leaks(table, horizon)
    said = {leak.warning for leak in leaks}
    return Look(columns, series, _time_facts(table), leaks, tuple(note for note in table.notes if note not in said))


def _column_facts(table: Table, field: Field, plan: DataPlan) -> ColumnFacts:
    frame = table.steps if field.name in table.steps.columns else table.sequences
    column = frame[field.name]
    missing = column.null_count() / max(1, len(column))
    unit = unit_of(plan.sources, field.name)
    if field.kind in ("categorical", "boolean"):
        counts = column.drop_nulls().cast(pl.String).value_counts(sort=True)
        names = tuple(counts[field.name].head(8).to_list())
        return ColumnFacts(field.name, field.kind, field.role, unit, missing, categories=names, num_categories=counts.height)
    low, middle, high = (_text(value) for value in (column.min(), column.median(), column.max()))
    return ColumnFacts(field.name, field.kind, field.role, unit, missing, low, middle, high)


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _time_facts(table: Table) -> TimeFacts:
    times = table.steps[table.time]
    sizes = step_sizes(table.steps, table.series, table.time)
    middle = sizes["size"].median()
    step, gaps = "", sizes.head(0)
    if isinstance(middle, float):
        step = f"{middle:g}" if times.dtype.is_numeric() else duration_text(middle)
        gaps = sizes.filter(pl.col("size") > 1.5 * middle).sort("size", descending=True)
    largest = tuple((str(row["from"]), str(row["to"]), str(row[table.series])) for row in gaps.head(3).iter_rows(named=True))
    return TimeFacts(table.time, _text(times.min()), _text(times.max()), step, gaps.height, largest, why_irregular(table))
