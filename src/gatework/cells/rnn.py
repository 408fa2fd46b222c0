"""Elman's simple recurrent network: `rnn` with tanh; `rnn_relu`, which torch.nn.RNN offers too."""

from collections.abc import Mapping

from gatework.cells.cell import Cell, Names
from gatework.cells.functions import Operand, relu, tanh


def rnn_step(x: Names, r: Names, s: Names, w: Names) -> Mapping[str, Operand]:
    """x, r: what the input and the recurrence add."""
    return {"h": tanh(x.candidate + r.candidate)}


def rnn_relu_step(x: Names, r: Names, s: Names, w: Names) -> Mapping[str, Operand]:
    """x, r: what the input and the recurrence add."""
    return {"h": relu(x.candidate + r.candidate)}


rnn = Cell(
    name="rnn",
    title="Simple recurrent network with tanh",
    gates=("candidate",),
    states=("h",),
    step=rnn_step,
    paper="Elman 1990, doi:10.1207/s15516709cog1402_1",
)

rnn_relu = Cell(
    name="rnn_relu",
    title="Simple recurrent network with a rectifier",
    gates=("candidate",),
    states=("h",),
    step=rnn_relu_step,
    paper="Le et al. 2015, arXiv:1504.00941",
)
