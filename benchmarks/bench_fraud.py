"""Card fraud by the protocol of the Fraud Detection Handbook: a network over each customer's transactions, one answer per step.

    python benchmarks/bench_fraud.py [--data ../shared/data] [--seeds 3]   # trained 2018-07-25 … 31, tested 08-08 … 14
    python benchmarks/bench_fraud.py --fold validation                     # the same two weeks earlier: what choices rest on
    python benchmarks/bench_fraud.py --fold validation2                    # three weeks earlier, likewise
    python benchmarks/bench_fraud.py --labels known                        # another protocol: all labels known by then

Labels: of the seven training days alone, but in the share of frauds of a terminal, which counts those known by then (seven days
old), as in the handbook. Earlier transactions of a customer are read without labels.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gatework
from fraud_features import (
    DELAY_DAYS,
    HANDBOOK,
    OURS,
    RATIO_DAYS,
    card_precision,
    day_number,
    read_transactions,
    rows_to_score,
    with_features,
)
from gatework.data.dataset import Dataset
from gatework.evaluate.run import network_outputs
from gatework.model import load_trained
from gatework.runs import Plan, RunFolder
from gatework.train.planning import plan_run
from gatework.train.run import train_planned
from gatework.train.watch import Silent

FIRST_DAYS = {"test": day_number("2018-07-25"), "validation": day_number("2018-07-11"), "validation2": day_number("2018-07-04")}
TRAIN_DAYS = 7
CONTEXT_DAYS = 14
"""Transactions of a customer before the training that are read."""
VALIDATION_SHARE = 0.1
"""Of the customers: their training labels say which epoch was the best."""


def divided(rows: pl.DataFrame, first_day: int, labels: str, seed: int) -> pl.DataFrame:
    """The rows that are read, with the part of each: train, validation (some customers), test, none."""
    day, customer = rows["day"].to_numpy(), rows["customer"].to_numpy()
    since = 0 if labels == "known" else first_day
    part = np.full(len(day), "none", dtype=object)
    in_training = (day >= since) & (day < first_day + TRAIN_DAYS)
    chosen = np.random.default_rng(seed).random(int(customer.max()) + 1) < VALIDATION_SHARE
    part[in_training] = np.where(chosen[customer[in_training]], "validation", "train")
    part[rows_to_score(rows, first_day)] = "test"
    read = (day >= since - CONTEXT_DAYS) & (day < first_day + 2 * TRAIN_DAYS + DELAY_DAYS)
    return (
        rows.with_columns(
            pl.Series("part", part.tolist(), dtype=pl.String),
            pl.when("is_fraud").then(pl.lit("fraud")).otherwise(pl.lit("genuine")).alias("state"),
        )
        .filter(pl.Series(read))
        .with_row_index("step")
        .with_columns(pl.col("step").cast(pl.Int64))
    )


def judged(rows: pl.DataFrame, score: np.ndarray) -> dict[str, float]:
    """The three scores of the handbook on the tested rows."""
    truth = rows["is_fraud"].to_numpy()
    return {
        "average_precision": float(average_precision_score(truth, score)),
        "auroc": float(roc_auc_score(truth, score)),
        "card_precision_100": card_precision(rows["day"].to_numpy(), rows["customer"].to_numpy(), truth, score),
    }


def by_scenario(rows: pl.DataFrame, score: np.ndarray) -> str:
    """The average precision of each of the simulator's kinds of fraud, the other kinds left out."""
    kind = rows["scenario"].to_numpy()
    parts = [(number, (kind == 0) | (kind == number)) for number in (1, 2, 3)]
    return ", ".join(f"{number} {average_precision_score(kind[own] > 0, score[own]):.3f}" for number, own in parts)


def planned(rows: pl.DataFrame, seed: int, settings: dict[str, object]) -> tuple[Plan, Dataset]:
    """What is trained: every customer a sequence, a class for each transaction."""
    inputs = [*HANDBOOK, *OURS]
    request = gatework.Request(
        target="state", task="classify_steps", series="customer", time="step", split_column="part", seed=seed,
        kinds=dict.fromkeys(inputs, "numeric"), **settings,
    )  # fmt: skip
    return plan_run(rows.select("customer", "step", "part", "state", *inputs), request)


