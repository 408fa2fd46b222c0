"""Typed fields and the one form that all data takes before it becomes numbers.

Whatever a file looks like (one long table, one row a sequence, long (id, time, variable, value), events beside a table
of labels), reading ends in a `Table`: `steps` with one row per step, and `sequences` with one row per sequence.
"""

from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

Kind = Literal["numeric", "categorical", "boolean", "timestamp"]
Role = Literal["target", "past", "known_future", "static", "series", "time", "split", "group", "label", "ignored"]
Missing = Literal["previous", "linear", "mean", "constant", "mask", "decay", "drop"]

SERIES = "__series__"
"""Name of the series column where the data has none of its own: one series, or one row a sequence."""
STEP = "__step__"
"""Name of the order column where the data has no time column: 0, 1, 2, … within each series."""


MANY_GAPS = 0.1
"""The share of missing values from which filling them is no small matter: the gaps themselves become inputs."""


@dataclass(frozen=True)
class Field:
    """One column: what it holds, what it is used for, how its gaps are filled.

    missing: the policy for gaps. `previous` carries the last value forward (the training mean before the first),
    `linear` interpolates between observed values in the training part and carries forward elsewhere, `mean` and `constant` fill,
    `mask` fills like `previous` and adds an input that is 1 where the value was observed, `decay` adds another one, the time
    since the last observation, and lets the value fade from it to the mean at a learned rate; `drop` leaves the row out.
    constant: the number that the policy `constant` fills with.
    bins: whether the number is read by bins as well; see `data.bins`.
    """

    name: str
    kind: Kind
    role: Role
    missing: Missing = "previous"
    constant: float = 0.0
    bins: bool = False

    def but(self, **changes: object) -> "Field":
        """The same field with some of its properties changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Table:
    """Data in its one form.

    steps: one row per step, sorted by series then time; holds the series column, the time column and every field that
        varies within a series. Gaps are null, never NaN. Numeric columns are Float64, categorical ones String, boolean ones
        Boolean, the time column Datetime (time zone kept), Date or Int64/Float64 (an order).
    sequences: one row per series in the order of `steps`; holds the series column, every static field and, where a whole
        sequence has one answer, the targets. A series without any row in `steps` (length zero) stands here.
    fields: one per column that is not ignored, series and time included.
    series, time: names of those columns in both frames (`SERIES` and `STEP` where the data has none).
    clock: the inputs that the cell reads past its gates, from the time stamps: `elapsed`, `time`. elapsed: whether the time since
        the step before is an input, because the steps are not equally long.
    notes: what was recognised, sorted, dropped or changed, one sentence each, for the user.
    answers_steps: the targets of `steps` are one answer for each step, not a history to be continued.
    """

    steps: pl.DataFrame
    sequences: pl.DataFrame
    fields: tuple[Field, ...]
    series: str
    time: str
    notes: tuple[str, ...] = ()
    answers_steps: bool = False
    clock: tuple[str, ...] = ()
    elapsed: bool = False

    def named(self, role: Role) -> tuple[Field, ...]:
        """The fields that have this role, in column order."""
        return tuple(field for field in self.fields if field.role == role)

    def field(self, name: str) -> Field:
        """The field of this name; KeyError when there is none."""
        return {field.name: field for field in self.fields}[name]

    @property
    def has_step_targets(self) -> bool:
        """True when the targets stand in `steps`, False when each sequence has one answer."""
        return any(field.name in self.steps.columns for field in self.named("target"))

    @property
    def is_forecast(self) -> bool:
        """True when the targets are a history that is to be continued."""
        return self.has_step_targets and not self.answers_steps
