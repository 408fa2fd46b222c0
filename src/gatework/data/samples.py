"""What a model is shown at once: windows of a series (forecast) or whole sequences, gathered from memory by index."""

from copy import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gatework.data.clock import clock_columns
from gatework.data.prepared import Prepared
from gatework.data.series import BoolArray, IntArray, Rows
from gatework.data.split import PARTS, Split
from gatework.errors import ConfigError, DataError
from gatework.ragged import Ragged
from gatework.runs import Part


@dataclass(frozen=True)
class Batch:
    """Some samples.

    inputs: Ragged float32 (total_steps, num_inputs + num_future + num_static + num_clock), one sequence per sample.
    future: (n, horizon, num_future) float32, what is known of the steps to be forecast; (n, 0, 0) when there is no horizon.
    targets: on the model's scale, (n, horizon, num_targets) or (n, num_targets) float32, 0 where unobserved; or (n,) int64
        classes, −1 where unknown. Where every step has an answer, n counts the judged steps of all samples.
    observed: bool, shaped like targets.
    index: (num_samples,) int64, which samples these are.
    weight: float32, how much each error counts, (n, 1, num_targets) of forecasts and (n, 1) of whole sequences; None: all alike.
    judged: (n,) int64, the rows of `inputs` that are judged where every step has an answer; else None.
    """

    inputs: Ragged
    future: Tensor
    targets: Tensor
    observed: Tensor
    index: Tensor
    weight: Tensor | None = None
    judged: Tensor | None = None


