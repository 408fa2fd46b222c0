"""Which backend runs a layer, and why."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gatework.cells import Cell
from gatework.engine import fused, reference
from gatework.engine.cpu import backend as compiled
from gatework.engine.records import LayerWeights, RowsResult
from gatework.engine.rows import Rows
from gatework.engine.untraced import read_while_tracing
from gatework.errors import SlowPath

Weights = tuple[LayerWeights, ...]


@dataclass(frozen=True)
class Backend:
    """One way to compute a layer.

    why_not: the reason why it cannot compute this layer, or None. run: computes it.
    differentiates_anything: True when double backward, torch.func and forward mode go through it.
    """

    name: str
    title: str
    why_not: Callable[[Cell, Rows, Weights], str | None]
    run: Callable[[Cell, Rows, Weights, dict[str, Tensor]], RowsResult]
    differentiates_anything: bool = False


@dataclass(frozen=True)
class Choice:
    """The backend that runs, and the reason in words."""

    backend: Backend
    reason: str


def _always(_cell: Cell, _rows: Rows, _weights: Weights) -> None:
    """The reference computes everything."""


COMPILED = Backend("compiled", "the cell's own kernels, made for this processor", compiled.why_not, compiled.run)
FUSED = Backend("fused", "torch's own kernels", fused.why_not, fused.run)
REFERENCE = Backend("reference", "the equations step by step", _always, reference.run, differentiates_anything=True)

BACKENDS: list[Backend] = [COMPILED, FUSED, REFERENCE]
"""Fastest first; the first one that can computes."""

_CHOSEN = {backend.name: Choice(backend, f"{backend.name}: {backend.title}") for backend in BACKENDS}
_said: set[str] = set()


def choose(cell: Cell, rows: Rows, weights: Weights) -> Choice:
    """The first backend of BACKENDS that can compute this layer; never decided by batch size."""
    reasons: list[str] = []
    transformed = _transformed()
    for backend in BACKENDS:
        reason = backend.why_not(cell, rows, weights)
        if reason is None and transformed and not backend.differentiates_anything:
            reason = f"{backend.title} cannot be differentiated under {transformed}"
        if reason is None:
            if not reasons:
                return _CHOSEN[backend.name]
            return Choice(backend, f"{backend.name}: {'; '.join(reasons)}")
        reasons.append(reason)
    raise AssertionError("the reference computes everything")


def warn_if_slow(choice: Choice) -> None:
    """One SlowPath warning per reason and process when the reference computes."""
    if choice.backend is not REFERENCE or choice.reason in _said:
        return
    warnings.warn(
        f"This layer is computed step by step ({choice.reason}): right, but slower than a compiled cell. "
        f"Nothing needs to be done for the result; for speed use a built-in cell or ignore gatework.errors.SlowPath.",
        SlowPath,
        stacklevel=2,
    )
    _said.add(choice.reason)


@read_while_tracing
def _transformed() -> str | None:
    """The transform under which torch's kernels would be wrong or refuse, or None."""
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "a torch.func transform"
    return "forward-mode differentiation" if forward_ad._current_level >= 0 else None
