"""Gates shared by a block of cells, and block-diagonal recurrent matrices: every engine computes them without knowing it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from declared_cells import RESET_BEFORE
from gatework.cells import Cell, Names, Operand, sigmoid
from gatework.errors import ConfigError
from gatework.layers import Recurrent
from gatework.layers.weights import block_diagonal
from gatework.ragged import Ragged


def memory_block_step(x: Names, r: Names, s: Names, w: Names) -> dict[str, Operand]:
    """Long short-term memory as first published, without a forget gate."""
    squashed = 4.0 * sigmoid(x.candidate + r.candidate) - 2.0
    c = s.c + sigmoid(x.input + r.input) * squashed
    return {"h": sigmoid(x.output + r.output) * (2.0 * sigmoid(c) - 1.0), "c": c}


MEMORY_BLOCK = Cell(
    "memory_block", "Memory blocks of several cells", ("input", "candidate", "output"), ("h", "c"), memory_block_step,
    initial_bias={"output": -2.0}, shared_gates=("input", "output"),
    paper="Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735",
)  # fmt: skip


def memory_blocks(layer: Recurrent, x: Tensor, h: Tensor, c: Tensor) -> list[Tensor]:
    """The outputs and final states of one layer in straight torch code: each block's two gates multiply all of its cells."""
    p = {name.removesuffix("_l0"): weight for name, weight in layer.named_parameters()}
    units, blocks = layer.hidden_size, layer.hidden_size // layer.cells_per_block
    outputs = []
    for x_t in x:
        sums = x_t @ p["weight_ih"].T + p["bias_ih"] + h @ p["weight_hh"].T + p["bias_hh"]
        write, candidate, show = sums.split([blocks, units, blocks], dim=-1)
        by_block = (-1, blocks, layer.cells_per_block)
        written = write.sigmoid().unsqueeze(-1) * (4 * candidate.sigmoid() - 2).view(by_block)
        c = (c.view(by_block) + written).view(-1, units)
        h = (show.sigmoid().unsqueeze(-1) * (2 * c.sigmoid() - 1).view(by_block)).view(-1, units)
        outputs.append(h)
    return [torch.stack(outputs), h, c]