class ForecastSamples:
    """Every window of a part: `window` steps of the past, `horizon` steps to forecast, never across two series.

    A sample belongs to a part when all its target rows do; its inputs may reach back into earlier parts, never forward.
    A series that gives no whole window in the part gives those that begin where it begins, of `shortest` steps or more.
    Samples without a single observed target are left out. Without a split, every window of the table is a sample, observed or
    not: that is how a forecast beyond the data is made (see `future.append_horizon` and `final`).

    sequence: (n,) the series of each sample. origin: (n,) the row of its first forecast step; its inputs are the rows
    [origin − window, origin). weights: (num_sequences, num_targets) how much the errors of each series count, or None.
    skipped: ids of the series that have rows in this part and give no window, being too short. short: ids of those that are read
    from where they begin.
    targets: (total_steps, num_targets) float32, NaN where unobserved: what batches ask for; on the model's scale unless replaced.
    """

    def __init__(
        self,
        prepared: Prepared,
        split: Split | None,
        part: Part,
        window: int,
        horizon: int,
        stride: int = 1,
        shortest: int | None = None,
    ):
        """shortest: left out, every window is whole.

        Raises ConfigError when window, horizon or stride is not positive; DataError when no sample is left.
        """
        for name, value in (("window", window), ("horizon", horizon), ("stride", stride)):
            if value < 1:
                raise ConfigError(f"The {name} is {value}; expected a number of steps, 1 or more. Give --{name} 1 or more.")
        self.prepared, self.part, self.window, self.horizon = prepared, part, window, horizon
        self.shortest = window if shortest is None else min(window, shortest)
        self.targets = prepared.targets
        rows = Rows(prepared.offsets)
        in_part = np.ones(rows.total_steps, dtype=bool) if split is None else split.rows_of(part)[prepared.rows]
        fits, is_short = self._fits(rows, in_part, self._closed(split, rows))
        sequence = rows.sequence
        counts = np.bincount(sequence[fits], minlength=len(rows.lengths))
        rows_in_part = np.bincount(sequence[in_part], minlength=len(rows.lengths))
        self.skipped = [prepared.ids[i] for i in np.flatnonzero((counts == 0) & (rows_in_part > 0))]
        self.short = [prepared.ids[i] for i in np.flatnonzero((counts > 0) & is_short)]
        if not fits.any():
            raise self._too_short(split, self.shortest)
        first = np.full(len(rows.lengths), rows.total_steps, dtype=np.int64)
        np.minimum.at(first, sequence[fits], np.flatnonzero(fits))
        chosen = fits & ((np.arange(rows.total_steps) - first[sequence]) % stride == 0)
        if split is not None:
            chosen &= self._any_observed(rows)
        self.origin: IntArray = np.flatnonzero(chosen).astype(np.int64)
        self.sequence: IntArray = sequence[chosen]
        if not len(self.origin):
            raise DataError(
                f"Every target of the {part} part is missing. A sample needs at least one known value of "
                f"{', '.join(prepared.target_names)} within {horizon} steps. Give data with known targets, or change the split."
            )
        self.weights: npt.NDArray[np.float32] | None = None
        self._features = np.concatenate([prepared.inputs, prepared.future], axis=1)

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.origin)

    @property
    def num_answers(self) -> int:
        """The number of forecasts."""
        return len(self.origin)

    @property
    def lengths(self) -> IntArray:
        """(n,) the steps of each window."""
        lengths: IntArray = np.minimum(self.window, self.origin - self.prepared.offsets[self.sequence])
        return lengths

    @property
    def final(self) -> IntArray:
        """The index of the last sample of each series that has one: the forecast from the end of the data."""
        is_last = np.ones(len(self.sequence), dtype=bool)
        is_last[:-1] = self.sequence[1:] != self.sequence[:-1]
        return np.flatnonzero(is_last).astype(np.int64)

    def only(self, chosen: npt.NDArray[np.integer]) -> "ForecastSamples":
        """The samples with these numbers, as samples of their own."""
        fewer = copy(self)
        fewer.origin, fewer.sequence = self.origin[chosen], self.sequence[chosen]
        return fewer

    def batch(self, index: npt.NDArray[np.integer]) -> Batch:
        """The samples with these numbers, in this order."""
        index = np.asarray(index, dtype=np.int64)
        origin, sequence = self.origin[index], self.sequence[index]
        lengths = np.minimum(self.window, origin - self.prepared.offsets[sequence])
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        past = np.arange(offsets[-1]) + np.repeat(origin - offsets[1:], lengths)
        coming = origin[:, None] + np.arange(self.horizon)
        features = self._features.take(past, axis=0)
        static = self.prepared.static
        if static.shape[1]:
            features = np.concatenate([features, static[sequence].repeat(lengths, axis=0)], axis=1)
        if self.prepared.clock_names:
            features = np.concatenate([features, clock_columns(self.prepared, past, offsets)], axis=1)
        targets, observed = split_missing(self.targets[coming])
        return Batch(
            inputs=Ragged(torch.from_numpy(features), torch.from_numpy(offsets)),
            future=torch.from_numpy(self.prepared.future[coming]),
            targets=targets,
            observed=observed,
            index=torch.from_numpy(index),
            weight=None if self.weights is None else torch.from_numpy(self.weights[sequence])[:, None],
        )

    def _fits(self, rows: Rows, in_part: BoolArray, closed: BoolArray) -> tuple[BoolArray, BoolArray]:
        """(total_steps,) whether a sample can begin its forecast at each row; (num_sequences,) which series give no whole one."""
        row = np.arange(rows.total_steps)
        before, running = row - rows.start, np.concatenate([[0], np.cumsum(closed, dtype=np.int64)])
        may_begin = self._has_horizon(rows, in_part) & (running[:-1] == running[np.maximum(row - self.window, rows.start)])
        whole = (before >= self.window) & may_begin
        is_short: BoolArray = np.bincount(rows.sequence[whole], minlength=len(rows.lengths)) == 0
        return whole | (is_short[rows.sequence] & (before >= self.shortest) & may_begin), is_short

    def _closed(self, split: Split | None, rows: Rows) -> BoolArray:
        """(total_steps,) rows that no input may come from: those of later parts, where stretches do not come in their order.

        A purge keeps windows away from them, unless rows in it were dropped because of missing values.
        """
        if split is None or not split.record.intervals:
            return np.zeros(rows.total_steps, dtype=bool)
        closed: BoolArray = split.steps[self.prepared.rows] > PARTS.index(self.part)
        return closed

    def _has_horizon(self, rows: Rows, in_part: BoolArray) -> BoolArray:
        """(total_steps,) whether each row and those after it make a whole horizon inside the part."""
        row = np.arange(rows.total_steps)
        running = np.concatenate([[0], np.cumsum(in_part, dtype=np.int64)])
        end = np.minimum(row + self.horizon, rows.total_steps)
        result: BoolArray = (rows.end - row >= self.horizon) & (running[end] - running[:-1] == self.horizon)
        return result

    def _any_observed(self, rows: Rows) -> BoolArray:
        running = np.concatenate([[0], np.cumsum(~np.isnan(self.prepared.targets).all(axis=1), dtype=np.int64)])
        end = np.minimum(np.arange(rows.total_steps) + self.horizon, rows.total_steps)
        result: BoolArray = running[end] > running[:-1]
        return result

    def check_whole(self, split: Split) -> None:
        """DataError when every window is shorter than it was planned: then the plan does not fit the data."""
        if int(self.lengths.max(initial=0)) < self.window:
            raise self._too_short(split, self.window)

    def _too_short(self, split: Split | None, needed: int) -> DataError:
        rows = Rows(self.prepared.offsets)
        longest = int(rows.lengths.max()) if len(rows.lengths) else 0
        whole = needed == self.window
        in_words = f"a window of {needed}" if whole else f"at least {needed} of the {self.window} steps of a window"
        if split is None:
            return DataError(
                f"No series is long enough: the longest of {len(rows.lengths)} has {longest - self.horizon} steps before the "
                f"forecast. A sample needs {in_words}. Give at least {needed} steps of a series."
            )
        return DataError(
            f"No series gives a sample for the {self.part} part: the longest of {len(rows.lengths)} has {longest} steps. "
            f"A sample needs {needed + self.horizon}: {in_words} and a horizon of {self.horizon}, "
            f"the horizon wholly inside the part. {self._remedy(rows, split)}"
        )

    def _remedy(self, rows: Rows, split: Split) -> str:
        """A window, or else a horizon, with which every part that has rows gives a sample."""
        if not split.rows_of("train").any():  # a finished model is judged: its window stands
            return "Give longer series."
        parts = [split.rows_of(part)[self.prepared.rows] for part in PARTS]
        before = np.arange(rows.total_steps) - rows.start
        room = min(int(before[self._has_horizon(rows, part)].max(initial=0)) for part in parts if part.any())
        if room:
            return f"Give a smaller --window (at most {room}), or longer series."
        most = min(_longest_run(rows, part) - (number == 0) for number, part in enumerate(parts) if part.any())
        return f"Give a smaller --horizon (at most {most}), or longer series." if most else "Give longer series."


