"""The colours of a report: Okabe and Ito's, safe for colour-blind readers; each name has one colour and one dash everywhere.

The figures are drawn in the light colours. On the page every such colour becomes a CSS variable, so that the same picture
is right on a dark screen and on paper.
"""

import re
from dataclasses import dataclass, field

from gatework.runs import Line

LIGHT = {
    "ink": "#1b1d20",
    "muted": "#5c6168",
    "rule": "#c5c9ce",
    "faint": "#e9ebee",
    "paper": "#fefefd",
    "blue": "#0072b2",
    "vermillion": "#d55e00",
    "green": "#009e73",
    "purple": "#cc79a7",
    "orange": "#e69f00",
    "sky": "#56b4e9",
}
DARK = {
    "ink": "#e7e5e0",
    "muted": "#a3a8af",
    "rule": "#4a5058",
    "faint": "#272b31",
    "paper": "#16181c",
    "blue": "#4fb0ea",
    "vermillion": "#ef7b36",
    "green": "#2cbd93",
    "purple": "#df9cc3",
    "orange": "#f0b429",
    "sky": "#a6d8f5",
}
BASELINE_LOOKS = (
    ("vermillion", (5.0, 2.0)),
    ("green", (1.5, 1.5)),
    ("purple", (7.0, 2.0, 1.5, 2.0)),
    ("orange", (3.0, 1.5)),
    ("sky", (9.0, 2.5)),
    ("vermillion", (9.0, 2.0, 1.5, 2.0, 1.5, 2.0)),
    ("green", (6.0, 1.5)),
    ("purple", (1.5, 1.5)),
    ("orange", (7.0, 2.0, 1.5, 2.0)),
)
EXTRA_PREDICTIONS = (("blue", ()), ("purple", ()), ("green", ()), ("orange", ()), ("sky", ()))


@dataclass(frozen=True)
class Look:
    """How a line is drawn: a colour name, a dash pattern in line widths (empty: solid) and a width in points."""

    color: str
    dash: tuple[float, ...] = ()
    width: float = 1.6

    @property
    def hex(self) -> str:
        """The colour that the figure is drawn in."""
        return LIGHT[self.color]


@dataclass
class Looks:
    """Gives every baseline one look and keeps it through the whole report."""

    _baselines: dict[str, Look] = field(default_factory=dict)

    def baseline(self, name: str) -> Look:
        """The look of the baseline of that name; a new name gets the next one."""
        if name not in self._baselines:
            color, dash = BASELINE_LOOKS[len(self._baselines) % len(BASELINE_LOOKS)]
            self._baselines[name] = Look(color, dash, 1.4)
        return self._baselines[name]

    def lines(self, lines: tuple[Line, ...]) -> list[Look]:
        """The looks of the lines of one figure."""
        looks: list[Look] = []
        for line in lines:
            if line.style == "truth":
                looks.append(Look("ink", (), 1.4))
            elif line.style == "history":
                looks.append(Look("muted", (), 1.1))
            elif line.style == "baseline":
                looks.append(self.baseline(line.name))
            else:
                drawn = sum(other.style == "prediction" for other in lines[: len(looks)])
                color, dash = EXTRA_PREDICTIONS[drawn % len(EXTRA_PREDICTIONS)]
                looks.append(Look(color, dash, 1.8))
        return looks


def variables(colors: dict[str, str]) -> str:
    """The colours as CSS variables."""
    return "".join(f"--{name}:{value};" for name, value in colors.items())


def as_variables(style: str) -> str:
    """A CSS style in which each colour of the light palette is its variable."""
    names = {value: name for name, value in LIGHT.items()}
    return re.sub(
        r"#[0-9a-fA-F]{6}\b", lambda hit: f"var(--{names[hit[0].lower()]})" if hit[0].lower() in names else hit[0], style
    )
