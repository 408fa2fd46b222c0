"""A window's own level and spread: taken off before the layers, put back behind them.

A network that sees only how a series moves, not where it stands, works at levels that training never showed (Kim et al. 2022,
"Reversible instance normalization"; subtracting the last value is that of Zeng et al. 2023, NLinear).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gatework.runs import Normalisation

LEAST_SPREAD = 1e-3
"""In training deviations: a window that hardly moves is not blown up beyond a thousandfold."""


@dataclass(frozen=True)
class WindowScale:
    """Where a window stands and how far it moves: value = base + spread · normalised.

    past: (lanes, 1, targets), the level of the history. base: (lanes, horizon or 1, targets), what a forecast is added to.
    spread: (lanes, 1, targets), positive.
    """

    past: Tensor
    base: Tensor
    spread: Tensor

    def normalise(self, history: Tensor) -> Tensor:
        """(lanes, window, targets) on the window's own scale."""
        return (history - self.past) / self.spread


def window_scale(
    kind: Normalisation, history: Tensor, horizon: int, season: int, zero: Tensor, seen: Tensor | None = None
) -> WindowScale:
    """The scale of every window.

    history: (lanes, window, targets) on the model's scale. season: steps of one season, for the kind `season`.
    zero: (targets,) the place of the data's zero on the model's scale, for the kind `scale`.
    seen: (lanes, window) bool, the steps that a window has, where some are shorter; their last step stands last.

    none: as it is. last: the last value is the level. mean: the window's mean is. standard: mean, and the deviation is the
    spread. scale: the mean distance from zero is the spread. season: a forecast is added to the value one season before it, the
    mean of the last season is the level and the mean change over a season the spread.
    """
    one = history.new_ones(())
    if kind == "none":
        nothing = history.new_zeros(1, 1, history.shape[-1])
        return WindowScale(nothing, nothing, nothing + 1)
    if kind == "last":
        last = history[:, -1:]
        return WindowScale(last, last, one.expand_as(last))
    if kind == "scale":
        spread = mean_over((history - zero).abs(), seen).clamp(min=LEAST_SPREAD)
        return WindowScale(zero.expand_as(spread), zero.expand_as(spread), spread)
    if kind == "season":
        return seasonal_scale(history, horizon, season)
    mean = mean_over(history, seen)
    if kind == "mean":
        return WindowScale(mean, mean, one.expand_as(mean))
    if seen is None:
        return WindowScale(mean, mean, history.std(1, keepdim=True, correction=0).clamp(min=LEAST_SPREAD))
    return WindowScale(mean, mean, mean_over((history - mean).square(), seen).sqrt().clamp(min=LEAST_SPREAD))


def mean_over(values: Tensor, seen: Tensor | None) -> Tensor:
    """(lanes, 1, targets) the mean over the steps that each window has."""
    if seen is None:
        return values.mean(1, keepdim=True)
    total = values.masked_fill(~seen[..., None], 0.0).sum(1, keepdim=True)
    return total / seen.sum(1)[:, None, None]


def seasonal_scale(history: Tensor, horizon: int, season: int) -> WindowScale:
    """The kind `season`; a window of at least two seasons."""
    last = history[:, -season:]
    ahead = torch.arange(horizon, device=history.device) % season
    spread = (last - history[:, -2 * season : -season]).abs().mean(1, keepdim=True).clamp(min=LEAST_SPREAD)
    return WindowScale(last.mean(1, keepdim=True), last[:, ahead], spread)
