"""Cells, cases and truths for the tests of the compiled engine.

A `Case` is one direction of one layer with its numbers; `compiled` and `truth` compute it, with every gradient.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

import pytest
import torch
from hypothesis.strategies import SearchStrategy, composite, integers, sampled_from
from torch import Tensor
from torch.nn.functional import linear

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
from gatework.engine.cpu.backend import run_direction
from gatework.engine.records import LayerWeights
from gatework.engine.reference import run_direction as reference_direction
from gatework.engine.reference import values_in_step_order
from gatework.engine.rows import DenseRows, RaggedRows
from gatework.ragged import Ragged


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

OWN = [MIXED, EXPONENTIAL]
ALL_CELLS = [*CELLS.values(), rnn_relu, *OWN]
POSITIVE = {"d", "n"}
"""States of which a logarithm is taken, or by which is divided."""


@dataclass(frozen=True)
class Case:
    """One direction of one layer. offsets: None for dense x (steps, num_sequences, input_size). d_*: incoming gradients."""

    cell: Cell
    x: Tensor
    offsets: Tensor | None
    weights: LayerWeights
    initial: list[Tensor]
    backwards: bool
    d_outputs: list[Tensor]

    def leaves(self) -> list[Tensor]:
        """Everything that can have a gradient."""
        return [self.x, *self.weights.tensors(), *self.initial]

    def names(self) -> list[str]:
        """The names of the leaves, for messages."""
        weights = ["input", "recurrent", *(["input_bias", "recurrent_bias"] if self.weights.input_bias is not None else [])]
        unit = [f"unit {name}" for name in self.cell.unit_weights]
        return ["x", *weights, *unit, *(f"initial {name}" for name in self.cell.states)]


@dataclass(frozen=True)
class Outcome:
    """results: y, final states, other states at every step. gradients: of every leaf. Both by name."""

    results: dict[str, Tensor]
    gradients: dict[str, Tensor]

    def all(self) -> dict[str, Tensor]:
        """Results and gradients together."""
        return self.results | {f"d {name}": gradient for name, gradient in self.gradients.items()}


def inside_nan(tensor: Tensor) -> Tensor:
    """The same numbers in memory that has NaN before and behind them, so that reading over an end shows."""
    margin = 64
    memory = torch.full((tensor.numel() + 2 * margin,), float("nan"), dtype=tensor.dtype)
    memory[margin : margin + tensor.numel()] = tensor.reshape(-1)
    return memory[margin : margin + tensor.numel()].view(tensor.shape)


def make_case(
    cell: Cell,
    *,
    lengths: Sequence[int],
    dense: bool = False,
    input_size: int = 7,
    hidden_size: int = 9,
    dtype: torch.dtype = torch.float64,
    backwards: bool = False,
    bias: bool = True,
    seed: int = 0,
    scale: float = 1.0,
) -> Case:
    """Random numbers; weights of a size that keeps the gates moving, `scale` times larger. dense: lengths must be equal."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int, size: float = 1.0) -> Tensor:
        # drawn in float32, so that float64 cases have the same numbers
        return inside_nan((torch.randn(shape, generator=generator) * size).to(dtype)).requires_grad_()

    rows, count = len(cell.gates) * hidden_size, len(lengths)
    size = scale / (input_size + hidden_size) ** 0.5
    weights = LayerWeights(
        draw(rows, input_size, size=size),
        draw(rows, hidden_size, size=size),
        draw(rows, size=size) if bias else None,
        draw(rows, size=size) if bias else None,
        None,
        {name: draw(hidden_size) for name in cell.unit_weights},
    )
    initial = [draw(count, hidden_size) for _ in cell.states]
    for name, state in zip(cell.states, initial, strict=True):
        if name in POSITIVE:
            with torch.no_grad():
                state.abs_().add_(0.5)
    total = sum(lengths)
    x = draw(lengths[0] if lengths else 0, count, input_size) if dense else draw(total, input_size)
    offsets = None if dense else torch.tensor([0, *lengths]).cumsum(0)
    shape = x.shape[:-1]
    d_outputs = [draw(*shape, hidden_size), *(draw(count, hidden_size) for _ in cell.states)]
    d_outputs += [draw(*shape, hidden_size) for _ in cell.states[1:]]
    return Case(cell, x, offsets, weights, initial, backwards, [d.detach() for d in d_outputs])


