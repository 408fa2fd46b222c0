"""Points beside y = x, curves of one share against another, and rows of dots."""

from typing import TYPE_CHECKING

import numpy as np

from gatework.report.canvas import fit_label, label_above
from gatework.report.draw_lines import dashes, put_legend
from gatework.report.palette import LIGHT, Looks
from gatework.runs import CurvesFigure, DotsFigure, Line, ScatterFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DIAGONAL_DASH = (0, (4, 2))
DOT_MARKERS = {"prediction": "o", "truth": "D", "history": "s", "baseline": "|"}


def draw_scatter(canvas: "Figure", figure: ScatterFigure) -> None:
    """Puts the points on an empty canvas."""
    axes = canvas.add_subplot()
    x, y = np.asarray(figure.x, dtype=float), np.asarray(figure.y, dtype=float)
    if figure.sizes:
        sizes = np.asarray(figure.sizes, dtype=float)
        areas = 20 + 200 * sizes / max(float(sizes.max()), 1e-12)
    else:
        areas = np.full(x.shape, 26.0 if len(x) <= 60 else 10.0)
    if figure.has_diagonal and len(x):
        _draw_diagonal(axes, min(x.min(), y.min()), max(x.max(), y.max()))
    axes.scatter(x, y, s=areas, color=LIGHT["blue"], alpha=0.75 if len(x) <= 200 else 0.35, linewidths=0)
    axes.grid(True, axis="both")
    axes.margins(0.06)
    axes.set_xlabel(fit_label(figure.x_label, 60))
    label_above(axes, fit_label(figure.y_label, 48))


def _draw_diagonal(axes: "Axes", low: float, high: float) -> None:
    axes.plot([low, high], [low, high], color=LIGHT["muted"], linewidth=0.9, linestyle=DIAGONAL_DASH)
    axes.annotate(
        "y = x",
        (low + 0.6 * (high - low), low + 0.6 * (high - low)),
        ha="left",
        va="top",
        color=LIGHT["muted"],
        xytext=(6, -3),
        textcoords="offset points",
    )


def draw_curves(canvas: "Figure", figure: CurvesFigure, looks: Looks) -> None:
    """Puts the curves on an empty canvas; both axes run from 0 to 1."""
    from matplotlib.lines import Line2D

    axes = canvas.add_subplot()
    if figure.has_diagonal:
        _draw_diagonal(axes, 0.0, 1.0)
    chosen = looks.lines(tuple(Line(name=curve.name, y=curve.y, style=curve.style) for curve in figure.curves))
    for curve, look in zip(figure.curves, chosen, strict=True):
        marker = "o" if len(curve.x) <= 12 else None
        axes.plot(curve.x, curve.y, color=look.hex, linewidth=look.width, linestyle=dashes(look), marker=marker, markersize=4)
    for x, y, label in figure.points:
        axes.plot([x], [y], marker="o", markersize=7, color=LIGHT["ink"], markerfacecolor=LIGHT["paper"], markeredgewidth=1.6)
        is_right = x > 0.55
        is_above = y <= 0.5 or (is_right and figure.has_diagonal)  # a rising curve comes from the lower left
        axes.annotate(
            fit_label(label),
            (x, y),
            ha="right" if is_right else "left",
            va="bottom" if is_above else "top",
            xytext=(-8 if is_right else 8, 5 if is_above else -5),
            textcoords="offset points",
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.grid(True, axis="both")
    axes.set_xlabel(fit_label(figure.x_label, 60))
    handles = [Line2D([], [], color=look.hex, linewidth=look.width, linestyle=dashes(look)) for look in chosen]
    put_legend(axes, handles, [curve.name for curve in figure.curves], 2)
    label_above(axes, fit_label(figure.y_label, 24), offset=6.0 if len(figure.curves) <= 2 else 24.0)


def draw_dots(canvas: "Figure", figure: DotsFigure, looks: Looks, width: int) -> None:
    """Puts the rows on an empty canvas, `width` pixels wide, the first label on top."""
    from matplotlib.lines import Line2D

    axes = canvas.add_subplot()
    places = np.arange(len(figure.labels))
    chosen = looks.lines(figure.lines)
    drawn = sorted(zip(figure.lines, chosen, strict=True), key=lambda pair: pair[0].style == "prediction")
    for line, look in drawn:
        x = [np.nan if value is None else value for value in line.y]
        axes.plot(x, places, linestyle="none", marker=DOT_MARKERS[line.style], color=look.hex, markersize=7, markeredgewidth=1.8)
    known = [value for line in figure.lines for value in line.y if value is not None]
    if known and min(known) >= 0:
        axes.set_xlim(left=0, right=1.04 * max(known) or 1.0)
    axes.set_ylim(len(figure.labels) - 0.4, -0.6)
    axes.set_yticks(places, [fit_label(label, 22 if width >= 500 else 14) for label in figure.labels])
    axes.grid(True, axis="x")
    axes.grid(True, axis="y", linewidth=0.5)
    axes.set_xlabel(fit_label(figure.x_label, 60))
    if len(figure.lines) > 1:
        handles = [
            Line2D([], [], color=look.hex, linestyle="none", marker=DOT_MARKERS[line.style], markersize=7, markeredgewidth=1.8)
            for line, look in zip(figure.lines, chosen, strict=True)
        ]
        put_legend(axes, handles, [line.name for line in figure.lines], 4 if width >= 500 else 2)
