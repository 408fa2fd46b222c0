"""How classes and numbers are judged: errors and figures; and the baselines and predictions of whole sequences.

Those of steps are in `judge_steps`.
"""

from dataclasses import replace

import numpy as np
import polars as pl

from gatework.data.prepared import Prepared
from gatework.data.samples import SequenceSamples
from gatework.data.step_samples import StepSamples
from gatework.runs import Figure, MatrixFigure, ScatterFigure
from gatework.runs.decision import DecisionPlan
from gatework.tasks.baselines import logistic_on_summary, majority_class, mean_target, ridge_on_summary, summary_features
from gatework.tasks.decide import Rule, fit_rule
from gatework.tasks.metrics import (
    ClassScoring,
    Measured,
    confusion_counts,
    measure_classes,
    measure_regression,
    reliability,
)
from gatework.tasks.metrics.scores import Array
from gatework.tasks.task import Answer, Case

MAX_POINTS = 400


def samples_of(case: Case) -> tuple[SequenceSamples, SequenceSamples]:
    """The training and the judged sequences of a case."""
    assert isinstance(case.train, SequenceSamples)
    assert isinstance(case.judged, SequenceSamples)
    return case.train, case.judged


def places_of(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The rows of `targets` that answer the training samples and the judged ones, sequences or steps."""
    assert isinstance(case.train, SequenceSamples | StepSamples)
    assert isinstance(case.judged, SequenceSamples | StepSamples)
    return case.train.place, case.judged.place


def true_numbers(case: Case) -> Array:
    """(n, num_targets) of the judged sequences or steps in the units of the data, NaN where unknown."""
    truth: Array = case.judged.prepared.raw_targets[places_of(case)[1]]
    return truth


def noun_of(case: Case) -> str:
    """What is judged, in the plural."""
    return "steps" if isinstance(case.judged, StepSamples) else "sequences"


def summaries(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The summary features of the training and of the judged sequences, static attributes beside them."""
    train, judged = samples_of(case)
    return summary_of(train.prepared)[train.sequence], summary_of(judged.prepared)[judged.sequence]


def summary_of(prepared: Prepared) -> Array:
    """(num_sequences, features) of every sequence."""
    features = summary_features(prepared.inputs.astype(np.float64), prepared.offsets)
    return np.concatenate([features, prepared.static], axis=1)


def class_baselines(case: Case, wishes: DecisionPlan | None = None) -> list[Answer]:
    """The most frequent class, and a linear model on summary features.

    wishes: how decisions are to be made; the rule of each baseline is fitted on the training part.
    """
    train, judged = samples_of(case)
    classes = train.prepared.targets[train.sequence].astype(np.int64)
    names = train.prepared.classes

    def answer(name: str, words: str, seen_values: Array, values: Array) -> Answer:
        return decided_as_wished(Answer(name, words, values), wishes, names, classes, seen_values)

    frequencies = majority_class(classes, 1, len(names))
    words = "The class frequencies of the training part."
    found = [
        answer("majority class", words, frequencies.repeat(len(train), axis=0), frequencies.repeat(len(judged), axis=0)),
    ]
    seen, asked = summaries(case)
    linear = logistic_on_summary(seen, classes, len(names))
    if linear:
        found.append(answer("linear on summaries", linear.description, linear.predict(seen), linear.predict(asked)))
    return found


def decided_as_wished(
    answer: Answer, wishes: DecisionPlan | None, names: list[str], classes: np.ndarray, seen_values: Array
) -> Answer:
    """A baseline with decisions by a rule of its own, fitted on what it says of the training part.

    classes: (num_training,) class index. seen_values: (num_training, num_classes).
    """
    if wishes is None:
        return answer
    rule, _ = fit_rule(wishes, names, classes, seen_values)
    return replace(answer, decided=rule.decide(answer.values))


def class_counts(case: Case) -> list[int]:
    """How many training samples each class has."""
    prepared = case.train.prepared
    known = prepared.targets[places_of(case)[0]].astype(np.int64)
    return [int(count) for count in np.bincount(known[known >= 0], minlength=len(prepared.classes))]


def class_errors(
    case: Case, answers: list[Answer], scoring: ClassScoring | None = None, rule: Rule | None = None
) -> list[Measured]:
    """The errors of each answer's probabilities, and of its decisions; rule: the model's, None for the most probable class."""
    truth = true_classes(case)
    return [measure_classes(truth, answer.values, scoring, decided_of(answer, rule)) for answer in answers]


def decided_of(answer: Answer, rule: Rule | None) -> np.ndarray:
    """(n,) the class that an answer decides for: its own decisions, or else those of the rule."""
    return (rule or Rule()).decide(answer.values) if answer.decided is None else answer.decided


def true_classes(case: Case) -> np.ndarray:
    """(n,) class index of what is judged, −1 unknown."""
    truth: np.ndarray = case.judged.prepared.targets[places_of(case)[1]].astype(np.int64)
    return truth


def class_figures(case: Case, answers: list[Answer], rule: Rule | None = None) -> tuple[Figure, ...]:
    """The confusion matrix and the calibration of the model."""
    truth, model = true_classes(case), answers[0]
    counts = confusion_counts(truth, model.values, decided_of(model, rule))
    confidence, right, number = reliability(truth, model.values)
    names = tuple(case.judged.prepared.classes)
    return (
        MatrixFigure(
            name="confusion",
            title="Which class is taken for which",
            caption=f"Rows: the true class; columns: the decision; counts of {noun_of(case)}.",
            row_labels=names,
            column_labels=names,
            values=tuple(tuple(float(cell) for cell in row) for row in counts),
        ),
        ScatterFigure(
            name="calibration",
            title="Is the model as sure as it is right?",
            caption=f"Each point holds the {noun_of(case)} of one range of confidence, its area is their number; below the "
            f"diagonal: too sure.",
            x_label="confidence (probability of the predicted class)",
            y_label="share that is right",
            x=tuple(float(value) for value in confidence),
            y=tuple(float(value) for value in right),
            sizes=tuple(float(value) for value in number),
        ),
    )


def class_predictions(prepared: Prepared, samples: SequenceSamples, values: np.ndarray, rule: Rule | None = None) -> pl.DataFrame:
    """One row per sequence: series, truth (null when unknown), prediction, confidence, and the probability of every class.

    With a rule also its decision, which the most probable class need not be.
    """
    ids = pl.Series("series", prepared.ids, dtype=pl.String).gather(samples.sequence)
    return pl.DataFrame([ids, *class_columns(prepared, samples.place, values, rule)])


def class_columns(prepared: Prepared, place: np.ndarray, values: np.ndarray, rule: Rule | None) -> list[pl.Series]:
    """truth (null when unknown), prediction, confidence, with a rule its decision, and the probability of every class.

    place: (n,) rows of `targets`.
    """
    classes = pl.Series(prepared.classes, dtype=pl.String)
    truth = pl.Series(prepared.targets[place].astype(np.int64))
    known = truth.set(truth < 0, None)
    return [
        classes.gather(known).alias("truth"),
        classes.gather(values.argmax(axis=1)).alias("prediction"),
        pl.Series("confidence", values.max(axis=1)),
        *([] if rule is None else [classes.gather(rule.decide(values)).alias("decision")]),
        *(pl.Series(f"probability {name}", values[:, number]) for number, name in enumerate(prepared.classes)),
    ]


def number_baselines(case: Case) -> list[Answer]:
    """The training mean, and a linear model on summary features."""
    train, judged = samples_of(case)
    raw = train.prepared.raw_targets
    is_train = np.zeros(len(raw), dtype=bool)
    is_train[train.sequence] = True
    answers = [Answer("training mean", "The mean of the training part.", mean_target(raw, is_train, len(judged)))]
    seen, asked = summaries(case)
    linear = ridge_on_summary(seen, raw[train.sequence])
    return [*answers, Answer("linear on summaries", linear.description, linear.predict(asked))] if linear else answers


def number_errors(case: Case, answers: list[Answer]) -> list[Measured]:
    """The errors of each answer's numbers."""
    learned, asked = places_of(case)
    scales = np.nanstd(case.train.prepared.raw_targets[learned], axis=0)
    scales = np.where(scales > 0, scales, 1.0)
    truth, names = case.judged.prepared.raw_targets[asked], case.judged.prepared.target_names
    return [
        measure_regression(truth, answer.values, targets=names, scales=scales, target_units=case.target_units)
        for answer in answers
    ]


def number_figures(case: Case, answers: list[Answer]) -> tuple[Figure, ...]:
    """Predictions against truth, one figure per target."""
    truth, noun = true_numbers(case), noun_of(case)
    figures = []
    for number, name in enumerate(case.judged.prepared.target_names):
        unit = case.target_units[number] if case.target_units else ""
        label = f"{name} ({unit})" if unit else name
        observed = np.flatnonzero(np.isfinite(truth[:, number]))
        chosen = observed[np.unique(np.linspace(0, len(observed) - 1, min(MAX_POINTS, len(observed))).astype(np.int64))]
        figures.append(
            ScatterFigure(
                name=f"prediction-against-truth-{number + 1}",
                title="Prediction against truth",
                caption=f"{len(chosen)} of {len(observed)} {noun[:-1] if len(observed) == 1 else noun}; on the diagonal the "
                "prediction is right.",
                x_label=f"truth, {label}",
                y_label=f"prediction, {label}",
                x=tuple(float(value) for value in truth[chosen, number]),
                y=tuple(float(value) for value in answers[0].values[chosen, number]),
            )
        )
    return tuple(figures)


def number_predictions(prepared: Prepared, samples: SequenceSamples, values: np.ndarray) -> pl.DataFrame:
    """One row per sequence and target: series, target, truth (null when unknown), prediction."""
    ids = pl.Series("series", prepared.ids, dtype=pl.String).gather(np.repeat(samples.sequence, values.shape[1]))
    return pl.DataFrame([ids, *number_columns(prepared, samples.place, values)])


def number_columns(prepared: Prepared, place: np.ndarray, values: np.ndarray) -> list[pl.Series]:
    """target, truth (null when unknown), prediction: one row for each answer and target. place: (n,) rows of `targets`."""
    return [
        pl.Series("target", list(prepared.target_names) * len(place), dtype=pl.String),
        pl.Series("truth", prepared.raw_targets[place].ravel()).fill_nan(None),
        pl.Series("prediction", values.astype(np.float64).ravel()),
    ]
