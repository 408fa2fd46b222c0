"""The glossary, last: only the terms that the report used."""

from gatework.report.markup import Html, element
from gatework.report.section import Ingredients


def write_terms(given: Ingredients) -> Html:
    """Every term that was linked to, with its meaning."""
    entries = given.glossary.entries()
    return element(
        "dl",
        *(element("div", element("dt", term), element("dd", meaning), id=anchor) for anchor, term, meaning in entries),
        class_="terms",
    )
