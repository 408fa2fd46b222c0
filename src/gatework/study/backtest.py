"""Backtest: the same forecast at several moments of the past, each model fitted on what was known then.

Expanding or sliding windows with rolling origins (Tashman, "Out-of-sample tests of forecasting accuracy", 2000). Between two
moments every forecast is judged that begins and ends there.
"""

from dataclasses import dataclass

from gatework.data.series import has_clock, iso_texts, table_rows
from gatework.data.split import split_by_intervals
from gatework.data.table import Table
from gatework.errors import ConfigError
from gatework.runs import Bound, Interval, Plan
from gatework.runs.study import Backtest, StudyJob
from gatework.study.job import Planned, fitted_plan


@dataclass(frozen=True)
class Axis:
    """The moments that all series share: distinct time stamps, or the rows of the longest series, counted from its end.

    stamps: as ISO text; empty where there is no clock.
    """

    length: int
    stamps: tuple[str, ...] = ()

    def bound(self, position: int, steps: int = 0) -> Bound:
        """The place of a moment, 0 to `length`, moved by some of each series' own steps."""
        if position >= self.length:
            return Bound(share=1.0, steps=steps)
        if position <= 0:
            return Bound(steps=steps)
        if self.stamps:
            return Bound(stamp=self.stamps[position], steps=steps)
        return Bound(share=1.0, steps=position - self.length + steps)

    def name(self, position: int) -> str:
        """A moment in words."""
        if not self.stamps:
            return f"{self.length - position} steps before the end"
        stamp = self.stamps[min(position, self.length - 1)].replace("T", " ").removesuffix(".000000")
        return stamp.removesuffix(" 00:00:00").removesuffix(":00")


def axis_of(table: Table) -> Axis:
    """The moments of a table."""
    if not has_clock(table):
        return Axis(int(table_rows(table).lengths.max(initial=0)))
    stamps = iso_texts(table.steps[table.time].unique().sort()).to_list()
    return Axis(len(stamps), tuple(stamps))


@dataclass(frozen=True)
class Window:
    """One moment: train from `begin`, validate from `validation`, judge from `cut` up to `end`; positions on the axis."""

    begin: int
    validation: int
    cut: int
    end: int

    def intervals(self, axis: Axis) -> list[Interval]:
        """The parts of the rows."""
        places = [axis.bound(place) for place in (self.begin, self.validation, self.cut, self.end)]
        return [
            Interval(part="train", begin=places[0], end=places[1]),
            Interval(part="validation", begin=places[1], end=places[2]),
            Interval(part="test", begin=places[2], end=places[3]),
        ]


def moments(length: int, wish: Backtest, plan: Plan) -> list[Window]:
    """The windows on an axis of that length; the last one ends where the data does.

    Raises ConfigError when they do not fit.
    """
    check_wish(wish, plan)
    step = wish.step or max(plan.horizon, length // 2 // wish.windows)
    first = length - wish.windows * step
    share = plan.split.validation
    needed = plan.window + plan.horizon + max(plan.horizon, round(share * (plan.window + plan.horizon) / (1 - share)))
    if first < needed:
        fitting = max(0, (length - needed) // wish.windows)
        raise ConfigError(
            f"{wish.windows} windows of {step} steps leave {max(first, 0)} of {length} steps before the first; expected at least "
            f"{needed}: a window of {plan.window} and a horizon of {plan.horizon} to train on, and a part to validate on. "
            + (f"Give --step {fitting} or less, or fewer --windows." if fitting >= plan.horizon else "Give fewer --windows.")
        )
    windows = []
    for number in range(wish.windows):
        cut = first + number * step
        begin = cut - first if wish.scheme == "sliding" else 0
        validation = cut - max(plan.horizon, round(share * (cut - begin)))
        windows.append(Window(begin, validation, cut, cut + step))
    return windows


def check_wish(wish: Backtest, plan: Plan) -> None:
    """ConfigError for what cannot be backtested."""
    if plan.data.task != "forecast":
        raise ConfigError(
            f"A backtest was asked for and the task is {plan.data.task}. Expected a forecast, which has a before and an after. "
            f"Use 'gatework study folds'."
        )
    if wish.windows < 2:
        raise ConfigError(f"windows is {wish.windows}; expected at least 2. Give --windows 2 or more.")
    if wish.refit_every < 0:
        raise ConfigError(
            f"refit_every is {wish.refit_every}; expected never or a whole number. Give for example --refit-every 3."
        )
    if wish.step is not None and wish.step < plan.horizon:
        raise ConfigError(
            f"step is {wish.step}, and a forecast is {plan.horizon} steps long; expected at least so many steps from one window "
            f"to the next. Give --step {plan.horizon} or more."
        )


def plan_backtest(table: Table, plans: dict[str, Plan], wish: Backtest, seed: int) -> list[Planned]:
    """The jobs of a backtest: one for each window and configuration."""
    axis = axis_of(table)
    # one set of moments for all configurations: the longest window and horizon must fit
    widest = max(plans.values(), key=lambda plan: plan.window + plan.horizon)
    jobs = []
    for name, plan in plans.items():
        for number, window in enumerate(moments(axis.length, wish, widest)):
            split = split_by_intervals(table, window.intervals(axis), seed)
            fitted = (number // wish.refit_every) * wish.refit_every if wish.refit_every else 0
            job = StudyJob(
                folder=folder_of(name, "window", number),
                model=folder_of(name, "window", fitted),
                label=axis.name(window.cut),
                variant=name,
                x=float(number + 1),
                seed=number,
            )
            jobs.append(Planned(job, fitted_plan(plan, table, split.record), split.record))
    return jobs


def folder_of(variant: str, word: str, number: int) -> str:
    """Where a job's files are: `window-1`, or `gru/window-1` when there are several configurations."""
    own = f"{word}-{number + 1}"
    return f"{variant}/{own}" if variant else own
