"""One trained model on one part of the data: predictions, metrics with intervals beside the baselines, a verdict in words."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from gatework.data.bundled import unit_of
from gatework.data.dataset import Dataset, Source, open_dataset, open_other, own_data, rows_in_common
from gatework.data.groups import groups_of
from gatework.data.series import listed
from gatework.data.step_samples import StepSamples
from gatework.errors import ConfigError, RunError
from gatework.evaluate.anomalies import figures_of, judge_steps, threshold_notes, without_labels
from gatework.evaluate.bootstrap import Resampled, Units, bootstrap, forecast_units, sequence_units, step_units
from gatework.evaluate.differences import attributes_of, differences, sample_values
from gatework.evaluate.elsewhere import beside_test, suffix_of
from gatework.evaluate.partial import gains_over_baselines, partial_notes
from gatework.evaluate.verdict import verdict
from gatework.model import TrainedModel, load_trained, network_outputs
from gatework.runs import Evaluation, Manifest, Part, Plan, RunFolder, ScoreRow, atomic_write, file_sha256
from gatework.tasks.detectors.explain import range_rows, step_rows
from gatework.tasks.detectors.windows import JudgedSteps
from gatework.tasks.ranges import with_ranges
from gatework.tasks.task import Answer, Case, Samples, Task

SEED = 0
"""Of the bootstrap: fixed, so that an evaluation says the same twice."""


def evaluate_run(
    run: RunFolder | Path | str,
    data: Source | None = None,
    part: Part = "test",
    labels: Source | None = None,
    *,
    classical: bool = False,
    by: Sequence[str] = (),
) -> Evaluation:
    """Judge a trained run on its test part and write evaluation.json and predictions.parquet; or on something else.

    The scores of another part or of other data stand beside those of the test part, in evaluation-NAME.json and
    predictions-NAME.parquet.
    Calibration and threshold of the run are applied as they are.

    data: the run's own data, when it was a frame in memory or has moved; or other data of the same form: then all of it is judged
        (part "new"), and the baselines still learn from the run's own training part.
    labels: the labels table of the other data, when the run was trained with one.
    classical: ETS, Theta and ARIMA too, beside a forecast: a minute or more. Raises MissingExtra without statsforecast.
    by: columns with one value for each series, such as sex or site, whether or not they are inputs: the model's scores are also
        told for each of their values, see `Evaluation.differences`.
    Raises RunError when the training has not finished or the folder is damaged; DataError when the data does not fit.
    """
    folder = run if isinstance(run, RunFolder) else RunFolder(run)
    started = time.perf_counter()
    if folder.read("run.json", Manifest).status in ("planned", "training"):
        raise RunError(
            f"The training of '{folder.path}' has not finished. Expected a trained run. "
            f"Finish it with 'gatework resume {folder.path}'."
        )
    trained, sha256 = load_trained(folder)
    own, other = open_both(folder, data, labels)
    attributes = attributes_of(trained.plan, other or own, by, data, labels)
    draws = Draws(attributes=attributes)
    judged = predict_and_judge(trained, own, other or own, "new" if other else part, classical=classical, draws=draws)
    notes = (*judged.evaluation.notes, *trained_on_note(own, other)) if other else judged.evaluation.notes
    evaluation = judged.evaluation.model_copy(update={"model_sha256": sha256, "notes": notes})
    suffix = suffix_of(part, data if other else None)
    if other is not None:
        evaluation = beside_test(folder, evaluation)
    names = write_scores(folder, evaluation, judged.predictions, suffix, judged.ranges)
    folder.update_manifest(
        status="evaluated",
        wall_time_s={"evaluate": round(time.perf_counter() - started, 3)},
        files={name: file_sha256(folder.file(name)) for name in names},
    )
    return evaluation


@dataclass(frozen=True)
class Judged:
    """A judged model. resampled: the draws behind the intervals, one for each row of the table. predictions: one row each.

    ranges: of a detector, one row for each alarm; else None.
    """

    evaluation: Evaluation
    resampled: tuple[Resampled, ...]
    predictions: pl.DataFrame
    ranges: pl.DataFrame | None = None


@dataclass(frozen=True)
class Draws:
    """How the bootstrap draws. seed: the same for what is compared in pairs.

    groups: the group of each sequence of the table, which are then the units; None: the usual ones.
    attributes: by column, its value for each sequence of the table.
    """

    seed: int = SEED
    groups: Sequence[str] | None = None
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)


def predict_and_judge(
    trained: TrainedModel,
    own: Dataset,
    other: Dataset,
    part: Part | Literal["new"],
    *,
    classical: bool = False,
    draws: Draws = Draws(),
) -> Judged:
    """The model on one part of `other`. own: the data that it was trained on, from which the baselines learn.

    draws: of the bootstrap; the groups of `other` are the units, where there are any.
    """
    if trained.plan.anomaly is not None:
        return detect_and_judge(trained, own, other, part)
    judged = trained.task.samples(other.prepared, other.split, "test" if part == "new" else part)
    outputs = network_outputs(trained.network, judged)
    values = trained.task.decode(outputs, trained.preparation)
    ranges = trained.task.ranges(outputs, judged, trained.preparation, trained.calibration)
    coverage = trained.task.coverage(outputs, judged, trained.calibration)
    model = Answer(model_name(trained.plan), describe(trained.plan), values, ranges=ranges, coverage=coverage)
    draws = replace(draws, groups=groups_of(other.table))
    evaluation, resampled = judge(trained, own, judged, model, part, draws, classical=classical)
    predictions = trained.task.predictions(other.prepared, judged, model.values)
    return Judged(evaluation, resampled, with_ranges(predictions, ranges))


def detect_and_judge(trained: TrainedModel, own: Dataset, other: Dataset, part: Part | Literal["new"]) -> Judged:
    """A detector on one part of `other`: every step of it is judged, in series that are read from their start."""
    steps = JudgedSteps(other.prepared, other.split, "test" if part == "new" else part)
    found = judge_steps(trained, other.prepared, steps.rows)
    model = Answer(model_name(trained.plan), describe(trained.plan), found.found.scores[steps.rows])
    evaluation, resampled = judge(trained, own, steps, model, part)
    units = tuple(unit_of(trained.plan.data.sources, name) for name in own.prepared.target_names)
    evaluation = evaluation.model_copy(
        update={
            "figures": figures_of(trained, found, units),
            "verdict": without_labels(evaluation, found),
            "notes": (*evaluation.notes, *threshold_notes(trained)),
        }
    )
    return Judged(evaluation, resampled, step_rows(found), range_rows(found))


def write_scores(
    folder: RunFolder, evaluation: Evaluation, predictions: pl.DataFrame, suffix: str = "", ranges: pl.DataFrame | None = None
) -> tuple[str, ...]:
    """evaluation.json and predictions.parquet, or beside them those with a suffix; ranges.csv of a detector; the names."""
    names = (f"evaluation{suffix}.json", f"predictions{suffix}.parquet")
    folder.write(names[0], evaluation)
    with atomic_write(folder.file(names[1])) as temporary:
        predictions.write_parquet(temporary, compression="zstd")
    if ranges is None:
        return names
    with atomic_write(folder.file(f"ranges{suffix}.csv")) as temporary:
        ranges.write_csv(temporary)
    return (*names, f"ranges{suffix}.csv")


def open_both(folder: RunFolder, data: Source | None, labels: Source | None = None) -> tuple[Dataset, Dataset | None]:
    """The run's own data, and the other data that is to be judged; None when it is the run's own.

    Raises RunError when the run's own data is a frame in memory and `data` is not that frame.
    """
    if data is None:
        if labels is not None:
            raise ConfigError(
                "A table of labels was given and no data that they belong to. "
                "Expected both, or neither. Name the data before --labels."
            )
        return open_dataset(folder), None
    own = own_data(folder, data, labels)
    if own is not None:
        return own, None
    if not folder.read("config.json", Plan).data.sources:
        raise RunError(
            f"The data given is not what '{folder.path}' was trained on, a frame in memory that cannot be read again. "
            f"Expected that frame, since the baselines learn from it. Give it, or predict with gatework.load('{folder.path}')."
        )
    return open_dataset(folder), open_other(folder, data, labels)


def trained_on_note(own: Dataset, other: Dataset) -> tuple[str, ...]:
    """What must be said when the judged data holds rows that the model was trained on."""
    known, total = rows_in_common(own, other), other.table.steps.height
    if not known:
        return ()
    return (
        f"{known} of {total} rows were part of the training: the scores are better than on data that the model has never seen.",
    )


def model_name(plan: Plan) -> str:
    """What the model is called in tables."""
    return plan.model.cell.upper() if len(plan.model.cell) <= 4 else plan.model.cell


def describe(plan: Plan) -> str:
    """The model in a phrase."""
    model = plan.model
    layers = f"{model.num_layers} layers" if model.num_layers > 1 else "one layer"
    directions = ", both directions" if model.bidirectional else ""
    units = "1 unit" if model.hidden_size == 1 else f"{model.hidden_size} units"
    return f"The trained model: {layers} of {units}{directions}."


def judge(
    trained: TrainedModel,
    own: Dataset,
    judged: Samples | JudgedSteps,
    model: Answer,
    part: Part | Literal["new"],
    draws: Draws = Draws(),
    *,
    classical: bool = False,
) -> tuple[Evaluation, tuple[Resampled, ...]]:
    """The table, its verdict and the figures' numbers; and the draws of each row.

    own: the data that the run was trained on. groups: of each sequence of the judged table, where they are known.
    """
    task, plan = trained.task, trained.plan
    case = Case(
        preparation=trained.preparation,
        split=own.split,
        train=task.samples(own.prepared, own.split, "train"),
        judged=judged,
        period=plan.period,
        target_units=tuple(unit_of(plan.data.sources, name) for name in own.prepared.target_names),
    )
    answers = [model, *task.baselines(case), *(task.classical_baselines(case) if classical else ())]
    check_top(plan, judged)
    units = draw_units(task, case, plan) if draws.groups is None else group_units(case, draws.groups, plan)
    measured = task.measure(case, answers)
    resampled = [bootstrap(each, units.index, seed=draws.seed) for each in measured]
    rows = score_rows(answers, resampled)
    metrics = resampled[0].metrics
    gains = gains_over_baselines(task, case, answers, resampled, units.index)
    evaluation = Evaluation(
        task=task.name,
        part=part,
        num_samples=judged.num_answers,
        resampled=units.words,
        metrics=metrics,
        rows=rows,
        verdict=verdict(rows, metrics, gains, task.moved_share(case, answers), task.follows_last(case, answers)),
        figures=task.figures(case, answers),
        uncertainty=task.range_scores(case, model),
        differences=tuple(
            differences(measured[0], units, name, sample_values(judged, values), draws.seed)
            for name, values in draws.attributes.items()
        ),
        notes=(
            *((units.note,) if units.note else ()),
            *judged.prepared.notes,
            *skipped_note(judged),
            *cut_note(judged),
            *task.notes(case),
            *partial_notes(task, case, answers, resampled, units.index),
        ),
    )
    return evaluation, tuple(resampled)


def check_top(plan: Plan, judged: Samples | JudgedSteps) -> None:
    """ConfigError when precision at k asks for more samples than there are."""
    top = plan.decision.top
    if top is not None and top > judged.num_answers:
        noun = "steps" if isinstance(judged, StepSamples) else "sequences"
        raise ConfigError(
            f"precision_at is {top}, and the part that is judged has {judged.num_answers} {noun}. Expected at most so many. "
            f"Train with a smaller --precision-at, or judge more data."
        )


def group_units(case: Case, groups: Sequence[str], plan: Plan) -> Units:
    """Whole groups: sequences of one patient or client are alike, so that more of them say less than more of others would."""
    group = np.unique(np.asarray(groups), return_inverse=True)[1][case.judged.prepared.sequences]
    column = next(field.name for field in plan.data.fields if field.role == "group")
    return sequence_units(group[case.judged.sequence].astype(np.int64), f"values of '{column}'")


def draw_units(task: Task, case: Case, plan: Plan) -> Units:
    """What the bootstrap draws for this task."""
    clock = task.clock(case)
    if isinstance(case.judged, StepSamples):
        return step_units(case.judged.sequence, clock)
    if clock is None:
        return sequence_units(np.arange(len(case.judged), dtype=np.int64))
    return forecast_units(case.judged.sequence, clock, plan.horizon, plan.period)


def score_rows(answers: list[Answer], resampled: list[Resampled]) -> tuple[ScoreRow, ...]:
    """The rows of the table; the model comes first."""
    return tuple(
        ScoreRow(
            name=answer.name,
            kind="baseline" if number else "model",
            description=answer.description,
            scores=row.scores(),
            num_samples=0 if answer.answered is None else int(answer.answered.sum()),
        )
        for number, (answer, row) in enumerate(zip(answers, resampled, strict=True))
    )


def skipped_note(judged: Samples | JudgedSteps) -> tuple[str, ...]:
    """Series that were too short to be judged, by name."""
    skipped: list[str] = getattr(judged, "skipped", [])
    if not skipped:
        return ()
    return (f"{len(skipped)} series are too short for a window and were not judged: {listed(skipped)}.",)


def cut_note(judged: Samples | JudgedSteps) -> tuple[str, ...]:
    """Sequences whose later steps are judged without all that came before them."""
    if not isinstance(judged, StepSamples) or not judged.num_cut:
        return ()
    words = f"{judged.num_cut} sequences are read in pieces: their later steps are judged after at least {judged.window} earlier"
    return (f"{words} steps, not after the whole past (--window reads more).",)
