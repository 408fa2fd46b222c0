"""From probabilities to decisions: by the least cost, or by a threshold that reaches a wanted sensitivity or precision."""

from dataclasses import dataclass

import numpy as np

from gatework.runs.decision import DecisionPlan
from gatework.tasks.metrics.ranking import let_in
from gatework.tasks.metrics.scores import Array, IntArray, divide


@dataclass(frozen=True)
class Rule:
    """How a class is decided for.

    positive, threshold: of two classes, decide for `positive` from that probability on. Else costs: (num_classes,) weigh the
    probabilities, and the largest product wins: the least expected cost. Neither: the most probable class.
    """

    positive: int | None = None
    threshold: float | None = None
    costs: tuple[float, ...] = ()

    def decide(self, probabilities: Array) -> IntArray:
        """(n, num_classes) probabilities → (n,) class index."""
        if self.positive is not None and self.threshold is not None:
            return np.where(probabilities[:, self.positive] >= self.threshold, self.positive, 1 - self.positive).astype(np.int64)
        weighed = probabilities * np.asarray(self.costs) if self.costs else probabilities
        return np.asarray(weighed.argmax(1), dtype=np.int64)


@dataclass(frozen=True)
class Wish:
    """What a threshold has to reach.

    costs: (miss, false alarm). sensitivity, precision: at least so much. None: not asked for.
    """

    costs: tuple[float, float] | None = None
    sensitivity: float | None = None
    precision: float | None = None

    def threshold(self, score: Array, is_positive: np.ndarray) -> tuple[float, bool]:
        """The threshold that reaches the wish on these samples, and whether it does.

        score: (n,) probability of the positive class. is_positive: (n,).
        Cost: the threshold of least cost; of several, the one nearest to false alarm / (miss + false alarm), which is the best
        for probabilities that can be taken at their word. Sensitivity: the highest threshold that reaches it. Precision: the
        lowest that reaches it, and all above which less is found.
        A threshold lies midway between two probabilities, so that rounding decides nothing.
        """
        found = let_in(score, is_positive, np.ones((len(score), 1), dtype=np.float32))
        hits, every = found.inside[:, 0], found.every[:, 0]
        total = hits[-1]
        below = np.append(found.thresholds[1:], 0.0)
        middles = np.concatenate([[(1.0 + found.thresholds[0]) / 2], (found.thresholds + below) / 2])
        hits, every = np.append(0.0, hits), np.append(0.0, every)
        if self.costs is not None:
            miss, alarm = self.costs
            cost = miss * (total - hits) + alarm * (every - hits)
            cheapest = np.flatnonzero(cost <= cost.min() * (1 + 1e-12))
            ideal = alarm / (miss + alarm)
            low, high = np.append(found.thresholds, 0.0)[cheapest], np.append(1.0, found.thresholds)[cheapest]
            holds_ideal = np.flatnonzero((low <= ideal) & (ideal <= high))
            if len(holds_ideal):
                return float(ideal), True
            return float(middles[cheapest[np.abs(middles[cheapest] - ideal).argmin()]]), True
        if self.sensitivity is not None:
            reached = np.flatnonzero(hits >= self.sensitivity * total - 1e-9)
            return float(middles[reached[0]]), bool(total > 0)
        precision = np.nan_to_num(divide(hits, every), nan=-1.0)
        reached = np.flatnonzero(precision >= float(self.precision or 0.0) - 1e-9)
        best = reached[-1] if len(reached) else int(precision.argmax())
        return float(middles[best]), bool(len(reached))


def fit_rule(plan: DecisionPlan, classes: list[str], truth: IntArray, probabilities: Array) -> tuple[Rule, bool]:
    """The rule that a plan asks for, fitted on these samples, and whether it reaches there what was wanted.

    truth: (n,) class index, −1 unknown. probabilities: (n, num_classes).
    """
    costs = tuple(plan.costs.get(name, 1.0) for name in classes) if plan.costs else ()
    if len(classes) != 2 or plan.positive not in classes:
        return Rule(costs=costs), True
    if not (costs or plan.sensitivity or plan.precision):
        return Rule(), True
    positive = classes.index(plan.positive)
    wish = Wish((costs[positive], costs[1 - positive]) if costs else None, plan.sensitivity, plan.precision)
    known = truth >= 0
    if not known.any():
        return Rule(), False
    threshold, is_reached = wish.threshold(probabilities[known, positive], truth[known] == positive)
    return Rule(positive, threshold), is_reached
