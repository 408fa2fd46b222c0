"""Zoneout and inputs with a number for each unit: equal to plain torch with the same masks; elsewhere its expectation."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import gatework
from gatework.cells import Cell, sigmoid, tanh
from gatework.cells.equations import canonical_text, cell_of, from_text, to_text
from gatework.cells.words import equations_in_words, legend_of
from gatework.cells.zoneout import with_expectation, with_masks
from gatework.engine import BACKENDS, LayerWeights, RaggedRows
from gatework.errors import ConfigError
from gatework.layers import LockedDropout, Recurrent
from gatework.model import load_trained
from gatework.ragged import Ragged
from gatework.runs import Plan
from gatework.train.planning import plan_run
from small_runs import CLASSES, latches, trained

RATE = 0.3
CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # float32, other orders of summation

COMPILED = next(backend for backend in BACKENDS if backend.name == "compiled")
REFERENCE = next(backend for backend in BACKENDS if backend.name == "reference")


def leaky_step(x, r, s, w):
    """A cell whose pace is an input of its own for every unit, and passes a gradient to it."""
    pace = sigmoid(x.pace + x.bias)
    return {"h": (1 - pace) * s.h + pace * tanh(x.candidate + r.candidate) * x.gap}


leaky = Cell("leaky", "A pace for each unit", ("candidate",), ("h",), leaky_step, inputs=("gap",), unit_inputs=("pace", "bias"))


def plain_lstm(layer: nn.Module, x: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """An LSTM with zoneout in torch's operations. x: (steps, batch, size). masks: (steps, batch, 2 · units), of h and of c."""
    h = c = x.new_zeros(x.shape[1], layer.hidden_size)
    outputs = []
    for step, mask in zip(x, masks, strict=True):
        sums = step @ layer.weight_ih_l0.T + layer.bias_ih_l0 + h @ layer.weight_hh_l0.T + layer.bias_hh_l0
        i, f, g, o = sums.chunk(4, dim=-1)
        new_c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        new_h = o.sigmoid() * new_c.tanh()
        keep_h, keep_c = mask.chunk(2, dim=-1)
        h = keep_h * h + (1 - keep_h) * new_h
        c = keep_c * c + (1 - keep_c) * new_c
        outputs.append(h)
    return torch.stack(outputs), h, c


