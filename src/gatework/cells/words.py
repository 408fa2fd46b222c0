"""A cell's equations for people, written from its declaration: as plain text and as LaTeX.

Every new state is a line, and so is what is computed once and used more often. A function of a sum that one gate feeds carries
the name of that gate; what else needs a name is called u1, u2, … Lines stand in the order in which they are computed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gatework.cells.cell import Cell
from gatework.cells.equations import trace
from gatework.cells.graph import Symbol, ordered

SUM, PRODUCT, SIGN, ATOM = range(4)
"""How tightly a text holds together: what holds less than its surroundings ask for is put in parentheses."""
GATE_FUNCTIONS = ("sigmoid", "tanh", "relu")


def _call(name: str) -> Callable[..., str]:
    return lambda *args: f"{name}({', '.join(args)})"


@dataclass(frozen=True)
class Notation:
    """How equations are written.

    input, recurrent, weight: what the input and the recurrence add to a gate, and a weight of each unit; before: a state one step
    ago; now: a new state or another named value (`{}` is the name). underscore: stands for that of a name.
    functions: all that are not written `name(a, b)`. step: an input that bypasses the gates. matrix: a learned matrix.
    applied: the product of a matrix and a value.
    """

    input: str
    recurrent: str
    weight: str
    before: str
    now: str
    times: str
    minus: str
    divided: str
    open: str = "("
    close: str = ")"
    underscore: str = "_"
    functions: Mapping[str, Callable[..., str]] = field(default_factory=dict)
    step: str = "x.{}"
    matrix: str = "w.{}"
    applied: str = "{} @ {}"


PLAIN = Notation(
    "x.{}", "r.{}", "w.{}", "{}'", "{}", " * ", "-", "{} / {}", functions={"less": "{} < {}".format, "equal": "{} == {}".format}
)

LATEX = Notation(
    r"x_{{\mathrm{{{}}}}}",
    r"r_{{\mathrm{{{}}}}}",
    r"w_{{\mathrm{{{}}}}}",
    r"\mathrm{{{}}}_{{t-1}}",
    r"\mathrm{{{}}}_t",
    r" \odot ",
    "-",
    r"\frac{{{}}}{{{}}}",
    r"\left(",
    r"\right)",
    r"\_",
    {
        "sigmoid": r"\sigma\left({}\right)".format,
        "tanh": r"\tanh\left({}\right)".format,
        "relu": r"\max\left(0, {}\right)".format,
        "exp": r"\exp\left({}\right)".format,
        "log": r"\ln\left({}\right)".format,
        "log1p": r"\ln\left(1 + {}\right)".format,
        "sqrt": r"\sqrt{{{}}}".format,
        "floor": r"\left\lfloor {} \right\rfloor".format,
        "mean": r"\operatorname{{mean}}\left({}\right)".format,
        "minimum": r"\min\left({}, {}\right)".format,
        "maximum": r"\max\left({}, {}\right)".format,
        "less": "{} < {}".format,
        "equal": "{} = {}".format,
        "where": r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}".format,
    },
    r"x_{{t, \mathrm{{{}}}}}",
    r"W_{{\mathrm{{{}}}}}",
    r"{} \, {}",
)


def equations_in_words(cell: Cell) -> list[str]:
    """One line for each named value, `c'` being the state c one step ago; x.gate, r.gate and w.name as in the declaration.

    >>> from gatework.cells import rnn
    >>> equations_in_words(rnn)
    ['h = tanh(x.candidate + r.candidate)']
    """
    return [f"{left} = {right}" for left, right in equations_as(cell, PLAIN)]


def equations_in_latex(cell: Cell) -> list[str]:
    """The same lines in LaTeX's mathematical notation."""
    return [f"{left} = {right}" for left, right in equations_as(cell, LATEX)]


def legend_of(cell: Cell) -> str:
    """What the names in `equations_in_words` stand for."""
    weights = "; w.name: a weight that each unit has of its own" if cell.unit_weights else ""
    names = ", ".join(f"w.{name}" for name in cell.matrices)
    weights += f"; {names}: learned, hidden_size by hidden_size, and @ the matrix product" if names else ""
    names = ", ".join(f"x.{name}" for name in cell.inputs)
    weights += f"; {names}: from the input itself, one number for all units" if names else ""
    names = ", ".join(f"x.{name}" for name in cell.unit_inputs)
    weights += f"; {names}: from the input itself, one number for each unit" if names else ""
    parts = "; u1, u2, …: what is used more than once" if any("u1" in line for line in equations_in_words(cell)) else ""
    recurrence = "r.gate = U_gate · h' + bias; " if cell.recurrent_gates else ""
    return (
        f"x.gate = W_gate · input + bias; {recurrence}"
        f"{', '.join(state + chr(39) for state in cell.states)}: one step ago{weights}{parts}; * is unit by unit."
    )


