"""Cells: the declarations, and one step of each against torch's own cells."""

import copy
import math
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from declared_cells import DECLARED
from gatework.cells import (
    CELLS,
    Cell,
    Names,
    exp,
    find_cell,
    floor,
    hard_sigmoid,
    less,
    linear,
    log,
    log1p,
    maximum,
    mean,
    minimum,
    relu,
    rnn_relu,
    sigmoid,
    softplus,
    sqrt,
    tanh,
    where,
)
from gatework.errors import ConfigError

ALL = [*CELLS.values(), rnn_relu]
TORCH_CELLS = {
    "lstm": nn.LSTMCell,
    "gru": nn.GRUCell,
    "rnn": nn.RNNCell,
    "rnn_relu": lambda *sizes: nn.RNNCell(*sizes, nonlinearity="relu"),
}


@pytest.mark.parametrize("cell", [cell for cell in ALL if cell.name in TORCH_CELLS], ids=lambda cell: cell.name)
def test_one_step_equals_torchs_cell(cell: Cell) -> None:
    torch.manual_seed(0)
    module = TORCH_CELLS[cell.name](3, 5).double()
    x, states = torch.randn(7, 3).double(), {name: torch.randn(7, 5).double() for name in cell.states}

    def by_gate(sums: Tensor) -> Names:
        return Names("gate", dict(zip(cell.gates, sums.chunk(len(cell.gates), dim=1), strict=True)))

    input_sums = by_gate(x @ module.weight_ih.T + module.bias_ih)
    recurrent_sums = by_gate(states["h"] @ module.weight_hh.T + module.bias_hh)
    new = cell.step(input_sums, recurrent_sums, Names("state", states), Names("unit weight", {}))
    given = tuple(states.values())
    expected = module(x, given if len(given) > 1 else given[0])
    for name, theirs in zip(cell.states, expected if isinstance(expected, tuple) else (expected,), strict=True):
        # float64, three roundings deep
        torch.testing.assert_close(new[name], theirs, rtol=1e-14, atol=1e-14)


Array = np.ndarray
Formula = Callable[[dict[str, Array], dict[str, Array], Array, dict[str, Array]], tuple[Array, Array]]


