"""One training step and one forecast beside NeuralForecast, Darts and plain torch: one LSTM layer of 64 units on ETTh1.

    python benchmarks/bench_forecast_speed.py [--data ../shared/data] [--steps 60] [--rounds 3] [--error-steps 1000] [--json FILE]

Window 336, horizon 96, 64 windows a step. Rivals are measured where they are installed (pip install neuralforecast
"darts[torch]", into an environment of their own). All take turns, so that a busy moment meets all alike; a step is the time from
one optimiser step to the next in a running training, data included; the median over all rounds. Rows 0–8639 train. The error is
the standardised MSE of the validation rows after `--error-steps` steps, one window a day.

"as torch": every step read by itself, as the rivals do. "segments": 24 hours are one input of the recurrence, one target at a
time, the last value taken off.
"""

import argparse
import contextlib
import importlib.util
import json
import logging
import lzma
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import nn

import gatework
from gatework import Request
from gatework.data.samples import batch_order
from gatework.model import network_outputs
from gatework.runs import RunFolder
from gatework.train import plan_run
from gatework.train.augment import Varied
from gatework.train.run import make_training
from gatework.train.watch import Silent

COLUMNS = ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]
LEAST_S = 3.0
WINDOW, HORIZON, UNITS, BATCH = 336, 96, 64, 64
TRAIN, VALIDATION = 8640, 11520
STRIDE = 24


def read_values(data: Path) -> np.ndarray:
    """(11520, 7) float32, standardised by the training rows."""
    with lzma.open(data / "ett" / "ETTh1.csv.xz", "rb") as file:
        raw = pl.read_csv(file.read()).select(COLUMNS).head(VALIDATION).to_numpy()
    return ((raw - raw[:TRAIN].mean(0)) / raw[:TRAIN].std(0)).astype(np.float32)


def origins() -> np.ndarray:
    """The validation windows that are scored: the first forecast row of each."""
    return np.arange(TRAIN, VALIDATION - HORIZON + 1, STRIDE)


def error_of(values: np.ndarray, forecast: np.ndarray) -> float:
    truth = values[origins()[:, None] + np.arange(HORIZON)]
    return float(np.square(forecast - truth).mean())


class Clock:
    """Times of optimiser steps; the first of a round warm up."""

    def __init__(self, skipped: int = 10):
        self.skipped, self.stamps = skipped, []

    def tick(self) -> None:
        self.stamps.append(time.perf_counter())

    def steps_ms(self) -> list[float]:
        return [1e3 * float(step) for step in np.diff(self.stamps)[self.skipped :]]


def gatework_steps(
    values: np.ndarray, steps: int, options: dict[str, object], wants_error: bool
) -> tuple[list[float], float | None]:
    frame = pl.DataFrame(dict(zip(COLUMNS, values.T, strict=True))).with_columns(
        pl.int_range(len(values)).alias("step"),
        pl.when(pl.int_range(len(values)) < TRAIN).then(pl.lit("train")).otherwise(pl.lit("validation")).alias("part"),
    )
    test = frame.tail(1).with_columns(pl.lit("test").alias("part"), pl.col("step") + 1)  # a part that is not used
    more = [test.with_columns(pl.col("step") + number) for number in range(WINDOW + HORIZON)]
    frame = pl.concat([frame, *more])
    request = Request(
        target=tuple(COLUMNS), time="step", split_column="part", window=WINDOW, horizon=HORIZON, hidden_size=UNITS, dropout=0.0,
        batch_size=BATCH, linear_steps=0, **options,
    )  # fmt: skip
    plan, dataset = plan_run(frame, request)
    with tempfile.TemporaryDirectory() as folder:
        training = make_training(plan, dataset, RunFolder(folder), Silent())
        clock, done = Clock(), 0
        training.network.train()
        while done < steps:
            for index in batch_order(len(training.train), BATCH, seed=0, epoch=done, shuffle=True):
                if len(index) == BATCH and done < steps:
                    training._step(Varied(training.train.batch(index)), 1e-3)
                    clock.tick()
                    done += 1
        if not wants_error:
            return clock.steps_ms(), None
        samples = training.task.samples(dataset.prepared, dataset.split, "validation")
        samples.origin, samples.sequence = origins(), np.zeros(len(origins()), dtype=np.int64)
        scaled = training.task.decode(network_outputs(training.network, samples), dataset.preparation)
    return clock.steps_ms(), error_of(values, scaled)


