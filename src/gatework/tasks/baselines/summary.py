"""Baselines for whole sequences: guessing from the training targets, and linear models on a few numbers per sequence."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gatework.tasks.baselines.naive import training_mean
from gatework.tasks.metrics.scores import Array, BoolArray, IntArray

SUMMARIES = ("mean", "standard deviation", "least", "greatest", "first", "last")
FEATURE_WORDS = f"{', '.join(SUMMARIES[:-1])} and {SUMMARIES[-1]} of each input, and the length"
ALPHAS = tuple(float(10**power) for power in range(-3, 6))
# samples × features × classes of the logistic fit; beyond it an evenly spaced share of the sequences is used, about 10 s
LOGISTIC_WORK = 200_000_000


class SummaryModel(Protocol):
    """A fitted scikit-learn model."""

    def predict(self, x: Array, /) -> Array:
        """(n, features) → predictions."""


@dataclass(frozen=True)
class RegressionBaseline:
    """A fitted ridge on summary features; predict: (n, features) → (n, num_targets)."""

    models: tuple[SummaryModel, ...]
    description: str

    def predict(self, features: Array) -> Array:
        """Predictions in the unit of the targets it was fitted on."""
        return np.stack([np.asarray(model.predict(features)).ravel() for model in self.models], axis=1)


@dataclass(frozen=True)
class ClassBaseline:
    """A fitted logistic regression on summary features; probabilities over all classes of the model."""

    model: object
    description: str
    num_classes: int

    def predict(self, features: Array) -> Array:
        """Probabilities (n, num_classes); 0 for a class that training never showed."""
        probabilities = np.zeros((len(features), self.num_classes))
        if len(features):
            probabilities[:, self.model.classes_] = self.model.predict_proba(features)  # type: ignore[attr-defined]
        return probabilities


def summary_features(values: Array, offsets: IntArray) -> Array:
    """A few numbers per sequence: for each channel its SUMMARIES, then the length; (num_sequences, 6·channels + 1), float64.

    values: (total_steps, channels), any float, finite. offsets: (num_sequences + 1,). An empty sequence has zeros and length 0.
    """
    lengths = np.diff(offsets)
    filled = np.flatnonzero(lengths)
    starts, count = offsets[filled], lengths[filled, None]
    channels = values.shape[1]
    features = np.zeros((len(lengths), 6 * channels + 1))
    features[:, -1] = lengths
    if len(filled) == 0:
        return features
    # reduceat over the starts of non-empty sequences only: it has no notion of an empty segment
    rows = values[: offsets[-1]].astype(np.float64)
    mean = np.add.reduceat(rows, starts) / count
    # deviations from the mean, not squares minus squared mean: no cancellation
    deviation = rows - np.repeat(mean, lengths[filled], axis=0)
    spread = np.sqrt(np.add.reduceat(deviation**2, starts) / count)
    least, greatest = np.minimum.reduceat(rows, starts), np.maximum.reduceat(rows, starts)
    last = rows[starts + lengths[filled] - 1]
    features[filled, :-1] = np.concatenate([mean, spread, least, greatest, rows[starts], last], axis=1)
    return features


def mean_target(targets: Array, is_train: BoolArray, num_samples: int) -> Array:
    """The training mean of every target, for every sample: (num_samples, num_targets). targets: (num_sequences, num_targets)."""
    return np.tile(training_mean(targets, is_train), (num_samples, 1))


def majority_class(train_classes: IntArray, num_samples: int, num_classes: int) -> Array:
    """The training frequencies as probabilities, for every sample: (num_samples, num_classes); the most frequent class wins.

    train_classes: (n,) class index, −1 unknown.
    """
    counts = np.bincount(train_classes[train_classes >= 0], minlength=num_classes).astype(np.float64)
    return np.tile(counts / max(counts.sum(), 1.0), (num_samples, 1))


def ridge_on_summary(features: Array, targets: Array, words: str = FEATURE_WORDS) -> RegressionBaseline | None:
    """Ridge on the summary features of the training sequences, one model a target; None when one has under 3 observed values.

    features: (n, features), described by `words`; targets: (n, num_targets), NaN unobserved. The penalty is chosen from ALPHAS by
    leave-one-out.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    models: list[SummaryModel] = []
    for target in targets.T:
        observed = ~np.isnan(target)
        if observed.sum() < 3:
            return None
        model = make_pipeline(StandardScaler(), RidgeCV(alphas=ALPHAS))
        models.append(model.fit(features[observed], target[observed]))
    return RegressionBaseline(tuple(models), f"Linear model (ridge) on {words}")


def logistic_on_summary(features: Array, classes: IntArray, num_classes: int, words: str = FEATURE_WORDS) -> ClassBaseline | None:
    """Logistic regression (C = 1, standardised) on the summary features of training sequences; None with fewer than two classes.

    features: (n, features), described by `words`; classes: (n,) class index, −1 unknown. At most LOGISTIC_WORK of work: beyond it
    every so many samples.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known = np.flatnonzero(classes >= 0)
    if len(np.unique(classes[known])) < 2:
        return None
    affordable = max(1_000, LOGISTIC_WORK // (features.shape[1] * num_classes))
    used = known[np.unique(np.linspace(0, len(known) - 1, min(len(known), affordable)).round().astype(np.int64))]
    if len(np.unique(classes[used])) < 2:
        used = known
    # 300 iterations of L-BFGS on standardised features; where it has not settled, it is close
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=300))
    model.fit(features[used], classes[used])
    description = f"Linear model (logistic regression) on {words}"
    if len(used) < len(known):
        description += f"; fitted on {len(used):,} of {len(known):,} training samples"
    return ClassBaseline(model, description, num_classes)
