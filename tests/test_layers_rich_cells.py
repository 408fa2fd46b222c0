"""Layers of cells with matrix products, bypassing inputs and gates without recurrence, against straight torch code."""

import warnings
from itertools import product

import pytest
import torch
from torch import Tensor

from declared_cells import DECLARED, GAPPED, MULTIPLICATIVE, RESET_BEFORE
from gatework.cells import Cell, t_lstm
from gatework.errors import ConfigError, ShapeError
from gatework.layers import Recurrent
from gatework.ragged import Ragged

pytestmark = pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
CELLS = list(DECLARED)
SIZES = [(1, 1, 1, 1), (3, 5, 2, 4), (7, 33, 3, 2)]  # columns of the gates, hidden_size, batch, steps


def made(cell: Cell, columns: int, hidden_size: int, **options: object) -> Recurrent:
    torch.manual_seed(0)
    return Recurrent(cell, columns + len(cell.inputs), hidden_size, dtype=torch.float64, **options)  # type: ignore[arg-type]


def numbers(layer: Recurrent, batch: int, steps: int) -> tuple[Tensor, list[Tensor]]:
    """An input whose bypassing columns are positive, and initial states; with gradients."""
    x = torch.randn(steps, batch, layer.input_size, dtype=torch.float64)
    count = len(layer.cell.inputs)
    if count:
        x[..., -count:] = x[..., -count:].abs()
    rows = layer.num_layers * layer.num_directions
    sizes = [layer.output_size if name == "h" else layer.hidden_size for name in layer.cell.states]
    return x.requires_grad_(), [torch.randn(rows, batch, size, dtype=torch.float64).requires_grad_() for size in sizes]


def own(layer: Recurrent, suffix: str) -> dict[str, Tensor]:
    """The parameters of one direction of one layer, without the suffix."""
    return {name.removesuffix(suffix): weight for name, weight in layer.named_parameters() if name.endswith(suffix)}


def truth(layer: Recurrent, x: Tensor, start: list[Tensor]) -> list[Tensor]:
    """Outputs and final states of all layers and directions, every parameter by its name, in straight torch code."""
    finals: list[list[Tensor]] = []
    given, count = x, len(layer.cell.inputs)
    for number in range(layer.num_layers):
        outputs = []
        for direction in range(layer.num_directions):
            place = number * layer.num_directions + direction
            turned = given.flip(0) if direction else given
            parameters = own(layer, f"_l{number}{'_reverse' if direction else ''}")
            y, final = DECLARED[layer.cell](parameters, turned, [state[place] for state in start])
            outputs.append(y.flip(0) if direction else y)
            finals.append(final)
        result = torch.cat(outputs, dim=-1)
        given = torch.cat([result, x[..., x.shape[-1] - count :]], dim=-1)
    return [result, *(torch.stack(states) for states in zip(*finals, strict=True))]


def with_gradients(results: list[Tensor], leaves: list[Tensor]) -> list[Tensor]:
    """The results, then the gradients of a random sum of them."""
    generator = torch.Generator().manual_seed(1)
    loss = torch.stack([(r * torch.randn(r.shape, generator=generator, dtype=r.dtype)).sum() for r in results]).sum()
    return [*results, *torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)]


