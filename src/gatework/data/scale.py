"""Numbers brought to mean 0 and standard deviation 1, after a logarithm where that makes a skewed column even."""

import numpy as np
import numpy.typing as npt

from gatework.runs import Record

FloatArray = npt.NDArray[np.float64]

SKEWED = 1.0
"""Skewness (third standardised moment) above which a column counts as strongly skewed; the usual rule of thumb."""
FEW_VALUES = 20
"""Below so many training values the skewness says too little to act on."""
CLIP = 20.0
"""Inputs farther than this many standard deviations from the training mean are set to this distance, and counted in the notes.

Far beyond anything that a working sensor does, so it only meets faults and unit errors; one of those, unclipped, would
saturate every gate for the rest of its window.
"""


class NumericScale(Record):
    """scaled = (f(raw) − mean) / std, with f the identity, or the signed logarithm sign(x)·log(1 + |x|) when `is_log`.

    mean, std: of f(raw) over the observed training values; std is 1 for a column that is constant there.
    fill: the mean of the raw training values, which fills gaps that have nothing before them.
    is_constant: all training values are equal.
    The inverse of a scaled *mean* under `is_log` is nearer the raw median than the raw mean.
    """

    mean: float
    std: float
    is_log: bool = False
    fill: float = 0.0
    is_constant: bool = False

    def scale(self, raw: FloatArray) -> FloatArray:
        """Raw units to scaled; NaN stays NaN."""
        return ((signed_log(raw) if self.is_log else raw) - self.mean) / self.std

    def inverse(self, scaled: npt.NDArray[np.floating]) -> FloatArray:
        """Scaled to raw units, in float64."""
        value = scaled.astype(np.float64) * self.std + self.mean
        return np.sign(value) * np.expm1(np.abs(value)) if self.is_log else value


UNSCALED = NumericScale(mean=0.0, std=1.0)


def signed_log(raw: FloatArray) -> FloatArray:
    """sign(x)·log(1 + |x|): log1p for x ≥ 0, defined for every number, so that a later negative value is no error."""
    result: FloatArray = np.sign(raw) * np.log1p(np.abs(raw))
    return result


def fit_scale(values: FloatArray, is_log: bool | None = None) -> NumericScale:
    """The scale of some training values, at least one, all finite.

    is_log: whether the logarithm is taken; None: when no value is negative, the skewness is above SKEWED, and the logarithm at
        least halves it.
    """
    is_log = wants_log(values) if is_log is None else is_log
    mean, std = mean_and_std(signed_log(values) if is_log else values)
    is_constant = bool(values.min() == values.max())
    return NumericScale(mean=mean, std=std, is_log=is_log, fill=mean_and_std(values)[0], is_constant=is_constant)


def wants_log(values: FloatArray) -> bool:
    """Whether the rule of `fit_scale` asks for the logarithm."""
    if len(values) < FEW_VALUES or values.min() < 0:
        return False
    before = skewness(values)
    return before > SKEWED and abs(skewness(signed_log(values))) <= before / 2


def skewness(values: FloatArray) -> float:
    """The third standardised moment; 0 for a constant."""
    mean, std = mean_and_std(values)
    return float(np.mean(((values - mean) / std) ** 3))


def mean_and_std(values: FloatArray) -> tuple[float, float]:
    """Mean and standard deviation; 1 instead of a deviation of 0. Sums are float64 and cannot overflow."""
    largest = float(np.abs(values).max())
    if largest == 0 or values.min() == values.max():
        return float(values[0]), 1.0
    relative = values / largest
    std = float(relative.std()) * largest
    return float(relative.mean()) * largest, std if std > 0 else 1.0
