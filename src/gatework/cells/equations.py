"""A cell as a traced set of equations, with a text that says all of it: the text travels where a Python function cannot."""

import hashlib
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, cast

from gatework.cells import functions
from gatework.cells.cell import Cell, Names
from gatework.cells.functions import Operand
from gatework.cells.graph import COMMUTATIVE, FUNCTIONS, Graph, Symbol, ordered
from gatework.cells.matrix import Matrix
from gatework.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Equations:
    """gates, state_names, unit_weights, matrices, inputs, unit_inputs: as in the Cell. states: each new state's symbol by name.

    Leaves by kind and name: ("x", gate), ("r", gate), ("s", state), ("w", unit weight), ("matrix", matrix), ("step", input),
    ("unit", unit input).
    """

    gates: tuple[str, ...]
    state_names: tuple[str, ...]
    unit_weights: tuple[str, ...]
    graph: Graph
    states: dict[str, Symbol]
    matrices: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    unit_inputs: tuple[str, ...] = ()


@lru_cache(maxsize=256)
def _text_of(cell: Cell) -> str:
    return to_text(trace(cell))


def canonical_text(cell: Cell) -> str:
    """The text of a cell's equations: the same for cells that compute the same. ConfigError when the step cannot be traced."""
    return _text_of(cell)


def trace(cell: Cell) -> Equations:
    """Call the cell's step once with symbols.

    Raises ConfigError when the step branches on values, uses a matrix without @ or @ without a matrix (then caused by a
    MatrixError), gives states that are not declared, or leaves one out.
    """
    graph = Graph()

    def leaves(kind: str, names: tuple[str, ...]) -> dict[str, Operand]:
        return {name: graph.leaf(kind, name) for name in names}

    matrices = {name: Matrix(name, partial(graph.product, graph.leaf("matrix", name))) for name in cell.matrices}
    try:
        new = cell.step(
            Names(
                "gate or input" if cell.inputs or cell.unit_inputs else "gate",
                leaves("x", cell.gates) | leaves("step", cell.inputs) | leaves("unit", cell.unit_inputs),
            ),
            Names("gate", leaves("r", cell.recurrent_gates)),
            Names("state", leaves("s", cell.states)),
            Names("unit weight" if not matrices else "weight", leaves("w", cell.unit_weights) | cast(Any, matrices)),
        )
        states = {name: graph.lift(cast(Symbol, value)) for name, value in (new if isinstance(new, Mapping) else {}).items()}
    except (TypeError, AttributeError) as error:
        raise ConfigError(
            f"The step of cell '{cell.name}' cannot be traced: {error} "
            f"Expected straight-line arithmetic with the functions of gatework.cells. Rewrite the step."
        ) from error
    if not isinstance(new, Mapping) or set(new) != set(cell.states):
        given = f"the states {', '.join(new)}" if isinstance(new, Mapping) else f"a {type(new).__name__}"
        raise ConfigError(
            f"The step of cell '{cell.name}' gives {given}; declared are the states {', '.join(cell.states)}. "
            f"Return a dict with exactly the declared states."
        )
    in_order = {name: states[name] for name in cell.states}
    return Equations(cell.gates, cell.states, cell.unit_weights, graph, in_order, cell.matrices, cell.inputs, cell.unit_inputs)


def to_text(equations: Equations) -> str:
    """One line per value, `number = kind arguments`, numbered in the order in which they are computed.

    The order depends on the equations alone, not on the order in which the step built them.
    """
    lines = [
        "gates " + " ".join(equations.gates),
        "states " + " ".join(equations.state_names),
        "unit_weights " + " ".join(equations.unit_weights),
        "matrices " + " ".join(equations.matrices),
        "inputs " + " ".join(equations.inputs),
    ]
    if equations.unit_inputs:
        lines.append("unit_inputs " + " ".join(equations.unit_inputs))
    arguments = canonical_arguments(equations)
    place: dict[Symbol, int] = {}

    def write(node: Symbol) -> None:
        if node in place:
            return
        for arg in arguments[node]:
            write(arg)
        place[node] = len(place)
        words = [str(place[arg]) for arg in arguments[node]]
        lines.append(" ".join([f"{place[node]} = {node.kind}", *words, *leaf_words(node)]))

    for node in equations.states.values():
        write(node)
    lines += [f"{name} := {place[node]}" for name, node in equations.states.items()]
    return "\n".join(lines)


