"""Matrix products inside the step, and inputs that bypass the gates: their text, their gradients, their errors, their words."""

import dataclasses
import re
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis.strategies import integers
from torch import Tensor

from declared_cells import DECLARED, GAPPED, MULTIPLICATIVE, NESTED, RESET_BEFORE
from gatework.cells import Cell, Names, less, minimum, sigmoid, t_lstm, tanh, where
from gatework.cells.equations import canonical_text, cell_of, substitute, trace
from gatework.cells.gradient import adjoints, product_gradients
from gatework.cells.graph import Graph
from gatework.cells.words import equations_in_latex, equations_in_words, legend_of
from gatework.engine.records import LayerWeights
from gatework.engine.reference import step_weights
from gatework.errors import ConfigError
from gatework.layers import Recurrent
from graph_values import evaluate
from random_equations import Program, build, expressions

CELLS = list(DECLARED)
SEQUENCES, UNITS = 7, 5


def numbers_for(cell: Cell) -> dict[str, dict[str, Tensor]]:
    """Random numbers for every leaf, by kind and name; float64, with gradients."""
    generator = torch.Generator().manual_seed(0)

    def draw(names: tuple[str, ...], *shape: int) -> dict[str, Tensor]:
        return {name: torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for name in names}

    return {
        "x": draw(cell.gates, SEQUENCES, UNITS),
        "r": draw(cell.recurrent_gates, SEQUENCES, UNITS),
        "s": draw(cell.states, SEQUENCES, UNITS),
        "w": draw(cell.unit_weights, UNITS),
        "matrix": draw(cell.matrices, UNITS, UNITS),
        "step": {name: column.abs().detach().requires_grad_() for name, column in draw(cell.inputs, SEQUENCES, 1).items()},
    }