def logistic(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def peephole_formula(x: dict[str, Array], r: dict[str, Array], c: Array, w: dict[str, Array]) -> tuple[Array, Array]:
    # Gers, Schraudolph and Schmidhuber 2002, equations 1 to 6: the output gate sees the new cell
    new = logistic(x["forget"] + r["forget"] + w["forget"] * c) * c
    new += logistic(x["input"] + r["input"] + w["input"] * c) * np.tanh(x["candidate"] + r["candidate"])
    return logistic(x["output"] + r["output"] + w["output"] * new) * np.tanh(new), new


def layernorm_formula(x: dict[str, Array], r: dict[str, Array], c: Array, w: dict[str, Array]) -> tuple[Array, Array]:
    # Ba, Kiros and Hinton 2016, equations 20 to 22: LN over the 4 H sums of each product, LN over the H cells
    gates = ("input", "forget", "candidate", "output")

    def norm(a: Array) -> Array:
        return (a - a.mean(1, keepdims=True)) / np.sqrt(a.var(1, keepdims=True) + 1e-5)

    def joined(name: str) -> Array:
        return np.concatenate([np.broadcast_to(w[f"{name}_{gate}"], c.shape) for gate in gates], axis=1)

    of_x, of_r = (norm(np.concatenate([sums[gate] for gate in gates], axis=1)) for sums in (x, r))
    write, keep, candidate, show = np.split(joined("gain_x") * of_x + joined("gain_r") * of_r + joined("shift"), 4, axis=1)
    new = logistic(keep) * c + logistic(write) * np.tanh(candidate)
    return logistic(show) * np.tanh(w["gain_c"] * norm(new) + w["shift_c"]), new


FORMULAS: dict[str, Formula] = {"peephole": peephole_formula, "layernorm": layernorm_formula}


def test_every_cell_has_an_independent_truth() -> None:
    assert {cell.name for cell in ALL} == {*TORCH_CELLS, *FORMULAS, *(cell.name for cell in DECLARED if cell in ALL)}


@pytest.mark.parametrize("name", FORMULAS)
def test_one_step_equals_the_papers_formula(name: str) -> None:
    cell, draw = CELLS[name], np.random.default_rng(0).normal
    x, r = ({gate: draw(size=(7, 5)) for gate in cell.gates} for _ in range(2))
    h, c, w = draw(size=(7, 5)), draw(size=(7, 5)), {name: draw(size=5) for name in cell.unit_weights}

    def operands(kind: str, arrays: dict[str, Array]) -> Names:
        return Names(kind, {name: torch.from_numpy(array) for name, array in arrays.items()})

    given = (operands("gate", x), operands("gate", r), operands("state", {"h": h, "c": c}), operands("unit weight", w))
    new = cell.step(*given)
    for state, expected in zip(("h", "c"), FORMULAS[name](x, r, c, w), strict=True):
        # float64, some ten roundings deep
        np.testing.assert_allclose(new[state], expected, rtol=1e-13, atol=1e-14)


def test_functions_equal_their_formulas() -> None:
    a = torch.linspace(-4, 4, 33, dtype=torch.float64)
    for function, formula in [
        (sigmoid, lambda v: 1 / (1 + math.exp(-v))),
        (tanh, math.tanh),
        (relu, lambda v: max(v, 0.0)),
        (exp, math.exp),
        (floor, math.floor),
        (softplus, lambda v: math.log(1 + math.exp(v))),
        (hard_sigmoid, lambda v: min(max(v / 6 + 0.5, 0.0), 1.0)),
        (linear, lambda v: v),
        (lambda v: log(v + 5.0), lambda v: math.log(v + 5.0)),
        (lambda v: log1p(v + 4.0), lambda v: math.log1p(v + 4.0)),
        (lambda v: sqrt(v + 4.0), lambda v: math.sqrt(v + 4.0)),
        (lambda v: minimum(v, 1.0), lambda v: min(v, 1.0)),
        (lambda v: minimum(1.0, v), lambda v: min(v, 1.0)),
        (lambda v: maximum(1.0, v), lambda v: max(v, 1.0)),
        (lambda v: where(less(v, 1.0), v, 2.0), lambda v: v if v < 1.0 else 2.0),
        (lambda v: where(less(1.0, v), 2.0, v), lambda v: 2.0 if v > 1.0 else v),
    ]:
        expected = torch.tensor([formula(v) for v in a.tolist()], dtype=torch.float64)
        torch.testing.assert_close(function(a), expected, rtol=1e-14, atol=1e-15)
    torch.testing.assert_close(mean(a.reshape(3, 11)), a.reshape(3, 11).mean(1, keepdim=True), rtol=0, atol=0)


@pytest.mark.parametrize("a", [-800.0, -40.0, 0.0, 1e-3, 40.0, 800.0])
def test_softplus_and_its_slope_are_right_far_out_and_at_zero(a: float) -> None:
    leaf = torch.tensor([a], dtype=torch.float64, requires_grad=True)
    softplus(leaf).backward()
    exact = max(a, 0.0) + math.log1p(math.exp(-abs(a)))
    assert leaf.grad is not None
    torch.testing.assert_close(softplus(leaf).item(), exact, rtol=1e-15, atol=0)
    torch.testing.assert_close(leaf.grad.item(), float(torch.sigmoid(leaf.detach())), rtol=1e-15, atol=0)


def test_functions_call_the_operands_own_method() -> None:
    symbol = SimpleNamespace(sigmoid=lambda: "sigmoid(a)", tanh=lambda: "tanh(a)")
    assert sigmoid(symbol) == "sigmoid(a)"  # type: ignore[type-var, comparison-overlap]
    assert tanh(symbol) == "tanh(a)"  # type: ignore[type-var, comparison-overlap]


@pytest.mark.parametrize("cell", ALL, ids=lambda cell: cell.name)
def test_a_copied_declaration_is_the_same_cell(cell: Cell) -> None:
    assert copy.deepcopy(cell) == cell
    assert hash(copy.deepcopy(cell)) == hash(cell)


def test_cells_are_listed_under_their_names_and_found() -> None:
    assert set(CELLS) >= {"lstm", "gru", "rnn"}
    for name, cell in CELLS.items():
        assert cell.name == name
        assert find_cell(name) is cell
        assert find_cell(cell) is cell
        assert cell.title
        assert cell.paper
    with pytest.raises(ConfigError, match=r"no cell 'lsmt'\. Did you mean 'lstm'"):
        find_cell("lsmt")


def test_a_wrong_name_in_the_equations_is_named() -> None:
    with pytest.raises(AttributeError, match="ask for gate 'forgt'; declared are: forget, output"):
        _ = Names("gate", dict.fromkeys(("forget", "output"), torch.zeros(1))).forgt


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gates": ()}, "at least one"),
        ({"gates": ("a", "a")}, "each named once"),
        ({"states": ("c", "h")}, "first is 'h'"),
        ({"initial_bias": {"forget": 1.0}}, "initial bias for forget; its gates are a"),
        ({"unit_start": {"gain": 1.0}}, "starts the unit weights gain at a number"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(changes: dict[str, object], message: str) -> None:
    arguments = {"name": "x", "title": "x", "gates": ("a",), "states": ("h",), "step": CELLS["rnn"].step} | changes
    with pytest.raises(ConfigError, match=message):
        Cell(**arguments)  # type: ignore[arg-type]


def test_cells_need_no_torch() -> None:
    code = "import sys; import gatework.cells; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0
