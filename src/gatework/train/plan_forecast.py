"""How a forecast reads its past and looks ahead: horizon, window, level, segments, decoder."""

import numpy as np
import polars as pl

from gatework.cells import find_cell
from gatework.data.series import IntArray, has_clock
from gatework.data.table import Table
from gatework.errors import ConfigError
from gatework.runs import ModelPlan, Normalisation
from gatework.train.choices import Choices, dashed
from gatework.train.request import Request

MAX_HORIZON, MAX_WINDOW = 96, 336
"""Largest inferred values, in steps: beyond them a first run takes minutes; ask for more with --horizon and --window."""

FIRST_SHARE = 0.7
"""Of each series: what any split by time trains on, so that nothing later decides."""

MOST_SERIES = 0.1
"""The share of series that the inferred window may be too long for."""

MOST_ROWS = 0.75
"""Of all rows: where series that are far longer hold so many, the inferred window fits them alone."""

FAR_LONGER = 2.0
"""Times as long: series below that are about equally long."""

FEW_SERIES = 3
"""With fewer, the levels of the series are too few numbers to compare."""

WANDERS = 1.0
"""Variance of the levels over that around them: above, where a series stands says more about when than about what comes next."""


def plan_lengths(request: Request, table: Table, period: int, choices: Choices, *, by_time: bool = True) -> tuple[int, int]:
    """Horizon and window in steps, short enough for the data.

    by_time: the parts are stretches of time, not named by the user.
    """
    lengths = table.steps.group_by(table.series, maintain_order=True).len().get_column("len").to_numpy()
    longest = int(lengths.max(initial=0))
    unit = f"one season of {period} steps" if period else "no season is known"
    season = period if 2 <= period <= MAX_HORIZON else 12
    horizon = choices.pick(
        "horizon", request.horizon, max(1, min(season, longest // 20)), f"{unit}; the data has {longest} steps"
    )
    assert isinstance(horizon, int)
    wanted = min(MAX_WINDOW, max(3 * season, 2 * horizon, 24))
    short = int(np.quantile(lengths, MOST_SERIES, method="lower")) if len(lengths) else 0
    most = max(1, int(max(short, 3 * horizon) * FIRST_SHARE) // 3)
    why = "three seasons or two horizons, at most a third of what nine in ten series have to train on"
    if len(lengths) and by_time and most < wanted and (long := long_series(lengths)) >= FAR_LONGER * short:
        room = min(int(long * FIRST_SHARE) // 3, most_trained_on(table) // 3 - horizon)
        if room > most:
            most, share = room, lengths[lengths >= long].sum() / lengths.sum()
            why = (
                f"three seasons or two horizons, at most a third of what series of {long} steps or more have to train on, which "
                f"hold {100 * share:.0f} % of the rows; shorter ones are read from where they begin"
            )
    window = choices.pick("window", request.window, max(1, min(wanted, most)), why)
    assert isinstance(window, int)
    return horizon, window


def long_series(lengths: IntArray) -> int:
    """The greatest length that the series with most of the rows have at least."""
    ordered = np.sort(lengths)[::-1]
    return int(ordered[np.searchsorted(np.cumsum(ordered), MOST_ROWS * ordered.sum())])


def most_trained_on(table: Table) -> int:
    """The most rows of one series before the first share of the time is over, whatever split by time there will be."""
    time, place = pl.col(table.time), pl.int_range(pl.len()).over(table.series)
    stamps = table.steps[table.time].unique().sort()
    is_first = (
        time < stamps[int(FIRST_SHARE * len(stamps))] if has_clock(table) else place < FIRST_SHARE * pl.len().over(table.series)
    )
    most = table.steps.filter(is_first).group_by(table.series).len().get_column("len").max()
    return most if isinstance(most, int) else 0


def plan_forecaster(request: Request, model: ModelPlan, table: Table, steps: tuple[int, int], choices: Choices) -> ModelPlan:
    """How the windows of a forecast are read and its horizon decoded. steps: of the window and of a season.

    Raises ConfigError for what cannot go together.
    """
    window, period = steps
    segment = choices.pick(
        "segment", request.segment, 1, "every step is read by itself; --segment 24 reads days of hours, faster"
    )
    usual, why = usual_normalisation(table)
    normalise = choices.pick("normalise", request.normalise, usual, why)
    decoder = choices.pick("decoder", request.decoder, "direct", "all steps of the horizon at once")
    channels = choices.pick("channels", request.channels, "together", "targets may explain each other")
    linear = choices.pick("linear_steps", request.linear_steps, min(24, window), "what a linear model can do is left to it")
    forecaster = {"segment": segment, "normalise": normalise, "decoder": decoder, "channels": channels, "linear_steps": linear}
    check_forecaster(forecaster, model, window, period)
    check_clock(forecaster, model)
    return model.model_copy(update=forecaster)


def usual_normalisation(table: Table) -> tuple[Normalisation, str]:
    """What to take off each window, from the first part of every series, and why.

    Series that stand at different levels: `standard`. A level that wanders from quarter to quarter: `last`. Else `none`.
    """
    for field in table.named("target"):
        apart = level_share(table, field.name, pl.lit(0))
        if table.sequences.height >= FEW_SERIES and apart > WANDERS:
            return "standard", f"the series stand at different levels of '{field.name}'; each window is put on its own"
        wander = level_share(table, field.name, (4 * pl.int_range(pl.len()) // pl.len()), within_series=True)
        if wander > WANDERS:
            return "last", f"the level of '{field.name}' wanders; each window is measured from its last value"
    return "none", "the levels of training are those to come, as far as it shows"


def level_share(table: Table, name: str, quarter: pl.Expr, *, within_series: bool = False) -> float:
    """The variance of a column's levels over the mean variance around them; infinite when nothing varies around them.

    quarter: which part of its series each row belongs to. within_series: levels are compared inside each series, not among them.
    """
    order, size = pl.int_range(pl.len()).over(table.series), pl.len().over(table.series)
    first = table.steps.filter(order < FIRST_SHARE * size).select(table.series, pl.col(name).cast(pl.Float64))
    parts = (
        first.with_columns(quarter.over(table.series).alias("__part__"))
        if within_series
        else first.with_columns(quarter.alias("__part__"))
    )
    levels = parts.group_by(table.series, "__part__").agg(pl.col(name).mean().alias("level"), pl.col(name).var().alias("around"))
    around = levels["around"].mean()
    between = levels.group_by(table.series).agg(pl.col("level").var())["level"].mean() if within_series else levels["level"].var()
    if not isinstance(between, float) or not isinstance(around, float):
        return 0.0
    return between / around if around > 0 else float("inf") if between > 0 else 0.0


def check_forecaster(forecaster: dict[str, object], model: ModelPlan, window: int, period: int) -> None:
    """ConfigError for a way to read windows that does not fit the window, the season or the network."""
    segment, linear, decoder = forecaster["segment"], forecaster["linear_steps"], forecaster["decoder"]
    assert isinstance(segment, int)
    assert isinstance(linear, int)
    if segment > window or linear > window:
        name, value = ("segment", segment) if segment > window else ("linear_steps", linear)
        raise ConfigError(
            f"{name} is {value} and the window has {window} steps; expected at most the window. "
            f"Give a smaller --{dashed(name)} or a larger --window."
        )
    if forecaster["normalise"] == "season" and (period < 2 or window < 2 * period):
        raise ConfigError(
            f"--normalise season measures a window by its last two seasons; the season is {period or 'unknown'} and the "
            f"window has {window} steps. Give --season and --window of two seasons or more, or another --normalise."
        )
    if decoder != "direct" and model.bidirectional:
        raise ConfigError(
            f"--decoder {decoder} goes on from where the window ends; a network that reads in both directions has no such state. "
            f"Expected --decoder direct with --bidirectional. Leave one of them out."
        )


def check_clock(forecaster: dict[str, object], model: ModelPlan) -> None:
    """ConfigError for a cell that reads the time of every step, where steps are read together or ahead of the data."""
    inputs = find_cell(model.cell).inputs
    for name, usual in (("segment", 1), ("decoder", "direct")):
        if inputs and forecaster[name] != usual:
            raise ConfigError(
                f"--{name} is {forecaster[name]} and the cell {model.cell} reads {', '.join(inputs)} at every single step; "
                f"expected --{name} {usual} with it. Leave --{name} out, or choose another --cell."
            )
