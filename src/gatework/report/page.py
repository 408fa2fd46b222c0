"""The report as one HTML page: its sections in their order, a way between them, and nothing from outside."""

from collections.abc import Callable

from gatework.report.markup import Html, element, join
from gatework.report.section import Ingredients
from gatework.report.sections.asked import write_asked
from gatework.report.sections.data import write_data
from gatework.report.sections.limits import write_limits
from gatework.report.sections.model import write_model
from gatework.report.sections.predictions import write_predictions
from gatework.report.sections.reasons import write_reasons
from gatework.report.sections.reproduce import write_reproduce
from gatework.report.sections.terms import write_terms
from gatework.report.sections.training import write_training
from gatework.report.sections.verdict import title_text, write_verdict
from gatework.report.style import style_sheet

# No script, no address: whatever a name in the data tries, there is nothing that it could run or fetch.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

SECTIONS: tuple[tuple[str, str, Callable[[Ingredients], Html]], ...] = (
    ("asked", "What was asked", write_asked),
    ("data", "The data and its split", write_data),
    ("training", "Training", write_training),
    ("predictions", "Predictions and errors", write_predictions),
    ("model", "The model", write_model),
    ("reasons", "Why these choices", write_reasons),
    ("reproduce", "How to get it again", write_reproduce),
    ("limits", "Limits and notes", write_limits),
    ("glossary", "Glossary", write_terms),
)


def compose(given: Ingredients) -> str:
    """The whole page."""
    parts = [write_verdict(given)]
    for number, (name, title, write) in enumerate(SECTIONS, start=1):
        given.glossary.begin_section()
        heading = element("h2", element("span", str(number), class_="number"), title)
        parts.append(element("section", heading, write(given), id=name))
    footer = element("footer", f"Written by gatework {given.material.manifest.gatework} from the files of this folder.")
    body = element("div", _contents(), element("main", join(parts), footer), class_="page")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title_text(given.material)),
        element("style", Html(style_sheet())),
    )
    return f"<!doctype html>\n{element('html', head, element('body', body), lang='en')}\n"


def _contents() -> Html:
    links = [
        element("li", element("span", str(number), class_="mark"), element("a", title, href=f"#{name}"))
        for number, (name, title, _) in enumerate(SECTIONS, start=1)
    ]
    return element("nav", element("ol", *links), aria_label="Contents")
