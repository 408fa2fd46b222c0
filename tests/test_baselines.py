"""Baselines against loops that do the same row by row, and against scikit-learn."""

import datetime
import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import PredefinedSplit

from gatework.errors import DataError, MissingExtra
from gatework.tasks.baselines import (
    Climatology,
    climatology,
    drift,
    fit_dlinear,
    last_value,
    logistic_on_summary,
    majority_class,
    mean_target,
    position_keys,
    ridge_on_summary,
    ridge_window,
    season_keys,
    seasonal_naive,
    summary_features,
    training_mean,
)
from gatework.tasks.baselines import classical as classical_module
from gatework.tasks.baselines import ridge as ridge_module
from gatework.tasks.baselines.dlinear import decomposed

FALLBACK = np.array([-7.0, -8.0])


def series(lengths, missing, seed):
    generator = np.random.default_rng(seed)
    offsets = np.cumsum([0, *lengths])
    raw = generator.normal(size=(offsets[-1], 2))
    raw[generator.random(raw.shape) < missing] = np.nan
    origin = np.concatenate([np.arange(offsets[i], offsets[i + 1]) for i in range(len(lengths))]).astype(int)
    return raw, offsets, origin


def slow_last(raw, start, row, k):
    """The last observed value of one series before a row."""
    for at in range(row - 1, start - 1, -1):
        if not np.isnan(raw[at, k]):
            return raw[at, k]
    return FALLBACK[k]


def slow_seasonal(raw, start, row, step, k, period):
    """The value at the same place of the latest earlier season in which it was observed."""
    at = row + step
    while at >= start:
        if at < row and not np.isnan(raw[at, k]):
            return raw[at, k]
        at -= period
    return slow_last(raw, start, row, k)


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 33), min_size=1, max_size=4).filter(any),
    period=st.integers(1, 9),
    horizon=st.integers(1, 11),
    missing=st.floats(0, 0.9),
    seed=st.integers(0, 10**6),
)
def test_last_value_and_seasonal_naive_are_what_a_loop_over_rows_finds(lengths, period, horizon, missing, seed):
    raw, offsets, origin = series(lengths, missing, seed)
    start = [offsets[np.searchsorted(offsets, row, side="right") - 1] for row in origin]
    last = last_value(raw, offsets, origin, horizon, FALLBACK)
    season = seasonal_naive(raw, offsets, origin, horizon, period, FALLBACK)
    for i, row in enumerate(origin):
        for k in range(2):
            assert (last[i, :, k] == slow_last(raw, start[i], row, k)).all()
            expected = [slow_seasonal(raw, start[i], row, step, k, period) for step in range(horizon)]
            assert season[i, :, k].tolist() == expected


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 20), min_size=1, max_size=4).filter(any),
    missing=st.floats(0, 0.9),
    seed=st.integers(0, 10**6),
)
def test_drift_is_the_line_through_the_first_and_the_last_value_of_the_series(lengths, missing, seed):
    raw, offsets, origin = series(lengths, missing, seed)
    found = drift(raw, offsets, origin, 4, FALLBACK)
    for i, row in enumerate(origin):
        start = offsets[np.searchsorted(offsets, row, side="right") - 1]
        for k in range(2):
            seen = [at for at in range(start, row) if not np.isnan(raw[at, k])]
            if not seen:
                expected = [FALLBACK[k]] * 4
            else:
                slope = (raw[seen[-1], k] - raw[seen[0], k]) / (seen[-1] - seen[0]) if len(seen) > 1 else 0.0
                expected = [raw[seen[-1], k] + slope * (row + step - seen[-1]) for step in range(4)]
            np.testing.assert_allclose(found[i, :, k], expected, rtol=1e-9, atol=1e-9)


def test_no_baseline_looks_at_the_rows_that_it_forecasts():
    raw, offsets, _ = series([60], 0.1, 0)
    origin, future = np.array([40]), raw.copy()
    future[40:] = 1e9
    keys, is_train = position_keys(offsets, 7)[0], np.arange(60) < 40
    for predict in (
        lambda values: last_value(values, offsets, origin, 9, FALLBACK),
        lambda values: drift(values, offsets, origin, 9, FALLBACK),
        lambda values: seasonal_naive(values, offsets, origin, 9, 7, FALLBACK),
        lambda values: climatology(values, offsets, origin, 9, keys, is_train),
    ):
        assert (predict(raw) == predict(future)).all()


