"""What the user said about the data; everything else is found out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gatework.data.bins import ALL
from gatework.data.kinds import Kind
from gatework.data.table import SERIES, STEP, Missing
from gatework.errors import ConfigError, nearest
from gatework.runs import TaskName

Policy = Missing | Literal["auto"]
"""What may be said about gaps: a policy, or that one is to be chosen."""

MANY_NAMES = 20
"""At most so many columns are listed in an error."""


@dataclass(frozen=True)
class Wishes:
    """What the user said about the data; None and empty mean "find out".

    time: the time column, or the columns that make it, such as ("year", "month", "day", "hour").
    kinds: column → kind. missing: one policy for all columns, or column → policy; `auto` as None.
    constant: what `constant` fills with.
    gaps_fade: whether the cell is one for values that fade in gaps (`gru_d`): then `auto` is `decay` where values are missing.
    bins: numeric inputs that are read by bins as well (see `data.bins`), or `all`.
    group: whom a sequence belongs to. layout, variable, value: see `DataPlan`. labels: the source of the labels table, written
    into the plan.
    """

    task: TaskName | None = None
    targets: tuple[str, ...] = ()
    time: str | tuple[str, ...] | None = None
    series: str | None = None
    known_future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    missing: Policy | Mapping[str, Policy] | None = None
    gaps_fade: bool = False
    constant: float = 0.0
    bins: tuple[str, ...] = ()
    layout: Literal["steps", "sequences", "long"] | None = None
    labels: str | None = None
    split_column: str | None = None
    group: str | None = None
    variable: str | None = None
    value: str | None = None
    labels_column: str | None = None

    def named_columns(self) -> list[tuple[str, str]]:
        """(option, column) for every column that the user named."""
        times = (self.time,) if isinstance(self.time, str) else self.time or ()
        single = [
            ("series", self.series),
            ("split-column", self.split_column),
            ("group", self.group),
            ("variable", self.variable),
            ("value", self.value),
            ("labels-column", self.labels_column),
        ]
        several = [("target", self.targets), ("time", times), ("known-future", self.known_future), ("static", self.static)]
        several += [("ignore", self.ignore), ("kind", tuple(self.kinds))]
        several += [("bins", tuple(name for name in self.bins if name != ALL))]
        several += [("missing", tuple(self.missing))] if isinstance(self.missing, Mapping) else []
        return [(option, name) for option, name in single if name] + [
            (option, name) for option, names in several for name in names
        ]


def check_names(wishes: Wishes, known: list[str], options: frozenset[str] | None = None) -> None:
    """ConfigError for a column that a wish names and the data does not have. options: the wishes to check; None: all."""
    names = [column for column in dict.fromkeys(known) if column not in (SERIES, STEP)]
    for option, name in wishes.named_columns():
        if name not in known and (options is None or option in options):
            hint = nearest(name, names)
            if len(names) > MANY_NAMES and hint.startswith("Known: "):
                hint = nearest(name, names[:MANY_NAMES])[:-1] + ", …."
            raise ConfigError(
                f"There is no column '{name}' (--{option}). Expected a column of the data. {hint} "
                f"Correct the name; 'gatework look DATA' lists the columns."
            )
    if options is None:
        _check_targets(wishes)


def _check_targets(wishes: Wishes) -> None:
    """ConfigError for a target that is named twice, or has another part to play as well."""
    others = [("ignore", wishes.ignore), ("known-future", wishes.known_future), ("static", wishes.static)]
    for target in wishes.targets:
        taken = [f"--{option}" for option, names in others if target in names]
        if taken or wishes.targets.count(target) > 1:
            where = f"and in {taken[0]}" if taken else "twice"
            raise ConfigError(
                f"Column '{target}' is named in --target {where}. Expected a target once, and in no other part. "
                f"Take it out of {taken[0] if taken else 'the list'}."
            )