def network_scores(plan: Plan, dataset: Dataset, rows: pl.DataFrame) -> np.ndarray:
    """The probability of fraud of each tested row, after a training."""
    with tempfile.TemporaryDirectory() as folder:
        run = train_planned(plan, dataset, RunFolder(Path(folder) / "run"), Silent())
        trained, _ = load_trained(run)
        for row in run.read_history():
            print(f"    epoch {row.epoch}: {row.train_loss:.5f} {row.validation_loss:.5f} {row.elapsed_s:.0f} s", flush=True)
    samples = trained.task.samples(dataset.prepared, dataset.split, "test")
    probabilities = trained.task.decode(network_outputs(trained.network, samples), trained.preparation)
    fraud = probabilities[:, trained.preparation.classes.index("fraud")]
    step = dataset.table.steps["step"].to_numpy()[dataset.prepared.rows[samples.rows]]
    wanted = rows.filter(pl.col("part") == "test")["step"].to_numpy()
    return fraud[np.argsort(step)][np.argsort(np.argsort(wanted))]


def beside(rows: pl.DataFrame) -> dict[str, dict[str, float]]:
    """scikit-learn on the same rows: the handbook's features, then those that the network reads; nothing is tuned."""
    train, test = rows.filter(pl.col("part").is_in(["train", "validation"])), rows.filter(pl.col("part") == "test")
    found = {}
    for what, columns in (("handbook", HANDBOOK), ("all", (*HANDBOOK, *OURS))):
        models = {
            "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
            "gradient boosting (histograms)": HistGradientBoostingClassifier(
                max_iter=100, learning_rate=0.1, max_leaf_nodes=8, early_stopping=False, random_state=0
            ),
            "random forest": RandomForestClassifier(100, min_samples_leaf=2, random_state=0),
        }
        for name, model in models.items():
            model.fit(train.select(columns).to_numpy(), train["is_fraud"].to_numpy())
            found[f"{name}, {what}"] = judged(test, model.predict_proba(test.select(columns).to_numpy())[:, 1])
    return found


def shown(name: str, scores: dict[str, float], seconds: float = 0.0) -> None:
    """One line of the table."""
    numbers = "  ".join(f"{key} {value:.4f}" for key, value in scores.items())
    print(f"{name:40s} {numbers}" + (f"  {seconds:.0f} s" if seconds else ""), flush=True)


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[1] / "../shared/data")
    parser.add_argument("--fold", choices=sorted(FIRST_DAYS), default="test")
    parser.add_argument("--labels", choices=("week", "known"), default="week")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--settings", type=json.loads, default={}, help="options of the training, as JSON")
    parser.add_argument("--no-beside", action="store_true", help="the network alone")
    asked = parser.parse_args()
    settings = {**SETTINGS, **asked.settings}
    every = with_features(read_transactions(asked.data / "fraud_handbook_sim"))
    first_day = FIRST_DAYS[asked.fold]
    rows = divided(every, first_day, asked.labels, seed=0)
    test = rows.filter(pl.col("part") == "test")
    print(f"{asked.fold}: {(rows['part'] != 'none').sum()} labelled rows, {test.height} tested, {test['is_fraud'].sum()} frauds")
    if not asked.no_beside:
        for name, scores in beside(rows).items():
            shown(name, scores)
    found, summed = [], np.zeros(test.height)
    for seed in range(asked.seeds):
        started = time.perf_counter()
        own = divided(every, first_day, asked.labels, seed)
        score = network_scores(*planned(own, seed, settings), own)
        summed += score
        found.append(judged(test, score))
        shown(f"LSTM over the customer, seed {seed}", found[-1], time.perf_counter() - started)
        print(f"    average precision by scenario: {by_scenario(test, score)}", flush=True)
    if found:
        shown(f"LSTM, mean of {asked.seeds} seeds", {key: float(np.mean([one[key] for one in found])) for key in found[0]})
        shown(f"LSTM, {asked.seeds} seeds averaged into one score", judged(test, summed))


SETTINGS: dict[str, object] = {
    "hidden_size": 32, "epochs": 20, "batch_size": 16, "learning_rate": 3e-3, "dropout": 0.1, "patience": 21,
    "bins": ["amount", *(f"amount_ratio_{days}" for days in RATIO_DAYS)],
}  # fmt: skip
"""Chosen on the validation folds."""

if __name__ == "__main__":
    main()
