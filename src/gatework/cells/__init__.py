"""What is computed: every cell as equations. Pure Python, no torch.

A cell is one file: a `step` that says the equations once, and a `Cell` that names its gates, states and weights. Adding a cell is
adding its file and one entry in `CELLS`.
"""

from gatework.cells.cell import Cell, Names, Step
from gatework.cells.functions import (
    ACTIVATIONS,
    Operand,
    exp,
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
    sigmoid,
    softplus,
    sqrt,
    tanh,
    where,
)
from gatework.cells.gru import gru
from gatework.cells.gru_d import gru_d
from gatework.cells.layernorm import layernorm
from gatework.cells.lstm import lstm
from gatework.cells.peephole import peephole
from gatework.cells.phased import phased
from gatework.cells.rnn import rnn, rnn_relu
from gatework.cells.t_lstm import t_lstm
from gatework.errors import ConfigError, nearest

CELLS: dict[str, Cell] = {cell.name: cell for cell in (lstm, gru, rnn, peephole, layernorm, gru_d, t_lstm, phased)}
"""Every cell that has a name for users. `rnn_relu` stands outside: it is a form of `rnn` that `gatework.RNN` offers."""


def find_cell(cell: str | Cell) -> Cell:
    """The cell of this name; a Cell object is returned as it is. ConfigError for an unknown name."""
    if isinstance(cell, Cell):
        return cell
    if cell not in CELLS:
        raise ConfigError(f"There is no cell '{cell}'. {nearest(cell, CELLS)} Or declare your own and give the Cell object.")
    return CELLS[cell]


__all__ = [
    "ACTIVATIONS", "CELLS", "Cell", "Names", "Operand", "Step", "exp", "find_cell", "floor", "gru", "gru_d",
    "hard_sigmoid", "layernorm", "less", "linear", "log", "log1p", "lstm", "maximum", "mean", "minimum", "peephole", "phased",
    "relu", "rnn", "rnn_relu", "sigmoid", "softplus", "sqrt", "t_lstm", "tanh", "where",
]  # fmt: skip
