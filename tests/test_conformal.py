"""Conformal calibration: the share of hits on exchangeable data, its rank, its change under drift; it knows no future."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers

from gatework.tasks.conformal import (
    MEMORY,
    Adaptive,
    adapt,
    conformal_quantile,
    conformity_scores,
    ends_of,
    quantile_levels,
    tails,
    widened,
)
from gatework.tasks.metrics import interval_scores, quantile_loss

INTERVALS = (0.8, 0.95)


@pytest.mark.parametrize(("count", "share", "rank"), [(9, 0.8, 8), (19, 0.95, 19), (99, 0.8, 80), (100, 0.8, 81), (39, 0.95, 38)])
def test_the_rank_is_that_of_the_finite_sample(count, share, rank):
    # ⌈(n + 1)(1 − α)⌉, Romano et al. 2019, equation 8
    scores = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert conformal_quantile(scores[:, None], np.array([share])) == [rank]


def test_too_few_scores_give_no_bound_and_missing_ones_do_not_count():
    scores = np.arange(1.0, 25.0)
    assert conformal_quantile(scores[:18, None], np.array([0.95]))[0] == np.inf
    assert conformal_quantile(scores[:19, None], np.array([0.95]))[0] == 19
    scores[5:] = np.nan
    assert conformal_quantile(scores[:, None], np.array([0.8]))[0] == 5
    assert conformal_quantile(np.full((3, 1), np.nan), np.array([0.5]))[0] == np.inf


@pytest.mark.parametrize("has_quantiles", [False, True])
@pytest.mark.parametrize("noise", ["normal", "exponential", "standard_cauchy"])
def test_coverage_on_exchangeable_errors_is_what_was_asked_for(noise, has_quantiles):
    # with 400 past and 40 × 400 × 3 coming errors the standard error over 40 repetitions is below 0.4 points
    generator = np.random.default_rng(0)
    held = np.zeros((40, 2))
    for number in range(40):
        shape = (800, 3, 1)
        truth = getattr(generator, noise)(size=shape) * np.array([1.0, 3.0, 9.0])[:, None]
        point = np.zeros(shape)
        # quantiles of a model that is wrong by a factor of three
        ends = np.stack([point - 0.4, point + 0.4, point - 0.6, point + 0.6], -1).reshape(*shape, 2, 2)
        ends = ends if has_quantiles else np.stack([point, point], -1)[..., None, :].repeat(2, axis=-2)
        shift = conformal_quantile(conformity_scores(truth[:400], ends[:400]), np.array(INTERVALS))
        given_ends = widened(ends[400:], point[400:], shift)
        held[number] = [
            ((given_ends[..., k, 0] <= truth[400:]) & (truth[400:] <= given_ends[..., k, 1])).mean() for k in range(2)
        ]
    assert np.abs(held.mean(0) - INTERVALS).max() < 0.03


@given(seed=integers(0, 1000), shift=floats(-3, 3))
def test_ranges_are_nested_around_the_median_whatever_the_shift(seed, shift):
    generator = np.random.default_rng(seed)
    values = np.sort(generator.normal(size=(5, 2, 1, 5)), axis=-1)
    ends = ends_of(values, quantile_levels(INTERVALS), INTERVALS)
    moved = widened(ends, values[..., 2], np.array([shift, -shift / 2]))
    whole = np.stack([moved[..., 1, 0], moved[..., 0, 0], values[..., 2], moved[..., 0, 1], moved[..., 1, 1]], -1)
    assert (np.diff(whole, axis=-1) >= 0).all()
    wider = np.maximum(moved[..., 1] - moved[..., 0] - (ends[..., 1] - ends[..., 0] + 2 * np.array([shift, -shift / 2])), -1e-9)
    assert (wider >= -1e-9).all()


def test_levels_of_intervals():
    assert tails(0.95) == (0.025, 0.975)
    assert quantile_levels((0.8, 0.5)) == (0.1, 0.25, 0.5, 0.75, 0.9)


def drifting(count=1200, horizon=3, seed=0):
    """Scores of a single number whose errors grow fourfold in the middle."""
    spread = np.where(np.arange(count) < count // 2, 1.0, 4.0)[:, None, None, None]
    return np.abs(np.random.default_rng(seed).normal(size=(count, horizon, 1, 1))).repeat(2, axis=-1) * spread


def test_adaptive_ranges_keep_their_share_where_errors_grow_and_fixed_ones_lose_it():
    past, coming = drifting(600)[:300], drifting(1600, seed=1)
    fixed = conformal_quantile(past, np.array(INTERVALS))
    shifts, _ = adapt(Adaptive.begin(past, INTERVALS), coming, np.arange(1600))
    # from the change on: too few at first, some too many afterwards, the wanted share in the long run
    assert ((coming <= fixed)[800:].mean((0, 1, 2)) < [0.5, 0.6]).all()
    assert np.abs((coming <= shifts)[800:].mean((0, 1, 2)) - INTERVALS).max() < 0.03


def test_adaptive_ranges_on_errors_that_do_not_drift_are_those_of_split_calibration():
    generator = np.random.default_rng(0)
    past, coming = (np.abs(generator.normal(size=(count, 2, 1, 1))).repeat(2, axis=-1) for count in (500, 1500))
    shifts, _ = adapt(Adaptive.begin(past, INTERVALS), coming, np.arange(1500))
    assert np.abs((coming <= shifts).mean((0, 1, 2)) - INTERVALS).max() < 0.03


def test_a_range_knows_no_truth_that_comes_after_its_forecast():
    coming = drifting(200)
    start = Adaptive.begin(drifting(100, seed=3), INTERVALS)
    before, _ = adapt(start, coming, np.arange(200))
    # the truth of step h of forecast 50 is known to forecast 50 + h + 1
    for step in range(3):
        changed = coming.copy()
        changed[50, step] = 1e6
        after, _ = adapt(start, changed, np.arange(200))
        first = 50 + step + 1
        np.testing.assert_array_equal(after[:first], before[:first])
        assert (after[first, step] != before[first, step]).any()
        np.testing.assert_array_equal(np.delete(after, step, 1), np.delete(before, step, 1))


def test_forecasts_of_the_same_moment_do_not_learn_from_each_other_and_gaps_are_kept():
    coming = drifting(60)
    clock = np.repeat(np.arange(20) * 5, 3)  # three series, every fifth step
    start = Adaptive.begin(drifting(100, seed=3), INTERVALS)
    shifts, last = adapt(start, coming, clock)
    for moment in range(20):
        same = shifts[clock == moment * 5]
        np.testing.assert_array_equal(same, same[:1].repeat(3, axis=0))
    np.testing.assert_array_equal(shifts[clock == 0][0], start.shift())
    assert (last.place == np.array([57, 57, 57])).all()  # all but those of the last moment
    # series by series, as samples come, or moment by moment: the same
    order = np.argsort(np.arange(60) % 3, kind="stable")
    again, _ = adapt(start, coming[order], clock[order])
    np.testing.assert_allclose(again, shifts[order])


def test_missing_truths_move_nothing():
    start = Adaptive.begin(drifting(100, seed=3), INTERVALS)
    shifts, last = adapt(start, np.full((50, 3, 1, 2), np.nan), np.arange(50))
    np.testing.assert_array_equal(shifts, np.broadcast_to(start.shift(), shifts.shape))
    np.testing.assert_array_equal(last.misses, start.misses)
    np.testing.assert_array_equal(last.scores, start.scores)


def test_the_memory_is_bounded_and_the_oldest_goes_first():
    scores = np.arange(2.0 * MEMORY).reshape(-1, 1, 1, 1)
    state = Adaptive.begin(scores, (0.8,))
    assert state.scores.min() == MEMORY
    new = np.array([5.0, 6.0]).reshape(2, 1, 1)
    state = state.after(np.array([0, 0]), new, np.zeros_like(new))
    assert {MEMORY, MEMORY + 1} & set(state.scores.ravel()) == set()
    assert {5.0, 6.0} <= set(state.scores.ravel())
    assert state.misses.item() == pytest.approx(0.2 + 0.005 * 0.2)


def test_interval_scores_by_hand():
    truth = np.array([[1.0, 5.0], [3.0, np.nan]])[..., None]
    low, high = np.zeros((2, 2, 1)), np.full((2, 2, 1), 2.0)
    (found,) = interval_scores(truth, low, high, 0.8, ["load"])
    assert (found.target, found.level, found.width) == ("load", 0.8, 2.0)
    assert found.coverage == pytest.approx(1 / 3)
    assert found.coverage_by_step == (0.5, 0.0)
    # width 2, and 2/α = 10 times the distance outside: 1 at step 1 of the second, 3 at step 2 of the first
    assert found.score_by_step == pytest.approx((2 + 10 * 0.5, 2 + 10 * 3))
    (unbounded,) = interval_scores(truth, low, np.full((2, 2, 1), np.inf), 0.95, ["load"])
    assert unbounded.width is None
    assert unbounded.coverage == 1.0
    (nothing,) = interval_scores(np.full((1, 1, 1), np.nan), low[:1, :1], high[:1, :1], 0.8, ["load"])
    assert nothing.coverage is None


def test_the_quantile_loss_of_the_median_is_the_mean_absolute_error():
    generator = np.random.default_rng(0)
    truth, median = generator.normal(size=(2, 7, 3, 2))
    truth[0, 0, 0] = np.nan
    found = quantile_loss(truth, median[..., None], (0.5,), ["a", "b"])
    assert list(found.values()) == pytest.approx(list(np.nanmean(np.abs(truth - median), axis=(0, 1))))