def test_hourly_climatology_is_the_mean_of_the_hour_in_the_month_over_training_rows():
    times = np.arange("2010-01-01", "2012-01-01", dtype="datetime64[h]")
    generator = np.random.default_rng(0)
    raw = generator.normal(size=(len(times), 1))
    raw[generator.random(raw.shape) < 0.2] = np.nan
    is_train = times < np.datetime64("2011-03-01")
    keys, words = season_keys(times)
    origin = np.array([np.flatnonzero(times == np.datetime64("2011-07-04T05"))[0]])
    found = climatology(raw, np.array([0, len(times)]), origin, 3, keys, is_train)[0, :, 0]
    stamps = [time.astype(datetime.datetime) for time in times]
    for step, hour in enumerate((5, 6, 7)):
        alike = [i for i, s in enumerate(stamps) if is_train[i] and s.hour == hour and s.month == 7]
        assert found[step] == pytest.approx(np.nanmean(raw[alike]))
    assert words == "the hour of the day and the month"


def test_daily_keys_are_the_day_of_the_week_and_monthly_keys_the_month():
    days = np.arange("2020-02-27", "2021-03-05", dtype="datetime64[D]")
    keys = season_keys(days)[0]
    stamps = [day.astype(datetime.date) for day in days]
    assert keys[:, 1].tolist() == [stamp.weekday() for stamp in stamps]
    assert keys[:, 0].tolist() == [(stamp.month - 1) * 7 + stamp.weekday() for stamp in stamps]
    months = np.arange("1969-11", "1971-02", dtype="datetime64[M]").astype("datetime64[us]")
    assert season_keys(months)[0][:, 0].tolist() == [10, 11, *range(12), 0]


def test_an_empty_cell_falls_back_to_the_hour_then_the_series_then_all_series():
    raw = np.array([1.0, 3.0, 10.0, 20.0, np.nan])[:, None]
    keys = np.array([[0, 0], [1, 1], [0, 0], [9, 1], [3, 3]])
    fitted = Climatology.fit(raw, keys, np.array([0, 0, 1, 1, 1]), np.ones(5, dtype=bool))
    ask_keys = np.array([[0, 0], [5, 1], [7, 7], [3, 3], [9, 0], [7, 1], [7, 7]])
    ask_series = np.array([0, 0, 0, 1, -1, -1, -1])
    #           own cell, own hour, own series, cell seen but unobserved: own series; unknown series: cell, hour, all
    expected = [1.0, 3.0, 2.0, 15.0, 20.0, 11.5, 8.5]
    assert fitted.predict(ask_keys, ask_series)[:, 0].tolist() == expected


def test_a_target_never_observed_in_training_is_an_error():
    with pytest.raises(DataError, match=r"Target number 2 has no observed value.*--test"):
        training_mean(np.array([[1.0, np.nan], [2.0, 5.0]]), np.array([True, False]))


def windows_of(num_windows, window=5, num_inputs=3, num_future=4, num_outputs=2, seed=0):
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(num_windows, window, num_inputs)).astype(np.float32) + 2
    future = generator.normal(size=(num_windows, num_future)).astype(np.float32)
    flat = np.concatenate([inputs.reshape(num_windows, -1), future], axis=1)
    noise = 3 * generator.normal(size=(num_windows, num_outputs))
    targets = (flat @ generator.normal(size=(flat.shape[1], num_outputs)) * 0.3 + 5 + noise).astype(np.float32)
    return inputs, future, targets, flat.astype(np.float64)


def test_ridge_on_the_window_is_what_ridge_cv_finds_on_the_complete_windows():
    inputs, future, targets, flat = windows_of(303)
    targets[[5, 77, 200], [0, 1, 1]] = np.nan
    fitted = ridge_window(lambda index: (inputs[index], future[index], targets[index]), 303)
    complete = ~np.isnan(targets).any(1)
    folds = PredefinedSplit(np.where(ridge_module.held_out(303), 0, -1)[complete])
    search = RidgeCV(ridge_module.ALPHAS, cv=folds, scoring="neg_mean_squared_error").fit(flat[complete], targets[complete])
    assert fitted.alpha == search.alpha_
    assert 1 < fitted.alpha < 1e6  # the search had something to find
    assert fitted.num_windows == 300
    # 1e-4: the sums run over float32 products
    np.testing.assert_allclose(fitted.predict(inputs, future), search.predict(flat), rtol=1e-4, atol=1e-4)


