"""Intervals against a brute-force loop and against their promise: 95 % of them hold the truth. The verdict in words."""

import time

import numpy as np
import pytest

from gatework.evaluate.bootstrap import (
    Resampled,
    bootstrap,
    draw_weights,
    forecast_units,
    gain,
    sequence_units,
)
from gatework.evaluate.verdict import verdict
from gatework.runs import MetricInfo, Score, ScoreRow
from gatework.tasks.metrics import measure_classes, measure_forecast, measure_regression, point_values


def measured_forecast(rows, arrays):
    truth, prediction, reference, mase_scale = (array[rows] for array in arrays)
    return measure_forecast(
        truth, prediction, targets=["u", "v"], scales=np.array([1.0, 2.0]), mase_scale=mase_scale, reference=reference
    )


def brute_force(measure, units, num_resamples, seed):
    """Every metric on the rows of really resampled units, with the draws that `bootstrap` makes."""
    weights = draw_weights(np.random.default_rng(seed), units.max() + 1, num_resamples)
    rows = [np.concatenate([np.tile(np.flatnonzero(units == u), int(n)) for u, n in enumerate(w)]) for w in weights]
    values = [[np.nan if v is None else v for v in point_values(measure(one)).values()] for one in rows]
    return np.array(values)


def test_forecast_draws_are_the_metrics_of_resampled_rows():
    generator = np.random.default_rng(0)
    truth = generator.normal(size=(33, 5, 2))
    arrays = [truth, truth + generator.normal(size=truth.shape), truth + 2 * generator.normal(size=truth.shape)]
    arrays.append(generator.random((33, 2)) + 0.5)
    arrays[0] = np.where(generator.random(truth.shape) < 0.2, np.nan, truth)
    units = np.arange(33) // 5
    everything = measured_forecast(np.arange(33), arrays)
    draws = bootstrap(everything, units, num_resamples=50, seed=3).draws
    expected = brute_force(lambda rows: measured_forecast(rows, arrays), units, 50, 3)
    np.testing.assert_allclose(draws, expected, rtol=1e-9)  # float64 sums in another order