@pytest.mark.parametrize(
    ("cell", "sizes", "form"),
    list(product(CELLS, SIZES, ("plain", "deep"))),
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_layer_gives_what_straight_torch_code_gives(cell: Cell, sizes: tuple[int, ...], form: str) -> None:
    columns, hidden_size, batch, steps = sizes
    options = {"num_layers": 2, "bidirectional": True} if form == "deep" else {}
    layer = made(cell, columns, hidden_size, **options)
    x, start = numbers(layer, batch, steps)
    outputs, finals = layer(x, tuple(start) if len(start) > 1 else start[0])
    leaves = [x, *start, *layer.parameters()]
    mine = with_gradients([outputs, *(finals if isinstance(finals, tuple) else (finals,))], leaves)
    theirs = with_gradients(truth(layer, x, start), leaves)
    # float64: sums of up to 66 terms in another order, four steps and two layers deep
    torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_a_sequence_does_not_notice_its_neighbours(cell: Cell) -> None:
    layer = made(cell, 3, 5, num_layers=2, bidirectional=True)
    lengths = [4, 0, 1, 3]
    x, _ = numbers(layer, 1, sum(lengths))
    ragged = Ragged.from_lengths(x.detach()[:, 0], lengths)
    outputs, finals = layer(ragged)
    packed, _ = layer(Ragged.from_lengths(ragged.values, [length for length in lengths if length]).to_packed())
    torch.testing.assert_close(Ragged.from_packed(packed).values, outputs.values, rtol=1e-12, atol=1e-13)
    for i, length in enumerate(lengths):
        if length:
            alone, final = layer(ragged[i])
            torch.testing.assert_close(outputs[i], alone, rtol=1e-12, atol=1e-13)
            first, first_alone = (state[0] if isinstance(state, tuple) else state for state in (finals, final))
            torch.testing.assert_close(first[:, i], first_alone, rtol=1e-12, atol=1e-13)
    last = torch.cat([layer.trace(ragged).layer(1, direction).states["h"].values for direction in (0, 1)], dim=1)
    torch.testing.assert_close(last, outputs.values, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_first_and_second_derivatives_are_right(cell: Cell) -> None:
    layer = made(cell, 2, 3)
    x, start = numbers(layer, 2, 3)
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def run(x: Tensor, *given: Tensor) -> Tensor:
        states, weights = given[: len(start)], dict(zip(names, given[len(start) :], strict=True))
        hx = states if len(states) > 1 else states[0]
        return torch.func.functional_call(layer, weights, (x, hx))[0]

    assert torch.autograd.gradcheck(run, (x, *start, *parameters))
    assert torch.autograd.gradgradcheck(run, (x, *start, *parameters))


def test_parameters_have_torchs_manner_of_names_and_only_the_rows_that_are_used() -> None:
    layer = made(MULTIPLICATIVE, 3, 5, num_layers=2, bidirectional=True)
    shapes = {name: tuple(weight.shape) for name, weight in layer.state_dict().items()}
    first = {name: shape for name, shape in shapes.items() if name.endswith("_l0_reverse")}
    assert first == {
        "weight_ih_l0_reverse": (25, 3), "weight_hh_l0_reverse": (5, 5), "bias_ih_l0_reverse": (25,),
        "bias_hh_l0_reverse": (5,), "weight_input_l0_reverse": (5, 5), "weight_forget_l0_reverse": (5, 5),
        "weight_candidate_l0_reverse": (5, 5), "weight_output_l0_reverse": (5, 5),
    }  # fmt: skip
    assert shapes["weight_ih_l1"] == (25, 10)
    bound = 5**-0.5
    for name, weight in layer.state_dict().items():
        assert 0.5 * bound < float(weight.abs().max()) <= bound, name
    again = made(MULTIPLICATIVE, 3, 5, num_layers=2, bidirectional=True)
    again.load_state_dict(layer.state_dict())
    timed = made(t_lstm, 3, 5, num_layers=2)
    assert timed.input_size == 4
    assert timed.weight_ih_l0.shape == (20, 3)
    assert timed.weight_ih_l1.shape == (20, 5)
    assert timed.weight_short_l1.shape == (5, 5)
    started = made(GAPPED, 3, 5)
    assert started.bias_ih_l0.tolist() == [2.0] * 5 + [1.0] * 5
    assert started.bias_hh_l0.tolist() == [0.0] * 5


def test_h_may_be_projected_where_the_step_does_not_read_it() -> None:
    layer = made(MULTIPLICATIVE, 3, 5, proj_size=2)
    x, start = numbers(layer, 2, 4)
    leaves = [x, *start, *layer.parameters()]
    outputs, finals = layer(x, tuple(start))
    torch.testing.assert_close(
        with_gradients([outputs, *finals], leaves), with_gradients(truth(layer, x, start), leaves), rtol=1e-10, atol=1e-11
    )
    for cell in (RESET_BEFORE, GAPPED):
        with pytest.raises(ConfigError, match=f"the cell '{cell.name}', whose equations read h unit by unit"):
            made(cell, 3, 5, proj_size=2)


def test_dropout_between_layers_leaves_the_bypassing_inputs_alone() -> None:
    layer = made(GAPPED, 3, 33, num_layers=2, dropout=1.0)
    x, start = numbers(layer, 2, 4)
    outputs = layer(x, start[0])[0]
    nothing = torch.cat([torch.zeros(4, 2, 33, dtype=torch.float64), x[..., -2:]], dim=-1)
    expected, _ = DECLARED[GAPPED](own(layer, "_l1"), nothing, [start[0][1]])
    torch.testing.assert_close(outputs, expected, rtol=1e-12, atol=1e-13)


def test_columns_are_counted() -> None:
    with pytest.raises(ConfigError, match=r"input_size=2 .* last columns are the inputs gap, known; .*input_size=3 or more"):
        Recurrent(GAPPED, 2, 4)
    with pytest.raises(ShapeError, match="has 3 features at each step; this layer has input_size=4"):
        Recurrent(t_lstm, 4, 5)(torch.zeros(2, 3))


def test_untouched_layers_hand_their_parameters_to_the_engine_as_they_are() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = Recurrent("peephole", 3, 4)
    weights = layer._weights(0)[0]
    assert weights.recurrent is layer.weight_hh_l0
    assert weights.unit["input"] is layer.unit_input_l0
