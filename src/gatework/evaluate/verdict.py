"""The table in words: who wins, by how much, and what to do when it is not the model."""

from collections.abc import Mapping, Sequence

from gatework.runs import MetricInfo, Score, ScoreRow

# the model moves less than this share of the distance that the truth moves away from the last value
COPYING_SHARE = 0.2
# a class this frequent makes accuracy look good by itself
DOMINANT_SHARE = 0.8


def verdict(
    rows: Sequence[ScoreRow],
    metrics: Sequence[MetricInfo],
    gains: Mapping[str, Score],
    moved_share: float | None = None,
) -> tuple[str, ...]:
    """Sentences about the table; the first says who wins on the leading metric, the first of `metrics`.

    rows: the model and its baselines. gains: `bootstrap.gain` of the model over each baseline on the leading metric, by row name.
    moved_share: `metrics.moved_from` of the model and the last value, for forecasts; None: not known.
    """
    lead = metrics[0]
    model = next(row for row in rows if row.kind == "model")
    baselines = [row for row in rows if row.kind == "baseline" and row.scores[lead.name].value is not None]
    if model.scores[lead.name].value is None:
        return (f"{lead.name} is not defined on this part of the data, so nothing can be said about who wins.",)
    if not baselines:
        return (f"{model.name} reaches {lead.name} {_written(model, lead)}; there is no baseline to compare it with.",)
    best = _best(baselines, lead)
    sentences = [_comparison(model, best, lead, gains.get(best.name)), *_others(model, baselines, best, gains)]
    if moved_share is not None and moved_share < COPYING_SHARE:
        sentences.append(
            f"{model.name} hardly differs from copying the last value: it moves {moved_share * 100:.0f} % as far from it "
            f"as the truth does. A high R² or a low error then says that the series is slow, not that it was predicted."
        )
    return (*sentences, *_dominant_class(lead, rows))


def _best(rows: Sequence[ScoreRow], lead: MetricInfo) -> ScoreRow:
    sign = 1.0 if lead.better == "lower" else -1.0
    return min(rows, key=lambda row: sign * (row.scores[lead.name].value or 0.0))


def _comparison(model: ScoreRow, best: ScoreRow, lead: MetricInfo, gain: Score | None) -> str:
    numbers = f"{lead.name} {_written(model, lead)} against {_written(best, lead)}"
    if gain is None or gain.value is None:
        return f"{model.name} and {best.name}, the best baseline, reach {numbers}."
    size, interval = _size(gain.value, lead), _interval(gain, lead)
    if gain.low is None or gain.high is None:
        who = f"{model.name} beats {best.name}" if gain.value > 0 else f"{best.name} beats {model.name}"
        return f"{who} by {size} ({numbers}); there are too few units in the test part to say how certain that is."
    if gain.low > 0:
        return f"{model.name} beats the best baseline, {best.name}, by {size} ({interval}): {numbers}."
    if gain.high < 0:
        return (
            f"{best.name} beats {model.name} by {size} ({interval}): {numbers}. Use {best.name}, or give the network more: "
            f"a longer window, further inputs, more data or longer training."
        )
    return (
        f"{model.name} and the best baseline, {best.name}, cannot be told apart: the difference of {size} is within its interval "
        f"({interval}): {numbers}. The simpler one is the safer choice."
    )


def _others(model: ScoreRow, baselines: Sequence[ScoreRow], best: ScoreRow, gains: Mapping[str, Score]) -> tuple[str, ...]:
    """Sentences on the other baselines that the model does not clearly beat."""
    others = [(row.name, gains[row.name]) for row in baselines if row is not best and row.name in gains]
    better = [name for name, gain in others if gain.high is not None and gain.high < 0]
    close = [name for name, gain in others if gain.low is not None and gain.low <= 0 and name not in better]
    sentences = []
    if better:
        sentences.append(f"{model.name} is also clearly worse than {' and '.join(better)}.")
    if close:
        sentences.append(f"{model.name} is not clearly better than {' and '.join(close)}.")
    return tuple(sentences)


def _dominant_class(lead: MetricInfo, rows: Sequence[ScoreRow]) -> tuple[str, ...]:
    guess = max((row.scores[lead.name].value or 0.0 for row in rows if "majority" in row.name.casefold()), default=0.0)
    if lead.name != "accuracy" or guess < DOMINANT_SHARE:
        return ()
    sentence = f"Always answering the most frequent class is already right {guess * 100:.1f} % of the time"
    return (f"{sentence}, so accuracy says little here; judge by macro-F1 and AUROC.",)


def _size(gain: float, lead: MetricInfo) -> str:
    if lead.better == "lower":
        return f"{abs(gain) * 100:.1f} %"
    return f"{abs(gain) * 100:.1f} points" if lead.name != "R²" else f"{abs(gain):.3f}"


def _interval(gain: Score, lead: MetricInfo) -> str:
    """The interval from the winner's side: positive numbers say that the named winner wins."""
    low, high = gain.low or 0.0, gain.high or 0.0
    if (gain.value or 0.0) < 0:
        low, high = -high, -low
    if lead.better == "lower":
        return f"95 % interval {low * 100:.1f} to {high * 100:.1f} %"
    if lead.name == "R²":
        return f"95 % interval {low:.3f} to {high:.3f}"
    return f"95 % interval {low * 100:.1f} to {high * 100:.1f} points"


def _written(row: ScoreRow, lead: MetricInfo) -> str:
    value = row.scores[lead.name].value or 0.0
    return f"{value:.4g} {lead.unit}".rstrip()
