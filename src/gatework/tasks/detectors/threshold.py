"""The score above which a step is an alarm, from scores of the validation part and a budget of false alarms.

Where the budget allows at least ENOUGH alarms in that part, the threshold is the score that gave so many: a plain quantile.
Beyond it the tail is extrapolated: peaks over a high level follow a generalised Pareto distribution (Siffer, Fouque, Termier and
Largouet, "Anomaly detection in streams with extreme value theory", 2017, section 4.1), fitted as Zhang and Stephens (2009)
do. Scores of neighbouring steps rise together, so a budget of ranges is compared with the highest score of each range over
the level (runs declustering, Ferro and Segers 2003), not with every step.
"""

import numpy as np
from numpy.typing import NDArray

from gatework.errors import ConfigError, DataError
from gatework.runs import ThresholdRecord
from gatework.tasks.detectors.budget import Budget
from gatework.tasks.detectors.ranges import find_ranges

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

ENOUGH = 10
"""Alarms that the budget must allow in the validation part for a quantile; the 95 % interval of a count of 10 is 5 to 18."""
WANTED_PEAKS = 50
LEAST_TAIL, MOST_TAIL = 0.02, 0.1
"""The level is the score that this share of steps exceeds: 2 % as Siffer et al. have it, more where that leaves few peaks."""
FEWEST_PEAKS = 5
PRIOR_PEAKS = 10
"""The shape is drawn towards 0 (an exponential tail) as by so many further peaks: a few alone may say anything."""
NUM_BLOCKS, NUM_RESAMPLES = 20, 200
HEAVY_SHAPE, SUSPECT = 0.25, 1e-3
FARTHEST = 1e-3
"""The least number of alarms expected in the validation part: nobody can say what happens once in a thousand times its length."""


def check_budget(budget: Budget, num_steps: int) -> None:
    """ConfigError when the validation part is far too short to say anything of the budget. num_steps: of that part."""
    if budget.rate * num_steps < FARTHEST:
        raise ConfigError(
            f"false_alarms is '{budget.text}': less than one alarm in {1 / FARTHEST:,.0f} times the validation part, which has "
            f"{num_steps} steps. Expected a budget that this part can say something of. "
            f"Allow more false alarms (--false-alarms), or give more data or a larger --validation-share."
        )


def fit_threshold(scores: Array, sequence: IntArray, budget: Budget, gap: int) -> ThresholdRecord:
    """The threshold that keeps the budget on data like this.

    scores: (n,) of the validation part in order of series and time, NaN where there is none. sequence: (n,) the series of each.
    gap: as in `find_ranges`. Raises DataError when fewer than 20 steps have a score.
    """
    known = np.isfinite(scores)
    scores, sequence = scores[known], sequence[known]
    if len(scores) < 20:
        raise DataError(
            f"The validation part has {len(scores)} steps with a score. Expected at least 20, and many more for a rare alarm. "
            f"Give more data, a larger --validation-share, or a smaller --window."
        )
    check_budget(budget, len(scores))
    expected = budget.rate * len(scores)
    blocks = np.arange(len(scores)) * NUM_BLOCKS // len(scores)
    if expected >= ENOUGH:
        return _quantile(scores, sequence, budget, gap, blocks)
    return _extrapolated(scores, sequence, budget, gap, blocks)


def _quantile(scores: Array, sequence: IntArray, budget: Budget, gap: int, blocks: IntArray) -> ThresholdRecord:
    expected = budget.rate * len(scores)
    values, where = _alarms_by_score(scores, sequence, budget, gap, expected)
    draws = []
    for weights in _block_weights(len(scores), blocks):
        passed = np.cumsum(weights[where]) > expected * weights.mean()
        draws.append(values[np.argmax(passed)] if passed.any() else values[-1])
    low, high = np.percentile(draws, [2.5, 97.5])
    value = float(values[min(int(expected), len(values) - 1)])
    return ThresholdRecord(
        value=value, low=min(float(low), value), high=max(float(high), value), how="quantile", num_steps=len(scores),
        num_peaks=len(values), expected=expected,
    )  # fmt: skip


def _alarms_by_score(scores: Array, sequence: IntArray, budget: Budget, gap: int, expected: float) -> tuple[Array, IntArray]:
    """The scores from which each further alarm (step or range) begins, falling, and its row; more than the budget allows."""
    if budget.counts == "steps":
        order = np.argsort(-scores, kind="stable")
        return scores[order], order
    for share in (2.0, 4.0, 8.0, 16.0, 32.0):
        level = float(np.quantile(scores, max(0.0, 1.0 - share * budget.rate)))
        peaks, rows = _peaks(scores, sequence, budget, gap, level)
        if len(peaks) > 1.5 * expected:
            break
    order = np.argsort(-peaks, kind="stable")
    return peaks[order], rows[order]


def _peaks(scores: Array, sequence: IntArray, budget: Budget, gap: int, level: float) -> tuple[Array, IntArray]:
    """What counts as one alarm above the level, and its row: every step, or the highest of each range."""
    if budget.counts == "steps":
        rows = np.flatnonzero(scores > level).astype(np.int64)
        return scores[rows], rows
    found = find_ranges(scores > level, sequence, gap)
    rows = np.array([first + np.argmax(scores[first : last + 1]) for first, last in zip(found.first, found.last, strict=True)])
    rows = rows.astype(np.int64)
    return scores[rows], rows


