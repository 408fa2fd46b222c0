"""What a forecast leaves: its figures against NumPy, and what they show of a model that misses something known."""

import numpy as np
import pytest

from gatework.data.samples import ForecastSamples
from gatework.tasks.judge_forecast import truth_of
from gatework.tasks.residual_figures import residual_figures, series_figure
from gatework.tasks.task import Answer
from tables import forecast_table, prepared_and_fit

HORIZON = 3


def judged(lengths: list[int], gaps: float = 0.0) -> ForecastSamples:
    """The training windows of noisy series."""
    split, _, prepared = prepared_and_fit(forecast_table(lengths, gaps=gaps))
    return ForecastSamples(prepared, split, "train", window=5, horizon=HORIZON)


def by_name(samples: ForecastSamples, left: np.ndarray) -> dict[str, object]:
    """The figures of a model that leaves `left` (n,) at every step."""
    values = np.nan_to_num(truth_of(samples)) - left[:, None, None]
    return {figure.name: figure for figure in residual_figures(samples, Answer("LSTM", "", values), 24, "load")}


def test_the_histogram_holds_every_residual_and_the_curve_is_the_normal_one_of_the_same_mean() -> None:
    samples = judged([400])
    left = np.random.default_rng(0).normal(2, 3, len(samples))
    figure = by_name(samples, left)["residuals-distribution"]
    assert sum(figure.y) == pytest.approx(1)
    assert np.dot(figure.x, figure.y) == pytest.approx(2, abs=0.5)
    x, y = np.array(figure.curve).T
    assert y.sum() * (x[1] - x[0]) / figure.width == pytest.approx(1, abs=0.02)  # three deviations on each side
    assert x[y.argmax()] == pytest.approx(left.mean(), abs=0.1)


def test_the_autocorrelation_is_that_of_numpy_and_shows_a_season_that_was_missed() -> None:
    samples = judged([400])
    season = np.sin(2 * np.pi * np.arange(len(samples)) / 12)
    figure = by_name(samples, season)["residuals-memory"]
    centred = season - season.mean()
    for lag in (1, 6, 12):
        expected = (centred[lag:] * centred[:-lag]).mean() / (centred**2).mean()
        assert figure.y[lag - 1] == pytest.approx(expected)
    assert figure.y[11] > 0.9
    assert figure.limits[1] == pytest.approx(1.96 / np.sqrt(len(samples)))
    noise = by_name(samples, np.random.default_rng(0).normal(size=len(samples)))["residuals-memory"]
    assert sum(abs(value) > noise.limits[1] for value in noise.y) <= 6  # 48 lags, 2.4 expected


def test_a_level_that_the_model_does_not_follow_is_seen_over_time_and_gaps_are_left_out() -> None:
    samples = judged([300, 300], gaps=0.1)
    late = samples.origin - samples.prepared.offsets[samples.sequence] > 120
    figure = by_name(samples, np.where(late, 5.0, 0.0))["residuals-over-time"]
    left = np.array(figure.lines[1].y)
    assert left[0] == pytest.approx(0, abs=1e-9)
    assert left[-1] == pytest.approx(5)
    assert (np.diff(left) >= -1e-6).mean() > 0.95
    assert np.isfinite(left).all()
    assert list(figure.x) == sorted(figure.x)


def test_few_or_perfect_forecasts_have_no_figures_of_what_is_left() -> None:
    few = judged([30])
    assert by_name(few, np.random.default_rng(0).normal(size=len(few))) == {}
    assert by_name(judged([400]), np.zeros(len(judged([400])))) == {}


def test_the_series_stand_in_the_order_of_their_error_and_the_worst_is_named() -> None:
    samples = judged([80, 90, 70])
    truth = truth_of(samples)
    size = np.array([1.0, 7.0, 3.0])[samples.sequence][:, None, None]
    naive = Answer("last value", "", truth + 5.0)
    worse = Answer("climatology", "", truth + 9.0)
    figure = series_figure(samples, truth, [Answer("LSTM", "", truth + size), worse, naive], "load")
    assert figure.labels == ("s1", "s2", "s0")
    assert figure.lines[0].y == pytest.approx((7.0, 3.0, 1.0))
    assert (figure.lines[1].name, figure.lines[1].y) == ("last value", pytest.approx((5.0, 5.0, 5.0)))
    assert "worst first: 's1'. In 1 of 3 the model is behind last value." in figure.caption
    assert series_figure(judged([80]), truth_of(judged([80])), [Answer("LSTM", "", truth)], "load") is None
