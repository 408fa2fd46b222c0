"""The cells for gaps and irregular steps, gru_d, t_lstm and phased: what their papers claim of them."""

import math

import pytest
import torch
from torch import Tensor

from gatework.cells import CELLS
from gatework.engine import why_not_compiled
from gatework.layers import LSTM, Recurrent


def made(cell: str, columns: int, hidden_size: int = 5) -> Recurrent:
    torch.manual_seed(0)
    return Recurrent(cell, columns, hidden_size, dtype=torch.float64)


def drawn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def papers_gru_d(layer: Recurrent, values: Tensor, mask: Tensor, since: Tensor) -> Tensor:
    """Che et al. 2018 with the paper's own matrices W, V and W_γ cut out of the layer's; for one sequence from h = 0."""
    (w_r, v_r, _), (w_z, v_z, _), (w, v, _), (_, _, w_gamma) = (
        block.split(values.shape[1], dim=1) for block in layer.weight_ih_l0.chunk(4)
    )
    b_r, b_z, b, b_gamma = layer.bias_ih_l0.chunk(4)
    u_r, u_z, u = layer.weight_reset_l0, layer.weight_update_l0, layer.weight_candidate_l0
    h, outputs = torch.zeros(layer.hidden_size, dtype=torch.float64), []
    for x, m, delta in zip(values, mask, since, strict=True):
        gamma = torch.exp(-torch.maximum(torch.zeros(()).double(), w_gamma @ delta + b_gamma))
        faded = gamma * h
        r = torch.sigmoid(w_r @ x + u_r @ faded + v_r @ m + b_r)
        z = torch.sigmoid(w_z @ x + u_z @ faded + v_z @ m + b_z)
        h = (1 - z) * faded + z * torch.tanh(w @ x + u @ (r * faded) + v @ m + b)
        outputs.append(h)
    return torch.stack(outputs)


def test_gru_d_is_the_papers_where_the_gates_read_what_the_papers_gates_read() -> None:
    layer = made("gru_d", 6)
    with torch.no_grad():
        reset, update, candidate, decay = layer.weight_ih_l0.chunk(4)
        for block in (reset, update, candidate):
            block[:, 4:] = 0  # the times
        decay[:, :4] = 0  # the values and the mask
    values, mask, since = drawn(9, 2), (drawn(9, 2, seed=2) > 0).double(), drawn(9, 2, seed=3).abs()
    outputs, _ = layer(torch.cat([values, mask, since], dim=1))
    torch.testing.assert_close(outputs, papers_gru_d(layer, values, mask, since), rtol=1e-12, atol=1e-13)


def test_gru_d_forgets_while_nothing_is_measured_and_never_grows_by_it() -> None:
    layer = made("gru_d", 3)
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
        layer.bias_ih_l0.zero_()
        layer.bias_ih_l0[5:10] = -50.0  # update closed: nothing is written
        layer.weight_ih_l0[15:, 2] = 0.5  # the decay reads the time
    start = drawn(1, 5)
    for time in (-3.0, 0.0, 1.0, 10.0):
        outputs, _ = layer(torch.tensor([[0.0, 0.0, time]], dtype=torch.float64), start)
        torch.testing.assert_close(outputs, start * math.exp(-max(0.0, 0.5 * time)), rtol=1e-12, atol=1e-14)


def test_t_lstm_without_time_between_steps_is_an_lstm_and_after_very_long_the_short_term_part_is_gone() -> None:
    layer, plain, x = made("t_lstm", 4), LSTM(3, 5, dtype=torch.float64), drawn(6, 3)
    plain.load_state_dict({name: weight for name, weight in layer.state_dict().items() if "short" not in name})
    at_once = torch.cat([x, torch.zeros(6, 1).double()], dim=1)
    torch.testing.assert_close(layer(at_once)[0], plain(x)[0], rtol=1e-12, atol=1e-13)

    h, c = drawn(1, 5, seed=2), drawn(1, 5, seed=3)
    late = torch.cat([x[:1], torch.tensor([[1e300]], dtype=torch.float64)], dim=1)
    short = torch.tanh(layer.weight_short_l0 @ c[0] + layer.unit_short_bias_l0)
    left = c - short + short / math.log(1e300)
    torch.testing.assert_close(layer(late, (h, c))[1], plain(x[:1], (h, left))[1], rtol=1e-12, atol=1e-13)


def openness(time: float, period: float, shift: float, share: float) -> float:
    """The time gate of one unit, read off the cell: how much of a step's own output gets through."""
    layer = made("phased", 2, 1)
    with torch.no_grad():
        layer.unit_period_l0.fill_(math.log(period))
        layer.unit_shift_l0.fill_(shift / period)
        layer.unit_open_l0.fill_(math.log(share / (1 - share)))
        for weight in (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_hh_l0):
            weight.zero_()
        layer.bias_ih_l0.copy_(torch.tensor([50.0, -50.0, 50.0, 50.0]))  # writes 1 and shows tanh(1)
        for name in ("input", "forget", "output"):
            getattr(layer, f"unit_{name}_l0").zero_()
    _, (_, c) = layer(torch.tensor([[0.0, time]], dtype=torch.float64))
    return c.item()


@pytest.mark.parametrize(("phase", "expected"), [(0.01, 0.1), (0.05, 0.5), (0.1, 1.0), (0.15, 0.5), (0.5, 0.0005), (0.9, 0.0009)])
@pytest.mark.parametrize("turns", [-2, 0, 3])
def test_a_phased_unit_opens_for_its_share_of_each_period(phase: float, expected: float, turns: int) -> None:
    found = openness(time=1.5 + 8.0 * (turns + phase), period=8.0, shift=1.5, share=0.2)
    assert found == pytest.approx(expected, abs=1e-9)


def test_phased_units_start_with_periods_of_one_to_twenty_steps_and_every_shift() -> None:
    layer = made("phased", 3, 400)
    period, shift = layer.unit_period_l0.detach().exp(), layer.unit_shift_l0.detach()
    assert float(period.min()) >= 1.0
    assert float(period.max()) <= math.exp(3.0)
    for values, high in ((period.log(), 3.0), (shift, 1.0)):
        shares = torch.histc(values, 4, 0.0, high) / 400
        assert float((shares - 0.25).abs().max()) < 0.08  # 400 draws: four standard deviations are 0.087
    torch.testing.assert_close(layer.unit_open_l0.sigmoid(), torch.full((400,), 0.05).double())
    torch.manual_seed(0)
    again = Recurrent("phased", 3, 400, dtype=torch.float64)
    assert torch.equal(again.unit_period_l0, layer.unit_period_l0)


@pytest.mark.parametrize("cell", ["gru_d", "t_lstm", "phased"])
def test_the_cells_are_compiled(cell: str) -> None:
    layer = made(cell, 4)
    assert why_not_compiled(CELLS[cell], layer._weights(0)[0]) is None
    layer.float()
    assert why_not_compiled(CELLS[cell], layer._weights(0)[0]) is None
