"""Small series with known anomalies, and trainings of them, for the tests of anomaly detection."""

from pathlib import Path

import numpy as np
import polars as pl

from gatework.runs import RunFolder
from gatework.train import Request, train_model
from gatework.train.watch import Silent
from small_runs import hours

PERIOD = 20
QUICK = Request(
    task="anomaly",
    method="forecast",
    window=32,
    horizon=2,
    hidden_size=8,
    epochs=10,
    batch_size=64,
    learning_rate=0.01,
    false_alarms="0.002",
)
SPIKE = (900, 903)
"""First and last row of the planted spike."""


def machine(count: int = 1000, seed: int = 0, planted: bool = True) -> pl.DataFrame:
    """Pressure and flow that swing together; in rows SPIKE the pressure alone is far off. `fault` says where."""
    generator = np.random.default_rng(seed)
    phase = 2 * np.pi * np.arange(count) / PERIOD
    pressure = 5 + 2 * np.sin(phase) + generator.normal(0, 0.1, count)
    flow = 50 + 10 * np.sin(phase) + generator.normal(0, 0.5, count)
    fault = np.zeros(count, dtype=np.int64)
    if planted and count > SPIKE[1]:
        pressure[SPIKE[0] : SPIKE[1] + 1] += 4.0
        fault[SPIKE[0] : SPIKE[1] + 1] = 1
    return pl.DataFrame({"when": hours(count), "pressure": pressure, "flow": flow, "is_anomaly": fault})


def detector(frame: object, out: Path, **changes: object) -> RunFolder:
    """A silent training of QUICK, with some of its options changed."""
    return train_model(frame, QUICK.model_copy(update=changes), out=out, watch=Silent())
