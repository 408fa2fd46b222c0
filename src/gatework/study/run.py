"""One function for all studies: plan the trainings, run them (again from where they stopped), and say what came out."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatework import __version__
from gatework.data.dataset import Source, fingerprint, source_names
from gatework.data.read import read_frame
from gatework.data.table import Table
from gatework.errors import ConfigError, RunError
from gatework.runs import Plan, RunFolder, atomic_write
from gatework.runs.study import STUDY, Backtest, Curve, Folds, Seeds, StudyJob, StudyRecord, StudyResult, Sweep, Variant, Wish
from gatework.study.backtest import plan_backtest
from gatework.study.curve import plan_curve, summarise_curve
from gatework.study.folds import plan_folds
from gatework.study.job import Fold, Planned, check_sources, is_finished, read_fold
from gatework.study.search import run_search
from gatework.study.seeds import plan_seeds, summarise_seeds
from gatework.study.show import summarise_folds
from gatework.study.space import read_space
from gatework.study.sweep import plan_sweep, summarise_sweep
from gatework.study.workers import check_processes, run_jobs
from gatework.train.planning import plan_table
from gatework.train.request import Request
from gatework.train.run import make_folder
from gatework.train.watch import PlainLines, Watch

Summary = Callable[[RunFolder, StudyRecord, list[Fold]], StudyResult]
SUMMARIES: dict[str, Summary] = {
    "backtest": summarise_folds,
    "folds": summarise_folds,
    "curve": summarise_curve,
    "sweep": summarise_sweep,
    "seeds": summarise_seeds,
}


COMPARING = ("backtest", "folds")
"""Studies that take several configurations."""


def plan_jobs(table: Table, plans: dict[str, Plan], wish: Wish, seed: int) -> list[Planned]:
    """The trainings that a wish asks for; none for a search, which chooses its own."""
    if isinstance(wish, Backtest):
        return plan_backtest(table, plans, wish, seed)
    if isinstance(wish, Folds):
        return plan_folds(table, plans, wish, seed)
    if isinstance(wish, Curve):
        return plan_curve(table, plans, wish, seed)
    if isinstance(wish, Sweep):
        return plan_sweep(table, plans, wish, seed)
    return plan_seeds(table, plans, wish, seed) if isinstance(wish, Seeds) else []


@dataclass(frozen=True)
class Study:
    """A finished study: its folder, and what stands in study.json."""

    folder: RunFolder
    record: StudyRecord

    @property
    def result(self) -> StudyResult:
        """Tables, figures, verdict."""
        return self.record.result or StudyResult()


def run_study(
    source: Source,
    request: Request,
    wish: Wish,
    *,
    against: Sequence[Request] = (),
    out: Path | str | None = None,
    processes: int = 1,
    watch: Watch | None = None,
    command: str = "",
) -> Study:
    """Train many times and say what came out: `Backtest`, `Folds`, `Search`, `Curve`, `Sweep` or `Seeds`.

    source, request: as for `train_model`. against: further configurations, judged on the same folds and compared in pairs.
    out: the folder of the study; the same call with a folder that was interrupted goes on where it stopped.
    processes: how many trainings at a time, each with its share of the threads.
    Raises DataError and ConfigError for what cannot be trained, before anything is written; RunError when the folder holds
    another study, or the data has changed.
    """
    check_processes(processes)
    if against and wish.kind not in COMPARING:
        raise ConfigError(
            f"Configurations to compare were given, and the study is a {wish.kind}. Expected a backtest or folds, which judge "
            f"all on the same parts. Leave --against out, or use 'gatework study folds'."
        )
    watch = watch or PlainLines()
    folder = RunFolder(out if out is not None else free_folder(source, request, wish.kind))
    variants = name_variants(request, against)
    kept = keep_source(source, folder)
    record = reopen(folder, wish, variants) if folder.has(STUDY) else begin(folder, kept, variants, wish, command)
    if record.status == "finished":
        return Study(folder, record)
    started = time.perf_counter()
    result = None
    try:
        if wish.kind == "search":
            result = run_search(folder, record, request, processes, watch)
        else:
            run_jobs(folder.path, record.jobs, processes, watch, teller(folder, record, watch))
            result = SUMMARIES[wish.kind](folder, record, [read_fold(folder, job) for job in record.jobs])
    finally:  # an interrupted study remembers how long it has run
        wall_time_s = round(record.wall_time_s + time.perf_counter() - started, 3)
        status = "finished" if result else "running"
        record = record.model_copy(update={"status": status, "result": result, "wall_time_s": wall_time_s})
        folder.write(STUDY, record)
    return Study(folder, record)


def begin(folder: RunFolder, source: Source, variants: dict[str, Request], wish: Wish, command: str) -> StudyRecord:
    """Plan everything and write it down; nothing is trained yet."""
    if folder.path.exists() and any(name.name != "data.parquet" for name in folder.path.iterdir()):
        raise ConfigError(
            f"'{folder.path}' exists and holds no study. Expected a place for a new one. Give another --out, or remove it."
        )
    planned = {name: plan_table(source, request) for name, request in variants.items()}
    plans, table = {name: plan for name, (plan, _) in planned.items()}, next(iter(planned.values()))[1]
    first, seed = next(iter(plans.values())), next(iter(variants.values())).seed
    if first.anomaly is not None:
        raise ConfigError(
            "A study was asked for and the request is for anomalies, whose scores stand beside no truth that folds could share. "
            "Expected a forecast, a classification or a regression. Give another --task."
        )
    jobs = plan_jobs(table, plans, wish, seed)
    notes = (*table.notes, *own_split_note(first, wish))
    names = (*first.data.sources, *first.data.validation_sources, *first.data.test_sources)
    record = StudyRecord(
        gatework=__version__,
        wish=wish,
        task=first.data.task,
        targets=first.data.targets,
        variants=tuple(Variant(name=name, said=said(request)) for name, request in variants.items()),
        data=source_names(source),
        sources={file.path: file.sha256 for file in fingerprint((*names, *([first.data.labels] if first.data.labels else [])))},
        jobs=tuple(each.job for each in jobs),
        notes=tuple(dict.fromkeys(notes)),
        command=command,
        python=as_python(source, variants, wish, folder),
        seed=seed,
    )
    if wish.kind == "search" and wish.space:
        read_space(wish.space)  # before anything is written: else the folder belonged to a search that cannot begin
    make_folder(folder)
    for each in jobs:
        each.write(folder)
    folder.write(STUDY, record)
    return record


def reopen(folder: RunFolder, wish: Wish, variants: dict[str, Request]) -> StudyRecord:
    """The record of a study that was begun; RunError when it is another one, or the data has changed."""
    folder.remove_leftovers()
    record = folder.read(STUDY, StudyRecord)
    asked = {name: said(request) for name, request in variants.items()}
    if record.wish != wish or {variant.name: variant.said for variant in record.variants} != asked:
        raise RunError(
            f"'{folder.path}' holds a {record.wish.kind} that was asked for with other options. Expected the same ones, to go on "
            f"with it. Give the options of its study.json, or another --out."
        )
    check_sources(record)
    return record


def own_split_note(plan: Plan, wish: Wish) -> tuple[str, ...]:
    """What must be said when the data comes divided and the study divides it again."""
    if wish.kind not in COMPARING or plan.split.kind not in ("column", "files"):
        return ()
    return ("The data says which part each row belongs to; this study divides all of it anew, as its folds need.",)


def teller(folder: RunFolder, record: StudyRecord, watch: Watch) -> Callable[[StudyJob], None]:
    """Says one line for each finished job."""

    def tell(job: StudyJob) -> None:
        fold = read_fold(folder, job)
        lead = fold.evaluation.metrics[0]
        value = fold.evaluation.rows[0].scores[lead.name].value
        done = sum(is_finished(RunFolder(folder.file(each.folder))) for each in record.jobs)
        number = "not defined" if value is None else f"{value:.4g} {lead.unit}".rstrip()
        label = f"{job.variant}, {job.label}" if len(record.variants) > 1 else job.label
        watch.note(f"{done} of {len(record.jobs)}: {label}: {lead.name} {number} on the {job.part} part")

    return tell


def name_variants(request: Request, against: Sequence[Request]) -> dict[str, Request]:
    """Configurations by what tells them apart; a single one has no name."""
    if not against:
        return {"": request}
    said_by = [one.said() for one in (request, *against)]
    keys = [key for key in Request.model_fields if len({repr(each.get(key)) for each in said_by}) > 1]
    names = [" ".join(f"{key}={getattr(one, key)}" for key in keys) for one in (request, *against)]
    if len(set(names)) < len(names) or not keys:
        raise ConfigError(
            f"{len(names)} configurations were given and two of them are equal. Expected each to differ from the others. "
            f"Give for example --against cell=gru."
        )
    return {name.replace("/", "-"): one for name, one in zip(names, (request, *against), strict=True)}


def said(request: Request) -> str:
    """A request as JSON, without what was left out."""
    return json.dumps(request.said(), default=str, sort_keys=True)


def keep_source(source: Source, folder: RunFolder) -> Source:
    """A source that every process can read: a frame in memory is kept in the folder of the study.

    Raises RunError when the folder keeps another frame.
    """
    if source_names(source):
        return source
    import polars as pl

    frame, kept = read_frame(source), folder.file("data.parquet")
    if kept.is_file():
        if not pl.read_parquet(kept).equals(frame):
            raise RunError(
                f"'{folder.path}' holds a study of another frame. Expected the same data, to go on with it. Give another --out."
            )
        return str(kept)
    make_folder(folder)
    with atomic_write(kept) as temporary:
        frame.write_parquet(temporary)
    return str(kept)


def free_folder(source: Source, request: Request, kind: str) -> Path:
    """`runs/DATA-TARGET-KIND`, numbered when it exists."""
    names = source_names(source)
    stem = Path(names[0].removeprefix("bundled:")).name.split(".")[0] if names else "frame"
    text = f"{stem}-{request.targets[0] if request.targets else 'target'}-{kind}"
    base = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in text).strip("-")
    number = 1
    while (path := Path("runs") / (base if number == 1 else f"{base}-{number}")).exists():
        number += 1
    return path


def as_python(source: Source, variants: dict[str, Request], wish: Wish, folder: RunFolder) -> str:
    """The lines of Python that run the same study."""

    def options(request: Request) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in request.said().items())

    first, *others = variants.values()
    wished = ", ".join(
        f"{name}={getattr(wish, name)!r}"
        for name, field in type(wish).model_fields.items()
        if name != "kind" and getattr(wish, name) != field.default
    )
    against = f", against=[{', '.join(f'Request({options(each)})' for each in others)}]" if others else ""
    names = source_names(source)
    data = repr(names[0] if len(names) == 1 else list(names))
    return (
        f"from gatework import Request\nfrom gatework.study import {type(wish).__name__}, run_study\n\n"
        f"study = run_study({data}, Request({options(first)}), {type(wish).__name__}({wished}){against}, "
        f"out={str(folder.path)!r})\nprint(*study.result.verdict)"
    )
