"""The model in words, as a drawing and in equations."""

from gatework.cells import CELLS
from gatework.report.equations import CELL_TEXTS, LEGEND, TRACED_LEGEND, CellText, text_of, typeset
from gatework.report.glossary import Glossary
from gatework.report.markup import Html, code, element, join
from gatework.report.numbers import counted, whole
from gatework.report.section import Ingredients, paragraph
from gatework.runs import HISTORY_TASKS, Plan

HEADS = {
    "forecast": (
        "the next steps",
        (
            "The head reads the last state and the last inputs once, and gives all steps of the horizon together; what is known "
            "ahead of a step is added to that step."
        ),
    ),
    "anomaly": (
        "what is expected",
        (
            "The head says what each step should be: from the steps before it (forecast), or from a window around it that went "
            "through the state at its end (reconstruction). What was seen minus that, over its usual spread, is the score."
        ),
    ),
    "classify": (
        "a probability per class",
        "The head reads the last state beside the mean of all states, and gives a probability for each class; they sum to 1.",
    ),
    "regress": ("one number per target", "The head reads the last state beside the mean of all states, and gives the targets."),
    "classify_steps": (
        "a probability per class, at each step",
        "At each step the head reads the state beside the inputs of that step, and gives a probability for each class.",
    ),
    "regress_steps": (
        "one number per target, at each step",
        "At each step the head reads the state beside the inputs of that step, and gives the targets.",
    ),
}


def write_model(given: Ingredients) -> Html:
    """Words, drawing, equations."""
    plan, glossary = given.material.plan, given.glossary
    return join(
        [
            paragraph(glossary, _words(plan, given.material.manifest.num_parameters)),
            _drawing(given),
            _cell(plan.model.cell, glossary),
            element("h3", "What comes out"),
            paragraph(glossary, HEADS[plan.data.task][1]),
        ]
    )


def _words(plan: Plan, num_parameters: int) -> str:
    model = plan.model
    layers = "One recurrent layer" if model.num_layers == 1 else f"{model.num_layers} recurrent layers, one on the other,"
    directions = (
        " reads each sequence forwards and another copy reads it backwards"
        if model.bidirectional
        else " reads each sequence step by step"
    )
    if model.num_layers > 1:
        directions = directions.replace("reads", "read", 1)
    units = f" with {counted(model.hidden_size, 'hidden unit')}" + (" per layer" if model.num_layers > 1 else "")
    size = f" The model has {whole(num_parameters)} parameters." if num_parameters else ""
    dropout = (
        f" In training, dropout sets {100 * model.dropout:g} % of the values that it meets to zero." if model.dropout else ""
    )
    return f"{layers}{units}{directions}; a head turns what they hold into the answer.{size}{dropout}"


def _drawing(given: Ingredients) -> Html:
    plan = given.material.plan
    inputs = [field for field in plan.data.fields if field.role in ("past", "known_future", "static")]
    is_forecast = plan.data.task in HISTORY_TASKS
    num_columns = len(inputs) + (len(plan.data.targets) if is_forecast else 0)
    length = f"{counted(plan.window, 'step')} each" if plan.window and is_forecast else "of any length"
    both_ways = ", both directions" if plan.model.bidirectional else ""
    times = f"{plan.model.num_layers} × " if plan.model.num_layers > 1 else ""
    out = f"{whole(plan.horizon)} × {counted(len(plan.data.targets), 'target')}" if plan.horizon else ", ".join(plan.data.targets)
    boxes = [
        ("Sequences", f"{counted(num_columns, 'column')}, {length}", ""),
        (f"{times}{plan.model.cell}", f"{counted(plan.model.hidden_size, 'unit')}{both_ways}", " recurrent"),
        ("Head", HEADS[plan.data.task][0], ""),
        ("Answer", out, ""),
    ]
    pieces: list[Html] = []
    for i, (name, words, extra) in enumerate(boxes):
        if i:
            pieces.append(element("div", "→", class_="arrow", aria_hidden="true"))
        pieces.append(element("div", element("strong", name), element("span", words), class_=f"box{extra}"))
    return element("div", *pieces, class_="flow")


def _cell(name: str, glossary: Glossary) -> Html:
    cell = CELLS.get(name)
    text = text_of(cell) if cell else CELL_TEXTS.get(name)
    source = element("p", f"{cell.paper}.", class_="note") if cell and cell.paper else Html("")
    if text is None:
        return join([element("h3", "The cell ", code(name)), element("p", "Its equations are not known here.")])
    lines = [
        piece
        for equation in text.equations
        for piece in (
            element("div", typeset(equation.symbols), class_="symbols"),
            element("div", equation.meaning, class_="meaning"),
        )
    ]
    return join(
        [
            element("h3", text.title),
            paragraph(glossary, text.words),
            element("div", *lines, class_="equations"),
            element("p", _legend(text), class_="note"),
            source,
        ]
    )


def _legend(text: CellText) -> Html:
    symbols = "".join(equation.symbols for equation in text.equations)
    legend = LEGEND if text in CELL_TEXTS.values() else TRACED_LEGEND
    needed = [(symbol, meaning) for symbol, meaning in legend if symbol[:2].strip("_") in symbols]
    return join([typeset(symbol) + f": {meaning}" for symbol, meaning in needed], "; ") + "."