def canonical_arguments(equations: Equations) -> dict[Symbol, tuple[Symbol, ...]]:
    """The arguments of each node; where their order does not matter, in the order of what they are made of."""
    made_of: dict[Symbol, str] = {}
    arguments: dict[Symbol, tuple[Symbol, ...]] = {}
    for node in ordered(equations.states.values()):
        args = tuple(sorted(node.args, key=made_of.__getitem__)) if node.kind in COMMUTATIVE else node.args
        said = " ".join([node.kind, *leaf_words(node), *(made_of[arg] for arg in args)])
        made_of[node], arguments[node] = hashlib.sha256(said.encode()).hexdigest(), args
    return arguments


def leaf_words(node: Symbol) -> list[str]:
    """What a leaf says of itself: its name, or every bit of its number."""
    if node.args:
        return []
    return [node.value.hex() if node.kind == "number" else node.name]


@lru_cache(maxsize=256)
def from_text(text: str) -> Equations:
    """The equations that a text of `to_text` says."""
    graph = Graph()
    header: dict[str, tuple[str, ...]] = {}
    nodes: dict[str, Symbol] = {}
    states: dict[str, Symbol] = {}
    for line in text.splitlines():
        if " := " in line:
            name, number = line.split(" := ")
            states[name] = nodes[number]
        elif " = " in line:
            number, said = line.split(" = ")
            kind, *words = said.split()
            nodes[number] = _node(graph, kind, words, nodes)
        else:
            word, *names = line.split()
            header[word] = tuple(names)
    return Equations(
        header["gates"], header["states"], header["unit_weights"], graph, states, header["matrices"], header["inputs"],
        header.get("unit_inputs", ()),
    )  # fmt: skip


LEAVES = ("x", "r", "s", "w", "step", "unit", "matrix")
"""Kinds of leaf that have a name."""


def _node(graph: Graph, kind: str, words: list[str], nodes: Mapping[str, Symbol]) -> Symbol:
    if kind == "number":
        return graph.number(float.fromhex(words[0]))
    if kind in LEAVES:
        return graph.leaf(kind, words[0])
    return build(graph, kind, tuple(nodes[word] for word in words))


def build(graph: Graph, kind: str, args: tuple[Symbol, ...]) -> Symbol:
    """A node of this kind over these arguments, simplified as usual."""
    makers: dict[str, Callable[..., Symbol]] = {
        "add": graph.add,
        "sub": graph.sub,
        "mul": graph.mul,
        "div": graph.div,
        "neg": graph.neg,
        "where": graph.where,
        "mean": graph.mean,
        "product": graph.product,
        "product_t": graph.product_t,
    }
    if kind in makers:
        return makers[kind](*args)
    return graph.apply(kind, *args) if kind in FUNCTIONS else graph.pair(kind, *args)


def substitute(root: Symbol, replaced: Mapping[Symbol, Symbol]) -> Symbol:
    """The same expression with some of its nodes replaced."""
    done = dict(replaced)
    for node in ordered([root], frozenset(replaced)):
        if node not in done:
            args = tuple(done[arg] for arg in node.args)
            done[node] = node if args == node.args else build(node.graph, node.kind, args)
    return done[root]


@lru_cache(maxsize=256)
def cell_of(text: str) -> Cell:
    """A cell whose step is what the text says, on tensors or symbols: the inverse of `canonical_text`."""
    equations = from_text(text)

    def step(x: Names, r: Names, s: Names, w: Names) -> Mapping[str, Operand]:
        leaves = {"x": x, "r": r, "s": s, "w": w, "step": x, "unit": x, "matrix": w}
        known: dict[Symbol, Any] = {}
        for node in ordered(equations.states.values()):
            if node.kind == "number":
                known[node] = node.value
            elif not node.args:
                known[node] = getattr(leaves[node.kind], node.name)
            else:
                known[node] = apply(node.kind, [known[arg] for arg in node.args])
        return {name: known[node] for name, node in equations.states.items()}

    return Cell(
        "traced", "A cell from its canonical text", equations.gates, equations.state_names, step, equations.unit_weights,
        matrices=equations.matrices, inputs=equations.inputs, unit_inputs=equations.unit_inputs,
    )  # fmt: skip


def apply(kind: str, args: list[Any]) -> Any:
    """One node on operands."""
    if kind in OPERATORS:
        return OPERATORS[kind](*args)
    if kind == "less":
        return functions.less(*args)
    if kind == "where":
        return functions.where(*args)
    return getattr(functions, kind)(*args)


OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "product": operator.matmul,
}
