"""Conformal calibration: ranges whose share of hits is measured on past errors instead of believed.

A score says by how far a truth lies outside a range (below 0: by how far inside). The range is then widened, or narrowed, by the
score that the wanted share of past truths did not exceed: conformalized quantile regression (Romano, Patterson and Candès 2019).
Each end has a score and half of the misses to itself (theorem 2 there), since errors are skewed more often than networks know; or
both have one score (theorem 1). Each step ahead and each target by itself. If past and coming errors are exchangeable, a range of
level 1 − α then holds the truth with a probability of at least 1 − α, whatever the model; errors that drift are not, and `adapt`
follows them (Gibbs and Candès, "Adaptive conformal inference under distribution shift", 2021).

Pure NumPy, in the units of the forecast. The last axis of scores is `sides`: of length 1 where both ends move by the same, of
length 2 (below, above) where each has its own.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MEMORY = 500
"""Scores per step ahead that `adapt` remembers: enough for a range of 99 %, few enough to forget what has passed."""
RATE = 0.005
"""How far one miss moves the share that is aimed at; the value of Gibbs and Candès 2021, section 2.3."""


def ends_of(quantiles: Array, levels: tuple[float, ...], intervals: tuple[float, ...]) -> Array:
    """The two ends of each central interval: (..., levels) → (..., intervals, 2)."""
    places = [[levels.index(level) for level in tails(share)] for share in intervals]
    return quantiles[..., np.array(places)]


def tails(share: float) -> tuple[float, float]:
    """The levels of the quantiles between which a central interval lies.

    >>> tails(0.8)
    (0.1, 0.9)
    """
    below = round((1.0 - share) / 2.0, 10)
    return below, round(1.0 - below, 10)


def quantile_levels(intervals: tuple[float, ...]) -> tuple[float, ...]:
    """The levels of all ends and the median, rising.

    >>> quantile_levels((0.8, 0.95))
    (0.025, 0.1, 0.5, 0.9, 0.975)
    """
    return tuple(sorted({0.5, *(level for share in intervals for level in tails(share))}))


def conformity_scores(truth: Array, ends: Array) -> Array:
    """How far each truth lies outside its ranges, on whichever side; below 0 inside. NaN where the truth is.

    truth: (...,). ends: (..., intervals, 2). Returns (..., intervals, 1).
    """
    low, high = np.moveaxis(signed_scores(truth, ends), -1, 0)
    either: Array = np.maximum(low, high)
    return either[..., None]


def signed_scores(truth: Array, ends: Array) -> Array:
    """How far each truth lies below the lower and above the upper end; below 0 on the other side of it. NaN where the truth is.

    truth: (...,). ends: (..., intervals, 2). Returns (..., intervals, 2).
    """
    low, high = ends[..., 0] - truth[..., None], truth[..., None] - ends[..., 1]
    return np.stack([low, high], axis=-1)


def wanted_misses(intervals: tuple[float, ...], sides: int) -> Array:
    """(intervals, sides) the share of truths that may lie outside: all of it, or half of it on each side.

    >>> wanted_misses((0.8, 0.95), 2).tolist()
    [[0.1, 0.1], [0.025, 0.025]]
    """
    return np.array([[round((1.0 - share) / sides, 10)] * sides for share in intervals])


def conformal_quantile(scores: Array, shares: Array) -> Array:
    """The score that a share of coming scores will not exceed: the ⌈(n + 1) · share⌉-th smallest of n.

    scores: (n, ...), NaN left out. shares: broadcast against (...,). Returns (...,); inf where n is too small for the share.
    """
    ranked = np.sort(scores, axis=0)  # NaN goes to the end
    count = (~np.isnan(scores)).sum(0)
    # the share has rounding in its last digit, and a rank must not jump by it
    rank = np.ceil((count + 1) * shares - 1e-9).astype(np.int64)
    inside = np.clip(rank, 1, np.maximum(count, 1)) - 1
    chosen = np.take_along_axis(ranked, np.broadcast_to(inside, ranked.shape[1:])[None], axis=0)[0]
    return np.where(rank > count, np.inf, chosen)


def widened(ends: Array, middle: Array, shift: Array) -> Array:
    """Ranges moved outwards by `shift` (inwards where it is negative), nested and around the middle.

    ends: (..., intervals, 2), the narrowest interval first. middle: (...,), the median. shift: broadcast against
    (..., intervals, sides). An interval never ends inside a narrower one or beyond the median: this only ever widens it.
    """
    low = np.minimum(ends[..., 0] - shift[..., 0], middle[..., None])
    high = np.maximum(ends[..., 1] + shift[..., -1], middle[..., None])
    return np.stack([np.minimum.accumulate(low, axis=-1), np.maximum.accumulate(high, axis=-1)], axis=-1)


@dataclass(frozen=True)
class Adaptive:
    """Where adaptive conformal inference stands.

    scores: (MEMORY at most, horizon, num_targets, intervals, sides), the latest known, NaN where a place is empty. place:
    (horizon,) where the next score of each step goes. misses: (horizon, num_targets, intervals, sides) the share α that is aimed
    at now, each near `wanted` (intervals, sides).
    """

    scores: Array
    place: IntArray
    misses: Array
    wanted: Array

    @classmethod
    def begin(cls, scores: Array, intervals: tuple[float, ...]) -> "Adaptive":
        """From the scores (n, horizon, num_targets, intervals, sides) of the validation part, in the order of time."""
        wanted = wanted_misses(intervals, scores.shape[-1])
        horizon = scores.shape[1]
        return cls(
            scores=scores[-MEMORY:].copy(),
            place=np.zeros(horizon, dtype=np.int64),
            misses=np.broadcast_to(wanted, scores.shape[1:]).copy(),
            wanted=wanted,
        )

    def shift(self) -> Array:
        """(horizon, num_targets, intervals, sides) by how much to widen now.

        Where the rank lies beyond what is remembered, the largest score: the paper's range would have no end there.
        """
        shift = conformal_quantile(self.scores, 1.0 - self.misses)
        if np.isfinite(shift).all():
            return shift
        largest = np.where(np.isnan(self.scores), -np.inf, self.scores).max(axis=0)
        return np.where(np.isinf(shift) & np.isfinite(largest), largest, shift)

    def after(self, step: IntArray, scores: Array, missed: Array) -> "Adaptive":
        """The state after some truths became known, in the order of time.

        step: (m,) how many steps ahead each was forecast, from 0. scores, missed: (m, num_targets, intervals, sides), NaN where
        unknown; missed: 1 where the end that was given did not hold the truth, else 0.
        """
        if not len(step):
            return self
        memory, place = self.scores.copy(), self.place.copy()
        order = np.argsort(step, kind="stable")
        number = np.arange(len(step)) - np.searchsorted(step[order], step[order])
        row = (place[step[order]] + number) % len(memory)
        new = scores[order]
        memory[row, step[order]] = np.where(np.isnan(new), memory[row, step[order]], new)
        np.add.at(place, step, 1)
        total, count = np.zeros_like(self.misses), np.zeros_like(self.misses)
        np.add.at(total, step, np.nan_to_num(missed))
        np.add.at(count, step, ~np.isnan(missed))
        error = np.divide(total, count, out=np.broadcast_to(self.wanted, total.shape).copy(), where=count > 0)
        # not held at 0: misses that no range could hold are remembered and made up for
        misses = self.misses + RATE * (self.wanted - error)
        return replace(self, scores=memory, place=place % len(memory), misses=misses)


def adapt(state: Adaptive, scores: Array, clock: IntArray) -> tuple[Array, Adaptive]:
    """By how much each range is widened, from what was known when its forecast was made.

    scores: (n, horizon, num_targets, intervals, sides) of the forecasts to come, before widening; NaN where the truth is
    unknown. clock: (n,) when each forecast begins, in steps: its truth of step h (from 0) is known to forecasts of clock + h + 1
    and later. Returns the same shape, and the state after the last forecast was made.
    """
    horizon = scores.shape[1]
    window, step = (axis.ravel() for axis in np.meshgrid(np.arange(len(clock)), np.arange(horizon), indexing="ij"))
    known_at = clock[window] + step + 1
    order = np.argsort(known_at, kind="stable")
    known_at = known_at[order]
    shifts = np.empty_like(scores)
    done = 0
    for now in np.unique(clock):
        until = int(np.searchsorted(known_at, now, side="right"))
        w, h = window[order[done:until]], step[order[done:until]]
        past = scores[w, h]
        state = state.after(h, past, np.where(np.isnan(past), np.nan, past > shifts[w, h]))
        shifts[clock == now] = state.shift()
        done = until
    return shifts, state
