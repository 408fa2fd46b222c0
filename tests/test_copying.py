"""Does a forecast merely copy the last value? On a random walk the best one does; on a sine it does not."""

import numpy as np
import pytest

from gatework.evaluate.verdict import verdict
from gatework.runs import Evaluation, MetricInfo, Score, ScoreRow, leaderboard
from gatework.tasks.metrics import follows, moved_from

HORIZON = 6
MAE = MetricInfo(name="MAE", better="lower", meaning="")


def windows(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth and last value of every window, (n, horizon, 1)."""
    views = np.lib.stride_tricks.sliding_window_view(values, HORIZON + 1)
    return views[:, 1:, None], np.repeat(views[:, :1, None], HORIZON, axis=1)


def said(truth: np.ndarray, prediction: np.ndarray, last: np.ndarray) -> str:
    """The verdict on a model with these predictions."""
    rows = [
        ScoreRow(name=name, kind=kind, description="", scores={"MAE": Score(value=value)})
        for name, kind, value in (("LSTM", "model", 1.0), ("last value", "baseline", 1.1))
    ]
    sequence = np.zeros(len(truth), dtype=np.int64)
    found = follows(truth, prediction, last, sequence)
    return " ".join(verdict(rows, [MAE], {}, moved_from(truth, prediction, last), found))


def test_the_best_forecast_of_a_random_walk_is_called_the_last_value() -> None:
    truth, last = windows(np.random.default_rng(0).normal(size=800).cumsum())
    noise = np.random.default_rng(1).normal(0, 0.3, truth.shape)
    assert "copying the last value" in said(truth, last + 0.05 * noise, last)
    # it moves enough to pass the first test, and still says nothing of where the walk goes
    shifted = last + 4 * noise
    assert moved_from(truth, shifted, last) > 0.2
    assert "shifted in time" in said(truth, shifted, last)


def test_a_good_forecast_of_a_sine_or_of_noise_around_it_is_not() -> None:
    steps = np.arange(600)
    sine = 10 * np.sin(2 * np.pi * steps / 24)
    truth, last = windows(sine + np.random.default_rng(0).normal(0, 1, 600))
    clean, _ = windows(sine)
    for prediction in (clean, clean + np.random.default_rng(1).normal(0, 1, clean.shape)):
        words = said(truth, prediction, last)
        assert "last value, shifted" not in words
        assert "copying" not in words


def test_the_correlations_are_those_of_numpy_within_each_series() -> None:
    generator = np.random.default_rng(0)
    truth, prediction, last = generator.normal(size=(3, 60, 2, 1))
    truth[:7, 1] = np.nan
    sequence = np.repeat([0, 1], 30)
    level = np.where(sequence == 0, 1000.0, -1000.0)[:, None, None]
    expected = []
    for other in (last, truth):
        values = []
        for step in (0, 1):
            seen = ~np.isnan(truth[:, step, 0])
            columns = [array[seen, step, 0].copy() for array in (prediction, other)]
            for column in columns:
                for number in (0, 1):
                    column[sequence[seen] == number] -= column[sequence[seen] == number].mean()
            values.append(np.corrcoef(*columns)[0, 1])
        expected.append(np.mean(values))
    found = follows(truth + level, prediction + level, last + level, sequence)
    assert found == pytest.approx(expected, rel=1e-6)
    assert follows(truth[:10], prediction[:10], last[:10], sequence[:10]) is None


def test_the_leaderboard_is_the_order_of_the_leading_metric_and_what_was_run_in_part_stands_last() -> None:
    table = {"LSTM": (3.0, 0), "last value": (None, 0), "ridge": (2.0, 0), "ARIMA": (1.0, 25)}
    rows = tuple(
        ScoreRow(name=name, kind="baseline", description="", scores={"MAE": Score(value=value)}, num_samples=number)
        for name, (value, number) in table.items()
    )
    evaluation = Evaluation(
        task="forecast", part="test", num_samples=99, resampled="", metrics=(MAE,), rows=rows, verdict=("",)
    )  # fmt: skip
    assert [row.name for row in leaderboard(evaluation)] == ["ridge", "LSTM", "last value", "ARIMA"]
    higher = evaluation.model_copy(update={"metrics": (MAE.model_copy(update={"better": "higher"}),)})
    assert [row.name for row in leaderboard(higher)][:2] == ["LSTM", "ridge"]
