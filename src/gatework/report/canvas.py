"""matplotlib, tamed: no global state, the same bytes every time, text that stays text."""

import io
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from gatework.errors import MissingExtra
from gatework.report.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS_PER_INCH = 72
SETTINGS = {
    "svg.hashsalt": "gatework",
    "svg.fonttype": "none",
    # Names out of data may hold dollar signs; they are not formulas.
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "text.color": LIGHT["ink"],
    "axes.edgecolor": LIGHT["rule"],
    "axes.labelcolor": LIGHT["muted"],
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "xtick.color": LIGHT["rule"],
    "ytick.color": LIGHT["rule"],
    "xtick.labelcolor": LIGHT["muted"],
    "ytick.labelcolor": LIGHT["muted"],
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "xtick.major.size": 4.0,
    "ytick.major.size": 0.0,
    "grid.color": LIGHT["faint"],
    "grid.linewidth": 0.9,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
    "axes.unicode_minus": True,
    "figure.dpi": POINTS_PER_INCH,
}


def render(
    draw: Callable[["Figure"], None], width: int, height: int, layout: Literal["constrained"] | None = "constrained"
) -> str:
    """The SVG, as matplotlib writes it, of what `draw` puts on an empty figure of that size in pixels.

    layout: `constrained` makes room for all text; None leaves the panels where `draw` puts them.

    Raises MissingExtra when matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(
            "The report was asked for and matplotlib is not installed. Expected: matplotlib, which draws the figures. "
            'Install it: pip install "gatework[app]".'
        ) from error
    written = io.StringIO()
    with matplotlib.rc_context(), warnings.catch_warnings():
        # The browser has the fonts for all scripts; matplotlib only measures the text.
        warnings.filterwarnings("ignore", message=".*Glyph .* missing from")
        matplotlib.rcdefaults()
        settings: Any = matplotlib.rcParams  # its keys are typed as a list of literals that differs between versions
        settings.update({**SETTINGS, "font.size": font_size(width)})
        figure = Figure(figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH), layout=layout)
        draw(figure)
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(written, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return written.getvalue()


def font_size(width: int) -> float:
    """The size of text in a figure of that width, in pixels."""
    return 12.0 if width >= 500 else 11.0


def label_above(axes: "Axes", text: str, offset: float = 6.0) -> None:
    """The quantity of the y axis, upright above it, where it is read first."""
    axes.annotate(
        text, (0, 1), xycoords="axes fraction", xytext=(0, offset), textcoords="offset points", color=LIGHT["muted"], va="bottom"
    )


def fit_label(text: str, limit: int = 36) -> str:
    """A name on one line, shortened in its middle when it is longer than the limit."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit // 2]}…{line[-(limit // 2 - 1) :]}"
