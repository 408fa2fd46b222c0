"""Samples where every step has an answer: pieces of sequences, each after enough of what came before it."""

import numpy as np
import numpy.typing as npt
import torch

from gatework.data.clock import clock_columns
from gatework.data.prepared import Prepared
from gatework.data.samples import Batch, split_missing
from gatework.data.series import IntArray, Rows
from gatework.data.split import Split
from gatework.errors import ConfigError, DataError
from gatework.ragged import Ragged
from gatework.runs import Part


class StepSamples:
    """Pieces of sequences; the steps of a part whose answer is known are judged, all others in a piece are only read.

    Every sequence is cut at the same places, `piece` steps apart, whatever is judged in it: piece k begins at step k · piece and
    is read from `window` steps before that (from the beginning, when there are fewer) to its last judged step. So a step's answer
    rests on `window` to `window + piece − 1` earlier steps or on all there are, and is the same in training, evaluation and
    prediction. Without a split every step is judged, answered or not.

    rows: (num_answers,) the judged rows, ascending. sequence: (num_answers,) the sequence of each. num_cut: sequences of which
    some judged step does not see all earlier steps.
    """

    def __init__(self, prepared: Prepared, split: Split | None, part: Part, window: int, piece: int):
        """Raises ConfigError when window or piece is not positive; DataError when no step is left to be judged."""
        for name, value in (("window", window), ("piece", piece)):
            if value < 1:
                raise ConfigError(f"The {name} is {value}; expected a number of steps, 1 or more. Give --window 1 or more.")
        self.prepared, self.part, self.window, self.piece = prepared, part, window, piece
        grouping = Rows(prepared.offsets)
        chosen = np.ones(grouping.total_steps, dtype=bool)
        if split is not None:
            targets = prepared.targets
            chosen = split.rows_of(part)[prepared.rows]
            chosen = chosen & (targets >= 0 if targets.ndim == 1 else ~np.isnan(targets).all(axis=1))
        if not chosen.any():
            raise DataError(
                f"The {part} part has no step with a known answer ({grouping.total_steps} steps in all). "
                f"Expected at least one. Give steps whose {', '.join(prepared.target_names)} is known, or change the split."
            )
        self.rows: IntArray = np.flatnonzero(chosen).astype(np.int64)
        self.sequence: IntArray = grouping.sequence[chosen]
        number = (self.rows - grouping.start[chosen]) // piece
        is_new = np.ones(len(self.rows), dtype=bool)
        is_new[1:] = (number[1:] != number[:-1]) | (self.sequence[1:] != self.sequence[:-1])
        self._first = np.append(np.flatnonzero(is_new), len(self.rows)).astype(np.int64)
        start = grouping.start[chosen][is_new]
        self._begin: IntArray = np.maximum(start, start + number[is_new] * piece - window)
        self._end: IntArray = self.rows[self._first[1:] - 1] + 1
        self.num_cut = len(np.unique(self.sequence[is_new][self._begin > start]))

    def __len__(self) -> int:
        """The number of pieces."""
        return len(self._begin)

    @property
    def num_answers(self) -> int:
        """The number of judged steps."""
        return len(self.rows)

    @property
    def place(self) -> IntArray:
        """(num_answers,) the row of `prepared.targets` that answers each judged step."""
        return self.rows

    def batch(self, index: npt.NDArray[np.integer]) -> Batch:
        """The pieces with these numbers, in this order; `targets` and `observed` hold the judged steps alone."""
        index = np.asarray(index, dtype=np.int64)
        begin, counts = self._begin[index], np.diff(self._first)[index]
        rows, offsets = _ranges(begin, self._end[index] - begin)
        answers, _ = _ranges(self._first[index], counts)
        judged_rows = self.rows[answers]
        features = self.prepared.inputs[rows]
        static = self.prepared.static
        if static.shape[1]:
            owner = np.repeat(self.sequence[self._first[index]], np.diff(offsets))
            features = np.concatenate([features, static[owner]], axis=1)
        if self.prepared.clock_names:
            features = np.concatenate([features, clock_columns(self.prepared, rows, offsets)], axis=1)
        targets, observed = split_missing(self.prepared.targets[judged_rows])
        judged = judged_rows - np.repeat(begin - offsets[:-1], counts)
        return Batch(
            inputs=Ragged(torch.from_numpy(features), torch.from_numpy(offsets)),
            future=torch.zeros(len(index), 0, 0),
            targets=targets,
            observed=observed,
            index=torch.from_numpy(index),
            judged=torch.from_numpy(judged),
        )


def _ranges(first: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """The numbers first[i], first[i] + 1, … of each range one below the other, and the offsets of the ranges."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return np.arange(offsets[-1], dtype=np.int64) + np.repeat(first - offsets[:-1], counts), offsets
