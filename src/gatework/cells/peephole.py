"""Long short-term memory whose gates look at the cell: `peephole`."""

from collections.abc import Mapping

from gatework.cells.cell import Cell, Names
from gatework.cells.functions import Operand, sigmoid, tanh


def peephole_step(x: Names, r: Names, s: Names, w: Names) -> Mapping[str, Operand]:
    """x, r: what the input and the recurrence add to each gate; s: the states one step ago; w: one weight per unit and gate."""
    write = sigmoid(x.input + r.input + w.input * s.c)
    keep = sigmoid(x.forget + r.forget + w.forget * s.c)
    c = keep * s.c + write * tanh(x.candidate + r.candidate)
    show = sigmoid(x.output + r.output + w.output * c)
    return {"h": show * tanh(c), "c": c}


peephole = Cell(
    name="peephole",
    title="Long short-term memory with peepholes: the gates see the cell",
    gates=("input", "forget", "candidate", "output"),
    states=("h", "c"),
    step=peephole_step,
    unit_weights=("input", "forget", "output"),
    paper="Gers, Schraudolph and Schmidhuber 2002, Learning precise timing with LSTM recurrent networks, JMLR 3, section 3",
)
