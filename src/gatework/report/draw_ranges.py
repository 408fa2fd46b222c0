"""Points with error bars, several series side by side: folds, windows, sizes, values of an option."""

from typing import TYPE_CHECKING

import numpy as np

from gatework.report.axis import XAxis, x_axis
from gatework.report.canvas import fit_label, label_above
from gatework.report.draw_lines import MARKERS, dashes
from gatework.report.numbers import short
from gatework.report.palette import Look, Looks
from gatework.runs.figures import Line
from gatework.runs.study import RangesFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPREAD = 0.5
"""The share of the room between two names that the series at one of them take up together."""


def draw_ranges(canvas: "Figure", figure: RangesFigure, looks: Looks, width: int) -> None:
    """Puts the figure on an empty canvas, `width` pixels wide."""
    axes = canvas.add_subplot()
    axis = XAxis(tuple(float(i) for i in range(len(figure.x))), "names", tuple(map(str, figure.x)))
    if not any(isinstance(value, str) for value in figure.x):
        axis = x_axis(figure.x)
    chosen = looks.lines(tuple(Line(name=series.name, y=series.y, style=series.style) for series in figure.series))
    shifts = offsets(len(figure.series)) if axis.kind == "names" and not figure.is_joined else [0.0] * len(figure.series)
    for number, (series, look, shift) in enumerate(zip(figure.series, chosen, shifts, strict=True)):
        x = np.array(axis.positions) + shift
        y, low, high = (
            np.array([np.nan if value is None else value for value in part]) for part in (series.y, series.low, series.high)
        )
        _draw_series(axes, (x, y, low, high), look, MARKERS[number % len(MARKERS)], is_joined=figure.is_joined)
    if figure.x_scale == "log":
        _log_axis(axes, axis)
    elif axis.kind == "names":
        axes.margins(x=0.06)
        axis.format(axes, width)
    else:
        axis.format(axes, width)
    axes.margins(y=0.1)
    axes.grid(True, axis="y")
    axes.set_xlabel(fit_label(figure.x_label, 60))
    label_above(axes, fit_label(figure.y_label, 48))
    _put_names(axes, figure, chosen, 4 if width >= 500 else 2)


def offsets(count: int) -> list[float]:
    """Where the series stand beside each other around a name.

    >>> offsets(2)
    [-0.125, 0.125]
    """
    return [SPREAD * ((number + 0.5) / count - 0.5) for number in range(count)]


def _draw_series(
    axes: "Axes", data: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], look: Look, marker: str, *, is_joined: bool
) -> None:
    x, y, low, high = data
    has_range = np.isfinite(low) & np.isfinite(high)
    axes.vlines(x[has_range], low[has_range], high[has_range], color=look.hex, linewidth=look.width, alpha=0.55)
    known = np.isfinite(y)
    line = dashes(look) if is_joined else "none"
    axes.plot(x[known], y[known], color=look.hex, linewidth=look.width, linestyle=line, marker=marker, markersize=5)


def _log_axis(axes: "Axes", axis: XAxis) -> None:
    """A logarithmic axis with a tick at each size that was tried."""
    from matplotlib.ticker import NullFormatter, NullLocator

    axes.set_xscale("log")
    positions = sorted(axis.positions)
    kept = [positions[-1]]
    for position in reversed(positions[:-1]):  # labels that would touch are left out
        if kept[-1] / position >= 1.4:
            kept.append(position)
    axes.set_xticks(kept, [short(position) if position != round(position) else f"{position:.0f}" for position in kept])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _put_names(axes: "Axes", figure: RangesFigure, looks: list[Look], columns: int) -> None:
    if len(figure.series) < 2:
        return
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], color=look.hex, marker=MARKERS[number % len(MARKERS)], linestyle=dashes(look) if figure.is_joined else "none"
        )
        for number, look in enumerate(looks)
    ]
    axes.legend(
        handles,
        [fit_label(series.name) for series in figure.series],
        loc="lower left",
        bbox_to_anchor=(0, 1.08),
        ncols=columns,
        frameon=False,
        columnspacing=1.4,
        borderaxespad=0.2,
    )


def describe_ranges(figure: RangesFigure) -> str:
    """What the figure shows, for those who do not see it."""
    parts = []
    for series in figure.series:
        known = [value for value in series.y if value is not None]
        if known:
            parts.append(f"{series.name or figure.y_label} from {short(min(known))} to {short(max(known))}")
    return (
        f"{figure.caption} {figure.y_label} at {len(figure.x)} places along {figure.x_label or 'the list'}: {'; '.join(parts)}."
    )
