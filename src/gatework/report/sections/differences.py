"""The model's scores for each value of an attribute, such as sex or site, and where it does worst."""

from collections.abc import Sequence

from gatework.report.glossary import Glossary
from gatework.report.markup import Html, element
from gatework.report.numbers import column_decimals, fixed
from gatework.runs import MetricInfo, Score
from gatework.runs.evaluation import Differences


def differences_table(found: Differences, metrics: Sequence[MetricInfo], glossary: Glossary) -> Html:
    """The worst difference in words; a row for each value, and the largest difference of each metric below them."""
    told = [metric for metric in metrics if any(metric.name in group.scores for group in found.groups)]
    gaps = {gap.metric: gap for gap in found.gaps}
    head = [element("th", found.attribute, scope="col", dir="auto")]
    head += [
        element("th", glossary.link(metric.name), element("span", f"{metric.better} is better", class_="unit"), scope="col")
        for metric in told
    ]
    decimals = {}
    for metric in told:
        known = [group.scores[metric.name].value for group in found.groups if metric.name in group.scores]
        decimals[metric.name] = column_decimals([value for value in known if value is not None])
    rows = []
    for group in found.groups:
        name = element("th", group.value, element("span", f"{group.num_samples} judged", class_="unit"), scope="row", dir="auto")
        cells = [score_cell(group.scores.get(metric.name), metric.name, decimals[metric.name]) for metric in told]
        rows.append(element("tr", name, *cells))
    last = [
        score_cell(gaps[metric.name].difference if metric.name in gaps else None, metric.name, decimals[metric.name])
        for metric in told
    ]
    rows.append(element("tr", element("th", "largest difference", scope="row"), *last, class_="baseline"))
    caption = "Of this model, with 95 % intervals. A difference is that of the two values that are farthest apart."
    table = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *head)),
        element("tbody", *rows),
        class_="scores cards",
    )
    heading = element("p", f"By {found.attribute}", class_="heading")
    return element("div", heading, element("p", glossary.link(found.sentence)), table, class_="table")


def score_cell(score: Score | None, label: str, decimals: int) -> Html:
    """A score with its interval below it."""
    if score is None or score.value is None:
        return element("td", "–", data_label=label)
    parts = [element("data", fixed(score.value, decimals), value=repr(score.value))]
    if score.low is not None and score.high is not None:
        parts.append(element("span", f"{fixed(score.low, decimals)} to {fixed(score.high, decimals)}", class_="interval"))
    return element("td", element("span", *parts), data_label=label)
