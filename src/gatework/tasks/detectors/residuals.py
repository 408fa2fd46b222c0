"""From residuals to scores: how unusual what was seen is, given what was expected, and which channels make it so.

A residual is standardised by the covariance of normal residuals (Mahalanobis), as in Malhotra, Vig, Shroff and Agarwal, "Long
short term memory networks for anomaly detection in time series", 2015, section 2.2. The covariance is estimated so that a few
percent of anomalies among the normal steps change it little: concentration on the least unusual rows (Rousseeuw and Van
Driessen 1999) from a start by medians, one reweighting, and shrinkage (Ledoit and Wolf 2004).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import special

from gatework.errors import DataError

Array = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

KEPT = 0.9
"""The share of rows that the covariance is concentrated on; up to a tenth may be anomalies."""
REWEIGHTED = 0.975
"""Rows farther out than this quantile of a normal distribution's do not count in the final estimate."""
MAD_OF_NORMAL = 1.4826
CONCENTRATIONS = 20
FEWEST_ROWS = 20
SCALE_FLOOR = 1e-4
"""The least deviation of a residual, in training standard deviations: a channel that is forecast without any error in validation
would otherwise make an alarm of the last bit of a float32."""


@dataclass(frozen=True)
class NormalResiduals:
    """What residuals of normal steps look like.

    centre: (num_errors,). covariance: (num_errors, num_errors), positive definite. num_targets: num_errors is a multiple of it;
    the targets vary fastest. notes: how it was estimated where that is not as usual.
    """

    centre: Array
    covariance: Array
    num_targets: int
    notes: tuple[str, ...] = ()
    _whitening: dict[bytes, Array] = field(default_factory=dict, repr=False, compare=False)

    def score(self, errors: Array) -> tuple[Array, Array]:
        """How unusual each row is, and by which targets.

        errors: (n, num_errors), NaN where unobserved: such a row is judged by what it has.
        Returns scores (n,), the root of the mean squared standardised residual, about 1 for a normal step, NaN where nothing was
        observed; and shares (n, num_targets), which sum to 1 over the targets (0 where there is no score). The share is that
        of the squared score which the target keeps when the residuals are made uncorrelated and each stays as near to itself
        as possible (Garthwaite and Koch, "Evaluating the contributions of individual variables to a quadratic form", 2016).
        """
        scores = np.full(len(errors), np.nan)
        shares = np.zeros((len(errors), self.num_targets))
        observed = np.isfinite(errors)
        for rows, pattern in _patterns(observed):
            if not pattern.any():
                continue
            squares = ((errors[rows][:, pattern] - self.centre[pattern]) @ self.whitening(pattern).T) ** 2
            total = squares.sum(axis=1)
            scores[rows] = np.sqrt(total / pattern.sum())
            target = np.flatnonzero(pattern) % self.num_targets
            by_target = np.stack([squares[:, target == number].sum(axis=1) for number in range(self.num_targets)], axis=1)
            shares[rows] = by_target / np.where(total > 0, total, 1.0)[:, None]
        return scores, shares

    def whitening(self, pattern: BoolArray) -> Array:
        """The symmetric matrix that makes the observed residuals uncorrelated, of variance 1; kept for the next call."""
        key = pattern.tobytes()
        if key not in self._whitening:
            covariance = self.covariance[np.ix_(pattern, pattern)]
            deviation = np.sqrt(np.diagonal(covariance))
            values, vectors = np.linalg.eigh(covariance / np.outer(deviation, deviation))
            root = vectors @ np.diag(1.0 / np.sqrt(np.maximum(values, 1e-10))) @ vectors.T
            self._whitening[key] = root / deviation
        return self._whitening[key]


def _patterns(observed: BoolArray) -> list[tuple[NDArray[np.int64], BoolArray]]:
    """The rows of each pattern of observed errors."""
    if not len(observed):
        return []
    is_whole = observed.all(axis=1)
    found = [(np.flatnonzero(is_whole), np.ones(observed.shape[1], dtype=bool))] if is_whole.any() else []
    rest = np.flatnonzero(~is_whole)
    if len(rest):
        patterns, which = np.unique(observed[rest], axis=0, return_inverse=True)
        found += [(rest[which.ravel() == number], pattern) for number, pattern in enumerate(patterns)]
    return found


def fit_residuals(errors: Array, num_targets: int) -> NormalResiduals:
    """Centre and covariance of normal residuals, from rows of which up to a tenth may be anomalies.

    errors: (n, num_errors), NaN where unobserved. Raises DataError when a column has fewer than FEWEST_ROWS values.
    """
    observed = np.isfinite(errors)
    fewest = int(observed.sum(axis=0).min()) if errors.size else 0
    if fewest < FEWEST_ROWS:
        raise DataError(
            f"The validation part gives {fewest} residuals to learn from what is normal. Expected at least {FEWEST_ROWS}. "
            f"Give more data, a larger --validation-share, or a smaller --window."
        )
    centre = np.nanmedian(errors, axis=0)
    scale = np.array([_spread(column[np.isfinite(column)]) for column in errors.T])
    standardised = ((errors - centre) / scale)[observed.all(axis=1)]
    if len(standardised) < max(FEWEST_ROWS, 2 * errors.shape[1]):
        note = f"Only {len(standardised)} steps have all {errors.shape[1]} residuals: these are taken as uncorrelated."
        return NormalResiduals(centre, np.diag(scale**2), num_targets, (note,))
    middle, covariance = _concentrated(standardised)
    return NormalResiduals(centre + middle * scale, covariance * np.outer(scale, scale), num_targets)


def _spread(values: Array) -> float:
    """The standard deviation of the bulk: by the median of absolute deviations, or where half of them are 0 by all."""
    spread = MAD_OF_NORMAL * float(np.median(np.abs(values - np.median(values))))
    return max(spread if spread > 0 else float(values.std()), SCALE_FLOOR)


def _concentrated(rows: Array) -> tuple[Array, Array]:
    """Mean and covariance of the least unusual rows, corrected for the choice, then of all that are not far out."""
    from sklearn.covariance import ledoit_wolf

    count, size = rows.shape
    kept = max(int(KEPT * count), min(count, 2 * size))
    distance = (rows**2).sum(axis=1)
    chosen = np.sort(np.argsort(distance, kind="stable")[:kept])
    for _ in range(CONCENTRATIONS):
        middle, covariance = rows[chosen].mean(axis=0), ledoit_wolf(rows[chosen])[0]
        distance = _squared_distance(rows, middle, covariance)
        again = np.sort(np.argsort(distance, kind="stable")[:kept])
        if np.array_equal(again, chosen):
            break
        chosen = again
    # residuals are rarely normal: the median distance, not that of a normal distribution, says what is usual
    distance *= special.chdtri(size, 0.5) / np.median(distance)
    cut = special.chdtri(size, 1 - REWEIGHTED)  # of a chi-squared distribution
    near = rows[distance <= cut]
    middle, covariance = near.mean(axis=0), ledoit_wolf(near)[0]
    return middle, covariance * REWEIGHTED / special.chdtr(size + 2, cut)


def _squared_distance(rows: Array, middle: Array, covariance: Array) -> Array:
    around = rows - middle
    distance: Array = np.einsum("ij,ij->i", around, np.linalg.solve(covariance, around.T).T)
    return distance
