"""How records and results show themselves in a notebook: the room `report` draws them, this list is where they find it."""

from collections.abc import Callable
from typing import Any

SHOWN_BY: dict[str, Callable[[Any], str]] = {}
"""HTML of an object by the name of its class; `report.notebook` fills it when it is imported."""


class Shown:
    """What has a picture in a notebook. Without the room `report` it shows its text, as everything does."""

    def _repr_html_(self) -> str | None:
        draw = SHOWN_BY.get(type(self).__name__)
        return None if draw is None else draw(self)
