"""A layer one step at a time: the bits of the layer, its memory kept, brought back and reset."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import gatework.layers as ours
from gatework.errors import ConfigError, ShapeError
from gatework.layers.stream import Stream

CELLS = ["lstm", "gru", "peephole", "layernorm", "gru_d", "t_lstm", "phased"]


def layer_and_steps(cell: str, batch: int | None) -> tuple[ours.RecurrentStack, Tensor]:
    """Two layers, and 7 steps for them, none negative, as times are: (7, batch, 3), or (7, 3)."""
    torch.manual_seed(0)
    return ours.Recurrent(cell, 3, 5, num_layers=2), torch.rand(7, 3) if batch is None else torch.rand(7, batch, 3)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("batch", [None, 1, 4])
@torch.no_grad()
def test_a_stream_gives_the_layers_bits(cell: str, batch: int | None) -> None:
    layer, x = layer_and_steps(cell, batch)
    stream, out = layer.stream(batch), torch.full_like(layer(x)[0][0], float("nan"))
    expected = layer(x)[0]
    for now, output in zip(x, expected, strict=True):
        assert stream.step(now, out=out) is out
        assert torch.equal(out, output)


@torch.no_grad()
def test_a_saved_state_goes_on_where_it_was_and_later_weights_do_not_matter() -> None:
    layer, x = layer_and_steps("lstm", 2)
    stream, expected = layer.stream(batch=2), layer(x)[0]
    for now in x[:4]:
        stream.step(now)
    saved = stream.state()
    for _ in range(2):  # what is saved is a copy
        stream.restore(saved)
        assert torch.equal(torch.stack([stream.step(now) for now in x[4:]]), expected[4:])
    other = layer.stream(batch=2)
    other.restore(saved)
    layer.weight_hh_l0.zero_()
    assert torch.equal(other.step(x[4]), expected[4])


@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_a_reset_at_the_flags_gives_the_bits_of_a_layer_with_resets(cell: str) -> None:
    layer, x = layer_and_steps(cell, 4)
    flags = torch.tensor([[step % 3 == 1, False, True, step in (0, 6)] for step in range(7)])
    stream, steps = layer.stream(batch=4), []
    for now, flagged in zip(x, flags, strict=True):
        stream.reset(flagged)
        steps.append(stream.step(now))
    assert torch.equal(torch.stack(steps), layer(x, resets=flags)[0])
    stream.reset()
    assert torch.equal(stream.step(x[0]), layer(x[:1])[0][0])


@torch.no_grad()
def test_a_reset_forgets_a_state_that_is_no_number() -> None:
    layer, x = layer_and_steps("lstm", 2)
    stream = layer.stream(batch=2)
    stream.step(torch.full_like(x[0], float("nan")))
    stream.reset(torch.tensor([False, True]))
    output = stream.step(x[0])
    assert bool(output[0].isnan().all())
    assert torch.equal(output[1], layer(x[:1])[0][0, 1])


def of_three() -> Stream:
    return ours.LSTM(3, 4).stream(batch=3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: of_three().step(torch.zeros(3)), r"shape \(3,\) .*; expected \(3, 3\) .*layer\.stream\(batch="),
        (lambda: of_three().step(torch.zeros(3, 3).double()), r"type torch\.float64; expected \(3, 3\) and torch\.float32"),
        (lambda: of_three().step(torch.zeros(3, 3), out=torch.zeros(4, 3).T), r"out has shape \(3, 4\).*expected contiguous"),
        (lambda: of_three().restore(ours.LSTM(3, 4).stream().state()), r"saved state .*expected .*same layer and batch"),
        (
            lambda: of_three().reset(torch.zeros(2, dtype=torch.bool)),
            r"shape \(2,\) and type torch\.bool; expected \(3,\) .*leave it out",
        ),
        (lambda: of_three().reset(torch.zeros(3)), r"torch\.float32; expected \(3,\) and torch\.bool.*\.bool\(\)"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_cure(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        call()


def test_a_stream_needs_a_batch_and_one_direction() -> None:
    with pytest.raises(ConfigError, match=r"batch is 0; expected at least 1"):
        ours.LSTM(3, 4).stream(batch=0)
    with pytest.raises(ConfigError, match=r"second direction begins at the end.*bidirectional=False"):
        ours.LSTM(3, 4, bidirectional=True).stream()
