"""The answer first: who wins, by how much, and how sure that is."""

import shlex

from gatework.report.glossary import Glossary
from gatework.report.markup import Html, code, element, join
from gatework.report.material import Material
from gatework.report.numbers import column_decimals, counted, duration, fixed, time_span, whole
from gatework.report.palette import Look, Looks
from gatework.report.section import Ingredients, callout
from gatework.report.sections.differences import differences_table
from gatework.runs import CLASS_TASKS, STEP_TASKS, Evaluation, MetricInfo, ScoreRow, leaderboard

MODEL_LOOK = Look("blue")


def title_text(material: Material) -> str:
    """What this report is about, in one line."""
    plan = material.plan
    targets = ", ".join(plan.data.targets)
    if plan.data.task == "forecast":
        ahead = counted(plan.horizon, "step") if material.step_s is None else time_span(plan.horizon * material.step_s)
        return f"Forecasting {targets}, {ahead} ahead"
    if plan.data.task == "anomaly":
        return f"Anomalies in {targets}"
    verb = "Classifying" if plan.data.task in CLASS_TASKS else "Estimating"
    return f"{verb} {targets} {'at each step' if plan.data.task in STEP_TASKS else 'from whole sequences'}"


def write_verdict(given: Ingredients) -> Html:
    """The head of the report: title, verdict, facts, and the table."""
    material, glossary = given.material, given.glossary
    glossary.begin_section()
    evaluation = material.evaluation
    task = material.plan.data.task
    titles = {"forecast": "Forecast", "classify": "Classification", "regress": "Regression", "anomaly": "Anomalies"}
    kind = titles[task.removesuffix("_steps")]
    parts = [element("p", f"gatework report · {kind}", class_="kicker"), element("h1", title_text(material), dir="auto")]
    if evaluation is None:
        parts += [_missing(material), _facts(material)]
    else:
        parts += [
            element("p", glossary.link(text), class_="lead" if i == 0 else None) for i, text in enumerate(evaluation.verdict)
        ]
        if material.is_other_model:
            parts.append(_other_model(material))
        parts += [_facts(material), score_table(evaluation, given.looks, glossary)]
        parts += [_ranges(evaluation, given.looks), _methods(evaluation, glossary)]
        parts += [differences_table(each, evaluation.metrics, glossary) for each in evaluation.differences]
    return element("header", *parts)


def evaluate_command(material: Material) -> str:
    """The command that scores the model of this folder."""
    return f"gatework evaluate {shlex.quote(str(material.run.path))}"


def _missing(material: Material) -> Html:
    return callout(
        element("p", element("strong", "Not evaluated yet.")),
        element(
            "p",
            "This folder has no ",
            code("evaluation.json"),
            ", so the report has no scores, no baselines and no predictions beside the truth. "
            "Write them, and then the report again, with",
        ),
        element("pre", element("code", f"{evaluate_command(material)}\ngatework report {shlex.quote(str(material.run.path))}")),
    )


def _other_model(material: Material) -> Html:
    return callout(
        element("p", element("strong", "The scores are of other weights. ")),
        element(
            "p",
            "The model in this folder was trained again after it was evaluated. Evaluate it again: ",
            code(evaluate_command(material)),
        ),
    )


def _facts(material: Material) -> Html:
    plan, manifest, evaluation = material.plan, material.manifest, material.evaluation
    facts: list[tuple[str, str, str]] = []
    if evaluation is not None:
        noun = {"forecast": "forecast", "anomaly": "step", **dict.fromkeys(STEP_TASKS, "step")}.get(plan.data.task, "sequence")
        part = "new data" if evaluation.part == "new" else f"{evaluation.part} part"
        facts.append(("scored on", counted(evaluation.num_samples, noun), part))
    facts.append(("model", plan.model.cell, counted(plan.model.hidden_size, "hidden unit")))
    if manifest.num_parameters:
        facts.append(("size", whole(manifest.num_parameters), "parameters"))
    if plan.window and material.step_s:
        facts.append(("reads", time_span(plan.window * material.step_s), counted(plan.window, "step")))
    elif plan.window:
        facts.append(("reads", counted(plan.window, "step"), "of the past"))
    if material.history:
        facts.append(("trained", counted(len(material.history), "epoch"), f"in {duration(material.history[-1].elapsed_s)}"))
    boxes = [element("div", element("dt", name), element("dd", value, element("span", more))) for name, value, more in facts]
    return element("dl", *boxes, class_="facts")


def best_names(evaluation: Evaluation, metric: MetricInfo) -> set[str]:
    """The rows that no other row beats in this metric; those that were not run on all samples cannot win."""
    whole = [row for row in evaluation.rows if not row.num_samples]
    values = {row.name: row.scores[metric.name].value for row in whole if metric.name in row.scores}
    known = [value for value in values.values() if value is not None]
    if len(known) < 2:
        return set()
    best = min(known) if metric.better == "lower" else max(known)
    return {name for name, value in values.items() if value == best}


