"""What a fitted Forecaster does beyond one forecast: its ranges, and the steps that come in after it."""

import copy
import pickle
import pickletools

import numpy as np
import pandas as pd
import polars as pl
import pytest

import gatework
from gatework import Forecaster, Request
from gatework.errors import DataError, InputError
from gatework.evaluate import Predictor

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
    assert ((lower <= seer.predict()) & (seer.predict() <= upper)).all()


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
    assert ((planned[0] < model.predict(known[200:203])) & (model.predict(known[200:203]) < planned[1])).all()
    assert (model.predict_interval(known[200:203] + 3)[0] != planned[0]).any()


def test_adaptive_intervals_follow_the_errors_that_updates_show(tmp_path):
    model = Forecaster(**SMALL, options=Request(calibrate="adaptive", normalise="last")).fit(waves())
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


# Steps that come in


def grown(model: Forecaster, history: pl.DataFrame, steps: int) -> np.ndarray:
    """(values,) the forecast of the same network from a window of so many more steps."""
    predictor = model.predictor()
    plan = predictor.trained.plan
    longer = plan.model_copy(update={"window": plan.window + steps})
    other = copy.copy(predictor)
    other.trained = type(predictor.trained)(
        longer, predictor.trained.task, predictor.trained.preparation, predictor.trained.network
    )
    return other.predict(history).frame["prediction"].to_numpy()


def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on no table is predicted from."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the history was read again")

    monkeypatch.setattr(Predictor, "predict", refuse)


def test_an_update_carries_the_state_as_a_window_that_grows(seer, monkeypatch):
    model, more = copy.deepcopy(seer), waves(30, seed=5)
    model.update(more[:1]).update(more[1:4])
    assert model.carries_state_
    four = grown(model, pl.DataFrame({"y0": np.concatenate([waves(), more[:4]])}), 4)
    np.testing.assert_allclose(model.predict(), four, rtol=1e-5)
    model.update(more[4:])
    whole = np.concatenate([waves(), more])
    longer = grown(model, pl.DataFrame({"y0": whole}), 30)
    window_only = model.predict(whole)
    no_reading(monkeypatch)
    np.testing.assert_allclose(model.predict(), longer, rtol=1e-5)
    np.testing.assert_allclose(model.predict(), window_only, atol=0.02)  # what is older than a window hardly matters here
    assert (model.predict() != window_only).any()


@pytest.mark.parametrize("options", [{"normalise": "last"}, {"segment": 4}, {"output": "gaussian"}], ids=str)
def test_windows_on_their_own_level_are_read_again_with_the_same_numbers(options, monkeypatch):
    model = Forecaster(**SMALL, options=Request(**options)).fit(waves())
    more = waves(10, seed=5) + 1.0
    expected = model.predict(np.concatenate([waves(), more]))
    model.update(more[:3]).update(more[3:])
    assert model.carries_state_ is False
    no_reading(monkeypatch)
    np.testing.assert_allclose(model.predict(), expected, rtol=1e-5)


def test_every_series_goes_on_by_itself_and_one_may_have_no_news():
    series = [np.stack([waves(80 + number, seed=number), waves(80 + number, seed=9)], axis=1) for number in range(12)]
    more = [waves(number + 1, seed=20 + number)[:, None] * np.ones(2) for number in range(12)]
    more[4] = np.zeros((0, 2))
    model = Forecaster(**SMALL, options=Request(normalise="last")).fit(series)
    model.update(more)
    whole = [np.concatenate(both) for both in zip(series, more, strict=True)]
    np.testing.assert_allclose(model.predict(), model.predict(whole), rtol=1e-4)
    with pytest.raises(InputError, match=r"X has 2 series in a list, and fit had 12.*a list of 12 arrays.*an empty array"):
        model.update(more[:2])
    with pytest.raises(InputError, match="is expecting 2 features"):
        model.update([one[:, 0] for one in more])


def test_what_is_known_in_advance_is_given_to_the_state_that_is_carried(monkeypatch):
    known = np.random.default_rng(0).normal(size=(210, 1))
    y = waves(210) + known[:, 0]
    model = Forecaster(**SMALL, options=Request(known_future=("x0",))).fit(known[:200], y[:200])
    model.update(known[200:205], y[200:205])
    assert model.carries_state_
    planned = pl.DataFrame({"y0": [*y[:205], None, None, None], "x0": known[:208, 0]})
    expected = grown(model, planned, 5)
    with pytest.raises(DataError, match="x0"):
        model.predict()
    no_reading(monkeypatch)
    np.testing.assert_allclose(model.predict(known[205:208]), expected, rtol=1e-5)