def _longest_run(rows: Rows, in_part: BoolArray) -> int:
    """The most consecutive rows of one series that are in a part."""
    row = np.arange(rows.total_steps)
    last_outside = np.maximum.accumulate(np.where(in_part, -1, row))
    return int((row - np.maximum(last_outside, rows.start - 1)).max(initial=0))


class SequenceSamples:
    """One sample per sequence of a part; sequences of length zero count, sequences without any known answer do not.

    Without a split, every sequence is a sample, answered or not. sequence: (n,) the sequence of each sample.
    """

    def __init__(self, prepared: Prepared, split: Split | None, part: Part):
        """Raises DataError when no sequence is left."""
        self.prepared, self.part = prepared, part
        chosen = np.ones(len(prepared.ids), dtype=bool)
        if split is not None:
            chosen = split.sequences[prepared.sequences] == PARTS.index(part)
            targets = prepared.targets
            chosen &= targets >= 0 if targets.ndim == 1 else ~np.isnan(targets).all(axis=1)
        self.sequence: IntArray = np.flatnonzero(chosen).astype(np.int64)
        if not len(self.sequence):
            raise DataError(
                f"The {part} part has no sequence with a known answer ({len(prepared.ids)} sequences in all). "
                f"Expected at least one. Give sequences whose {', '.join(prepared.target_names)} is known, or change the split."
            )

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.sequence)

    @property
    def num_answers(self) -> int:
        """The number of judged sequences."""
        return len(self.sequence)

    @property
    def place(self) -> IntArray:
        """(num_answers,) the row of `prepared.targets` that answers each sample."""
        return self.sequence

    def batch(self, index: npt.NDArray[np.integer]) -> Batch:
        """The samples with these numbers, in this order."""
        index = np.asarray(index, dtype=np.int64)
        prepared, sequence = self.prepared, self.sequence[index]
        begin = prepared.offsets[sequence]
        lengths = prepared.offsets[sequence + 1] - begin
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(begin - offsets[:-1], lengths)
        features = prepared.inputs[rows]
        if prepared.static.shape[1]:
            features = np.concatenate([features, prepared.static[sequence].repeat(lengths, axis=0)], axis=1)
        if prepared.clock_names:
            features = np.concatenate([features, clock_columns(prepared, rows, offsets)], axis=1)
        targets, observed = split_missing(prepared.targets[sequence])
        return Batch(
            inputs=Ragged(torch.from_numpy(features), torch.from_numpy(offsets)),
            future=torch.zeros(len(index), 0, 0),
            targets=targets,
            observed=observed,
            index=torch.from_numpy(index),
            weight=None if prepared.weights is None else torch.from_numpy(prepared.weights[sequence])[:, None],
        )


def split_missing(targets: npt.NDArray[np.float32] | npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Targets without NaN, and where they were observed."""
    if targets.ndim == 1:
        return torch.from_numpy(targets), torch.from_numpy(targets >= 0)
    observed = ~np.isnan(targets)
    return torch.from_numpy(np.where(observed, targets, np.float32(0))), torch.from_numpy(observed)


def batch_order(num_samples: int, batch_size: int, seed: int, epoch: int, shuffle: bool) -> list[IntArray]:
    """The samples of each batch of an epoch; every sample once, the last batch may be smaller.

    Drawn from a counter-based generator keyed by (seed, epoch): the same arguments, the same order, whatever was drawn before.
    """
    order = np.arange(num_samples, dtype=np.int64)
    if shuffle:
        key = np.array([seed % 2**64, epoch % 2**64], dtype=np.uint64)
        order = np.random.Generator(np.random.Philox(key=key)).permutation(order)
    return [order[start : start + batch_size] for start in range(0, num_samples, batch_size)]
