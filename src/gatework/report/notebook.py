"""What a notebook shows of an evaluation, a prediction and a run: the same tables and pictures as the report.

Each piece carries its own style and colours, light or dark as the reader's system is, and reaches for nothing outside.
"""

from itertools import count
from typing import Any

from gatework.errors import GateworkError
from gatework.report.figures import WIDE, describe, draw
from gatework.report.glossary import Glossary
from gatework.report.markup import Html, element, join
from gatework.report.material import Material, read_material
from gatework.report.palette import DARK, LIGHT, Looks, variables
from gatework.report.sections.verdict import score_table, title_text
from gatework.report.style import RULES
from gatework.report.svg import inline
from gatework.runs import AnyFigure, Band, Evaluation, Line, LinesFigure, RunFolder, leaderboard
from gatework.runs.figures import RANGE_RELIABILITY
from gatework.runs.notebook import SHOWN_BY

MOST_SERIES = 3
MOST_FIGURES = 2
MOST_NOTES = 5
RANGE_ENDS = ("low ", "high ")
_numbers = count(1)
"""Ids must differ between the outputs of one notebook."""


def framed(*parts: str) -> str:
    """Pieces in one box with the report's style, which reaches nothing but them."""
    own = "font-family:var(--sans);background:var(--paper);color:var(--ink);padding:.6rem 1rem;max-width:50rem"
    fonts = "--sans:system-ui,sans-serif;--serif:system-ui,sans-serif;--mono:ui-monospace,monospace;"
    rules = (
        f".gatework{{{fonts}{variables(LIGHT)}{own}}}@media (prefers-color-scheme:dark){{.gatework{{{variables(DARK)}}}}}"
        f"@scope(.gatework){{{_inner_rules()}}}"
    )
    return str(element("div", element("style", Html(rules)), *parts, class_="gatework"))


def _inner_rules() -> str:
    """The report's rules for what stands inside the page, without those for the page itself."""
    body = RULES.partition(".facts{")[2].partition("@media (min-width")[0]
    return ".facts{" + body


def picture(figure: AnyFigure, looks: Looks) -> Html:
    """One figure with its title and caption."""
    svg = inline(draw(figure, looks, WIDE), f"gatework-{next(_numbers)}-", figure.title, describe(figure))
    return element(
        "figure",
        element("p", element("strong", figure.title)),
        Html(svg.replace("<svg ", '<svg class="wide" ', 1)),
        element("figcaption", figure.caption),
    )


def evaluation_html(evaluation: Evaluation) -> str:
    """The verdict, the table, the first figures, and whether the ranges hold."""
    looks = Looks()
    for row in leaderboard(evaluation):
        if row.kind == "baseline":
            looks.baseline(row.name)
    sentences = [element("p", sentence) for sentence in evaluation.verdict]
    chosen = [
        figure for place, figure in enumerate(evaluation.figures) if place < MOST_FIGURES or figure.name == RANGE_RELIABILITY
    ]
    figures = [picture(figure, looks) for figure in chosen]
    return framed(*sentences, score_table(evaluation, looks, Unlinked()), *figures, *_notes(evaluation.notes))


class Unlinked(Glossary):
    """A glossary whose words are not linked: a piece of a notebook has no list to link to."""

    def link(self, text: str) -> Html:
        """The text as HTML."""
        return join([text])


def run_html(run: RunFolder) -> str:
    """What the run is about, its scores when it has any, and where its files are."""
    try:
        material: Material = read_material(run)
    except GateworkError as error:
        return framed(element("p", f"{run.path}: {error}"))
    head = element("p", element("strong", title_text(material)), f" ({material.manifest.status})")
    where = element("p", f"{run.path}", class_="note")
    if material.evaluation is None:
        return framed(head, where, element("p", f"Not evaluated yet: evaluate_run('{run.path}')."))
    return framed(head, where) + evaluation_html(material.evaluation)


def prediction_html(prediction: Any) -> str:
    """A forecast as pictures, one for each of the first series, with its ranges; other predictions as their first rows.

    prediction: has a `frame` (see `Task.predictions`) and `notes`.
    """
    frame, looks = prediction.frame, Looks()
    if not {"step", "time", "prediction"} <= set(frame.columns) or frame.height == 0:
        return framed(Html(frame.head(10)._repr_html_()), *_notes(prediction.notes))
    keys = [name for name in ("series", "target") if name in frame.columns]
    groups = frame.select(keys).unique(maintain_order=True).rows()
    figures = [fan(frame, dict(zip(keys, group, strict=True))) for group in groups[:MOST_SERIES]]
    more = len(groups) - len(figures)
    rest = [element("p", f"… and {more} more, in .frame", class_="note")] if more else []
    return framed(*(picture(figure, looks) for figure in figures), *rest, *_notes(prediction.notes))


def fan(frame: Any, chosen: dict[str, str]) -> LinesFigure:
    """The forecast of one series and target as a figure: the line, the ranges around it, the truth where it is known."""
    import polars as pl

    rows = frame.filter(*(pl.col(name) == value for name, value in chosen.items())).sort("forecast_from", "step")
    rows = rows.filter(pl.col("forecast_from") == rows["forecast_from"].max())
    is_time = rows["time"].dtype.is_temporal()
    stamps = tuple(str(value.isoformat()) for value in rows["time"].to_list()) if is_time else tuple(map(float, rows["time"]))
    lines = [Line(name="forecast", y=tuple(rows["prediction"].to_list()))]
    if "truth" in rows.columns:
        lines.insert(0, Line(name="truth", style="truth", y=tuple(rows["truth"].to_list())))
    bands = bands_of(rows)
    series = chosen.get("series", "")
    named = "" if series in ("", "all") else f" of {series}"
    return LinesFigure(
        name="forecast",
        title=f"Forecast{named} from {str(rows['forecast_from'][0]).removesuffix('.000000')}",
        caption="The shaded ranges should hold so many of 100 values to come."
        if bands
        else "Single values; no range was asked for.",
        x_label="time" if is_time else "step",
        y_label=chosen.get("target", "prediction"),
        x=stamps,
        lines=tuple(lines),
        bands=bands,
    )


def bands_of(rows: Any) -> tuple[Band, ...]:
    """The ranges that a frame of predictions has, columns named 'low 80 %' and 'high 80 %', the widest first."""
    low, high = RANGE_ENDS
    names = [
        name.removeprefix(low) for name in rows.columns if name.startswith(low) and high + name.removeprefix(low) in rows.columns
    ]
    levels = {name: float(name.rstrip("% \u202f\u00a0")) / 100 for name in names}
    return tuple(
        Band(name=f"{name} range", level=levels[name], low=tuple(rows[low + name]), high=tuple(rows[high + name]))
        for name in sorted(names, key=levels.__getitem__, reverse=True)
    )


def _notes(notes: tuple[str, ...]) -> list[Html]:
    return [element("p", note, class_="note") for note in notes[:MOST_NOTES]]


SHOWN_BY.update({"Evaluation": evaluation_html, "Prediction": prediction_html, "RunFolder": run_html})
