"""ETTh1, multivariate, horizons 96 to 720: standardised MSE and MAE on the test months of the Informer protocol.

    python benchmarks/bench_ett.py [--data ../shared/data] [--horizons 96 192] [--members 3] [--part test] [--json FILE]

Rows 0–8639 train, 8640–11519 validate (the best epoch and the settings), 11520–14399 test. Every window is scored whose horizon
lies wholly inside the part (2785 of the test at horizon 96); none is dropped at the end. Errors are measured on the scale of the
training rows' mean and deviation, over all steps and all seven columns. The network is given no time stamps.
The members differ in their seed; "mean" is the error of their average forecast.
"""

import argparse
import json
import lzma
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

import gatework
import gatework.runs
from gatework import Request, train_model
from gatework.data.dataset import open_dataset
from gatework.model import network_outputs
from gatework.train.watch import Silent

ENDS = (8640, 11520, 14400)
COLUMNS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
REQUEST = Request(
    target=COLUMNS, time="step", split_column="part", window=720, segment=48, normalise="last", decoder="position",
    channels="apart", linear_steps=0, loss="mae", hidden_size=64, dropout=0.3, epochs=8, patience=8, batch_size=32,
    weight_decay=0.0,
)  # fmt: skip


RATES = {96: 1e-3, 192: 3e-4, 336: 3e-4, 720: 3e-4}
"""By horizon; other ones take the last. Chosen, like all of the request, on the validation rows."""


def read_frame(data: Path) -> pl.DataFrame:
    """The three parts, numbered instead of dated."""
    with lzma.open(data / "ett" / "ETTh1.csv.xz", "rb") as file:
        frame = pl.read_csv(file.read()).select(COLUMNS).head(ENDS[-1])
    step = np.arange(frame.height)
    part = np.array(["train", "validation", "test"])[np.searchsorted(ENDS, step, side="right")]
    return frame.with_columns(pl.Series("step", step), pl.Series("part", part))


def forecasts(run: Path, frame: pl.DataFrame, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The run's forecasts of every window of a part, and the truth, both in training deviations."""
    trained = gatework.load(run).trained
    dataset = open_dataset(gatework.runs.RunFolder(run), frame)
    samples = trained.task.samples(dataset.prepared, dataset.split, part)
    values = trained.task.decode(network_outputs(trained.network, samples), trained.preparation)
    raw = frame.select(COLUMNS).to_numpy()
    deviation = raw[: ENDS[0]].std(axis=0)
    truth = raw[samples.origin[:, None] + np.arange(samples.horizon)]
    return (values / deviation).astype(np.float32), (truth / deviation).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[1] / ".." / "shared" / "data")
    parser.add_argument("--horizons", type=int, nargs="*", default=[96, 192, 336, 720])
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--part", choices=["validation", "test"], default="test")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change the request, for trying out")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if not (given.data / "ett").is_dir():
        print(f"Skipped: there is no folder '{given.data / 'ett'}'. Name the data's folder with --data.")
        return
    changes = {name: json.loads(value) for name, value in (item.split("=", 1) for item in given.set)}
    frame = read_frame(given.data)
    results = []
    print("| horizon | member | MSE | MAE | windows | best epoch | minutes |\n|---|---|---|---|---|---|---|")

    def tell(horizon: int, member: str, found: np.ndarray, truth: np.ndarray, epoch: str, minutes: float) -> None:
        mse, mae = float(np.square(found - truth).mean()), float(np.abs(found - truth).mean())
        print(f"| {horizon} | {member} | {mse:.3f} | {mae:.3f} | {len(truth)} | {epoch} | {minutes:.1f} |", flush=True)
        results.append({"horizon": horizon, "member": member, "mse": mse, "mae": mae, "windows": len(truth), "minutes": minutes})

    for horizon in given.horizons:
        begun, total = time.perf_counter(), 0
        for seed in range(given.members):
            started = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                rate = RATES.get(horizon, RATES[720])
                request = REQUEST.model_copy(update={"horizon": horizon, "seed": seed, "learning_rate": rate, **changes})
                run = train_model(frame, request, out=Path(folder) / "run", watch=Silent())
                best = min(run.read_history(), key=lambda row: row.validation_loss).epoch
                found, truth = forecasts(run.path, frame, given.part)
            total = total + found
            tell(horizon, f"seed {seed}", found, truth, str(best), (time.perf_counter() - started) / 60)
        tell(horizon, f"mean of {given.members}", total / given.members, truth, "–", (time.perf_counter() - begun) / 60)
    if given.json:
        given.json.write_text(json.dumps({"part": given.part, "results": results}, indent=1))


if __name__ == "__main__":
    main()
