"""What is timed must be right: each of these stops the benchmark when it is not."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

import gatework
from gatework.cells import Cell
from gatework.engine import choose
from gatework.engine.choose import BACKENDS
from gatework.engine.rows import DenseRows

TOLERANCE = 1e-4
"""Of the largest value: float32 sums in different orders over up to 1000 steps stay well below, another formula does not."""


def refuse_unless_equal(name: str, found: Sequence[Tensor | np.ndarray], truth: Sequence[Tensor | np.ndarray]) -> None:
    """Stops the benchmark when an array differs from its truth by more than TOLERANCE of the largest value (at least 1)."""
    if len(found) != len(truth):
        raise SystemExit(f"{name}: {len(found)} results, expected {len(truth)}; nothing is timed.")
    for number, (one, other) in enumerate(zip(found, truth, strict=True)):
        a, b = as_numpy(one), as_numpy(other)
        if a.shape != b.shape:
            raise SystemExit(f"{name}: result {number} has shape {a.shape}, expected {b.shape}; nothing is timed.")
        difference, allowed = float(np.abs(a - b).max()), TOLERANCE * max(1.0, float(np.abs(b).max()))
        if not difference <= allowed:  # NaN is refused, too
            raise SystemExit(f"{name}: result {number} is off by {difference:.2g}, allowed are {allowed:.2g}; nothing is timed.")


def as_numpy(values: Tensor | np.ndarray) -> np.ndarray:
    """The same numbers in double precision."""
    return np.asarray(values.detach() if isinstance(values, Tensor) else values, dtype=np.float64)


def refuse_unless_like_the_reference(cell: Cell, hidden_size: int = 33) -> None:
    """Stops the benchmark unless the cell is compiled and its outputs and gradients equal the reference's."""
    torch.manual_seed(0)
    layer = gatework.Recurrent(cell, 5, hidden_size)
    x = torch.randn(7, 4, 5, requires_grad=True)
    chosen = choose(layer.cell, DenseRows(x), layer._weights(0))
    if chosen.backend.name != "compiled":
        raise SystemExit(f"{cell.name} is not compiled ({chosen.reason}); nothing is timed.")
    results = []
    for backend in (chosen.backend, BACKENDS[-1]):
        initial = {name: torch.zeros(1, 4, hidden_size) for name in layer.cell.states}
        outputs = backend.run(layer.cell, DenseRows(x), layer._weights(0), initial).outputs.values
        results.append([outputs, *torch.autograd.grad(outputs.sin().sum(), [x, *layer.parameters()])])
    refuse_unless_equal(cell.name, results[0], results[1])
