"""What every section of the report gets and gives."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gatework.report.glossary import Glossary
from gatework.report.markup import Html, element
from gatework.report.material import Material
from gatework.report.palette import Looks


@dataclass(frozen=True)
class Picture:
    """A drawn figure. wide and narrow: the SVG as it stands in the page, for a desk and for a phone; file: the SVG of its own."""

    name: str
    title: str
    caption: str
    wide: Html
    narrow: Html | None
    file: str
    is_forecast: bool = False

    def html(self, glossary: Glossary) -> Html:
        """The figure with its title, its caption and the name of its file."""
        return element(
            "figure",
            element("p", self.title, class_="heading"),
            self.wide,
            self.narrow or Html(""),
            element("figcaption", glossary.link(self.caption), " ", element("a", "SVG", href=f"figures/{self.name}.svg")),
            class_="twofold" if self.narrow else None,
            id=f"figure-{self.name}",
        )


@dataclass(frozen=True)
class Ingredients:
    """All that the sections are written from."""

    material: Material
    glossary: Glossary
    looks: Looks
    training: Picture | None
    pictures: tuple[Picture, ...] = field(default=())


def paragraph(glossary: Glossary, *parts: str) -> Html:
    """A paragraph of plain sentences and of pieces that are HTML already."""
    return element("p", *(glossary.link(part) for part in parts))


def pairs(rows: Sequence[tuple[str, str]]) -> Html:
    """A list of names and what belongs to them."""
    return element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in rows), class_="pairs")


def bullets(items: list[str]) -> Html:
    """A plain list."""
    return element("ul", *(element("li", item) for item in items), class_="plain")


def callout(*children: str) -> Html:
    """Something that must not be overlooked."""
    return element("div", *children, class_="callout", role="note")
