"""Outputs: losses against scipy and finite differences, quantiles that invert the distribution function, extreme numbers."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import mean_pinball_loss

from gatework.errors import ConfigError
from gatework.tasks.outputs import (
    OUTPUTS,
    Distribution,
    Gaussian,
    NegativeBinomial,
    Point,
    Quantiles,
    ZeroInflated,
    make_output,
)

LEVELS = (0.025, 0.1, 0.9, 0.975)
DISTRIBUTIONS = [name for name in OUTPUTS if name != "point"]
COUNTS = ("negative-binomial", "zero-inflated")


def some(name, shape=(4, 3), seed=0):
    """An output, raw numbers of a usual size, and targets that it may meet."""
    output = make_output(name, LEVELS)
    generator = np.random.default_rng(seed)
    raw = torch.tensor(generator.normal(0, 1.5, (*shape, output.num_parameters)), dtype=torch.float64)
    drawn = generator.poisson(2, shape) if output.is_count else generator.normal(0, 2, shape)
    return output, raw, torch.tensor(drawn, dtype=torch.float64)


def zero_inflated(p):
    """scipy's log mass of parameters (mean, dispersion, logit)."""
    mean, dispersion, logit = p
    extra = 1 / (1 + np.exp(-logit))
    inner = stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean))
    return lambda y: np.log(np.where(y == 0, extra, 0) + (1 - extra) * inner.pmf(y))


SCIPY = {
    "gaussian": lambda p: stats.norm(p[0], p[1]).logpdf,
    "student-t": lambda p: stats.t(p[2], p[0], p[1]).logpdf,
    "negative-binomial": lambda p: stats.nbinom(1 / p[1], 1 / (1 + p[1] * p[0])).logpmf,
    "zero-inflated": zero_inflated,
}


@pytest.mark.parametrize("name", SCIPY)
def test_the_loss_is_the_mean_negative_log_likelihood_of_scipy(name):
    output, raw, targets = some(name)
    parameters = output.parameters(raw)
    observed = torch.ones_like(targets, dtype=torch.bool)
    expected = -SCIPY[name](np.moveaxis(parameters.numpy(), -1, 0))(targets.numpy()).mean()
    assert output.loss(parameters, targets, observed).item() == pytest.approx(expected, rel=1e-9)


def test_the_loss_of_quantiles_is_twice_the_pinball_loss_of_scikit_learn():
    output, raw, targets = some("quantiles", shape=(50,))
    parameters = output.parameters(raw)
    expected = np.mean([2 * mean_pinball_loss(targets, parameters[:, i], alpha=level) for i, level in enumerate(output.levels)])
    assert output.loss(parameters, targets, torch.ones(50, dtype=torch.bool)).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("loss", "expected"), [("mae", 2.5 / 2), ("mse", (4 + 0.25) / 2), ("huber", (1.5 + 0.125) / 2)])
def test_the_losses_of_a_single_number(loss, expected):
    given, targets = torch.tensor([[1.0], [0.5]]), torch.tensor([3.0, 0.0])
    assert Point(loss).loss(given, targets, torch.ones(2, dtype=torch.bool)).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", [name for name in OUTPUTS if name != "quantiles"])
def test_gradients_are_those_of_finite_differences(name):
    output, raw, targets = some(name)
    observed = torch.tensor(np.random.default_rng(1).random(targets.shape) < 0.7)
    assert torch.autograd.gradcheck(lambda r: output.loss(output.parameters(r), targets, observed), raw.requires_grad_())


def test_gradients_of_the_outer_quantiles_are_those_of_finite_differences():
    output, raw, targets = some("quantiles")
    observed = torch.tensor(np.random.default_rng(1).random(targets.shape) < 0.7)
    median, steps = raw[..., :1], raw[..., 1:].clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s: output.loss(output.parameters(torch.cat([median, s], dim=-1)), targets, observed), steps
    )


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_first_raw_number_moves_the_value(name):
    output, raw, _ = some(name)
    low = output.point(output.parameters(raw).numpy())
    more = torch.cat([raw[..., :1] + 3.0, raw[..., 1:]], dim=-1)
    high = output.point(output.parameters(more).numpy())
    assert (high >= low).all()
    assert high.mean() > low.mean()


@pytest.mark.parametrize("name", OUTPUTS)
def test_unobserved_targets_change_nothing_whatever_they_hold(name):
    output, raw, targets = some(name)
    observed = torch.ones_like(targets, dtype=torch.bool)
    observed[0, 1] = False
    raw = raw.float().requires_grad_()
    losses, gradients = [], []
    for value in (0.0, float("nan")):
        held = targets.float().clone()
        held[0, 1] = value
        loss = output.loss(output.parameters(raw), held, observed)
        gradients.append(torch.autograd.grad(loss, raw)[0])
        losses.append(loss.item())
    assert losses[0] == losses[1]
    assert torch.equal(gradients[0], gradients[1])
    assert (gradients[0][0, 1] == 0).all()
    assert output.loss(output.parameters(raw), targets.float(), torch.zeros_like(observed)).item() == 0.0


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("size", [-1e6, -200.0, -30.0, 0.0, 30.0, 200.0, 1e6])
def test_extreme_raw_numbers_give_finite_losses_and_gradients(name, size):
    output = make_output(name, LEVELS)
    for column in range(output.num_parameters):
        raw = torch.zeros(3, output.num_parameters)
        raw[:, column] = size
        raw.requires_grad_()
        targets = torch.tensor([0.0, 3.0, 1000.0])
        loss = output.loss(output.parameters(raw), targets, torch.ones(3, dtype=torch.bool))
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(raw.grad).all()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_quantiles_never_cross(name):
    output = make_output(name, LEVELS)
    raw = torch.tensor(np.random.default_rng(0).normal(0, 8, (200, output.num_parameters)))
    parameters = output.parameters(raw).numpy()
    levels = np.linspace(0.001, 0.999, 61)
    quantiles = output.quantile(parameters, levels)
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=-1) >= -1e-9 * np.abs(quantiles[..., 1:])).all()


