"""Which rows and sequences train, validate and test."""

from collections import Counter
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework.data.split import PARTS, Split, apply_split, make_split
from gatework.data.table import Field, Table
from gatework.errors import ConfigError, DataError, RunError
from gatework.runs import SplitPlan, SplitRecord
from tables import START, STRATIFIED, TIME, forecast_table, hourly, sequence_table


def same(one: Split, other: Split) -> bool:
    return one.kind == other.kind and np.array_equal(one.steps, other.steps) and np.array_equal(one.sequences, other.sequences)


def rebuilt(split: Split, table: Table) -> Split:
    """As after a run: the record goes through the text of split.json."""
    return apply_split(SplitRecord.model_validate_json(split.record.model_dump_json()), table)


def test_the_last_shares_of_the_distinct_time_stamps_validate_and_test_in_every_series():
    table = forecast_table([100, 60, 100])
    split = make_split(table, TIME)
    hours = np.array([(when - START) / timedelta(hours=1) for when in table.steps["when"]])
    np.testing.assert_array_equal(split.steps, np.where(hours >= 85, 2, np.where(hours >= 70, 1, 0)))
    assert split.record.boundaries == {"validation": "2020-01-03T22:00:00.000000", "test": "2020-01-04T13:00:00.000000"}
    assert split.record.counts == {"train": 200, "validation": 30, "test": 30} | {"train": 70 + 60 + 70}
    assert split.sequences.tolist() == [-1, 0, -1]
    assert "1 of 3 series have no test rows (s1)." in split.record.notes


def test_without_a_clock_each_series_is_cut_at_the_same_share_of_its_own_rows():
    split = make_split(forecast_table([100, 20], has_clock=False), TIME)
    expected = [0] * 70 + [1] * 15 + [2] * 15 + [0] * 14 + [1] * 3 + [2] * 3
    assert split.steps.tolist() == expected