def with_gradients(results: list[Tensor], leaves: list[Tensor]) -> list[Tensor]:
    """The results, then the gradients of a random sum of them."""
    generator = torch.Generator().manual_seed(1)
    loss = torch.stack([(r * torch.randn(r.shape, generator=generator, dtype=r.dtype)).sum() for r in results]).sum()
    return [*results, *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize(("hidden_size", "cells_per_block"), [(6, 1), (6, 2), (6, 6), (33, 3), (64, 4)])
def test_cells_of_a_block_share_their_gates(hidden_size: int, cells_per_block: int) -> None:
    torch.manual_seed(0)
    layer = Recurrent(MEMORY_BLOCK, 3, hidden_size, dtype=torch.float64, cells_per_block=cells_per_block)
    blocks = hidden_size // cells_per_block
    assert layer.weight_ih_l0.shape == (hidden_size + 2 * blocks, 3)
    assert layer.weight_hh_l0.shape == (hidden_size + 2 * blocks, hidden_size)
    assert layer.bias_ih_l0[-blocks:].tolist() == [-2.0] * blocks
    assert float(layer.bias_ih_l0[: hidden_size + blocks].detach().abs().max()) <= hidden_size**-0.5
    x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    start = [torch.randn(1, 2, hidden_size, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    leaves = [x, *start, *layer.parameters()]
    outputs, finals = layer(x, tuple(start))
    mine = with_gradients([outputs, *(final[0] for final in finals)], leaves)
    theirs = with_gradients(memory_blocks(layer, x, start[0][0], start[1][0]), leaves)
    # float64: sums of up to 67 terms in another order, four steps deep
    torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-11)


def in_blocks(name: str, parts: list[Tensor]) -> Tensor:
    """One gate-wise parameter of the whole from those of its parts: each gate's units side by side."""
    if not name.startswith(("weight_ih", "weight_hh", "bias")):
        return torch.cat(parts)
    rows = parts[0].shape[0] // 4
    return torch.cat([part[gate * rows : (gate + 1) * rows] for gate in range(4) for part in parts])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("hidden_size", "count"), [(8, 1), (8, 2), (6, 6), (33, 3)])
def test_block_diagonal_weights_are_independent_layers_side_by_side(hidden_size: int, count: int, bias: bool) -> None:
    torch.manual_seed(0)
    alone = [nn.LSTM(3, hidden_size // count, bias=bias, dtype=torch.float64) for _ in range(count)]
    layer = Recurrent("lstm", 3, hidden_size, bias=bias, dtype=torch.float64, recurrent_blocks=count)
    assert layer.weight_hh_l0.shape == (4 * hidden_size, hidden_size // count)
    parameters = [dict(part.named_parameters()) for part in alone]
    layer.load_state_dict({name: in_blocks(name, [own[name] for own in parameters]).detach() for name in parameters[0]})
    x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    results = [part(x) for part in alone]
    expected = [
        torch.cat([y for y, _ in results], dim=-1),
        *(torch.cat(both, -1) for both in zip(*(f for _, f in results), strict=True)),
    ]
    outputs, finals = layer(x)
    names = list(parameters[0])
    theirs = with_gradients(expected, [x, *(own[name] for own in parameters for name in names)])
    mine = with_gradients([outputs, *finals], [x, *(getattr(layer, name) for name in names)])
    of_parts = theirs[4:]
    joined = [in_blocks(name, of_parts[number :: len(names)]) for number, name in enumerate(names)]
    torch.testing.assert_close(mine, [*theirs[:4], *joined], rtol=1e-10, atol=1e-11)


@pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
def test_matrices_inside_the_step_are_block_diagonal_too() -> None:
    torch.manual_seed(0)
    whole = Recurrent(RESET_BEFORE, 3, 6, dtype=torch.float64, recurrent_blocks=2)
    assert whole.weight_candidate_l0.shape == (6, 3)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    outputs = whole(x)[0]
    for block in range(2):
        units = slice(3 * block, 3 * block + 3)
        part = Recurrent(RESET_BEFORE, 3, 3, dtype=torch.float64)
        own = {}
        for name, weight in whole.state_dict().items():
            own[name] = weight.view(-1, 6, *weight.shape[1:])[:, units].flatten(0, 1)
        part.load_state_dict(own)
        torch.testing.assert_close(part(x)[0], outputs[..., units], rtol=1e-12, atol=1e-13)


def test_outside_of_the_blocks_is_zero_whatever_is_in_them() -> None:
    weight = torch.tensor([[1.0], [float("inf")], [float("nan")], [2.0]])
    whole = block_diagonal(weight, hidden_size=2, count=2)
    expected = torch.tensor([[1.0, 0.0], [0.0, float("inf")], [float("nan"), 0.0], [0.0, 2.0]])
    torch.testing.assert_close(whole, expected, rtol=0, atol=0, equal_nan=True)


def test_blocks_run_ragged_in_two_directions_traced_and_streamed() -> None:
    torch.manual_seed(0)
    options = {"num_layers": 2, "cells_per_block": 2, "recurrent_blocks": 3}
    layer = Recurrent(MEMORY_BLOCK, 3, 12, bidirectional=True, **options)  # type: ignore[arg-type]
    x = Ragged.from_lengths(torch.randn(8, 3), [5, 0, 3])
    outputs, _ = layer(x)
    for i in (0, 2):
        torch.testing.assert_close(layer(x[i])[0], outputs[i], rtol=1e-5, atol=1e-6)
    gate = layer.trace(x).layer(0).input.values
    assert torch.equal(gate[:, 0::2], gate[:, 1::2])
    assert not torch.equal(gate[:, 1:-1:2], gate[:, 2::2])
    assert repr(layer).endswith("bidirectional=True, cells_per_block=2, recurrent_blocks=3)")
    one = Recurrent(MEMORY_BLOCK, 3, 12, **options)  # type: ignore[arg-type]
    stream = one.stream()
    with torch.no_grad():
        whole, _ = one(x[0])
        steps = torch.stack([stream.step(x_t) for x_t in x[0]])
    assert torch.equal(steps, whole)


@pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
def test_a_projected_output_is_divided_like_the_units() -> None:
    torch.manual_seed(0)
    layer = Recurrent("lstm", 3, 8, proj_size=4, dtype=torch.float64, recurrent_blocks=2)
    assert layer.weight_hh_l0.shape == (32, 2)
    whole = nn.LSTM(3, 8, proj_size=4, dtype=torch.float64)
    filled = torch.zeros(4, 2, 4, 2, 2, dtype=torch.float64)
    for block in range(2):
        filled[:, block, :, block] = layer.weight_hh_l0.detach().view(4, 2, 4, 2)[:, block]
    whole.load_state_dict(layer.state_dict() | {"weight_hh_l0": filled.reshape(32, 4)})
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(layer(x), whole(x), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Recurrent("lstm", 3, 8, cells_per_block=2),
            r"cells_per_block=2 .* 'lstm', which has no shared gates.*shared_gates=",
        ),
        (
            lambda: Recurrent(MEMORY_BLOCK, 3, 8, cells_per_block=3),
            r"cells_per_block=3 was given with hidden_size=8; .* divisor of 8",
        ),
        (lambda: Recurrent("lstm", 3, 8, recurrent_blocks=3), r"recurrent_blocks=3 was given with hidden_size=8"),
        (lambda: Recurrent("lstm", 3, 8, proj_size=3, recurrent_blocks=2), r"recurrent_blocks=2 was given with proj_size=3"),
        (
            lambda: Recurrent("lstm", 3, 8, recurrent_blocks=0),
            r"recurrent_blocks=0 was given; expected a whole number above zero",
        ),
        (
            lambda: Recurrent(MEMORY_BLOCK, 3, 12, cells_per_block=4, recurrent_blocks=2),
            r"recurrent_blocks=2 leaves 6 units in a block, cells_per_block=4 does not divide them; expected cells that share",
        ),
    ],
)
def test_blocks_that_do_not_fit_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
