"""A study folder in; its pictures and one HTML page out."""

from collections.abc import Sequence
from pathlib import Path

from gatework.errors import RunError
from gatework.report.canvas import render
from gatework.report.draw_ranges import describe_ranges, draw_ranges
from gatework.report.figures import NARROW, WIDE, describe, draw
from gatework.report.glossary import Glossary
from gatework.report.markup import Html, element, join
from gatework.report.numbers import column_decimals, counted, duration, fixed
from gatework.report.page import POLICY
from gatework.report.palette import Looks
from gatework.report.section import Picture, bullets, pairs
from gatework.report.style import style_sheet
from gatework.report.write import drawn_picture
from gatework.runs import RunFolder, Score
from gatework.runs.study import STUDY, RangesFigure, StudyFigure, StudyRecord, StudyResult, StudyRow, StudyTable

TITLES = {
    "backtest": "Backtest of {targets}",
    "folds": "{targets}, every part tested once",
    "search": "A search for the best options for {targets}",
    "curve": "How much data {targets} needs",
    "sweep": "One option at a time for {targets}",
    "seeds": "An ensemble over seeds for {targets}",
}


def write_study_report(study: RunFolder | Path | str) -> Path:
    """Writes figures/*.svg and study.html into the folder of a study; gives the path of the page.

    The same folder gives the same bytes. Raises RunError when the study is not finished or damaged, MissingExtra when matplotlib
    is not installed.
    """
    folder = study if isinstance(study, RunFolder) else RunFolder(study)
    record = folder.read(STUDY, StudyRecord)
    if record.result is None:
        raise RunError(
            f"The study in '{folder.path}' has not finished. Expected one with results. "
            f"Start the same command with --out {folder.path} again: it goes on where it stopped."
        )
    looks = Looks()
    for row in (row for table in record.result.tables for row in table.rows if row.kind == "baseline"):
        looks.baseline(row.name)
    pictures = [draw_study_figure(figure, looks) for figure in record.result.figures]
    folder.file("figures").mkdir(exist_ok=True)
    for picture in pictures:
        folder.write_text(f"figures/{picture.name}.svg", picture.file)
    folder.write_text("study.html", page_of(record, record.result, pictures))
    return folder.file("study.html")


def draw_study_figure(figure: StudyFigure, looks: Looks) -> Picture:
    """One figure, for a desk and for a phone."""
    if isinstance(figure, RangesFigure):
        wide, narrow = (
            render(lambda canvas, width=width: draw_ranges(canvas, figure, looks, width), width, 330 if width >= 500 else 300)  # type: ignore[misc]
            for width in (WIDE, NARROW)
        )
        return drawn_picture(figure.name, figure.title, figure.caption, describe_ranges(figure), wide, narrow)
    wide, narrow = (draw(figure, looks, width) for width in (WIDE, NARROW))
    return drawn_picture(figure.name, figure.title, figure.caption, describe(figure), wide, narrow)


def page_of(record: StudyRecord, result: StudyResult, pictures: Sequence[Picture]) -> str:
    """The whole page."""
    glossary = Glossary(result.metrics)
    title = TITLES[record.wish.kind].format(targets=", ".join(record.targets))
    sections = [
        ("tables", "The numbers", [table_html(table, glossary) for table in result.tables]),
        ("figures", "The pictures", [picture.html(glossary) for picture in pictures]),
        ("again", "How to get it again", again(record, result)),
        ("notes", "Limits and notes", [notes_of(record, result)]),
    ]
    parts = [head_of(record, result, title, glossary)]
    for number, (name, heading, content) in enumerate(sections, start=1):
        glossary.begin_section()
        parts.append(element("section", element("h2", element("span", str(number), class_="number"), heading), *content, id=name))
    terms = [element("div", element("dt", term), element("dd", meaning), id=key) for key, term, meaning in glossary.entries()]
    parts.append(element("section", element("h2", "Glossary"), element("dl", *terms, class_="terms"), id="glossary"))
    footer = element("footer", f"Written by gatework {record.gatework} from the files of this folder.")
    links = [
        element("li", element("span", str(number), class_="mark"), element("a", heading, href=f"#{name}"))
        for number, (name, heading, _) in enumerate(sections, start=1)
    ]
    nav = element("nav", element("ol", *links), aria_label="Contents")
    body = element("div", nav, element("main", join(parts), footer), class_="page")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Html(style_sheet())),
    )
    return f"<!doctype html>\n{element('html', head, element('body', body), lang='en')}\n"


