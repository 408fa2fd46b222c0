"""When masks, decay and the time between steps help against filling: simulated sequences of which the truth is known.

Three tasks, each a classification of whole sequences in two equally frequent classes:

    informative  the class decides how often a value is measured, not what it is: 25 or 45 % of the steps
    fading       the last measurement tells the class, but only while it is young: it is then a noisy copy of a state that forgets
    spacing      all values are noise; the class decides whether long and short steps alternate or come in runs

`python benchmarks/irregular.py` prints the mean test accuracy over the seeds and its range, and what a step of each cell costs.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import torch

import gatework
from gatework.cells import CELLS
from gatework.engine import why_not_compiled

WAYS: dict[str, dict[str, str]] = {
    "lstm, without time stamps": {"cell": "lstm", "missing": "previous", "ignore": "time"},
    "lstm, filled with the mean": {"cell": "lstm", "missing": "mean"},
    "lstm, filled with the last": {"cell": "lstm", "missing": "previous"},
    "lstm, mask": {"cell": "lstm", "missing": "mask"},
    "lstm, decay": {"cell": "lstm", "missing": "decay"},
    "gru_d": {"cell": "gru_d"},
    "t_lstm, mask": {"cell": "t_lstm", "missing": "mask"},
    "phased, mask": {"cell": "phased", "missing": "mask"},
}
STEPS = 40
Sequence = tuple[np.ndarray, np.ndarray]
"""Times (steps,) and values (steps,), NaN where nothing was measured."""


def informative(draw: np.random.Generator, label: int) -> Sequence:
    """How often something is measured tells the class."""
    values = draw.normal(size=STEPS)
    values[draw.random(STEPS) > (0.25, 0.45)[label]] = np.nan
    return np.arange(STEPS, dtype=float), values


def fading(draw: np.random.Generator, label: int) -> Sequence:
    """A state that forgets, measured now and then; the class is the sign of the state at the end."""
    state = np.zeros(STEPS)
    noise = draw.normal(size=STEPS)
    for step in range(1, STEPS):
        state[step] = 0.85 * state[step - 1] + 0.53 * noise[step]
    state *= np.sign(state[-1]) * (1 if label else -1)
    values = state + 0.2 * draw.normal(size=STEPS)
    values[draw.random(STEPS) > 0.2] = np.nan
    return np.arange(STEPS, dtype=float), values


def spacing(draw: np.random.Generator, label: int) -> Sequence:
    """Long and short steps alternate, or come in runs; the values tell nothing."""
    long_steps = np.arange(STEPS) % 2 == 0 if label else (np.arange(STEPS) // 4) % 2 == 0
    gaps = np.where(long_steps, 4.0, 0.5) * draw.lognormal(0.0, 0.3, STEPS)
    return np.cumsum(gaps), draw.normal(size=STEPS)


TASKS: dict[str, Callable[[np.random.Generator, int], Sequence]] = {
    "informative": informative,
    "fading": fading,
    "spacing": spacing,
}


def frame_of(task: str, count: int, seed: int) -> pl.DataFrame:
    """`count` sequences, one row a step."""
    draw, parts = np.random.default_rng(seed), []
    start = datetime(2026, 1, 1)
    for number in range(count):
        label = int(draw.integers(2))
        times, values = TASKS[task](draw, label)
        stamps = [start + timedelta(seconds=round(3600 * float(hour))) for hour in times]
        part = pl.DataFrame({"patient": f"p{number:04}", "time": stamps, "value": values, "class": "ab"[label]})
        parts.append(part.with_columns(pl.col("value").fill_nan(None)))
    return pl.concat(parts)


def accuracy(frame: pl.DataFrame, way: dict[str, str], seed: int, epochs: int, folder: Path) -> float:
    """Of a training, on the test part."""
    way = dict(way)
    if way.pop("ignore", ""):
        frame = frame.drop("time")
    request = gatework.Request(
        target="class", hidden_size=16, bidirectional=False, epochs=epochs, batch_size=64, learning_rate=5e-3, dropout=0.1,
        seed=seed, refit=False, **way,
    )  # fmt: skip
    run = gatework.train_model(frame, request, out=folder)
    row = next(row for row in gatework.evaluate_run(run, data=frame).rows if row.kind == "model")
    value = row.scores["accuracy"].value
    assert value is not None
    return value


def step_costs(hidden_size: int = 32) -> dict[str, float]:
    """Microseconds of a training step, per step and sequence: the median of nine, on this machine."""
    costs = {}
    for name in ("lstm", "gru", "gru_d", "t_lstm", "phased"):
        layer = gatework.Recurrent(name, 16, hidden_size)
        reason = why_not_compiled(CELLS[name], layer._weights(0)[0])
        assert reason is None, reason
        x, times = torch.rand(100, 64, 16), []
        for _ in range(10):
            start = time.perf_counter()
            layer(x)[0].sum().backward()
            times.append(time.perf_counter() - start)
        costs[name] = statistics.median(times[1:]) / (100 * 64) * 1e6
    return costs


def main() -> None:
    """The comparison, then the costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sequences", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--only", default="", help="only the ways whose name holds this text")
    options = parser.parse_args()
    for task in TASKS:
        print(f"{task}: test accuracy, mean of {options.seeds} seeds [least, greatest]", flush=True)
        for name, way in ((name, way) for name, way in WAYS.items() if options.only in name):
            found = []
            for seed in range(options.seeds):
                with TemporaryDirectory() as folder:
                    frame = frame_of(task, options.sequences, seed)
                    found.append(accuracy(frame, way, seed, options.epochs, Path(folder) / "run"))
            print(f"  {name:28} {statistics.mean(found):.3f} [{min(found):.3f}, {max(found):.3f}]", flush=True)
    print("training, µs per step and sequence (16 inputs, 32 units, 64 sequences of 100 steps):")
    for name, cost in step_costs().items():
        print(f"  {name:28} {cost:.2f}")


if __name__ == "__main__":
    main()
