"""A cell's equations in words: what is written is what the cell computes."""

import re
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from cells_under_test import BUILT_IN
from gatework.cells import CELLS, Cell, Names, Operand, less, lstm, maximum, minimum, peephole, where
from gatework.cells.words import equations_in_latex, equations_in_words


def odd_step(x: Names, r: Names, s: Names, w: Names) -> Mapping[str, Operand]:
    """Every kind of operation, nested so that parentheses matter, and a state that is a leaf."""
    a = x.one - (r.one - s.h) + -2
    b = (-(a * a) - 3) / (2 - w.u1 / (1 + s.h * s.h))
    c = where(less(a, b), b - (a + 1), maximum(minimum(a, b), -0.5))
    return {"h": c.exp().log() * (1 - c) + (1 + s.h * s.h).log1p() * (a.floor() - c), "old": s.h, "same": s.old}


ODD = Cell("odd", "Odd", ("one",), ("h", "old", "same"), odd_step, unit_weights=("u1",))
ALL = [*BUILT_IN, ODD]


def computed(lines: list[str], leaves: dict[str, Names], before: dict[str, Tensor]) -> dict[str, object]:
    """The lines evaluated from top to bottom."""
    functions: dict[str, Callable[..., Tensor]] = {
        name: getattr(torch, name)
        for name in ("sigmoid", "tanh", "relu", "exp", "log", "log1p", "sqrt", "floor", "minimum", "maximum", "where")
    }
    functions["mean"] = lambda values: values.mean(-1, keepdim=True)
    functions["maximum"] = lambda a, b: torch.maximum(a, torch.as_tensor(b, dtype=a.dtype))
    values: dict[str, object] = {**functions, **leaves, **{f"{name}_before": value for name, value in before.items()}}
    for line in lines:
        name, _, right = line.partition(" = ")
        values[name] = eval(re.sub(r"(\w+)'", r"\1_before", right), {}, values)
    return values


@pytest.mark.parametrize("cell", ALL, ids=lambda cell: cell.name)
def test_the_lines_compute_what_the_cell_computes(cell: Cell) -> None:
    generator = torch.Generator().manual_seed(3)

    def drawn(names: tuple[str, ...]) -> dict[str, Tensor]:
        return {name: torch.randn(7, generator=generator, dtype=torch.float64) for name in names}

    before = drawn(cell.states)
    leaves = {"x": Names("gate", drawn(cell.gates)), "r": Names("gate", drawn(cell.gates))}
    leaves["w"] = Names("unit weight", drawn(cell.unit_weights))
    expected = cell.step(leaves["x"], leaves["r"], Names("state", before), leaves["w"])
    values = computed(equations_in_words(cell), leaves, before)
    for name, value in expected.items():
        torch.testing.assert_close(values[name], value, rtol=1e-12, atol=1e-12)  # float64 products in another order


def test_gates_and_states_are_lines_under_their_names() -> None:
    assert equations_in_words(lstm) == [
        "output = sigmoid(x.output + r.output)",
        "forget = sigmoid(x.forget + r.forget)",
        "input = sigmoid(x.input + r.input)",
        "candidate = tanh(x.candidate + r.candidate)",
        "c = forget * c' + input * candidate",
        "h = output * tanh(c)",
    ]
    assert "forget = sigmoid(x.forget + r.forget + w.forget * c')" in equations_in_words(peephole)
    named = {line.partition(" = ")[0] for line in equations_in_words(CELLS["layernorm"])}
    assert {*CELLS["layernorm"].gates, "h", "c"} <= named


@pytest.mark.parametrize("cell", ALL, ids=lambda cell: cell.name)
def test_latex_has_the_same_lines_and_its_braces_match(cell: Cell) -> None:
    lines = equations_in_latex(cell)
    assert len(lines) == len(equations_in_words(cell))
    for line in lines:
        assert line.count("{") == line.count("}")
        assert line.count(r"\left") == line.count(r"\right")
        assert not re.search(r"(?<!\\)\b(sigmoid|sqrt|where|less)\(", line)
