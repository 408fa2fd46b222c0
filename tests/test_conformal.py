"""Conformal calibration: the share of hits on exchangeable data, its rank, its change under drift; it knows no future."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers

from gatework.tasks.conformal import (
    MEMORY,
    RATE,
    Adaptive,
    adapt,
    conformal_quantile,
    conformity_scores,
    ends_of,
    quantile_levels,
    signed_scores,
    tails,
    wanted_misses,
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


MEDIANS = {"normal": 0.0, "exponential": np.log(2.0), "standard_cauchy": 0.0, "lognormal": 1.0}


def simulated(noise, count, generator):
    """Truths of three steps, ever more uncertain, around a forecast of 0, their median: (count, 3, 1)."""
    errors = getattr(generator, noise)(size=(count, 3, 1)) - MEDIANS[noise]
    return errors * np.array([1.0, 3.0, 9.0])[:, None]


def outside(truth, ends):
    """(intervals, 2) the shares of truths below and above their ranges."""
    return np.array([[(truth < ends[..., k, 0]).mean(), (truth > ends[..., k, 1]).mean()] for k in range(ends.shape[-2])])


@pytest.mark.parametrize("has_quantiles", [False, True])
@pytest.mark.parametrize("noise", MEDIANS)
def test_coverage_on_exchangeable_errors_is_what_was_asked_for(noise, has_quantiles):
    # with 400 past and 40 × 400 × 3 coming errors the standard error over 40 repetitions is below 0.4 points
    generator = np.random.default_rng(0)
    missed = np.zeros((40, 2, 2))
    for number in range(40):
        truth, point = simulated(noise, 800, generator), np.zeros((800, 3, 1))
        # quantiles of a model that is wrong by a factor of three
        ends = np.stack([point - 0.4, point + 0.4, point - 0.6, point + 0.6], -1).reshape(800, 3, 1, 2, 2)
        ends = ends if has_quantiles else np.zeros_like(ends)
        scores = (conformity_scores if has_quantiles else signed_scores)(truth[:400], ends[:400])
        shift = conformal_quantile(scores, 1.0 - wanted_misses(INTERVALS, scores.shape[-1]))
        missed[number] = outside(truth[400:], widened(ends[400:], point[400:], shift))
    assert np.abs(1.0 - missed.sum(-1).mean(0) - INTERVALS).max() < 0.03
    if not has_quantiles:  # each tail has half of the misses; a wrong half would be off by 2.5 points and more
        assert np.abs(missed.mean(0)[0] - 0.1).max() < 0.01
        assert np.abs(missed.mean(0)[1] - 0.025).max() < 0.005


def test_the_two_sides_of_a_skewed_error_have_widths_of_their_own():
    truth = simulated("lognormal", 4000, np.random.default_rng(0))
    ends = np.zeros((4000, 3, 1, 1, 2))
    below, above = conformal_quantile(signed_scores(truth, ends), 1.0 - wanted_misses((0.95,), 2))[0, 0, 0]
    # the 2.5 % and 97.5 % quantiles of exp(z) are exp(∓1.96), its median 1
    assert below == pytest.approx(1 - np.exp(-1.96), rel=0.05)
    assert above == pytest.approx(np.exp(1.96) - 1, rel=0.15)


@pytest.mark.parametrize(("noise", "method"), [("lognormal", "fixed"), ("lognormal", "adaptive"), ("normal", "adaptive")])
def test_each_tail_keeps_its_half_of_the_misses(noise, method):
    past, coming = (simulated(noise, count, np.random.default_rng(seed)) for seed, count in ((0, 500), (1, 3000)))
    scores, new = (signed_scores(truth, np.zeros((*truth.shape, 2, 2))) for truth in (past, coming))
    shift = conformal_quantile(scores, 1.0 - wanted_misses(INTERVALS, 2))
    if method == "adaptive":
        shift, _ = adapt(Adaptive.begin(scores, INTERVALS), new, np.arange(3000))
    missed = (new > shift).mean((0, 1, 2))
    # 500 past errors set the ends: a standard error of 1.3 and 0.7 points, of 3 steps together 0.8 and 0.4
    np.testing.assert_allclose(missed, wanted_misses(INTERVALS, 2), atol=0.02)
    assert np.abs(1.0 - missed.sum(-1) - INTERVALS).max() < 0.03


def test_a_range_with_two_sides_needs_the_errors_of_both_tails():
    scores = np.arange(39.0)[:, None, None].repeat(2, axis=-1)
    rank = conformal_quantile(scores, 1.0 - wanted_misses((0.95,), 2))
    np.testing.assert_array_equal(rank, [[38.0, 38.0]])  # the ⌈40 · 0.975⌉ = 39th of 39
    assert np.isinf(conformal_quantile(scores[1:], 1.0 - wanted_misses((0.95,), 2))).all()


@given(seed=integers(0, 1000), shift=floats(-3, 3))
def test_ranges_are_nested_around_the_median_whatever_the_shift(seed, shift):
    generator = np.random.default_rng(seed)
    values = np.sort(generator.normal(size=(5, 2, 1, 5)), axis=-1)
    ends = ends_of(values, quantile_levels(INTERVALS), INTERVALS)
    moved = widened(ends, values[..., 2], np.array([[shift], [-shift / 2]]))
    whole = np.stack([moved[..., 1, 0], moved[..., 0, 0], values[..., 2], moved[..., 0, 1], moved[..., 1, 1]], -1)
    assert (np.diff(whole, axis=-1) >= 0).all()
    wider = np.maximum(moved[..., 1] - moved[..., 0] - (ends[..., 1] - ends[..., 0] + 2 * np.array([shift, -shift / 2])), -1e-9)
    assert (wider >= -1e-9).all()


@given(below=floats(-3, 3), above=floats(-3, 3))
def test_each_side_moves_by_its_own_score(below, above):
    point = np.zeros((4, 1, 1))
    moved = widened(np.zeros((4, 1, 1, 1, 2)), point, np.array([[below, above]]))
    # never beyond the median, which stays inside
    np.testing.assert_array_equal(moved[0, 0, 0, 0], [min(-below, 0.0), max(above, 0.0)])


def test_levels_of_intervals():
    assert tails(0.95) == (0.025, 0.975)
    assert quantile_levels((0.8, 0.5)) == (0.1, 0.25, 0.5, 0.75, 0.9)


def drifting(count=1200, horizon=3, seed=0):
    """Scores of a single number whose errors grow fourfold in the middle."""
    spread = np.where(np.arange(count) < count // 2, 1.0, 4.0)[:, None, None, None]
    scores = np.abs(np.random.default_rng(seed).normal(size=(count, horizon, 1, 1))).repeat(2, axis=-1) * spread
    return scores[..., None]


def test_adaptive_ranges_keep_their_share_where_errors_grow_and_fixed_ones_lose_it():
    past, coming = drifting(600)[:300], drifting(1600, seed=1)
    fixed = conformal_quantile(past, 1.0 - wanted_misses(INTERVALS, 1))
    shifts, _ = adapt(Adaptive.begin(past, INTERVALS), coming, np.arange(1600))
    # from the change on: too few at first, some too many afterwards, the wanted share in the long run
    assert ((coming <= fixed)[800:].mean((0, 1, 2, 4)) < [0.5, 0.6]).all()
    assert np.abs((coming <= shifts)[800:].mean((0, 1, 2, 4)) - INTERVALS).max() < 0.03


def test_adaptive_ranges_on_errors_that_do_not_drift_are_those_of_split_calibration():
    generator = np.random.default_rng(0)
    past, coming = (np.abs(generator.normal(size=(count, 2, 1, 1, 1))).repeat(2, axis=-2) for count in (500, 1500))
    shifts, _ = adapt(Adaptive.begin(past, INTERVALS), coming, np.arange(1500))
    assert np.abs((coming <= shifts).mean((0, 1, 2, 4)) - INTERVALS).max() < 0.03


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
    shifts, last = adapt(start, np.full((50, 3, 1, 2, 1), np.nan), np.arange(50))
    np.testing.assert_array_equal(shifts, np.broadcast_to(start.shift(), shifts.shape))
    np.testing.assert_array_equal(last.misses, start.misses)
    np.testing.assert_array_equal(last.scores, start.scores)


def test_the_memory_is_bounded_and_the_oldest_goes_first():
    scores = np.arange(2.0 * MEMORY).reshape(-1, 1, 1, 1, 1)
    state = Adaptive.begin(scores, (0.8,))
    assert state.scores.min() == MEMORY
    new = np.array([5.0, 6.0]).reshape(2, 1, 1, 1)
    state = state.after(np.array([0, 0]), new, np.zeros_like(new))
    assert {MEMORY, MEMORY + 1} & set(state.scores.ravel()) == set()
    assert {5.0, 6.0} <= set(state.scores.ravel())
    assert state.misses.item() == pytest.approx(0.2 + 0.005 * 0.2)


def test_misses_that_no_range_could_hold_are_made_up_for_later():
    # Gibbs and Candès 2021, proposition 4.1: misses = wanted − (change of the share that is aimed at) / (rate · number)
    rough = np.where(np.arange(2000) % 400 < 60, 8.0, 1.0)[:, None, None]  # longer than it takes to aim at no miss at all
    errors = np.random.default_rng(0).normal(size=(2000, 1, 1)) * rough * 1.2 ** np.arange(2000)[:, None, None].clip(max=60)
    scores = signed_scores(errors, np.zeros((2000, 1, 1, 1, 2)))
    start = Adaptive.begin(signed_scores(np.random.default_rng(1).normal(size=(300, 1, 1)), np.zeros((300, 1, 1, 1, 2))), (0.95,))
    shifts, last = adapt(start, scores, np.arange(2000))
    known = slice(0, 1999)  # the truth of the last one is not known yet
    missed = (scores > shifts)[known].mean(axis=0)
    np.testing.assert_allclose(missed, start.wanted - (last.misses - start.misses) / (RATE * 1999), atol=1e-9)
    assert np.abs(missed - 0.025).max() < 0.005
    # in the middle of such a stretch the aim is below no miss at all
    _, during = adapt(start, scores[:60], np.arange(60))
    assert (during.misses < 0).all()


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