def _extrapolated(scores: Array, sequence: IntArray, budget: Budget, gap: int, blocks: IntArray) -> ThresholdRecord:
    num_steps, expected = len(scores), budget.rate * len(scores)
    tail = min(MOST_TAIL, max(LEAST_TAIL, WANTED_PEAKS / num_steps))
    level = float(np.quantile(scores, 1.0 - tail))
    peaks, rows = _peaks(scores, sequence, budget, gap, level)
    suspects = _suspects(peaks - level)
    excess, rows = (peaks - level)[~suspects], rows[~suspects]
    if len(excess) < 2:
        level, excess, rows = float(scores.min()), scores - scores.min(), np.arange(num_steps, dtype=np.int64)
    shape, scale = fit_pareto(excess)
    value = level + _excess_at(expected / len(excess), shape, scale)
    draws = []
    for weights in _block_weights(num_steps, blocks):
        drawn = np.repeat(excess, weights[rows])
        if len(drawn) >= FEWEST_PEAKS:
            draws.append(level + _excess_at(expected / len(drawn), *fit_pareto(drawn)))
    low, high = np.percentile(draws, [2.5, 97.5]) if len(draws) >= NUM_RESAMPLES // 2 else (None, None)
    record = ThresholdRecord(
        value=value,
        low=None if low is None else min(float(low), value),
        high=None if high is None else max(float(high), value),
        how="extreme value theory",
        num_steps=num_steps,
        num_peaks=len(excess),
        expected=expected,
        level=level,
        shape=shape,
        scale=scale,
    )
    return record.model_copy(update={"notes": _notes(record, budget, int(suspects.sum()))})


def fit_pareto(excess: Array) -> tuple[float, float]:
    """Shape and scale of the generalised Pareto distribution of some excesses (n,), all ≥ 0: P(X > x) = (1 +
    shape·x/scale)^(−1/shape).

    The posterior mean of Zhang and Stephens, "A new and efficient estimation method for the generalized Pareto distribution",
    2009; the shape is then drawn towards 0, the more the fewer excesses there are.
    """
    values = np.sort(excess[excess > 0])
    count = len(values)
    if count < FEWEST_PEAKS or values[0] == values[-1]:
        return 0.0, max(float(excess.mean()), 1e-12)
    number = 20 + int(np.sqrt(count))
    quartile = values[int(count / 4 + 0.5) - 1]
    place = np.arange(1, number + 1) - 0.5
    theta = 1.0 / values[-1] + (1.0 - np.sqrt(number / place)) / (3.0 * quartile)
    negative_shape = -np.log1p(-np.outer(theta, values)).mean(axis=1)
    likelihood = count * (np.log(theta / negative_shape) + negative_shape - 1.0)
    weight = np.exp(likelihood - likelihood.max())
    best = float((theta * weight).sum() / weight.sum())
    shape = float(np.log1p(-best * values).mean())
    drawn = shape * count / (count + PRIOR_PEAKS)
    # the mean of the excesses is kept, scale / (1 − shape), so that the drawn distribution still fits their bulk
    return drawn, max(-shape / best * (1.0 - drawn) / max(1.0 - shape, 0.05), 1e-12)


def _excess_at(chance: float, shape: float, scale: float) -> float:
    """The excess that is passed with this chance."""
    if chance >= 1.0:
        return 0.0
    return float(-scale * np.log(chance)) if abs(shape) < 1e-6 else float(scale / shape * (chance**-shape - 1.0))


def _suspects(excess: Array) -> NDArray[np.bool_]:
    """Peaks that no normal tail explains: one as heavy as HEAVY_SHAPE with the same median has them once in a thousand such
    parts.
    """
    if len(excess) < ENOUGH:
        return np.zeros(len(excess), dtype=bool)
    scale = HEAVY_SHAPE * float(np.median(excess)) / (2.0**HEAVY_SHAPE - 1.0)
    far: NDArray[np.bool_] = excess > max(_excess_at(SUSPECT / len(excess), HEAVY_SHAPE, scale), 1e-9)
    return far


def _block_weights(num_steps: int, blocks: IntArray) -> list[IntArray]:
    """How often each step occurs in each resample of whole blocks of time."""
    generator = np.random.default_rng(0)
    counts = [np.bincount(generator.integers(0, NUM_BLOCKS, NUM_BLOCKS), minlength=NUM_BLOCKS) for _ in range(NUM_RESAMPLES)]
    return [count[blocks].astype(np.int64) for count in counts]


def _notes(record: ThresholdRecord, budget: Budget, num_suspects: int) -> tuple[str, ...]:
    notes = []
    if record.expected < 1:
        interval = f" (95 % interval {record.low:.3g} to {record.high:.3g})" if record.low is not None else ""
        notes.append(
            f"The budget of {budget.text} allows {record.expected:.2g} alarms in the {record.num_steps} steps of the validation "
            f"part: the threshold {record.value:.3g}{interval} is extrapolated from {record.num_peaks} peaks. "
            f"A longer validation part makes it surer."
        )
    elif record.num_peaks < ENOUGH:
        notes.append(f"The threshold rests on only {record.num_peaks} peaks of the validation part.")
    if num_suspects:
        notes.append(
            f"{num_suspects} peaks of the validation part are so high that they are taken for anomalies, and left out of the "
            f"threshold: look at them with 'gatework evaluate RUN --part validation'."
        )
    return tuple(notes)
