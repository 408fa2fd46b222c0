"""What was asked: the task, its targets, and how far back and ahead."""

from gatework.report.markup import Html, code, element, listed
from gatework.report.numbers import counted, steps, time_span
from gatework.report.section import Ingredients, pairs, paragraph
from gatework.runs import CLASS_TASKS, STEP_TASKS

TASK_WORDS = {
    "forecast": "Forecast: the next steps of each target, from the steps before them",
    "anomaly": "Anomaly detection: which stretches are unlike what the series did in training",
    "classify": "Classification: one class for each whole sequence",
    "regress": "Regression: one number for each whole sequence",
    "classify_steps": "Classification of steps: one class for each step",
    "regress_steps": "Regression of steps: one number for each step",
}


def write_asked(given: Ingredients) -> Html:
    """The question in a sentence and its parts in a list."""
    plan, glossary = given.material.plan, given.glossary
    step_s = given.material.step_s
    rows: list[tuple[str, str]] = [
        ("task", glossary.link(TASK_WORDS[plan.data.task])),
        (_noun(len(plan.data.targets)), listed(map(code, plan.data.targets))),
    ]
    if plan.horizon:
        rows.append(("horizon", glossary.link(steps(plan.horizon, step_s))))
    if plan.window:
        name = "read before a piece" if plan.piece else "window"
        rows.append((name, glossary.link(steps(plan.window, step_s))))
    if step_s is not None:
        rows.append(("one step", time_span(step_s)))
    if plan.period:
        rows.append(("season", steps(plan.period, step_s)))
    if plan.data.time or plan.data.time_parts:
        rows.append(("time", listed(map(code, plan.data.time_parts or (str(plan.data.time),)))))
    if plan.data.series:
        rows.append(("series", Html(f"each value of {code(plan.data.series)} is a series of its own")))
    return _sentence(given) + pairs([(glossary.link(name), value) for name, value in rows])


def _noun(number: int) -> str:
    return "target" if number == 1 else "targets"


def _sentence(given: Ingredients) -> Html:
    plan, glossary, step_s = given.material.plan, given.glossary, given.material.step_s
    targets = listed(map(code, plan.data.targets))
    roles = [field.role for field in plan.data.fields]
    past, future, static = roles.count("past"), roles.count("known_future"), roles.count("static")
    beside = [counted(past, "further column")] if past else []
    beside += [counted(future, "column") + " known ahead"] if future else []
    beside += [counted(static, "attribute") + " of the series"] if static else []
    if plan.data.task == "forecast":
        reads = glossary.link(f"From a window of {steps(plan.window, step_s)} of ")
        along = Html(" and ") + listed(map(glossary.link, beside)) if beside else ""
        ahead = glossary.link(f", what will the next {steps(plan.horizon, step_s)} of ")
        return element("p", reads, targets, along, ahead, targets if len(plan.data.targets) == 1 else "these targets", " be?")
    if plan.data.task == "anomaly":
        along = Html(", given ") + listed(map(glossary.link, beside)) + Html(",") if beside else ""
        return element(
            "p", "Where do ", targets, along, " do what the training part does not let one expect, and in which of them is it?"
        )
    inputs = listed(map(glossary.link, [counted(past + future, "column"), *(beside[-1:] if static else [])]))
    verb = "which class of " if plan.data.task in CLASS_TASKS else "what value of "
    if plan.data.task in STEP_TASKS:
        seen = "the whole sequence" if plan.model.bidirectional else "the steps up to and with it"
        return paragraph(glossary, "Given ", inputs, f" of {seen}, {verb}", targets, " does a step have?")
    return paragraph(
        glossary,
        "Given a whole sequence of ",
        inputs,
        f", however long it is, {verb}",
        targets,
        " does it belong to?" if plan.data.task == "classify" else " goes with it?",
    )