def equations_as(cell: Cell, notation: Notation) -> list[tuple[str, str]]:
    """The left and the right side of each line, in this notation."""
    states = trace(cell).states
    names = _names(states, taken={*cell.gates, *cell.states})
    writer = _Writer(notation, names)
    lines = [
        (notation.now.format(_escaped(names[node], notation)), writer.write(node, SUM, is_whole=True))
        for node in ordered(states.values())
        if node in names
    ]
    # a state that is a leaf, or the same as another state
    lines += [
        (notation.now.format(_escaped(name, notation)), writer.write(node, SUM))
        for name, node in states.items()
        if names.get(node) != name
    ]
    return lines


def _names(states: Mapping[str, Symbol], taken: set[str]) -> dict[Symbol, str]:
    """Which values are lines of their own, and their names."""
    nodes = ordered(states.values())
    names: dict[Symbol, str] = {}
    for state, node in states.items():
        if node.args:
            names.setdefault(node, state)
    uses = [arg for node in nodes for arg in node.args]
    shared = {node for node in nodes if node.args and node.kind not in ("neg", "less", "equal") and uses.count(node) > 1}
    given, number = set(states), 0
    feeds: dict[Symbol, str] = {}
    for node in nodes:
        if node in names or not node.args:
            continue
        gate = _gate_of(node, names, feeds)
        if gate and gate not in given and node.kind in GATE_FUNCTIONS and node.args[0].kind in ("add", "sub"):
            given.add(gate)
            names[node] = gate
        elif node in shared:
            number += 1
            while f"u{number}" in taken:
                number += 1
            names[node] = f"u{number}"
            feeds[node] = gate
    return names


def _gate_of(node: Symbol, names: Mapping[Symbol, str], feeds: Mapping[Symbol, str]) -> str:
    """The gate that alone feeds this expression, itself or through a named part that it alone feeds; else empty.

    What goes through a matrix reaches every unit and counts as no gate's.
    """
    products = frozenset(below for below in ordered([node]) if below.kind == "product")
    below = [] if node in products else ordered(node.args, frozenset(names) | products)
    fed = {leaf.name for leaf in below if leaf.kind in ("x", "r")} | {feeds[part] for part in below if feeds.get(part)}
    return fed.pop() if len(fed) == 1 else ""


def _number(value: float) -> str:
    """Without an exponent where it needs few decimals."""
    text = f"{value:.12f}".rstrip("0").rstrip(".")
    return text if float(text) == value and len(text) <= 16 else f"{value:.12g}"


def _escaped(name: str, notation: Notation) -> str:
    return name.replace("_", notation.underscore)


class _Writer:
    """Expressions as texts; what has a name is written as its name."""

    def __init__(self, notation: Notation, names: Mapping[Symbol, str]) -> None:
        self.notation = notation
        self.names = names

    def write(self, node: Symbol, needed: int, is_whole: bool = False) -> str:
        """The node, in parentheses where it holds less than needed; is_whole: spelled out although it has a name."""
        if node in self.names and not is_whole:
            return self.notation.now.format(_escaped(self.names[node], self.notation))
        text, strength = self._text(node)
        return text if strength >= needed else f"{self.notation.open}{text}{self.notation.close}"

    def _text(self, node: Symbol) -> tuple[str, int]:
        notation, kind, args = self.notation, node.kind, node.args
        if kind == "number":
            return _number(node.value), ATOM if node.value >= 0 else SIGN
        if not args:
            return self._leaf(node), ATOM
        if kind == "add":
            first, second = sorted(args, key=lambda arg: arg.kind in ("w", "number"))  # shifts and constants last
            if second.kind == "number" and second.value < 0:
                return f"{self.write(first, SUM)} {notation.minus} {_number(-second.value)}", SUM
            return f"{self.write(first, SUM)} + {self.write(second, SUM)}", SUM
        if kind == "sub":
            return f"{self.write(args[0], SUM)} {notation.minus} {self.write(args[1], PRODUCT)}", SUM
        if kind == "neg":
            return f"{notation.minus}{self.write(args[0], ATOM)}", SIGN
        if kind == "mul":
            return notation.times.join(self.write(factor, SIGN) for factor in self._factors(node)), PRODUCT
        if kind == "div":
            needed = SUM if notation is LATEX else ATOM
            return notation.divided.format(self.write(args[0], needed), self.write(args[1], needed)), PRODUCT
        if kind == "product":
            return notation.applied.format(self._leaf(args[0]), self.write(args[1], ATOM)), PRODUCT
        write = notation.functions.get(kind, _call(kind))
        return write(*(self.write(arg, SUM) for arg in args)), ATOM

    def _leaf(self, leaf: Symbol) -> str:
        notation = self.notation
        forms = {
            "x": notation.input, "r": notation.recurrent, "w": notation.weight, "s": notation.before,
            "step": notation.step, "unit": notation.step, "matrix": notation.matrix,
        }  # fmt: skip
        return forms[leaf.kind].format(_escaped(leaf.name, notation))

    def _factors(self, node: Symbol) -> list[Symbol]:
        """The factors of a product: numbers and weights first, states of the step before last."""
        factors: list[Symbol] = []
        for arg in node.args:
            inner = arg.kind == "mul" and arg not in self.names
            factors += self._factors(arg) if inner else [arg]
        rank = {"number": 0, "w": 1, "x": 3, "r": 3, "s": 4}
        return sorted(factors, key=lambda factor: rank.get(factor.kind, 2))
