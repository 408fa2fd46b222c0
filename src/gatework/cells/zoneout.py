"""Zoneout: now and then a unit keeps a state of one step ago instead of renewing it, so that none can be relied on at every step.

Of any cell two others are made: one for training, which reads a mask, and one for everything else, which takes the expectation
(Krueger et al. 2017, arXiv:1606.01305, equations 3 to 6).
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from gatework.cells.cell import Cell, Names
from gatework.cells.functions import Operand, less, where


def mask_of(state: str) -> str:
    """The name of the unit input that says which units keep this state."""
    return f"keep_{state}"


@lru_cache(maxsize=64)
def with_masks(cell: Cell) -> Cell:
    """The cell with one more unit input for each state: where it is 1, the unit keeps the state of one step ago; else 0."""

    def step(x: Names, r: Names, s: Names, w: Names) -> Mapping[str, Operand]:
        renewed = cell.step(x, r, s, w)
        return {name: where(less(0.5, getattr(x, mask_of(name))), getattr(s, name), renewed[name]) for name in cell.states}

    masks = tuple(mask_of(state) for state in cell.states)
    return replace(cell, step=step, unit_inputs=(*cell.unit_inputs, *masks))


@lru_cache(maxsize=64)
def with_expectation(cell: Cell, rate: float) -> Cell:
    """The cell whose states are what those of `with_masks` are on average, given the states one step ago.

    rate: how often a unit keeps its state, 0 to below 1.
    """

    def step(x: Names, r: Names, s: Names, w: Names) -> Mapping[str, Operand]:
        renewed = cell.step(x, r, s, w)
        return {name: getattr(s, name) * rate + renewed[name] * (1.0 - rate) for name in cell.states}

    return replace(cell, step=step)
