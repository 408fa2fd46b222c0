"""Whole sequences classified: Japanese Vowels, BasicMotions, pen digits (accuracy) and credit-card default (AUROC, 5 folds).

    python benchmarks/bench_classify.py [--data ../shared/data] [--only jv|motions|pendigits|credit] [--seeds 5] [--json FILE]

Settings are the defaults of `train_model`, which come from cross-validation inside the training parts; the pen digits have twice
the epochs and augmentation, chosen on stretches of the training file. `--set` changes one, for trying out. The official test
parts are read once, for the last line; nothing is chosen by them.
"""

import argparse
import json
import lzma
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import polars as pl

from gatework import Request, evaluate_run, train_model
from gatework.runs import Evaluation
from gatework.tasks.metrics.ranking import auroc, let_in
from gatework.train.watch import Silent

FOLDS = 5
Changes = dict[str, object]


def accuracy_of(source: object, request: Request, out: Path) -> dict[str, float]:
    """Train once; the accuracy of the model and of its baselines on the test part."""
    run = train_model(source, request, out=out, watch=Silent())
    evaluation: Evaluation = evaluate_run(run, source if isinstance(source, pl.DataFrame) else None)
    return {row.name: float(row.scores["accuracy"].value or 0.0) for row in evaluation.rows}


def by_seeds(source: object, request: Request, num_seeds: int, folder: Path) -> dict[str, object]:
    """The accuracy of each seed, and of the baselines, which have none."""
    found = [accuracy_of(source, request.model_copy(update={"seed": seed}), folder / str(seed)) for seed in range(num_seeds)]
    name = next(iter(found[0]))
    accuracies = [row[name] for row in found]
    others = {key: value for key, value in found[0].items() if key != name}
    return {"metric": "accuracy", "mean": fmean(accuracies), "seeds": accuracies, "baselines": others}


def archive(name: str) -> Callable[[Path, int, Changes, Path], dict[str, object]]:
    """A set of the UCR/UEA archive with its official parts."""

    def measure(data: Path, num_seeds: int, changes: Changes, folder: Path) -> dict[str, object]:
        train, test = (str(data / "ucr_uea" / f"{name}_{part}.ts.xz") for part in ("TRAIN", "TEST"))
        return by_seeds(train, Request(target="class", test=(test,), **changes), num_seeds, folder)  # type: ignore[arg-type]

    return measure


def pen_digits(data: Path, num_seeds: int, changes: Changes, folder: Path) -> dict[str, object]:
    """Eight points of the pen each; the writers of the test part are others."""
    frames = []
    for part, name in (("train", "tra"), ("test", "tes")):
        with lzma.open(data / "pendigits" / f"pendigits.{name}.xz", "rt") as lines:
            rows = np.array([[int(cell) for cell in line.split(",")] for line in lines if line.strip()])
        count = len(rows)
        frames.append(
            pl.DataFrame(
                {
                    "stroke": np.repeat([f"{part} {number}" for number in range(count)], 8),
                    "point": np.tile(np.arange(8), count),
                    "x": rows[:, 0:16:2].ravel(),
                    "y": rows[:, 1:16:2].ravel(),
                    "digit": np.repeat(rows[:, 16], 8),
                    "part": [part] * (8 * count),
                }
            )
        )
    changes = {"epochs": 40, "patience": 41, "augment": ("jitter=0.1", "scale=0.1"), **changes}
    request = Request(target="digit", task="classify", series="stroke", time="point", split_column="part", **changes)  # type: ignore[arg-type]
    return by_seeds(pl.concat(frames), request, num_seeds, folder)


def credit_frame(data: Path) -> pl.DataFrame:
    """One row a month, the oldest first (the file has the newest first); what is known of the client beside it.

    Amounts as signed logarithms beside the bill as a share of the limit: functions of one row alone. Codes are categories.
    """
    wide = pl.read_csv(
        lzma.decompress((data / "credit_default_uci" / "UCI_Credit_Card.csv.xz").read_bytes()), infer_schema_length=None
    )
    months = []
    for month, number in enumerate(range(6, 0, -1)):
        limit = pl.col("LIMIT_BAL")
        bill, paid = pl.col(f"BILL_AMT{number}"), pl.col(f"PAY_AMT{number}")
        status = pl.col("PAY_0" if number == 1 else f"PAY_{number}")
        months.append(
            wide.select(
                client="ID",
                month=pl.lit(month),
                status=status.cast(pl.Int64).cast(pl.String),
                months_late=status.cast(pl.Float64),
                bill=bill.sign() * bill.abs().log1p(),
                used=bill / limit,
                paid=paid.log1p(),
                limit=limit.log1p(),
                age="AGE",
                sex=pl.col("SEX").cast(pl.String),
                education=pl.col("EDUCATION").cast(pl.String),
                marriage=pl.col("MARRIAGE").cast(pl.String),
                default=pl.col("default.payment.next.month").cast(pl.String),
            )
        )
    return pl.concat(months).sort("client", "month")


