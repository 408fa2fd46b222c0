"""What the layers have beyond torch's: any cell, a trace, batches without a step, autocast; and how they refuse bad input."""

import warnings
from collections.abc import Callable

import pytest
import torch

import gatework.layers as ours
from gatework.cells import CELLS, Cell, Names, lstm, sigmoid, tanh
from gatework.errors import ConfigError, ShapeError
from gatework.ragged import Ragged
from torch_layers import KINDS, pair_of, random_states, states_of


@pytest.mark.parametrize("cell", CELLS.values(), ids=lambda cell: cell.name)
def test_recurrent_runs_every_listed_cell_like_its_own_layer(cell: Cell) -> None:
    named, x = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}, torch.randn(5, 2, 3)
    torch.manual_seed(0)
    mine = ours.Recurrent(cell.name, 3, 7, num_layers=2, bidirectional=True)
    outputs, finals = mine(x)
    assert outputs.shape == (5, 2, 14)
    assert [state.shape for state in states_of(finals)] == [(4, 2, 7)] * len(cell.states)
    if cell.name in named:
        theirs, _ = pair_of(named[cell.name], 3, 7, num_layers=2, bidirectional=True)
        torch.testing.assert_close((outputs, finals), theirs(x))


def coupled_step(x: Names, r: Names, s: Names, w: Names) -> dict[str, object]:
    keep = sigmoid(x.forget + r.forget + w.peephole * s.c)
    c = keep * s.c + (1 - keep) * tanh(x.candidate + r.candidate)
    return {"h": sigmoid(x.output + r.output) * tanh(c), "c": c}


COUPLED = Cell(
    "coupled",
    "an own cell",
    ("forget", "candidate", "output"),
    ("h", "c"),
    coupled_step,
    ("peephole",),
    {"forget": 2.0},  # type: ignore[arg-type]
)


@pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
def test_an_own_cell_runs_in_every_form_and_learns_all_its_weights() -> None:
    torch.manual_seed(0)
    layer = ours.Recurrent(COUPLED, 3, 5, num_layers=2, bidirectional=True, dtype=torch.float64)
    assert torch.equal(layer.bias_ih_l1[:5], torch.full((5,), 2.0, dtype=torch.float64))
    assert not layer.bias_hh_l1[:5].any()
    lengths = [4, 1, 3]
    x = Ragged.from_lengths(torch.randn(8, 3, dtype=torch.float64), lengths)
    outputs, (h_n, c_n) = layer(x)
    packed, packed_finals = layer(x.to_packed())
    torch.testing.assert_close(Ragged.from_packed(packed).values, outputs.values)
    torch.testing.assert_close(packed_finals, (h_n, c_n))
    for i in range(3):
        alone, _ = layer(x[i])
        torch.testing.assert_close(outputs[i], alone)
        dense, _ = layer(x[i].unsqueeze(1).expand(-1, 2, -1))
        torch.testing.assert_close(dense[:, 1], alone)
    (outputs.values.sum() + c_n.sum()).backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    # the equations again, in plain tensors, for the first layer's first step
    w = dict(layer.named_parameters())
    forget, candidate, output = (x[0][0] @ w["weight_ih_l0"].T + w["bias_ih_l0"] + w["bias_hh_l0"]).chunk(3)
    c = (1 - forget.sigmoid()) * candidate.tanh()
    traced = layer.trace(x).layer(0)
    torch.testing.assert_close(traced.states["h"][0][0], output.sigmoid() * c.tanh())


@pytest.mark.parametrize("kind", KINDS)
def test_trace_ends_in_the_layers_own_outputs(kind: str) -> None:
    _, mine = pair_of(kind, 3, 5, num_layers=2, bidirectional=True, dropout=0.5)
    x = Ragged.from_lengths(torch.randn(7, 3), [3, 0, 4])
    trace, outputs = mine.trace(x), mine.eval()(x)[0]
    last = torch.cat([trace.layer(1, direction).states["h"].values for direction in (0, 1)], dim=1)
    torch.testing.assert_close(last, outputs.values)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_without_a_step_give_back_the_initial_states(kind: str) -> None:
    theirs, mine = pair_of(kind, 3, 5, num_layers=2, bidirectional=True)
    hx = random_states(theirs, 2, torch.float32)
    outputs, finals = mine(Ragged.from_lengths(torch.empty(0, 3), [0, 0]), hx)
    assert outputs.values.shape == (0, 10)
    torch.testing.assert_close(finals, hx)
    dense, dense_finals = mine(torch.empty(0, 2, 3), hx)
    assert dense.shape == (0, 2, 10)
    torch.testing.assert_close(dense_finals, hx)
    assert mine(Ragged.from_lengths(torch.empty(0, 3), []))[0].num_sequences == 0


