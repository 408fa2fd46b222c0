"""The picture of one training: losses with the gap between them, and below them what the optimiser and the gates did."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatework.report.canvas import label_above, render
from gatework.report.diagnosis import fitted
from gatework.report.draw_lines import spread
from gatework.report.numbers import short
from gatework.report.palette import LIGHT
from gatework.runs import HistoryRow, TrainingPlan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In pixels. Fixed places, not a computed layout: seven panels are measured in a second otherwise.
LOSS_HEIGHT, STRIP_HEIGHT = 220, 40
TOP, GAP, BOTTOM = 24, 30, 42
LEFT, RIGHT = 58, 76
HEADROOM = 1.2
LIMIT_DASH = (0, (4, 2))


@dataclass(frozen=True)
class Strip:
    """A low panel under the losses: one quantity over the epochs, and the limit that it is compared with."""

    label: str
    values: tuple[float, ...]
    color: str
    limit: float | None = None
    is_bars: bool = False
    top: float | None = None

    @property
    def has_values(self) -> bool:
        """Whether any epoch has a number."""
        return any(math.isfinite(value) for value in self.values)


def draw_training(history: list[HistoryRow], training: TrainingPlan, window: int, width: int) -> str:
    """The SVG of the training curves, `width` pixels wide; strips that have no numbers are left out."""
    strips = [strip for strip in _strips(history, training, window) if strip.has_values]
    height = TOP + LOSS_HEIGHT + len(strips) * (GAP + STRIP_HEIGHT) + BOTTOM

    def draw(canvas: "Figure") -> None:
        bottom = height - TOP - LOSS_HEIGHT
        panels = [_panel(canvas, bottom, LOSS_HEIGHT, width, height)]
        _draw_losses(panels[0], history)
        for strip in strips:
            bottom -= GAP + STRIP_HEIGHT
            panels.append(_panel(canvas, bottom, STRIP_HEIGHT, width, height))
            _draw_strip(panels[-1], strip, history)
        _mark_epochs(panels, history, training, width)

    return render(draw, width, height, layout=None)


def is_early_stopped(history: list[HistoryRow], training: TrainingPlan) -> bool:
    """Whether the training ended because the validation loss had not improved for `patience` epochs."""
    best = _best(history)
    return best is not None and len(history) < training.epochs and history[-1].epoch - best.epoch >= training.patience


def _best(history: list[HistoryRow]) -> HistoryRow | None:
    return next((row for row in reversed(history) if row.is_best), None)


def _panel(canvas: "Figure", bottom: int, panel_height: int, width: int, height: int) -> "Axes":
    axes = canvas.add_axes((LEFT / width, bottom / height, (width - LEFT - RIGHT) / width, panel_height / height))
    axes.grid(True, axis="y")
    axes.tick_params(axis="x", length=0, labelbottom=False)
    return axes


def _draw_losses(axes: "Axes", history: list[HistoryRow]) -> None:
    epochs = [row.epoch for row in history]
    train = [fitted(row) for row in history]
    validation = [row.validation_loss for row in history]
    axes.fill_between(epochs, train, validation, color=LIGHT["orange"], alpha=0.18, linewidth=0)
    marker = "o" if len(history) == 1 else None
    axes.plot(epochs, train, color=LIGHT["muted"], linewidth=1.5, linestyle=(0, (5, 2)), marker=marker)
    axes.plot(epochs, validation, color=LIGHT["blue"], linewidth=1.9, marker=marker)
    values = [value for value in train + validation if math.isfinite(value)]
    if values and min(values) > 0 and max(values) > 30 * min(values):
        axes.set_yscale("log")
    axes.margins(y=0.14)
    label_above(axes, "loss")
    low, high = axes.get_ylim()  # also makes matplotlib set the limits that the transformation below reads
    ends = axes.transAxes.inverted().transform(axes.transData.transform([(0, train[-1]), (0, validation[-1])]))
    heights = spread(
        [float(end[1]) if low <= value <= high else 0.5 for end, value in zip(ends, (train[-1], validation[-1]), strict=True)],
        0.08,
    )
    for name, color, place in (("training", "muted", heights[0]), ("validation", "blue", heights[1])):
        _annotate(axes, name, (1, place), "axes fraction", (7, 0), color, va="center")
    best = _best(history)
    if best is not None:
        axes.plot([best.epoch], [best.validation_loss], marker="o", markersize=6, color=LIGHT["blue"])


def _annotate(
    axes: "Axes", text: str, at: tuple[float, float], within: Any, offset: tuple[float, float], color: str, **placing: Any
) -> None:
    axes.annotate(text, at, xycoords=within, xytext=offset, textcoords="offset points", color=LIGHT[color], **placing)


def _draw_strip(axes: "Axes", strip: Strip, history: list[HistoryRow]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter

    epochs = [row.epoch for row in history]
    if strip.is_bars:
        axes.bar(epochs, strip.values, color=LIGHT[strip.color], alpha=0.6, width=0.7)
    else:
        marker = "o" if len(history) == 1 else None
        axes.plot(epochs, strip.values, color=LIGHT[strip.color], linewidth=1.6, marker=marker, markersize=3, clip_on=False)
    if strip.limit:
        axes.axhline(strip.limit, color=LIGHT["muted"], linewidth=0.9, linestyle=LIMIT_DASH)
    largest = max((value for value in (*strip.values, strip.limit or 0.0) if math.isfinite(value)), default=0.0)
    axes.set_ylim(0, strip.top or HEADROOM * largest or 1.0)
    # Two numbers say all that a strip can: nothing, and the most.
    axes.yaxis.set_major_locator(FixedLocator([0.0, strip.top or largest or 1.0]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: "0" if value == 0 else f"{value:.3g}"))
    label_above(axes, strip.label, 3.0)


def _mark_epochs(panels: list["Axes"], history: list[HistoryRow], training: TrainingPlan, width: int) -> None:
    from matplotlib.ticker import MaxNLocator

    first, last, best = history[0].epoch, history[-1].epoch, _best(history)
    stopped = is_early_stopped(history, training)
    for axes in panels:
        axes.set_xlim(first - 0.6, last + 0.6)
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        if best is not None:
            axes.axvline(best.epoch, color=LIGHT["ink"], linewidth=0.8, linestyle=(0, (2, 2)))
        if stopped:
            axes.axvline(last, color=LIGHT["vermillion"], linewidth=1.1)
    if best is not None:
        _label_epoch(panels[0], best.epoch, f"best: epoch {best.epoch}, {short(best.validation_loss)}", "ink", history)
    if stopped:
        _label_epoch(panels[0], last, "early stop", "vermillion", history, drop=19 if width < 500 else 3)
    panels[-1].tick_params(axis="x", length=4, labelbottom=True)
    panels[-1].set_xlabel("epoch")


def _label_epoch(axes: "Axes", epoch: int, text: str, color: str, history: list[HistoryRow], drop: float = 3) -> None:
    is_right = epoch > history[0].epoch + 0.5 * (history[-1].epoch - history[0].epoch)
    at, offset = (epoch, 1), (-6 if is_right else 6, -drop)
    _annotate(axes, text, at, ("data", "axes fraction"), offset, color, ha="right" if is_right else "left", va="top")


def _strips(history: list[HistoryRow], training: TrainingPlan, window: int) -> list[Strip]:
    def known(values: list[float | int | None]) -> tuple[float, ...]:
        return tuple(math.nan if value is None else float(value) for value in values)

    saturated = [None if row.saturated_share is None else 100 * row.saturated_share for row in history]
    against_window = f" (dashed: the window, {window})" if window else ""
    return [
        Strip("learning rate", known([row.learning_rate for row in history]), "green"),
        Strip(
            f"gradient norm (dashed: clipped above {training.clip_norm:g})",
            known([row.gradient_norm for row in history]),
            "purple",
            limit=training.clip_norm,
        ),
        Strip("clipped steps, %", known([100 * row.clip_rate for row in history]), "purple", is_bars=True, top=100.0),
        Strip("saturated gates, %", known(saturated), "vermillion", top=100.0),
        Strip("dead units", known([row.dead_units for row in history]), "vermillion", is_bars=True),
        Strip(f"reach, steps{against_window}", known([row.reach_steps for row in history]), "blue", limit=window or None),
    ]