def credit(data: Path, num_seeds: int, changes: Changes, folder: Path) -> dict[str, object]:
    """AUROC by stratified folds; each fold's validation part is carved out of its training part."""
    frame = credit_frame(data)
    truth = frame.group_by("client", maintain_order=True).agg(pl.col("default").first())
    fold = folds_of(truth["default"].to_numpy())
    of_client = dict(zip(truth["client"].to_list(), fold.tolist(), strict=True))
    frame = frame.with_columns(fold=pl.col("client").replace_strict(of_client))
    kinds = dict.fromkeys(("status", "sex", "education", "marriage"), "categorical")
    request = Request(
        target="default",
        task="classify",
        series="client",
        time="month",
        split_column="part",
        kinds=kinds,
        positive="1",
        **changes,
    )  # type: ignore[arg-type]
    scores = []
    for number in range(FOLDS):
        parts = pl.when(pl.col("fold") == number).then(pl.lit("test")).otherwise(pl.lit("train"))
        own = frame.with_columns(part=parts).drop("fold")
        run = train_model(own, request, out=folder / str(number), watch=Silent())
        evaluate_run(run, own)
        found = pl.read_parquet(run.path / "predictions.parquet")
        scores.append((found["probability 1"].to_numpy(), (found["truth"] == "1").to_numpy()))
    each = [resampled_auroc(score, inside, seed) for seed, (score, inside) in enumerate(scores)]
    low, high = np.percentile(np.mean([draws[1:] for draws in each], axis=0), [2.5, 97.5])
    values = [float(draws[0]) for draws in each]
    return {"metric": "AUROC", "mean": fmean(values), "folds": values, "interval": [float(low), float(high)]}


def folds_of(truth: np.ndarray) -> np.ndarray:
    """(n,) fold of each client, the classes in equal shares; drawn with a fixed seed."""
    generator = np.random.default_rng(0)
    fold = np.empty(len(truth), dtype=np.int64)
    for label in np.unique(truth):
        members = generator.permutation(np.flatnonzero(truth == label))
        fold[members] = np.arange(len(members)) % FOLDS
    return fold


def resampled_auroc(score: np.ndarray, inside: np.ndarray, seed: int, num_resamples: int = 1000) -> np.ndarray:
    """AUROC of a fold, then of resamples of its clients: (1 + num_resamples,)."""
    generator = np.random.default_rng(seed)
    count = len(score)
    drawn = [auroc(let_in(score, inside, np.ones((count, 1), np.float32)))]
    for _ in range(num_resamples // 100):
        weights = generator.multinomial(count, np.full(count, 1 / count), size=100).T.astype(np.float32)
        drawn.append(auroc(let_in(score, inside, weights)))
    return np.concatenate(drawn)


SETS = {"jv": archive("JapaneseVowels"), "motions": archive("BasicMotions"), "pendigits": pen_digits, "credit": credit}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[1] / ".." / "shared" / "data")
    parser.add_argument("--only", choices=list(SETS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change the request, for trying out")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    changes = {name: json.loads(value) for name, value in (item.split("=", 1) for item in given.set)}
    results = json.loads(given.json.read_text()) if given.json and given.json.exists() else {}
    for name, measure in SETS.items():
        if given.only not in (None, name):
            continue
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            found = measure(given.data, given.seeds, changes, Path(folder))
        results[name] = {**found, "minutes": (time.perf_counter() - started) / 60, "changes": changes}
        print(row_of(name, found), flush=True)
        if given.json:
            given.json.write_text(json.dumps(results, indent=1) + "\n")


def row_of(name: str, found: dict[str, object]) -> str:
    """One line of the table."""
    each = found.get("seeds") or found.get("folds")
    assert isinstance(each, list)
    spread = f" ± {stdev(each):.4f}" if len(each) > 1 else ""
    interval = f" 95 % interval {found['interval'][0]:.4f} to {found['interval'][1]:.4f}" if "interval" in found else ""  # type: ignore[index]
    return f"| {name} | {found['metric']} {found['mean']:.4f}{spread}{interval} | {', '.join(f'{value:.4f}' for value in each)} |"


if __name__ == "__main__":
    main()