def gradients(total: Tensor, of: list[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(total, of, retain_graph=True))


@pytest.mark.parametrize("units", [1, 33])
def test_zoneout_is_what_plain_torch_computes_with_the_same_masks(units):
    torch.manual_seed(0)
    layer = Recurrent("lstm", 5, units, zoneout=RATE)
    x = torch.randn(7, 4, 5, requires_grad=True)
    torch.manual_seed(1)
    masks = torch.empty(7, 4, 2 * units).bernoulli_(RATE)
    expected, h, c = plain_lstm(layer, x, masks)
    torch.manual_seed(1)
    y, (h_n, c_n) = layer(x)
    for ours, theirs in ((y, expected), (h_n[0], h), (c_n[0], c)):
        torch.testing.assert_close(ours, theirs, **CLOSE)
    weighting = torch.randn(y.shape)
    of = [x, *layer.parameters()]
    ours, theirs = gradients((y * weighting).sum() + c_n.sum(), of), gradients((expected * weighting).sum() + c.sum(), of)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def layer_of(cell: Cell, size: int, units: int, seed: int = 0) -> LayerWeights:
    layer = Recurrent(cell, size + cell.bypassing(units), units)
    generator = torch.Generator().manual_seed(seed)
    for parameter in layer.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.4
    return layer._weights(0)[0]


@pytest.mark.parametrize("cell", [leaky, with_masks(gatework.CELLS["gru"]), with_masks(gatework.CELLS["layernorm"])])
@pytest.mark.parametrize("units", [3, 20])
def test_an_input_for_each_unit_is_compiled_to_what_the_equations_say(cell, units):
    lengths, size = [5, 0, 9, 1], 4
    weights = tuple(layer_of(cell, size, units, seed) for seed in (0, 1))
    columns = size + cell.bypassing(units)
    results = []
    for backend in (COMPILED, REFERENCE):
        values = torch.randn(sum(lengths), columns, generator=torch.Generator().manual_seed(2)).requires_grad_()
        rows = RaggedRows(Ragged.from_lengths(values, lengths))
        assert backend.why_not(cell, rows, weights) is None
        initial = {name: torch.full((2, 4, units), 0.1) for name in cell.states}
        result = backend.run(cell, rows, weights, initial)
        y = rows.like(result.outputs).values
        total = (y * torch.arange(y.numel()).reshape(y.shape).cos()).sum() + sum(final.sum() for final in result.finals.values())
        of = [values, *(tensor for own in weights for tensor in own.tensors())]
        results.append([y, *result.finals.values(), *gradients(total, of)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)
    if cell is leaky:
        assert (results[0][2][:, size:] != 0).any()  # the inputs for each unit do get gradients


@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_layer_draws_masks_of_its_own_and_a_seed_repeats_them(bidirectional):
    layer = Recurrent("gru", 3, 8, num_layers=2, bidirectional=bidirectional, zoneout=0.5)
    x = Ragged.from_list([torch.randn(6, 3), torch.randn(2, 3)])
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(layer(x)[0].values)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_outside_of_training_the_expectation_is_taken_by_calls_streams_and_traces():
    torch.manual_seed(0)
    layer = Recurrent("lstm", 3, 5, zoneout=RATE).eval()
    x = torch.randn(6, 3)
    # the expectation is what the plain cell gives with masks that hold the rate itself
    expected, _, _ = plain_lstm(layer, x[:, None], torch.full((6, 1, 10), RATE))
    for _ in range(3):  # the third call comes ready
        with torch.no_grad():
            torch.testing.assert_close(layer(x[:, None])[0], expected, **CLOSE)
    stream = layer.stream()
    torch.testing.assert_close(torch.stack([stream.step(step) for step in x]), expected[:, 0], **CLOSE)
    torch.testing.assert_close(layer.trace(Ragged.one(x)).layer(0).h.values, expected[:, 0], **CLOSE)


def test_a_rate_of_zero_is_no_zoneout_to_the_bit():
    torch.manual_seed(0)
    plain = Recurrent("lstm", 3, 5)
    zoned = Recurrent("lstm", 3, 5, zoneout=0.0)
    zoned.load_state_dict(plain.state_dict())
    x = torch.randn(6, 2, 3)
    assert torch.equal(plain(x)[0], zoned(x)[0])
    assert "zoneout=0.3" in repr(Recurrent("lstm", 3, 5, zoneout=0.3))


def test_the_text_of_a_cell_says_its_inputs_for_each_unit():
    text = canonical_text(leaky)
    assert "unit_inputs pace bias" in text.splitlines()
    assert to_text(from_text(text)) == text
    assert cell_of(text).unit_inputs == ("pace", "bias")
    assert "unit_inputs" not in canonical_text(with_expectation(gatework.CELLS["lstm"], 0.1))
    assert "x.pace" in " ".join(equations_in_words(leaky))
    assert "x.pace, x.bias: from the input itself, one number for each unit" in legend_of(leaky)


def test_a_stream_takes_the_inputs_for_each_unit_as_a_layer_does():
    torch.manual_seed(0)
    layer = Recurrent(leaky, 2 + leaky.bypassing(4), 4, num_layers=2)
    x = torch.randn(5, 11)
    stream = layer.stream()
    torch.testing.assert_close(torch.stack([stream.step(step) for step in x]), layer(x[:, None])[0][:, 0].detach(), **CLOSE)


@pytest.mark.parametrize("zoneout", [-0.1, 1.0, True, "0.1"])
def test_a_share_that_is_none_is_refused(zoneout):
    with pytest.raises(ConfigError, match=r"zoneout=.* was given; expected a share from 0 to below 1"):
        Recurrent("lstm", 3, 5, zoneout=zoneout)


def test_zoneout_and_a_projection_are_refused():
    with pytest.raises(ConfigError, match="expected one of them"):
        Recurrent("lstm", 3, 5, proj_size=2, zoneout=0.1)
    with pytest.raises(ConfigError, match=r"input_size=9 .*inputs gap, pace, bias; .*input_size=10 or more"):
        Recurrent(leaky, 9, 4)
    with pytest.raises(ConfigError, match=r"names pace twice"):
        Cell("twice", "", ("pace",), ("h",), leaky_step, unit_inputs=("pace",))


def test_locked_dropout_leaves_out_the_same_columns_at_every_step_of_a_sequence():
    torch.manual_seed(0)
    x = Ragged.from_lengths(torch.ones(3000, 40), [1000, 0, 2000])
    dropped = LockedDropout(0.25)(x)
    for sequence in (dropped[0], dropped[2]):
        assert torch.equal(sequence, sequence[:1].expand_as(sequence))
        assert set(sequence[0].tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert not torch.equal(dropped[0][0], dropped[2][0])
    assert LockedDropout(0.25).eval()(x) is x
    assert LockedDropout(0.0)(x) is x


def test_both_are_options_of_a_training(tmp_path: Path):
    request = CLASSES.model_copy(update={"zoneout": 0.2, "input_dropout": 0.1, "epochs": 1})
    run = trained(latches(40), request, tmp_path / "run")
    assert run.read("config.json", Plan).model.zoneout == 0.2
    model, _ = load_trained(run)
    assert model.network.recurrent.zoneout == 0.2
    assert model.network.input_dropout.rate == 0.1
    plain = trained(latches(40), request.model_copy(update={"zoneout": 0.0}), tmp_path / "plain")
    assert run.file("model.safetensors").read_bytes() != plain.file("model.safetensors").read_bytes()
    with pytest.raises(ConfigError, match=r"zoneout is 1\.5; expected a share from 0 to below 1\. Give --zoneout such as"):
        plan_run(latches(40), request.model_copy(update={"zoneout": 1.5}))
