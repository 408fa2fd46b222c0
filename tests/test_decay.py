"""Values that fade in gaps: against the paper's formula, with its gradients, and what is refused."""

import pytest
import torch

from gatework.errors import ConfigError
from gatework.layers import Decay
from gatework.ragged import Ragged

LENGTHS = [4, 0, 7]


def steps(seed: int = 0) -> torch.Tensor:
    """Two values at columns 3 and 0, their masks at 1 and 5, their times at 2 and 6; column 4 is another input."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(sum(LENGTHS), 7, generator=generator, dtype=torch.float64)
    x[:, [1, 5]] = (x[:, [1, 5]] > 0).double()
    x[:, [2, 6]] = x[:, [2, 6]].abs()
    return x


def made() -> Decay:
    decay = Decay(values=[3, 0], observed=[1, 5], since=[2, 6], resting=[0.5, -1.0]).double()
    with torch.no_grad():
        decay.rate.copy_(torch.tensor([0.7, -0.3], dtype=torch.float64))
        decay.offset.copy_(torch.tensor([-0.2, 0.4], dtype=torch.float64))
    return decay


def test_a_gap_is_filled_by_the_papers_formula_and_nothing_else_is_touched() -> None:
    x, decay = steps(), made()
    expected = x.clone()
    for value, mask, since, resting, rate, offset in ((3, 1, 2, 0.5, 0.7, -0.2), (0, 5, 6, -1.0, -0.3, 0.4)):
        gamma = torch.exp(-torch.clamp(rate * x[:, since] + offset, min=0))
        m = x[:, mask]
        expected[:, value] = m * x[:, value] + (1 - m) * (gamma * x[:, value] + (1 - gamma) * resting)
    found = decay(Ragged.from_lengths(x, LENGTHS))
    assert found.lengths.tolist() == LENGTHS
    torch.testing.assert_close(found.values, expected, rtol=1e-14, atol=1e-14)
    others = [1, 2, 4, 5, 6]
    assert torch.equal(found.values[:, others], x[:, others])
    measured = x[:, 1] == 1
    assert torch.equal(found.values[measured, 3], x[measured, 3])


def test_its_gradients_are_the_numerical_ones_and_what_is_measured_has_none() -> None:
    decay = made()

    def run(x: torch.Tensor, rate: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        given = Ragged.from_lengths(x, LENGTHS)
        result = torch.func.functional_call(decay, {"rate": rate, "offset": offset}, (given,))
        return result.values[:, [0, 3]]

    x = steps(1)
    assert torch.autograd.gradcheck(
        lambda rate, offset: run(x, rate, offset), (decay.rate.detach().requires_grad_(), decay.offset.detach().requires_grad_())
    )
    whole = x.clone()
    whole[:, [1, 5]] = 1.0
    decay(Ragged.from_lengths(whole, LENGTHS)).values.sum().backward()
    assert not decay.rate.grad.any()


def test_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"values=\[0, 1\], observed=\[2\].*expected as many of each.*Give the three columns"):
        Decay(values=[0, 1], observed=[2], since=[3, 4])
    with pytest.raises(ConfigError, match="all different columns"):
        Decay(values=[0], observed=[0], since=[1])
