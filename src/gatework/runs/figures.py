"""The numbers of a figure, as an evaluation writes them and the report draws them."""

from typing import Annotated, Literal

from pydantic import Field

from gatework.runs.record import Record

RANGE_RELIABILITY = "range-reliability"
"""The name of the figure of observed against nominal coverage."""
RANGE_FIGURES = (RANGE_RELIABILITY, "coverage-by-horizon", "width-by-horizon")
"""The names of the figures of a forecast's ranges."""


class Line(Record):
    """One line of a figure; None breaks it. style says what it is, not how it looks."""

    name: str
    y: tuple[float | None, ...]
    style: Literal["truth", "prediction", "history", "baseline"] = "prediction"


class Band(Record):
    """A range of a figure: from `low` to `high` at each x, None where there is none. level: the share it should hold, 0–1."""

    name: str
    level: float
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


class LinesFigure(Record):
    """Lines over a common axis. x: numbers, or ISO time stamps. marks: (x, label) vertical lines.

    bands: ranges behind the lines, the widest first.
    spans: (from, to, label) stretches of x that are shaded; those with one label have one look.
    """

    kind: Literal["lines"] = "lines"
    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    x: tuple[float, ...] | tuple[str, ...]
    lines: tuple[Line, ...]
    marks: tuple[tuple[float | str, str], ...] = ()
    bands: tuple[Band, ...] = ()
    spans: tuple[tuple[float | str, float | str, str], ...] = ()


class MatrixFigure(Record):
    """A matrix of counts, such as a confusion matrix: rows are the truth, columns the prediction."""

    kind: Literal["matrix"] = "matrix"
    name: str
    title: str
    caption: str
    row_labels: tuple[str, ...]
    column_labels: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]


class ScatterFigure(Record):
    """Points; `has_diagonal` draws y = x. sizes: relative point areas (counts per bin), or empty."""

    kind: Literal["scatter"] = "scatter"
    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    sizes: tuple[float, ...] = ()
    has_diagonal: bool = True


class Curve(Record):
    """One curve with an x of its own. style says what it is, not how it looks."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    style: Literal["truth", "prediction", "history", "baseline"] = "prediction"


class CurvesFigure(Record):
    """Curves of one share against another, such as precision and recall: both axes run from 0 to 1.

    points: (x, y, label) that stand out, such as a chosen threshold. has_diagonal draws y = x.
    """

    kind: Literal["curves"] = "curves"
    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    points: tuple[tuple[float, float, str], ...] = ()
    has_diagonal: bool = False


class BarsFigure(Record):
    """Bars, such as a histogram or an autocorrelation. x: the middle of each; width: of all of them, in the units of x.

    curve: (x, y) of a line to compare with, called curve_name. limits: heights of horizontal lines, called limits_name.
    """

    kind: Literal["bars"] = "bars"
    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    width: float
    curve: tuple[tuple[float, float], ...] = ()
    curve_name: str = ""
    limits: tuple[float, ...] = ()
    limits_name: str = ""


class DotsFigure(Record):
    """One row for each label, from top to bottom, with a dot of each line on a common scale: such as the error of each series."""

    kind: Literal["dots"] = "dots"
    name: str
    title: str
    caption: str
    x_label: str
    labels: tuple[str, ...]
    lines: tuple[Line, ...]


AnyFigure = LinesFigure | MatrixFigure | ScatterFigure | CurvesFigure | BarsFigure | DotsFigure
Figure = Annotated[AnyFigure, Field(discriminator="kind")]