@pytest.mark.parametrize("num_classes", [2, 4])
def test_classification_draws_are_the_metrics_of_resampled_rows(num_classes):
    generator = np.random.default_rng(1)
    truth = generator.integers(-1, num_classes, 63)
    probabilities = generator.dirichlet(np.ones(num_classes), 63).round(1) + 0.05  # ties
    probabilities /= probabilities.sum(1, keepdims=True)
    units = generator.permutation(np.arange(63) // 3)
    draws = bootstrap(measure_classes(truth, probabilities), units, num_resamples=50, seed=3).draws
    expected = brute_force(lambda rows: measure_classes(truth[rows], probabilities[rows]), units, 50, 3)
    np.testing.assert_allclose(draws, expected, rtol=1e-9)


def test_intervals_hold_the_true_mean_in_95_of_100_simulations():
    generator = np.random.default_rng(4)
    held, simulations, groups, per_group = 0, 400, 60, 4
    units = np.repeat(np.arange(groups), per_group)
    for seed in range(simulations):
        # |error| = group level + noise, always positive: its true mean is 10
        error = 10 + np.repeat(generator.uniform(-5, 5, groups), per_group) + generator.uniform(-4, 4, groups * per_group)
        measured = measure_regression(np.zeros((len(error), 1)), error[:, None], targets=["y"], scales=np.ones(1))
        score = bootstrap(measured, units, num_resamples=300, seed=seed).scores()["MAE"]
        held += score.low <= 10 <= score.high
    # 99.9 % of a binomial with 400 trials lies within 3.3 standard deviations (0.011 each) of 0.95
    assert 0.95 - 3.3 * 0.011 < held / simulations < 0.95 + 3.3 * 0.011


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    measured = measure_regression(
        np.zeros((40, 1)), np.random.default_rng(0).normal(size=(40, 1)), targets=["y"], scales=np.ones(1)
    )
    first, again, other = (bootstrap(measured, np.arange(40), seed=seed).scores()["MAE"] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_two_units_give_values_without_an_interval_and_a_note():
    measured = measure_regression(np.zeros((10, 1)), np.ones((10, 1)), targets=["y"], scales=np.ones(1))
    units = sequence_units(np.repeat([5, 9], 5))
    assert bootstrap(measured, units.index).scores()["MAE"] == Score(value=1.0)
    assert "no intervals" in units.note
    assert units.words == "2 sequences"


def test_unknown_truths_at_the_end_still_belong_to_a_unit():
    truth = np.array([0, 1, 0, 1, -1, -1])
    result = bootstrap(measure_classes(truth, np.full((6, 2), 0.5)), np.array([0, 0, 1, 1, 2, 2]))
    assert result.scores()["accuracy"].value == 0.5


def test_blocks_of_hourly_windows_are_weeks_and_never_shorter_than_the_horizon():
    units = forecast_units(np.zeros(6573, dtype=int), np.arange(6573) + 37_000, horizon=24, period=24)
    assert units.words == "40 blocks of 168 steps"
    assert (units.index == np.arange(6573) // 168).all()
    short = forecast_units(np.zeros(100, dtype=int), np.arange(100), horizon=24, period=24)
    assert short.words == "5 blocks of 24 steps"
    assert "rough" in short.note


def test_series_of_the_same_time_share_a_block_and_many_series_are_the_units():
    clock = np.tile(np.arange(240), 3)
    few = forecast_units(np.repeat(np.arange(3), 240), clock, horizon=2, period=0)
    assert (few.index.reshape(3, 240) == few.index[:240]).all()
    assert forecast_units(np.arange(414), np.zeros(414, dtype=int), horizon=48, period=24).words == "414 series"


def test_the_gain_is_paired_so_a_constant_advantage_has_a_narrow_interval():
    error = np.random.default_rng(0).lognormal(size=(50, 1))
    rows = [measure_regression(np.zeros_like(error), error * k, targets=["y"], scales=np.ones(1)) for k in (0.9, 1.0)]
    model, baseline = (bootstrap(row, np.arange(50)) for row in rows)
    score = gain(model, baseline, "MAE")
    assert (score.value, score.low, score.high) == pytest.approx((0.1, 0.1, 0.1))
    assert gain(model, baseline, "R²") == Score(value=None)  # the truth is constant


def test_a_thousand_resamples_of_6500_windows_cost_less_than_a_second_of_processor_time():
    truth = np.random.default_rng(0).normal(size=(6500, 2, 1))
    measured = measure_forecast(
        truth, truth + 1, targets=["y"], scales=np.ones(1), mase_scale=np.ones((6500, 1)), reference=truth
    )
    start = time.thread_time()
    bootstrap(measured, np.arange(6500))
    assert time.thread_time() - start < 1.0  # 0.1 s on a quiet machine


def table(model_error, baseline_error, noise=0.0):
    """Rows and gains of an LSTM and two baselines whose absolute errors are given."""
    generator = np.random.default_rng(0)
    errors = {"LSTM": model_error, "ridge": baseline_error, "last value": 3.0}
    rows, drawn = [], {}
    for name, size in errors.items():
        error = size + noise * generator.normal(size=(40, 1))
        drawn[name] = bootstrap(measure_regression(np.zeros((40, 1)), error, targets=["y"], scales=np.ones(1)), np.arange(40))
        kind = "model" if name == "LSTM" else "baseline"
        rows.append(ScoreRow(name=name, kind=kind, description="", scores=drawn[name].scores()))
    metrics = [info for info in drawn["LSTM"].metrics if info.name == "MAE"]
    return rows, metrics, {name: gain(drawn["LSTM"], drawn[name], "MAE") for name in errors if name != "LSTM"}


def test_the_verdict_says_that_the_model_wins_and_by_how_much():
    assert verdict(*table(0.8, 1.0)) == (
        "LSTM beats the best baseline, ridge, by 20.0 % (95 % interval 20.0 to 20.0 %): MAE 0.8 against 1.",
    )


def test_the_verdict_says_in_words_that_a_baseline_wins():
    (first,) = verdict(*table(1.25, 1.0))
    assert first.startswith("ridge beats LSTM by 20.0 % (95 % interval 20.0 to 20.0 %): MAE 1.25 against 1. Use ridge, or give")


def test_a_baseline_never_wins_by_more_than_everything():
    (first,) = verdict(*table(2.5, 0.1))[:1]
    assert first.startswith("ridge beats LSTM by 96.0 % (95 % interval 96.0 to 96.0 %)")  # 1 − 0.1 / 2.5


def test_an_interval_seen_from_the_winners_side_turns_around_with_a_true_minus_and_without_a_negative_zero():
    rows, metrics, gains = table(2.0, 1.0)
    wide = {**gains, "ridge": Score(value=-1.0, low=-3.0, high=0.5)}
    # 1 − 1 / (1 − gain): −1 is 50 % for the baseline, 0.5 is −100 %, −3 is 75 %
    assert "the difference of 50.0 % is within its interval (95 % interval −100.0 to 75.0 %)" in verdict(rows, metrics, wide)[0]
    tiny = {**gains, "ridge": Score(value=0.1, low=-1e-9, high=0.2)}
    assert "95 % interval 0.0 to 20.0 %" in verdict(rows, metrics, tiny)[0]
    perfect = {**gains, "ridge": Score(value=-1.0, low=-3.0, high=1.0)}
    assert "95 % interval −∞ to 75.0 %" in verdict(rows, metrics, perfect)[0]


def test_equal_scores_of_too_few_units_are_called_equal():
    rows, metrics, _ = table(1.0, 1.0)
    (first,) = verdict(rows[:2], metrics, {"ridge": Score(value=0.0)})
    assert first == "LSTM and ridge, the best baseline, are equal: MAE 1 against 1."


def test_baselines_that_tie_on_the_leading_metric_are_ranked_by_the_next():
    rows, _, gains = table(0.8, 1.0)
    mae, rmse = (MetricInfo(name=name, unit="", better="lower", meaning="") for name in ("MAE", "RMSE"))
    scored = {"LSTM": (0.8, 0.8), "ridge": (1.0, 3.0), "last value": (1.0, 2.0)}
    tied = [
        row.model_copy(
            update={"scores": {name: Score(value=v) for name, v in zip(("MAE", "RMSE"), scored[row.name], strict=True)}}
        )
        for row in rows
    ]
    assert verdict(tied, (mae, rmse), gains)[0].startswith("LSTM beats the best baseline, last value,")


def test_the_verdict_names_the_other_baselines_that_are_not_beaten():
    rows, metrics, gains = table(3.3, 1.0)
    assert verdict(rows, metrics, gains)[1] == "LSTM is also clearly worse than last value."
    close = {**gains, "last value": Score(value=0.1, low=-0.1, high=0.3)}
    assert verdict(rows, metrics, close)[1] == "LSTM is not clearly better than last value."


def test_the_verdict_says_that_a_difference_is_within_its_interval():
    (first,) = verdict(*table(1.0, 1.0, noise=0.3))
    assert "cannot be told apart" in first


def test_the_verdict_recognises_a_model_that_copies_the_last_value():
    assert "hardly differs from copying the last value: it moves 5 %" in verdict(*table(0.8, 1.0), moved_share=0.05)[-1]
    assert len(verdict(*table(0.8, 1.0), moved_share=0.9)) == 1


def test_the_verdict_warns_of_accuracy_when_one_class_dominates():
    truth = np.arange(100) % 10 == 0
    good = np.where(truth[:, None], [0.1, 0.9], [0.9, 0.1])
    predictions = {"LSTM": good, "majority class": np.tile([0.9, 0.1], (100, 1))}
    drawn: dict[str, Resampled] = {
        name: bootstrap(measure_classes(truth.astype(int), p), np.arange(100)) for name, p in predictions.items()
    }
    rows = [
        ScoreRow(name=name, kind="model" if name == "LSTM" else "baseline", description="", scores=result.scores())
        for name, result in drawn.items()
    ]
    gains = {"majority class": gain(drawn["LSTM"], drawn["majority class"], "accuracy")}
    first, second = verdict(rows, drawn["LSTM"].metrics, gains)
    assert first.startswith("LSTM beats the best baseline, majority class, by 10.0 points (95 % interval ")
    assert "already right 90.0 % of the time" in second
