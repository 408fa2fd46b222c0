"""Means over folds, the corrected t-test, the power law: against the formula, NumPy and SciPy."""

import numpy as np
import pytest
from scipy import stats

from gatework.evaluate.bootstrap import NUM_RESAMPLES, Resampled
from gatework.runs import MetricInfo
from gatework.study.compare import amount, corrected_t_test
from gatework.study.outlook import look_ahead
from gatework.study.pool import mean_over
from gatework.study.power_law import PowerLaw, extrapolate, fit_power_law

MAE = MetricInfo(name="MAE", unit="kW", better="lower", meaning="")
ACCURACY = MetricInfo(name="accuracy", better="higher", meaning="")
DIFFERENCES = [0.021, 0.034, -0.004, 0.040, 0.018]


def test_the_corrected_t_test_is_the_formula_of_nadeau_and_bengio() -> None:
    k, ratio = 5, 0.25
    found = corrected_t_test(DIFFERENCES, ratio)
    mean = sum(DIFFERENCES) / k
    variance = sum((value - mean) ** 2 for value in DIFFERENCES) / (k - 1)
    t = mean / ((1 / k + ratio) * variance) ** 0.5
    assert found.difference == pytest.approx(mean, rel=1e-12)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(t), k - 1), rel=1e-12)
    reach = stats.t.ppf(0.975, k - 1) * ((1 / k + ratio) * variance) ** 0.5
    assert (found.low, found.high) == pytest.approx((mean - reach, mean + reach), rel=1e-12)


def test_without_overlap_it_is_the_plain_t_test_of_scipy() -> None:
    plain = stats.ttest_1samp(DIFFERENCES, 0.0)
    assert corrected_t_test(DIFFERENCES, 0.0).p_value == pytest.approx(plain.pvalue, rel=1e-12)
    assert corrected_t_test(DIFFERENCES, 0.25).p_value > plain.pvalue


def test_equal_folds_leave_nothing_to_doubt() -> None:
    assert corrected_t_test([0.0, 0.0, 0.0], 0.5).p_value == 1.0
    assert corrected_t_test([0.125, 0.125, 0.125], 0.5).p_value == 0.0


def resampled(point: list[float], spread: float, seed: int, count: int = NUM_RESAMPLES) -> Resampled:
    draws = np.array(point) + np.random.default_rng(seed).normal(0, spread, (count, len(point)))
    return Resampled((MAE, ACCURACY), np.array(point), draws)


def test_the_mean_of_independent_folds_is_as_sure_as_theory_says() -> None:
    rows = [resampled([value, 0.5], 0.3, seed) for seed, value in enumerate([1.0, 2.0, 3.0, 6.0])]
    mean = mean_over(rows)
    assert mean.point.tolist() == [3.0, 0.5]
    assert mean.draws[:, 0].std() == pytest.approx(0.3 / 2, rel=0.1)  # 0.1: four standard errors of a deviation of 1000 draws
    score = mean.scores()["MAE"]
    assert score.low < 3.0 < score.high


def test_a_metric_that_one_fold_lacks_is_the_mean_of_the_others() -> None:
    mean = mean_over([resampled([1.0, np.nan], 0.1, 0), resampled([3.0, 0.8], 0.1, 1)])
    assert mean.point.tolist() == [2.0, 0.8]


def test_folds_without_draws_of_their_own_are_drawn_whole() -> None:
    rows = [resampled([value, 0.5], 0.0, 0, count=0) for value in (1.0, 2.0, 3.0, 6.0)]
    mean = mean_over(rows)
    assert mean.draws.shape == (NUM_RESAMPLES, 2)
    assert mean.draws[:, 0].std() == pytest.approx(np.std([1, 2, 3, 6]) / 2, rel=0.1)  # the bootstrap of a mean of four
    assert mean_over(rows[:2]).draws.shape[0] == 0


SIZES = np.array([50.0, 100, 200, 400, 800, 1600])


@pytest.mark.parametrize("law", [PowerLaw(0.2, 5.0, 0.5), PowerLaw(0.0, 2.0, 0.3), PowerLaw(1.0, 30.0, 1.0)])
def test_a_power_law_is_found_again(law: PowerLaw) -> None:
    found = fit_power_law(SIZES, law.at(SIZES))
    assert found.at(SIZES) == pytest.approx(law.at(SIZES), rel=1e-6)
    assert found.at(3200.0) == pytest.approx(law.at(3200.0), rel=1e-3)
    assert extrapolate(SIZES, law.at(SIZES)[None], np.array([3200.0]))[0, 0] == pytest.approx(float(law.at(3200.0)), rel=1e-3)


def test_the_outlook_holds_the_truth_in_its_interval_and_is_silent_without_improvement() -> None:
    generator, law = np.random.default_rng(0), PowerLaw(0.2, 5.0, 0.5)
    points = law.at(SIZES)
    draws = [value + generator.normal(0, 0.01, NUM_RESAMPLES) for value in points]
    outlook = look_ahead(SIZES, points.tolist(), draws, MAE)
    assert outlook.sizes == (3200.0, 6400.0)
    for (value, low, high), size in zip(outlook.ahead, outlook.sizes, strict=True):
        assert low <= float(law.at(size)) <= high
        assert low <= value <= high
    assert "twice the data (3200 steps)" in outlook.words("steps")[1]
    flat = look_ahead(SIZES, [1.0] * 6, [1.0 + generator.normal(0, 0.01, NUM_RESAMPLES) for _ in SIZES], MAE)
    assert flat.sizes == ()
    assert "no sure improvement" in flat.words("steps")[1]


def test_an_accuracy_rises_as_its_distance_from_one_falls() -> None:
    law = PowerLaw(0.05, 3.0, 0.5)
    points = 1 - law.at(SIZES)
    draws = [value + np.random.default_rng(1).normal(0, 0.001, NUM_RESAMPLES) for value in points]
    outlook = look_ahead(SIZES, points.tolist(), draws, ACCURACY)
    assert outlook.ahead[0][0] == pytest.approx(1 - float(law.at(3200.0)), rel=1e-3)
    assert outlook.ahead[0][1] <= outlook.ahead[0][0] <= outlook.ahead[0][2]


def test_a_gain_is_told_from_the_side_of_the_winner() -> None:
    assert amount(0.2, MAE, is_first=True) == "20.0 %"
    assert amount(-0.25, MAE, is_first=False) == "20.0 %"  # 1.25 against 1: the other one avoids a fifth of it
    assert amount(-0.031, ACCURACY, is_first=False) == "0.031"
