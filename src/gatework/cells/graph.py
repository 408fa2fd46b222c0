"""A cell's equations as an expression graph, simplified as it is built.

A symbol stands for one number per unit of one sequence at one step. Equal expressions are one node, so each value is computed
once.
Kinds of node:

    leaves     x (what the input adds to a gate), r (what the recurrence adds), s (a state one step ago), w (a weight of each
               unit), step (an input that bypasses the gates: one number of a sequence and step, the same for all of its units;
               equations read it as x.NAME), number
    arithmetic add sub mul div neg minimum maximum
    functions  sigmoid tanh relu exp log log1p sqrt floor
    choice     where(less(a, b), c, d); equal(a, b) as a condition in gradients only
    over units mean: of one sequence's units, the same for all of them
               product(matrix, a): unit i gets the sum over the units j of matrix[i, j] · a[j]; its first argument is a leaf of
               kind matrix, which stands nowhere else
               product_t(matrix, g), in gradients only: unit j gets the sum over the units i of matrix[i, j] · g[i]
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn, Union

from gatework.cells.matrix import Matrix, MatrixError

Number = int | float
Term = Union["Symbol", Number]

COMMUTATIVE = frozenset({"add", "mul", "minimum", "maximum", "equal"})
FUNCTIONS = frozenset({"sigmoid", "tanh", "relu", "exp", "log", "log1p", "sqrt", "floor"})


@dataclass(frozen=True, eq=False)
class Symbol:
    """One node. Built only by a `Graph`, which makes equal nodes identical.

    kind: see the module. args: the nodes it is computed from. name: of a leaf. value: of a number.
    """

    graph: "Graph" = field(repr=False)
    number: int
    kind: str
    args: tuple["Symbol", ...] = ()
    name: str = ""
    value: float = 0.0

    def __add__(self, other: Any) -> "Symbol":
        return self.graph.add(self, other)

    def __sub__(self, other: Any) -> "Symbol":
        return self.graph.sub(self, other)

    def __rsub__(self, other: Any) -> "Symbol":
        return self.graph.sub(other, self)

    def __mul__(self, other: Any) -> "Symbol":
        return self.graph.mul(self, other)

    def __truediv__(self, other: Any) -> "Symbol":
        return self.graph.div(self, other)

    def __rtruediv__(self, other: Any) -> "Symbol":
        return self.graph.div(other, self)

    def __neg__(self) -> "Symbol":
        return self.graph.neg(self)

    __radd__ = __add__
    __rmul__ = __mul__

    def __matmul__(self, other: object) -> NoReturn:
        """`@` belongs to matrices."""
        if isinstance(other, Matrix):
            other.__rmatmul__(self)
        raise MatrixError(
            f"The equations write @ after {self._spelled()}, which is no matrix; expected w.NAME @ (…) with a declared matrix. "
            f"Declare matrices=('NAME',) in the Cell, or write * for a product unit by unit."
        )

    __rmatmul__ = __matmul__

    def _spelled(self) -> str:
        """A leaf as equations write it."""
        if self.kind in ("x", "r", "s", "w"):
            return f"{self.kind}.{self.name}"
        return f"x.{self.name}" if self.kind in ("step", "unit") else "a computed value"

    def sigmoid(self) -> "Symbol":
        return self.graph.apply("sigmoid", self)

    def tanh(self) -> "Symbol":
        return self.graph.apply("tanh", self)

    def relu(self) -> "Symbol":
        return self.graph.apply("relu", self)

    def exp(self) -> "Symbol":
        return self.graph.apply("exp", self)

    def log(self) -> "Symbol":
        return self.graph.apply("log", self)

    def sqrt(self) -> "Symbol":
        return self.graph.apply("sqrt", self)

    def log1p(self) -> "Symbol":
        return self.graph.apply("log1p", self)

    def floor(self) -> "Symbol":
        return self.graph.apply("floor", self)

    def mean(self, dim: int = -1, keepdim: bool = True) -> "Symbol":
        """Over the units; the arguments are those of a tensor's mean and have one meaning here."""
        assert (dim, keepdim) == (-1, True)
        return self.graph.mean(self)

    def minimum(self, other: Any) -> "Symbol":
        return self.graph.pair("minimum", self, other)

    def maximum(self, other: Any) -> "Symbol":
        return self.graph.pair("maximum", self, other)

    def lt(self, other: Any) -> "Symbol":
        return self.graph.pair("less", self, other)

    def gt(self, other: Any) -> "Symbol":
        return self.graph.pair("less", other, self)

    def logical_not(self) -> "Symbol":
        """Of a condition; it only serves `where`, which then takes its other branch."""
        return self.args[0] if self.kind == "not" else self.graph.apply("not", self)

    def where(self, condition: "Symbol", other: Any) -> "Symbol":
        return self.graph.where(condition, self, other)

    def __bool__(self) -> bool:
        raise TypeError(
            "A cell's equations branch on a value. Expected straight-line arithmetic: the graph is traced once for all values. "
            "Use where(less(a, b), c, d) instead of if."
        )


