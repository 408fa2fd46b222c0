"""How the model does for each value of an attribute (sex, site), and where it does worst: a table beside the scores of all.

The intervals draw the same units as those of the whole part. The difference between two values comes from the same draws, so that
units that both share count once.
"""

from collections.abc import Sequence

import numpy as np

from gatework.data.attributes import attribute_of
from gatework.data.dataset import Dataset, Source, read_rows
from gatework.data.read import read_frame
from gatework.errors import ConfigError
from gatework.evaluate.bootstrap import (
    MIN_UNITS,
    NUM_RESAMPLES,
    WEIGHTS_AT_ONCE,
    Resampled,
    Units,
    draw_weights,
    score_of,
)
from gatework.runs import Plan
from gatework.runs.evaluation import Differences, Gap, GroupScores
from gatework.tasks.detectors.windows import JudgedSteps
from gatework.tasks.metrics import Measured
from gatework.tasks.metrics.scores import Array, BoolArray
from gatework.tasks.task import Samples

TOLD = ("sensitivity", "specificity", "precision", "accuracy", "balanced accuracy", "calibration error", "RMSE", "MAE", "R²")
"""The metrics that are told apart, those of them that the task has."""

WORST = (("sensitivity", "specificity", "calibration error"), ("balanced accuracy", "calibration error"), ("RMSE",))
"""Of which metrics the largest difference is named, which stand on one scale: the first row of which the task has any."""


def attributes_of(
    plan: Plan, judged: Dataset, by: Sequence[str], data: Source | None, labels: Source | None
) -> dict[str, list[str]]:
    """The values of some columns for each series that is judged. Raises as `attribute_of`; ConfigError for a detector."""
    if by and plan.anomaly is not None:
        raise ConfigError(
            f"--by is {by[0]}, and the task is anomaly detection, whose alarms are not told apart by an attribute. "
            f"Expected it with other tasks. Leave --by out."
        )
    if all(name in judged.table.sequences.columns for name in by):
        return {name: attribute_of(judged.table, name) for name in by}
    own = plan.data if data is None else plan.data.model_copy(update={"validation_sources": (), "test_sources": ()})
    table = plan.data.labels if labels is None else labels
    frames = [*([read_frame(table)] if table is not None else []), read_rows(own, data)]
    return {name: attribute_of(judged.table, name, frames) for name in by}


def sample_values(judged: Samples | JudgedSteps, values: Sequence[str]) -> list[str]:
    """(n,) the attribute of each judged sample. values: of each sequence of the table."""
    return [values[place] for place in judged.prepared.sequences[judged.sequence].tolist()]


def differences(measured: Measured, units: Units, name: str, values: Sequence[str], seed: int) -> Differences:
    """The scores of each value of an attribute and the differences between them.

    measured: the model's errors, one unit a sample. values: (n,) the attribute of each sample.
    """
    known, place = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    inside = [place == index for index in range(len(known))]
    rows: dict[str, tuple[GroupScores, Resampled]] = {}
    for value, chosen, resampled in zip(known.tolist(), inside, resampled_within(measured, units, inside, seed), strict=True):
        scores = {name: score for name, score in resampled.scores().items() if name in TOLD}
        num_units = len(np.unique(units.index[chosen]))
        rows[value] = GroupScores(value=value, num_samples=int(chosen.sum()), num_units=num_units, scores=scores), resampled
    gaps = gaps_between(rows)
    groups = tuple(row for row, _ in rows.values())
    return Differences(attribute=name, groups=groups, gaps=gaps, sentence=sentence_of(name, groups, gaps))


def resampled_within(measured: Measured, units: Units, inside: Sequence[BoolArray], seed: int) -> list[Resampled]:
    """The scores of each set of samples, on the sample and in the same draws of all units; none with fewer than MIN_UNITS units.

    inside: (n,) the samples of each set.
    """
    away = units.number  # what is outside goes to a unit that is never drawn
    grouped = [measured.grouped(np.where(chosen, units.index, away).astype(np.int64)) for chosen in inside]
    points = [values_of(each, np.ones((1, away)))[0] for each in grouped]
    draws: list[list[Array]] = [[] for _ in inside]
    generator, at_once = np.random.default_rng(seed), max(100, WEIGHTS_AT_ONCE // max(1, away))
    for start in range(0, NUM_RESAMPLES, at_once):
        weights = draw_weights(generator, away, min(at_once, NUM_RESAMPLES - start))
        for place, each in enumerate(grouped):
            draws[place].append(values_of(each, weights))
    enough = [len(np.unique(units.index[chosen])) >= MIN_UNITS for chosen in inside]
    return [
        Resampled(measured.metrics, point, np.concatenate(drawn)[: NUM_RESAMPLES if is_enough else 0])
        for point, drawn, is_enough in zip(points, draws, enough, strict=True)
    ]


def values_of(grouped: Measured, weights: Array) -> Array:
    """The metrics for weights of the units; the unit behind them weighs nothing."""
    return grouped.values(np.concatenate([weights, np.zeros((len(weights), 1))], axis=1)[:, : grouped.num_units])


def gaps_between(rows: dict[str, tuple[GroupScores, Resampled]]) -> tuple[Gap, ...]:
    """For each metric the two values that are farthest apart, of those with enough units for an interval."""
    enough = {value: resampled for value, (_, resampled) in rows.items() if len(resampled.draws)}
    gaps: list[Gap] = []
    first = next(iter(rows.values()))[1]
    for place, info in enumerate(first.metrics):
        known = {value: each for value, each in enough.items() if np.isfinite(each.point[place])}
        if info.name not in TOLD or len(known) < 2:
            continue
        order = sorted(known, key=lambda value: float(known[value].point[place]))
        low, high = known[order[0]], known[order[-1]]
        draws = high.draws[:, place] - low.draws[:, place]
        difference = score_of(float(high.point[place] - low.point[place]), draws)
        gaps.append(Gap(metric=info.name, higher=order[-1], lower=order[0], difference=difference, num_compared=len(known)))
    return tuple(gaps)


def sentence_of(name: str, groups: Sequence[GroupScores], gaps: Sequence[Gap]) -> str:
    """The largest difference in words, and whether it may be chance."""
    few = [group.value for group in groups if group.num_units < MIN_UNITS]
    said = f" Too few to be compared: {', '.join(few)}." if few else ""
    candidates = next((found for names in WORST if (found := [gap for gap in gaps if gap.metric in names])), [])
    if not candidates:
        return f"By {name}: fewer than two values have {MIN_UNITS} units or more, so that nothing can be compared.{said}"
    worst = max(candidates, key=lambda gap: gap.difference.value or 0.0)
    high, low = (next(group for group in groups if group.value == value) for value in (worst.higher, worst.lower))
    words = (
        f"By {name}: {worst.metric} differs most, {high.scores[worst.metric].value:.3g} for {high.value} ({high.num_samples}) "
        f"and {low.scores[worst.metric].value:.3g} for {low.value} ({low.num_samples}): {worst.difference.value:.3g} apart"
    )
    ends = (worst.difference.low, worst.difference.high)
    if ends[0] is None or ends[1] is None:
        return f"{words}, without an interval.{said}"
    words += f", 95 % interval {f'{ends[0]:.3g} to {ends[1]:.3g}'.replace('-', '−')}."
    words += " It may be chance." if ends[0] <= 0 else ""
    pairs = worst.num_compared * (worst.num_compared - 1) // 2 * len(candidates)
    words += f" It is the largest of {pairs} differences, and the largest of many is partly chance." if pairs > 1 else ""
    return words + said