def stepped(cell: Cell, given: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    """The new states, by calling the step on the numbers."""
    none = torch.empty(0)
    w = step_weights(LayerWeights(none, none, unit=given["w"], matrices=given["matrix"]))
    new = cell.step(Names("gate", given["x"] | given["step"]), Names("gate", given["r"]), Names("state", given["s"]), w)
    like = torch.zeros(SEQUENCES, UNITS, dtype=torch.float64)
    return {name: value + like for name, value in new.items()}


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_the_text_says_every_product_and_input(cell: Cell) -> None:
    text = canonical_text(cell)
    again, given = cell_of(text), numbers_for(cell)
    assert (again.matrices, again.inputs, again.unit_weights) == (cell.matrices, cell.inputs, cell.unit_weights)
    assert canonical_text(again) == text
    # float64: a sum may have been turned round
    torch.testing.assert_close(stepped(again, given), stepped(cell, given), rtol=1e-13, atol=1e-13)


def test_a_product_and_an_input_in_the_text() -> None:
    cell = Cell("own", "own", ("a",), ("h",), lambda x, r, s, w: {"h": w.m @ (x.gap * s.h)}, matrices=("m",), inputs=("gap",))
    assert canonical_text(cell).splitlines() == [
        "gates a", "states h", "unit_weights ", "matrices m", "inputs gap",
        "0 = matrix m", "1 = step gap", "2 = s h", "3 = mul 1 2", "4 = product 0 3", "h := 4",
    ]  # fmt: skip


def test_equal_products_are_one_node_and_products_of_other_matrices_are_not() -> None:
    graph = Graph()
    m, n, a = graph.leaf("matrix", "m"), graph.leaf("matrix", "n"), graph.leaf("s", "h")
    assert graph.product(m, a) is graph.product(m, a)
    assert graph.product(m, a) is not graph.product(n, a)
    assert graph.product(m, a) is not graph.product_t(m, a)
    gap = graph.leaf("step", "gap")
    assert gap.mean() is gap  # the same for all units
    b = graph.leaf("x", "a")
    assert substitute(graph.product(m, a) + graph.product_t(n, a), {a: b}) is graph.product(m, b) + graph.product_t(n, b)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_traced_gradients_equal_autograd(cell: Cell) -> None:
    given, equations = numbers_for(cell), trace(cell)
    generator = torch.Generator().manual_seed(1)
    incoming = [torch.randn(SEQUENCES, UNITS, generator=generator, dtype=torch.float64) for _ in cell.states]
    new, leaves = stepped(cell, given), [(kind, name) for kind, names in given.items() for name in names]
    pairs = [(new[name], g) for name, g in zip(cell.states, incoming, strict=True) if new[name].requires_grad]
    tensors = [given[kind][name] for kind, name in leaves]
    expected = torch.autograd.grad(
        [a for a, _ in pairs], tensors, [g for _, g in pairs], allow_unused=True, materialize_grads=True
    )

    graph = equations.graph
    outputs = {node: graph.leaf("given", f"d {name}") for name, node in equations.states.items()}
    assert len(outputs) == len(cell.states)
    gradient = adjoints(outputs)
    known = {graph.leaf("given", f"d {name}"): g for name, g in zip(cell.states, incoming, strict=True)}
    for kind, name in leaves:
        value = given[kind][name].detach()
        known[graph.leaf(kind, name)] = value if kind == "matrix" else value.expand(SEQUENCES, UNITS)
    products = product_gradients(outputs, gradient)
    for (kind, name), theirs in zip(leaves, expected, strict=True):
        if kind == "matrix":
            found = torch.zeros_like(theirs)
            for product in (product for product in products if product.matrix == name):
                d_result, operand = evaluate([product.d_result, product.operand], known)
                found = found + d_result.T @ operand
        else:
            (of_units,) = evaluate([gradient.get(graph.leaf(kind, name), graph.number(0.0))], known)
            found = of_units.sum(1, keepdim=True) if kind == "step" else of_units.sum(0) if kind == "w" else of_units
        # float64, sums of up to 35 terms, several products deep
        torch.testing.assert_close(found, theirs, rtol=1e-11, atol=1e-12, msg=lambda text, k=kind, n=name: f"{k}.{n}: {text}")


@settings(max_examples=60)
@given(expressions(), expressions(), integers(0, 100))
def test_a_product_of_any_expression_in_any_expression_has_autograds_gradient(inner: Program, outer: Program, seed: int) -> None:
    graph, generator = Graph(), torch.Generator().manual_seed(seed)
    names = ("a", "b", "c")
    a, b, c = (graph.leaf("x", name) for name in names)
    gap, m, incoming = graph.leaf("step", "gap"), graph.leaf("matrix", "m"), graph.leaf("given", "g")
    output = build(outer, [graph.product(m, build(inner, [a, b, c]).tanh()), a, gap])
    gradient = adjoints({output: incoming})
    draw = torch.randint(-4, 5, (5, SEQUENCES, UNITS), generator=generator).double() / 2.0
    matrix = torch.randn(UNITS, UNITS, generator=generator, dtype=torch.float64)
    leaves = [*draw[:3], draw[3][:, :1]]
    tensors = [tensor.clone().requires_grad_() for tensor in (*leaves, matrix)]
    ta, tb, tc, tgap, tm = tensors
    value = build(outer, [build(inner, [ta, tb, tc]).tanh() @ tm.T, ta, tgap.expand(SEQUENCES, UNITS)])
    expected = torch.autograd.grad(value, tensors, draw[4], allow_unused=True, materialize_grads=True)
    known = {incoming: draw[4], a: draw[0], b: draw[1], c: draw[2], gap: leaves[3].expand(SEQUENCES, UNITS), m: matrix}
    zero = graph.number(0.0)
    found = evaluate([gradient.get(node, zero) for node in (a, b, c, gap)], known)
    found[3] = found[3].sum(1, keepdim=True)
    d_matrix = torch.zeros_like(matrix)
    for product in product_gradients([output], gradient):
        d_result, operand = evaluate([product.d_result, product.operand], known)
        d_matrix += d_result.T @ operand
    for mine, theirs in zip([*found, d_matrix], expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)  # float64; some twenty operations, values to thousands


# --- misuse


def own(step: Callable[..., object]) -> Cell:
    return Cell("own", "An own cell", ("a",), ("h",), step, ("gain",), matrices=("m",), inputs=("gap",))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            lambda x, r, s, w: {"h": w.m * s.h},
            r"the matrix w\.m like a value.*expected a product with @.*Write w\.m @ \(…\), or decl",
        ),
        (lambda x, r, s, w: {"h": s.h + w.m}, r"the matrix w\.m like a value"),
        (lambda x, r, s, w: {"h": 1.0 - w.m}, r"the matrix w\.m like a value"),
        (lambda x, r, s, w: {"h": tanh(w.m)}, r"the matrix w\.m like a value"),
        (lambda x, r, s, w: {"h": w.m}, r"the matrix w\.m like a value"),
        (lambda x, r, s, w: {"h": minimum(s.h, w.m)}, r"the matrix w\.m like a value"),
        (lambda x, r, s, w: {"h": where(less(s.h, w.m), s.h, x.a)}, r"the matrix w\.m like a value"),
        (lambda x, r, s, w: {"h": w.m @ w.m}, r"the matrix w\.m like a value"),
        (lambda x, r, s, w: {"h": s.h @ w.m}, r"write … @ w\.m; expected the matrix on the left\. Write w\.m @ \(…\)"),
        (
            lambda x, r, s, w: {"h": w.gain @ s.h},
            r"@ after w\.gain, which is no matrix; expected w\.NAME @ \(…\).*Declare matrices=",
        ),
        (lambda x, r, s, w: {"h": x.gap @ s.h}, r"@ after x\.gap, which is no matrix"),
        (lambda x, r, s, w: {"h": sigmoid(x.a) @ s.h}, r"@ after a computed value, which is no matrix"),
    ],
)
def test_a_misused_matrix_is_refused_when_the_layer_is_made(step: Callable[..., object], message: str) -> None:
    cell = own(step)
    with pytest.raises(ConfigError, match=message):
        canonical_text(cell)
    with pytest.raises(ConfigError, match="'own' cannot be traced"):
        Recurrent(cell, 3, 4)


