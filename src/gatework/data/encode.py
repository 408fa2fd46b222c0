"""One column of a table as columns of numbers: scaled, or one per category; fitted once, on training rows."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import model_validator

from gatework.data.bins import fill_bins, fit_edges
from gatework.data.clock import since_observed
from gatework.data.fill import IN_WORDS, Borders, fill
from gatework.data.scale import CLIP, UNSCALED, NumericScale, fit_scale, mean_and_std
from gatework.data.series import BoolArray, Rows
from gatework.data.table import Field, Kind, Missing
from gatework.errors import DataError
from gatework.runs import FieldPlan

FloatArray = npt.NDArray[np.float64]

MOST_CATEGORIES = 32
"""Categories with an input of their own; rarer ones share the input `(other)` with those never seen in training."""
OTHER = "(other)"


class FittedField(FieldPlan):
    """A column with the numbers fitted to it.

    where: in which frame of the table it stands.
    scale: of numbers, truth values (unscaled) and time stamps (days since `origin`, itself in days since 1970).
    edges: of the bins that it is read by as well; see `data.bins`.
    categories: those with an input of their own. usual: the most frequent one, which fills gaps without a predecessor.
    has_mask: an input says whether the value was observed. has_since: another one how long ago it was observed last, before this
        step, in units of `since_scale` usual steps.
    """

    where: Literal["steps", "sequences"]
    scale: NumericScale = UNSCALED
    origin: float = 0.0
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    usual: str = ""
    has_mask: bool = False
    has_since: bool = False
    since_scale: float = 1.0

    @model_validator(mode="after")
    def _is_whole(self) -> "FittedField":
        if self.kind == "categorical" and self.usual not in self.categories:
            raise ValueError("a categorical field needs its categories")
        return self

    @property
    def names(self) -> list[str]:
        """The names of its input columns."""
        values = [f"{self.name}={category}" for category in (*self.categories, OTHER)] if self.categories else [self.name]
        values += [f"{self.name}>{edge:g}" for edge in self.edges[:-1]]
        values += [f"{self.name}:observed"] if self.has_mask else []
        return values + ([f"{self.name}:since"] if self.has_since else [])

    @property
    def fades(self) -> bool:
        """Whether its value fades in gaps: a number, at a step, with both inputs that say where the gaps are."""
        return self.missing == "decay" and self.has_mask and self.has_since and self.kind != "categorical"


@dataclass(frozen=True)
class Place:
    """Where a column stands: its series, its times, which rows may be interpolated, and which count as gaps when empty.

    All arrays are (rows of the frame,). times: in usual steps since the first row of the series. counted: False at steps that are
    still to come, whose gaps are no fault. borders: what gaps must not be filled from, where parts do not come in their order.
    """

    rows: Rows
    times: FloatArray
    may_look_ahead: BoolArray
    counted: BoolArray
    borders: Borders | None = None


def fit_field(
    field: Field, column: pl.Series, train: BoolArray, where: Literal["steps", "sequences"], like: FittedField | None = None
) -> FittedField | None:
    """The field fitted to the observed values of its training rows; None when it has none there.

    like: an earlier fit, whose logarithm or its absence is taken over.
    """
    observed = column.filter(pl.Series(train)).drop_nulls()
    if observed.dtype.is_float():
        observed = observed.drop_nans()
    if not len(observed):
        return None
    origin, scale, usual = 0.0, UNSCALED, ""
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    if field.kind == "categorical":
        categories, usual = fit_categories(observed.cast(pl.String).to_list())
    else:
        raw = raw_numbers(field.name, field.kind, observed)
        if field.kind == "boolean":
            scale = NumericScale(mean=0.0, std=1.0, fill=float(raw.mean()), is_constant=bool(raw.min() == raw.max()))
        elif field.kind == "timestamp":
            origin = float(raw.min())
            mean, std = mean_and_std(raw - origin)
            scale = NumericScale(mean=mean, std=std, fill=mean)
        else:
            scale = fit_scale(raw, None if like is None else like.scale.is_log)
            edges = fit_edges(raw) if field.bins else ()
    return FittedField(
        name=field.name,
        kind=field.kind,
        role=field.role,
        missing=field.missing,
        constant=field.constant,
        bins=field.bins,
        where=where,
        scale=scale,
        origin=origin,
        edges=edges,
        categories=categories,
        usual=usual,
        has_mask=field.missing == "mask" or (field.missing == "decay" and where == "steps"),
        has_since=field.missing == "decay" and where == "steps",
    )


def fit_categories(texts: list[str]) -> tuple[tuple[str, ...], str]:
    """The MOST_CATEGORIES most frequent categories, sorted, and the most frequent one; ties go to the first in the alphabet."""
    counts = Counter(texts)
    ranked = sorted(counts, key=lambda category: (-counts[category], category))
    return tuple(sorted(ranked[:MOST_CATEGORIES])), ranked[0]


def raw_numbers(name: str, kind: Kind, column: pl.Series) -> FloatArray:
    """(rows,) float64: numbers as they are, truth values as 0 and 1, time stamps as days since 1970; NaN where missing.

    Raises DataError for infinite values.
    """
    if kind == "timestamp":
        days = column.cast(pl.Datetime("us")).to_physical().cast(pl.Float64) / 86_400e6
        return np.array(days.to_numpy(), dtype=np.float64)
    numbers = np.array(column.cast(pl.Float64).to_numpy(), dtype=np.float64)
    if np.isinf(numbers).any():
        row = int(np.flatnonzero(np.isinf(numbers))[0])
        raise DataError(
            f"Column '{name}' holds {numbers[row]} at row {row} ({int(np.isinf(numbers).sum())} infinite values in all). "
            f"Every number must be finite. Replace them by the true values, or leave them empty and choose a --missing policy."
        )
    return numbers


def encode(field: FittedField, column: pl.Series, place: Place) -> tuple[FloatArray, list[str]]:
    """(rows, len(field.names)) finite numbers for the model, and what was filled, clipped or unknown, in sentences."""
    if field.kind == "categorical":
        values, notes = _category_codes(field, column)
        default, constant = float(field.categories.index(field.usual)), float(len(field.categories))
        policy: Missing = "previous" if field.missing == "linear" else field.missing
    else:
        values, notes = raw_numbers(field.name, field.kind, column) - field.origin, []
        default, constant, policy = field.scale.fill, field.constant, field.missing
    missing = np.isnan(values)
    gaps = int((missing & place.counted).sum())
    if gaps:
        notes.append(
            f"'{field.name}': {gaps} of {int(place.counted.sum())} values are missing; each is {IN_WORDS[field.missing]}."
        )
    filled = fill(values, place.rows, policy, default, constant, place.times, place.may_look_ahead, place.borders)
    if field.kind == "categorical":
        block = np.eye(len(field.categories) + 1)[filled.astype(np.int64)]
    else:
        scaled = field.scale.scale(filled)
        far = int((np.abs(scaled) > CLIP).sum())
        if far:
            notes.append(
                f"'{field.name}': {far} values lie more than {CLIP:.0f} standard deviations from the training mean; "
                f"the model sees them at that distance."
            )
        block = np.clip(scaled, -CLIP, CLIP)[:, None]
        if field.edges:
            block = np.concatenate([block, fill_bins(filled, field.edges)], axis=1)
    columns = [block, ~missing[:, None]] if field.has_mask else [block]
    if field.has_since:
        since = since_observed(~missing, place.times, place.rows, place.borders) / field.since_scale
        columns.append(np.minimum(since, CLIP)[:, None])
    return np.concatenate(columns, axis=1) if len(columns) > 1 else block, notes


def _category_codes(field: FittedField, column: pl.Series) -> tuple[FloatArray, list[str]]:
    """(rows,) the position of each category, one past the last for others; NaN where missing. And how many were unknown."""
    texts = column.cast(pl.String)
    positions = {category: index for index, category in enumerate(field.categories)}
    codes = texts.replace_strict(positions, default=len(positions), return_dtype=pl.Float64)
    codes = pl.select(pl.when(texts.is_null()).then(None).otherwise(codes)).to_series()
    unknown = int((codes == len(positions)).sum())
    if not unknown:
        return np.array(codes.to_numpy(), dtype=np.float64), []
    examples = ", ".join(f"'{text}'" for text in texts.filter(codes == len(positions)).unique().sort().head(3).to_list())
    note = f"'{field.name}': {unknown} values without an input of their own became 'other' ({examples})."
    if len(positions) < MOST_CATEGORIES:
        note = f"'{field.name}': {unknown} values never seen in training became 'other' ({examples})."
    return np.array(codes.to_numpy(), dtype=np.float64), [note]
