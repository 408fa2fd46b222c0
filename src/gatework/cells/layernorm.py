"""Long short-term memory with layer normalisation: `layernorm`.

The sums of the input and of the recurrence are normalised apart, each over all gates and units; the cell over its units before
it is
shown (Ba, Kiros and Hinton 2016, equations 20 to 22). The biases of the two products are inside their norms; with `bias=False`
there are
none, and the cell is exactly that of the paper, whose b is `shift` here.
"""

from collections.abc import Mapping

from gatework.cells.cell import Cell, Names
from gatework.cells.functions import Operand, mean, sigmoid, sqrt, tanh

EPSILON = 1e-5
GATES = ("input", "forget", "candidate", "output")


def normalised(parts: list[Operand]) -> list[Operand]:
    """Parts of one vector, shifted and scaled to mean 0 and variance 1 over all of them together."""
    share = 1.0 / len(parts)
    middle = sum((mean(part) for part in parts[1:]), mean(parts[0])) * share
    centred = [part - middle for part in parts]
    variance = sum((mean(part * part) for part in centred[1:]), mean(centred[0] * centred[0])) * share
    scale = 1.0 / sqrt(variance + EPSILON)
    return [part * scale for part in centred]


def layernorm_step(x: Names, r: Names, s: Names, w: Names) -> Mapping[str, Operand]:
    """x, r: what the input and the recurrence add to each gate; s: the states one step ago; w: gains and shifts of each unit."""
    of_x = dict(zip(GATES, normalised([getattr(x, gate) for gate in GATES]), strict=True))
    of_r = dict(zip(GATES, normalised([getattr(r, gate) for gate in GATES]), strict=True))

    def gate(name: str) -> Operand:
        gain_x, gain_r, shift = (getattr(w, f"{word}_{name}") for word in ("gain_x", "gain_r", "shift"))
        total: Operand = gain_x * of_x[name] + gain_r * of_r[name] + shift
        return total

    c = sigmoid(gate("forget")) * s.c + sigmoid(gate("input")) * tanh(gate("candidate"))
    (shown,) = normalised([c])
    return {"h": sigmoid(gate("output")) * tanh(w.gain_c * shown + w.shift_c), "c": c}


GAINS = (*(f"gain_{source}_{gate}" for source in ("x", "r") for gate in GATES), "gain_c")
SHIFTS = (*(f"shift_{gate}" for gate in GATES), "shift_c")

layernorm = Cell(
    name="layernorm",
    title="Long short-term memory with layer normalisation",
    gates=GATES,
    states=("h", "c"),
    step=layernorm_step,
    unit_weights=(*GAINS, *SHIFTS),
    unit_start={**dict.fromkeys(GAINS, 1.0), **dict.fromkeys(SHIFTS, 0.0)},
    paper="Ba, Kiros and Hinton 2016, arXiv:1607.06450, equations 20 to 22",
)