@pytest.mark.parametrize("unit", ["ns", "us", "ms"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_boundaries_survive_every_kind_of_time_column(unit, zone):
    table = forecast_table([300])
    start = START.replace(month=10, day=20)  # the clock goes back on the 25th: one local hour occurs twice
    times = hourly(300, start).dt.replace_time_zone("UTC").dt.convert_time_zone(zone or "UTC").dt.cast_time_unit(unit)
    times = times if zone else times.dt.replace_time_zone(None)
    table = Table(table.steps.with_columns(times.alias("when")), table.sequences, table.fields, "site", "when")
    for validation in (0.15, 0.553, 0.5533, 0.557):
        split = make_split(table, SplitPlan(kind="time", validation=validation))
        assert same(split, rebuilt(split, table))


def test_an_order_column_of_fractions_is_a_common_clock():
    table = forecast_table([50])
    orders = pl.Series("when", np.arange(50) * 0.1)
    table = Table(table.steps.with_columns(orders), table.sequences, table.fields, "site", "when")
    split = make_split(table, TIME)
    assert split.record.counts == {"train": 34, "validation": 8, "test": 8}
    assert same(split, rebuilt(split, table))


def test_classes_are_divided_in_the_same_shares():
    labels = ["a"] * 40 + ["b"] * 20 + ["c"] * 7
    split = make_split(sequence_table([2] * 67, labels), STRATIFIED)
    counts = {part: Counter(np.array(labels)[split.sequences == code]) for code, part in enumerate(PARTS)}
    assert counts["test"] == {"a": 6, "b": 3, "c": 1}
    assert counts["validation"] == {"a": 6, "b": 3, "c": 1}
    np.testing.assert_array_equal(split.steps, np.repeat(split.sequences, 2))


@given(
    sizes=st.lists(st.integers(1, 12), min_size=2, max_size=5),
    seed=st.integers(0, 5),
    shares=st.sampled_from([(0.15, 0.15), (0.45, 0.45), (0.05, 0.6)]),
)
def test_every_class_trains_and_every_class_of_three_is_in_every_part(sizes, seed, shares):
    sizes = [*sizes, 3]
    labels = [f"class{i}" for i, size in enumerate(sizes) for _ in range(size)]
    table = sequence_table([1] * len(labels), labels)
    split = make_split(table, SplitPlan(kind="stratified", seed=seed, validation=shares[0], test=shares[1]))
    for i, size in enumerate(sizes):
        parts = set(split.sequences[np.array(labels) == f"class{i}"].tolist())
        assert 0 in parts
        assert size < 3 or parts == {0, 1, 2}
    assert same(split, rebuilt(split, table))


def test_the_seed_alone_decides_the_draw():
    table = sequence_table([1] * 60, ["a", "b"] * 30)
    first, again, other = (make_split(table, SplitPlan(kind="stratified", seed=seed)) for seed in (3, 3, 4))
    assert same(first, again)
    assert not same(first, other)


def test_a_class_with_one_sequence_trains_and_is_said():
    split = make_split(sequence_table([1] * 21, ["a"] * 20 + ["rare"]), STRATIFIED)
    assert split.sequences[20] == 0
    assert any("Class 'rare' has one sequence" in note for note in split.record.notes)


def test_sequences_without_an_answer_are_in_no_part():
    table = sequence_table([2] * 22, ["a", "b"] * 10 + [None, None])
    split = make_split(table, STRATIFIED)
    assert split.sequences[20:].tolist() == [-1, -1]
    assert split.steps[40:].tolist() == [-1] * 4
    assert sum(split.record.counts.values()) == 20
    assert any(note.startswith("2 sequences have no answer in 'label'") for note in split.record.notes)
    assert same(split, rebuilt(split, table))


def test_a_group_is_never_in_two_parts_and_every_class_stays_in_train():
    patients = [f"p{i // 3}" for i in range(60)]
    labels = ["sick" if int(patient[1:]) % 10 == 0 else "well" for patient in patients]  # two sick patients
    table = sequence_table([1] * 60, labels, extra={"patient": (Field("patient", "categorical", "static"), patients)})
    for seed in range(8):
        split = make_split(table, SplitPlan(kind="group", column="patient", seed=seed))
        for patient in set(patients):
            assert len(set(split.sequences[np.array(patients) == patient].tolist())) == 1
        assert {labels[i] for i in np.flatnonzero(split.sequences == 0)} == {"sick", "well"}
        assert split.record.counts == {"train": 42, "validation": 9, "test": 9}
        assert same(split, rebuilt(split, table))


def test_whole_series_can_be_divided_for_a_forecast():
    table = forecast_table([10] * 10)
    split = make_split(table, SplitPlan(kind="group"))
    assert Counter(split.sequences.tolist()) == {0: 6, 1: 2, 2: 2}
    np.testing.assert_array_equal(split.steps, np.repeat(split.sequences, 10))
    assert same(split, rebuilt(split, table))


PART_FIELD = Field("part", "categorical", "split")


def test_a_column_divides_sequences_in_all_its_spellings():
    words = ["train", " Training", "val", "VALID", "dev", "test", "Testing", "validation"]
    table = sequence_table([1] * 8, ["a", "b", "a", "b", "a", "b", "a", "b"], extra={"part": (PART_FIELD, words)})
    split = make_split(table, SplitPlan(kind="column"))
    assert split.sequences.tolist() == [0, 0, 1, 1, 1, 2, 2, 1]
    assert same(split, rebuilt(split, table))


def test_validation_is_carved_out_of_train_by_class_when_files_give_none():
    labels = ["a", "b"] * 30
    parts = ["train"] * 40 + ["test"] * 20
    table = sequence_table([1] * 60, labels, extra={"part": (PART_FIELD, parts)})
    split = make_split(table, SplitPlan(kind="files"))
    assert (split.sequences[40:] == 2).all()
    assert Counter(np.array(labels)[split.sequences == 1]) == {"a": 3, "b": 3}
    assert any("The files give no validation sequences: 15% of train" in note for note in split.record.notes)
    assert same(split, rebuilt(split, table))


def test_validation_is_carved_out_of_train_by_time_for_a_forecast():
    parts = ["train"] * 80 + ["test"] * 20
    table = forecast_table([100], columns={"part": (PART_FIELD, parts)})
    split = make_split(table, SplitPlan(kind="column"))
    assert split.steps.tolist() == [0] * 68 + [1] * 12 + [2] * 20
    assert split.record.boundaries == {"validation": "2020-01-03T20:00:00.000000"}
    assert same(split, rebuilt(split, table))


def test_validation_is_carved_out_of_each_series_without_a_clock():
    parts = (["train"] * 20 + ["test"] * 5) * 2
    table = forecast_table([25, 25], has_clock=False, columns={"part": (PART_FIELD, parts)})
    split = make_split(table, SplitPlan(kind="files"))
    assert split.steps.tolist() == ([0] * 17 + [1] * 3 + [2] * 5) * 2
    assert same(split, rebuilt(split, table))


def test_new_data_is_test_altogether():
    split = Split.all_test(forecast_table([5, 3]))
    assert split.steps.tolist() == [2] * 8
    assert split.sequences.tolist() == [2, 2]
    assert split.record.counts == {"train": 0, "validation": 0, "test": 8}


def test_training_rows_after_test_rows_are_said():
    parts = ["train"] * 10 + ["val"] * 5 + ["test"] * 5 + ["train"] * 5
    table = forecast_table([25], columns={"part": (PART_FIELD, parts)})
    assert any("come after later parts" in note for note in make_split(table, SplitPlan(kind="column")).record.notes)


BY_COLUMN = SplitPlan(kind="column")


def changing_parts() -> Table:
    table = sequence_table([2, 2, 2], ["a", "b", "a"])
    words = pl.Series("part", ["train", "train", "train", "test", "test", "test"])
    return Table(table.steps.with_columns(words), table.sequences, (*table.fields, PART_FIELD), table.series, table.time)


def with_parts(labels: list[str], words: list[str | None]) -> Table:
    return sequence_table([1] * len(words), labels, extra={"part": (PART_FIELD, words)})


@pytest.mark.parametrize(
    ("table", "plan", "error", "words"),
    [
        (forecast_table([1]), TIME, DataError, ["has 1 rows", "at least 3", "Give more rows"]),
        (forecast_table([1, 1, 1, 1]), TIME, DataError, ["has 1 distinct time stamps", "at least 3", "Give more rows"]),
        (sequence_table([1], ["a"]), STRATIFIED, DataError, ["has 1 sequences", "at least 3", "Give more"]),
        (forecast_table([50]), SplitPlan(kind="group"), DataError, ["has 1 sequences", "at least 3", "--split-by time"]),
        (sequence_table([1] * 4, ["a", "b", "c", "d"]), STRATIFIED, DataError, ["validation part", "is empty", "Give more data"]),
        (forecast_table([50]), SplitPlan(kind="time", test=0.0), ConfigError, ["test 0.0", "above 0", "Use for example"]),
        (forecast_table([50]), SplitPlan(kind="time", test=0.6, validation=0.4), ConfigError, ["below 1"]),
        (sequence_table([1] * 9, ["a"] * 9), TIME, ConfigError, ["by time", "--split-by stratified"]),
        (sequence_table([1] * 9, ["a"] * 9), SplitPlan(kind="group", column="lable"), ConfigError, ["'lable'", "mean 'label'"]),
        (sequence_table([1] * 9, ["a"] * 9), BY_COLUMN, ConfigError, ["0 columns", "--split-column COLUMN"]),
        (with_parts(["a"] * 4, ["train", "val", "tset", "test"]), BY_COLUMN, DataError, ["'tset'", "must say train", "Correct"]),
        (with_parts(["a"] * 4, ["train", "val", None, "test"]), BY_COLUMN, DataError, ["'None'", "must say train"]),
        (with_parts(["a"] * 4, ["train", "train", "val", "val"]), BY_COLUMN, DataError, ["test part", "is empty"]),
        (
            with_parts(["a", "b", "a", "c"], ["train", "train", "val", "test"]),
            BY_COLUMN,
            DataError,
            ["Class 'c'", "only in test", "seen in training", "Move some"],
        ),
        (
            changing_parts(),
            BY_COLUMN,
            DataError,
            ["has 2 different values within series '1'", "constant in each", "Correct"],
        ),
    ],
)
def test_what_cannot_be_divided_is_said_in_three_parts(table, plan, error, words):
    with pytest.raises(error) as caught:
        make_split(table, plan)
    for word in words:
        assert word in str(caught.value)


def test_a_record_of_other_data_is_refused():
    record = make_split(forecast_table([100]), TIME).record
    with pytest.raises(RunError, match=r"no such time stamp.*Restore that data"):
        apply_split(record, forecast_table([50]))
    with pytest.raises(RunError, match=r"70 train, 15 validation, 15 test; the data gives 70 train, 15 validation, 115 test"):
        apply_split(record, forecast_table([200]))
    record = make_split(sequence_table([1] * 20, ["a", "b"] * 10), STRATIFIED).record
    with pytest.raises(RunError, match=r"no such series"):
        apply_split(record, sequence_table([1] * 10, ["a", "b"] * 5))
