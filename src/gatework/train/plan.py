"""From a request and the data to a plan: everything that was left out is decided here, each with its reason."""

import numpy as np
import polars as pl

from gatework.data.order import skips_weekends
from gatework.data.table import Table
from gatework.errors import ConfigError
from gatework.runs import (
    CLASS_TASKS,
    HISTORY_TASKS,
    STEP_TASKS,
    DataPlan,
    DecisionPlan,
    ModelPlan,
    Plan,
    PoolingName,
    RangePlan,
    SplitPlan,
    TaskName,
    TrainingPlan,
)
from gatework.train.augment import augment_strengths
from gatework.train.choices import Choices, dashed
from gatework.train.plan_anomaly import VALIDATION, plan_anomaly
from gatework.train.plan_classes import check_class_options, plan_decision
from gatework.train.plan_forecast import plan_forecaster, plan_lengths
from gatework.train.plan_ranges import WITH_RANGES, plan_ranges
from gatework.train.plan_small import SMALL_DATA, few_epochs, plan_augment, plan_layers, plan_refit, why_patience
from gatework.train.plan_start import from_start, lengths_like, plan_start, rate_after
from gatework.train.plan_steps import num_pieces, plan_pieces, split_of_steps
from gatework.train.request import Request

HOUR_S, DAY_S = 3600.0, 86400.0
FORECASTS_ONLY = (
    "horizon", "window", "known_future", "season", "segment", "normalise", "decoder", "channels", "linear_steps",
    "output", "intervals", "calibrate", "calibration_share",
)  # fmt: skip
"""Options that mean nothing to a task without a horizon."""
NUMBERS_TOO = ("intervals", "calibrate")
"""Those of them that numbers of whole sequences share."""

DETECTORS_ONLY = ("method", "false_alarms", "gap", "labels_column")
NOT_FOR_DETECTORS = ("augment", "refit", "init_from", "freeze", "keep_scales")
DETECTORS_TOO = ("horizon", "window", "known_future", "season")
"""Options of anomaly detection alone, those that it does not have, and those that it shares with forecasts."""

FORWARDS = ("gru_d", "t_lstm")
"""Cells that read how long ago something was; backwards, that would be how long it will be."""

ONE_ANSWER_OPTIONS = ("pooling",)
"""Options that mean nothing where the answers are to single steps."""


def make_plan(request: Request, data: DataPlan, table: Table, reasons: dict[str, str]) -> Plan:
    """The plan of one training. reasons: what reading the data already inferred. Raises ConfigError for impossible wishes."""
    check_numbers(request)
    check_options_of_task(request, data.task)
    check_class_options(request, data.task)
    choices = Choices(dict(reasons))
    start = plan_start(request, data)
    if start is not None:
        request = lengths_like(request, start, choices)
    split = plan_split(request, data, table, choices)
    if data.task == "anomaly":
        return plan_anomaly(request, data, table, split, choices, step_seconds(table))
    period = season_steps(table) if request.season is None else request.season
    horizon, window, piece = 0, 0, 0
    num_samples = table.steps.height if data.task == "forecast" else table.sequences.height
    if data.task == "forecast":
        horizon, window = plan_lengths(request, table, period, choices, by_time=split.kind == "time")
    if data.task in STEP_TASKS:
        window, piece = plan_pieces(request.window, table, choices.reasons)
        num_samples = num_pieces(table, piece)
    if start is not None:
        request = rate_after(request, choices)
    model = plan_model(request, data.task, table, choices)
    if data.task == "forecast":
        model = plan_forecaster(request, model, table, (window, period), choices)
    training = plan_training(request, data.task, num_samples, choices)
    training = training.model_copy(
        update={
            "augment": augment_strengths(plan_augment(request.augment, data.task, num_samples < SMALL_DATA, choices), data.task)
        }
    )
    if start is not None:
        model, training = from_start(model, training, request, start, choices)
    decision = plan_decision(request, table, choices.reasons) if data.task in CLASS_TASKS else DecisionPlan()
    return Plan(
        data=data,
        split=split,
        model=model,
        training=training,
        decision=decision,
        ranges=plan_ranges(request, choices, data.task) if data.task in WITH_RANGES else RangePlan(),
        horizon=horizon,
        window=window,
        piece=piece,
        period=period,
        reasons=choices.reasons,
    )


