"""Long short-term memory whose units open and close with time: `phased`.

Each unit has a period, a shift and a share of the period during which it is open; while it is closed its states stay as they are,
but for a small leak. `time` counts from the first step of the sequence in units of the typical step; it may stand still and jump.

period: the logarithm of τ. shift: s / τ, in periods. open: r_on before a sigmoid. So none of them has to be kept in a range, and
the function is that of the paper. Its leak is active in training alone; here it always is.
"""

from collections.abc import Mapping

from gatework.cells.cell import Cell, Names
from gatework.cells.functions import Operand, exp, floor, less, sigmoid, tanh, where

LEAK = 0.001
"""α of the paper: what a closed unit lets through, so that its gradient is not 0."""
OPEN_AT_FIRST = -2.9444389791664403
"""A twentieth of the period, before the sigmoid: log(0.05 / 0.95)."""


def phased_step(x: Names, r: Names, s: Names, w: Names) -> Mapping[str, Operand]:
    """x, r: what the input and the recurrence add to each gate, and x.time; s: the states one step ago; w: own weights."""
    periods = x.time * exp(-w.period) - w.shift
    phase = periods - floor(periods)
    ramp = 2 * phase / sigmoid(w.open)
    openness = where(less(ramp, 1), ramp, where(less(ramp, 2), 2 - ramp, LEAK * phase))
    write = sigmoid(x.input + r.input + w.input * s.c)
    keep = sigmoid(x.forget + r.forget + w.forget * s.c)
    proposed = keep * s.c + write * tanh(x.candidate + r.candidate)
    show = sigmoid(x.output + r.output + w.output * proposed)
    return {
        "h": openness * (show * tanh(proposed)) + (1 - openness) * s.h,
        "c": openness * proposed + (1 - openness) * s.c,
    }


phased = Cell(
    name="phased",
    title="Long short-term memory whose units open and close with time",
    gates=("input", "forget", "candidate", "output"),
    states=("h", "c"),
    step=phased_step,
    unit_weights=("input", "forget", "output", "period", "shift", "open"),
    # periods of 1 to 20 steps, evenly on the logarithm; every phase
    unit_start={"period": (0.0, 3.0), "shift": (0.0, 1.0), "open": OPEN_AT_FIRST},
    inputs=("time",),
    paper="Neil, Pfeiffer and Liu 2016, Phased LSTM, arXiv:1610.09513, section 2",
)
