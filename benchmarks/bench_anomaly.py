"""Anomaly detection: a series of the UCR archive with one planted fault, both methods, several seeds, beside simple methods.

The first 1,200 steps are the archive's training part: 900 train, 300 validate. Window, leads and threshold are decided there;
labels are read after everything else. With --synthetic, five kinds of faults in series that this script makes are measured.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from gatework.evaluate import evaluate_run
from gatework.runs import Evaluation, Plan
from gatework.train import Request, train_model
from gatework.train.watch import Silent

FILE = "tsad_small/135_UCR_Anomaly_InternalBleeding16_TEST.csv.xz"
TRAIN, VALIDATION = 900, 1200
COUNT, PLACE, LENGTH, PERIOD = 3000, 2500, 30, 50


def main() -> None:
    """Train, judge and print one line per seed, then the simple methods once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parent.parent.parent / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", nargs="+", default=["forecast", "reconstruction"])
    parser.add_argument("--synthetic", action="store_true")
    given = parser.parse_args()
    from gatework.data.read import read_frame

    series = {"InternalBleeding16": with_parts(read_frame(given.data / FILE), TRAIN, VALIDATION)}
    if given.synthetic:
        series = {kind: with_parts(synthetic(kind), 1500, 2000) for kind in FAULTS}
    for name, frame in series.items():
        for method in given.methods:
            for seed in range(given.seeds):
                measure(name, frame, method, seed, with_baselines=seed == 0)


def with_parts(frame: pl.DataFrame, train: int, validation: int) -> pl.DataFrame:
    """The frame with a column that says which part each row is in, by its place."""
    place = pl.int_range(pl.len())
    part = (
        pl.when(place < train).then(pl.lit("train")).when(place < validation).then(pl.lit("validation")).otherwise(pl.lit("test"))
    )
    return frame.with_columns(part.alias("part"))


def measure(name: str, frame: pl.DataFrame, method: str, seed: int, *, with_baselines: bool) -> None:
    """One training and its scores."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        request = Request.model_validate({"task": "anomaly", "method": method, "split_column": "part", "seed": seed})
        run = train_model(frame, request, out=Path(folder) / "run", watch=Silent())
        evaluation = evaluate_run(run, data=frame)
        plan = run.read("config.json", Plan)
    seconds = time.perf_counter() - started
    print(f"{name:20} {method:16} seed {seed} window {plan.window} {scores_of(evaluation, 0)} {seconds:6.1f} s", flush=True)
    if with_baselines:
        for number, row in enumerate(evaluation.rows[1:], start=1):
            print(f"{name:20} {row.name:16} {'':17} {scores_of(evaluation, number)}", flush=True)


def scores_of(evaluation: Evaluation, number: int) -> str:
    """One row of the table in a line."""
    scores = evaluation.rows[number].scores
    values = [(metric.name, scores[metric.name].value) for metric in evaluation.metrics]
    return ", ".join(f"{name} {'–' if value is None else f'{value:.3g}'}" for name, value in values)


def synthetic(kind: str) -> pl.DataFrame:
    """Two channels that swing together, with one fault of LENGTH steps at PLACE."""
    generator = np.random.default_rng(sum(map(ord, kind)))
    phase = 2 * np.pi * np.arange(COUNT) / PERIOD
    first = np.sin(phase) + 0.4 * np.sin(2 * phase)
    second = 0.8 * first
    inside = slice(PLACE, PLACE + LENGTH)
    FAULTS[kind](first, second, inside)
    noise = generator.normal(0, 0.05, (2, COUNT))
    labels = np.zeros(COUNT, dtype=np.int64)
    labels[inside] = 1
    return pl.DataFrame({"first": first + noise[0], "second": second + noise[1], "is_anomaly": labels})


def spike(first: np.ndarray, second: np.ndarray, inside: slice) -> None:
    """A few values far off."""
    first[inside][::10] += 1.0


def level_shift(first: np.ndarray, second: np.ndarray, inside: slice) -> None:
    """Both channels lie higher."""
    first[inside] += 0.5
    second[inside] += 0.4


def frequency_change(first: np.ndarray, second: np.ndarray, inside: slice) -> None:
    """Both swing one and a half times as fast."""
    faster = 2 * np.pi * (inside.start + 1.5 * np.arange(LENGTH)) / PERIOD
    first[inside] = np.sin(faster) + 0.4 * np.sin(2 * faster)
    second[inside] = 0.8 * first[inside]


def missing_beat(first: np.ndarray, second: np.ndarray, inside: slice) -> None:
    """Nothing happens."""
    first[inside] = first[inside.start]
    second[inside] = second[inside.start]


def decorrelation(first: np.ndarray, second: np.ndarray, inside: slice) -> None:
    """The second channel goes on alone, at another phase."""
    second[inside] = np.roll(second, 10)[inside]


FAULTS = {
    "spike": spike,
    "level shift": level_shift,
    "frequency change": frequency_change,
    "missing beat": missing_beat,
    "decorrelation": decorrelation,
}

if __name__ == "__main__":
    main()
