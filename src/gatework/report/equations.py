"""The equations of the cells, for people. Those that are computed are in `cells/`; a test evaluates both and compares.

Notation of `symbols`: _t or _{t-1} is an index, a capital letter a matrix, any other single letter a vector.
"""

import re
from dataclasses import dataclass

from gatework.cells import Cell
from gatework.cells.words import Notation, equations_as
from gatework.report.markup import Html, element, escape, join


@dataclass(frozen=True)
class Equation:
    """One line: its symbols and what it does."""

    symbols: str
    meaning: str


@dataclass(frozen=True)
class CellText:
    """A cell in words and equations."""

    title: str
    words: str
    equations: tuple[Equation, ...]


LEGEND = (
    ("x_t", "inputs at step t"),
    ("h_t", "output, which the next step sees too"),
    ("W, U", "learned matrices"),
    ("b", "learned biases"),
    ("σ(a) = 1 ∕ (1 + exp(−a))", "lies between 0 and 1, tanh between −1 and 1"),
    ("⊙", "multiplies unit by unit"),
)

CELL_TEXTS: dict[str, CellText] = {
    "lstm": CellText(
        "Long short-term memory",
        "Each unit keeps a number, its cell state c. At every step three gates, each between 0 and 1, decide how much of "
        "it is kept, how much of a new candidate is written to it, and how much of it is shown to the rest of the "
        "network. Because what is kept is multiplied by the forget gate and by nothing else, a unit can hold a value over "
        "many steps.",
        (
            Equation("i_t = σ(W_i x_t + U_i h_{t−1} + b_i)", "input gate: how much is written"),
            Equation("f_t = σ(W_f x_t + U_f h_{t−1} + b_f)", "forget gate: how much is kept"),
            Equation("g_t = tanh(W_g x_t + U_g h_{t−1} + b_g)", "candidate: what could be written"),
            Equation("o_t = σ(W_o x_t + U_o h_{t−1} + b_o)", "output gate: how much is shown"),
            Equation("c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t", "cell state: the memory"),
            Equation("h_t = o_t ⊙ tanh(c_t)", "output"),
        ),
    ),
    "gru": CellText(
        "Gated recurrent unit",
        "Each unit mixes its previous output with a new candidate. The update gate sets the mixture; the reset gate "
        "decides how much of the previous output the candidate may see. There is no memory apart from the output itself.",
        (
            Equation("r_t = σ(W_r x_t + U_r h_{t−1} + b_r)", "reset gate: how much of the past the candidate sees"),
            Equation("z_t = σ(W_z x_t + U_z h_{t−1} + b_z)", "update gate: how much is kept"),
            Equation("n_t = tanh(W_n x_t + b_n + r_t ⊙ (U_n h_{t−1} + d_n))", "candidate, with a second bias d"),
            Equation("h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t−1}", "output, and memory"),
        ),
    ),
    "rnn": CellText(
        "Plain recurrent network",
        "Each unit is computed afresh at every step from the inputs and from the previous outputs. Nothing protects what "
        "it holds, so influence usually fades within a few tens of steps.",
        (Equation("h_t = tanh(W x_t + U h_{t−1} + b)", "output, and memory"),),
    ),
}

TRACED_LEGEND = (
    ("x_{gate} = W_{gate} in_t + b_{gate}", "what the inputs at step t add to a gate"),
    ("r_{gate} = U_{gate} h_{t−1} + d_{gate}", "what the output one step ago adds"),
    ("w_{name}", "a weight that each unit has of its own"),
    ("mean(a)", "over the units"),
    ("σ(a) = 1 ∕ (1 + exp(−a))", "lies between 0 and 1, tanh between −1 and 1"),
    ("⊙", "multiplies unit by unit"),
)
"""Of equations that were written from a cell's declaration."""

SYMBOLS = Notation(
    "x_{{{}}}", "r_{{{}}}", "w_{{{}}}", "{}_{{t−1}}", "{}_t", " ⊙ ", "−", "{} ∕ {}",
    underscore=" ", step="x_{{{}}}", matrix="W_{{{}}}", applied="{} {}",
    functions={"sigmoid": "σ({})".format, "less": "{} < {}".format, "equal": "{} = {}".format},
)  # fmt: skip


def text_of(cell: Cell) -> CellText:
    """A cell in words and equations; written from its declaration where nobody has written them."""
    if cell.name in CELL_TEXTS:
        return CELL_TEXTS[cell.name]
    equations = tuple(
        Equation(f"{left} = {right}", _meaning(cell, left.removesuffix("_t"))) for left, right in equations_as(cell, SYMBOLS)
    )
    parts = " Parts, u1 and so on, are what is used more than once." if any(line.meaning == "part" for line in equations) else ""
    words = f"The equations as they are computed, written from the cell's declaration.{parts}"
    return CellText(cell.title, words, equations)


def _meaning(cell: Cell, name: str) -> str:
    if name == cell.states[0]:
        return "output" if len(cell.states) > 1 else "output, and memory"
    if name in cell.states:
        return "state: the memory"
    return "gate" if name in cell.gates else "part"


TOKEN = re.compile(r"_\{(?P<long>[^}]*)\}|_(?P<one>\w)|(?P<word>[A-Za-z]+)|(?P<other>[^A-Za-z_]+|_)")


def typeset(symbols: str) -> Html:
    """An equation as HTML: variables italic, matrices bold, functions upright, indices lowered.

    >>> typeset("W_f x_t")
    '<b>W</b><sub><var>f</var></sub> <var>x</var><sub><var>t</var></sub>'
    """
    pieces: list[Html] = []
    for token in TOKEN.finditer(symbols):
        index = token["long"] or token["one"]
        if index:
            pieces.append(element("sub", typeset(index)))
        elif token["word"] and len(token["word"]) == 1:
            pieces.append(element("b" if token["word"].isupper() else "var", token["word"]))
        else:
            pieces.append(escape(token[0]))
    return join(pieces)