def check_numbers(request: Request) -> None:
    """Every number of a request in its range; ConfigError names the first that is not."""
    at_least_one = ("horizon", "window", "hidden_size", "num_layers", "epochs", "batch_size", "patience", "season", "segment")
    for name in at_least_one:
        value = getattr(request, name)
        if value is not None and value < 1:
            raise ConfigError(f"{name} is {value}; expected a whole number of at least 1. Give --{dashed(name)} 1 or more.")
    for name in ("minutes", "learning_rate", "clip_norm"):
        value = getattr(request, name)
        if value is not None and not (0 < value < float("inf")):
            raise ConfigError(f"{name} is {value}; expected a positive number. Give --{dashed(name)} a number above 0.")
    for name in ("seed", "weight_decay", "linear_steps", "gap"):
        value = getattr(request, name)
        if value is not None and not 0 <= value < 2**63:
            raise ConfigError(f"{name} is {value}; expected a number of at least 0. Give --{dashed(name)} 0 or more.")
    for name in ("dropout", "zoneout", "input_dropout", "test_share", "validation_share", "calibration_share"):
        value = getattr(request, name)
        if value is not None and not 0 <= value < 1:
            raise ConfigError(f"{name} is {value}; expected a share from 0 to below 1. Give --{dashed(name)} such as 0.15.")
    shares = [0.15 if share is None else share for share in (request.test_share, request.validation_share)]
    if sum(shares) >= 1:
        raise ConfigError(
            f"test_share {shares[0]} and validation_share {shares[1]} leave nothing to train on; "
            f"expected a sum below 1. Lower one of them."
        )


def check_options_of_task(request: Request, task: TaskName) -> None:
    """ConfigError for an option that means nothing to this task."""
    answers = "step" if task in STEP_TASKS else "whole series"
    for name in DETECTORS_ONLY:
        if task != "anomaly" and getattr(request, name) is not None:
            raise ConfigError(
                f"{name} is {getattr(request, name)}, but the task is {task}. Expected --{dashed(name)} with anomaly detection "
                f"only. Leave it out, or ask for --task anomaly."
            )
    if task == "anomaly":
        given = [
            name
            for name in (*FORECASTS_ONLY, *ONE_ANSWER_OPTIONS, *NOT_FOR_DETECTORS)
            if name not in DETECTORS_TOO and getattr(request, name)
        ]
        if given:
            raise ConfigError(
                f"{given[0]} is {getattr(request, given[0])}, but the task is anomaly detection. Expected --{dashed(given[0])} "
                f"with other tasks only. Leave it out."
            )
        return
    for name in FORECASTS_ONLY:
        if (name == "window" and task in STEP_TASKS) or (name in NUMBERS_TOO and task == "regress"):
            continue
        if task != "forecast" and getattr(request, name):
            raise ConfigError(
                f"{name} is {getattr(request, name)}, but the task is {dashed(task)}, which gives one answer for each {answers}. "
                f"Expected --{dashed(name)} with forecasts{' or --task regress' if name in NUMBERS_TOO else ''} only. "
                f"Leave it out, or ask for --task forecast."
            )
    for name in ONE_ANSWER_OPTIONS:
        if (task == "forecast" or task in STEP_TASKS) and getattr(request, name):
            raise ConfigError(
                f"{name} is {getattr(request, name)}, but the task is {dashed(task)}, which answers for single steps. "
                f"Expected --{dashed(name)} with one answer for each whole series. Leave it out, or ask for another --task."
            )


def plan_split(request: Request, data: DataPlan, table: Table, choices: Choices) -> SplitPlan:
    """How the data is divided."""
    column = next((item.name for item in data.fields if item.role == "split"), None)
    usual = VALIDATION if data.task == "anomaly" else 0.15
    shares = {
        "validation": usual if request.validation_share is None else request.validation_share,
        "test": 0.15 if request.test_share is None else request.test_share,
        "seed": request.seed,
    }
    if request.test or request.validation or data.test_sources or data.validation_sources:
        return SplitPlan(kind="files", column=column, **shares)  # type: ignore[arg-type]
    if column is not None:
        choices.reasons["split"] = f"column '{column}': it says which part each row belongs to"
        return SplitPlan(kind="column", column=column, **shares)  # type: ignore[arg-type]
    group = next((item.name for item in data.fields if item.role == "group"), None)
    if group is not None and data.task != "forecast":
        if request.split_by not in (None, "group"):
            raise ConfigError(
                f"--group is '{group}' and --split-by is {request.split_by}, which would divide what belongs to one {group}. "
                f"Expected --split-by group, or none. Leave --split-by out."
            )
        choices.reasons["split"] = f"group: every '{group}' is in one part only"
        return SplitPlan(kind="group", column=group, **shares)  # type: ignore[arg-type]
    inferred, why = {
        "forecast": ("time", "a forecast is judged on what comes after its training data"),
        "classify": ("stratified", "every class is in every part, whole sequences only"),
        "anomaly": ("time", "what comes later is judged by what was normal before"),
        "regress": ("group", "whole sequences, so that no sequence is in two parts"),
        **dict.fromkeys(STEP_TASKS, split_of_steps(data.task, table)),
    }[data.task]
    kind = choices.pick("split", request.split_by, inferred, why)
    if data.task in HISTORY_TASKS and kind != "time":
        raise ConfigError(
            f"split_by is '{kind}' for {data.task}; expected 'time', since it is judged on later data. Leave --split-by out."
        )
    return SplitPlan(kind=kind, **shares)  # type: ignore[arg-type]