def test_weights_given_for_one_call_and_parametrized_weights_are_used() -> None:
    theirs, mine = pair_of("LSTM", 3, 5)
    x, other = torch.randn(4, 2, 3), {name: weight * 2 for name, weight in theirs.state_dict().items()}
    doubled = torch.func.functional_call(mine, other, (x,))
    theirs.load_state_dict(other)
    torch.testing.assert_close(doubled, theirs(x))
    torch.nn.utils.parametrizations.weight_norm(mine, "weight_hh_l0")
    assert "weight_hh_l0" not in dict(mine.named_parameters())
    mine(x)[0].sum().backward()
    assert mine.parametrizations.weight_hh_l0.original0.grad is not None


@pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
@pytest.mark.parametrize("kind", KINDS)
def test_autocast_on_the_cpu_works_where_torchs_lstm_fails(kind: str) -> None:
    _, mine = pair_of(kind, 3, 5, num_layers=2)
    x, ragged = torch.randn(4, 2, 3), Ragged.from_lengths(torch.randn(5, 3), [3, 0, 2])
    for given, values in ((x, lambda output: output), (ragged, lambda output: output.values)):
        expected = values(mine(given)[0])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            # bfloat16 keeps 8 bits; values below 1, some steps deep
            torch.testing.assert_close(values(mine(given)[0]).float(), expected, rtol=0, atol=0.02)


def test_results_do_not_share_memory_with_what_was_given() -> None:
    _, mine = pair_of("LSTM", 3, 5)
    hx = (torch.zeros(1, 2, 5), torch.zeros(1, 2, 5))
    with torch.no_grad():
        for x in (torch.randn(4, 2, 3), torch.empty(0, 2, 3), Ragged.from_lengths(torch.empty(0, 3), [0, 0])):
            _, finals = mine(x, hx)
            for final, start in zip(finals, hx, strict=True):
                final.add_(1.0)
                assert not start.any()


LAYER = ours.LSTM(3, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LAYER(torch.zeros(2, 2, 5)), r"5 features at each step; this layer has input_size=3.*Give 3 features"),
        (lambda: LAYER(torch.zeros(3)), r"shape \(3,\); expected \(steps, batch, size\), \(steps, size\).*Add or remove an axis"),
        (lambda: LAYER([1.0]), r"The input is a list; expected"),
        (lambda: LAYER(torch.zeros(2, 2, 3).double()), r"torch\.float64, the layer's weights are torch\.float32.*\.to\("),
        (lambda: LAYER(Ragged.one(torch.zeros(2, 3, 1))), r"values of shape \(2, 3, 1\); expected \(total_steps, input_size\)"),
        (lambda: LAYER(torch.zeros(2, 2, 3), torch.zeros(1, 2, 4)), r"hx holds 1 \(Tensor\).*states h, c.*hx=\(h_0, c_0\)"),
        (lambda: ours.GRU(3, 4)(torch.zeros(2, 2, 3), (torch.zeros(1, 2, 4),) * 2), r"hx holds 2.*the states h\..*hx=h_0"),
        (lambda: LAYER(torch.zeros(2, 2, 3), (torch.zeros(1, 3, 4),) * 2), r"h_0 has shape \(1, 3, 4\); expected \(1, 2, 4\)"),
        (lambda: LAYER(torch.zeros(2, 3), (torch.zeros(1, 1, 4),) * 2), r"h_0 has shape \(1, 1, 4\); expected \(1, 4\)"),
        (lambda: LAYER(torch.zeros(2, 2, 3), (torch.zeros(1, 2, 4).double(),) * 2), r"h_0 is torch\.float64, the input"),
        (lambda: LAYER(torch.zeros(2, 2, 3, device="meta")), r"input is on meta, the layer's weights are on cpu"),
        (lambda: LAYER.trace(torch.zeros(2, 3)), r"trace got a Tensor; expected a Ragged\. Wrap"),
    ],
)
def test_wrong_input_is_refused_with_the_cure(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        call()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ours.LSTM(0, 4), r"input_size=0 was given; expected a whole number above zero"),
        (lambda: ours.LSTM(3, 4.0), r"hidden_size=4\.0"),
        (lambda: ours.LSTM(3, 4, num_layers=0), r"num_layers=0"),
        (lambda: ours.LSTM(3, 4, 1, 1), r"bias=1 was given; expected True or False"),
        (lambda: ours.LSTM(3, 4, 2, dropout=1.5), r"dropout=1\.5 was given; expected a probability"),
        (lambda: ours.LSTM(3, 4, proj_size=4), r"proj_size=4 was given with hidden_size=4"),
        (lambda: ours.Recurrent("gru", 3, 4, proj_size=2), r"the cell 'gru', whose equations read h unit by unit"),
        (lambda: ours.Recurrent("lsmt", 3, 4), r"no cell 'lsmt'\. Did you mean 'lstm'"),
        (lambda: ours.RNN(3, 4, nonlinearity="sigmoid"), r"nonlinearity='sigmoid' was given; expected 'tanh' or 'relu'"),
    ],
)
def test_impossible_options_are_refused_with_the_cure(make: Callable[[], object], message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConfigError, match=message):
            make()


def test_the_cell_of_a_layer_is_the_declared_one() -> None:
    assert ours.LSTM(3, 4).cell is lstm