def as_dtype(case: Case, dtype: torch.dtype) -> Case:
    """The same numbers in another type."""

    def cast(tensor: Tensor) -> Tensor:
        return tensor.detach().to(dtype).requires_grad_()

    w = case.weights
    biases = [None if bias is None else cast(bias) for bias in (w.input_bias, w.recurrent_bias)]
    weights = LayerWeights(
        cast(w.input), cast(w.recurrent), biases[0], biases[1], None, {name: cast(unit) for name, unit in w.unit.items()}
    )
    d_outputs = [d.to(dtype) for d in case.d_outputs]
    return replace(case, x=cast(case.x), weights=weights, initial=[cast(state) for state in case.initial], d_outputs=d_outputs)


def result_names(cell: Cell) -> list[str]:
    """What run_direction returns, in order."""
    return ["y", *(f"final {name}" for name in cell.states), *(f"every {name}" for name in cell.states[1:])]


def compiled_results(case: Case) -> list[Tensor]:
    """y, final states and the other states at every step, by the compiled engine."""
    return run_direction(case.cell, case.x, case.offsets, case.weights, case.initial, case.backwards, wants_states=True)


def reference_results(case: Case) -> list[Tensor]:
    """The same by the reference: the cell's own step on tensors, not what was traced from it."""
    rows = DenseRows(case.x) if case.offsets is None else RaggedRows(Ragged(case.x, case.offsets))
    ragged = rows.ragged().sequences
    sums = linear(ragged.values, case.weights.input, case.weights.input_bias)
    start = dict(zip(case.cell.states, case.initial, strict=True))
    ticks, final = reference_direction(case.cell, ragged, sums, case.weights, start, case.backwards)
    every = []
    for name in case.cell.states:
        values = values_in_step_order(ticks, [tick.states[name] for tick in ticks], ragged.values, case.initial[0].shape[1])
        every.append(rows.like(RaggedRows(ragged.with_values(values))).values)
    return [every[0], *(final[name] for name in case.cell.states), *every[1:]]


def outcome(case: Case, results: list[Tensor]) -> Outcome:
    """The results by name with the gradients of every leaf, where `case.d_outputs` comes in."""
    pairs = [(r, d) for r, d in zip(results, case.d_outputs, strict=True) if r.requires_grad]
    leaves = case.leaves()
    gradients = [torch.zeros_like(leaf) for leaf in leaves]
    if pairs:
        gradients = list(
            torch.autograd.grad([r for r, _ in pairs], leaves, [d for _, d in pairs], allow_unused=True, materialize_grads=True)
        )
    by_name = {name: result.detach() for name, result in zip(result_names(case.cell), results, strict=True)}
    return Outcome(by_name, dict(zip(case.names(), gradients, strict=True)))


def compiled(case: Case) -> Outcome:
    """By the compiled engine."""
    return outcome(case, compiled_results(case))


def truth(case: Case) -> Outcome:
    """By the reference in float64."""
    wide = as_dtype(case, torch.float64)
    return outcome(wide, reference_results(wide))


def roundings(mine: Tensor, exact: Tensor) -> float:
    """The largest error, in roundings (units in the last place of 1) of the largest number of the exact tensor."""
    if exact.numel() == 0:
        return 0.0
    scale = max(float(exact.abs().max()), 1e-3) * torch.finfo(mine.dtype).eps
    return float((mine.double() - exact.double()).abs().max()) / scale


MARGIN = 64
"""Numbers before and behind each array that `guarded_memory` hands out."""


