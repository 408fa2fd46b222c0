"""Predictions beside the truth, and the errors taken apart: the figures that the evaluation wrote."""

from gatework.report.markup import Html, code, element, join
from gatework.report.numbers import counted
from gatework.report.section import Ingredients, paragraph
from gatework.report.sections.ranges import write_ranges
from gatework.report.sections.verdict import evaluate_command
from gatework.runs.figures import RANGE_FIGURES


def write_predictions(given: Ingredients) -> Html:
    """All figures of the evaluation, forecasts first, and the table of predictions."""
    glossary, material = given.glossary, given.material
    if material.evaluation is None:
        return element("p", "Nothing to show before the model is evaluated: ", code(evaluate_command(material)))
    pictures = [picture for picture in given.pictures if picture.name not in RANGE_FIGURES]
    forecasts = [picture for picture in pictures if picture.is_forecast]
    others = [picture for picture in pictures if not picture.is_forecast]
    parts = [picture.html(glossary) for picture in [*forecasts, *others]]
    if not parts:
        parts = [paragraph(glossary, "The evaluation wrote no figures.")]
    return join([*parts, write_ranges(given), _preview(given)])


def _preview(given: Ingredients) -> Html:
    preview = given.material.predictions
    if preview is None:
        return Html("")
    file = element("a", "predictions.parquet", href="predictions.parquet")
    left_out = preview.num_columns - len(preview.columns)
    more = f" and {counted(left_out, 'more column')}" if left_out else ""
    words = element("p", "Every prediction is in ", file, f": {counted(preview.num_rows, 'row')}. It begins:", class_="note")
    head = element("tr", *(element("th", name, scope="col", dir="auto") for name in preview.columns))
    rows = [element("tr", *(element("td", value, dir="auto") for value in row)) for row in preview.rows]
    table = element("div", element("table", element("thead", head), element("tbody", *rows)), class_="table")
    return join([element("h3", "As a table"), words, table, element("p", f"… {more}", class_="note") if more else ""])
