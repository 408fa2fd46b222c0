"""WHAT the network says of each value: a single number, quantiles, or a distribution; one file each, one list."""

from collections.abc import Callable, Sequence

from gatework.errors import ConfigError, nearest
from gatework.tasks.outputs.gaussian import Gaussian
from gatework.tasks.outputs.negative_binomial import NegativeBinomial
from gatework.tasks.outputs.output import Distribution, Output
from gatework.tasks.outputs.point import Point, PointLoss
from gatework.tasks.outputs.quantiles import Quantiles
from gatework.tasks.outputs.student_t import StudentT
from gatework.tasks.outputs.zero_inflated import ZeroInflated

INNER_LEVELS = (0.25, 0.5, 0.75)
"""Quantiles that are trained beside those asked for, so that the middle of the distribution has a shape."""

OUTPUTS: dict[str, Callable[[Sequence[float]], Output]] = {
    "point": lambda levels: Point(),
    "quantiles": lambda levels: Quantiles(sorted({*levels, *INNER_LEVELS})),
    "gaussian": lambda levels: Gaussian(),
    "student-t": lambda levels: StudentT(),
    "negative-binomial": lambda levels: NegativeBinomial(),
    "zero-inflated": lambda levels: ZeroInflated(),
}
"""From the quantile levels that will be asked for to the output."""

__all__ = [
    "OUTPUTS",
    "Distribution",
    "Gaussian",
    "NegativeBinomial",
    "Output",
    "Point",
    "PointLoss",
    "Quantiles",
    "StudentT",
    "ZeroInflated",
    "make_output",
]


def make_output(name: str, levels: Sequence[float]) -> Output:
    """The output of that name. levels: the quantiles that will be asked for. Raises ConfigError for an unknown name."""
    if name not in OUTPUTS:
        raise ConfigError(
            f"The output is '{name}'; expected one of {', '.join(OUTPUTS)}. {nearest(name, OUTPUTS)} Give another --output."
        )
    return OUTPUTS[name](levels)
