"""A detector that follows one series: rows come in, scores and ranges come out, the network's state is carried."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from gatework.data.layout import build_table
from gatework.data.split import Split
from gatework.data.table import STEP
from gatework.errors import ConfigError, DataError
from gatework.evaluate.detector_steps import detector_steps
from gatework.model import SequenceModel, TrainedModel
from gatework.tasks.detectors.detector import Scored, residuals_of
from gatework.tasks.detectors.expect import Expected
from gatework.tasks.detectors.explain import Judgement, range_rows, step_rows
from gatework.tasks.detectors.windows import step_features


@dataclass(frozen=True)
class LiveAnomalies:
    """What some new rows brought. steps: those judged now, one row each with its score (see `step_rows`).

    closed: the ranges that ended with these steps, as `range_rows` gives them. open: the one that may still go on, no row or one.
    """

    steps: pl.DataFrame
    closed: pl.DataFrame
    open: pl.DataFrame


class LiveDetector:
    """Follows one series from its first row. The scores are those that the whole series would get at once.

    delay: rows that must follow a row before it is judged: none for a forecast, a window for a reconstruction, whose windows
    hold the rows after it, too. Not for several threads at once.
    """

    def __init__(self, trained: TrainedModel):
        """Raises ConfigError for another task."""
        plan, record, network = trained.plan, trained.detector, trained.network
        if plan.anomaly is None or record is None:
            raise ConfigError(
                f"detector() follows anomalies; this run's task is {plan.data.task}. "
                f"Expected a run of anomaly detection. Use predict for other tasks."
            )
        assert isinstance(network, SequenceModel)  # there are no ensembles of detectors
        self.trained, self.anomaly = trained, plan.anomaly
        self.threshold, self.normal = record.threshold.value, residuals_of(record)
        self._read = detector_steps(network, plan.anomaly, plan.window)
        self.delay = self._read.delay
        self.count = 0
        self._context: pl.DataFrame | None = None
        self._waiting: pl.DataFrame | None = None
        self._pending: tuple[pl.DataFrame, Scored] | None = None

    def update(self, rows: pl.DataFrame) -> LiveAnomalies:
        """The next rows of the series, one or many, in order of time; columns as in training. Returns what is judged by now.

        Raises DataError for rows of several series, or when they are not what the training had.
        """
        rows = self._numbered(rows)
        fresh = rows if self._context is None else pl.concat([self._context, rows], how="diagonal_relaxed")
        table = build_table(fresh, self.trained.plan.data, None, targets_required=False, is_new=True)
        if table.sequences.height != 1:
            raise DataError(
                f"The rows are of {table.sequences.height} series. Expected those of one. Make one detector for each series."
            )
        prepared = self.trained.preparation.apply(table, Split.all_test(table))
        known = 0 if self._context is None else 1
        features = torch.from_numpy(step_features(prepared)[known:])
        seen = prepared.targets[known:].astype(np.float64)
        scored = self._scored(self._read.read(features, seen))
        self.count += len(seen)
        self._context = fresh.select(pl.all().forward_fill()).tail(1)
        unjudged = rows if self._waiting is None else pl.concat([self._waiting, rows], how="diagonal_relaxed")
        self._waiting = unjudged[len(scored.scores) :]
        found, self._pending = self._ranges(unjudged, scored)
        return found

    def end(self) -> LiveAnomalies:
        """What there would still be to say if the series ended here: the scores of the rows that wait, and every range that has
        not been closed. Changes nothing: further rows may follow, and then these scores may become others.

        Raises DataError before the first row.
        """
        if self._waiting is None:
            raise DataError("end() was asked before the first row. Expected rows of the series. Give them to update() first.")
        scored = self._scored(self._read.waiting())
        if not len(scored.scores):
            return self._nothing_new()
        found, _ = self._ranges(self._waiting, scored)
        return LiveAnomalies(found.steps, pl.concat([found.closed, found.open]), found.open.head(0))

    def _numbered(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with their places in the series, where the data has no time column."""
        plan = self.trained.plan.data
        if plan.time is not None or plan.time_parts:
            return rows
        return rows.with_columns(pl.Series(STEP, np.arange(self.count, self.count + rows.height)))

    def _scored(self, expected: Expected) -> Scored:
        """Scores in thresholds, and what was expected in the units of the data."""
        scores, shares = self.normal.score(expected.errors)
        return Scored(scores / self.threshold, shares, self.trained.preparation.inverse_targets(expected.values))

    def _nothing_new(self) -> LiveAnomalies:
        """What `end` gives where no row waits."""
        assert self._context is not None
        blank = self._blank(self._context)
        closed = blank.closed if self._pending is None else range_rows(self._judged(*self._pending))
        return LiveAnomalies(blank.steps, closed, blank.open)

    def _blank(self, rows: pl.DataFrame) -> LiveAnomalies:
        """Tables of no row. rows: one at least, which have the columns."""
        size = len(self.trained.plan.data.targets)
        nothing = Scored(np.full(rows.height, np.nan), np.zeros((rows.height, size)), np.full((rows.height, size), np.nan))
        blank = self._judged(rows, nothing)
        return LiveAnomalies(step_rows(blank).head(0), range_rows(blank), range_rows(blank))

    def _ranges(self, rows: pl.DataFrame, scored: Scored) -> tuple[LiveAnomalies, tuple[pl.DataFrame, Scored] | None]:
        """The steps judged now, and the ranges that they close or leave open; what is still open is kept for the next rows.

        rows: those of `scored`, and any that follow.
        """
        count = len(scored.scores)
        if not count:
            return self._blank(rows), self._pending
        rows = rows[:count]
        steps = step_rows(self._judged(rows, scored))
        if self._pending is not None:
            rows = pl.concat([self._pending[0], rows], how="diagonal_relaxed")
            scored = joined([self._pending[1], scored])
        whole = self._judged(rows, scored)
        ranges, alarms = range_rows(whole), whole.ranges
        is_open = bool(len(alarms)) and rows.height - 1 - int(alarms.last[-1]) <= self.anomaly.gap
        if not is_open:
            return LiveAnomalies(steps, ranges, ranges.head(0)), None
        cut = int(alarms.first[-1])
        found = LiveAnomalies(steps, ranges.head(ranges.height - 1), ranges.tail(1))
        return found, (rows[cut:], sliced(whole.found, cut))

    def _judged(self, rows: pl.DataFrame, found: Scored) -> Judgement:
        """Rows with their scores as a judgement of their own."""
        table = build_table(rows, self.trained.plan.data, None, targets_required=False, is_new=True)
        prepared = self.trained.preparation.apply(table, Split.all_test(table))
        return Judgement(prepared, found, np.arange(len(found.scores), dtype=np.int64), self.anomaly.gap)


def joined(parts: Sequence[Scored]) -> Scored:
    """Stretches of scores one after the other."""
    return Scored(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.shares for part in parts]),
        np.concatenate([part.expected for part in parts]),
    )


def sliced(found: Scored, first: int) -> Scored:
    """The scores from a row on."""
    return Scored(found.scores[first:], found.shares[first:], found.expected[first:])