@contextmanager
def guarded_memory() -> Iterator[None]:
    """Arrays that the engine asks for hold NaN until they are written, and writing outside of them is found at the end."""
    handed_out: list[tuple[Tensor, int]] = []
    canary = -12345.0

    def guarded(shape: tuple[int, ...], dtype: torch.dtype, fill: float) -> Tensor:
        size = torch.Size(shape).numel()
        memory = originals["full"]((size + 2 * MARGIN,), canary, dtype=dtype)
        memory[MARGIN : MARGIN + size] = fill
        handed_out.append((memory, size))
        return memory[MARGIN : MARGIN + size].view(shape)

    def shape_of(arguments: tuple[object, ...]) -> tuple[int, ...]:
        return tuple(arguments[0] if len(arguments) == 1 and not isinstance(arguments[0], int) else arguments)  # type: ignore[call-overload]

    def method(fill: float) -> Callable[..., Tensor]:
        return lambda self, *shape, **_: guarded(shape_of(shape), self.dtype, fill)

    def like(fill: float) -> Callable[..., Tensor]:
        return lambda tensor, **_: guarded(tuple(tensor.shape), tensor.dtype, fill)

    originals = {"full": torch.full}
    nan = float("nan")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "new_empty", method(nan))
        patch.setattr(Tensor, "new_zeros", method(0.0))
        patch.setattr(torch, "empty_like", like(nan))
        patch.setattr(torch, "zeros_like", like(0.0))
        yield
    for memory, size in handed_out:
        margins = torch.cat([memory[:MARGIN], memory[MARGIN + size :]])
        assert bool((margins == canary).all()), f"written outside of an array of {size} numbers"


def pairwise(choices: Mapping[str, Sequence[object]]) -> list[dict[str, object]]:
    """A few combinations in which every pair of two options' values occurs (greedy)."""
    names = list(choices)
    combos = [dict(zip(names, values, strict=True)) for values in product(*choices.values())]
    pairs = [{(a, repr(combo[a]), b, repr(combo[b])) for a, b in combinations(names, 2)} for combo in combos]
    missing = set().union(*pairs)
    chosen = []
    while missing:
        best = max(range(len(combos)), key=lambda i: len(pairs[i] & missing))
        missing -= pairs[best]
        chosen.append(combos[best])
    return chosen


# --- random equations

ONE, TWO = ("sigmoid", "tanh", "relu", "exp", "floor", "neg", "mean"), ("add", "sub", "mul", "minimum", "maximum")


Program = list[tuple[str, int, int, int]]
"""Instructions (operation, three operands by number), for `build`."""


def positive(a: Operand) -> Operand:
    """Where a logarithm or a quotient is right."""
    return a * a + 0.5


@composite
def expressions(draw: Callable[[SearchStrategy[object]], object]) -> Program:
    """Any expression of the language."""
    count = draw(integers(1, 9))
    kinds = sampled_from([*ONE, *TWO, "div", "log", "log1p", "sqrt", "where"])
    return [(draw(kinds), *(draw(integers(0, 30)) for _ in range(3))) for _ in range(count)]  # type: ignore[misc]


def build(program: Program, leaves: Sequence[Operand]) -> Operand:
    """What a program computes from leaves that are symbols or tensors."""
    values: list[Any] = list(leaves)
    for kind, *places in program:
        a, b, c = (values[place % len(values)] for place in places)
        if kind in TWO:
            two = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "minimum": minimum, "maximum": maximum}
            values.append(two[kind](a, b))
        elif kind == "div":
            values.append(a / positive(b))
        elif kind in ("log", "log1p", "sqrt"):
            values.append(getattr(positive(a), kind)())
        elif kind == "where":
            values.append(where(less(a, b), c, 0.5 * a))
        elif kind == "exp":
            values.append(a.tanh().exp())  # an exp of an exp would leave the numbers
        else:
            values.append(-a if kind == "neg" else mean(a) if kind == "mean" else getattr(a, kind)())
    return sum((value * (0.5 + i) for i, value in enumerate(values[1:])), values[0])
