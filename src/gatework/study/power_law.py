"""How an error falls with the size of the training data: a power law, and how far it may be trusted.

Error against size follows a + b n^(−c) over a wide range (Hestness and others, "Deep learning scaling is predictable,
empirically", 2017); a is what no amount of data removes.
"""

from dataclasses import dataclass

import numpy as np

from gatework.tasks.metrics.scores import Array

EXPONENTS = np.linspace(0.05, 2.0, 40)
FARTHEST = 4.0
"""How many times the largest size the law is followed; beyond it other laws fit the same points as well."""


@dataclass(frozen=True)
class PowerLaw:
    """error(n) = floor + scale · n^(−exponent); floor and scale at least 0."""

    floor: float
    scale: float
    exponent: float

    def at(self, sizes: Array | float) -> Array:
        """The error at these sizes."""
        value: Array = self.floor + self.scale * np.asarray(sizes, dtype=np.float64) ** -self.exponent
        return value


def fit_power_law(sizes: Array, errors: Array) -> PowerLaw:
    """The law with the least squared relative deviation from the points.

    sizes, errors: (k,), k at least 3, errors above 0. For each exponent of a grid from 0.05 to 2 the floor and the scale follow
    from non-negative least squares.
    """
    from scipy.optimize import nnls

    weights = 1.0 / errors
    best, best_loss = PowerLaw(float(errors.min()), 0.0, 1.0), np.inf
    for exponent in EXPONENTS:
        falling = (sizes / sizes.max()) ** -exponent
        design = np.stack([np.ones_like(falling), falling], axis=1) * weights[:, None]
        (floor, scale), loss = nnls(design, np.ones_like(errors))
        if loss < best_loss - 1e-12:
            best, best_loss = PowerLaw(float(floor), float(scale * sizes.max() ** exponent), float(exponent)), float(loss)
    return best


def extrapolate(sizes: Array, draws: Array, at: Array) -> Array:
    """(num_draws, len(at)): the law fitted to each draw of the errors, followed to further sizes.

    draws: (num_draws, k) errors at `sizes`, all above 0.
    """
    return np.stack([fit_power_law(sizes, row).at(at) for row in draws])
