"""Cells: the declarations, and one step of each against torch's own cells."""

import copy
import math
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from gatework.cells import CELLS, Cell, Names, exp, find_cell, relu, rnn_relu, sigmoid, tanh
from gatework.errors import ConfigError

ALL = [*CELLS.values(), rnn_relu]
TORCH_CELLS = {
    "lstm": nn.LSTMCell,
    "gru": nn.GRUCell,
    "rnn": nn.RNNCell,
    "rnn_relu": lambda *sizes: nn.RNNCell(*sizes, nonlinearity="relu"),
}


@pytest.mark.parametrize("cell", ALL, ids=lambda cell: cell.name)
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


def test_functions_equal_their_formulas() -> None:
    a = torch.linspace(-4, 4, 33, dtype=torch.float64)
    for function, formula in [
        (sigmoid, lambda v: 1 / (1 + math.exp(-v))),
        (tanh, math.tanh),
        (relu, lambda v: max(v, 0.0)),
        (exp, math.exp),
    ]:
        expected = torch.tensor([formula(v) for v in a.tolist()], dtype=torch.float64)
        torch.testing.assert_close(function(a), expected, rtol=1e-14, atol=1e-15)


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
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(changes: dict[str, object], message: str) -> None:
    arguments = {"name": "x", "title": "x", "gates": ("a",), "states": ("h",), "step": CELLS["rnn"].step} | changes
    with pytest.raises(ConfigError, match=message):
        Cell(**arguments)  # type: ignore[arg-type]


def test_cells_need_no_torch() -> None:
    code = "import sys; import gatework.cells; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0