def step_seconds(table: Table) -> float | None:
    """The median distance between steps in seconds; None when the order is no clock."""
    times = table.steps.get_column(table.time) if table.steps.height else None
    if times is None or not times.dtype.is_temporal():
        return None
    gaps = table.steps.select(pl.col(table.time).diff().over(table.series).dt.total_microseconds()).to_series().drop_nulls()
    return None if gaps.is_empty() else float(np.median(gaps.to_numpy())) / 1e6


def season_steps(table: Table) -> int:
    """Steps of one season; 0 when unknown.

    A day for data finer than a day, a week (or five trading days) for daily data, a year for coarser.
    """
    step_s = step_seconds(table)
    if not step_s:
        return 0
    if step_s <= DAY_S / 2:
        return round(DAY_S / step_s)
    if step_s < 2 * DAY_S:
        return 5 if skips_weekends(table.steps.get_column(table.time), step_s) else 7
    for steps_a_year, days in ((52, 7), (12, 30), (4, 91)):
        if abs(step_s / DAY_S - days) <= 0.1 * days:
            return steps_a_year
    return 0


def plan_model(request: Request, task: TaskName, table: Table, choices: Choices) -> ModelPlan:
    """The network's sizes."""
    is_forecast, is_causal = task == "forecast", task == "forecast" or task in STEP_TASKS
    size = 32 if is_forecast else 64
    what = "measurements repeat themselves, so a small network overfits less" if is_forecast else "enough for most sequences"
    hidden_size = choices.pick("hidden_size", request.hidden_size, size, f"{what}; --hidden-size changes it")
    dropout = choices.pick("dropout", request.dropout, 0.4 if is_forecast else 0.3, "the usual guard against overfitting")
    why = "the past is read forwards" if is_causal else "whole sequences are read in both directions"
    if request.cell in FORWARDS and not is_causal:
        why = f"the cell {request.cell} reads how long ago something was, which is known forwards"
    both = not is_causal and request.cell not in FORWARDS
    bidirectional = choices.pick("bidirectional", request.bidirectional, both, why)
    if task in STEP_TASKS and bidirectional:
        choices.reasons["bidirectional"] = (
            "yes, as asked: each answer looks ahead, at later steps too; it cannot be given at once"
        )
    return ModelPlan(
        cell=request.cell,
        hidden_size=hidden_size,  # type: ignore[arg-type]
        num_layers=plan_layers(request.num_layers, task, table, choices),
        bidirectional=bidirectional,  # type: ignore[arg-type]
        dropout=dropout,  # type: ignore[arg-type]
        pooling="summary" if is_causal else plan_pooling(request, choices),
        zoneout=request.zoneout,
        input_dropout=request.input_dropout,
    )


def plan_pooling(request: Request, choices: Choices) -> PoolingName:
    """How a whole sequence becomes one vector."""
    why = "the final state knows the order, the mean does not forget the beginning"
    return choices.pick("pooling", request.pooling, "summary", why)  # type: ignore[return-value]


def plan_training(request: Request, task: TaskName, num_samples: int, choices: Choices) -> TrainingPlan:
    """The training's numbers."""
    is_forecast = task == "forecast"
    noun = "steps" if is_forecast else "pieces of sequences" if task in STEP_TASKS else "sequences"
    few = num_samples < SMALL_DATA
    batch_size = choices.pick("batch_size", request.batch_size, 16 if few else 64, f"{num_samples} {noun}")
    usual = few_epochs(task, num_samples, batch_size) if few else 8 if is_forecast else 20
    epochs = choices.pick("epochs", request.epochs, usual, "the learning rate falls to zero over them")
    waited = max(4, usual // 2)
    patience = choices.pick("patience", request.patience, waited, why_patience(waited, usual, epochs))
    rate = choices.pick("learning_rate", request.learning_rate, 2e-3, "the peak of a warm-up and cosine schedule")
    return TrainingPlan(
        epochs=epochs,  # type: ignore[arg-type]
        epoch_samples=8192 if is_forecast else 0,
        batch_size=batch_size,  # type: ignore[arg-type]
        learning_rate=rate,  # type: ignore[arg-type]
        weight_decay=1e-2 if request.weight_decay is None else request.weight_decay,
        clip_norm=request.clip_norm,
        patience=patience,  # type: ignore[arg-type]
        loss=request.loss,
        focal_gamma=request.focal_gamma,
        class_weights=request.class_weights or "none",
        refit=plan_refit(request.refit, task, few, choices),
        minutes=request.minutes,
        seed=request.seed,
    )
