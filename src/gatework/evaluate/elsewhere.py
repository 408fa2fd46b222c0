"""Scores on other data, such as another site's, beside those of the test part."""

from math import sqrt
from pathlib import Path

from gatework.data.dataset import Source, source_names
from gatework.runs import Evaluation, MetricInfo, Part, RunFolder, Score

QUANTILE = 1.959964
"""Half the width of a 95 % interval of a normal quantity, in standard deviations."""


def suffix_of(part: Part, other: Source | None) -> str:
    """What is added to the names of the files: nothing for the test part, else the part or the name of the other data."""
    if other is None:
        return "" if part == "test" else f"-{part}"
    names = source_names(other)
    stem = Path(names[0].removeprefix("bundled:")).name.split(".")[0] if names else "frame"
    return "-" + ("".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in stem).strip("-") or "other")


def beside_test(folder: RunFolder, evaluation: Evaluation) -> Evaluation:
    """The evaluation of other data with a sentence that compares it with the test part, where that was judged."""
    if not folder.has("evaluation.json"):
        return evaluation
    known = folder.read("evaluation.json", Evaluation)
    if known.part != "test" or known.model_sha256 != evaluation.model_sha256:
        return evaluation
    sentence = comparison(known, evaluation)
    return evaluation.model_copy(update={"verdict": (*evaluation.verdict, sentence)}) if sentence else evaluation


def comparison(test: Evaluation, other: Evaluation) -> str:
    """Whether the model does as well on other data as on its test part, on the leading metric; empty where that is not defined.

    The two parts share no unit, so the variance of the difference is the sum of both; each is taken from the width of its
    interval.
    """
    lead = other.metrics[0]
    here, there = (_score(evaluation, lead.name) for evaluation in (test, other))
    if here is None or there is None or here.value is None or there.value is None:
        return ""
    said = f"{lead.name} {_written(there.value, lead)} on this data against {_written(here.value, lead)} on the test part"
    deviations = [_deviation(score) for score in (here, there)]
    if None in deviations:
        return f"{said}; there are too few units to say how certain the difference is."
    difference = there.value - here.value
    half = QUANTILE * sqrt(sum(deviation**2 for deviation in deviations if deviation is not None))
    if abs(difference) <= half:
        return (
            f"{said}: no clear difference (95 % interval of it, roughly, {difference - half:+.3g} to {difference + half:+.3g})."
        )
    is_better = (difference > 0) == (lead.better == "higher")
    return (
        f"{said}: clearly {'better' if is_better else 'worse'} here (95 % interval of the difference, roughly, "
        f"{difference - half:+.3g} to {difference + half:+.3g})."
    )


def _score(evaluation: Evaluation, metric: str) -> Score | None:
    return next((row.scores.get(metric) for row in evaluation.rows if row.kind == "model"), None)


def _deviation(score: Score) -> float | None:
    return None if score.low is None or score.high is None else (score.high - score.low) / (2 * QUANTILE)


def _written(value: float, lead: MetricInfo) -> str:
    return f"{value:.3g} {lead.unit}".rstrip()