def score_table(evaluation: Evaluation, looks: Looks, glossary: Glossary) -> Html:
    """Every row with every metric, the best first."""
    head = [element("th", "method", scope="col")]
    for metric in evaluation.metrics:
        unit = element("span", metric.unit, class_="unit") if metric.unit else ""
        better = element("span", f"{metric.better} is better", class_="unit")
        head.append(element("th", glossary.link(metric.name), unit, better, scope="col"))
    rows = [_row(row, evaluation, looks) for row in leaderboard(evaluation)]
    under = "" if evaluation.part == "new" else f" Scores are of the {evaluation.part} part."
    caption = (
        f"Below each score is its 95 % interval by bootstrap over {evaluation.resampled}. "
        f"The rows stand in the order of {evaluation.metrics[0].name}, best first. "
        "The best value of each column is bold and marked "
    )
    return element(
        "div",
        element(
            "table",
            element("caption", glossary.link(caption), element("strong", "best"), f".{under}"),
            element("thead", element("tr", *head)),
            element("tbody", *rows),
            class_="scores cards",
        ),
        class_="table",
    )


def _row(row: ScoreRow, evaluation: Evaluation, looks: Looks) -> Html:
    cells = [
        element(
            "th",
            swatch(look_of(row, looks)),
            row.name,
            element("span", "this model", class_="unit") if row.kind == "model" else "",
            element("span", f"{row.num_samples} of {evaluation.num_samples}", class_="unit") if row.num_samples else "",
            scope="row",
            dir="auto",
        )
    ]
    for metric in evaluation.metrics:
        known = [r.scores[metric.name].value for r in evaluation.rows if metric.name in r.scores]
        decimals = column_decimals([value for value in known if value is not None])
        score = row.scores.get(metric.name)
        label = f"{metric.name}, {metric.unit}" if metric.unit else metric.name
        if score is None or score.value is None:
            cells.append(element("td", element("span", "not defined" if score else "–"), data_label=label))
            continue
        is_best = row.name in best_names(evaluation, metric)
        parts = [element("span", "best", class_="tag")] if is_best else []
        parts.append(_number(score.value, decimals))
        if score.low is not None and score.high is not None:
            parts.append(element("span", _number(score.low, decimals), " to ", _number(score.high, decimals), class_="interval"))
        cells.append(element("td", element("span", *parts), data_label=label, class_="best" if is_best else None))
    return element("tr", *cells, class_=row.kind)


def _methods(evaluation: Evaluation, glossary: Glossary) -> Html:
    """What each row of the table is."""
    rows = [
        element("div", element("dt", row.name, dir="auto"), element("dd", glossary.link(row.description)))
        for row in evaluation.rows
    ]
    return element("dl", *rows, class_="methods")


def _number(value: float, decimals: int) -> Html:
    """The rounded number for people, the exact one of evaluation.json for programs."""
    return element("data", fixed(value, decimals), value=repr(value))


def look_of(row: ScoreRow, looks: Looks) -> Look:
    """The look of a row of the table: the same as that of its line in the figures."""
    return MODEL_LOOK if row.kind == "model" else looks.baseline(row.name)


def swatch(look: Look) -> Html:
    """A short piece of the line that stands for a row in the figures."""
    dash = " ".join(f"{length * 1.4:g}" for length in look.dash) or None
    line = element("line", x1="0", x2="24", y1="4", y2="4", style=f"stroke:var(--{look.color})", stroke_dasharray=dash)
    return element("svg", line, class_="swatch", viewBox="0 0 24 8", aria_hidden="true")


def _ranges(evaluation: Evaluation, looks: Looks) -> Html:
    """The first metric as dots with their intervals on one scale."""
    if not evaluation.metrics or len(evaluation.rows) < 2:
        return Html("")
    metric = evaluation.metrics[0]
    scores = [(row, row.scores[metric.name]) for row in leaderboard(evaluation) if metric.name in row.scores]
    ends = [end for _, score in scores for end in (score.low, score.value, score.high) if end is not None]
    if not ends or min(ends) == max(ends):
        return Html("")
    margin = 0.04 * (max(ends) - min(ends))
    low, high = min(ends) - margin, max(ends) + margin

    def place(value: float) -> float:
        return 100 * (value - low) / (high - low)

    reference = next((score.value for row, score in scores if row.kind == "model"), None)
    rows: list[Html] = []
    for row, score in scores:
        color = f"background:var(--{look_of(row, looks).color})"
        marks: list[Html] = []
        if score.low is not None and score.high is not None:
            width = place(score.high) - place(score.low)
            marks.append(element("i", style=f"left:{place(score.low):.2f}%;width:{width:.2f}%;{color}"))
        if reference is not None:
            marks.append(element("s", style=f"left:{place(reference):.2f}%"))
        if score.value is not None:
            marks.append(element("b", style=f"left:{place(score.value):.2f}%;{color}"))
        name = element("span", row.name, class_="name", dir="auto")
        rows.append(element("div", name, element("div", *marks, class_="track"), class_="row"))
    decimals = column_decimals(ends)
    unit = f" {metric.unit}" if metric.unit else ""
    scale = element(
        "div", element("span", fixed(min(ends), decimals)), element("span", f"{fixed(max(ends), decimals)}{unit}"), class_="ends"
    )
    rows.append(element("div", element("span"), scale, class_="row"))
    title = element("p", f"{metric.name} with its 95 % interval; {metric.better} is better", class_="note")
    return element("div", title, join(rows), class_="ranges", aria_hidden="true")
