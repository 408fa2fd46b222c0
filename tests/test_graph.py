"""Cells as expression graphs: what a text says, what is simplified, and the gradient rules against autograd."""

import dataclasses
import functools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis.strategies import floats, integers
from torch import Tensor

from cells_under_test import MIXED, PLAIN_CELLS, POSITIVE
from gatework.cells import CELLS, Cell, Names, exp, less, maximum, minimum, sigmoid, tanh, where
from gatework.cells.equations import canonical_text, cell_of, from_text, trace
from gatework.cells.gradient import RULES, adjoints
from gatework.cells.graph import Graph, ordered
from gatework.engine.cpu.program import program_of
from gatework.errors import ConfigError
from gatework.layers import Recurrent
from graph_values import evaluate
from random_equations import ONE, TWO, Program, build, expressions


def numbers_for(cell: Cell) -> tuple[Names, Names, Names, Names]:
    generator = torch.Generator().manual_seed(0)

    def draw(name: str = "") -> Tensor:
        values = torch.randn(7, 5, generator=generator, dtype=torch.float64)
        return values.abs() + 0.5 if name in POSITIVE else values

    x, r = (Names("gate", {gate: draw() for gate in cell.gates}) for _ in range(2))
    unit_weights = {name: draw()[0] for name in cell.unit_weights}
    return x, r, Names("state", {name: draw(name) for name in cell.states}), Names("unit weight", unit_weights)


@pytest.mark.parametrize("cell", PLAIN_CELLS, ids=lambda cell: cell.name)
def test_the_text_of_a_cell_says_all_that_it_computes(cell: Cell) -> None:
    text = canonical_text(cell)
    again, given = cell_of(text), numbers_for(cell)
    assert (again.gates, again.states, again.unit_weights) == (cell.gates, cell.states, cell.unit_weights)
    expected, found = cell.step(*given), again.step(*given)
    for name in cell.states:
        # float64: a sum may have been turned round
        torch.testing.assert_close(found[name], expected[name], rtol=1e-14, atol=1e-14)
    assert canonical_text(again) == text


def test_equal_equations_have_equal_texts_whatever_the_cell_is_called() -> None:
    def same_as_lstm(x: Names, r: Names, s: Names, w: Names) -> dict[str, object]:
        write = sigmoid(x.input + r.input)
        keep = sigmoid(r.forget + x.forget)
        c = keep * s.c + tanh(x.candidate + r.candidate) * write
        return {"c": c, "h": sigmoid(x.output + r.output) * tanh(c)}

    renamed = dataclasses.replace(MIXED, name="other", title="Another name", paper="none")
    assert canonical_text(renamed) == canonical_text(MIXED)
    lstm = CELLS["lstm"]
    wrapped = functools.partial(lstm.step)  # another function, the same equations
    assert canonical_text(dataclasses.replace(lstm, step=wrapped)) == canonical_text(lstm)
    texts = {canonical_text(cell) for cell in PLAIN_CELLS}
    assert len(texts) == len(PLAIN_CELLS)
    assert canonical_text(dataclasses.replace(lstm, step=same_as_lstm)) == canonical_text(lstm)  # written in another order


def cell_with(step: Callable[..., object], states: tuple[str, ...] = ("h",)) -> Cell:
    return Cell("own", "An own cell", ("a", "b"), states, step)  # type: ignore[arg-type]


@given(floats(allow_nan=False))
def test_numbers_keep_every_bit_in_the_text(value: float) -> None:
    equations = from_text(canonical_text(cell_with(lambda x, r, s, w: {"h": where(less(x.a, value), x.b, value)})))
    numbers = [node.value for node in ordered(equations.states.values()) if node.kind == "number"]
    assert [number.hex() for number in numbers] == [value.hex()]


def test_a_plain_number_may_stand_on_either_side() -> None:
    def step(x: Names, r: Names, s: Names, w: Names) -> dict[str, object]:
        one_first = 1.0 - x.a  # the number is now older than what follows, and stands first in the graph
        bounded = minimum(maximum(one_first, 0.0), 1.0) + minimum(1.0, maximum(0.0, x.b))
        return {
            "h": where(less(1.0, bounded), 2.0, bounded) + where(less(bounded, 1.0), bounded, 3.0) / 1.0 + 2.0 / (1.0 + exp(x.b))
        }

    cell = cell_with(step)
    given = numbers_for(cell)
    torch.testing.assert_close(cell_of(canonical_text(cell)).step(*given), dict(cell.step(*given)), rtol=1e-14, atol=0)


