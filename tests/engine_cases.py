"""Cells, cases and truths for the tests of the compiled engine.

A `Case` is one direction of one layer with its numbers; `compiled` and `truth` compute it, with every gradient.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import torch
from torch import Tensor

from cells_under_test import POSITIVE
from gatework.cells import Cell
from gatework.engine.cpu.backend import run_direction
from gatework.engine.records import LayerWeights
from gatework.engine.reference import input_sums, values_in_step_order
from gatework.engine.reference import run_direction as reference_direction
from gatework.engine.rows import DenseRows, RaggedRows
from gatework.ragged import Ragged
from memory_guard import inside_nan


@dataclass(frozen=True)
class Case:
    """One direction of one layer. offsets: None for dense x (steps, num_sequences, columns). d_*: incoming gradients."""

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
        matrices = [f"matrix {name}" for name in self.cell.matrices]
        return ["x", *weights, *unit, *matrices, *(f"initial {name}" for name in self.cell.states)]


@dataclass(frozen=True)
class Outcome:
    """results: y, final states, other states at every step. gradients: of every leaf. Both by name."""

    results: dict[str, Tensor]
    gradients: dict[str, Tensor]

    def all(self) -> dict[str, Tensor]:
        """Results and gradients together."""
        return self.results | {f"d {name}": gradient for name, gradient in self.gradients.items()}


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
    """Random numbers; weights of a size that keeps the gates moving, `scale` times larger.

    dense: lengths must be equal. input_size: columns that go into the gates; behind them come the cell's inputs, positive.
    """
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
        {name: draw(hidden_size, hidden_size, size=scale / hidden_size**0.5) for name in cell.matrices},
    )
    initial = [draw(count, hidden_size) for _ in cell.states]
    for name, state in zip(cell.states, initial, strict=True):
        if name in POSITIVE:
            with torch.no_grad():
                state.abs_().add_(0.5)
    total = sum(lengths)
    columns = input_size + len(cell.inputs)
    x = draw(lengths[0] if lengths else 0, count, columns) if dense else draw(total, columns)
    with torch.no_grad():
        # gaps, of which a logarithm may be taken
        x[..., input_size:].abs_()
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
        cast(w.input), cast(w.recurrent), biases[0], biases[1], None,
        {name: cast(unit) for name, unit in w.unit.items()}, {name: cast(matrix) for name, matrix in w.matrices.items()},
    )  # fmt: skip
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
    sums = input_sums(case.cell, ragged.values, case.weights)
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