def test_a_name_that_is_not_declared_is_named() -> None:
    for step, message in (
        (lambda x, r, s, w: {"h": w.n @ s.h}, "ask for weight 'n'; declared are: gain, m"),
        (lambda x, r, s, w: {"h": x.mask * s.h}, "ask for gate or input 'mask'; declared are: a, gap"),
    ):
        with pytest.raises(ConfigError, match=message):
            canonical_text(own(step))
    with pytest.raises(ConfigError, match="ask for gate 'a'; declared are: none"):
        canonical_text(dataclasses.replace(own(lambda x, r, s, w: {"h": x.a + r.a}), input_only=("a",)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"matrices": ("gain",)}, "names gain twice in unit_weights and matrices; the step reads both as w.NAME"),
        ({"matrices": ("m", "m")}, "names m twice in unit_weights and matrices"),
        ({"inputs": ("a",)}, "names a twice in gates and inputs; the step reads both as x.NAME"),
        ({"matrices": ("hh",)}, "names a matrix 'hh'; expected another name than ih, hh, hr"),
        ({"shared_gates": ("b",)}, "names b in shared_gates; its gates are a. Correct"),
        ({"input_only": ("b",)}, "names b in input_only; its gates are a. Correct"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(own(lambda x, r, s, w: {"h": x.a}), **changes)


# --- in words


def test_products_and_inputs_in_words() -> None:
    assert equations_in_words(RESET_BEFORE) == [
        "reset = sigmoid(x.reset + r.reset)",
        "candidate = tanh(x.candidate + w.candidate @ (reset * h'))",
        "update = sigmoid(x.update + r.update)",
        "h = candidate * (1 - update) + update * h'",
    ]
    assert {line.partition(" = ")[0] for line in equations_in_words(MULTIPLICATIVE)} == {
        "u1",
        *MULTIPLICATIVE.gates[1:],
        "c",
        "h",
    }
    assert "keep = sigmoid(x.keep + r.keep - w.rate * x.gap)" in equations_in_words(GAPPED)
    assert any(line.count("(w.") == 1 and "@ c'" in line for line in equations_in_words(t_lstm))
    legend = legend_of(t_lstm)
    assert "w.short: learned, hidden_size by hidden_size, and @ the matrix product" in legend
    assert "x.elapsed: from the input itself, one number for all units" in legend
    assert "@" not in legend_of(GAPPED)
    assert "w.input, w.forget, w.candidate, w.output: learned" in legend_of(MULTIPLICATIVE)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_the_lines_compute_what_the_cell_computes(cell: Cell) -> None:
    given = numbers_for(cell)
    none = torch.empty(0)
    functions = {name: getattr(torch, name) for name in ("sigmoid", "tanh", "relu", "exp", "log", "floor", "where")}
    values: dict[str, object] = {**functions, "mean": lambda a: a.mean(-1, keepdim=True)}
    values |= {"x": Names("gate", given["x"] | given["step"]), "r": Names("gate", given["r"])}
    values["w"] = step_weights(LayerWeights(none, none, unit=given["w"], matrices=given["matrix"]))
    values |= {f"{name}_before": value for name, value in given["s"].items()}
    for line in equations_in_words(cell):
        name, _, right = line.partition(" = ")
        values[name] = eval(re.sub(r"(\w+)'", r"\1_before", right), {}, values)
    for name, expected in stepped(cell, given).items():
        # float64 products in another order, and e with the twelve digits that are written
        torch.testing.assert_close(values[name] + torch.zeros_like(expected), expected, rtol=1e-10, atol=1e-10)


def test_latex_writes_a_matrix_beside_what_it_multiplies() -> None:
    (candidate,) = (line for line in equations_in_latex(RESET_BEFORE) if line.startswith(r"\mathrm{candidate}_t"))
    assert r"W_{\mathrm{candidate}} \, \left(\mathrm{reset}_t \odot \mathrm{h}_{t-1}\right)" in candidate
    assert any(r"w_{\mathrm{rate}} \odot x_{t, \mathrm{gap}}" in line for line in equations_in_latex(GAPPED))
    for line in (line for cell in CELLS for line in equations_in_latex(cell)):
        assert line.count("{") == line.count("}")
        assert line.count(r"\left") == line.count(r"\right")
    assert any("W_" in line for line in equations_in_latex(NESTED))
