"""How answers at every step are judged: baselines that look no further than the step, and predictions as a table.

Errors and figures are those of whole sequences (`judge_sequences`), counted in steps.
"""

from dataclasses import replace

import numpy as np
import polars as pl

from gatework.data.prepared import Prepared
from gatework.data.series import Rows
from gatework.data.step_samples import StepSamples
from gatework.runs.decision import DecisionPlan
from gatework.tasks.baselines import (
    STEP_WORDS,
    followed_by,
    last_known,
    logistic_on_summary,
    majority_class,
    mean_target,
    ridge_on_summary,
    running_features,
    training_mean,
)
from gatework.tasks.decide import Rule
from gatework.tasks.judge_sequences import class_columns, decided_as_wished, number_columns
from gatework.tasks.metrics.scores import Array, BoolArray, IntArray
from gatework.tasks.task import Answer, Case

RIDGE_VALUES = 20_000_000
"""Rows × features that the ridge is fitted on: 160 MB; of more steps every so many are taken."""
FEWEST_WHOLE, FEWEST_CUT = 3, 10
"""Judged series from which they are the units of the bootstrap: where whole ones are judged, and where their later steps are."""


def samples_of(case: Case) -> tuple[StepSamples, StepSamples]:
    """The training and the judged steps of a case."""
    assert isinstance(case.train, StepSamples)
    assert isinstance(case.judged, StepSamples)
    return case.train, case.judged


def features_of(samples: StepSamples) -> Array:
    """(num_answers, features) of the judged steps: `running_features` and the attributes of the series."""
    prepared = samples.prepared
    running = running_features(prepared.inputs.astype(np.float64), prepared.offsets)[samples.rows]
    return np.concatenate([running, prepared.static[samples.sequence]], axis=1)


def known_rows(case: Case) -> BoolArray | None:
    """(total_steps,) the steps of the judged data whose answers were known before the judged part; None where none were.

    They belong to the training part, or to the validation part where the test part is judged.
    """
    train, judged = samples_of(case)
    if judged.prepared is not train.prepared or judged.part == "train":
        return None
    rows = case.split.rows_of("train")
    if judged.part == "test":
        rows = rows | case.split.rows_of("validation")
    targets = judged.prepared.targets
    known: BoolArray = rows[judged.prepared.rows] & (targets >= 0 if targets.ndim == 1 else ~np.isnan(targets).any(axis=1))
    return known if (last_known(known, judged.prepared.offsets)[judged.rows] >= 0).any() else None


def class_baselines(case: Case, wishes: DecisionPlan | None = None) -> list[Answer]:
    """The most frequent class, the last known class of the series, and a linear model on running features.

    wishes: how decisions are to be made; the rule of each baseline is fitted on the training part.
    """
    train, judged = samples_of(case)
    classes, names = train.prepared.targets[train.rows].astype(np.int64), train.prepared.classes
    usual, seen_usual = (majority_class(classes, count, len(names)) for count in (judged.num_answers, train.num_answers))
    majority = Answer("majority class", "The class frequencies of the training part.", usual)
    answers = [decided_as_wished(majority, wishes, names, classes, seen_usual)]
    known = known_rows(case)
    if known is not None:
        last = last_class(case, known, usual)
        answers.append(replace(last, decided=last.values.argmax(axis=1)) if wishes else last)
    seen = features_of(train)
    linear = logistic_on_summary(seen, classes, len(names), words=STEP_WORDS)
    if linear:
        answer = Answer("linear on the step", linear.description, linear.predict(features_of(judged)))
        answers.append(decided_as_wished(answer, wishes, names, classes, linear.predict(seen)))
    return answers


def last_class(case: Case, known: BoolArray, usual: Array) -> Answer:
    """What followed the last known class of the same series."""
    train, judged = samples_of(case)
    offsets, targets = judged.prepared.offsets, judged.prepared.targets.astype(np.int64)
    in_training = case.split.rows_of("train")[train.prepared.rows] & (targets >= 0)
    shares = followed_by(targets, in_training, offsets, usual[0] if len(usual) else np.ones(len(train.prepared.classes)))
    last = last_known(known, offsets)[judged.rows]
    values = np.where((last >= 0)[:, None], shares[targets[last]], usual)
    words = "What followed, in training, the class that the series had when last known, before the judged part."
    return Answer("last known class", words, values)


def number_baselines(case: Case) -> list[Answer]:
    """The training mean, the last known value of the series, and a linear model on running features."""
    train, judged = samples_of(case)
    raw = train.prepared.raw_targets
    is_train = np.zeros(len(raw), dtype=bool)
    is_train[train.rows] = True
    answers = [Answer("training mean", "The mean of the training part.", mean_target(raw, is_train, judged.num_answers))]
    known = known_rows(case)
    if known is not None:
        last = last_known(known, judged.prepared.offsets)[judged.rows]
        values = np.where((last >= 0)[:, None], judged.prepared.raw_targets[last], training_mean(raw, is_train))
        answers.append(
            Answer("last known value", "The value that the series had when last known, before the judged part.", values)
        )
    chosen = every_so_many(train)
    linear = ridge_on_summary(features_of(train)[chosen], raw[train.rows][chosen], words=STEP_WORDS)
    return (
        [*answers, Answer("linear on the step", linear.description, linear.predict(features_of(judged)))] if linear else answers
    )


def every_so_many(samples: StepSamples) -> IntArray:
    """Evenly spaced judged steps, as many as a ridge can be fitted on."""
    width = 3 * samples.prepared.inputs.shape[1] + 1 + samples.prepared.static.shape[1]
    most = max(1000, RIDGE_VALUES // width)
    return np.unique(np.linspace(0, samples.num_answers - 1, min(most, samples.num_answers)).round().astype(np.int64))


def step_clock(case: Case) -> IntArray | None:
    """(num_answers,) the place of each judged step in its series, for blocks of time; None: whole series are drawn.

    Blocks are drawn where the judged series are too few to be drawn themselves: series cut by time, or one or two new ones.
    """
    train, judged = samples_of(case)
    is_new = judged.prepared is not train.prepared
    is_whole = is_new or bool(case.split.record.sequences)
    if len(np.unique(judged.sequence)) >= (FEWEST_WHOLE if is_whole else FEWEST_CUT):
        return None
    place: IntArray = judged.rows - Rows(judged.prepared.offsets).start[judged.rows]
    return place


def class_predictions(prepared: Prepared, samples: StepSamples, values: np.ndarray, rule: Rule | None = None) -> pl.DataFrame:
    """One row per judged step: series, time, truth (null when unknown), prediction, confidence, probability of every class.

    With a rule also its decision.
    """
    return pl.DataFrame([*place_columns(prepared, samples, 1), *class_columns(prepared, samples.rows, values, rule)])


def number_predictions(prepared: Prepared, samples: StepSamples, values: np.ndarray) -> pl.DataFrame:
    """One row per judged step and target: series, time, target, truth (null when unknown), prediction."""
    columns = number_columns(prepared, samples.rows, values)
    return pl.DataFrame([*place_columns(prepared, samples, values.shape[1]), *columns])


def place_columns(prepared: Prepared, samples: StepSamples, times_each: int) -> list[pl.Series]:
    """The series and the time of each judged step, each so many times."""
    rows, sequence = np.repeat(samples.rows, times_each), np.repeat(samples.sequence, times_each)
    ids = pl.Series("series", prepared.ids, dtype=pl.String)
    return [ids.gather(sequence), prepared.times.gather(rows).alias("time")]
