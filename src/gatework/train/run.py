"""From data to a trained run folder: read, plan, divide, prepare, train, save. And from where it was interrupted."""

import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import torch

from gatework import __version__
from gatework.data.dataset import Dataset, Source, fingerprint, open_dataset, source_names
from gatework.data.split import Split
from gatework.errors import ConfigError
from gatework.model import CONFORMAL, ERRORS, WEIGHTS, SequenceModel, build_model, save_calibration, save_trained, sizes_for
from gatework.runs import DataPlan, Manifest, Plan, RunFolder, file_sha256
from gatework.runs.decision import DECISION
from gatework.tasks import planned_task
from gatework.tasks.detectors.detector import DETECTOR, fit_detector
from gatework.train.augment import Augmenter, Columns
from gatework.train.checkpoint import CHECKPOINT, Checkpoint
from gatework.train.decision import fit_decision, with_class_weights
from gatework.train.hold_out import measure_errors, validation_samples
from gatework.train.loop import Training
from gatework.train.planning import plan_run
from gatework.train.refit import joined, refit_folder, refit_plan, standard_error, useful_epochs
from gatework.train.request import Request
from gatework.train.start import take_over
from gatework.train.warn import warnings_in_words
from gatework.train.watch import Silent, Watch, default_watch


def train_model(
    source: Source,
    request: Request,
    out: Path | str | None = None,
    watch: Watch | None = None,
    command: str = "",
) -> RunFolder:
    """Train a model on a file, several files or a frame, and keep everything about it in a run folder.

    source: a path, a glob, a folder, `bundled:NAME`, or a pandas, polars or Arrow frame. request: at least the target.
    out: the folder to make; by default `runs/DATA-TARGET`, numbered when it exists. watch: told about the progress.
    Returns the run folder: config, split, preparation, weights, history, manifest.
    Raises DataError, ConfigError before anything is written; TrainingError when the loss is not a number.
    """
    watch = watch or default_watch()
    started = time.perf_counter()
    plan, dataset = plan_run(source, request)
    folder = new_folder(out, source, plan.data)
    plan = plan.model_copy(update={"python": request.as_python(*python_names(source, folder))})
    training = make_training(plan, dataset, folder, watch)
    make_folder(folder)
    write_plan(plan, dataset, folder, command)
    for note in (*dataset.table.notes, *dataset.split.record.notes, *dataset.preparation.notes):
        watch.note(note)
    return finish(plan, dataset, training, folder, started)


def resume_run(run: RunFolder | Path | str, source: Source | None = None, watch: Watch | None = None) -> RunFolder:
    """Go on with an interrupted training; a finished one is left as it is.

    The weights that come out are those of an uninterrupted training on the same machine, bit for bit.
    source: the data, when it was a frame in memory or has moved. Raises RunError when folder or data do not fit.
    """
    folder = run if isinstance(run, RunFolder) else RunFolder(run)
    folder.remove_leftovers()
    plan = folder.read("config.json", Plan)
    if folder.read("run.json", Manifest).status in ("trained", "evaluated") and folder.has(WEIGHTS):
        return folder
    started = time.perf_counter()
    dataset = open_dataset(folder, source)
    training = make_training(plan, dataset, folder, watch or default_watch())
    training.resume()
    return finish(plan, dataset, training, folder, started)


def train_planned(plan: Plan, dataset: Dataset, folder: RunFolder, watch: Watch, command: str = "") -> RunFolder:
    """Train in a folder of one's own choice, or go on with what was begun there; a finished training is left as it is.

    Raises TrainingError when the loss is not a number, RunError when the folder holds another training.
    """
    folder.remove_leftovers()
    if folder.has("run.json") and folder.read("run.json", Manifest).status in ("trained", "evaluated") and folder.has(WEIGHTS):
        return folder
    started = time.perf_counter()
    training = make_training(plan, dataset, folder, watch)
    if not folder.has("run.json"):
        make_folder(folder)
        write_plan(plan, dataset, folder, command)
    training.resume()
    return finish(plan, dataset, training, folder, started)


def make_training(plan: Plan, dataset: Dataset, folder: RunFolder, watch: Watch, learned: Split | None = None) -> Training:
    """A network and its training, at the beginning. Weights of another run are taken over unless the folder has newer ones.

    learned: the split whose train part is learned from, where it is not the dataset's own.
    """
    task, sizes = planned_task(plan), sizes_for(plan, dataset.prepared)
    train = task.samples(dataset.prepared, learned or dataset.split, "train")
    task = with_class_weights(task, plan.training, train)
    validation, _ = validation_samples(plan, dataset)
    network = build_model(plan, sizes, task, plan.training.seed)
    notes: tuple[str, ...] = ()
    if plan.training.init_from and not folder.has(CHECKPOINT):
        notes = take_over(network, plan, sizes, dataset.prepared)
    if plan.training.freeze:
        network.recurrent.requires_grad_(False)
    columns = Columns.of(dataset.preparation, dataset.prepared)
    augmenter = Augmenter(plan.training.augment, columns, plan.training.seed)
    training = Training(network, task, train, validation, plan.training, folder, watch, augmenter)
    training.notes = notes
    for note in notes:
        watch.note(note)
    return training


