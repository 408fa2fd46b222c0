"""What every metric has in common: a record of its meaning, and values from sums over units.

Every metric of gatework except AUROC is a function of sums over samples. The sums are taken once per unit of the bootstrap (a
sequence, a group, a block of time); one resample is then a weighted sum of a few numbers, and a thousand resamples are one matrix
product.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from gatework.runs import MetricInfo

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Metric:
    """A metric's name, unit with `{unit}` where the target's own unit belongs, direction and meaning."""

    name: str
    unit: str
    better: Better
    meaning: str

    def info(self, unit: str = "", target: str = "") -> MetricInfo:
        """The record that goes into evaluation.json; `target` names it after one of several targets ('MAE load')."""
        name = f"{self.name} {target}" if target else self.name
        power = "{unit}²" in self.unit and not unit.strip("°").isalpha()
        written = self.unit.replace("{unit}", f"({unit})" if power else unit) if unit else ""
        return MetricInfo(name=name, unit=written, better=self.better, meaning=self.meaning)


class Measured(Protocol):
    """The truth and one row's predictions, reduced to what its metrics need."""

    @property
    def metrics(self) -> tuple[MetricInfo, ...]:
        """The metrics, in the order of the columns of `values`."""

    @property
    def num_units(self) -> int:
        """Units that can be weighted: samples, until `grouped` sums them."""

    def grouped(self, units: IntArray) -> "Measured":
        """The same with one unit per group; units: (num_units,) from 0 up, the group of each."""

    def values(self, weights: Array) -> Array:
        """(resamples, num_units) weights → (resamples, num_metrics); NaN where a metric is not defined."""


def point_values(measured: Measured) -> dict[str, float | None]:
    """Each metric's value on all the samples, by name; None where it is not defined."""
    values = measured.values(np.ones((1, measured.num_units)))[0]
    return {info.name: float(value) if np.isfinite(value) else None for info, value in zip(measured.metrics, values, strict=True)}


def sum_by_unit(sums: Array, units: IntArray) -> Array:
    """Rows of one unit added up: (num_samples, ...) → (number of units, ...)."""
    total = np.zeros((int(units.max(initial=-1)) + 1, *sums.shape[1:]))
    np.add.at(total, units, sums)
    return total


def divide(top: Array, bottom: Array) -> Array:
    """The quotient, NaN where bottom is not positive."""
    quotient: Array = np.divide(top, bottom, out=np.full(np.broadcast(top, bottom).shape, np.nan), where=bottom > 0)
    return quotient
