"""What each kind of figure draws: its numbers are where a reader looks for them."""

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from gatework.report.draw_bars import draw_bars
from gatework.report.draw_lines import draw_lines
from gatework.report.draw_points import draw_curves, draw_dots
from gatework.report.figures import NARROW, WIDE, describe, draw
from gatework.report.palette import Looks
from gatework.report.svg import standalone
from gatework.runs import AnyFigure, Band, BarsFigure, Curve, CurvesFigure, DotsFigure, Line, LinesFigure

FAN = LinesFigure(
    name="fan", title="A forecast", caption="The range.", x_label="step", y_label="load", x=(1.0, 2.0, 3.0, 4.0),
    lines=(Line(name="past", style="history", y=(5.0, 6.0, None, None)), Line(name="LSTM", y=(None, None, 7.0, 8.0))),
    bands=(Band(name="95 %", level=0.95, low=(None, None, 4.0, 3.0), high=(None, None, 10.0, 13.0)),
           Band(name="80 %", level=0.8, low=(None, None, 6.0, 5.0), high=(None, None, 8.0, 11.0))),
    spans=((1.0, 2.0, "a<b"), (3.0, 3.0, "alarm")),
)  # fmt: skip
BARS = BarsFigure(
    name="bars", title="Autocorrelation", caption="What is left.", x_label="lag", y_label="correlation", x=(1.0, 2.0, 3.0),
    y=(0.5, -0.25, 0.1), width=0.8, curve=((1.0, 0.4), (3.0, 0.0)), curve_name="$n$", limits=(-0.2, 0.2), limits_name="noise",
)  # fmt: skip
DOTS = DotsFigure(
    name="dots", title="By series", caption="Worst first.", x_label="MAE", labels=("north", "<b>", "south"),
    lines=(Line(name="LSTM", y=(3.0, 2.0, 1.0)), Line(name="naive", style="baseline", y=(2.5, None, 4.0))),
)  # fmt: skip
CURVES = CurvesFigure(
    name="curves", title="Precision", caption="Higher is better.", x_label="recall", y_label="precision",
    curves=(Curve(name="LSTM", x=(0.0, 0.5, 1.0), y=(1.0, 0.9, 0.2)),), points=((0.5, 0.9, "chosen"),), has_diagonal=True,
)  # fmt: skip


@pytest.mark.parametrize("figure", [FAN, BARS, DOTS, CURVES], ids=lambda figure: figure.kind)
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_every_kind_of_figure_is_drawn_in_both_widths_and_described(figure: AnyFigure, width: int) -> None:
    svg = standalone(draw(figure, Looks(), width), figure.title, describe(figure))
    assert svg.startswith("<?xml")
    assert "<b>" not in svg
    assert describe(figure).startswith(figure.caption)


def test_a_range_is_filled_between_its_ends_and_a_stretch_covers_its_place() -> None:
    canvas = Canvas()
    draw_lines(canvas, FAN, Looks(), WIDE)
    axes = canvas.axes[0]
    filled = [collection for collection in axes.collections if isinstance(collection, PolyCollection)]
    assert len(filled) == 2
    for collection, (low, high) in zip(filled, (((4, 3), (10, 13)), ((6, 5), (8, 11))), strict=True):
        corners = {(float(x), float(y)) for x, y in collection.get_paths()[0].vertices}
        assert {(3.0, low[0]), (4.0, low[1]), (3.0, high[0]), (4.0, high[1])} <= corners
        assert not [x for x, _ in corners if x < 3]
    stretches = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [(patch.get_x(), patch.get_width()) for patch in stretches] == [(1.0, 1.0), (2.5, 1.0)]
    names = [text.get_text().strip("\u200b") for text in axes.get_legend().get_texts()]
    assert names == ["past", "LSTM", "95 %", "80 %", "a<b", "alarm"]


def test_bars_have_their_heights_and_the_limits_are_lines() -> None:
    canvas = Canvas()
    draw_bars(canvas, BARS, WIDE)
    axes = canvas.axes[0]
    assert [bar.get_height() for bar in axes.patches] == list(BARS.y)
    assert [bar.get_x() + bar.get_width() / 2 for bar in axes.patches] == pytest.approx(BARS.x)
    level = [line.get_ydata()[0] for line in axes.lines if len({*line.get_ydata()}) == 1]
    assert sorted(level) == [-0.2, 0.0, 0.2]


def test_dots_stand_in_their_rows_the_first_on_top() -> None:
    canvas = Canvas()
    draw_dots(canvas, DOTS, Looks(), WIDE)
    axes = canvas.axes[0]
    model = next(line for line in axes.lines if line.get_marker() == "o")
    assert list(model.get_xdata()) == [3.0, 2.0, 1.0]
    assert [text.get_text() for text in axes.get_yticklabels()] == list(DOTS.labels)
    top, bottom = axes.transData.transform([(0, 0), (0, 2)])[:, 1]
    assert top > bottom
    naive = next(line for line in axes.lines if line.get_marker() == "|")
    assert np.isnan(naive.get_xdata()[1])


def test_curves_run_from_0_to_1_and_the_chosen_point_is_marked() -> None:
    canvas = Canvas()
    draw_curves(canvas, CURVES, Looks())
    axes = canvas.axes[0]
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines] == [
        ([0.0, 1.0], [0.0, 1.0]), (list(CURVES.curves[0].x), list(CURVES.curves[0].y)), ([0.5], [0.9]),
    ]  # fmt: skip
    low, high = axes.get_xlim()
    assert low <= 0
    assert high >= 1
