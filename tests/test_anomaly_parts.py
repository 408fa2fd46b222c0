"""The parts of anomaly detection, each beside an independent truth: covariance, threshold, ranges, metrics, baselines, period."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score

from gatework.errors import ConfigError, DataError
from gatework.tasks.baselines.anomalies import carried_forward, nearest_neighbour, rolling_z_score, seasonal_residual
from gatework.tasks.detectors.budget import read_budget
from gatework.tasks.detectors.expect import errors_of, window_starts
from gatework.tasks.detectors.period import dominant_period, predictability
from gatework.tasks.detectors.ranges import find_ranges, smoothed
from gatework.tasks.detectors.residuals import NormalResiduals, fit_residuals
from gatework.tasks.detectors.threshold import check_budget, fit_pareto, fit_threshold
from gatework.tasks.metrics.anomalies import LABELLED_METRICS, Pace, measure_anomalies
from refusals import refusal

PACE = Pace(1000.0, "per 1,000 steps")


def one_series(count: int) -> np.ndarray:
    return np.zeros(count, dtype=np.int64)


# Residuals


def test_the_score_is_the_mahalanobis_distance_and_its_shares_sum_to_one() -> None:
    generator = np.random.default_rng(0)
    factor = generator.normal(size=(4, 4))
    covariance = factor @ factor.T + np.eye(4)
    centre = generator.normal(size=4)
    errors = generator.normal(size=(50, 4)) * 3
    scores, shares = NormalResiduals(centre, covariance, num_targets=2).score(errors)
    around = errors - centre
    expected = np.sqrt(np.einsum("ij,jk,ik->i", around, np.linalg.inv(covariance), around) / 4)
    assert np.allclose(scores, expected, rtol=1e-9)
    assert np.allclose(shares.sum(axis=1), 1.0)


def test_a_residual_that_was_not_observed_is_left_out_of_the_covariance() -> None:
    covariance = np.array([[2.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 1.0]])
    normal = NormalResiduals(np.zeros(3), covariance, num_targets=3)
    scores, shares = normal.score(np.array([[1.0, np.nan, 2.0], [np.nan, np.nan, np.nan], [1.0, 1.0, 1.0]]))
    seen = np.array([1.0, 2.0])
    assert scores[0] == pytest.approx(np.sqrt(seen @ np.linalg.inv(covariance[np.ix_([0, 2], [0, 2])]) @ seen / 2))
    assert shares[0, 1] == 0
    assert np.isnan(scores[1])
    assert (shares[1] == 0).all()
    assert np.isfinite(scores[2])


def test_without_correlation_a_share_is_that_of_the_squared_standardised_residual() -> None:
    normal = NormalResiduals(np.zeros(2), np.diag([4.0, 9.0]), num_targets=2)
    assert np.allclose(normal.score(np.array([[2.0, 6.0]]))[1], [[1 / 5, 4 / 5]])


def test_a_twentieth_of_anomalies_hardly_moves_the_covariance() -> None:
    generator = np.random.default_rng(1)
    covariance = np.array([[1.0, 0.8], [0.8, 1.0]])
    errors = generator.multivariate_normal([0.5, -0.5], covariance, size=2000)
    dirty = errors.copy()
    dirty[generator.permutation(2000)[:100]] += [30.0, -20.0]
    for rows in (errors, dirty):
        found = fit_residuals(rows, num_targets=2)
        assert np.allclose(found.covariance, covariance, atol=0.12)  # 2,000 rows: a standard error of 0.03
        assert np.allclose(found.centre, [0.5, -0.5], atol=0.1)
    plain = np.cov(dirty.T)
    assert abs(plain - covariance).max() > 5  # what a plain covariance makes of it


def test_a_channel_without_any_error_does_not_divide_by_zero() -> None:
    errors = np.column_stack([np.random.default_rng(0).normal(size=100), np.zeros(100)])
    scores, _ = fit_residuals(errors, num_targets=2).score(np.array([[0.0, 0.0], [0.0, 1.0]]))
    assert scores[0] < 3
    assert scores[1] > 100
    assert np.isfinite(scores).all()


def test_too_few_residuals_are_refused() -> None:
    assert "12 residuals" in refusal(lambda: fit_residuals(np.zeros((12, 2)), 2), DataError)


# Threshold


def test_the_fit_finds_the_pareto_distribution_that_the_excesses_came_from() -> None:
    for shape in (-0.2, 0.0, 0.3):
        excess = stats.genpareto.rvs(shape, scale=2.0, size=4000, random_state=1)
        found, scale = fit_pareto(excess)
        assert found == pytest.approx(shape, abs=0.05)  # standard error about (1 + shape) / √4000 = 0.02
        assert scale == pytest.approx(2.0, rel=0.08)


@pytest.mark.parametrize("share", [0.05, 0.001])
def test_the_threshold_lets_through_the_share_that_the_budget_allows(share: float) -> None:
    rates = []
    for seed in range(4):
        scores = np.random.default_rng(seed).exponential(size=3000)
        record = fit_threshold(scores, one_series(3000), read_budget(str(share), None), gap=0)
        rates.append(np.exp(-record.value) / share)
        assert record.how == ("quantile" if share == 0.05 else "extreme value theory")
        assert record.low is not None
        assert record.high is not None
        assert record.low <= record.value <= record.high
    assert np.exp(np.mean(np.log(rates))) == pytest.approx(1.0, rel=0.5)  # 12 exceedances expected of 0.001 in all


def test_a_budget_of_ranges_counts_a_run_of_high_scores_once() -> None:
    generator = np.random.default_rng(0)
    scores = np.repeat(generator.exponential(size=2000), 5)  # runs of five equal scores
    steps = fit_threshold(scores, one_series(10000), read_budget("0.01", None), gap=0)
    ranges = fit_threshold(scores, one_series(10000), read_budget("10/1000 steps", None), gap=0)
    assert ranges.value < steps.value  # 100 ranges are 500 steps
    found = find_ranges(scores > ranges.value, one_series(10000))
    assert len(found) == pytest.approx(100, abs=5)


def test_a_few_gross_anomalies_in_the_validation_part_do_not_lift_the_threshold() -> None:
    scores = np.random.default_rng(0).exponential(size=1000)
    budget = read_budget("0.002", None)
    clean = fit_threshold(scores, one_series(1000), budget, gap=0)
    scores[[100, 400, 401, 402, 700]] = 500.0
    dirty = fit_threshold(scores, one_series(1000), budget, gap=0)
    assert dirty.value == pytest.approx(clean.value, rel=0.15)
    assert any("5 peaks of the validation part" in note for note in dirty.notes)


def test_a_threshold_beyond_the_data_says_so_with_its_interval() -> None:
    scores = np.random.default_rng(0).exponential(size=500)
    record = fit_threshold(scores, one_series(500), read_budget("0.0002", None), gap=0)
    assert any("allows 0.1 alarms in the 500 steps" in note and "extrapolated" in note for note in record.notes)


def test_a_budget_that_no_data_can_answer_is_refused() -> None:
    budget = read_budget("1/year", 3600.0)
    check_budget(budget, 9000)
    assert "less than one alarm in 1,000 times the validation part" in refusal(lambda: check_budget(budget, 8), ConfigError)


def test_a_budget_is_read_in_every_form() -> None:
    assert read_budget("1/week", 3600.0).rate == pytest.approx(1 / 168)
    assert read_budget("2 per day", 60.0).rate == pytest.approx(2 / 1440)
    assert read_budget("3/100 hours", 3600.0).rate == pytest.approx(0.03)
    assert read_budget("1/1000 steps", None) == read_budget("1/1000step", None).__class__(0.001, "ranges", "1/1000 steps")
    assert read_budget("0.001", None).counts == "steps"


@pytest.mark.parametrize("text", ["0", "-1", "0.9", "often", "1/fortnight", "/day", "1/0 days", "nan", "1..2/day"])
def test_a_budget_that_means_nothing_is_refused(text: str) -> None:
    assert text in refusal(lambda: read_budget(text, 60.0), ConfigError)


def test_a_budget_in_time_needs_a_clock() -> None:
    assert "no time stamps" in refusal(lambda: read_budget("1/day", None), ConfigError)


# Ranges


def test_ranges_never_join_two_series_and_join_over_small_gaps() -> None:
    alarm = np.array([1, 0, 1, 1, 0, 0, 1, 1], dtype=bool)
    sequence = np.array([0, 0, 0, 0, 0, 0, 0, 1])
    found = find_ranges(alarm, sequence, gap=1)
    assert list(zip(found.first, found.last, found.sequence, strict=True)) == [(0, 3, 0), (6, 6, 0), (7, 7, 1)]
    assert len(find_ranges(np.zeros(4, dtype=bool), one_series(4))) == 0


def test_a_smoothed_score_knows_nothing_of_later_steps_or_other_series() -> None:
    scores = np.array([1.0, 3.0, np.nan, 5.0, 10.0, 20.0])
    assert np.allclose(smoothed(scores, np.array([0, 4, 6]), 2), [1.0, 2.0, np.nan, 5.0, 10.0, 15.0], equal_nan=True)


def test_errors_stand_at_the_step_that_was_forecast() -> None:
    forecasts = np.arange(12.0).reshape(6, 2, 1)  # made after step t: 2t for the next step, 2t + 1 for the one after
    found = errors_of(forecasts, np.zeros((6, 1)), warmup=1)
    assert np.allclose(found.errors[:, 0], [np.nan, np.nan, -2, -4, -6, -8], equal_nan=True)
    assert np.allclose(found.errors[:, 1], [np.nan, np.nan, np.nan, -3, -5, -7], equal_nan=True)
    assert np.allclose(found.values[:, 0], [np.nan, np.nan, 2, 3.5, 5.5, 7.5], equal_nan=True)


def test_windows_cover_every_step_of_a_series() -> None:
    for length in (8, 9, 23, 40):
        covered = np.zeros(length, dtype=int)
        for start in window_starts(length, 8, 3):
            covered[start : start + 8] += 1
        assert covered.min() >= 1
    assert len(window_starts(7, 8, 3)) == 0


# Metrics


def measured(score: list[float], truth: list[int], gap: int = 0, tolerance: int = 0) -> dict[str, float]:
    errors = measure_anomalies(
        np.array(score), one_series(len(score)), np.array(truth, dtype=float), gap=gap, tolerance=tolerance, pace=PACE
    )
    values = errors.values(np.ones((1, errors.num_units)))[0]
    return {metric.name: float(value) for metric, value in zip(LABELLED_METRICS, values, strict=True)}


def test_average_precision_is_that_of_scikit_learn_with_weights_and_ties() -> None:
    generator = np.random.default_rng(0)
    score = np.round(generator.normal(size=300), 1)
    truth = (generator.random(300) < 0.2).astype(float)
    errors = measure_anomalies(score, one_series(300), truth, gap=0, tolerance=0, pace=PACE)
    weights = generator.integers(0, 3, (4, 300)).astype(float)
    expected = [average_precision_score(truth, score, sample_weight=row) for row in weights]
    assert np.allclose(errors.values(weights)[:, 0], expected)


def test_events_are_counted_as_ranges_and_no_point_is_adjusted() -> None:
    truth = [0] * 10 + [1] * 10 + [0] * 10 + [1] * 2 + [0] * 8
    score = [0.0] * 40
    score[3] = 2.0  # a false alarm
    score[15], score[16] = 1.5, 3.0  # inside the first range, five steps late
    found = measured(score, truth)
    assert found["event recall"] == 0.5
    assert found["event precision"] == 0.5
    assert found["false alarms"] == pytest.approx(1000 / 40)
    assert found["delay"] == 5
    assert found["top score in range"] == 1
    # adjusted, the whole first range would count as found, and this would be above 0.8
    assert found["average precision"] == pytest.approx(average_precision_score(truth, score))
    assert found["average precision"] < 0.5


def test_the_tolerance_moves_the_borders_of_events() -> None:
    truth, score = [0] * 10 + [1] * 3 + [0] * 10, [0.0] * 23
    score[14] = 2.0
    assert measured(score, truth)["event recall"] == 0
    assert measured(score, truth, tolerance=2)["event recall"] == 1
    assert measured(score, truth, tolerance=2)["delay"] == 4


def test_the_archive_s_rule_allows_a_hundred_steps_beside_the_range() -> None:
    truth = [0] * 300 + [1] * 5 + [0] * 300
    for place, right in ((199, 0), (200, 1), (302, 1), (404, 1), (405, 0)):
        score = [0.0] * 605
        score[place] = 2.0
        assert measured(score, truth)["top score in range"] == right


def test_grouped_units_give_the_values_of_the_steps() -> None:
    generator = np.random.default_rng(2)
    score, truth = generator.exponential(size=200), (generator.random(200) < 0.1).astype(float)
    errors = measure_anomalies(score, one_series(200), truth, gap=2, tolerance=2, pace=PACE)
    whole = errors.values(np.ones((1, 200)))
    assert np.allclose(errors.grouped(np.arange(200) // 20).values(np.ones((1, 10))), whole)


def test_without_labels_only_alarms_are_counted() -> None:
    errors = measure_anomalies(np.array([0.0, 2.0, 2.0, 0.0, 3.0]), one_series(5), None, gap=0, tolerance=0, pace=PACE)
    assert [metric.name for metric in errors.metrics] == ["alarms", "steps in alarm"]
    assert np.allclose(errors.values(np.ones((1, 5))), [[400.0, 0.6]])


# Baselines and the plan's numbers


def test_the_nearest_shape_is_the_brute_force_one() -> None:
    generator = np.random.default_rng(0)
    values, reference, length = generator.normal(size=(30, 2)), generator.normal(size=(40, 2)), 7

    def standard(window: np.ndarray) -> np.ndarray:
        return (window - window.mean(axis=0)) / window.std(axis=0)

    nearest = [
        min(((standard(values[i : i + length]) - standard(reference[j : j + length])) ** 2).sum() for j in range(34))
        for i in range(24)
    ]
    distance = np.sqrt(nearest)
    expected = [distance[max(0, t - length + 1) : min(t, 23) + 1].mean() for t in range(30)]
    assert np.allclose(nearest_neighbour(values, [reference], length), expected, atol=1e-6)


def test_simple_scores_are_what_their_names_say() -> None:
    values = np.array([[1.0], [3.0], [1.0], [3.0], [12.0]])
    assert np.allclose(rolling_z_score(values, 4), [np.nan] * 4 + [10.0], equal_nan=True)
    assert np.allclose(seasonal_residual(values, 2, np.array([2.0])), [np.nan, np.nan, 0, 0, 5.5], equal_nan=True)
    gaps = np.array([[np.nan], [2.0], [np.nan], [np.nan], [4.0]])
    assert carried_forward(gaps, np.array([0, 3, 5]), np.array([9.0]))[:, 0].tolist() == [9.0, 2.0, 2.0, 9.0, 4.0]


@pytest.mark.parametrize("period", [7, 24, 184])
def test_the_dominant_period_is_found_under_noise_and_trend(period: int) -> None:
    place = np.arange(900)
    wave = np.sin(2 * np.pi * place / period) + 0.5 * np.sin(4 * np.pi * place / period)
    values = wave + np.random.default_rng(0).normal(0, 0.3, 900) + 0.01 * place
    assert dominant_period(values[:, None]) == pytest.approx(period, abs=max(1, period // 50))


def test_noise_has_no_period_and_cannot_be_predicted() -> None:
    noise = np.random.default_rng(0).normal(size=(1000, 1))
    assert dominant_period(noise) == 0
    assert predictability(noise) < 0.05
    assert dominant_period(np.ones((100, 1))) == 0
    assert predictability(np.sin(np.arange(1000) / 5)[:, None]) > 0.9


@pytest.mark.parametrize("seed", [0, 8, 29])
def test_a_short_series_that_is_like_itself_at_no_lag_has_no_period(seed: int) -> None:
    short = np.random.default_rng(seed).normal(size=(24, 1))  # every peak of its autocorrelation is below 0
    assert dominant_period(short) == 0
