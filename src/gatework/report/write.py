"""A run folder in; its pictures and its report out."""

from dataclasses import replace
from pathlib import Path

from gatework.report.figures import NARROW, WIDE, describe, draw
from gatework.report.glossary import Glossary
from gatework.report.markup import Html, slug
from gatework.report.material import Material, read_material
from gatework.report.numbers import plain_times
from gatework.report.page import compose
from gatework.report.palette import Looks
from gatework.report.section import Ingredients, Picture
from gatework.report.svg import inline, standalone
from gatework.report.training_figure import draw_training
from gatework.runs import LinesFigure, RunFolder, leaderboard

MOST_BYTES = 2_000_000
"""Above this the figures for narrow screens are left out; the wide ones shrink instead."""

TRAINING_CAPTION = (
    "Loss on training samples and on the validation part after each epoch; the gap between them is shaded. The dotted "
    "line marks the epoch whose weights were kept. Below: the learning rate, the gradient norm before clipping, the share "
    "of steps that were clipped, and what the gates did."
)


def write_report(run: RunFolder | Path | str) -> Path:
    """Writes figures/*.svg and report.html into the run folder; gives the path of the report.

    The same folder gives the same bytes. Without evaluation.json the report says what is missing and how to get it.
    Raises RunError when a file is missing or damaged, MissingExtra when matplotlib is not installed.
    """
    folder = run if isinstance(run, RunFolder) else RunFolder(run)
    material = read_material(folder)
    looks = _looks(material)
    training = _training_picture(material)
    pictures = _pictures(material, looks)
    page = _page(material, looks, training, pictures)
    if len(page.encode()) > MOST_BYTES:
        training = replace(training, narrow=None) if training else None
        page = _page(material, looks, training, tuple(replace(picture, narrow=None) for picture in pictures))
    folder.file("figures").mkdir(exist_ok=True)
    for picture in [*([training] if training else []), *pictures]:
        folder.write_text(f"figures/{picture.name}.svg", picture.file)
    folder.write_text("report.html", page)
    return folder.file("report.html")


def _page(material: Material, looks: Looks, training: Picture | None, pictures: tuple[Picture, ...]) -> str:
    glossary = Glossary(material.evaluation.metrics if material.evaluation else ())
    return compose(Ingredients(material, glossary, looks, training, pictures))


def _looks(material: Material) -> Looks:
    """Colours are given in the order of the table, so that table and figures agree and the best baselines differ most."""
    looks = Looks()
    for row in leaderboard(material.evaluation) if material.evaluation else ():
        if row.kind == "baseline":
            looks.baseline(row.name)
    return looks


def _training_picture(material: Material) -> Picture | None:
    if not material.history:
        return None
    plan = material.plan
    wide, narrow = (draw_training(material.history, plan.training, plan.window, width) for width in (WIDE, NARROW))
    return _picture("training", "Training and validation loss, epoch by epoch", TRAINING_CAPTION, TRAINING_CAPTION, wide, narrow)


def _pictures(material: Material, looks: Looks) -> tuple[Picture, ...]:
    pictures: list[Picture] = []
    for figure in material.evaluation.figures if material.evaluation else ():
        name = slug(figure.name, ["training", *(picture.name for picture in pictures)])
        wide, narrow = (draw(figure, looks, width) for width in (WIDE, NARROW))
        picture = _picture(
            name, plain_times(figure.title), plain_times(figure.caption), plain_times(describe(figure)), wide, narrow
        )
        is_forecast = isinstance(figure, LinesFigure) and any(line.style == "truth" for line in figure.lines)
        pictures.append(replace(picture, is_forecast=is_forecast))
    return tuple(pictures)


def _picture(name: str, title: str, caption: str, description: str, wide: str, narrow: str) -> Picture:
    return Picture(
        name=name,
        title=title,
        caption=caption,
        wide=_inlined(wide, name, "wide", title, description),
        narrow=_inlined(narrow, name, "narrow", title, description),
        file=standalone(wide, title, description),
    )


def _inlined(raw: str, name: str, form: str, title: str, description: str) -> Html:
    svg = inline(raw, f"{name}-{form}-", title, description, stretch=1.0 if form == "wide" else 1.35)
    return Html(svg.replace("<svg ", f'<svg class="{form}" ', 1))