@pytest.mark.parametrize("name", [name for name in DISTRIBUTIONS if name not in COUNTS])
def test_the_quantile_function_inverts_the_distribution_function(name):
    output, raw, _ = some(name, shape=(40,))
    parameters = output.parameters(raw).numpy()
    levels = np.array([0.001, 0.01, 0.025, 0.2, 0.5, 0.8, 0.975, 0.999])
    for level, values in zip(levels, output.quantile(parameters, levels).T, strict=True):
        np.testing.assert_allclose(output.cdf(parameters, values), level, rtol=1e-6)


@pytest.mark.parametrize("name", COUNTS)
def test_the_quantile_of_a_count_is_the_smallest_that_reaches_the_level(name):
    output, raw, _ = some(name, shape=(40,))
    parameters = output.parameters(raw).numpy()
    for level in (0.025, 0.3, 0.5, 0.9):
        quantile = output.quantile(parameters, [level])[:, 0]
        assert (output.cdf(parameters, quantile) >= level).all()
        below = output.cdf(parameters, quantile - 1)
        assert (below[quantile > 0] < level).all()
        assert (quantile == np.round(quantile)).all()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_draws_follow_the_distribution(name):
    output, raw, _ = some(name, shape=())
    parameters = output.parameters(raw).numpy()
    drawn = output.sample(parameters, 4000, np.random.default_rng(0))
    assert drawn.shape == (4000,)
    values = np.quantile(drawn, [0.1, 0.4, 0.7, 0.95], method="inverted_cdf")
    # the share of draws at or below a value has a standard error below 0.008
    for value in values:
        assert abs((drawn <= value).mean() - output.cdf(parameters, np.array(value))) < 0.03
    again = output.sample(parameters, 4000, np.random.default_rng(0))
    np.testing.assert_array_equal(drawn, again)


@pytest.mark.parametrize("name", OUTPUTS)
def test_rescaling_moves_values_and_multiplies_widths(name):
    output, raw, _ = some(name)
    base, spread = torch.tensor([[5.0], [0.0], [-2.0], [1.0]]), torch.tensor([[3.0], [1.0], [0.5], [10.0]])
    if output.is_count:
        base = torch.zeros_like(base)
    parameters = output.parameters(raw)
    moved = output.rescale(parameters, base.double(), spread.double()).numpy()
    if output.is_count:
        np.testing.assert_allclose(moved[..., 0], (spread * parameters[..., 0]).numpy())
        np.testing.assert_array_equal(moved[..., 1:], parameters[..., 1:])
        return
    np.testing.assert_allclose(output.point(moved), base.numpy() + spread.numpy() * output.point(parameters.numpy()))
    if isinstance(output, Distribution):
        expected = base[..., None].numpy() + spread[..., None].numpy() * output.quantile(parameters.numpy(), [0.05, 0.4, 0.9])
        np.testing.assert_allclose(output.quantile(moved, [0.05, 0.4, 0.9]), expected, rtol=1e-9, atol=1e-9)


def test_the_median_of_the_quantiles_is_trained_as_if_it_stood_alone():
    output, raw, targets = some("quantiles")
    raw.requires_grad_()
    observed = torch.ones_like(targets, dtype=torch.bool)
    output.loss(output.parameters(raw), targets, observed).backward()
    alone = raw[..., 0].detach().clone().requires_grad_()
    ((alone - targets).abs().mean() / output.num_parameters).backward()
    torch.testing.assert_close(raw.grad[..., 0], alone.grad)


def test_quantile_loss_over_many_levels_is_the_crps():
    # Gneiting and Raftery 2007, equation 21: the closed form for a normal distribution
    levels = (np.arange(400) + 0.5) / 400
    output = Quantiles(sorted({*levels, 0.5}))
    parameters = Gaussian().quantile(np.array([1.0, 2.0]), np.array(output.levels))
    z = (2.5 - 1.0) / 2.0
    closed = 2.0 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    loss = output.loss(torch.tensor(parameters)[None], torch.tensor([2.5]), torch.tensor([True]))
    assert loss.item() == pytest.approx(closed, rel=2e-3)


@pytest.mark.parametrize("output", [NegativeBinomial(), ZeroInflated()])
def test_the_probabilities_of_all_counts_add_up_to_one(output):
    parameters = output.parameters(torch.tensor([[0.5, 0.2, -0.4]])[:, : output.num_parameters]).double()
    masses = [np.exp(-output.loss(parameters, torch.tensor([float(y)]), torch.tensor([True])).item()) for y in range(100)]
    assert sum(masses) == pytest.approx(1.0, abs=1e-6)


def test_a_zero_inflated_median_can_be_zero_where_the_counts_are_large():
    output = ZeroInflated()
    parameters = np.array([50.0, 0.1, 0.5])  # 62 % extra zeros
    assert output.point(parameters) == 0.0
    assert output.quantile(parameters, [0.9])[0] > 40


def test_unknown_outputs_and_levels_are_refused():
    with pytest.raises(ConfigError, match=r"'gausian'; expected one of point.*Did you mean 'gaussian'"):
        make_output("gausian", LEVELS)
    for levels in ([0.5, 0.1], [0.1, 0.9], [0.0, 0.5], []):
        with pytest.raises(ConfigError, match=r"levels of the quantiles are.*0.5 among them.*Give levels"):
            Quantiles(levels)
