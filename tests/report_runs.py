"""Run folders of the kind that training and evaluation leave behind, made up: a forecast and a classification."""

import json
import math
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from gatework.runs import (
    DataPlan,
    Evaluation,
    FieldPlan,
    HistoryRow,
    Line,
    LinesFigure,
    Manifest,
    MatrixFigure,
    MetricInfo,
    ModelPlan,
    Plan,
    RunFolder,
    ScatterFigure,
    Score,
    ScoreRow,
    SourceFile,
    SplitPlan,
    SplitRecord,
    TrainingPlan,
)  # fmt: skip


def history_rows(num_epochs: int = 18, best: int = 12) -> list[HistoryRow]:
    rows = []
    for epoch in range(1, num_epochs + 1):
        wobble = 0.006 * math.sin(2.3 * epoch)
        rows.append(
            HistoryRow(
                epoch=epoch,
                train_loss=0.30 + 0.45 * math.exp(-epoch / 4) - 0.002 * epoch + wobble / 3,
                validation_loss=0.37 + 0.36 * math.exp(-epoch / 3.2) + 0.0011 * max(0, epoch - best) ** 2 + abs(wobble),
                learning_rate=2e-3 * min(1.0, epoch / 3) * (0.5 + 0.5 * math.cos(math.pi * epoch / 30)),
                gradient_norm=0.4 + 1.6 * math.exp(-epoch / 2),
                clip_rate=max(0.0, 0.6 - 0.09 * epoch),
                saturated_share=0.03 + 0.008 * epoch,
                dead_units=max(0, 4 - epoch),
                reach_steps=min(150, 20 + 9 * epoch),
                is_best=epoch == best or epoch < 5,
                elapsed_s=2.4 * epoch,
            )
        )
    return rows


def forecast_plan(names: tuple[str, ...] = ("dew_point", "temperature", "pressure", "wind")) -> Plan:
    fields = [FieldPlan(name="pm2.5", kind="numeric", role="target"), FieldPlan(name="when", kind="timestamp", role="time")]
    fields += [FieldPlan(name=name, kind="numeric", role="past", missing="linear") for name in names]
    fields.append(FieldPlan(name="wind_direction", kind="categorical", role="past"))
    fields.append(FieldPlan(name="hour of day", kind="numeric", role="known_future"))
    fields.append(FieldPlan(name="row number", kind="numeric", role="ignored"))
    return Plan(
        data=DataPlan(task="forecast", sources=("air.csv",), targets=("pm2.5",), time="when", fields=tuple(fields)),
        split=SplitPlan(kind="time"),
        model=ModelPlan(hidden_size=64, dropout=0.1),
        training=TrainingPlan(epochs=30, patience=6),
        horizon=24,
        window=168,
        period=24,
        reasons={
            "task": "forecast: the target is numeric and the rows are ordered by 'when'",
            "horizon": "24: one season of 24 steps, a day of hourly data",
            "window": "168: seven seasons, so that the model sees a whole week",
            "hidden_size": "64: enough for 11 inputs",
        },
        python='import gatework\n\nrun = gatework.train("air.csv", target="pm2.5", horizon=24)\n',
    )


def forecast_rows() -> tuple[ScoreRow, ...]:
    table = {
        "lstm": ("model", "64 units, a window of 168 steps", 37.91, 0.281),
        "last value": ("baseline", "the last observed value, repeated", 44.38, 0.0),
        "seasonal naive": ("baseline", "the value 24 steps earlier", 51.02, -0.15),
        "climatology": ("baseline", "the training mean for that hour and month", 60.63, -0.366),
        "ridge": ("baseline", "a linear model on the same window", 46.57, -0.049),
    }
    rows = []
    for name, (kind, description, mae, skill) in table.items():
        scores = {
            "MAE": Score(value=mae, low=mae - 3.21, high=mae + 3.47),
            "RMSE": Score(value=1.43 * mae, low=1.43 * mae - 5, high=1.43 * mae + 5.5),
            "MASE": Score(value=mae / 44.38, low=mae / 50, high=mae / 40),
            "R²": Score(value=1 - (mae / 66) ** 2, low=0.1, high=0.9) if name != "climatology" else Score(value=None),
            "skill": Score(value=skill, low=skill - 0.04, high=skill + 0.04) if skill else Score(value=0.0),
        }
        rows.append(ScoreRow(name=name, kind=kind, description=description, scores=scores))
    return tuple(rows)


