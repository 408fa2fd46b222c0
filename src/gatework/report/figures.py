"""The figures of evaluation.json as SVG: thin lines named where they end, matrices with their numbers, points beside y = x."""

from typing import TYPE_CHECKING, Any

import numpy as np

from gatework.report.axis import XAxis, x_axis
from gatework.report.canvas import fit_label, font_size, label_above, render
from gatework.report.numbers import counted, short
from gatework.report.palette import LIGHT, Look, Looks
from gatework.runs import Line, LinesFigure, MatrixFigure, ScatterFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE, NARROW = 760, 360
MOST_NUMBERED = 16
SPAN_COLORS = ("vermillion", "green", "orange")
MARKERS = ("o", "s", "D", "^", "v", "P")


def draw(figure: LinesFigure | MatrixFigure | ScatterFigure, looks: Looks, width: int) -> str:
    """The SVG of one figure, `width` pixels wide."""
    if isinstance(figure, LinesFigure):
        return render(lambda canvas: _draw_lines(canvas, figure, looks, width), width, 300 if width >= 500 else 250)
    if isinstance(figure, MatrixFigure):
        rows, columns = len(figure.row_labels), max(1, len(figure.column_labels))
        side = min(560, width) if columns > 4 else min(400, width)
        return render(
            lambda canvas: _draw_matrix(canvas, figure, side), side, round(90 + (side - 90) * max(rows, 2) / max(columns, 2))
        )
    side = min(440, width)
    return render(lambda canvas: _draw_scatter(canvas, figure), side, side)


def describe(figure: LinesFigure | MatrixFigure | ScatterFigure) -> str:
    """What the figure shows, for those who do not see it."""
    if isinstance(figure, MatrixFigure):
        rows, columns = len(figure.row_labels), len(figure.column_labels)
        return f"{figure.caption} A matrix of {rows} rows (truth) and {columns} columns (predicted)."
    if isinstance(figure, ScatterFigure):
        return f"{figure.caption} {len(figure.x)} points of {figure.y_label} against {figure.x_label}."
    names = ", ".join(line.name for line in figure.lines)
    values = [value for line in figure.lines for value in line.y if value is not None]
    reach = f", from {short(min(values))} to {short(max(values))}" if values else ""
    along = f" along {figure.x_label}" + (f" from {figure.x[0]} to {figure.x[-1]}" if figure.x else "")
    shaded = "".join(f" Shaded, {label}: {counted(count, 'stretch', 'stretches')}." for label, count in _span_counts(figure))
    return f"{figure.caption} Lines: {names}; {figure.y_label}{reach}{along}.{shaded}"


def _span_counts(figure: LinesFigure) -> list[tuple[str, int]]:
    labels = [label for _, _, label in figure.spans]
    return [(label, labels.count(label)) for label in dict.fromkeys(labels)]


def _draw_lines(canvas: "Figure", figure: LinesFigure, looks: Looks, width: int) -> None:
    axes = canvas.add_subplot()
    axis = x_axis(figure.x)
    chosen = looks.lines(figure.lines)
    for i, (line, look) in enumerate(zip(figure.lines, chosen, strict=True)):
        y = [np.nan if value is None else value for value in line.y]
        if axis.kind == "names":
            # Between names there is nothing that a line could show.
            axes.plot(axis.positions, y, color=look.hex, linestyle="none", marker=MARKERS[i % len(MARKERS)], markersize=6)
            continue
        marker = "o" if len(axis.positions) <= 12 or np.isfinite(y).sum() == 1 else None
        axes.plot(axis.positions, y, color=look.hex, linewidth=look.width, linestyle=_dashes(look), marker=marker, markersize=3.5)
    axes.margins(x=0.06 if axis.kind == "names" else 0.01, y=0.08 if not figure.marks else 0.16)
    axes.grid(True, axis="y")
    axis.format(axes, width)
    axes.set_xlabel(fit_label(figure.x_label, 60))
    _draw_marks(axes, figure, axis)
    _draw_spans(axes, figure, axis)
    name_lines(axes, axis, figure.lines, chosen, width)
    label_above(axes, fit_label(figure.y_label, 48))


def _draw_marks(axes: "Axes", figure: LinesFigure, axis: XAxis) -> None:
    for x, label in figure.marks:
        position = axis.position_of(x)
        if position is None or not axis.positions:
            continue
        is_right = position > min(axis.positions) + 0.75 * axis.span
        axes.axvline(position, color=LIGHT["muted"], linewidth=0.9, linestyle=(0, (2, 2)))
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


