"""Small data and small trainings for the tests of training, evaluation and prediction."""

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from gatework.runs import RunFolder
from gatework.train import Request, train_model
from gatework.train.watch import Silent

START = datetime(2020, 1, 1)
QUICK = Request(target="load", time="when", horizon=3, window=8, hidden_size=8, epochs=3, batch_size=32, dropout=0.2)
CLASSES = Request(target="label", series="id", time="step", task="classify", hidden_size=8, epochs=3, batch_size=16)


def hours(count: int, first: int = 0) -> pl.Series:
    """Time stamps, one an hour."""
    return pl.datetime_range(START, START.replace(year=2030), "1h", eager=True).slice(first, count).alias("when")


def waves(count: int = 400, seed: int = 0, noise: float = 0.1, period: float = 24.0, first: int = 0) -> pl.DataFrame:
    """An hourly 'load' (a sine with noise) and a 'temp' that has nothing to do with it."""
    generator = np.random.default_rng(seed)
    load = 10 + 3 * np.sin(2 * np.pi * (np.arange(count) + first) / period) + generator.normal(0, noise, count)
    return pl.DataFrame({"when": hours(count, first), "load": load, "temp": generator.normal(15, 5, count)})


def sites(names: list[str], count: int = 200, planned: int = 0) -> pl.DataFrame:
    """`waves` of several sites, with a category 'kind' and a 'price'; the last `planned` rows have only the price."""
    frames = []
    for number, name in enumerate(names):
        total = count + planned
        frame = waves(total, seed=number).with_columns(
            pl.lit(name).alias("site"),
            pl.Series("kind", ["a" if step % 3 else "b" for step in range(total)]),
            pl.Series("price", np.random.default_rng(number + 100).normal(3, 1, total)),
        )
        observed = pl.int_range(total) < count
        frames.append(frame.with_columns(pl.when(observed).then(pl.col(name)).alias(name) for name in ("load", "temp", "kind")))
    return pl.concat(frames)


def latches(count: int = 300, steps: int = 30, seed: int = 0) -> pl.DataFrame:
    """Noise whose first step decides the class: 'up' when it is above zero."""
    generator = np.random.default_rng(seed)
    values = generator.normal(0, 0.3, (count, steps))
    is_up = np.arange(count) % 2 == 0
    values[:, 0] = np.where(is_up, 1.0, -1.0)
    return long_form(values, label=np.where(is_up, "up", "down").tolist())


def means(count: int = 240, steps: int = 12, seed: int = 0) -> pl.DataFrame:
    """Sequences around a level of their own; the answer is their mean."""
    generator = np.random.default_rng(seed)
    values = generator.normal(0, 1, (count, steps)) + generator.normal(0, 2, (count, 1))
    return long_form(values, answer=(5 + 3 * values.mean(axis=1)).tolist())


def long_form(values: np.ndarray, **answers: list[object]) -> pl.DataFrame:
    """One row per step: id, step, x, and the sequence's answer repeated."""
    count, steps = values.shape
    columns = {name: np.repeat(np.asarray(answer), steps).tolist() for name, answer in answers.items()}
    return pl.DataFrame(
        {
            "id": [f"s{number:03}" for number in range(count) for _ in range(steps)],
            "step": list(range(steps)) * count,
            "x": values.ravel(),
            **columns,
        }
    )


def trained(source: object, request: Request, out: Path) -> RunFolder:
    """A silent training."""
    return train_model(source, request, out=out, watch=Silent())


def without(text: str, key: str) -> list[dict[str, object]]:
    """The rows of a history without one of their keys."""
    import json

    rows = [json.loads(line) for line in text.splitlines()]
    for row in rows:
        del row[key]
    return rows
