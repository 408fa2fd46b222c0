"""Training on many series and going on with few: ten series of M4 with a short history, beside 349 (or 404) others in full.

    python benchmarks/fine_tune.py [--data ../shared/data] [--frequency Weekly] [--seeds 3] [--json FILE]

Each seed draws ten other series and keeps only the end of their history; its last horizon validates, the official test file
tests. Four ways to forecast them: the last season, repeated; a network trained on the ten alone; the network of the others as it
is; that network, trained on with the ten (`--init-from`). Where a way has settings, that of the lowest mean validation error over
the seeds is taken, and the test is read for it alone. The error is MASE, by the change over a season within the short history.
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

from gatework import Request, load, train_model
from gatework.train.watch import Silent

HELD_OUT = 10
COMMON = {"target": "value", "series": "series", "time": "step", "split_column": "part"}
ALONE: dict[str, dict[str, object]] = {
    "as trained on many": {},
    "hidden 32": {"hidden_size": 32},
    "hidden 32, half the window": {"hidden_size": 32, "window": 0.5},
    "hidden 32, 60 epochs": {"hidden_size": 32, "epochs": 60, "patience": 60},
}
FINE_TUNED: dict[str, dict[str, object]] = {
    "usual": {},
    "a fifth of the rate": {"learning_rate": 1e-4},
    "frozen": {"freeze": True},
    "30 epochs": {"epochs": 30, "patience": 30},
}
"""The settings that the validation part chooses from, by name. window: a share of that of the others."""


@dataclass(frozen=True)
class Frequency:
    """kept: steps of the short history, the validating horizon among them. season: of MASE and of the simple forecast."""

    horizon: int
    season: int
    kept: int
    request: Request


FREQUENCIES = {
    "Weekly": Frequency(
        13, 1, 104,
        Request(**COMMON, horizon=13, window=52, season=1, normalise="standard", linear_steps=0, hidden_size=64, dropout=0.2,
                epochs=10, batch_size=64),
    ),
    "Hourly": Frequency(
        48, 24, 480,
        Request(**COMMON, horizon=48, window=168, season=24, segment=24, normalise="season", decoder="position",
                linear_steps=168, loss="mase", hidden_size=64, dropout=0.2, epochs=10, batch_size=64),
    ),
}  # fmt: skip


def read_series(file: Path) -> list[np.ndarray]:
    """Each row's numbers, without the blanks at the end."""
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        next(lines)
        rows = [line.rstrip("\n").replace('"', "").split(",")[1:] for line in lines]
    return [np.array([float(cell) for cell in row if cell], dtype=np.float64) for row in rows]


def as_frame(histories: list[np.ndarray], horizon: int) -> pl.DataFrame:
    """One row a step. The last horizon validates; a test part of its own follows, of which nothing is known."""
    frames = []
    for number, own in enumerate(histories):
        values = np.concatenate([own, np.repeat(own[-1:], horizon)])  # the test is never read by a training
        parts = ["train"] * (len(own) - horizon) + ["validation"] * horizon + ["test"] * horizon
        frames.append(pl.DataFrame({"series": f"s{number:03}", "step": np.arange(len(values)), "value": values, "part": parts}))
    return pl.concat(frames)


def forecasts(run: Path, histories: list[np.ndarray], horizon: int) -> np.ndarray:
    """(series, horizon) from the end of each history."""
    frame = as_frame(histories, horizon).filter(pl.col("part") != "test")
    found = load(run).predict(frame).frame.sort("series", "step")
    return found["prediction"].to_numpy().reshape(len(histories), horizon)


def mase(histories: list[np.ndarray], truth: np.ndarray, forecast: np.ndarray, season: int) -> float:
    """The mean over the series of the absolute error in changes over a season."""
    scale = np.array([np.mean(np.abs(own[season:] - own[:-season])) for own in histories])
    return float(np.mean(np.abs(truth - forecast).mean(1) / scale))


def naive(histories: list[np.ndarray], horizon: int, season: int) -> np.ndarray:
    """The last season, repeated."""
    return np.array([own[len(own) - season + np.arange(horizon) % season] for own in histories])


