"""How long a trained run takes to predict one window: from a frame (read, prepared, predicted, written as a frame) and alone.

    python benchmarks/bench_predict.py [--busy 2] [--json FILE]

Trains a small forecast model on made-up hourly data first. Prints a table in Markdown: medians in milliseconds. With --busy so
many other programs compute meanwhile, as they do on a machine that is not ours alone.
"""

import argparse
import contextlib
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import torch

import gatework
from gatework.data.future import append_horizon
from gatework.data.layout import build_table
from gatework.data.samples import ForecastSamples
from gatework.data.split import Split
from gatework.train import Request, train_model
from gatework.train.watch import Silent

REPETITIONS = 200
BUSY_S = 120
"""Other programs end by themselves after so many seconds."""
WINDOW, HORIZON = 72, 24


def waves(count: int) -> pl.DataFrame:
    generator = np.random.default_rng(0)
    when = pl.datetime_range(datetime(2020, 1, 1), datetime(2030, 1, 1), "1h", eager=True).head(count)
    load = 10 + 3 * np.sin(2 * np.pi * np.arange(count) / 24) + generator.normal(0, 0.1, count)
    return pl.DataFrame({"when": when, "load": load, "temp": generator.normal(15, 5, count)})


def median_ms(action: Callable[[], object]) -> float:
    for _ in range(20):  # warm-up: caches, thread pools
        action()
    times = []
    for _ in range(REPETITIONS):
        started = time.perf_counter()
        action()
        times.append(1e3 * (time.perf_counter() - started))
    return statistics.median(times)


@contextlib.contextmanager
def busy(programs: int) -> Iterator[None]:
    """So many other programs that compute meanwhile."""
    code = f"import time\nend = time.monotonic() + {BUSY_S}\nwhile time.monotonic() < end: pass"
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(programs)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def measure(folder: Path, programs: int) -> dict[str, float]:
    data = waves(2000)
    request = Request(target="load", horizon=HORIZON, window=WINDOW, hidden_size=64, epochs=1)
    predictor = gatework.load(train_model(data, request, out=folder / "run", watch=Silent()))
    trained = predictor.trained
    window = data.tail(WINDOW)

    def table() -> object:
        return append_horizon(build_table(window, trained.plan.data, targets_required=False), HORIZON)

    known = append_horizon(build_table(window, trained.plan.data, targets_required=False), HORIZON)
    prepared = trained.preparation.apply(known, Split.all_test(known))
    batch = ForecastSamples(prepared, None, "test", WINDOW, HORIZON).batch(np.array([0]))

    def network() -> torch.Tensor:
        with torch.inference_mode():
            return trained.network.predict(batch)

    with busy(programs):
        return {
            "Predictor.predict, a frame of one window": median_ms(lambda: predictor.predict(window)),
            "of it: the frame as a table": median_ms(table),
            "of it: the table as numbers": median_ms(lambda: trained.preparation.apply(known, Split.all_test(known))),
            "of it: the network": median_ms(network),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="so many other programs compute meanwhile")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        medians = measure(Path(folder), given.busy)
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, polars {pl.__version__}"
    print(
        f"LSTM of 64 units, window {WINDOW}, horizon {HORIZON}; median of {REPETITIONS}; {given.busy} other programs; {machine}\n"
    )
    print("| what | ms |\n|---|---|")
    for what, value in medians.items():
        print(f"| {what} | {value:.2f} |")
    if given.json:
        given.json.write_text(json.dumps({"machine": machine, "repetitions": REPETITIONS, "median_ms": medians}, indent=1))


if __name__ == "__main__":
    main()
