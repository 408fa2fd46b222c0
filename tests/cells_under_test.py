"""The cells that every law of the compiled engine is tested for: the built-in ones, and own ones that use what those do not."""

from declared_cells import DECLARED
from gatework.cells import (
    CELLS,
    Cell,
    Names,
    exp,
    floor,
    hard_sigmoid,
    less,
    log,
    log1p,
    maximum,
    mean,
    minimum,
    relu,
    rnn_relu,
    sigmoid,
    softplus,
    sqrt,
    tanh,
    where,
)
from gatework.cells.functions import Operand


def mixed_step(x: Names, r: Names, s: Names, w: Names) -> dict[str, Operand]:
    """Every function of the language; a gate of the input alone, one of the recurrence alone, and a state that is a copy."""
    keep = hard_sigmoid(x.keep + r.keep)
    rate = softplus(x.rate)
    pull = tanh(r.pull + w.lean * s.c)
    spread = sqrt(mean(s.c * s.c) + 0.01)
    c = keep * s.c + (1.0 - keep) * pull / (1.0 + rate)
    # in the padding behind the last unit d is 0: its logarithm must not get out
    d = exp(0.5 * log(s.d) + 0.1 * x.keep)
    held = maximum(minimum(c, w.bound * w.bound), -1.0)
    chosen = where(less(s.c, c), held, 0.1 * log1p(rate)) + where(less(0.2, s.h), 0.0, 0.3 * s.before)
    h = chosen + 0.1 * floor(2.0 * pull) + c / (spread + sqrt(d))
    return {"h": h - 0.1 * relu(s.d - h), "c": c, "d": d, "before": s.h}


MIXED = Cell(
    "mixed",
    "Every function of the language",
    ("keep", "rate", "pull"),
    ("h", "c", "d", "before"),
    mixed_step,
    ("lean", "bound"),
)


def exponential_step(x: Names, r: Names, s: Names, w: Names) -> dict[str, Operand]:
    """Exponential gates, held back by their running maximum m and divided by their running sum n (Beck et al. 2024)."""
    write, keep = x.input + r.input, x.forget + r.forget
    m = maximum(keep + s.m, write)
    kept, written = exp(keep + s.m - m), exp(write - m)
    c = kept * s.c + written * tanh(x.candidate + r.candidate)
    n = kept * s.n + written
    return {"h": sigmoid(x.output + r.output) * c / n, "c": c, "n": n, "m": m}


EXPONENTIAL = Cell("exponential", "Exponential gates", CELLS["lstm"].gates, ("h", "c", "n", "m"), exponential_step)

BUILT_IN = [*(cell for cell in CELLS.values() if cell not in DECLARED), rnn_relu]
"""The built-in cells of gates and unit weights alone."""

PLAIN_CELLS = [*BUILT_IN, MIXED, EXPONENTIAL]
"""Those, and own ones of that kind."""

ALL_CELLS = [*PLAIN_CELLS, *DECLARED]
"""Those, and cells with matrices, gates without recurrence and inputs that bypass the gates."""

POSITIVE = {"d", "n"}
"""States of which a logarithm is taken, or by which is divided."""
