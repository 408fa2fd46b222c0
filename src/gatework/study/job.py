"""One training of a study, in a run folder of its own: begun, continued or found finished, and judged."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import safetensors.numpy

from gatework.data.dataset import Dataset, read_planned
from gatework.data.layout import build_table
from gatework.data.prepare import Preparation
from gatework.data.split import apply_split
from gatework.data.table import Table
from gatework.errors import RunError
from gatework.evaluate.bootstrap import Resampled
from gatework.evaluate.run import Draws, Judged, predict_and_judge, write_scores
from gatework.model import load_trained
from gatework.runs import DataPlan, Evaluation, Plan, RunFolder, SplitRecord, atomic_write, file_sha256
from gatework.runs.study import STUDY, StudyJob, StudyRecord
from gatework.train.plan_forecast import usual_normalisation
from gatework.train.planning import divide
from gatework.train.run import train_planned
from gatework.train.watch import Silent, Watch

DRAWS = "draws.safetensors"
"""The resamples behind the intervals of one evaluation: means over folds need them."""


@dataclass(frozen=True)
class Planned:
    """A job and what it is to be trained with."""

    job: StudyJob
    plan: Plan
    split: SplitRecord

    def write(self, study: RunFolder) -> None:
        """config.json and split.json of a job that has not begun."""
        folder = RunFolder(study.file(self.job.folder))
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write("config.json", self.plan)
        folder.write("split.json", self.split)


@dataclass(frozen=True)
class Fold:
    """A finished job. resampled: one for each row of its table, in their order; the model's comes first."""

    job: StudyJob
    evaluation: Evaluation
    resampled: tuple[Resampled, ...]


def fitted_plan(plan: Plan, table: Table, split: SplitRecord) -> Plan:
    """The plan with what was inferred from values inferred again, from the training rows of this split alone."""
    if "normalise" not in plan.reasons:
        return plan
    train = apply_split(split, table).rows_of("train")
    normalise, why = usual_normalisation(replace(table, steps=table.steps.filter(pl.Series(train))))
    model = plan.model.model_copy(update={"normalise": normalise})
    return plan.model_copy(update={"model": model, "reasons": {**plan.reasons, "normalise": f"{normalise}: {why}"}})


class Bench:
    """Where one process runs the jobs of a study: the data is read once."""

    def __init__(self, study: Path, watch: Watch | None = None):
        self.study = RunFolder(study)
        self.record = self.study.read(STUDY, StudyRecord)
        self.watch = watch or Silent()
        self._tables: dict[str, Table] = {}

    def run(self, job: StudyJob) -> None:
        """Train and judge one job, or go on with it; a finished one is left as it is."""
        folder = RunFolder(self.study.file(job.folder))
        folder.remove_leftovers()
        if is_finished(folder):
            return
        plan, split = folder.read("config.json", Plan), folder.read("split.json", SplitRecord)
        table = self.table(plan.data)
        if job.model == job.folder:
            own = other = divide(plan, table, apply_split(split, table))
            train_planned(plan, own, folder, self.watch, self.record.command)
        else:
            own = dataset_of(RunFolder(self.study.file(job.model)), table)
            other = replace(own, split=apply_split(split, table))
        trained, sha256 = load_trained(RunFolder(self.study.file(job.model)))
        judged = predict_and_judge(trained, own, other, job.part, draws=Draws(seed=job.seed))
        write_draws(folder, judged)
        write_scores(folder, judged.evaluation.model_copy(update={"model_sha256": sha256}), judged.predictions)
        if folder.has("run.json"):
            names = ("evaluation.json", "predictions.parquet")
            folder.update_manifest(status="evaluated", files={name: file_sha256(folder.file(name)) for name in names})

    def table(self, plan: DataPlan) -> Table:
        """The table of the study, read at the first call."""
        key = plan.model_dump_json()
        if key not in self._tables:
            check_sources(self.record)
            frame, labels = read_planned(plan)
            self._tables[key] = build_table(frame, plan, labels)
        return self._tables[key]


def is_finished(folder: RunFolder) -> bool:
    """Whether a job was judged: its scores are written last."""
    return folder.has(DRAWS) and folder.has("evaluation.json") and folder.has("predictions.parquet")


def dataset_of(folder: RunFolder, table: Table) -> Dataset:
    """The data of a finished job, as it was for its training."""
    split = apply_split(folder.read("split.json", SplitRecord), table)
    preparation = Preparation.from_json(folder.read_text("prepare.json"))
    return Dataset(table, split, preparation, preparation.apply(table, split))


def check_sources(record: StudyRecord) -> None:
    """RunError when a data file is gone or no longer what the study began with."""
    for name, sha256 in record.sources.items():
        path = Path(name)
        if not path.is_file() or file_sha256(path) != sha256:
            raise RunError(
                f"The data file '{name}' {'has changed' if path.is_file() else 'is gone'} since this study began. "
                f"Expected sha256 {sha256[:12]}…. Restore it, or start a new study with another --out."
            )


def write_draws(folder: RunFolder, judged: Judged) -> None:
    """The point and the resamples of every row."""
    tensors: dict[str, np.ndarray] = {}
    for number, row in enumerate(judged.resampled):
        tensors |= {f"point.{number}": row.point, f"draws.{number}": np.ascontiguousarray(row.draws)}
    with atomic_write(folder.file(DRAWS)) as temporary:
        safetensors.numpy.save_file(tensors, temporary)


def read_fold(study: RunFolder, job: StudyJob) -> Fold:
    """What a finished job left behind; RunError when it is damaged."""
    folder = RunFolder(study.file(job.folder))
    evaluation = folder.read("evaluation.json", Evaluation)
    try:
        tensors = safetensors.numpy.load_file(folder.file(DRAWS))
        rows = tuple(
            Resampled(evaluation.metrics, tensors[f"point.{number}"], tensors[f"draws.{number}"])
            for number in range(len(evaluation.rows))
        )
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise RunError(
            f"'{folder.file(DRAWS)}' is missing or damaged ({error}). Expected the resamples that the study wrote. "
            f"Delete '{folder.file('evaluation.json')}' and start the study again: it is then judged anew."
        ) from error
    return Fold(job, evaluation, rows)
