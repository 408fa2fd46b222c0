"""Ensemble: the same training with several seeds; the mean of their predictions is steadier than any of them.

Lakshminarayanan, Pritzel and Blundell, "Simple and scalable predictive uncertainty estimation using deep ensembles", 2017.
"""

from collections.abc import Sequence

import numpy as np

from gatework.data.split import make_split
from gatework.data.table import Table
from gatework.errors import ConfigError
from gatework.evaluate.bootstrap import gain
from gatework.evaluate.run import Draws, predict_and_judge, write_scores
from gatework.model import load_trained, save_calibration, save_ensemble
from gatework.runs import IntervalScores, Plan, RunFolder, Score
from gatework.runs.study import RangesFigure, Seeds, StudyJob, StudyRecord, StudyResult, StudyRow, StudyTable
from gatework.study.compare import amount
from gatework.study.curve import mean_over_seeds
from gatework.study.job import Bench, Fold, Planned, dataset_of, is_finished, read_fold, write_draws
from gatework.study.show import heads, range_series
from gatework.train.hold_out import measure_errors

ENSEMBLE = "ensemble"


def plan_seeds(table: Table, plans: dict[str, Plan], wish: Seeds, seed: int) -> list[Planned]:
    """The jobs of an ensemble: one for each seed, on the same parts."""
    if wish.members < 2:
        raise ConfigError(f"members is {wish.members}; expected at least 2. Give --members 2 or more.")
    plan = next(iter(plans.values()))
    split = make_split(table, plan.split).record
    jobs = []
    for number in range(wish.members):
        folder = f"member-{number + 1}"
        training = plan.training.model_copy(update={"seed": seed + number})
        job = StudyJob(folder=folder, model=folder, label=f"seed {seed + number}", x=float(number + 1))
        jobs.append(Planned(job, plan.model_copy(update={"training": training}), split))
    return jobs


def summarise_seeds(study: RunFolder, record: StudyRecord, folds: list[Fold]) -> StudyResult:
    """Every member, their mean, the ensemble, and what it gains."""
    together = judge_ensemble(study, folds)
    metrics = together.evaluation.metrics
    lead = metrics[0]
    alone = mean_over_seeds([fold.resampled[0] for fold in folds])
    members = [
        StudyRow(name=fold.job.label, cells=tuple(fold.evaluation.rows[0].scores[info.name] for info in metrics))
        for fold in folds
    ]
    mean = StudyRow(name="mean member", cells=tuple(alone.scores()[info.name] for info in metrics))
    rows = [
        StudyRow(name="ensemble", kind="model", cells=tuple(together.evaluation.rows[0].scores[info.name] for info in metrics)),
        mean,
        *members,
        *(
            StudyRow(name=row.name, kind="baseline", cells=tuple(row.scores.get(info.name) for info in metrics))
            for row in together.evaluation.rows[1:]
        ),
    ]
    table = StudyTable(
        title=f"The ensemble of {len(folds)} members",
        caption=f"95 % intervals: the bootstrap draws {together.evaluation.resampled}.",
        first="method",
        columns=heads(metrics),
        better=tuple(info.better for info in metrics),
        rows=tuple(rows),
    )
    scores = [together.evaluation.rows[0].scores[lead.name], *(fold.evaluation.rows[0].scores[lead.name] for fold in folds)]
    figure = RangesFigure(
        name="members",
        title=f"{lead.name} of the ensemble and of its members",
        caption=f"95 % intervals of the test part; {lead.better} is better.",
        x_label="",
        y_label=heads([lead])[0],
        x=("ensemble", *(fold.job.label for fold in folds)),
        series=(range_series("", scores),),
    )
    better = gain(together.resampled[0], alone, lead.name)
    values = [fold.evaluation.rows[0].scores[lead.name].value for fold in folds]
    known = [value for value in values if value is not None]
    sentences = [*together.evaluation.verdict]
    if better.value is not None:
        is_better = better.value > 0
        between = ""
        if better.low is not None and better.high is not None:
            ends = [
                amount(end, lead, is_better) for end in ((better.low, better.high) if is_better else (better.high, better.low))
            ]
            between = f" (95 % interval {ends[0]} to {ends[1]})"
        sentences.insert(
            0,
            f"The ensemble is {amount(better.value, lead, is_better)} {'better' if is_better else 'worse'} in {lead.name} than "
            f"its mean member{between}; from seed to seed it varies by {np.std(known):.3g} (standard deviation).",
        )
    return StudyResult(
        metrics=metrics,
        tables=(table, *ranges_table(together, folds)),
        figures=(figure,),
        verdict=tuple(sentences),
        notes=record.notes,
        run=ENSEMBLE,
    )