def head_of(record: StudyRecord, result: StudyResult, title: str, glossary: Glossary) -> Html:
    """Title, verdict, facts."""
    glossary.begin_section()
    lines = [element("p", glossary.link(text), class_="lead" if i == 0 else None) for i, text in enumerate(result.verdict)]
    facts: list[tuple[str, str, str]] = [("study", record.wish.kind, record.task)]
    if record.jobs:
        facts.append(
            ("trained", counted(len({job.model for job in record.jobs}), "model"), counted(len(record.jobs), "judgement"))
        )
    facts.append(("took", duration(record.wall_time_s), "in all"))
    boxes = [element("div", element("dt", name), element("dd", value, element("span", more))) for name, value, more in facts]
    kicker = element("p", "gatework study", class_="kicker")
    return element("header", kicker, element("h1", title, dir="auto"), *lines, element("dl", *boxes, class_="facts"))


def table_html(table: StudyTable, glossary: Glossary) -> Html:
    """One table; scores with their intervals below them, the best of a column in bold where it has a direction."""
    decimals = [column_decimals(table.values(None if table.is_one_quantity else column)) for column in range(len(table.columns))]
    head = [
        element("th", table.first, scope="col"),
        *(element("th", glossary.link(title), scope="col") for title in table.columns),
    ]
    best = [table.best(column) for column in range(len(table.columns))]
    rows = [row_html(row, table, decimals, best) for row in table.rows]
    caption = f"{table.caption}{' The best value of each column is bold.' if any(table.better) else ''}"
    return element(
        "div",
        element("p", table.title, class_="heading"),
        element(
            "table",
            *([element("caption", glossary.link(caption))] if caption else []),
            element("thead", element("tr", *head)),
            element("tbody", *rows),
            class_="scores cards",
        ),
        class_="table",
    )


def row_html(row: StudyRow, table: StudyTable, decimals: list[int], best: list[float | None]) -> Html:
    """One row."""
    cells = [element("th", row.name, scope="row", dir="auto")]
    for number, cell in enumerate(row.cells):
        label = table.columns[number]
        if isinstance(cell, Score) and cell.value is not None:
            parts = [element("data", fixed(cell.value, decimals[number]), value=repr(cell.value))]
            if cell.low is not None and cell.high is not None:
                ends = f"{fixed(cell.low, decimals[number])} to {fixed(cell.high, decimals[number])}"
                parts.append(element("span", ends, class_="interval"))
            is_best = best[number] is not None and cell.value == best[number]
            cells.append(element("td", element("span", *parts), data_label=label, class_="best" if is_best else None))
        else:
            cells.append(element("td", cell if isinstance(cell, str) else "–", data_label=label))
    return element("tr", *cells, class_=None if row.kind == "other" else row.kind)


def again(record: StudyRecord, result: StudyResult) -> list[Html]:
    """The command, the Python, the best options, the configurations."""
    parts: list[Html] = []
    if result.settings:
        parts += [element("h3", "The best options, as a file for --config"), element("pre", element("code", result.settings))]
    if result.command:
        parts += [element("h3", "Training with them"), element("pre", element("code", result.command))]
    if record.command:
        parts += [element("h3", "This study on the command line"), element("pre", element("code", record.command))]
    if record.python:
        parts += [element("h3", "In Python"), element("pre", element("code", record.python))]
    rows = [("seed", str(record.seed)), *((f"sha256 of {name}", sha256) for name, sha256 in record.sources.items())]
    rows += [("model to use", f"the folder {result.run} of this study")] if result.run else []
    return [*parts, pairs(rows)]


def notes_of(record: StudyRecord, result: StudyResult) -> Html:
    """What a reader must know about the numbers."""
    general = {
        "folds": "The interval of a mean over folds draws the units of each test part; it does not draw the training data. "
        "The corrected t-test, where there is one, allows for training parts that overlap.",
        "backtest": "The interval of a mean over windows draws the units of each test part; it does not draw the training data.",
        "curve": "A power law through a few points is a guess about what lies beyond them.",
    }
    notes = [*result.notes, *([general[record.wish.kind]] if record.wish.kind in general else [])]
    return bullets([*notes]) if notes else element("p", "None.")
