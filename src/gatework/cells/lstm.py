"""Long short-term memory with a forget gate: `lstm`."""

from collections.abc import Mapping

from gatework.cells.cell import Cell, Names
from gatework.cells.functions import Operand, sigmoid, tanh


def lstm_step(x: Names, r: Names, s: Names, w: Names) -> Mapping[str, Operand]:
    """x, r: what the input and the recurrence add to each gate; s: the states one step ago."""
    write = sigmoid(x.input + r.input)
    keep = sigmoid(x.forget + r.forget)
    candidate = tanh(x.candidate + r.candidate)
    show = sigmoid(x.output + r.output)
    c = keep * s.c + write * candidate
    return {"h": show * tanh(c), "c": c}


lstm = Cell(
    name="lstm",
    title="Long short-term memory with a forget gate",
    gates=("input", "forget", "candidate", "output"),
    states=("h", "c"),
    step=lstm_step,
    paper="Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; forget gate: Gers et al. 2000, "
    "doi:10.1162/089976600300015015",
)
