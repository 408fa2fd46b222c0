"""Long short-term memory that knows the time since the last step: `t_lstm`.

The cell is parted into a short-term memory, which it learns to tell, and the rest. The longer the time since the last step, the
less of the short-term part is left; the rest stays as it is. `elapsed` is not negative, in units of the typical step.
"""

import math
from collections.abc import Mapping

from gatework.cells.cell import Cell, Names
from gatework.cells.functions import Operand, log, sigmoid, tanh


def t_lstm_step(x: Names, r: Names, s: Names, w: Names) -> Mapping[str, Operand]:
    """x, r: what the input and the recurrence add to each gate, and x.elapsed; s: the states one step ago; w: own weights."""
    short = tanh(w.short @ s.c + w.short_bias)
    before = s.c - short + short / log(math.e + x.elapsed)
    write = sigmoid(x.input + r.input)
    keep = sigmoid(x.forget + r.forget)
    c = keep * before + write * tanh(x.candidate + r.candidate)
    show = sigmoid(x.output + r.output)
    return {"h": show * tanh(c), "c": c}


t_lstm = Cell(
    name="t_lstm",
    title="Long short-term memory that knows the time since the last step",
    gates=("input", "forget", "candidate", "output"),
    states=("h", "c"),
    step=t_lstm_step,
    unit_weights=("short_bias",),
    matrices=("short",),
    inputs=("elapsed",),
    paper="Baytas et al. 2017, Patient subtyping via time-aware LSTM networks, doi:10.1145/3097983.3097997, section 3.1, with "
    "the decay 1 / log(e + elapsed)",
)