def test_ridge_takes_a_bounded_number_of_evenly_spaced_windows_and_says_so(monkeypatch):
    monkeypatch.setattr(ridge_module, "MAX_WINDOWS", 101)
    inputs, future, targets, flat = windows_of(1000, num_future=0)
    fitted = ridge_window(lambda index: (inputs[index], future[index], targets[index]), 1000)
    chosen = np.linspace(0, 999, 101).round().astype(int)
    expected = Ridge(fitted.alpha).fit(flat[chosen], targets[chosen]).predict(flat)
    np.testing.assert_allclose(fitted.predict(inputs, future), expected, rtol=1e-4, atol=1e-4)
    assert "101 of 1,000 training windows" in fitted.description


def test_ridge_uses_the_last_steps_of_a_window_too_wide_and_says_so(monkeypatch):
    monkeypatch.setattr(ridge_module, "MAX_FEATURES", 11)
    inputs, future, targets, _ = windows_of(200)
    fitted = ridge_window(lambda index: (inputs[index], future[index], targets[index]), 200)
    changed = inputs.copy()
    changed[:, :3] = 1e6
    assert (fitted.predict(changed, future) == fitted.predict(inputs, future)).all()
    assert "last 2 of the 5 steps" in fitted.description


def test_collinear_inputs_of_very_different_sizes_still_give_a_ridge():
    inputs, future, targets, _ = windows_of(400, window=9)
    inputs[..., 1] = inputs[..., 0] * 3e4
    inputs[..., 2] = 1e5
    fitted = ridge_window(lambda index: (inputs[index], future[index], targets[index]), 400)
    assert np.mean((fitted.predict(inputs, future) - targets) ** 2) < np.mean((targets - targets.mean(0)) ** 2)


def test_too_few_complete_windows_give_no_ridge():
    inputs, future, targets, _ = windows_of(100)
    targets[15:, 0] = np.nan
    assert ridge_window(lambda index: (inputs[index], future[index], targets[index]), 100) is None


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=6), channels=st.integers(1, 3), seed=st.integers(0, 10**6))
def test_summary_features_are_those_of_each_sequence_alone(lengths, channels, seed):
    offsets = np.cumsum([0, *lengths])
    values = (1e4 + np.random.default_rng(seed).normal(size=(offsets[-1], channels))).astype(np.float32)
    features = summary_features(values, offsets)
    assert features.shape == (len(lengths), 6 * channels + 1)
    for i, length in enumerate(lengths):
        one = values[offsets[i] : offsets[i + 1]].astype(np.float64)
        parts = [one.mean(0), one.std(0), one.min(0), one.max(0), one[0], one[-1]] if length else [np.zeros(6 * channels)]
        np.testing.assert_allclose(features[i], np.concatenate([*parts, [length]]), rtol=1e-9, atol=1e-9)


def test_majority_class_and_mean_target_come_from_training_alone():
    probabilities = majority_class(np.array([2, 2, 0, -1]), num_samples=3, num_classes=4)
    assert probabilities.tolist() == [[1 / 3, 0, 2 / 3, 0]] * 3
    targets = np.array([[1.0], [np.nan], [3.0], [100.0]])
    assert mean_target(targets, np.array([True, True, True, False]), 2).tolist() == [[2.0], [2.0]]


def test_logistic_regression_separates_what_a_summary_separates_and_keeps_unseen_classes_at_zero():
    generator = np.random.default_rng(0)
    truth = np.tile([0, 1, 3, -1], 30)
    features = np.stack([truth * 5.0, np.zeros(120)], axis=1) + 0.1 * generator.normal(size=(120, 2))
    fitted = logistic_on_summary(features, truth, num_classes=4)
    probabilities = fitted.predict(features)
    known = truth >= 0
    assert (probabilities.argmax(1) == truth)[known].all()
    assert (probabilities[:, 2] == 0).all()
    assert probabilities.sum(1) == pytest.approx(np.ones(120))
    assert logistic_on_summary(features, np.zeros(120, dtype=int), num_classes=2) is None


def test_ridge_on_summary_recovers_a_linear_target_with_missing_values():
    features = np.random.default_rng(0).normal(size=(63, 4)) * [1, 100, 0.01, 1] + 3
    targets = np.stack([features @ [1, 0.02, 50, 0], features[:, 0]], axis=1)
    train = targets.copy()
    train[::5, 1] = np.nan
    fitted = ridge_on_summary(features, train)
    np.testing.assert_allclose(fitted.predict(features), targets, atol=1e-3)  # the penalty shrinks a little
    train[:, 0] = np.nan
    assert ridge_on_summary(features, train) is None


