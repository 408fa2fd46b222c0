"""A preparation as a whole: gaps, nothing from outside the training rows, saved and loaded, bad input."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework.data.fill import fill
from gatework.data.future import append_horizon
from gatework.data.prepare import Preparation
from gatework.data.series import Rows, from_lengths
from gatework.data.split import make_split
from gatework.data.table import Field, Table
from gatework.errors import DataError, RunError
from tables import (
    STRATIFIED,
    TIME,
    column,
    forecast_table,
    prepared_and_fit,
    sequence_table,
    with_field,
    with_steps,
)


def slow_fill(values, lengths, policy, default, constant, may_look_ahead):
    """The policies in the plainest words."""
    result, start = list(values), 0
    for length in lengths:
        for row in range(start, start + length):
            if not np.isnan(values[row]):
                continue
            before = [i for i in range(start, row) if not np.isnan(values[i])]
            after = [i for i in range(row, start + length) if not np.isnan(values[i])]
            if policy in ("mean", "constant"):
                result[row] = default if policy == "mean" else constant
            elif not before:
                result[row] = default
            elif policy == "linear" and after and may_look_ahead[row] and may_look_ahead[after[0]]:
                low, high = before[-1], after[0]
                result[row] = values[low] + (values[high] - values[low]) * (row - low) / (high - low)
            else:
                result[row] = values[before[-1]]
        start += length
    return result


@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=5),
    policy=st.sampled_from(["previous", "linear", "mean", "constant", "mask", "drop"]),
    seed=st.integers(0, 1000),
)
def test_gaps_are_filled_as_a_plain_loop_fills_them(lengths, policy, seed):
    generator = np.random.default_rng(seed)
    total = sum(lengths)
    values = np.where(generator.random(total) < 0.5, np.nan, generator.normal(size=total))
    train = generator.random(total) < 0.7
    filled = fill(values, from_lengths(np.array(lengths)), policy, 5.0, -1.0, np.arange(total, dtype=float), train)
    np.testing.assert_allclose(filled, slow_fill(values, lengths, policy, 5.0, -1.0, train), rtol=1e-12)


def test_a_line_follows_the_time_stamps_not_the_rows():
    values, times = np.array([0.0, np.nan, 10.0]), np.array([0.0, 9.0, 10.0])
    filled = fill(values, Rows(np.array([0, 3])), "linear", 0.0, 0.0, times, np.ones(3, dtype=bool))
    assert filled.tolist() == [0.0, 9.0, 10.0]


def test_linear_looks_ahead_in_training_rows_only():
    temps: list[float | None] = [float(i) for i in range(100)]
    temps[10:12] = [None, None]
    temps[69] = None  # the last training row: the next observation belongs to validation
    temps[90] = None
    table = with_field(with_steps(forecast_table([100]), pl.Series("temp", temps)), "temp", missing="linear")
    _, preparation, prepared = prepared_and_fit(table)
    scale = next(field.scale for field in preparation.record.fields if field.name == "temp")
    seen = scale.inverse(column(prepared, "temp"))
    np.testing.assert_allclose(seen[[10, 11, 69, 90]], [10, 11, 68, 89], rtol=1e-5)
    without_split = scale.inverse(column(preparation.apply(table), "temp"))
    np.testing.assert_allclose(without_split[[10, 11, 69, 90]], [9, 9, 68, 89], rtol=1e-5)


@pytest.mark.parametrize("policy", ["previous", "linear", "mean", "constant", "mask", "drop"])
@pytest.mark.parametrize("name", ["load", "temp", "price", "area"])
def test_no_policy_lets_a_missing_or_infinite_number_through(policy, name):
    table = with_field(forecast_table([60, 60, 60, 60], gaps=0.3), name, missing=policy)
    generator = np.random.default_rng(5)
    holes = [pl.Series(c, np.where(generator.random(240) < 0.4, np.nan, table.steps[c].to_numpy())) for c in ("temp", "price")]
    table = with_steps(table, *holes)
    table = Table(
        table.steps,
        table.sequences.with_columns(pl.Series("area", [None, 1.0, 2.0, 4.0])),
        table.fields,
        table.series,
        table.time,
    )
    _, _, prepared = prepared_and_fit(table)
    for block in (prepared.inputs, prepared.future, prepared.static):
        assert np.isfinite(block).all()
    assert (prepared.ids == ["s1", "s2", "s3"]) == (policy == "drop" and name == "area")
    np.testing.assert_array_equal(np.isnan(prepared.targets), np.isnan(prepared.raw_targets))


def test_the_target_history_says_where_it_was_observed():
    table = forecast_table([100], gaps=0.3)
    _, _, prepared = prepared_and_fit(table)
    np.testing.assert_array_equal(column(prepared, "load:observed"), table.steps["load"].is_not_null().to_numpy())
    _, _, prepared = prepared_and_fit(forecast_table([100]))
    assert "load:observed" not in prepared.input_names
    _, _, prepared = prepared_and_fit(with_field(forecast_table([100]), "price", missing="mask"))
    assert "price:observed" in prepared.future_names


def test_dropped_rows_leave_rows_that_still_know_their_place():
    table = with_field(forecast_table([30, 30], gaps=0.2), "load", missing="drop")
    _, _, prepared = prepared_and_fit(table)
    kept = np.flatnonzero(table.steps["load"].is_not_null().to_numpy())
    np.testing.assert_array_equal(prepared.rows, kept)
    assert prepared.offsets.tolist() == [0, (kept < 30).sum(), len(kept)]
    np.testing.assert_array_equal(prepared.raw_targets[:, 0], table.steps["load"].drop_nulls().to_numpy())
    assert prepared.times.to_list() == table.steps["when"].gather(kept).to_list()
    assert f"{60 - len(kept)} of 60 rows were left out because of missing values (policy 'drop')." in prepared.notes


def test_steps_to_be_forecast_are_not_gaps():
    table = with_field(with_field(forecast_table([50]), "load", missing="drop"), "price", role="past")
    _, preparation, _ = prepared_and_fit(table)
    prepared = preparation.apply(append_horizon(table, 6))
    assert prepared.offsets.tolist() == [0, 56]
    assert np.isnan(prepared.raw_targets[50:]).all()
    assert not prepared.notes


def disturbed(table: Table, rows: np.ndarray) -> Table:
    """Every value outside series and time is another one in those rows."""
    chosen = pl.Series(rows)
    names = {"load": 1e6, "temp": -1e6, "price": 777.0}
    changes = [pl.when(chosen).then(pl.lit(value)).otherwise(pl.col(name)).alias(name) for name, value in names.items()]
    return with_steps(table, *changes, pl.when(chosen).then(pl.lit("new")).otherwise(pl.col("kind")).alias("kind"))


@pytest.mark.parametrize("policy", ["previous", "linear", "mean", "mask", "drop"])
def test_rows_outside_training_change_no_fitted_number(policy):
    kinds = list(np.random.default_rng(2).choice(["a", "b", "c"], 200))
    table = forecast_table([100, 100], gaps=0.2, columns={"kind": (Field("kind", "categorical", "past"), kinds)})
    for name in ("load", "temp"):
        table = with_field(table, name, missing=policy)
    split = make_split(table, TIME)
    other = disturbed(table, split.steps != 0)
    assert Preparation.fit(table, split).to_json() == Preparation.fit(other, make_split(other, TIME)).to_json()
    inside = disturbed(table, np.arange(200) == 0)
    assert Preparation.fit(table, split).to_json() != Preparation.fit(inside, split).to_json()


def test_sequences_outside_training_change_no_fitted_number():
    area = {"area": (Field("area", "numeric", "static"), [float(i) for i in range(40)])}
    table = sequence_table([3] * 40, ["a", "b"] * 20, extra=area)
    split = make_split(table, STRATIFIED)
    rows, whole = pl.Series(split.steps != 0), pl.Series(split.sequences != 0)
    steps = table.steps.with_columns(pl.when(rows).then(1e6).otherwise(pl.col("x")).alias("x"))
    sequences = table.sequences.with_columns(pl.when(whole).then(-1e6).otherwise(pl.col("area")).alias("area"))
    other = Table(steps, sequences, table.fields, table.series, table.time)
    assert Preparation.fit(table, split).to_json() == Preparation.fit(other, split).to_json()


def test_a_saved_preparation_prepares_bit_for_bit_the_same():
    kinds = ["x", "y", "ü"] * 40
    table = forecast_table([60, 60], gaps=0.1, columns={"kind": (Field("kind", "categorical", "known_future"), kinds)})
    _, preparation, _ = prepared_and_fit(table)
    loaded = Preparation.from_json(preparation.to_json())
    one, other = preparation.apply(table), loaded.apply(table)
    for name in ("inputs", "future", "static", "targets", "raw_targets"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.input_names == other.input_names
    assert loaded.to_json() == preparation.to_json()


def text_with(**changes: object) -> str:
    _, preparation, _ = prepared_and_fit(forecast_table([60]))
    return json.dumps(json.loads(preparation.to_json()) | changes)


def test_a_damaged_or_newer_file_is_refused():
    good = text_with()
    for text in (good[: len(good) // 2], "", "[]", "null", text_with(fields=[]), text_with(surprise=1), text_with(task="dance")):
        with pytest.raises(RunError, match=r"(?s)prepare\.json is damaged: .*Expected.*train again"):
            Preparation.from_json(text)
    with pytest.raises(RunError, match=r"schema version 99.*Upgrade gatework"):
        Preparation.from_json(text_with(schema_version=99))


def fit(table, plan=TIME):
    return Preparation.fit(table, make_split(table, plan))


def test_a_target_that_cannot_be_learned_is_said_in_three_parts():
    table = forecast_table([100])
    with pytest.raises(DataError, match=r"'load' is 5 in every training row.*nothing to learn.*Choose another target"):
        fit(with_steps(table, pl.when(pl.int_range(pl.len()) < 85).then(5.0).otherwise(pl.col("load")).alias("load")))
    with pytest.raises(DataError, match=r"'load' has no value in the training part.*known targets.*Give data"):
        fit(with_steps(table, pl.when(pl.int_range(pl.len()) >= 85).then(pl.col("load")).alias("load")))
    with pytest.raises(DataError, match=r"sequences of one class only, 'a'.*at least two.*Move sequences"):
        fit(sequence_table([2] * 20, ["a"] * 20), STRATIFIED)
    with pytest.raises(DataError, match=r"'load' is categorical.*needs a number.*Choose a numeric column"):
        fit(with_field(with_steps(table, pl.col("load").cast(pl.String)), "load", kind="categorical"))


def test_infinite_values_are_said_in_three_parts():
    table = forecast_table([100])
    broken = with_steps(table, pl.when(pl.int_range(pl.len()) == 7).then(np.inf).otherwise(pl.col("temp")).alias("temp"))
    with pytest.raises(DataError, match=r"'temp' holds inf.*must be finite.*Replace them"):
        fit(broken)
    with pytest.raises(DataError, match=r"'temp' holds inf at row 7"):
        fit(table).apply(broken)


def test_other_columns_than_in_training_are_said_in_three_parts():
    table = forecast_table([100])
    preparation = fit(table)
    renamed = Table(table.steps.rename({"temp": "temps"}), table.sequences, table.fields, table.series, table.time)
    with pytest.raises(DataError, match=r"no column 'temp'.*Did you mean 'temps'\?.*Give data"):
        preparation.apply(renamed)
    text = with_field(with_steps(table, pl.col("temp").cast(pl.String)), "temp", kind="categorical")
    with pytest.raises(DataError, match=r"'temp' is categorical; in training it was numeric.*Give it"):
        preparation.apply(text)
    days = fit(forecast_table([24 * 20]))
    steps = table.steps.with_columns(pl.int_range(pl.len()).alias("when"))
    with pytest.raises(DataError, match=r"no time stamps.*hour of day.*Give the time column"):
        days.apply(Table(steps, table.sequences, table.fields, table.series, table.time))


def test_a_table_without_inputs_is_refused():
    table = sequence_table([2] * 20, ["a", "b"] * 10)
    fields = tuple(field for field in table.fields if field.role != "past")
    with pytest.raises(DataError, match=r"No column is left as input.*at least one column.*Add one"):
        fit(Table(table.steps, table.sequences, fields, table.series, table.time), STRATIFIED)
