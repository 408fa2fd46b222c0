"""Gated recurrent unit whose memory fades while nothing is measured: `gru_d`.

The layer's columns are what is known at each step: the values (gaps filled by the decay that `layers.Decay` learns), which of
them were measured, and how long ago each was measured last. `decay` is exp(−max(0, …)) of a weighted sum of these columns: the
paper's W_γ reads the times alone, which is this with zeros for the other columns. Every product of the recurrence is one with the
faded state, so all gates are `input_only` and the products are the cell's own matrices.
"""

from collections.abc import Mapping

from gatework.cells.cell import Cell, Names
from gatework.cells.functions import Operand, exp, relu, sigmoid, tanh


def gru_d_step(x: Names, r: Names, s: Names, w: Names) -> Mapping[str, Operand]:
    """x: what the input adds to each gate; s: the state one step ago; w: the matrices of the recurrence."""
    before = exp(-relu(x.decay)) * s.h
    reset = sigmoid(x.reset + w.reset @ before)
    update = sigmoid(x.update + w.update @ before)
    candidate = tanh(x.candidate + w.candidate @ (reset * before))
    return {"h": (1 - update) * before + update * candidate}


GATES = ("reset", "update", "candidate", "decay")

gru_d = Cell(
    name="gru_d",
    title="Gated recurrent unit that fades between measurements",
    gates=GATES,
    states=("h",),
    step=gru_d_step,
    matrices=("reset", "update", "candidate"),
    input_only=GATES,
    paper="Che et al. 2018, Recurrent neural networks for multivariate time series with missing values, "
    "doi:10.1038/s41598-018-24271-9, Methods: GRU-D",
)
