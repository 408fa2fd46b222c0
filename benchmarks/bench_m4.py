"""M4 Hourly and Weekly: one network for all series of a frequency, the official test, sMAPE, MASE and OWA.

    python benchmarks/bench_m4.py [--data ../shared/data] [--only Hourly] [--members 3] [--part test] [--json FILE]

The last horizon of each training series validates (epochs and settings are chosen on it); the official test file is read for the
last line only. OWA is the mean of sMAPE and MASE, each divided by that of Naive2 as the organisers publish it. The forecasts of
the members (other seeds) are averaged.
"""

import argparse
import json
import lzma
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from gatework import Request, evaluate_run, train_model
from gatework.train.watch import Silent


@dataclass(frozen=True)
class Frequency:
    """season: of MASE, as the organisers set it. naive2: its published sMAPE and MASE. request: how the network is trained."""

    name: str
    horizon: int
    season: int
    naive2: tuple[float, float]
    request: Request


COMMON = {"target": "value", "series": "series", "time": "step", "split_column": "part"}
HOURLY = Request(
    **COMMON, horizon=48, window=336, season=168, segment=24, normalise="season", decoder="position", linear_steps=336,
    loss="mase", hidden_size=64, dropout=0.2, epochs=20, patience=20, batch_size=64, learning_rate=2e-3,
)  # fmt: skip
WEEKLY = Request(
    **COMMON, horizon=13, window=52, season=1, normalise="standard", linear_steps=0, hidden_size=128, dropout=0.2, epochs=20,
    patience=20, batch_size=64, learning_rate=2e-3,
)  # fmt: skip
FREQUENCIES = {
    "Hourly": Frequency("Hourly", 48, 24, (18.383, 2.395), HOURLY),
    "Weekly": Frequency("Weekly", 13, 1, (9.161, 2.777), WEEKLY),
}


def read_series(file: Path) -> list[np.ndarray]:
    """Each row's numbers, without the blanks at the end."""
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        next(lines)
        rows = [line.rstrip("\n").replace('"', "").split(",")[1:] for line in lines]
    return [np.array([float(cell) for cell in row if cell], dtype=np.float64) for row in rows]


def as_frame(train: list[np.ndarray], test: list[np.ndarray], horizon: int) -> pl.DataFrame:
    """One row a step: the last horizon of the training validates, the official test tests."""
    frames = []
    for number, (past, coming) in enumerate(zip(train, test, strict=True)):
        parts = ["train"] * (len(past) - horizon) + ["validation"] * horizon + ["test"] * len(coming)
        values = np.concatenate([past, coming])
        frames.append(pl.DataFrame({"series": f"s{number:03}", "step": np.arange(len(values)), "value": values, "part": parts}))
    return pl.concat(frames)


def owa(frequency: Frequency, past: list[np.ndarray], truth: np.ndarray, forecast: np.ndarray) -> tuple[float, float, float]:
    """sMAPE (0 to 200), MASE and OWA as the competition defines them. truth, forecast: (series, horizon)."""
    error = np.abs(truth - forecast)
    smape = float(np.mean(200 * error / (np.abs(truth) + np.abs(forecast))))
    scale = np.array([np.mean(np.abs(own[frequency.season :] - own[: -frequency.season])) for own in past])
    mase = float(np.mean(error / scale[:, None]))
    return smape, mase, (smape / frequency.naive2[0] + mase / frequency.naive2[1]) / 2


def measure(frequency: Frequency, data: Path, members: int, part: str, changes: dict[str, object]) -> dict[str, object]:
    train = read_series(data / "m4" / f"{frequency.name}-train.csv.xz")
    test = read_series(data / "m4" / f"{frequency.name}-test.csv.xz")
    frame = as_frame(train, test, frequency.horizon)
    past = train if part == "test" else [own[: -frequency.horizon] for own in train]
    truth = np.array(test) if part == "test" else np.array([own[-frequency.horizon :] for own in train])
    step = np.arange(frequency.horizon)
    naive = np.array([own[len(own) - frequency.season + step % frequency.season] for own in past])
    rows = {"seasonal naive": owa(frequency, past, truth, naive)}
    started = time.perf_counter()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(members):
            request = frequency.request.model_copy(update={"seed": seed, **changes})
            run = train_model(frame, request, out=Path(folder) / f"{seed}", watch=Silent())
            found.append(predicted(run.path, frame, part, len(train)))
            rows[f"seed {seed}"] = owa(frequency, past, truth, found[-1])
    rows[f"mean of {members}"] = owa(frequency, past, truth, np.mean(found, axis=0))
    return {"minutes": (time.perf_counter() - started) / 60, "rows": rows}


def predicted(run: Path, frame: pl.DataFrame, part: str, num_series: int) -> np.ndarray:
    evaluate_run(run, data=frame, part=part)
    name = "predictions.parquet" if part == "test" else f"predictions-{part}.parquet"
    found = pl.read_parquet(run / name).sort("series", "step")
    return found["prediction"].to_numpy().reshape(num_series, -1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[1] / ".." / "shared" / "data")
    parser.add_argument("--only", choices=list(FREQUENCIES))
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--part", choices=["validation", "test"], default="test")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change the request, for trying out")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if not (given.data / "m4").is_dir():
        print(f"Skipped: there is no folder '{given.data / 'm4'}'. Name the data's folder with --data.")
        return
    changes = {name: json.loads(value) for name, value in (item.split("=", 1) for item in given.set)}
    results = {}
    for name, frequency in FREQUENCIES.items():
        if given.only in (None, name):
            results[name] = measure(frequency, given.data, given.members, given.part, changes)
            print(f"\nM4 {name}, {given.part}, {results[name]['minutes']:.1f} min\n\n| | sMAPE | MASE | OWA |\n|---|---|---|---|")
            for row, (smape, mase, both) in results[name]["rows"].items():
                print(f"| {row} | {smape:.3f} | {mase:.3f} | {both:.3f} |", flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
