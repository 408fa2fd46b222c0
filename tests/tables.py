"""Small tables for the tests of the data room, built by hand, so that these tests do not depend on how files are read."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl

from gatework.data.prepare import Preparation, Prepared
from gatework.data.split import Split, make_split
from gatework.data.table import SERIES, STEP, Field, Table
from gatework.runs import SplitPlan

START = datetime(2020, 1, 1)
TIME = SplitPlan(kind="time")
STRATIFIED = SplitPlan(kind="stratified")


def hourly(count: int, start: datetime = START) -> pl.Series:
    return pl.datetime_range(start, start.replace(year=start.year + 20), "1h", eager=True).head(count)


def forecast_table(
    lengths: list[int],
    seed: int = 0,
    has_clock: bool = True,
    columns: dict[str, tuple[Field, list[object]]] | None = None,
    target_missing: str = "previous",
    gaps: float = 0.0,
) -> Table:
    """Hourly series 's0', 's1', … with target 'load', past 'temp', known-future 'price', static 'area', and more."""
    generator = np.random.default_rng(seed)
    total = sum(lengths)
    names = [f"s{i}" for i, length in enumerate(lengths) for _ in range(length)]
    times = [hourly(length) for length in lengths] if has_clock else [pl.int_range(length, eager=True) for length in lengths]
    time = "when" if has_clock else STEP
    load = pl.Series(generator.normal(100, 10, total))
    load = load.set(pl.Series(generator.random(total) < gaps), None)
    steps = pl.DataFrame(
        {
            "site": pl.Series(names, dtype=pl.String),
            time: pl.concat(times),
            "load": load,
            "temp": generator.normal(15, 5, total),
            "price": generator.normal(3, 1, total),
            **{name: pl.Series(values) for name, (_, values) in (columns or {}).items()},
        }
    )
    sequences = pl.DataFrame(
        {"site": [f"s{i}" for i in range(len(lengths))], "area": generator.normal(50, 20, len(lengths))},
        schema_overrides={"site": pl.String},
    )
    fields = (
        Field("site", "categorical", "series"),
        Field(time, "timestamp" if has_clock else "numeric", "time"),
        Field("load", "numeric", "target", missing=target_missing),
        Field("temp", "numeric", "past"),
        Field("price", "numeric", "known_future"),
        Field("area", "numeric", "static"),
        *(field for field, _ in (columns or {}).values()),
    )
    return Table(steps, sequences, fields, "site", time)


def sequence_table(
    lengths: list[int],
    labels: list[object],
    kind: str = "categorical",
    extra: dict[str, tuple[Field, list[object]]] | None = None,
) -> Table:
    """Sequences '0', '1', … with the step features 'x' and 'y' and one answer 'label' each."""
    generator = np.random.default_rng(1)
    total = sum(lengths)
    steps = pl.DataFrame(
        {
            SERIES: pl.Series([str(i) for i, length in enumerate(lengths) for _ in range(length)], dtype=pl.String),
            STEP: pl.Series([t for length in lengths for t in range(length)], dtype=pl.Int64),
            "x": generator.normal(0, 1, total),
            "y": generator.normal(5, 2, total),
        }
    )
    answers = pl.Series(labels, dtype=pl.String if kind == "categorical" else pl.Float64)
    sequences = pl.DataFrame(
        {
            SERIES: [str(i) for i in range(len(lengths))],
            "label": answers,
            **{name: pl.Series(values) for name, (_, values) in (extra or {}).items()},
        }
    )
    fields = (
        Field(SERIES, "categorical", "series"),
        Field(STEP, "numeric", "time"),
        Field("x", "numeric", "past"),
        Field("y", "numeric", "past"),
        Field("label", kind, "target"),
        *(field for field, _ in (extra or {}).values()),
    )
    return Table(steps, sequences, fields, SERIES, STEP)


def step_answer_table(
    lengths: list[int],
    kind: str = "categorical",
    seed: int = 0,
    missing: float = 0.0,
    part: list[str] | None = None,
) -> Table:
    """Hourly sequences 's0', 's1', … with inputs 'x', 'y', an attribute 'area' and an answer 'state' at each step.

    The answer is 'on' (or 1.0) from the last step at which x rose above 1 until it falls below −1.
    """
    generator = np.random.default_rng(seed)
    total = sum(lengths)
    x = generator.normal(0, 1.5, total)
    states, place = [], 0
    for length in lengths:
        is_on = False
        for value in x[place : place + length]:
            is_on = value > 1 or (is_on and value > -1)
            states.append(is_on)
        place += length
    words: list[object] = [("on" if is_on else "off") if kind == "categorical" else float(is_on) for is_on in states]
    answers = pl.Series("state", words).set(pl.Series(generator.random(total) < missing), None)
    steps = pl.DataFrame(
        {
            "site": pl.Series([f"s{i}" for i, length in enumerate(lengths) for _ in range(length)], dtype=pl.String),
            "when": pl.concat([hourly(length) for length in lengths]),
            "x": x,
            "y": generator.normal(5, 2, total),
            "state": answers,
            **({} if part is None else {"part": part}),
        }
    )
    sequences = pl.DataFrame({"site": [f"s{i}" for i in range(len(lengths))], "area": generator.normal(50, 20, len(lengths))})
    fields = (
        Field("site", "categorical", "series"),
        Field("when", "timestamp", "time"),
        Field("x", "numeric", "past"),
        Field("y", "numeric", "past"),
        Field("area", "numeric", "static"),
        Field("state", kind, "target"),
        *(() if part is None else (Field("part", "categorical", "split"),)),
    )
    return Table(steps, sequences, fields, "site", "when", answers_steps=True)


def with_steps(table: Table, *columns: pl.Expr) -> Table:
    return replace(table, steps=table.steps.with_columns(*columns))


def with_field(table: Table, name: str, **changes: object) -> Table:
    fields = tuple(field.but(**changes) if field.name == name else field for field in table.fields)
    return replace(table, fields=fields)


def prepared_and_fit(table: Table, plan: SplitPlan = TIME) -> tuple[Split, Preparation, Prepared]:
    split = make_split(table, plan)
    preparation = Preparation.fit(table, split)
    return split, preparation, preparation.apply(table, split)


def column(prepared: Prepared, name: str) -> np.ndarray:
    for names, block in (
        (prepared.input_names, prepared.inputs),
        (prepared.future_names, prepared.future),
        (prepared.static_names, prepared.static),
    ):
        if name in names:
            return block[:, names.index(name)]
    raise AssertionError(f"no input {name}")


def with_column(table: Table, field: Field, values: list[object]) -> Table:
    steps = table.steps.with_columns(pl.Series(field.name, values))
    return Table(steps, table.sequences, (*table.fields, field), table.series, table.time)
