"""A matrix of counts: each cell as dark as its share of its row, with its number."""

from typing import TYPE_CHECKING

from gatework.report.canvas import fit_label, font_size
from gatework.report.numbers import short
from gatework.report.palette import LIGHT
from gatework.runs import MatrixFigure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NUMBERED = 16


def draw_matrix(canvas: "Figure", figure: MatrixFigure, side: int) -> None:
    """Puts the matrix on an empty canvas, `side` pixels wide."""
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
