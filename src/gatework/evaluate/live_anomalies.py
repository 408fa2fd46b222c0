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
from gatework.model import SequenceModel, TrainedModel
from gatework.tasks.detectors.detector import Scored, residuals_of
from gatework.tasks.detectors.expect import errors_of
from gatework.tasks.detectors.explain import Judgement, range_rows, step_rows
from gatework.tasks.detectors.heads import NextStepsHead
from gatework.tasks.detectors.windows import step_features


@dataclass(frozen=True)
class LiveAnomalies:
    """What some new rows brought. steps: one row each with its score (see `step_rows`).

    closed: the ranges that ended with these rows, as `range_rows` gives them. open: the one that may still go on, no row or one.
    """

    steps: pl.DataFrame
    closed: pl.DataFrame
    open: pl.DataFrame


class LiveDetector:
    """Follows one series from its first row. The scores are those that the whole series would get at once.

    A step costs the layers one step of `layer.stream()`, whatever came before. Not for several threads at once.
    """

    def __init__(self, trained: TrainedModel):
        """Raises ConfigError for another task, and for a reconstruction, whose score of a step needs the steps after it."""
        plan, record, head = trained.plan, trained.detector, trained.network.head
        if plan.anomaly is None or record is None:
            raise ConfigError(
                f"detector() follows anomalies; this run's task is {plan.data.task}. "
                f"Expected a run of anomaly detection. Use predict for other tasks."
            )
        if not isinstance(head, NextStepsHead):
            raise ConfigError(
                "detector() follows a series step by step, and a reconstruction scores a step from those after it, too. "
                "Expected the method forecast. Train with --method forecast, or give predict the last windows."
            )
        self.trained, self.anomaly, self.head = trained, plan.anomaly, head
        self.threshold, self.normal = record.threshold.value, residuals_of(record)
        network = trained.network
        assert isinstance(network, SequenceModel)  # there are no ensembles of detectors
        self.stream = network.recurrent.stream()
        self.count = 0
        self._context: pl.DataFrame | None = None
        self._inputs = torch.zeros(head.recent.kernel_size[0] - 1, head.recent.in_channels)
        self._forecasts = np.zeros((0, head.horizon, head.num_targets))
        self._pending: list[tuple[pl.DataFrame, Scored]] = []

    def update(self, rows: pl.DataFrame) -> LiveAnomalies:
        """The next rows of the series, one or many, in order of time; columns as in training.

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
        scored = self._score(features, seen)
        self.count += len(seen)
        last = fresh.select(pl.all().forward_fill()).tail(1)
        self._context = last
        return self._ranges(rows, scored)

    def _numbered(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with their places in the series, where the data has no time column."""
        plan = self.trained.plan.data
        if plan.time is not None or plan.time_parts:
            return rows
        return rows.with_columns(pl.Series(STEP, np.arange(self.count, self.count + rows.height)))

    def _score(self, features: torch.Tensor, seen: np.ndarray) -> Scored:
        """Scores in thresholds of the new rows, and what was expected of them, on the model's scale."""
        with torch.inference_mode():
            states = torch.stack([self.stream.step(row) for row in features])
            inputs = torch.cat([self._inputs, features])
            made = self.head.read(states.unsqueeze(0), inputs.unsqueeze(0))[0].double().numpy()
        self._inputs = inputs[len(features) :].clone()
        before = len(self._forecasts)
        forecasts = np.concatenate([self._forecasts, made])
        padded = np.concatenate([np.full((before, seen.shape[1]), np.nan), seen])
        found = errors_of(forecasts, padded, max(0, self.anomaly.warmup - (self.count - before)))
        self._forecasts = forecasts[-self.head.horizon :]
        scores, shares = self.normal.score(found.errors[before:])
        return Scored(scores / self.threshold, shares, self.trained.preparation.inverse_targets(found.values[before:]))

    def _ranges(self, rows: pl.DataFrame, scored: Scored) -> LiveAnomalies:
        """The new steps, and the ranges that they close or leave open; what is still open is kept for the next rows."""
        raw = self._judged(rows, scored)
        steps = step_rows(raw)
        kept_rows = pl.concat([*(part[0] for part in self._pending), rows], how="diagonal_relaxed")
        parts = [*(part[1] for part in self._pending), scored]
        whole = self._judged(kept_rows, joined(parts))
        ranges = range_rows(whole)
        alarms = whole.ranges
        length = len(whole.found.scores)
        is_open = bool(len(alarms)) and length - 1 - int(alarms.last[-1]) <= self.anomaly.gap
        cut = int(alarms.first[-1]) if is_open else length
        self._pending = [(kept_rows[cut:], sliced(whole.found, cut))] if is_open else []
        closed = ranges.head(ranges.height - 1) if is_open else ranges
        return LiveAnomalies(steps, closed, ranges.tail(1) if is_open else ranges.head(0))

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
