"""Ranges as a table: when, how unusual, which channels made it so, what was expected there and what was seen; and in words."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from gatework.data.prepared import Prepared
from gatework.data.series import IntArray
from gatework.tasks.detectors.detector import Scored
from gatework.tasks.detectors.ranges import Ranges, find_ranges
from gatework.tasks.metrics.scores import Array

NAMED_SHARE = 0.1
"""Channels that made less of the score than this are not named in words."""
NOTHING = {"series": pl.String, "steps": pl.Int64, "peak_score": pl.Float64, "channel": pl.String, "contribution": pl.Float64,
           "seen": pl.Float64, "expected": pl.Float64, "contributions": pl.String, "explanation": pl.String}  # fmt: skip


@dataclass(frozen=True)
class Judgement:
    """A detector's findings on some rows of prepared data, in order of series and time.

    found: of all of `prepared`; its scores in thresholds: above 1 is an alarm. rows: (n,) those that are judged. gap: see
    `find_ranges`.
    """

    prepared: Prepared
    found: Scored
    rows: IntArray
    gap: int

    @property
    def sequence(self) -> IntArray:
        """(n,) the series of each judged row."""
        return np.searchsorted(self.prepared.offsets, self.rows, side="right").astype(np.int64) - 1

    @property
    def ranges(self) -> Ranges:
        """The alarms, as rows of `prepared`."""
        scores = self.found.scores[self.rows]
        is_alarm = np.where(np.isfinite(scores), scores, 0.0) > 1.0
        places = find_ranges(is_alarm, self.sequence, self.gap)
        return Ranges(self.rows[places.first], self.rows[places.last], places.sequence)


@dataclass(frozen=True)
class Explained:
    """One range. rows: first, last, that of the highest score. parts: (num_targets,) shares of the score. shown: where each
    channel was farthest from what was expected.
    """

    first: int
    last: int
    peak: int
    parts: Array
    shown: IntArray

    @property
    def channel(self) -> int:
        """The one that made most of the score."""
        return int(self.parts.argmax())


def explained(judgement: Judgement, first: int, last: int) -> Explained:
    """Where a range is most unusual, and which channels make it so: shares of the summed squared scores of its alarms."""
    rows = np.arange(first, last + 1)
    score = judgement.found.scores[rows]
    weight = np.where(np.isfinite(score) & (score > 1.0), score, 0.0) ** 2
    if not weight.any():
        weight = np.where(np.isfinite(score), score, 0.0) ** 2
    by_channel = weight[:, None] * judgement.found.shares[rows]
    total = by_channel.sum(axis=0)
    apart = np.abs(judgement.prepared.raw_targets[rows] - judgement.found.expected[rows])
    shown = first + np.where(np.isfinite(apart) & (weight > 0)[:, None], apart, -1.0).argmax(axis=0)
    return Explained(first, last, first + int(weight.argmax()), total / max(float(total.sum()), 1e-300), shown.astype(np.int64))


def in_words(judgement: Judgement, one: Explained) -> str:
    """What was seen where what was expected, and how much of the score that is; the channels that made most of it first."""
    sentences: list[str] = []
    for channel in np.argsort(-one.parts, kind="stable"):
        if sentences and one.parts[channel] < NAMED_SHARE:
            break
        row, name = one.shown[channel], judgement.prepared.target_names[channel]
        seen, expected = judgement.prepared.raw_targets[row, channel], judgement.found.expected[row, channel]
        if not (np.isfinite(seen) and np.isfinite(expected)):
            continue
        share = f"contribution {100 * one.parts[channel]:.0f} %"
        sentences.append(f"{name} was {seen:.4g} where {expected:.4g} was expected, {share}")
    return "; ".join(sentences)


def range_rows(judgement: Judgement) -> pl.DataFrame:
    """One row per range: series, start, end, steps, peak_score (in thresholds), peak_time, channel (which made most of it) with
    contribution, seen and expected, all contributions, and the explanation in words.
    """
    prepared, found = judgement.prepared, judgement.found
    ranges = judgement.ranges
    times, records = prepared.times, []
    every = [explained(judgement, int(a), int(b)) for a, b in zip(ranges.first, ranges.last, strict=True)]
    for one, sequence in zip(every, ranges.sequence, strict=True):
        row, channel = one.shown[one.channel], one.channel
        parts = {name: part for name, part in zip(prepared.target_names, one.parts, strict=True) if part >= 0.005}
        listed = sorted(parts.items(), key=lambda item: -item[1])
        records.append(
            (
                prepared.ids[int(sequence)],
                one.last - one.first + 1,
                float(found.scores[one.peak]),
                prepared.target_names[channel],
                float(one.parts[channel]),
                float(prepared.raw_targets[row, channel]),
                float(found.expected[row, channel]),
                ", ".join(f"{name} {100 * part:.0f} %" for name, part in listed),
                in_words(judgement, one),
            )
        )
    frame = pl.DataFrame(records, schema=NOTHING, orient="row").with_columns(pl.col("seen", "expected").fill_nan(None))
    stamps = {
        "start": times[ranges.first],
        "end": times[ranges.last],
        "peak_time": times[np.array([one.peak for one in every], dtype=np.int64)],
    }
    frame = frame.with_columns(stamp.alias(name) for name, stamp in stamps.items())
    first = ["series", "start", "end", "steps", "peak_score", "peak_time"]
    return frame.select(*first, *(name for name in frame.columns if name not in first))


def step_rows(judgement: Judgement) -> pl.DataFrame:
    """One row per judged step: series, time, score in thresholds, whether it is in an alarm range, and of each channel its
    contribution and what was expected; the label where there is one.
    """
    prepared, found, rows = judgement.prepared, judgement.found, judgement.rows
    ranges, in_range = judgement.ranges, np.zeros(len(prepared.times) + 1, dtype=np.int64)
    np.add.at(in_range, ranges.first, 1)
    np.add.at(in_range, ranges.last + 1, -1)
    columns: dict[str, pl.Series] = {
        "series": pl.Series(prepared.ids, dtype=pl.String)[judgement.sequence],
        "time": prepared.times[rows],
        "score": pl.Series(found.scores[rows], nan_to_null=True),
        "in_alarm": pl.Series(np.cumsum(in_range)[rows] > 0),
    }
    for number, name in enumerate(prepared.target_names):
        columns[f"contribution {name}"] = pl.Series(found.shares[rows, number], nan_to_null=True)
        columns[f"expected {name}"] = pl.Series(found.expected[rows, number], nan_to_null=True)
    if prepared.labels is not None:
        columns["label"] = pl.Series(prepared.labels[rows], nan_to_null=True)
    return pl.DataFrame(columns)
