"""Lines over a common axis: thin, named where they end, with ranges around them and stretches that stand out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gatework.report.axis import XAxis, x_axis
from gatework.report.canvas import fit_label, label_above
from gatework.report.palette import LIGHT, Look, Looks
from gatework.runs import Line, LinesFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPAN_COLORS = ("vermillion", "green", "orange")
SPAN_ALPHA = 0.22
MARKERS = ("o", "s", "D", "^", "v", "P")
BAND_ALPHA = 0.16
"""Of the widest range; each narrower one inside it is drawn over it, and so looks darker."""


def draw_lines(canvas: "Figure", figure: LinesFigure, looks: Looks, width: int) -> None:
    """Puts the figure on an empty canvas, `width` pixels wide."""
    axes = canvas.add_subplot()
    axis = x_axis(figure.x)
    chosen = looks.lines(figure.lines)
    _draw_bands(axes, figure, axis)
    for i, (line, look) in enumerate(zip(figure.lines, chosen, strict=True)):
        y = [np.nan if value is None else value for value in line.y]
        if axis.kind == "names":
            # Between names there is nothing that a line could show.
            axes.plot(axis.positions, y, color=look.hex, linestyle="none", marker=MARKERS[i % len(MARKERS)], markersize=6)
            continue
        marker = "o" if len(axis.positions) <= 12 or np.isfinite(y).sum() == 1 else None
        axes.plot(axis.positions, y, color=look.hex, linewidth=look.width, linestyle=dashes(look), marker=marker, markersize=3.5)
    axes.margins(x=0.06 if axis.kind == "names" else 0.01, y=0.08 if not figure.marks else 0.16)
    axes.grid(True, axis="y")
    axis.format(axes, width)
    axes.set_xlabel(fit_label(figure.x_label, 60))
    _draw_marks(axes, figure, axis)
    _draw_spans(axes, figure, axis)
    name_lines(axes, axis, figure, chosen, width)
    label_above(axes, fit_label(figure.y_label, 48))


def _draw_bands(axes: "Axes", figure: LinesFigure, axis: XAxis) -> None:
    for band in figure.bands:
        low, high = ([np.nan if value is None else value for value in ends] for ends in (band.low, band.high))
        axes.fill_between(axis.positions, low, high, color=LIGHT["blue"], alpha=BAND_ALPHA, linewidth=0)


def _draw_spans(axes: "Axes", figure: LinesFigure, axis: XAxis) -> None:
    """Shaded stretches behind the lines; a stretch of one point is as wide as the distance to its neighbours."""
    if axis.kind == "names" or len(axis.positions) < 2:
        return
    low, high = axes.get_xlim()
    least = max(axis.span / (len(axis.positions) - 1), 0.003 * axis.span)
    colors = span_colors(figure)
    for start, end, label in figure.spans:
        first, last = axis.position_of(start), axis.position_of(end)
        if first is None or last is None:
            continue
        widened = max(0.0, least - (last - first)) / 2
        axes.axvspan(first - widened, last + widened, color=colors[label], alpha=SPAN_ALPHA, linewidth=0, zorder=0.5)
    axes.set_xlim(low, high)


def span_colors(figure: LinesFigure) -> dict[str, str]:
    """The colour of the stretches of each label, in the order in which the labels occur."""
    labels = dict.fromkeys(label for _, _, label in figure.spans)
    return {label: LIGHT[SPAN_COLORS[number % len(SPAN_COLORS)]] for number, label in enumerate(labels)}


def _draw_marks(axes: "Axes", figure: LinesFigure, axis: XAxis) -> None:
    for x, label in figure.marks:
        position = axis.position_of(x)
        if position is None or not axis.positions:
            continue
        axes.axvline(position, color=LIGHT["muted"], linewidth=0.9, linestyle=(0, (2, 2)))
        is_right = position > min(axis.positions) + 0.75 * axis.span
        axes.annotate(
            fit_label(label),
            (position, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-5 if is_right else 5, -2),
            textcoords="offset points",
            ha="right" if is_right else "left",
            va="top",
            color=LIGHT["muted"],
        )


def name_lines(axes: "Axes", axis: XAxis, figure: LinesFigure, looks: list[Look], width: int) -> None:
    """Names each line: at its right end where all end there and there is room, else in a legend above."""
    lines = figure.lines
    ends = [_last_value(axis, line) for line in lines]
    reach_the_end = all(end is not None and end[0] >= max(axis.positions) - 0.04 * axis.span for end in ends)
    if width < 500 or axis.kind == "names" or figure.bands or figure.spans or not reach_the_end or not 1 < len(lines) <= 6:
        _draw_legend(axes, figure, looks, 5 if width >= 500 else 2, is_dots=axis.kind == "names")
        return
    low, high = axes.get_ylim()
    heights = [(end[1] - low) / (high - low) for end in ends if end]
    for line, look, end, height in zip(lines, looks, ends, spread(heights, 0.075), strict=True):
        if end is not None:
            axes.annotate(
                fit_label(line.name, 22),
                (1, height),
                xycoords="axes fraction",
                xytext=(7, 0),
                textcoords="offset points",
                va="center",
                color=look.hex,
                annotation_clip=False,
            )


def spread(heights: list[float], gap: float) -> list[float]:
    """The heights moved apart, as little as needed, so that neighbours are at least `gap` from each other.

    >>> spread([0.5, 0.5], 0.1)
    [0.45, 0.55]
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    # Clusters of labels that touch share one centre; merging until nothing touches needs at most one pass per label.
    clusters = [[index] for index in order]
    centers = [heights[index] for index in order]
    while True:
        reach = [gap * (len(cluster) - 1) / 2 for cluster in clusters]
        touching = [i for i in range(len(clusters) - 1) if centers[i + 1] - reach[i + 1] - centers[i] - reach[i] < gap - 1e-9]
        if not touching:
            break
        first = touching[0]
        clusters[first : first + 2] = [clusters[first] + clusters[first + 1]]
        centers[first : first + 2] = [sum(heights[index] for index in clusters[first]) / len(clusters[first])]
    moved = list(heights)
    for cluster, center, half in zip(clusters, centers, reach, strict=True):
        for rank, index in enumerate(cluster):
            moved[index] = round(center - half + rank * gap, 9)
    return moved