FORECAST_METRICS = (
    MetricInfo(name="MAE", unit="µg/m³", better="lower", meaning="Mean absolute error."),
    MetricInfo(name="RMSE", unit="µg/m³", better="lower", meaning="Root of the mean squared error; large errors weigh more."),
    MetricInfo(name="MASE", better="lower", meaning="MAE divided by that of the seasonal naive forecast on the training part."),
    MetricInfo(name="R²", better="higher", meaning="Share of the variance that is explained."),
    MetricInfo(name="skill", better="higher", meaning="By how much the MAE is below that of the best simple baseline."),
)


def hours(start: str, count: int, step_hours: int = 1) -> tuple[str, ...]:
    first = datetime.fromisoformat(start)
    return tuple((first + timedelta(hours=step_hours * i)).isoformat() for i in range(count))


def forecast_figures() -> tuple[LinesFigure | ScatterFigure, ...]:
    random = np.random.default_rng(7)
    truth = 90 + 50 * np.sin(np.arange(96) / 11) + random.normal(0, 9, 96).cumsum() / 3
    ahead = [None] * 72
    later = truth[72:]
    example = LinesFigure(
        name="forecast_1",
        title="A forecast of median error",
        caption="The window before the origin, the forecast of the model and of the best baseline, and what came.",
        x_label="time",
        y_label="pm2.5, µg/m³",
        x=hours("2014-06-02T00:00:00", 96),
        lines=(
            Line(name="before", style="history", y=(*truth[:72].tolist(), *[None] * 24)),
            Line(name="truth", style="truth", y=(*ahead, *later.tolist())),
            Line(name="last value", style="baseline", y=(*ahead, *[float(truth[71])] * 24)),
            Line(name="lstm", style="prediction", y=(*ahead, *(later * 0.8 + 18 + random.normal(0, 3, 24)).tolist())),
        ),
        marks=(("2014-06-05T00:00:00", "forecast begins"),),
    )
    days = LinesFigure(
        name="one_step_ahead",
        title="24 hours ahead, over the test part",
        caption="Each point is the forecast made 24 hours before.",
        x_label="time",
        y_label="pm2.5, µg/m³",
        x=hours("2014-03-08T00:00:00", 300, 12),
        lines=tuple(
            Line(name=name, style=style, y=tuple((95 + 60 * np.sin(np.arange(300) / 9) + random.normal(0, noise, 300)).tolist()))
            for name, style, noise in (("truth", "truth", 26), ("lstm", "prediction", 9))
        ),
    )
    lags = np.arange(1, 25)
    by_horizon = LinesFigure(
        name="error_by_horizon",
        title="Error by horizon",
        caption="Mean absolute error of each step ahead. The further ahead, the harder.",
        x_label="steps ahead",
        y_label="MAE, µg/m³",
        x=tuple(float(lag) for lag in lags),
        lines=tuple(
            Line(name=name, style=style, y=tuple((top * (1 - np.exp(-lags / slow))).tolist()))
            for name, style, top, slow in (
                ("lstm", "prediction", 46, 5), ("last value", "baseline", 58, 6), ("seasonal naive", "baseline", 51, 0.1),
                ("climatology", "baseline", 60.6, 0.1), ("ridge", "baseline", 56, 4),
            )
        ),
    )  # fmt: skip
    points = ScatterFigure(
        name="scatter",
        title="Predicted against true",
        caption="Points on the line are right.",
        x_label="truth, µg/m³",
        y_label="prediction, µg/m³",
        x=tuple(truth.tolist()),
        y=tuple((truth * 0.8 + 18 + random.normal(0, 9, 96)).tolist()),
    )
    return example, days, by_horizon, points


def manifest(**changes: object) -> Manifest:
    given = {
        "gatework": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "platform": "Linux x86_64, 2 cores", "status": "evaluated",
        "command": "gatework train air.csv --target pm2.5", "seed": 0, "started_at": "2025-01-01T10:00:00Z",
        "wall_time_s": {"train": 43.2, "evaluate": 6.1}, "num_parameters": 26_744,
        "sources": (SourceFile(path="air.csv", sha256="0f" * 32, size_bytes=2_010_494),),
        "files": {"model.safetensors": "ab" * 32},
        "notes": ("Column 'pm2.5' has 2067 missing values (4.7 %).", "Time stamps were sorted."),
    }  # fmt: skip
    return Manifest.model_validate({**given, **changes})