# --- what cannot be traced


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda x, r, s, w: {"h": x.a if x.a.lt(0.0) else x.b}, r"branch on a value.*Use where\(less\(a, b\), c, d\)"),
        (lambda x, r, s, w: {"h": x.a if x.a < 0.0 else x.b}, "'own' cannot be traced: '<' not supported.*Rewrite the step"),
        (lambda x, r, s, w: {"h": torch.sigmoid(x.a)}, "'own' cannot be traced: sigmoid.*functions of gatework.cells"),
        (lambda x, r, s, w: {"h": x.a.clamp(0.0)}, "'own' cannot be traced: 'Symbol' object has no attribute 'clamp'"),
        (lambda x, r, s, w: {"h": x.c}, "cannot be traced: The equations ask for gate 'c'; declared are: a, b"),
        (lambda x, r, s, w: {"h": x.a, "c": x.b}, "'own' gives the states h, c; declared are the states h"),
        (lambda x, r, s, w: {}, "gives the states ; declared are the states h.*exactly the declared"),
        (lambda x, r, s, w: x.a, "'own' gives a Symbol; declared are the states h. Return a dict"),
        (lambda x, r, s, w: None, "'own' gives a NoneType"),
    ],
)
def test_a_step_that_is_no_straight_line_is_refused_with_the_cure(step: Callable[..., object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        canonical_text(cell_with(step))


@pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
def test_a_cell_that_cannot_be_traced_still_runs_step_by_step() -> None:
    cell = cell_with(lambda x, r, s, w: {"h": torch.clamp(x.a + r.b, -0.1, 0.1)})
    outputs = Recurrent(cell, 3, 4)(torch.randn(5, 2, 3))[0].detach()
    assert float(outputs.max()) == -float(outputs.min()) == torch.tensor(0.1).item()


# --- simplification


def test_equal_expressions_are_one_node() -> None:
    graph = Graph()
    a, b = graph.leaf("x", "a"), graph.leaf("x", "b")
    assert a + b is b + a
    assert a * b is b * a
    assert a - b is not b - a
    assert (a + b).tanh() is (b + a).tanh()
    assert a.minimum(b) is b.minimum(a)
    assert a / b is not b / a


def test_what_changes_nothing_is_left_out_and_what_may_change_something_stays() -> None:
    graph = Graph()
    a, b = graph.leaf("x", "a"), graph.leaf("x", "b")
    assert a + 0.0 is a
    assert 1.0 * a is a
    assert a / 1.0 is a
    negative = -a
    assert -negative is a
    assert a - (-b) is a + b
    assert (-a) * b is -(a * b)
    assert graph.number(2.0) * 3.0 is graph.number(6.0)
    assert (a * 0.0).kind == "mul"  # NaN where a is infinite
    assert (graph.number(1.0) / 0.0).kind == "div"
    assert graph.number(0.0) is not graph.number(-0.0)
    assert (a - a).kind == "sub"  # NaN where a is infinite


# --- gradients


LEAVES = ("a", "b", "c")


@settings(max_examples=150)
@given(expressions(), integers(0, 100))
def test_gradient_rules_equal_autograd_on_any_expression(program: Program, seed: int) -> None:
    graph = Graph()
    symbols = [graph.leaf("x", name) for name in LEAVES]
    output, incoming = build(program, symbols), graph.leaf("given", "g")
    gradient = adjoints({output: incoming})
    generator = torch.Generator().manual_seed(seed)
    # numbers on a coarse grid, so that ties of minimum, maximum and relu occur
    draw = torch.randint(-4, 5, (4, 6, 8), generator=generator).double() / 2.0
    tensors, g = [t.clone().requires_grad_() for t in draw[:3]], draw[3]
    known = {**dict(zip(symbols, tensors, strict=True)), incoming: g}
    (value,) = evaluate([output], known)
    expected = torch.autograd.grad(value, tensors, g, allow_unused=True, materialize_grads=True)
    detached = {node: tensor.detach() for node, tensor in known.items()}
    zero = graph.number(0.0)
    found = evaluate([gradient.get(symbol, zero) for symbol in symbols], detached)
    for mine, theirs in zip(found, expected, strict=True):
        # float64; up to nine operations and their sum, values up to some thousands
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


def test_every_kind_of_node_has_a_gradient_rule_that_is_tested() -> None:
    tested = {*ONE, *TWO, "div", "log", "log1p", "sqrt", "where", "less", "product"}  # the last one in test_cell_products.py
    assert tested == set(RULES)
    used = {node.kind for cell in PLAIN_CELLS for node in ordered(trace(cell).states.values()) if node.args}
    assert used <= set(RULES)


def test_at_a_tie_and_at_nan_the_gradient_is_torchs() -> None:
    nan = float("nan")
    a = torch.tensor([1.0, 1.0, nan, 0.0, -1.0], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([1.0, nan, 1.0, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    graph = Graph()
    x, y, g = graph.leaf("x", "a"), graph.leaf("x", "b"), graph.leaf("given", "g")
    for output in (x.minimum(y), x.maximum(y), x.relu() + y):
        incoming = torch.full_like(a, 3.0).detach()
        (value,) = evaluate([output], {x: a, y: b, g: incoming})
        expected = torch.autograd.grad(value, (a, b), incoming)
        gradient = adjoints({output: g})
        found = evaluate([gradient[x], gradient[y]], {x: a.detach(), y: b.detach(), g: incoming})
        torch.testing.assert_close(tuple(found), expected, rtol=0, atol=0)


# --- programs


def test_gates_that_are_only_added_share_an_accumulator() -> None:
    blocks = {cell.name: [(b.gate, b.has_x, b.has_r) for b in program_of(canonical_text(cell)).blocks] for cell in PLAIN_CELLS}
    assert blocks["lstm"] == [(gate, True, True) for gate in CELLS["lstm"].gates]
    assert sorted(blocks["gru"]) == [
        ("candidate", False, True), ("candidate", True, False), ("reset", True, True), ("update", True, True)
    ]  # fmt: skip
    assert blocks["mixed"] == [("keep", True, False), ("rate", True, False), ("keep", False, True), ("pull", False, True)]
    for name, found in blocks.items():
        # those of x first and those of r last, so that each product writes to neighbours
        assert [has_x for _, has_x, _ in found] == sorted((has_x for _, has_x, _ in found), reverse=True), name
        assert [has_r for _, _, has_r in found] == sorted(has_r for _, _, has_r in found), name