def _draw_spans(axes: "Axes", figure: LinesFigure, axis: XAxis) -> None:
    """Shaded stretches behind the lines; a stretch of one point is as wide as the distance to its neighbours."""
    if axis.kind == "names" or len(axis.positions) < 2:
        return
    low, high = axes.get_xlim()
    least = max(axis.span / (len(axis.positions) - 1), 0.003 * axis.span)
    labels = [label for label, _ in _span_counts(figure)]
    for start, end, label in figure.spans:
        first, last = axis.position_of(start), axis.position_of(end)
        if first is None or last is None:
            continue
        widened = max(0.0, least - (last - first)) / 2
        color = LIGHT[SPAN_COLORS[labels.index(label) % len(SPAN_COLORS)]]
        axes.axvspan(first - widened, last + widened, color=color, alpha=0.22, linewidth=0, zorder=0.5)
    axes.set_xlim(low, high)


def name_lines(axes: "Axes", axis: XAxis, lines: tuple[Line, ...], looks: list[Look], width: int) -> None:
    """Names each line: at its right end where all end there and there is room, else in a legend above."""
    ends = [_last_value(axis, line) for line in lines]
    reach_the_end = all(end is not None and end[0] >= max(axis.positions) - 0.04 * axis.span for end in ends)
    if width < 500 or axis.kind == "names" or not reach_the_end or not 1 < len(lines) <= 6:
        _draw_legend(axes, lines, looks, 4 if width >= 500 else 2, is_dots=axis.kind == "names")
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


def _dashes(look: Look) -> Any:
    return (0, look.dash) if look.dash else "-"


def _draw_legend(axes: "Axes", lines: tuple[Line, ...], looks: list[Look], columns: int, is_dots: bool) -> None:
    if not lines or (len(lines) == 1 and not lines[0].name):
        return
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=look.hex, linestyle="none", marker=MARKERS[i % len(MARKERS)])
        if is_dots
        else Line2D([], [], color=look.hex, linewidth=look.width, linestyle=_dashes(look))
        for i, look in enumerate(looks)
    ]
    axes.legend(
        handles=handles,
        # A leading underscore would hide the entry.
        labels=["\u200b" + fit_label(line.name, 22) for line in lines],
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=min(len(lines), columns),
        frameon=False,
        handlelength=2.2,
        columnspacing=1.4,
        borderaxespad=0.2,
    )


def _draw_matrix(canvas: "Figure", figure: MatrixFigure, side: int) -> None:
    from matplotlib.patches import Rectangle

    axes = canvas.add_subplot()
    rows, columns = len(figure.row_labels), len(figure.column_labels)
    is_numbered = max(rows, columns) <= MOST_NUMBERED
    for i, row in enumerate(figure.values):
        total = sum(row)
        for j, value in enumerate(row):
            share = value / total if total else 0.0
            axes.add_patch(Rectangle((j - 0.48, i - 0.46), 0.96, 0.92, facecolor=LIGHT["faint"], linewidth=0))
            axes.add_patch(Rectangle((j - 0.48, i - 0.46), 0.96, 0.92, facecolor=LIGHT["blue"], alpha=share, linewidth=0))
            if is_numbered and value:
                color = LIGHT["paper"] if share > 0.5 else LIGHT["ink"]
                text = f"{value:g}" if value == round(value) else short(value)
                axes.text(j, i, text, ha="center", va="center_baseline", color=color, fontsize=_number_size(side, columns))
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    every_row, every_column = max(1, rows // 30), max(1, columns // 30)
    axes.set_yticks(range(0, rows, every_row), [fit_label(name, 14) for name in figure.row_labels[::every_row]])
    names = [fit_label(name, 14) for name in figure.column_labels[::every_column]]
    is_long = sum(len(name) + 2 for name in names) * font_size(side) * 0.6 > side - 90
    axes.set_xticks(range(0, columns, every_column), names, rotation=90 if is_long else 0)


def _number_size(side: int, columns: int) -> float:
    return min(font_size(side), 0.42 * (side - 90) / max(columns, 1))


def _draw_scatter(canvas: "Figure", figure: ScatterFigure) -> None:
    axes = canvas.add_subplot()
    x, y = np.asarray(figure.x, dtype=float), np.asarray(figure.y, dtype=float)
    if figure.sizes:
        sizes = np.asarray(figure.sizes, dtype=float)
        areas = 20 + 200 * sizes / max(float(sizes.max()), 1e-12)
    else:
        areas = np.full(x.shape, 26.0 if len(x) <= 60 else 10.0)
    if figure.has_diagonal and len(x):
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        axes.plot([low, high], [low, high], color=LIGHT["muted"], linewidth=0.9, linestyle=(0, (4, 2)))
        axes.annotate(
            "y = x",
            (low + 0.6 * (high - low), low + 0.6 * (high - low)),
            ha="left",
            va="top",
            color=LIGHT["muted"],
            xytext=(6, -3),
            textcoords="offset points",
        )
    axes.scatter(x, y, s=areas, color=LIGHT["blue"], alpha=0.75 if len(x) <= 200 else 0.35, linewidths=0)
    axes.grid(True, axis="both")
    axes.margins(0.06)
    axes.set_xlabel(fit_label(figure.x_label, 60))
    label_above(axes, fit_label(figure.y_label, 48))
