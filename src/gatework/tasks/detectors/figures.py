"""The numbers of a detector's figures: the score with its threshold, and the most unusual places, seen beside expected."""

import numpy as np
import polars as pl

from gatework.data.prepared import Prepared
from gatework.runs import Line, LinesFigure
from gatework.tasks.detectors.explain import Explained, Judgement, explained, in_words
from gatework.tasks.detectors.ranges import Ranges, find_ranges
from gatework.tasks.metrics.scores import Array, IntArray

MOST_POINTS = 600
"""Points of an overview; each is the highest score of its stretch, so that no peak is lost."""
MOST_PLACES = 3
ALARM, LABELLED = "alarm", "labelled as an anomaly"
Span = tuple[float | str, float | str, str]


def anomaly_figures(judgement: Judgement, window: int, units: tuple[str, ...]) -> tuple[LinesFigure, ...]:
    """The overview of one series, then the most unusual ranges (or places, where there is no alarm)."""
    if not np.isfinite(judgement.found.scores[judgement.rows]).any():
        return ()
    places = most_unusual(judgement)
    details = [detail(judgement, place, number, window, units) for number, place in enumerate(places, start=1)]
    return (overview(judgement, places[0]), *details)


def most_unusual(judgement: Judgement) -> list[Explained]:
    """The ranges with the highest peaks; where there is no alarm the step with the highest score."""
    ranges = judgement.ranges
    every = [explained(judgement, int(a), int(b)) for a, b in zip(ranges.first, ranges.last, strict=True)]
    if not every:
        top = int(judgement.rows[np.nanargmax(judgement.found.scores[judgement.rows])])
        every = [explained(judgement, top, top)]
    return sorted(every, key=lambda one: -judgement.found.scores[one.peak])[:MOST_PLACES]


def overview(judgement: Judgement, place: Explained) -> LinesFigure:
    """The score over all judged steps of the series with the most unusual place."""
    prepared = judgement.prepared
    sequence = int(np.searchsorted(prepared.offsets, place.peak, side="right")) - 1
    rows = judgement.rows[judgement.sequence == sequence]
    stretches = np.array_split(rows, min(MOST_POINTS, len(rows)))
    x = axis(prepared, np.array([stretch[0] for stretch in stretches]))
    highest = [highest_of(judgement.found.scores[stretch]) for stretch in stretches]
    of_series = f" of series {prepared.ids[sequence]}" if len(prepared.ids) > 1 else ""
    each = f" Each point is the highest of about {len(stretches[0])} steps." if len(rows) > MOST_POINTS else ""
    return LinesFigure(
        name="anomaly-score",
        title="How unusual each step is",
        caption=f"The score of every judged step{of_series}, in thresholds: above 1 is an alarm.{each}",
        x_label=axis_name(prepared),
        y_label="score / threshold",
        x=x,
        lines=(
            Line(name="score", y=tuple(highest), style="prediction"),
            Line(name="threshold", y=(1.0,) * len(x), style="baseline"),
        ),
        spans=spans(judgement, rows),
    )


def highest_of(scores: Array) -> float | None:
    """The highest score that there is."""
    known = scores[np.isfinite(scores)]
    return float(known.max()) if len(known) else None


def detail(judgement: Judgement, place: Explained, number: int, window: int, units: tuple[str, ...]) -> LinesFigure:
    """What was seen and expected around a range, of the channel that made most of its score."""
    prepared, channel = judgement.prepared, place.channel
    sequence = int(np.searchsorted(prepared.offsets, place.peak, side="right")) - 1
    around = max(20, min(window, 150))
    begin = max(int(prepared.offsets[sequence]), place.first - around)
    rows = np.arange(begin, min(int(prepared.offsets[sequence + 1]), min(place.last, place.first + 2 * MOST_POINTS) + around + 1))
    unit = f" ({units[channel]})" if units and units[channel] else ""
    words = in_words(judgement, place)
    reason = f": {words}" if words else ""
    return LinesFigure(
        name=f"anomaly-{number}",
        title=f"{'Alarm' if judgement.found.scores[place.peak] > 1 else 'Highest score'} at {stamps(prepared, place.first)}",
        caption=f"Seen and expected; the peak score is {judgement.found.scores[place.peak]:.3g} thresholds{reason}.",
        x_label=axis_name(prepared),
        y_label=f"{prepared.target_names[channel]}{unit}",
        x=axis(prepared, rows),
        lines=(
            Line(name="seen", y=numbers(prepared.raw_targets[rows, channel]), style="truth"),
            Line(name="expected", y=numbers(judgement.found.expected[rows, channel]), style="prediction"),
        ),
        spans=spans(judgement, rows),
    )


def spans(judgement: Judgement, rows: IntArray) -> tuple[Span, ...]:
    """The alarms and the labelled ranges that touch these rows, cut to them."""
    prepared, found = judgement.prepared, [(judgement.ranges, ALARM)]
    if prepared.labels is not None:
        sequence = np.searchsorted(prepared.offsets, np.arange(len(prepared.labels)), side="right") - 1
        found.append((find_ranges(prepared.labels == 1, sequence.astype(np.int64)), LABELLED))
    shown: list[Span] = []
    for ranges, label in found:
        shown += [(*ends(prepared, a, b), label) for a, b in cut(ranges, int(rows[0]), int(rows[-1]))]
    return tuple(shown)


def cut(ranges: Ranges, first: int, last: int) -> list[tuple[int, int]]:
    """The ranges inside a stretch of rows."""
    touching = (ranges.first <= last) & (ranges.last >= first)
    return [(max(int(a), first), min(int(b), last)) for a, b in zip(ranges.first[touching], ranges.last[touching], strict=True)]


def ends(prepared: Prepared, first: int, last: int) -> tuple[float | str, float | str]:
    """Where a stretch of rows begins and ends on the axis."""
    both = axis(prepared, np.array([first, last]))
    return both[0], both[1]


def axis(prepared: Prepared, rows: IntArray) -> tuple[float, ...] | tuple[str, ...]:
    """The rows on the axis of a figure: ISO time stamps, or orders."""
    times = prepared.times[rows]
    if not times.dtype.is_temporal():
        return tuple(float(item) for item in times.to_list())
    return tuple(times.cast(pl.Datetime("us")).dt.to_string("iso:strict").str.replace(r"\.0+([^0-9]|$)", "$1").to_list())


def axis_name(prepared: Prepared) -> str:
    """What the axis says."""
    return "time" if prepared.times.dtype.is_temporal() else "step"


def stamps(prepared: Prepared, row: int) -> str:
    """One row's time stamp or order, as text."""
    first = axis(prepared, np.array([row]))[0]
    return first if isinstance(first, str) else f"{first:g}"


def numbers(values: Array) -> tuple[float | None, ...]:
    """Numbers for a line, None where there is none."""
    return tuple(float(value) if np.isfinite(value) else None for value in values)
