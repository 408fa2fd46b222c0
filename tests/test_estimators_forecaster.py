"""What a fitted Forecaster knows beyond single numbers: its ranges."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import gatework
from gatework import Forecaster, Request
from gatework.errors import InputError

SMALL = {"horizon": 3, "window": 24, "hidden_size": 6, "epochs": 2}


def waves(steps: int = 200, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return 5 + np.sin(np.arange(steps) * 2 * np.pi / 12) + generator.normal(0, 0.1, steps)


@pytest.fixture(scope="module")
def seer() -> Forecaster:
    return Forecaster(**SMALL).fit(waves())


def test_intervals_are_the_ranges_of_the_run(seer, tmp_path):
    frame = gatework.load(seer.save_run(tmp_path / "run")).predict(pl.DataFrame({"y0": waves()})).frame
    lower, upper = seer.predict_interval()
    assert lower.shape == upper.shape == (3,)
    np.testing.assert_allclose(lower, frame["low 80 %"].to_numpy(), rtol=1e-6)
    np.testing.assert_allclose(upper, frame["high 80 %"].to_numpy(), rtol=1e-6)
    np.testing.assert_allclose((lower + upper) / 2, seer.predict(), rtol=1e-6)  # of a single number the range is even


def test_a_range_of_which_too_few_errors_are_known_has_no_end():
    few = Forecaster(**SMALL, options=Request(intervals=(0.5, 0.99))).fit(waves())  # 99 % takes 99 windows
    lower, upper = few.predict_interval(coverage=0.99)
    assert lower.tolist() == [-np.inf] * 3
    assert upper.tolist() == [np.inf] * 3
    assert np.isfinite(few.predict_interval(coverage=0.5)).all()


def test_intervals_come_in_the_form_of_predict():
    series = [np.stack([waves(120 + number, seed=number), waves(120 + number, seed=9)], axis=1) for number in range(3)]
    options = Request(output="quantiles", intervals=(0.5, 0.9))
    model = Forecaster(**SMALL, options=options).fit(series)
    inner, outer = model.predict_interval(coverage=0.5), model.predict_interval(coverage=0.9)
    assert inner[0].shape == inner[1].shape == model.predict().shape == (3, 3, 2)
    assert (outer[0] <= inner[0]).all()
    assert (inner[0] <= inner[1]).all()
    assert (inner[1] <= outer[1]).all()
    one = model.predict_interval([series[1]], coverage=0.5)
    np.testing.assert_allclose(one[0], inner[0][[1]], atol=1e-5)


def test_intervals_take_what_is_known_in_advance():
    known = np.random.default_rng(0).normal(size=(204, 1))
    model = Forecaster(**SMALL, options=Request(known_future=("x0",))).fit(known[:200], waves())
    planned = model.predict_interval(known[200:203])
    assert (planned[0] < planned[1]).all()
    np.testing.assert_allclose(sum(planned) / 2, model.predict(known[200:203]), rtol=1e-6)
    assert (model.predict_interval(known[200:203] + 3)[0] != planned[0]).any()


def test_adaptive_intervals_follow_the_errors_that_updates_show(tmp_path):
    model = Forecaster(**SMALL, options=Request(calibrate="adaptive")).fit(waves())
    before = np.subtract(*model.predict_interval()[::-1])
    louder = waves(150, seed=3) + np.random.default_rng(1).normal(0, 1.0, 150)  # ten times the noise
    model.update(louder[:70]).update(louder[70:])
    lower, upper = model.predict_interval()
    assert (upper - lower > 1.3 * before).all()
    whole = pl.DataFrame({"y0": np.concatenate([waves(), louder])})
    frame = gatework.load(model.save_run(tmp_path / "run")).predict(whole).frame
    np.testing.assert_allclose(lower, frame["low 80 %"].to_numpy(), rtol=1e-5)
    np.testing.assert_allclose(upper, frame["high 80 %"].to_numpy(), rtol=1e-5)


def test_a_frame_gets_the_columns_of_one_coverage():
    frame = pd.DataFrame({"when": pd.date_range("2026-01-01", periods=200, freq="h"), "load": waves()})
    model = Forecaster(**SMALL, options=Request(target="load", time="when")).fit(frame)
    found = model.predict_interval(coverage=0.8)
    assert [name for name in found.columns if name.startswith(("low", "high"))] == ["low 80 %", "high 80 %"]
    assert found["low 80 %"].to_list() == model.predict()["low 80 %"].to_list()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"coverage": 0.9}, r"coverage is 0\.9.*has the ranges 0\.8, 0\.95.*intervals=\(0\.8, 0\.9, 0\.95\)\)"),
        ({"coverage": 80}, r"coverage is 80; expected the share.*Give for example coverage=0\.8"),
        ({"horizon": 5}, r"horizon is 5, and the forecaster was fitted for 3 steps.*Fit with horizon=5"),
    ],
)
def test_a_range_that_is_not_there_is_refused_with_the_option_that_gives_it(seer, asked, message):
    with pytest.raises(InputError, match=message):
        seer.predict_interval(**asked)


def test_a_forecaster_without_ranges_says_so():
    model = Forecaster(**SMALL | {"epochs": 1}, options=Request(calibrate="none")).fit(waves())
    with pytest.raises(InputError, match=r"has none: it was fitted with output=point and calibrate=none.*calibrate='split'"):
        model.predict_interval()
