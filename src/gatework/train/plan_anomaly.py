"""What is decided for anomaly detection: the way, the window, the budget; everything from the training rows alone."""

import numpy as np
import polars as pl

from gatework.data.series import table_rows
from gatework.data.split import make_split
from gatework.data.table import Table
from gatework.errors import ConfigError, DataError
from gatework.runs import AnomalyPlan, DataPlan, ModelPlan, Plan, SplitPlan, TrainingPlan
from gatework.runs.anomaly import Method
from gatework.tasks.detectors.budget import read_budget
from gatework.tasks.detectors.period import dominant_period, predictability
from gatework.tasks.detectors.threshold import check_budget
from gatework.train.choices import Choices
from gatework.train.request import Request

PREDICTABLE = 0.3
DEFAULT_BUDGET = "0.001"
LEAST_WINDOW, MOST_WINDOW = 32, 512
RECENT, LEADS = 16, 8
MOST_ERRORS = 64
"""Leads times channels of one residual; its covariance has the square of it."""
VALIDATION = 0.25
"""The share that validates, where nothing else is said: what is normal and where an alarm begins comes from it."""


def plan_anomaly(
    request: Request, data: DataPlan, table: Table, split: SplitPlan, choices: Choices, step_s: float | None
) -> Plan:
    """The plan of a detector. Raises ConfigError for impossible wishes, DataError for too little data."""
    parts = make_split(table, split)
    longest = longest_stretch(table, parts.rows_of("train"))
    budget = read_budget(str(choices.pick(
        "false_alarms", request.false_alarms, DEFAULT_BUDGET, "one step in a thousand; --false-alarms 1/week counts ranges"
    )), step_s)  # fmt: skip
    check_budget(budget, int(parts.rows_of("validation").sum()))
    period = plan_period(request, longest, choices)
    method = plan_method(request, longest, choices)
    window = plan_window(request, len(longest), period, 2 if method == "forecast" else 1, choices)
    horizon = plan_leads(request, len(data.targets), window, choices) if method == "forecast" else 0
    recent = min(RECENT, max(1, window // 4))
    gap = choices.pick("gap", request.gap, max(horizon, window // 16, 1), "ranges with so few quiet steps between them are one")
    assert isinstance(gap, int)
    anomaly = AnomalyPlan(
        method=method,
        false_alarms=budget.text,
        alarm_rate=budget.rate,
        counts=budget.counts,
        gap=gap,
        warmup=max(recent, window // 4) if method == "forecast" else 0,
        recent=recent,
        segment=max(1, window // 8),
        hop=max(1, window // 8),
    )
    return Plan(
        data=data, split=split, model=plan_network(request, method, choices), training=plan_steps(request, len(longest),
        window, choices), horizon=horizon, window=window, period=period, anomaly=anomaly, reasons=choices.reasons,
    )  # fmt: skip


def longest_stretch(table: Table, train: np.ndarray) -> np.ndarray:
    """(steps, targets) the watched columns over the longest stretch of training rows of one series, NaN where unobserved."""
    sequence = table_rows(table).sequence
    rows = np.flatnonzero(train)
    cuts = np.flatnonzero((np.diff(rows) > 1) | (np.diff(sequence[rows]) != 0)) + 1
    stretch = max(np.split(rows, cuts), key=len)
    names = [field.name for field in table.named("target")]
    frame = table.steps.select(pl.col(names).cast(pl.Float64))[stretch]
    return frame.fill_null(float("nan")).to_numpy()


def plan_period(request: Request, values: np.ndarray, choices: Choices) -> int:
    """Steps after which the series repeats itself; 0 where it does not."""
    if request.season is not None:
        return request.season
    period = dominant_period(values)
    why = "the autocorrelation of the training part is highest there" if period else "the training part does not repeat itself"
    choices.reasons["season"] = f"{period or 'none'}: {why}"
    return period


def plan_method(request: Request, values: np.ndarray, choices: Choices) -> Method:
    """Forecast where the next step follows from the last ones, reconstruction where it does not."""
    if request.method is not None and request.method != "auto":
        return request.method
    share = predictability(values)
    if share >= PREDICTABLE:
        choices.reasons["method"] = (
            f"forecast: {share:.0%} of the variance of the next step follows from the {RECENT} steps before"
        )
        return "forecast"
    choices.reasons["method"] = (
        f"reconstruction: only {share:.0%} of the variance of the next step follows from the {RECENT} steps before, too little "
        f"for a "
        f"forecast to be a yardstick"
    )
    return "reconstruction"


def plan_window(request: Request, longest: int, period: int, periods: int, choices: Choices) -> int:
    """Steps of a window: two periods of a forecast, one of a reconstruction, at most a third of the training part."""
    most = longest // 3
    wanted = min(MOST_WINDOW, max(LEAST_WINDOW, periods * period if period else 2 * LEAST_WINDOW))
    why = f"{'two periods' if periods == 2 else 'one period'} of {period} steps" if period else "no period is known"
    window = choices.pick("window", request.window, max(1, min(wanted, most)), f"{why}; at most a third of the training part")
    assert isinstance(window, int)
    if longest < window + LEADS or longest < 24:
        raise DataError(
            f"The longest stretch of the training part has {longest} steps; a window of {window} steps and the steps after it "
            f"were "
            f"asked for. Expected at least {max(24, window + LEADS)} steps. Give more data, or a smaller --window."
        )
    return window


def plan_leads(request: Request, num_targets: int, window: int, choices: Choices) -> int:
    """Steps ahead of the forecasts that one residual is made of."""
    inferred = max(1, min(LEADS, window // 8, MOST_ERRORS // num_targets))
    horizon = choices.pick(
        "horizon", request.horizon, inferred, "each step is compared with the forecasts made so many steps before it"
    )
    assert isinstance(horizon, int)
    if horizon > window // 2:
        raise ConfigError(
            f"horizon is {horizon} and window is {window}. Expected a horizon of at most half of the window. "
            f"Give a smaller --horizon or a larger --window."
        )
    return horizon


def plan_network(request: Request, method: Method, choices: Choices) -> ModelPlan:
    """The network's sizes: small, so that it learns what is usual and not every training step."""
    if request.bidirectional:
        raise ConfigError(
            "bidirectional is True, but a detector reads forwards, as its data comes. "
            "Expected one direction. Leave --bidirectional out."
        )
    size = choices.pick(
        "hidden_size",
        request.hidden_size,
        32 if method == "forecast" else 64,
        "enough for what is usual" if method == "forecast" else "the whole window has to go through the state at its end",
    )
    dropout = choices.pick(
        "dropout", request.dropout, 0.0, "the threshold comes from the validation part, whatever is overfitted"
    )
    return ModelPlan(
        cell=request.cell, hidden_size=size, num_layers=request.num_layers or 1, bidirectional=False, dropout=dropout,  # type: ignore[arg-type]
        zoneout=request.zoneout,
        input_dropout=request.input_dropout,
    )  # fmt: skip


def plan_steps(request: Request, longest: int, window: int, choices: Choices) -> TrainingPlan:
    """The training's numbers."""
    few = longest < 50 * window
    batch_size = choices.pick("batch_size", request.batch_size, 16 if few else 32, f"{longest} steps in windows of {window}")
    epochs = choices.pick("epochs", request.epochs, 60 if few else 20, "the learning rate falls to zero over them")
    assert isinstance(epochs, int)
    patience = choices.pick("patience", request.patience, max(4, epochs // 3), "a third of the epochs")
    rate = choices.pick("learning_rate", request.learning_rate, 5e-3, "the peak of a warm-up and cosine schedule")
    return TrainingPlan(
        epochs=epochs,
        epoch_samples=2048,
        batch_size=batch_size,  # type: ignore[arg-type]
        learning_rate=rate,  # type: ignore[arg-type]
        weight_decay=1e-2 if request.weight_decay is None else request.weight_decay,
        clip_norm=request.clip_norm,
        patience=patience,  # type: ignore[arg-type]
        minutes=request.minutes,
        seed=request.seed,
    )
