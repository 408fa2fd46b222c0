"""Gated recurrent unit, reset after the recurrent product: `gru`."""

from collections.abc import Mapping

from gatework.cells.cell import Cell, Names
from gatework.cells.functions import Operand, sigmoid, tanh


def gru_step(x: Names, r: Names, s: Names, w: Names) -> Mapping[str, Operand]:
    """x, r: what the input and the recurrence add to each gate, each with its own bias; s: the state one step ago."""
    reset = sigmoid(x.reset + r.reset)
    update = sigmoid(x.update + r.update)
    candidate = tanh(x.candidate + reset * r.candidate)
    return {"h": (1 - update) * candidate + update * s.h}


gru = Cell(
    name="gru",
    title="Gated recurrent unit, reset after the recurrent product",
    gates=("reset", "update", "candidate"),
    states=("h",),
    step=gru_step,
    paper="Cho et al. 2014, arXiv:1406.1078; the form with the reset after the product, version 1: arXiv:1406.1078v1",
)
