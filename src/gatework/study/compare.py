"""Two configurations on the same folds: their difference in pairs, how sure it is, and who wins in a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatework.evaluate.bootstrap import Resampled, gain
from gatework.runs import MetricInfo, Score
from gatework.study.job import Fold

LEVEL = 0.95


@dataclass(frozen=True)
class PairedTest:
    """The mean difference over folds, with the interval and the two-sided p-value of the corrected resampled t-test."""

    difference: float
    low: float
    high: float
    p_value: float


def corrected_t_test(differences: Sequence[float], test_to_train: float) -> PairedTest:
    """Nadeau and Bengio, "Inference for the generalization error", 2003, section 3: the corrected resampled t-test.

    differences: of k folds, in pairs; at least 2. test_to_train: how many are tested for each one that is trained on.
    The training parts of folds overlap, so the plain variance of the mean, s²/k, is too small; (1/k + test_to_train) s² is taken.
    """
    from scipy import stats

    values = np.asarray(differences, dtype=np.float64)
    k = len(values)
    mean, variance = float(values.mean()), float(values.var(ddof=1))
    error = float(np.sqrt((1.0 / k + test_to_train) * variance))
    reach = float(stats.t.ppf(0.5 + LEVEL / 2, k - 1)) * error
    if error == 0.0:
        return PairedTest(mean, mean, mean, 1.0 if mean == 0.0 else 0.0)
    return PairedTest(mean, mean - reach, mean + reach, float(2 * stats.t.sf(abs(mean) / error, k - 1)))


@dataclass(frozen=True)
class Duel:
    """One configuration against another; positive gains: the first is better.

    by_fold, over_all: `bootstrap.gain` on the leading metric, of each fold and of the means. test: None for backtests, whose
    training parts grow.
    """

    first: str
    second: str
    metric: MetricInfo
    by_fold: tuple[Score, ...]
    over_all: Score
    test: PairedTest | None

    @property
    def is_sure(self) -> bool:
        """Whether both the bootstrap and the t-test say that it is no accident."""
        low, high = self.over_all.low, self.over_all.high
        is_apart = low is not None and high is not None and (low > 0 or high < 0)
        return is_apart and (self.test is None or self.test.p_value < 1 - LEVEL)


def duel(
    names: tuple[str, str],
    pairs: Sequence[tuple[Fold, Fold]],
    means: tuple[Resampled, Resampled],
    test_to_train: float | None,
) -> Duel:
    """The comparison of two configurations on the leading metric; test_to_train None: no t-test."""
    metric = pairs[0][0].evaluation.metrics[0]
    by_fold = tuple(gain(one.resampled[0], other.resampled[0], metric.name) for one, other in pairs)
    sign = 1.0 if metric.better == "higher" else -1.0
    differences = [sign * float(one.resampled[0].point[0] - other.resampled[0].point[0]) for one, other in pairs]
    known = [value for value in differences if np.isfinite(value)]
    test = corrected_t_test(known, test_to_train) if test_to_train is not None and len(known) > 1 else None
    return Duel(*names, metric, by_fold, gain(means[0], means[1], metric.name), test)


def duel_in_words(duel: Duel) -> str:
    """Who wins, by how much, how sure that is."""
    score, metric = duel.over_all, duel.metric.name
    if score.value is None:
        return f"{duel.first} and {duel.second} cannot be compared: {metric} is not defined."
    is_first = score.value > 0
    winner, loser = (duel.first, duel.second) if is_first else (duel.second, duel.first)
    size = amount(score.value, duel.metric, is_first)
    known = [end for end in ((score.low, score.high) if is_first else (score.high, score.low)) if end is not None]
    ends = [amount(end, duel.metric, is_first) for end in known]
    interval = f"95 % interval {ends[0]} to {ends[1]}" if len(ends) == 2 else "no interval"
    wins = sum(fold.value is not None and (fold.value > 0) == is_first for fold in duel.by_fold)
    tested = f"; corrected resampled t-test: p = {duel.test.p_value:.2g}" if duel.test else ""
    how = f"{interval}; better in {wins} of {len(duel.by_fold)} test parts{tested}"
    if duel.is_sure:
        return f"{winner} beats {loser} by {size} in {metric} ({how})."
    return f"{winner} and {loser} cannot be told apart: the difference of {size} in {metric} may be chance ({how})."


def amount(gain: float, metric: MetricInfo, is_first: bool) -> str:
    """A gain from the winner's side: as a share of the loser's error in per cent, or as a difference of scores."""
    if metric.better == "higher":
        return f"{gain if is_first else -gain:.3f}".replace("-", "−")
    share = gain if is_first else 1.0 - 1.0 / (1.0 - gain)
    return f"{100 * share:.1f} %".replace("-", "−")
