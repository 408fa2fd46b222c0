"""The x axis of a figure: numbers, time stamps or names in their order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatework.report.canvas import fit_label
from gatework.report.material import iso_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LETTER_PX = 6.5
DATE_FORMATS = ["%Y", "%b", "%-d %b", "%H:%M", "%H:%M", "%S.%f"]


@dataclass(frozen=True)
class XAxis:
    """Where the points of a figure lie on x. kind says what the positions mean."""

    positions: tuple[float, ...]
    kind: str
    names: tuple[str, ...] = ()

    @property
    def span(self) -> float:
        """From the first to the last position."""
        return max(self.positions) - min(self.positions) if self.positions else 0.0

    def position_of(self, x: float | str) -> float | None:
        """Where a value of the same kind lies; None when it has no place on this axis."""
        if not isinstance(x, str):
            return float(x)
        if self.kind == "names":
            return float(self.names.index(x)) if x in self.names else None
        times = iso_times((x,))
        return _time_positions(times)[0] if times and self.kind == "times" else None

    def format(self, axes: "Axes", width: int) -> None:
        """Ticks that suit the kind: round numbers, calendar times, or names; as many as a figure of that width has room for."""
        max_labels = 8 if width >= 500 else 5
        if self.kind == "times":
            dates = _matplotlib_dates()
            # with at least 3 ticks and at most 5, 60 hours have no interval that suits: 12 hours are too many, a day too few
            locator = dates.AutoDateLocator(minticks=3 if max_labels >= 7 else 2, maxticks=max_labels)
            formatter = dates.ConciseDateFormatter(locator, formats=DATE_FORMATS)
            formatter.zero_formats = ["", "%Y", "%b", "%-d %b", "%H:%M", "%H:%M"]
            formatter.offset_formats = ["", "%Y", "%B %Y", "%-d %B %Y", "%-d %B %Y", "%-d %B %Y %H:%M"]
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(formatter)
        elif self.kind == "names":
            names = [fit_label(name, 16) for name in self.names]
            room = max(1, int(0.85 * width / (LETTER_PX * max(map(len, names)) + 10)))
            every = -(-len(names) // room)
            axes.set_xticks(self.positions[::every], names[::every])
        else:
            from matplotlib.ticker import MaxNLocator

            is_whole = all(position == round(position) for position in self.positions)
            axes.xaxis.set_major_locator(MaxNLocator(max_labels, integer=is_whole))


def x_axis(values: tuple[float, ...] | tuple[str, ...]) -> XAxis:
    """The axis on which these values lie."""
    times = iso_times(values)
    if times is not None:
        return XAxis(tuple(_time_positions(times)), "times")
    if any(isinstance(value, str) for value in values):
        names = tuple(str(value) for value in values)
        return XAxis(tuple(float(i) for i in range(len(names))), "names", names)
    return XAxis(tuple(float(value) for value in values), "numbers")


def _time_positions(times: Sequence[object]) -> list[float]:
    return [float(position) for position in _matplotlib_dates().date2num(list(times))]


def _matplotlib_dates() -> Any:
    import matplotlib.dates

    return matplotlib.dates
