"""Stretches of rows as parts: equal to a count by hand in every series, rebuilt exactly, refused on other data."""

import numpy as np
import polars as pl
import pytest

from gatework.data.split import PARTS, apply_split, split_by_intervals
from gatework.errors import DataError, RunError
from gatework.runs import Bound, Interval, SplitRecord
from refusals import refusal
from tables import forecast_table, hourly

LENGTHS = [50, 33, 1, 64]


def at(hour: int, steps: int = 0) -> Bound:
    return Bound(stamp=hourly(100).dt.to_string("iso:strict")[hour], steps=steps)


def share(part: float, steps: int = 0) -> Bound:
    return Bound(share=part, steps=steps)


def test_a_row_is_in_the_interval_that_holds_its_time_stamp() -> None:
    table = forecast_table(LENGTHS)
    gaps = table.steps.filter(pl.int_range(pl.len()) % 7 != 3)
    table = type(table)(gaps, table.sequences, table.fields, table.series, table.time)
    intervals = [
        Interval(part="train", begin=at(0), end=at(10)),
        Interval(part="test", begin=at(10), end=at(20)),
        Interval(part="validation", begin=at(20, steps=3), end=Bound(share=1.0)),
    ]
    split = split_by_intervals(table, intervals)
    hours = ((gaps["when"] - hourly(1)[0]).dt.total_hours()).to_numpy()
    names = gaps["site"].to_list()
    seen: dict[str, int] = {}
    for row, (hour, name) in enumerate(zip(hours, names, strict=True)):
        after = seen.setdefault(name, 0)
        expected = "train" if hour < 10 else "test" if hour < 20 else None
        if hour >= 20:
            seen[name] = after + 1
            expected = "validation" if after >= 3 else None
        assert (PARTS[split.steps[row]] if split.steps[row] >= 0 else None) == expected, (name, hour)
    assert apply_split(split.record, table).steps.tolist() == split.steps.tolist()
    assert SplitRecord.model_validate_json(split.record.model_dump_json()) == split.record


def test_without_a_clock_shares_are_of_each_series_and_steps_are_its_own() -> None:
    table = forecast_table(LENGTHS, has_clock=False)
    intervals = [
        Interval(part="train", begin=share(0.0), end=share(0.5)),
        Interval(part="validation", begin=share(0.5), end=share(1.0, steps=-4)),
        Interval(part="test", begin=share(1.0, steps=-4), end=share(1.0)),
    ]
    steps = split_by_intervals(table, intervals).steps
    expected = []
    for length in LENGTHS:
        half, last = int(length / 2 + 0.5), max(length - 4, 0)
        expected += [2 if row >= last else 0 if row < half else 1 for row in range(length)]
    assert steps.tolist() == expected


def test_an_empty_part_and_another_table_are_refused() -> None:
    table = forecast_table([40])
    whole = [
        Interval(part="train", begin=at(0), end=at(20)),
        Interval(part="validation", begin=at(20), end=at(30)),
        Interval(part="test", begin=at(30), end=share(1.0)),
    ]
    with pytest.raises(DataError, match="The validation part of the split is empty"):
        split_by_intervals(table, [whole[0], whole[2]])
    record = split_by_intervals(table, whole).record
    assert "has no such time stamp" in refusal(lambda: apply_split(record, forecast_table([25])), RunError)
    assert "train" in str(refusal(lambda: apply_split(record, forecast_table([40], has_clock=False)), RunError))
    assert np.array_equal(apply_split(record, table).steps, split_by_intervals(table, whole).steps)