def write_forecast_run(path: Path, plan: Plan | None = None, evaluation: Evaluation | None = None) -> RunFolder:
    path.mkdir()
    run = RunFolder(path)
    run.write("config.json", plan or forecast_plan())
    run.write(
        "split.json",
        SplitRecord(
            kind="time",
            boundaries={"validation": "2013-02-12T02:00:00", "test": "2014-03-31T17:00:00"},
            counts={"train": 30_660, "validation": 6_591, "test": 6_573},
        ),
    )
    run.write_history(history_rows())
    run.write("run.json", manifest())
    run.write("evaluation.json", evaluation or forecast_evaluation())
    run.write_text("prepare.json", json.dumps({"notes": ["Category 'cv' of 'wind_direction' is the rarest."]}))
    pl.DataFrame(
        {
            "time": [datetime(2014, 4, 1, hour) for hour in range(8)],
            "step": range(8),
            "truth": [1.5] * 8,
            "prediction": [2.25] * 8,
        }
    ).write_parquet(run.file("predictions.parquet"))
    return run


def forecast_evaluation(**changes: object) -> Evaluation:
    given = Evaluation(
        task="forecast",
        part="test",
        num_samples=6_549,
        resampled="39 blocks of 168 steps",
        metrics=FORECAST_METRICS,
        rows=forecast_rows(),
        verdict=(
            "The LSTM forecasts best: its MAE of 37.9 µg/m³ is 15 % below that of the last value (44.4).",
            "The interval of the difference does not hold zero. Ridge on the same window comes third.",
        ),
        figures=forecast_figures(),
        notes=("1.2 % of the targets are missing and were not scored.",),
        model_sha256="ab" * 32,
    )
    return given.model_copy(update=changes)


def write_classify_run(path: Path, names: tuple[str, ...] = tuple(f"speaker {i}" for i in range(1, 10))) -> RunFolder:
    path.mkdir()
    run = RunFolder(path)
    fields = [
        FieldPlan(name="speaker", kind="categorical", role="target"),
        FieldPlan(name="utterance", kind="numeric", role="series"),
    ]
    fields += [FieldPlan(name=f"cepstrum {i}", kind="numeric", role="past") for i in range(1, 13)]
    data = DataPlan(task="classify", sources=("vowels.ts",), targets=("speaker",), series="utterance", fields=tuple(fields))
    plan = Plan(data=data, split=SplitPlan(kind="files"), model=ModelPlan(cell="gru", bidirectional=True, num_layers=2))
    run.write("config.json", plan)
    counts = {"train": 230, "validation": 40, "test": 370}
    run.write("split.json", SplitRecord(kind="files", counts=counts, sequences={"train": ("1", "2"), "test": names}))
    run.write_history(history_rows(20, 20))
    run.write("run.json", manifest(command="", python="3.11.7"))
    metrics = (
        MetricInfo(name="accuracy", better="higher", meaning="Share of the sequences whose class is right."),
        MetricInfo(name="log-loss", better="lower", meaning="Mean of −log of the probability that the true class was given."),
    )
    rows = tuple(
        ScoreRow(
            name=name,
            kind=kind,
            description=description,
            scores={
                "accuracy": Score(value=a, low=a - 0.02, high=a + 0.01),
                "log-loss": Score(value=b, low=b - 0.01, high=b + 0.01),
            },
        )
        for name, kind, description, a, b in (
            ("gru", "model", "2 × 64 units", 0.973, 0.11), ("linear", "baseline", "on summary features", 0.962, 0.14),
            ("majority class", "baseline", "always the commonest", 0.238, 2.19),
        )
    )  # fmt: skip
    random = np.random.default_rng(3)
    counts_of = tuple(tuple(float(34 if i == j else random.integers(0, 3)) for j in range(len(names))) for i in range(len(names)))
    figures = (
        MatrixFigure(
            name="confusion", title="Confusion matrix", caption="Rows: truth.",
            row_labels=names, column_labels=names, values=counts_of
        ),
        LinesFigure(
            name="by_class", title="Recall by class", caption="Share of each class that was found.",
            x_label="class", y_label="recall",
            x=names, lines=(Line(name="gru", y=tuple(random.uniform(0.9, 1, len(names)).tolist())),),
        ),
        ScatterFigure(
            name="calibration", title="Calibration", caption="Area: number of samples.",
            x_label="probability given", y_label="share right",
            x=(0.3, 0.5, 0.7, 0.9, 0.98), y=(0.25, 0.56, 0.66, 0.93, 0.99), sizes=(4, 9, 20, 60, 270),
        ),
    )  # fmt: skip
    run.write(
        "evaluation.json",
        Evaluation(
            task="classify", part="test", num_samples=370, resampled="370 sequences", metrics=metrics, rows=rows,
            verdict=("The GRU and the linear baseline are within each other's intervals.",), figures=figures,
        ),
    )  # fmt: skip
    return run