def one_seed(frequency: Frequency, train: list[np.ndarray], test: list[np.ndarray], seed: int, folder: Path) -> dict[str, object]:
    """By way and setting the validation and the test error; the test is looked at by `main` for the chosen ones alone."""
    horizon, season = frequency.horizon, frequency.season
    long_enough = [number for number, own in enumerate(train) if len(own) >= frequency.kept]
    few = np.random.default_rng(seed).choice(long_enough, HELD_OUT, replace=False).tolist()
    short = [train[number][-frequency.kept :] for number in few]
    before, validated = [own[:-horizon] for own in short], np.array([own[-horizon:] for own in short])
    tested = np.array([test[number] for number in few])
    others = as_frame([own for number, own in enumerate(train) if number not in few], horizon)
    frame = as_frame(short, horizon)

    def errors(run: Path) -> tuple[float, float]:
        return (
            mase(before, validated, forecasts(run, before, horizon), season),
            mase(short, tested, forecasts(run, short, horizon), season),
        )

    def trained(name: str, data: pl.DataFrame, request: Request) -> Path:
        return train_model(data, request, out=folder / f"{seed}-{name}", watch=Silent()).path

    request = frequency.request.model_copy(update={"seed": seed})
    started = time.perf_counter()
    many = trained("many", others, request)
    minutes = (time.perf_counter() - started) / 60
    simple = (
        mase(before, validated, naive(before, horizon, season), season),
        mase(short, tested, naive(short, horizon, season), season),
    )
    found: dict[str, dict[str, tuple[float, float]]] = {
        "last season, repeated": {"": simple},
        "others, as they are": {"": errors(many)},
    }
    started = time.perf_counter()
    found["ten alone"] = {}
    for name, changes in ALONE.items():
        share = changes.get("window", 1.0)
        assert isinstance(share, float)
        window = round(share * frequency.request.window)
        alone = request.model_copy(update={**changes, "window": window, "linear_steps": min(request.linear_steps, window)})
        found["ten alone"][name] = errors(trained(f"alone-{name}", frame, alone))
    found["others, then the ten"] = {}
    for name, changes in FINE_TUNED.items():
        further = Request(**COMMON, init_from=str(many), seed=seed, loss=request.loss, **changes)
        found["others, then the ten"][name] = errors(trained(f"tuned-{name}", frame, further))
    few_minutes = (time.perf_counter() - started) / 60 / (len(ALONE) + len(FINE_TUNED))
    return {"errors": found, "minutes": minutes, "few_minutes": few_minutes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[1] / ".." / "shared" / "data")
    parser.add_argument("--frequency", choices=list(FREQUENCIES), default="Weekly")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if not (given.data / "m4").is_dir():
        print(f"Skipped: there is no folder '{given.data / 'm4'}'. Name the data's folder with --data.")
        return
    frequency = FREQUENCIES[given.frequency]
    train = read_series(given.data / "m4" / f"{given.frequency}-train.csv.xz")
    test = read_series(given.data / "m4" / f"{given.frequency}-test.csv.xz")
    with tempfile.TemporaryDirectory() as folder:
        runs = [one_seed(frequency, train, test, seed, Path(folder)) for seed in range(given.seeds)]
    minutes = [np.mean([run[name] for run in runs]) for name in ("minutes", "few_minutes")]
    print(f"\nM4 {given.frequency}, {given.seeds} draws of {HELD_OUT} series with {frequency.kept} steps; ", end="")
    print(f"{minutes[0]:.1f} min for the others, {minutes[1]:.2f} for the ten")
    print("\n| | validation MASE | test MASE | each draw |\n|---|---|---|---|")
    for way in runs[0]["errors"]:
        validation = {name: np.mean([run["errors"][way][name][0] for run in runs]) for name in runs[0]["errors"][way]}
        chosen = min(validation, key=validation.__getitem__)
        tests = [run["errors"][way][chosen][1] for run in runs]
        row = f"{way}{f' ({chosen})' if chosen else ''}"
        print(f"| {row} | {validation[chosen]:.3f} | {np.mean(tests):.3f} | {', '.join(f'{each:.3f}' for each in tests)} |")
    print("\nvalidation MASE of the settings that were tried:")
    for way in ("ten alone", "others, then the ten"):
        for name in runs[0]["errors"][way]:
            print(f"  {way}, {name}: {np.mean([run['errors'][way][name][0] for run in runs]):.3f}")
    if given.json:
        given.json.write_text(json.dumps(runs, indent=1))


if __name__ == "__main__":
    main()