class Graph:
    """The nodes of one cell's equations, each once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Symbol] = {}

    def leaf(self, kind: str, name: str) -> Symbol:
        """A value that comes from outside."""
        return self._node(kind, name=name)

    def number(self, value: Number) -> Symbol:
        """A constant."""
        return self._node("number", value=float(value))

    def lift(self, value: "Symbol | Number | Matrix") -> Symbol:
        """A symbol as it is, a number as a node. MatrixError for a matrix, which is no value."""
        if isinstance(value, Matrix):
            value.refuse()
        return value if isinstance(value, Symbol) else self.number(value)

    def _two(self, a: "Symbol | Number", b: "Symbol | Number") -> "tuple[Symbol, Symbol]":
        return self.lift(a), self.lift(b)

    def add(self, a: Term, b: Term) -> Symbol:
        a, b = self._two(a, b)
        if is_number(a, 0.0):
            return b
        if is_number(b, 0.0):
            return a
        if b.kind == "neg":
            return self.sub(a, b.args[0])
        if a.kind == "neg":
            return self.sub(b, a.args[0])
        return self._fold("add", a, b)

    def sub(self, a: Term, b: Term) -> Symbol:
        a, b = self._two(a, b)
        if is_number(b, 0.0):
            return a
        if is_number(a, 0.0):
            return self.neg(b)
        if b.kind == "neg":
            return self.add(a, b.args[0])
        return self._fold("sub", a, b)

    def mul(self, a: Term, b: Term) -> Symbol:
        a, b = self._two(a, b)
        for one, other in ((a, b), (b, a)):  # 0 · a stays: it is NaN where a is infinite
            if is_number(one, 1.0):
                return other
            if is_number(one, -1.0):
                return self.neg(other)
        if a.kind == "neg":
            return self.neg(self.mul(a.args[0], b))
        if b.kind == "neg":
            return self.neg(self.mul(a, b.args[0]))
        return self._fold("mul", a, b)

    def div(self, a: Term, b: Term) -> Symbol:
        a, b = self._two(a, b)
        return a if is_number(b, 1.0) else self._fold("div", a, b)

    def neg(self, a: Term) -> Symbol:
        node: Symbol = self.lift(a)
        if node.kind == "neg":
            return node.args[0]
        return self.number(-node.value) if node.kind == "number" else self._node("neg", (node,))

    def apply(self, function: str, a: Term) -> Symbol:
        """One of the functions of a single number."""
        return self._node(function, (self.lift(a),))

    def pair(self, kind: str, a: Term, b: Term) -> Symbol:
        """minimum, maximum, less or equal."""
        return self._node(kind, (self.lift(a), self.lift(b)))

    def where(self, condition: Symbol, a: Term, b: Term) -> Symbol:
        """a where the condition holds, else b; the other one never has an effect, NaN included."""
        a, b = self._two(a, b)
        if condition.kind == "not":
            condition, a, b = condition.args[0], b, a
        return a if a is b else self._node("where", (condition, a, b))

    def mean(self, a: Term) -> Symbol:
        """Over the units of one sequence."""
        node: Symbol = self.lift(a)
        return node if node.kind in ("number", "mean", "step") else self._node("mean", (node,))

    def product(self, matrix: Symbol, a: Term) -> Symbol:
        """A matrix, which is a leaf, times a vector over the units."""
        return self._node("product", (matrix, self.lift(a)))

    def product_t(self, matrix: Symbol, a: Term) -> Symbol:
        """The matrix transposed times a vector over the units: the gradient of `product`."""
        return self._node("product_t", (matrix, self.lift(a)))

    def _fold(self, kind: str, a: Symbol, b: Symbol) -> Symbol:
        if a.kind == "number" and b.kind == "number":
            folded = {"add": a.value + b.value, "sub": a.value - b.value, "mul": a.value * b.value}
            if kind == "div" and b.value != 0.0:
                folded["div"] = a.value / b.value
            if kind in folded:
                return self.number(folded[kind])
        return self._node(kind, (a, b))

    def _node(self, kind: str, args: tuple[Symbol, ...] = (), name: str = "", value: float = 0.0) -> Symbol:
        if kind in COMMUTATIVE:
            args = tuple(sorted(args, key=lambda node: node.number))
        # -0.0 == 0.0 but 1/-0.0 != 1/0.0, so the sign is part of the key
        key = (kind, tuple(arg.number for arg in args), name, value, math.copysign(1.0, value))
        if key not in self._known:
            self._known[key] = Symbol(self, len(self._known), kind, args, name, value)
        return self._known[key]


def is_number(node: Symbol, value: float) -> bool:
    """Whether a node is this constant."""
    return node.kind == "number" and node.value == value


def ordered(outputs: Iterable[Symbol], stop: frozenset[Symbol] = frozenset()) -> list[Symbol]:
    """Everything that the outputs are computed from, each node after its arguments. Nodes in `stop` are taken as given."""
    done: dict[Symbol, None] = {}

    def visit(node: Symbol) -> None:
        if node in done:
            return
        if node not in stop:
            for arg in node.args:
                visit(arg)
        done[node] = None

    for output in outputs:
        visit(output)
    return list(done)
