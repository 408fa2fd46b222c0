"""Bars with a curve or with limits to compare them with: histograms and autocorrelations."""

from typing import TYPE_CHECKING, Any

from gatework.report.canvas import fit_label, label_above
from gatework.report.draw_lines import put_legend
from gatework.report.palette import LIGHT
from gatework.runs import BarsFigure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LIMIT_DASH = (0, (4, 2))


def draw_bars(canvas: "Figure", figure: BarsFigure, width: int) -> None:
    """Puts the bars on an empty canvas, `width` pixels wide."""
    from matplotlib.lines import Line2D

    axes = canvas.add_subplot()
    axes.bar(figure.x, figure.y, width=0.92 * figure.width, color=LIGHT["blue"], alpha=0.55, linewidth=0)
    handles: list[Any] = []
    if min(figure.y, default=0.0) < 0:
        axes.axhline(0.0, color=LIGHT["rule"], linewidth=0.9)
    if figure.curve:
        x, y = zip(*figure.curve, strict=True)
        axes.plot(x, y, color=LIGHT["ink"], linewidth=1.4)
        handles.append(Line2D([], [], color=LIGHT["ink"], linewidth=1.4))
    for limit in figure.limits:
        axes.axhline(limit, color=LIGHT["vermillion"], linewidth=1.1, linestyle=LIMIT_DASH)
    if figure.limits:
        handles.append(Line2D([], [], color=LIGHT["vermillion"], linewidth=1.1, linestyle=LIMIT_DASH))
    names = [name for name, has in ((figure.curve_name, figure.curve), (figure.limits_name, figure.limits)) if has]
    axes.margins(x=0.01, y=0.1)
    axes.grid(True, axis="y")
    axes.set_xlabel(fit_label(figure.x_label, 60))
    if handles:
        put_legend(axes, handles, names, 2 if width >= 500 else 1)
    label_above(axes, fit_label(figure.y_label, 48 if width >= 500 else 20))
