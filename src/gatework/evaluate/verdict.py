"""The table in words: who wins, by how much, and what to do when it is not the model."""

from collections.abc import Mapping, Sequence
from math import inf

from gatework.runs import MetricInfo, Score, ScoreRow

# the model moves less than this share of the distance that the truth moves away from the last value
COPYING_SHARE = 0.2
# a class this frequent makes accuracy look good by itself
DOMINANT_SHARE = 0.8
# from here on the forecasts are little more than the last value, moved and scaled
FOLLOWING = 0.95


def verdict(
    rows: Sequence[ScoreRow],
    metrics: Sequence[MetricInfo],
    gains: Mapping[str, Score],
    moved_share: float | None = None,
    follows_last: tuple[float, float] | None = None,
) -> tuple[str, ...]:
    """Sentences about the table; the first says who wins on the leading metric, the first of `metrics`.

    rows: the model and its baselines. gains: `bootstrap.gain` of the model over each baseline on the leading metric, by row name.
    moved_share: `metrics.moved_from` of the model and the last value, for forecasts; None: not known.
    follows_last: `metrics.follows`: how the forecasts correlate with the last value, and with the truth; None: not known.
    """
    lead = metrics[0]
    model = next(row for row in rows if row.kind == "model")
    baselines = [row for row in rows if row.kind == "baseline" and row.scores[lead.name].value is not None]
    if model.scores[lead.name].value is None:
        return (f"{lead.name} is not defined on this part of the data, so nothing can be said about who wins.",)
    if not baselines:
        return (f"{model.name} reaches {lead.name} {_written(model, lead)}; there is no baseline to compare it with.",)
    best = _best([row for row in baselines if not row.num_samples] or baselines, metrics)
    sentences = [_comparison(model, best, lead, gains.get(best.name)), *_others(model, baselines, best, gains)]
    if moved_share is not None and moved_share < COPYING_SHARE:
        sentences.append(
            f"{model.name} hardly differs from copying the last value: it moves {moved_share * 100:.0f} % as far from it "
            f"as the truth does. A high R² or a low error then says that the series is slow, not that it was predicted."
        )
    elif follows_last is not None and follows_last[0] > max(FOLLOWING, follows_last[1]):
        sentences.append(
            f"{model.name} follows the last value more closely (correlation {follows_last[0]:.2f}) than what came "
            f"({follows_last[1]:.2f}): its forecasts are little more than the last value, shifted in time."
        )
    return (*sentences, *_dominant_class(lead, rows))


def _best(rows: Sequence[ScoreRow], metrics: Sequence[MetricInfo]) -> ScoreRow:
    """The best on the leading metric; of those that are equal there, the best on the next ones."""

    def rank(row: ScoreRow) -> tuple[float, ...]:
        scores = [(row.scores[metric.name].value, metric) for metric in metrics if metric.name in row.scores]
        return tuple(inf if value is None else value if metric.better == "lower" else -value for value, metric in scores)

    return min(rows, key=rank)


def _comparison(model: ScoreRow, best: ScoreRow, lead: MetricInfo, gain: Score | None) -> str:
    numbers = f"{lead.name} {_written(model, lead)} against {_written(best, lead)}"
    if gain is None or gain.value is None:
        return f"{model.name} and {best.name}, the best baseline, reach {numbers}."
    size, interval = _size(gain.value, lead), _interval(gain, lead)
    if gain.low is None or gain.high is None:
        if gain.value == 0:
            return f"{model.name} and {best.name}, the best baseline, are equal: {numbers}."
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
    guessing = [row.scores["accuracy"] for row in rows if "majority" in row.name.casefold() and "accuracy" in row.scores]
    guess = max((score.value or 0.0 for score in guessing), default=0.0)
    if guess < DOMINANT_SHARE:
        return ()
    sentence = f"Always answering the most frequent class is already right {guess * 100:.1f} % of the time"
    instead = "judge by macro-F1 and AUROC" if lead.name == "accuracy" else f"the table is led by {lead.name}"
    return (f"{sentence}, so accuracy says little here; {instead}.",)


def _size(gain: float, lead: MetricInfo) -> str:
    return _amount(gain if gain >= 0 else _other_side(gain, lead), lead) + _unit(lead)


def _interval(gain: Score, lead: MetricInfo) -> str:
    """The interval from the winner's side: positive numbers say that the named winner wins."""
    low, high = gain.low or 0.0, gain.high or 0.0
    if (gain.value or 0.0) < 0:
        low, high = _other_side(high, lead), _other_side(low, lead)
    return f"95 % interval {_amount(low, lead)} to {_amount(high, lead)}{_unit(lead)}"


def _other_side(gain: float, lead: MetricInfo) -> float:
    """What the baseline gains over the model, from what the model gains over it: 1 − baseline / model of 1 − model / baseline."""
    if lead.better == "higher":
        return -gain
    return 1.0 - 1.0 / (1.0 - gain) if gain < 1.0 else -inf


def _amount(gain: float, lead: MetricInfo) -> str:
    decimals, scale = (3, 1) if lead.name.startswith("R²") else (1, 100)
    return _signed(f"{round(gain * scale, decimals) + 0.0:.{decimals}f}")  # + 0.0 makes −0.0 a 0


def _unit(lead: MetricInfo) -> str:
    if lead.better == "lower":
        return " %"
    return "" if lead.name.startswith("R²") else " points"


def _written(row: ScoreRow, lead: MetricInfo) -> str:
    return f"{_signed(f'{row.scores[lead.name].value or 0.0:.4g}')} {lead.unit}".rstrip()


def _signed(number: str) -> str:
    return number.replace("-", "−").replace("inf", "∞")
