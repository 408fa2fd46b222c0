"""Metrics of decisions, from counts by class; all (resamples,), NaN where not defined."""

from dataclasses import dataclass

import numpy as np

from gatework.tasks.metrics.scores import Array, divide


@dataclass(frozen=True)
class Counts:
    """Weighted counts of each class, (num_classes, resamples) each.

    hits: decided for the class and right. decided: decided for the class. true: of the class.
    """

    hits: Array
    decided: Array
    true: Array

    @property
    def total(self) -> Array:
        """(resamples,) of everything."""
        return np.asarray(self.true.sum(0))

    def recall(self) -> Array:
        """(num_classes, resamples): the share of each class that was found."""
        return divide(self.hits, self.true)

    def precision(self) -> Array:
        """(num_classes, resamples): the share of the decisions for each class that are right."""
        return divide(self.hits, self.decided)


def macro_f1(counts: Counts) -> Array:
    """Over the classes that occur in the truth or the decisions (as scikit-learn does)."""
    return mean_of_defined(divide(2 * counts.hits, counts.decided + counts.true))


def balanced_accuracy(counts: Counts) -> Array:
    """The mean recall over the classes that occur in the truth."""
    return mean_of_defined(counts.recall())


def matthews(counts: Counts) -> Array:
    """Matthews' correlation of truth and decision; for several classes as Gorodkin (2004) has it. NaN where one never varies."""
    total = counts.total
    agree = counts.hits.sum(0) * total - (counts.true * counts.decided).sum(0)
    spread = (total**2 - (counts.true**2).sum(0)) * (total**2 - (counts.decided**2).sum(0))
    return divide(agree, np.sqrt(np.maximum(spread, 0.0)))


def mean_cost(counts: Counts, costs: tuple[float, ...]) -> Array:
    """What the wrong decisions cost per sample; costs: (num_classes,), of not deciding for a class that it was."""
    missed = counts.true - counts.hits
    return divide(np.asarray(costs) @ missed, counts.total)


def mean_of_defined(values: Array) -> Array:
    """The mean over the first axis of what is defined; NaN where nothing is."""
    defined = ~np.isnan(values)
    return divide(np.where(defined, values, 0.0).sum(0), defined.sum(0).astype(np.float64))
