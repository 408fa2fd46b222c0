"""One row at a time as the numbers that `Preparation.apply` makes of a whole table, in microseconds.

For a series whose rows come in one by one: no frame is built. A test compares every number with that of the table.
"""

import math
from collections.abc import Mapping
from datetime import date, datetime
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gatework.data.calendar import LENGTH_S, Period
from gatework.data.encode import FittedField
from gatework.data.prepare_fit import PreparationRecord
from gatework.data.scale import CLIP
from gatework.errors import ConfigError, DataError

Float32Array = npt.NDArray[np.float32]
Value = float | int | bool | str | datetime | date | None
DAY_S = 86_400.0


class ColumnEncoder:
    """One column, value by value; remembers the last observed one, which fills gaps."""

    def __init__(self, field: FittedField):
        self.field, self.name = field, field.name
        self.mean, self.std, self.is_log = field.scale.mean, field.scale.std, field.scale.is_log
        self.origin, self.bins, self.has_mask = field.origin, tuple(pairwise(field.edges)), field.has_mask
        self.codes = {category: index for index, category in enumerate(field.categories)}
        self.default = float(self.codes[field.usual]) if field.categories else field.scale.fill
        self.last = self.default

    def encode(self, value: Value) -> list[float]:
        """The numbers of one value; None and NaN are gaps. Raises DataError for text among numbers, and for infinite numbers."""
        return self.block(self.number(value))

    def block(self, number: float) -> list[float]:
        """The numbers of what `number` gave; from now on it fills gaps."""
        is_missing = math.isnan(number)
        if is_missing:
            number = self.filled()
        else:
            self.last = number
        if self.codes:
            block = [0.0] * (len(self.codes) + 1)
            block[int(number)] = 1.0
        else:
            curved = math.copysign(math.log1p(abs(number)), number) if self.is_log else number
            scaled = (curved - self.mean) / self.std
            block = [-CLIP if scaled < -CLIP else CLIP if scaled > CLIP else scaled]
            if self.bins:
                block += [min(max((number - low) / (high - low), 0.0), 1.0) for low, high in self.bins]
        if self.has_mask:
            block.append(0.0 if is_missing else 1.0)
        return block

    def number(self, value: Value) -> float:
        """The value as a number before scaling; NaN where it is missing."""
        if type(value) is float and not self.codes and math.isfinite(value):  # the usual case first
            return value - self.origin
        if value is None:
            return math.nan
        if self.codes:
            return float(self.codes.get(str(value), len(self.codes)))
        if isinstance(value, date):  # a datetime is one, too
            moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
            return (moment.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds() / DAY_S - self.origin
        if isinstance(value, str) or math.isinf(value):
            raise DataError(
                f"Column '{self.field.name}' has {value!r} in the row; expected a finite number, or None where it is missing. "
                f"Correct the value."
            )
        return float(value) - self.origin

    def filled(self) -> float:
        """What stands for a missing value; see `table.Field`."""
        if self.field.missing == "mean":
            return self.default
        if self.field.missing == "constant":
            return self.field.constant if not self.codes else float(len(self.codes))
        return self.last


class RowEncoder:
    """Rows of one series of a forecast, one after the other.

    inputs, known: the columns that a row has: observed ones, and those known in advance. width: numbers per row.
    Raises ConfigError where the model reads how long ago something was.
    """

    def __init__(self, record: PreparationRecord, static: Float32Array):
        steps = [field for field in record.fields if field.where == "steps"]
        if record.elapsed is not None or record.clock or any(field.has_since for field in steps):
            raise ConfigError(
                "The model reads how long ago the last step or the last measurement was, which is not followed row by row. "
                "Expected a model without these inputs. Forecast with predict, or train with --missing previous and --cell lstm."
            )
        self.observed = [ColumnEncoder(field) for field in steps if field.role != "known_future"]
        self.planned = [ColumnEncoder(field) for field in steps if field.role == "known_future"]
        self.periods: tuple[Period, ...] = record.calendar
        self.static = static
        self.inputs = tuple(encoder.field.name for encoder in self.observed)
        self.known = tuple(encoder.field.name for encoder in self.planned)

    def remember(self, row: Mapping[str, Value]) -> None:
        """What was last observed of each column before the first row, which fills a gap there; None: nothing was."""
        for encoder in (*self.observed, *self.planned):
            number = encoder.number(row.get(encoder.field.name))
            encoder.last = encoder.last if math.isnan(number) else number

    def encode_observed(self, row: Mapping[str, Value]) -> list[float]:
        """The numbers of the observed columns. Raises DataError when a column is not there; give None for a missing value."""
        return self._blocks(self.observed, self._numbers(self.observed, row))

    def encode_known(self, row: Mapping[str, Value], time: datetime | None) -> list[float]:
        """The numbers of what is known in advance of a step: planned covariates, then the calendar of its time stamp."""
        return self._blocks(self.planned, self._numbers(self.planned, row)) + self._calendar(time)

    def encode(self, row: Mapping[str, Value], time: datetime | None) -> list[float]:
        """Both of a row that has come. A row that is refused leaves no trace: nothing of it fills a later gap."""
        observed, planned = self._numbers(self.observed, row), self._numbers(self.planned, row)
        return self._blocks(self.observed, observed) + self._blocks(self.planned, planned) + self._calendar(time)

    def _calendar(self, time: datetime | None) -> list[float]:
        numbers: list[float] = []
        if self.periods:
            assert time is not None
            for period in self.periods:
                angle = 2 * math.pi * turns(time, period)
                numbers += (math.sin(angle), math.cos(angle))
        return numbers

    def _numbers(self, encoders: list[ColumnEncoder], row: Mapping[str, Value]) -> list[float]:
        """One number a column, before scaling; what cannot be read is refused here, and nothing is remembered yet."""
        numbers: list[float] = []
        for encoder in encoders:
            if encoder.name not in row:
                raise DataError(
                    f"The row has the columns {', '.join(map(str, row)) or '(none)'}; '{encoder.name}' is not among them. "
                    f"Expected {', '.join((*self.inputs, *self.known))}. Give None where a value is missing."
                )
            numbers.append(encoder.number(row[encoder.name]))
        return numbers

    def _blocks(self, encoders: list[ColumnEncoder], numbers: list[float]) -> list[float]:
        return [entry for encoder, number in zip(encoders, numbers, strict=True) for entry in encoder.block(number)]


def turns(time: datetime, period: Period) -> float:
    """How often a period has gone round since its last beginning, 0 to 1; see `calendar.calendar_features`.

    >>> turns(datetime(2026, 1, 5, 6), "hour of day"), turns(datetime(2026, 1, 5), "day of week")  # a Monday
    (0.25, 0.0)
    """
    share = (time.hour * 3600 + time.minute * 60 + time.second) / DAY_S
    if period == "hour of day":
        return share
    if period == "day of week":
        return (time.weekday() + share) / 7
    days = 366 if time.year % 4 == 0 and (time.year % 100 != 0 or time.year % 400 == 0) else 365
    return (time.timetuple().tm_yday - 1 + share) / days


assert set(LENGTH_S) == {"hour of day", "day of week", "day of year"}, "a new period of the calendar is missing in `turns`"