def test_intervals_lie_around_the_carried_forecast():
    rising = np.exp(0.3 * waves(300))  # a logarithm is taken of it where that is skewed enough
    for y, forward in ((waves(300), np.asarray), (rising**6, np.log1p)):
        model = Forecaster(**SMALL).fit(y[:260])
        width = [forward(end) - forward(model.predict()) for end in model.predict_interval()]
        model.update(y[260:])
        assert model.carries_state_
        later = [forward(end) - forward(model.predict()) for end in model.predict_interval()]
        np.testing.assert_allclose(later, width, rtol=1e-4)


def test_gaps_that_come_in_are_filled_from_before():
    series = waves()
    model = Forecaster(**SMALL, options=Request(missing="previous", normalise="last")).fit(series)
    more = np.array([np.nan, 5.5, np.nan, 5.0])
    expected = model.predict(np.concatenate([series, more]))
    model.update(more[:1]).update(more[1:])
    np.testing.assert_allclose(model.predict(), expected, rtol=1e-5)


def test_copies_and_pickles_go_on_where_the_first_one_stands(seer):
    model = copy.deepcopy(seer).update(waves(5, seed=4))
    stored = pickle.dumps(model)
    words = {word for _, word, _ in pickletools.genops(stored) if isinstance(word, str)}
    assert not [word for word in words if word.startswith(("torch", "builtins", "os", "subprocess"))]
    again, twin = pickle.loads(stored), copy.deepcopy(model)
    for other in (again, twin):
        np.testing.assert_array_equal(other.predict(), model.predict())
    twin.update([9.0])
    assert (twin.predict() != model.predict()).any()
    model.update([9.0])
    again.update([9.0])
    np.testing.assert_array_equal(twin.predict(), model.predict())
    np.testing.assert_array_equal(again.predict(), model.predict())
    twin.fit(waves())
    assert twin.carries_state_ is None
    np.testing.assert_array_equal(twin.predict(), seer.predict())  # nothing is left of what came in


def test_what_is_not_followed_is_read_again():
    more = waves(6, seed=5)
    model = Forecaster(**SMALL, cell="t_lstm").fit(waves())
    model.update(more)
    assert model.carries_state_ is None
    np.testing.assert_allclose(model.predict(), model.predict(np.concatenate([waves(), more])), rtol=1e-5)
    frame = pl.DataFrame({"when": pl.datetime_range(pl.datetime(2026, 1, 1), pl.datetime(2026, 1, 9), "1h", eager=True)[:190]})
    frame = frame.with_columns(load=pl.Series(waves(190)))
    table = Forecaster(**SMALL, options=Request(target="load", time="when")).fit(frame[:180])
    table.update(frame[180:])
    assert table.carries_state_ is None
    assert table.predict()["time"][0] == frame["when"][-1] + (frame["when"][1] - frame["when"][0])
    assert table.predict().equals(table.predict(frame))


def test_another_horizon_is_read_from_the_history():
    options = Request(decoder="recursive", linear_steps=0, normalise="none")
    model = Forecaster(**SMALL, options=options).fit(waves())
    more = waves(6, seed=5)
    model.update(more)
    longer = model.predict(horizon=5)
    np.testing.assert_allclose(longer, model.predict(np.concatenate([waves(), more]), horizon=5), rtol=1e-5)


def test_rows_that_are_refused_are_not_kept():
    """A forecaster that was given a repeated row forecasts on as though it had not been."""
    when = pl.datetime_range(pl.datetime(2026, 1, 1), pl.datetime(2026, 1, 9), "1h", eager=True).head(190)
    frame = pl.DataFrame({"when": when, "load": waves(190)})
    forecaster = Forecaster(**SMALL, options=Request(target="load", time="when")).fit(frame)
    before = forecaster.predict()
    with pytest.raises(DataError, match="Expected each time once in a series"):
        forecaster.update(frame.tail(1))
    assert forecaster.predict().equals(before)


def test_a_horizon_as_long_as_the_series_is_named():
    with pytest.raises(DataError, match=r"The series have 150 steps, and the last 500 of them.*Fit with a smaller horizon"):
        Forecaster(**SMALL | {"horizon": 500}).fit(waves()[:150])


def test_covariates_that_are_known_in_advance_are_asked_for_by_name():
    known = np.random.default_rng(0).normal(size=(len(waves()), 1))
    model = Forecaster(**SMALL | {"epochs": 1}, options=Request(known_future=("x0",))).fit(known, waves())
    with pytest.raises(InputError, match=r"covariates known in advance: x0.*Give predict\(X\), X of shape \(horizon, 1\)"):
        model.predict()
    assert model.predict(known[:3]).shape == (3,)