def write_plan(plan: Plan, dataset: Dataset, folder: RunFolder, command: str) -> None:
    """Everything that is known before the first step."""
    sources = (*plan.data.sources, *plan.data.validation_sources, *plan.data.test_sources)
    folder.write("config.json", plan)
    folder.write("split.json", dataset.split.record)
    folder.write_text("prepare.json", dataset.preparation.to_json())
    manifest = Manifest(
        gatework=__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        platform=f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
        status="training",
        command=command,
        seed=plan.training.seed,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        sources=fingerprint((*sources, *([plan.data.labels] if plan.data.labels else []))),
        notes=(*dataset.table.notes, *dataset.split.record.notes, *dataset.preparation.notes),
    )
    folder.write("run.json", manifest)


def finish(plan: Plan, dataset: Dataset, training: Training, folder: RunFolder, started: float) -> RunFolder:
    """Train to the end and write what came out."""
    progress = training.run()
    decision = fit_decision(plan, training.network, training.task, training.validation, dataset.preparation)
    if decision is not None:
        folder.write(DECISION, decision)
    # the errors on data that no weight has seen, also where the weights are those of a second training
    calibration = measure_errors(plan, dataset, training.network)
    if calibration is not None:
        save_calibration(folder, calibration)
    network = refitted(plan, dataset, training, folder) if plan.training.refit else training.network
    save_trained(folder, network, sizes_for(plan, dataset.prepared))
    warned: tuple[str, ...] = (*warnings_in_words(plan, progress.history), *(decision.notes if decision else ()))
    if plan.anomaly is not None:
        detector = fit_detector(network, plan, dataset.prepared, dataset.split)
        folder.write(DETECTOR, detector)
        warned = (*warned, *detector.notes, *detector.threshold.notes)
    for sentence in warned:
        training.watch.note(sentence)
    manifest = folder.read("run.json", Manifest)
    folder.update_manifest(
        status="trained",
        num_parameters=sum(parameter.numel() for parameter in training.network.parameters()),
        wall_time_s={"train": round(manifest.wall_time_s.get("train", 0.0) + time.perf_counter() - started, 3)},
        files={name: file_sha256(folder.file(name)) for name in finished_files(folder)},
        notes=(*manifest.notes, *training.notes, *warned),
    )
    return folder


def refitted(plan: Plan, dataset: Dataset, first: Training, folder: RunFolder) -> SequenceModel:
    """The network of a second training, on the training and the validation part; see `train.refit`."""
    epochs = useful_epochs(first.progress.history, standard_error(first.network, first.task, first.validation))
    first.watch.note(f"Training anew on the training and the validation part, {epochs} epochs.")
    inner = refit_folder(folder)
    training = make_training(refit_plan(plan, epochs), dataset, inner, Silent(), joined(dataset.split))
    training.resume()
    training.run()
    # the last weights: without a validation part of its own there is no best epoch
    training.network.load_state_dict(Checkpoint.load(inner.file(CHECKPOINT)).network)
    return training.network


def finished_files(folder: RunFolder) -> list[str]:
    """The files of a finished training, by name."""
    names = ("config.json", "split.json", "prepare.json", WEIGHTS, CONFORMAL, ERRORS, DETECTOR)
    return [name for name in names if folder.has(name)]


def new_folder(out: Path | str | None, source: Source, data: DataPlan) -> RunFolder:
    """A folder that does not hold a run yet; not made here."""
    if out is not None:
        path = Path(out)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ConfigError(
                f"'{path}' exists and is not an empty folder. Expected a place for a new run. Give another --out, or remove it."
            )
        return RunFolder(path)
    names = source_names(source)
    stem = Path(names[0].removeprefix("bundled:")).name.split(".")[0] if names else "frame"
    base = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in f"{stem}-{data.targets[0]}").strip("-")
    number = 1
    while (path := Path("runs") / (base if number == 1 else f"{base}-{number}")).exists():
        number += 1
    return RunFolder(path)


def make_folder(folder: RunFolder) -> None:
    """The folder on disk; ConfigError when it cannot be made there."""
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The folder '{folder.path}' cannot be made: {error.strerror}. Expected a place that can be written to. "
            f"Give another --out."
        ) from error


def python_names(source: Source, folder: RunFolder) -> tuple[str, str]:
    """How source and folder are written in the Python that does the same."""
    names = source_names(source)
    return (names[0] if len(names) == 1 else str(list(names)) if names else "frame"), str(folder.path)
