"""Scales, categories and calendar: one column as columns of numbers."""

from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework.data.calendar import calendar_features, choose_periods
from gatework.data.future import append_horizon
from gatework.data.scale import CLIP, fit_scale, mean_and_std, skewness
from gatework.data.series import from_lengths
from gatework.data.table import Field, Table
from tables import (
    START,
    STRATIFIED,
    column,
    forecast_table,
    hourly,
    prepared_and_fit,
    sequence_table,
    with_column,
    with_field,
    with_steps,
)


def test_numbers_have_mean_0_and_deviation_1_over_the_training_rows():
    split, _, prepared = prepared_and_fit(forecast_table([200, 200]))
    train = split.steps == 0
    for name in ("load", "temp", "price"):
        assert abs(column(prepared, name)[train].astype(np.float64).mean()) < 1e-6  # float32 sums of values near 1
        assert abs(column(prepared, name)[train].astype(np.float64).std() - 1) < 1e-6


def test_rooms_and_names_follow_the_roles():
    _, _, prepared = prepared_and_fit(forecast_table([2000]))
    assert prepared.input_names == ["temp", "load"]
    assert prepared.future_names[0] == "price"
    assert prepared.static_names == ["area"]
    assert prepared.target_names == ["load"]
    assert prepared.inputs.dtype == prepared.future.dtype == prepared.static.dtype == np.float32
    _, _, prepared = prepared_and_fit(sequence_table([3, 0, 4] * 7, ["a", "b", "b"] * 7), STRATIFIED)
    assert prepared.input_names == ["x", "y"]
    assert prepared.future.shape == (49, 0)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60))
def test_the_scale_and_its_inverse_cancel(values):
    raw = np.array(values)
    scale = fit_scale(raw)
    np.testing.assert_allclose(scale.inverse(scale.scale(raw)), raw, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(raw).max()))


def test_the_logarithm_is_taken_by_the_stated_rule():
    generator = np.random.default_rng(0)
    lognormal, normal = generator.lognormal(3, 1, 500), generator.normal(50, 1, 500)
    assert fit_scale(lognormal).is_log
    assert not fit_scale(normal).is_log
    assert not fit_scale(lognormal - lognormal.min() - 0.1).is_log  # one negative value
    assert not fit_scale(lognormal[:19]).is_log  # too few to judge
    assert not fit_scale(lognormal * 1e-6).is_log  # log1p is the identity there: nothing is gained


