"""split.json: which rows or sequences were used for what."""

from typing import Literal

from gatework.runs.record import SCHEMA_VERSION, Part, Record


class Bound(Record):
    """A place in every series: where a stretch of rows begins or ends.

    stamp: the first row at or after this time stamp (ISO) or order. Where the data has no clock it is None, and the place is this
    `share` of the series' own rows, 0–1. steps: so many rows of the series further on; negative: before it.
    """

    stamp: str | None = None
    share: float = 0.0
    steps: int = 0


class Interval(Record):
    """Rows of one part, or of none: in every series from `begin` up to, and without, `end`."""

    part: Part | None
    begin: Bound
    end: Bound


class SplitRecord(Record):
    """split.json. boundaries: first time stamp (ISO) or order of `validation` and `test` where the split is by time.

    intervals: where rows are divided into stretches (folds, backtests), these; what lies in none of them is in no part.
    sequences: ids per part where whole sequences are split, else empty. counts: rows (by time) or sequences per part.
    """

    schema_version: int = SCHEMA_VERSION
    kind: Literal["time", "group", "stratified", "column", "files"]
    seed: int = 0
    boundaries: dict[str, str] = {}
    intervals: tuple[Interval, ...] = ()
    sequences: dict[Part, tuple[str, ...]] = {}
    counts: dict[Part, int]
    notes: tuple[str, ...] = ()
