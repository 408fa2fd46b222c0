"""Sample paths: their steps keep the spread of past errors, and their sums have the spread that dependent errors give."""

import numpy as np
import pytest

from gatework.tasks.paths import path_errors

HORIZON, PHI = 12, 0.9


def autoregressive_errors(count, seed=0):
    """The errors of the best forecasts of an AR(1) process with unit noise: Σ φ^k ε."""
    noise = np.random.default_rng(seed).normal(size=(count, HORIZON))
    errors = np.empty_like(noise)
    errors[:, 0] = noise[:, 0]
    for step in range(1, HORIZON):
        errors[:, step] = PHI * errors[:, step - 1] + noise[:, step]
    return errors[..., None]


def test_sums_over_the_horizon_have_the_spread_of_dependent_errors():
    past = autoregressive_errors(400)
    paths = path_errors(past, 2000, np.random.default_rng(1))
    # each noise ε_j reaches the sum with weight Σ_{k=0}^{H−1−j} φ^k
    weights = (1 - PHI ** np.arange(HORIZON, 0, -1)) / (1 - PHI)
    true_spread = np.sqrt((weights**2).sum())
    assert paths.sum((1, 2)).std() == pytest.approx(true_spread, rel=0.1)  # 400 examples: 3.5 % of standard error
    step_spread = np.sqrt((1 - PHI ** (2 * np.arange(1, HORIZON + 1))) / (1 - PHI**2))
    np.testing.assert_allclose(paths[..., 0].std(0), step_spread, rtol=0.15)
    independent = np.sqrt((step_spread**2).sum())
    assert independent < 0.6 * true_spread  # what drawing each step by itself would give


def test_paths_come_from_all_past_forecasts_equally_and_again_from_the_same_seed():
    past = np.arange(10.0)[:, None, None] * np.ones((1, 3, 2))
    paths = path_errors(past, 30, np.random.default_rng(0))
    assert np.bincount(np.round(paths[:, 0, 0]).astype(int), minlength=10).tolist() == [3] * 10
    np.testing.assert_array_equal(paths, path_errors(past, 30, np.random.default_rng(0)))
    assert len(np.unique(paths[:, 0, 0])) > 25  # not ten paths three times
    assert paths.min() >= 0
    assert paths.max() <= 9


def test_opposite_steps_stay_opposite():
    first = np.random.default_rng(0).normal(size=100)
    past = np.stack([first, -first], axis=1)[..., None]
    paths = path_errors(past, 100, np.random.default_rng(0))
    assert np.corrcoef(paths[:, 0, 0], paths[:, 1, 0])[0, 1] < -0.95


def test_ties_do_not_tie_steps_together():
    past = np.zeros((200, 2, 1))
    past[:20, 0] = 1.0
    past[-20:, 1] = 1.0
    paths = path_errors(past, 2000, np.random.default_rng(0))
    assert abs(np.corrcoef(paths[:, 0, 0], paths[:, 1, 0])[0, 1]) < 0.2