def test_a_logged_target_comes_back_in_its_own_unit_and_meets_negative_values():
    generator = np.random.default_rng(0)
    table = with_steps(forecast_table([200]), pl.Series("load", generator.lognormal(3, 1, 200)))
    _, preparation, prepared = prepared_and_fit(table)
    assert any("'load' is skewed" in note for note in preparation.notes)
    raw = np.array([[[0.0], [3.5], [1e6], [-7.0]]])
    np.testing.assert_allclose(preparation.inverse_targets(preparation.scale_targets(raw)), raw, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(preparation.inverse_targets(prepared.targets), prepared.raw_targets, rtol=1e-5)  # float32
    assert preparation.inverse_targets(prepared.targets).dtype == np.float64


def test_moments_do_not_overflow_or_divide_by_zero():
    assert mean_and_std(np.array([1e300, -1e300])) == (0.0, 1e300)
    assert mean_and_std(np.full(7, 0.1)) == (0.1, 1.0)
    assert skewness(np.full(7, 0.1)) == 0
    np.testing.assert_allclose(skewness(np.array([0.0, 0, 0, 1])), 2 / np.sqrt(3))  # (1 − 2p) / √(p(1 − p)), p = 1/4


def test_far_values_are_clipped_and_counted_but_targets_are_not():
    table = forecast_table([200])
    spike = pl.when(pl.int_range(pl.len()) == 190).then(1e9).otherwise(pl.col("temp")).alias("temp")
    shock = pl.when(pl.int_range(pl.len()) == 191).then(1e9).otherwise(pl.col("load")).alias("load")
    _, _, prepared = prepared_and_fit(with_steps(table, spike, shock))
    assert column(prepared, "temp")[190] == CLIP
    assert column(prepared, "load")[191] == CLIP
    assert prepared.targets[191, 0] > 1e6
    assert (
        "'temp': 1 values lie more than 20 standard deviations from the training mean; the model sees them at that distance."
        in (prepared.notes)
    )


def test_a_constant_input_is_zero_and_said():
    _, preparation, prepared = prepared_and_fit(with_steps(forecast_table([50]), pl.lit(7.5).alias("temp")))
    assert (column(prepared, "temp") == 0).all()
    assert any("'temp' never changes" in note for note in preparation.notes)


def test_an_input_without_a_training_value_is_left_out_and_said():
    table = with_steps(forecast_table([50]), pl.when(pl.int_range(pl.len()) > 45).then(1.0).alias("temp"))
    _, preparation, prepared = prepared_and_fit(table)
    assert "temp" not in prepared.input_names
    assert any("'temp' has no value in the training part" in note for note in preparation.notes)


def test_categories_have_one_input_each_and_unseen_ones_share_other():
    winds = ["NW", "SE", "NW", "NW"] * 20 + ["SE"] * 15 + ["N", "E", "N"] + ["NW"] * 2
    table = with_column(forecast_table([100]), Field("cbwd", "categorical", "past"), winds)
    _, _, prepared = prepared_and_fit(table)
    assert prepared.input_names == ["temp", "cbwd=NW", "cbwd=SE", "cbwd=(other)", "load"]
    one_hot = prepared.inputs[:, 1:4]
    expected = [[wind == "NW", wind == "SE", wind in "NE"] for wind in winds]
    np.testing.assert_array_equal(one_hot, np.array(expected, dtype=np.float32))
    assert "'cbwd': 3 values never seen in training became 'other' ('E', 'N')." in prepared.notes


def test_only_the_32_most_frequent_categories_have_an_input():
    names = [f"c{i:02d}" for i in range(40) for _ in range(40 - i)]  # c00 most often
    table = with_column(forecast_table([len(names)]), Field("kind", "categorical", "past"), list(np.array(names)[::-1]))
    table = with_steps(table, pl.col("kind").shuffle(seed=1))
    split, _, prepared = prepared_and_fit(table)
    counts = table.steps["kind"].filter(pl.Series(split.steps == 0)).value_counts(sort=True)
    wanted = set(counts["kind"].head(30).to_list())
    kinds = {name.removeprefix("kind=") for name in prepared.input_names if name.startswith("kind=")}
    assert len(kinds) == 33
    assert wanted <= kinds
    assert column(prepared, "kind=(other)").sum() == (~table.steps["kind"].is_in(sorted(kinds))).sum()


def test_gaps_in_categories_take_the_last_category_or_the_usual_one():
    values = [None, "a", None, "b", None] + ["b"] * 35
    table = with_column(forecast_table([40]), Field("kind", "categorical", "past"), values)
    _, _, prepared = prepared_and_fit(table)
    assert column(prepared, "kind=b")[:5].tolist() == [1, 0, 0, 1, 1]
    assert column(prepared, "kind=a")[:5].tolist() == [0, 1, 1, 0, 0]
    assert "'kind': 3 of 40 values are missing; each is filled with the last value before it." in prepared.notes


def test_truth_values_are_0_and_1_and_time_stamps_are_scaled_days():
    table = with_column(forecast_table([40]), Field("open", "boolean", "past"), [True, False] * 20)
    days = hourly(960)[::24]
    table = with_column(table, Field("serviced", "timestamp", "past"), days.to_list())
    split, preparation, prepared = prepared_and_fit(table)
    assert column(prepared, "open").tolist() == [1, 0] * 20
    count = int((split.steps == 0).sum())
    expected = (np.arange(40) - np.arange(count).mean()) / np.arange(count).std()
    np.testing.assert_allclose(column(prepared, "serviced"), expected, rtol=1e-6)
    fitted = {field.name: field for field in preparation.record.fields}
    assert fitted["serviced"].origin == (START - datetime(1970, 1, 1)).days


def test_classes_come_from_training_and_numbers_keep_their_order():
    labels = [str(i) for i in (10, 9, 2, 1)] * 10
    _, preparation, prepared = prepared_and_fit(sequence_table([2] * 40, labels), STRATIFIED)
    assert preparation.classes == ["1", "2", "9", "10"]
    assert [preparation.classes[index] for index in prepared.targets] == labels
    new = sequence_table([2, 2, 2], ["9", "77", None])
    with_unknown = preparation.apply(new)
    assert with_unknown.targets.tolist() == [2, -1, -1]
    assert any("1 classes were never seen in training ('77')" in note for note in with_unknown.notes)
    unlabelled = Table(new.steps, new.sequences.drop("label"), new.fields, new.series, new.time)
    assert preparation.apply(unlabelled).targets.tolist() == [-1, -1, -1]


def test_targets_of_a_regression_are_scaled_by_training_sequences():
    answers = [float(i % 17) for i in range(60)]
    table = sequence_table([2] * 60, answers, kind="numeric")
    split, preparation, prepared = prepared_and_fit(table, STRATIFIED)
    train = np.array(answers)[split.sequences == 0]
    np.testing.assert_allclose(prepared.targets[:, 0], (np.array(answers) - train.mean()) / train.std(), rtol=1e-5)
    np.testing.assert_array_equal(prepared.raw_targets[:, 0], answers)
    np.testing.assert_allclose(preparation.inverse_targets(prepared.targets)[:, 0], answers, atol=1e-5)


@pytest.mark.parametrize(
    ("every", "count", "expected"),
    [
        ("1h", 24 * 400, ("hour of day", "day of week", "day of year")),
        ("1h", 24 * 30, ("hour of day", "day of week")),
        ("1d", 800, ("day of week", "day of year")),
        ("1w", 120, ("day of year",)),
        ("1mo", 60, ("day of year",)),
        ("1y", 40, ()),
        ("10m", 20, ()),
    ],
)
def test_the_calendar_follows_the_sampling_step_and_the_span(every, count, expected):
    times = pl.datetime_range(START, START.replace(year=2100), every, eager=True).head(count)
    assert choose_periods(times, from_lengths(np.array([count])), np.ones(count, dtype=bool)) == expected


def test_an_order_or_a_step_count_has_no_calendar():
    _, _, prepared = prepared_and_fit(forecast_table([50], has_clock=False))
    assert prepared.future_names == ["price"]


def test_the_circles_are_those_of_the_clock():
    times = pl.Series([datetime(2024, 1, 1), datetime(2024, 1, 4, 6), datetime(2023, 12, 31, 12), datetime(2024, 7, 2)])
    features = calendar_features(times, ("hour of day", "day of week", "day of year"))
    turns = np.mod(np.arctan2(features[:, 0::2], features[:, 1::2]) / (2 * np.pi), 1)
    # 1 January 2024 is a Monday; 2024 has 366 days and 2 July is its day 184.
    expected = [[0, 0, 0], [0.25, 3.25 / 7, 3.25 / 366], [0.5, 6.5 / 7, 364.5 / 365], [0, 1 / 7, 183 / 366]]
    np.testing.assert_allclose(turns, expected, atol=1e-12)


def test_the_hour_of_day_is_local():
    times = pl.Series([datetime(2024, 1, 1, 23)]).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    turn = calendar_features(times, ("hour of day",))
    np.testing.assert_allclose(turn, [[np.sin(2 * np.pi * 8 / 24), np.cos(2 * np.pi * 8 / 24)]], atol=1e-12)


def test_the_calendar_of_steps_beyond_the_data_is_known():
    table = with_field(forecast_table([24 * 20]), "price", role="past")
    _, preparation, _ = prepared_and_fit(table)
    longer = forecast_table([24 * 20 + 30])
    prepared = preparation.apply(append_horizon(table, 30))
    np.testing.assert_allclose(prepared.future[-30:], preparation.apply(longer).future[-30:])
    assert prepared.future.shape == (510, 4)