def channel_windows(count=300, window=30, horizon=4, targets=2, seed=0):
    """Windows of two series of their own level, and what comes after."""
    generator = np.random.default_rng(seed)
    steps = np.arange(count + window + horizon)
    values = np.stack(
        [np.sin(steps / (4 + k)) + 0.1 * generator.normal(size=len(steps)).cumsum() for k in range(targets)], axis=1
    )
    whole = np.lib.stride_tricks.sliding_window_view(values, window + horizon, axis=0)[:count].swapaxes(1, 2).astype(np.float32)
    return whole[:, :window], whole[:, window:]


def test_the_trend_is_a_moving_average_with_repeated_ends_and_nothing_is_lost():
    rows = np.random.default_rng(0).normal(5, 2, (3, 41)).astype(np.float32)
    parts = decomposed(rows)
    padded = np.concatenate([rows[:, :1].repeat(12, 1), rows, rows[:, -1:].repeat(12, 1)], axis=1)
    for step in (0, 7, 20, 40):
        np.testing.assert_allclose(parts[:, step, 0], padded[:, step : step + 25].mean(1), rtol=1e-5)  # float32
    np.testing.assert_allclose(parts.sum(2), rows, rtol=1e-5, atol=1e-5)


def test_dlinear_is_ridge_on_both_parts_with_weights_that_all_targets_share():
    past, future = channel_windows()
    fitted = fit_dlinear(lambda index: (past[index], future[index]), len(past), 2)
    rows = np.concatenate([decomposed(past[..., k]).reshape(len(past), -1) for k in (0, 1)])
    answers = np.concatenate([future[..., k] for k in (0, 1)])
    expected = Ridge(fitted.layers.alpha).fit(rows.astype(np.float64), answers).predict(rows)
    found = fitted.predict(past)
    assert found.shape == (300, 4, 2)
    for k in (0, 1):
        np.testing.assert_allclose(found[..., k], expected[300 * k : 300 * (k + 1)], rtol=1e-3, atol=1e-3)  # float32 products
    swapped = fitted.predict(past[..., ::-1])
    np.testing.assert_array_equal(swapped[..., ::-1], found)
    assert np.mean((found - future) ** 2) < 0.3 * np.mean((past[:, -1:] - future) ** 2)


class FakeModels:
    """Stands for statsforecast: a method that repeats the mean of what it sees, and writes down what that was."""

    def __init__(self):
        self.seen = []
        seen = self.seen

        class Mean:
            def __init__(self, season_length):
                self.season = season_length

            def forecast(self, y, h):
                seen.append((tuple(y), self.season))
                if len(y) < 4:
                    raise ValueError("too short")
                return {"mean": np.full(h, y.mean())}

        self.AutoETS = self.AutoTheta = self.AutoARIMA = Mean


def test_classical_methods_see_the_past_of_their_own_series_and_are_asked_at_evenly_spaced_windows(monkeypatch):
    fake = FakeModels()
    monkeypatch.setattr(classical_module, "import_models", lambda: fake)
    monkeypatch.setitem(classical_module.CLASSICAL, "ARIMA", ("AutoARIMA", 4))
    filled = np.arange(80.0)[:, None]
    offsets, origin = np.array([0, 50, 80]), np.concatenate([np.arange(20, 48), np.arange(52, 78)])
    found = classical_module.classical_forecasts("ARIMA", filled, offsets, origin, 3, 6)
    assert np.flatnonzero(found.answered).tolist() == [6, 20, 33, 47]
    for window in np.flatnonzero(found.answered):
        past = filled[0 if origin[window] < 50 else 50 : origin[window], 0]
        assert (past.tolist(), 6 if len(past) >= 15 else 1) in [(list(y), season) for y, season in fake.seen]
        assert (found.values[window] == past.mean()).all()
    assert np.isnan(found.values[~found.answered]).all()
    whole = classical_module.classical_forecasts("ETS", filled, offsets, np.array([2, 52]), 3, 6)
    assert whole.values[:, :, 0].tolist() == [[1.0] * 3, [51.0] * 3]  # too short for the method: the last value


def test_classical_methods_without_their_package_name_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    with pytest.raises(MissingExtra, match=re.escape('pip install "gatework[classical]"')):
        classical_module.import_models()


def test_theta_finds_a_season_through_statsforecast():
    pytest.importorskip("statsforecast", reason="the extra [classical] is not installed")
    season = np.array([0.0, 3.0, -2.0, 1.0])
    filled = (10 + np.tile(season, 15) + 0.05 * np.arange(60))[:, None]
    found = classical_module.classical_forecasts("Theta", filled[:56], np.array([0, 56]), np.array([56]), 4, 4)
    # without the season the miss would be 3; Theta multiplies by it, and the series adds it
    assert np.abs(found.values[0, :, 0] - filled[56:, 0]).max() < 0.5