def ranges_table(together: Fold, folds: list[Fold]) -> tuple[StudyTable, ...]:
    """How many truths the ranges of the ensemble and of its members held, and how wide they are; nothing without ranges."""
    uncertainty = together.evaluation.uncertainty
    if uncertainty is None:
        return ()
    own = uncertainty.intervals
    members = [fold.evaluation.uncertainty.intervals for fold in folds if fold.evaluation.uncertainty is not None]
    several = len({one.target for one in own}) > 1
    titles = [f"{100 * one.level:.6g} %{f' of {one.target}' if several else ''}" for one in own]
    rows = [StudyRow(name="ensemble", kind="model", cells=range_cells([own]))]
    if len(members) == len(folds):
        rows.append(StudyRow(name="mean member", cells=range_cells(members)))
        rows += [StudyRow(name=fold.job.label, cells=range_cells([each])) for fold, each in zip(folds, members, strict=True)]
    return (
        StudyTable(
            title="The ranges of the ensemble and of its members",
            caption="The quantiles of the ensemble are the means of its members', corrected by its own errors on the validation "
            "part. The interval score is the width and a penalty for each truth outside; lower is better.",
            first="method",
            columns=tuple(f"{title}: {what}" for title in titles for what in ("truths inside", "mean width", "interval score")),
            better=("", "", "lower") * len(own),
            rows=tuple(rows),
        ),
    )


def range_cells(members: Sequence[tuple[IntervalScores, ...]]) -> tuple[Score | str | None, ...]:
    """Coverage, width and score of each range, as means over members."""
    cells: list[Score | str | None] = []
    for same in zip(*members, strict=True):
        covered, width, score = (mean_of_all([getattr(one, name) for one in same]) for name in ("coverage", "width", "score"))
        cells += ["–" if covered is None else f"{100 * covered:.1f} %", Score(value=width), Score(value=score)]
    return tuple(cells)


def mean_of_all(values: Sequence[float | None]) -> float | None:
    """The mean; None where one is not defined, such as the width of a range without an end."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def judge_ensemble(study: RunFolder, folds: list[Fold]) -> Fold:
    """The ensemble as a run folder of its own, judged on the same part as its members.

    Its ranges are calibrated on its own errors: all members were validated on the same windows, which are therefore its own.
    """
    folder, members = RunFolder(study.file(ENSEMBLE)), [RunFolder(study.file(fold.job.folder)) for fold in folds]
    job = folds[0].job.model_copy(update={"folder": ENSEMBLE, "model": ENSEMBLE, "label": ENSEMBLE})
    if not is_finished(folder):
        save_ensemble(folder, members)
        plan = members[0].read("config.json", Plan)
        own = dataset_of(members[0], Bench(study.path).table(plan.data))
        trained, _ = load_trained(folder)
        calibration = measure_errors(plan, own, trained.network, trained.task)
        if calibration is not None:
            save_calibration(folder, calibration)
        trained, sha256 = load_trained(folder)
        judged = predict_and_judge(trained, own, own, job.part, draws=Draws(seed=job.seed))
        write_draws(folder, judged)
        write_scores(folder, judged.evaluation.model_copy(update={"model_sha256": sha256}), judged.predictions)
        folder.update_manifest(status="evaluated")
    return read_fold(study, job)