def torch_steps(values: np.ndarray, steps: int, wants_error: bool) -> tuple[list[float], float | None]:
    torch.manual_seed(0)
    layer, head = nn.LSTM(7, UNITS, batch_first=True), nn.Linear(UNITS, HORIZON * 7)
    optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=1e-3)
    rows = torch.from_numpy(values)
    windows = rows.unfold(0, WINDOW + HORIZON, 1)[: TRAIN - WINDOW - HORIZON + 1]
    clock = Clock()

    def forecast(past: torch.Tensor) -> torch.Tensor:
        _, (h, _) = layer(past)
        return head(h[-1]).unflatten(-1, (HORIZON, 7))

    for _ in range(steps):
        chosen = windows[torch.randint(len(windows), (BATCH,))].transpose(1, 2)
        loss = (forecast(chosen[:, :WINDOW]) - chosen[:, WINDOW:]).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        clock.tick()
    if not wants_error:
        return clock.steps_ms(), None
    with torch.no_grad():
        past = torch.stack([rows[origin - WINDOW : origin] for origin in origins()])
        return clock.steps_ms(), error_of(values, forecast(past).numpy())


def quiet() -> None:
    """The rivals' progress and advice would bury the table."""
    warnings.filterwarnings("ignore")
    for name in ("pytorch_lightning", "lightning", "lightning.pytorch", "darts"):
        logging.getLogger(name).setLevel(logging.ERROR)


TRAINER = {"enable_progress_bar": False, "logger": False, "enable_checkpointing": False, "enable_model_summary": False}


def lightning_clock() -> tuple[Clock, object]:
    """A clock that a Lightning trainer drives."""
    from pytorch_lightning import Callback

    clock = Clock()

    class Ticking(Callback):
        def on_train_batch_end(self, *_: object) -> None:
            clock.tick()

    return clock, Ticking()


def long_frame(values: np.ndarray) -> object:
    """NeuralForecast's form: one row a series and step."""
    import pandas as pd

    stamps = pd.date_range("2016-07-01", periods=len(values), freq="h")
    frames = [pd.DataFrame({"unique_id": name, "ds": stamps, "y": values[:, place]}) for place, name in enumerate(COLUMNS)]
    return pd.concat(frames, ignore_index=True)


def neuralforecast_model(steps: int, callbacks: list[object]) -> object:
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MAE
    from neuralforecast.models import LSTM

    model = LSTM(
        h=HORIZON, input_size=WINDOW, encoder_n_layers=1, encoder_hidden_size=UNITS, decoder_hidden_size=UNITS, max_steps=steps,
        windows_batch_size=BATCH, loss=MAE(), scaler_type="identity", accelerator="cpu", callbacks=callbacks, **TRAINER,
    )  # fmt: skip
    return NeuralForecast(models=[model], freq="h")


def neuralforecast_steps(values: np.ndarray, steps: int, wants_error: bool) -> tuple[list[float], float | None]:
    clock, callback = lightning_clock()
    forecaster = neuralforecast_model(steps, [callback])
    forecaster.fit(long_frame(values[:TRAIN]), val_size=0)
    if not wants_error:
        return clock.steps_ms(), None
    frame, parts = long_frame(values), []
    stamps = frame["ds"].unique()
    for origin in origins():
        past = frame[frame["ds"].isin(stamps[origin - WINDOW : origin])]
        answer = forecaster.predict(df=past).pivot(index="ds", columns="unique_id", values="LSTM")[COLUMNS]
        parts.append(answer.to_numpy())
    return clock.steps_ms(), error_of(values, np.stack(parts))


def darts_steps(values: np.ndarray, steps: int, wants_error: bool) -> tuple[list[float], float | None]:
    from darts import TimeSeries
    from darts.models import BlockRNNModel

    clock, callback = lightning_clock()
    model = BlockRNNModel(
        WINDOW, HORIZON, model="LSTM", hidden_dim=UNITS, n_rnn_layers=1, batch_size=BATCH, loss_fn=nn.L1Loss(), n_epochs=1000,
        random_state=0, pl_trainer_kwargs={**TRAINER, "accelerator": "cpu", "max_steps": steps, "callbacks": [callback]},
    )  # fmt: skip
    model.fit(TimeSeries.from_values(values[:TRAIN]), verbose=False)
    if not wants_error:
        return clock.steps_ms(), None
    histories = [TimeSeries.from_values(values[origin - WINDOW : origin]) for origin in origins()]
    found = np.stack([answer.values() for answer in model.predict(HORIZON, series=histories, verbose=False)])
    return clock.steps_ms(), error_of(values, found)


SEGMENTS = {"segment": 24, "normalise": "last", "decoder": "position", "channels": "apart"}
CONTENDERS: dict[str, Callable[[np.ndarray, int, bool], tuple[list[float], float | None]]] = {
    "gatework, segments": lambda values, steps, error: gatework_steps(values, steps, SEGMENTS, error),
    "gatework, as torch": lambda values, steps, error: gatework_steps(values, steps, {"normalise": "none"}, error),
    "plain torch": torch_steps,
    "NeuralForecast LSTM": neuralforecast_steps,
    "Darts BlockRNNModel": darts_steps,
}
NEEDS = {"NeuralForecast LSTM": "neuralforecast", "Darts BlockRNNModel": "darts"}