def _last_value(axis: XAxis, line: Line) -> tuple[float, float] | None:
    known = [(x, y) for x, y in zip(axis.positions, line.y, strict=False) if y is not None]
    return known[-1] if known else None


def dashes(look: Look) -> Any:
    """The dash pattern of a look, as matplotlib takes it."""
    return (0, look.dash) if look.dash else "-"


def _draw_legend(axes: "Axes", figure: LinesFigure, looks: list[Look], columns: int, is_dots: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D([], [], color=look.hex, linestyle="none", marker=MARKERS[i % len(MARKERS)])
        if is_dots
        else Line2D([], [], color=look.hex, linewidth=look.width, linestyle=dashes(look))
        for i, look in enumerate(looks)
    ]
    names = [line.name for line in figure.lines]
    for number, band in enumerate(figure.bands, start=1):
        # a narrower range lies on all wider ones
        handles.append(Patch(color=LIGHT["blue"], alpha=1 - (1 - BAND_ALPHA) ** number, linewidth=0))
        names.append(band.name)
    for label, color in span_colors(figure).items():
        handles.append(Patch(color=color, alpha=SPAN_ALPHA, linewidth=0))
        names.append(label)
    if len(names) > 1 or any(names):
        put_legend(axes, handles, names, columns)


def put_legend(axes: "Axes", handles: Sequence[Any], names: Sequence[str], columns: int) -> None:
    """A legend without a frame, above the axes on the right."""
    axes.legend(
        handles=handles,
        # A leading underscore would hide the entry.
        labels=["\u200b" + fit_label(name, 22) for name in names],
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=min(len(names), columns),
        frameon=False,
        handlelength=2.2,
        columnspacing=1.4,
        borderaxespad=0.2,
    )
