"""Ranges around numbers: how many truths they held, how wide they are, and the figures of both."""

from gatework.report.markup import Html, element, join
from gatework.report.numbers import column_decimals, fixed
from gatework.report.section import Ingredients
from gatework.runs import IntervalScores, UncertaintyScores
from gatework.runs.figures import RANGE_FIGURES


def write_ranges(given: Ingredients) -> Html:
    """The table and the figures of the ranges; nothing where there are none."""
    evaluation = given.material.evaluation
    if evaluation is None or evaluation.uncertainty is None:
        return Html("")
    pictures = [picture.html(given.glossary) for picture in given.pictures if picture.name in RANGE_FIGURES]
    return join([element("h3", "Ranges"), range_table(evaluation.uncertainty), *pictures])


def range_table(uncertainty: UncertaintyScores) -> Html:
    """One row for each target and interval."""
    several = len({one.target for one in uncertainty.intervals}) > 1
    has_steps = any(len(one.coverage_by_step) > 1 for one in uncertainty.intervals)
    head = ("range", "truths inside", *(["at each step ahead"] if has_steps else []), "mean width", "interval score")
    numbers = [[one.width for one in uncertainty.intervals], [one.score for one in uncertainty.intervals]]
    decimals = [column_decimals([value for value in column if value is not None]) for column in numbers]
    rows = [
        element(
            "tr",
            element("th", f"{100 * one.level:g} %{f' of {one.target}' if several else ''}", scope="row", dir="auto"),
            element("td", share_text(one.coverage)),
            *([element("td", by_step(one))] if has_steps else []),
            *(
                element("td", "no end" if value is None else fixed(value, places))
                for value, places in zip((one.width, one.score), decimals, strict=True)
            ),
        )
        for one in uncertainty.intervals
    ]
    caption = element("caption", "The interval score is the width and a penalty for each truth outside; lower is better.")
    body = element("tbody", *rows)
    columns = element("thead", element("tr", *(element("th", name, scope="col") for name in head)))
    return element("div", element("table", caption, columns, body), class_="table")


def share_text(share: float | None) -> str:
    """A share as a percentage."""
    return "–" if share is None else f"{100 * share:.1f} %"


def by_step(one: IntervalScores) -> str:
    """The lowest and the highest coverage over the steps ahead."""
    known = [share for share in one.coverage_by_step if share is not None]
    return f"{share_text(min(known))} to {share_text(max(known))}" if known else "–"