def forecast_times(values: np.ndarray, repetitions: int = 200) -> dict[str, float]:
    """Medians in milliseconds of one in-process forecast of all columns."""
    stamps = pl.datetime_range(pl.datetime(2016, 7, 1), pl.datetime(2030, 1, 1), "1h", eager=True).head(len(values)).alias("when")
    frame = pl.DataFrame([stamps, *(pl.Series(name, values[:, place]) for place, name in enumerate(COLUMNS))])
    row = frame.drop("when").row(TRAIN, named=True)  # each is one step after the last one
    times = {}
    carried = {"normalise": "none"}
    day = {**carried, "target": "OT", "horizon": 24}
    ways = (
        ("carried state", frame, carried),
        ("carried state, one column and 24 steps from seven", frame, day),
        ("carried state, one column and 24 steps from itself", frame.select("when", "OT"), day),
        ("segments, window read again", frame, SEGMENTS),
    )
    for name, columns, options in ways:
        history = columns.head(TRAIN)
        usual = {"target": tuple(COLUMNS), "horizon": HORIZON}
        request = Request(
            time="when", window=WINDOW, hidden_size=UNITS, epochs=1, batch_size=256, linear_steps=0, patience=1,
            **{**usual, **options},
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            predictor = gatework.load(gatework.train_model(history, request, out=Path(folder) / "run", watch=Silent()))
            live, window = predictor.live(history), history.tail(WINDOW)
            times[f"{name}: live.update + live.forecast"] = median_ms(
                lambda live=live: (live.update(row), live.forecast()), repetitions
            )
            times[f"{name}: live.update alone"] = median_ms(lambda live=live: live.update(row), repetitions)
            times[f"{name}: predict, from a frame to a frame"] = median_ms(
                lambda predictor=predictor, window=window: predictor.predict(window), repetitions
            )
    estimator = gatework.Forecaster(horizon=24, window=WINDOW, hidden_size=UNITS, epochs=1, options=Request(normalise="none"))
    estimator.fit(values[:TRAIN, -1])
    times["Forecaster, one column and 24 steps: update + predict"] = median_ms(
        lambda: estimator.update(values[TRAIN : TRAIN + 1, -1]).predict(), repetitions
    )
    if importlib.util.find_spec("neuralforecast"):
        forecaster, long = neuralforecast_model(2, []), long_frame(values[:TRAIN])
        forecaster.fit(long, val_size=0)
        times["NeuralForecast: predict, 7 series"] = median_ms(forecaster.predict, 20)
    if importlib.util.find_spec("darts"):
        from darts import TimeSeries
        from darts.models import BlockRNNModel

        kwargs = {**TRAINER, "accelerator": "cpu", "max_steps": 2}
        model = BlockRNNModel(WINDOW, HORIZON, model="LSTM", hidden_dim=UNITS, batch_size=BATCH, pl_trainer_kwargs=kwargs)
        series = TimeSeries.from_values(values[:TRAIN])
        model.fit(series, verbose=False)
        times["Darts: predict"] = median_ms(lambda: model.predict(HORIZON, series=series[-WINDOW:], verbose=False), 20)
    return times


def median_ms(action: Callable[[], object], repetitions: int) -> float:
    """At least so many repetitions and LEAST_S seconds of them: what takes microseconds would else be that of one moment."""
    for _ in range(3):
        action()
    found: list[float] = []
    until = time.perf_counter() + LEAST_S
    while len(found) < repetitions or time.perf_counter() < until:
        started = time.perf_counter()
        action()
        found.append(1e3 * (time.perf_counter() - started))
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[1] / ".." / "shared" / "data")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--error-steps", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if not (given.data / "ett").is_dir():
        print(f"Skipped: there is no folder '{given.data / 'ett'}'. Name the data's folder with --data.")
        return
    quiet()
    values = read_values(given.data)
    names = [name for name in CONTENDERS if name not in NEEDS or importlib.util.find_spec(NEEDS[name])]
    steps: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(given.rounds):
        for name in names:
            with contextlib.redirect_stdout(None):
                steps[name] += CONTENDERS[name](values, given.steps, False)[0]
    ours = statistics.median(steps["gatework, segments"])
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    print(
        f"{machine}\n\n| training step | ms | times ours with segments | MSE after {given.error_steps} steps |\n|---|---|---|---|"
    )
    rows = {}
    for name in names:
        error = None
        if given.error_steps:
            with contextlib.redirect_stdout(None):
                error = CONTENDERS[name](values, given.error_steps, True)[1]
        median = statistics.median(steps[name])
        rows[name] = {"step_ms": median, "error": error}
        print(f"| {name} | {median:.1f} | {median / ours:.1f} | {'–' if error is None else f'{error:.3f}'} |", flush=True)
    times = forecast_times(values)
    print("\n| one forecast | ms |\n|---|---|")
    for name, median in times.items():
        print(f"| {name} | {median:.3f} |")
    if given.json:
        given.json.write_text(json.dumps({"machine": machine, "steps": rows, "forecast_ms": times}, indent=1))


if __name__ == "__main__":
    main()
