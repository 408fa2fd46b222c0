"""Baselines where every step has an answer: what was known so far of the same series, in a few numbers or as the last answer."""

import numpy as np

from gatework.tasks.metrics.scores import Array, BoolArray, IntArray

STEP_WORDS = "the inputs of the step, their change since the step before, their mean so far, and the number of steps so far"


def running_features(values: Array, offsets: IntArray) -> Array:
    """A few numbers for each step, of it and of those before it in its sequence: (total_steps, 3 · channels + 1), float64.

    values: (total_steps, channels), float64, finite. offsets: (num_sequences + 1,). Columns: the inputs, their change since the
    step before (0 at the first), their mean up to this step, log(1 + steps before). No later step enters a row.
    """
    lengths = np.diff(offsets)
    start = np.repeat(offsets[:-1], lengths)
    place = np.arange(len(values)) - start
    rows = values
    change = np.zeros_like(rows)
    change[1:] = rows[1:] - rows[:-1]
    change[place == 0] = 0.0
    # sums of float64 over all sequences: the start of a long table costs a later mean a few of its 16 digits
    running = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    mean = (running[1:] - running[start]) / (place + 1)[:, None]
    return np.concatenate([rows, change, mean, np.log1p(place)[:, None]], axis=1)


def last_known(known: BoolArray, offsets: IntArray) -> IntArray:
    """(total_steps,) for each step the latest earlier row of its sequence that is known, −1 when there is none."""
    rows = np.arange(len(known), dtype=np.int64)
    latest = np.maximum.accumulate(np.where(known, rows, -1))
    before = np.concatenate([[-1], latest[:-1]]) if len(known) else latest
    start = np.repeat(offsets[:-1], np.diff(offsets))
    result: IntArray = np.where(before >= start, before, -1)
    return result


def followed_by(classes: IntArray, known: BoolArray, offsets: IntArray, frequencies: Array) -> Array:
    """How often each class came after each last known one: (num_classes, num_classes), rows are the last one and sum to 1.

    classes: (total_steps,) class index. known: (total_steps,) the rows that count. frequencies: (num_classes,), added as one
    count to every row, so that nothing is impossible.
    """
    previous = last_known(known, offsets)
    counted = known & (previous >= 0)
    counts = np.tile(frequencies, (len(frequencies), 1))
    np.add.at(counts, (classes[previous[counted]], classes[counted]), 1.0)
    shares: Array = counts / counts.sum(axis=1, keepdims=True)
    return shares
