"""The figures of evaluation.json as SVG, and in words for those who do not see them."""

from gatework.report.canvas import render
from gatework.report.draw_bars import draw_bars
from gatework.report.draw_lines import draw_lines
from gatework.report.draw_matrix import draw_matrix
from gatework.report.draw_points import draw_curves, draw_dots, draw_scatter
from gatework.report.numbers import counted, short
from gatework.report.palette import Looks
from gatework.runs import AnyFigure, BarsFigure, CurvesFigure, DotsFigure, LinesFigure, MatrixFigure

WIDE, NARROW = 760, 360
ROW_HEIGHT = 21


def draw(figure: AnyFigure, looks: Looks, width: int) -> str:
    """The SVG of one figure, `width` pixels wide."""
    height = 300 if width >= 500 else 250
    if isinstance(figure, LinesFigure):
        return render(lambda canvas: draw_lines(canvas, figure, looks, width), width, height)
    if isinstance(figure, BarsFigure):
        return render(lambda canvas: draw_bars(canvas, figure, width), width, height - 40)
    if isinstance(figure, DotsFigure):
        tall = 90 + ROW_HEIGHT * max(2, len(figure.labels))
        return render(lambda canvas: draw_dots(canvas, figure, looks, width), width, tall)
    if isinstance(figure, MatrixFigure):
        rows, columns = len(figure.row_labels), max(1, len(figure.column_labels))
        side = min(560, width) if columns > 4 else min(400, width)
        tall = round(90 + (side - 90) * max(rows, 2) / max(columns, 2))
        return render(lambda canvas: draw_matrix(canvas, figure, side), side, tall)
    side = min(440, width)
    if isinstance(figure, CurvesFigure):
        return render(lambda canvas: draw_curves(canvas, figure, looks), side, side)
    return render(lambda canvas: draw_scatter(canvas, figure), side, side)


def describe(figure: AnyFigure) -> str:
    """What the figure shows, for those who do not see it."""
    if isinstance(figure, LinesFigure):
        return _describe_lines(figure)
    if isinstance(figure, MatrixFigure):
        rows, columns = len(figure.row_labels), len(figure.column_labels)
        return f"{figure.caption} A matrix of {rows} rows (truth) and {columns} columns (predicted)."
    if isinstance(figure, CurvesFigure):
        names = ", ".join(curve.name for curve in figure.curves)
        return f"{figure.caption} Curves of {figure.y_label} against {figure.x_label}: {names}."
    if isinstance(figure, BarsFigure):
        reach = f" from {short(min(figure.y))} to {short(max(figure.y))}" if figure.y else ""
        return f"{figure.caption} {len(figure.x)} bars of {figure.y_label}{reach} along {figure.x_label}."
    if isinstance(figure, DotsFigure):
        worst = f"; the first is {figure.labels[0]}" if figure.labels else ""
        return f"{figure.caption} {len(figure.labels)} rows of {figure.x_label}{worst}."
    return f"{figure.caption} {len(figure.x)} points of {figure.y_label} against {figure.x_label}."


def _describe_lines(figure: LinesFigure) -> str:
    names = ", ".join(line.name for line in figure.lines)
    values = [value for line in figure.lines for value in line.y if value is not None]
    reach = f", from {short(min(values))} to {short(max(values))}" if values else ""
    along = f" along {figure.x_label}" + (f" from {figure.x[0]} to {figure.x[-1]}" if figure.x else "")
    bands = f" Ranges: {', '.join(band.name for band in figure.bands)}." if figure.bands else ""
    labels = [label for _, _, label in figure.spans]
    counts = ((label, labels.count(label)) for label in dict.fromkeys(labels))
    shaded = "".join(f" Shaded, {label}: {counted(count, 'stretch', 'stretches')}." for label, count in counts)
    return f"{figure.caption} Lines: {names}; {figure.y_label}{reach}{along}.{bands}{shaded}"
