"""An interrupted training ends as if nobody had interrupted it: the same weights bit for bit, the same history."""

import contextlib
import multiprocessing
import random
import shutil
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gatework.errors import RunError
from gatework.evaluate import evaluate_run
from gatework.runs import HistoryRow, Manifest, RunFolder
from gatework.train import Request, resume_run, train_model
from gatework.train.checkpoint import CHECKPOINT, Checkpoint
from gatework.train.watch import Silent
from refusals import refusal
from small_runs import CLASSES, QUICK, latches, trained, waves, without

# dropout between and after two layers, several batches an epoch, a season of early stopping
REQUEST = QUICK.model_copy(update={"num_layers": 2, "epochs": 5, "cell": "gru"})
WEIGHTS = "model.safetensors"


class Stops(Silent):
    """Ends the training with an exception when an epoch, or a batch of it, is done."""

    def __init__(self, epoch: int, batch: int = 0, error: type[BaseException] = KeyboardInterrupt):
        self.at, self.error = (epoch, batch), error

    def batch(self, epoch: int, done: int, total: int) -> None:
        if (epoch, done) == self.at:
            raise self.error

    def epoch(self, row: HistoryRow) -> None:
        if (row.epoch, 0) == self.at:
            raise self.error


def interrupted(source: object, request: Request, out: Path, watch: Silent) -> RunFolder:
    with pytest.raises(KeyboardInterrupt):
        train_model(source, request, out=out, watch=watch)
    return RunFolder(out)


def assert_same_run(run: RunFolder, whole: RunFolder) -> None:
    assert run.file(WEIGHTS).read_bytes() == whole.file(WEIGHTS).read_bytes()
    assert without(run.read_text("history.jsonl"), "elapsed_s") == without(whole.read_text("history.jsonl"), "elapsed_s")
    assert run.read("run.json", Manifest).status == "trained"
    assert run.read("run.json", Manifest).files == whole.read("run.json", Manifest).files


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "waves.parquet"
    waves().write_parquet(path)
    return path


@pytest.fixture(scope="module")
def whole(file, tmp_path_factory) -> RunFolder:
    return trained(file, REQUEST, tmp_path_factory.mktemp("whole") / "run")


@pytest.mark.parametrize(("epoch", "batch"), [(1, 0), (2, 0), (4, 0), (5, 0), (1, 1), (3, 4)])
def test_a_training_interrupted_anywhere_ends_with_the_same_weights(file, whole, tmp_path, epoch, batch):
    run = interrupted(file, REQUEST, tmp_path / "run", Stops(epoch, batch))
    assert run.read("run.json", Manifest).status == "training"
    assert not run.has(WEIGHTS)
    assert run.has(CHECKPOINT) == (epoch > 1 or batch == 0)
    same_place(run, whole)
    assert_same_run(resume_run(run, watch=Silent()), whole)


def same_place(run: RunFolder, whole: RunFolder) -> None:
    """config.json names the folder in its lines of Python, so that two runs differ there."""
    run.file("config.json").write_bytes(whole.file("config.json").read_bytes())


def test_a_training_interrupted_twice_ends_with_the_same_weights(file, whole, tmp_path):
    run = interrupted(file, REQUEST, tmp_path / "run", Stops(2, 3))
    with pytest.raises(KeyboardInterrupt):
        resume_run(run, watch=Stops(4))
    same_place(run, whole)
    assert_same_run(resume_run(run, watch=Silent()), whole)


def test_early_stopping_continues_to_count_where_it_was(tmp_path):
    generator = np.random.default_rng(0)
    data = waves(300).with_columns(pl.Series("load", generator.normal(0, 1, 300)))
    data.write_parquet(tmp_path / "noise.parquet")
    request = QUICK.model_copy(update={"epochs": 40, "patience": 3, "learning_rate": 3e-2, "hidden_size": 32})
    whole = trained(tmp_path / "noise.parquet", request, tmp_path / "whole")
    epochs = len(whole.read_history())
    assert epochs < 40
    run = interrupted(tmp_path / "noise.parquet", request, tmp_path / "run", Stops(epochs - 1))
    same_place(run, whole)
    assert_same_run(resume_run(run, watch=Silent()), whole)


def test_a_classification_of_sequences_resumes_too(tmp_path):
    latches(60, steps=7).write_csv(tmp_path / "latches.csv")
    request = CLASSES.model_copy(update={"bidirectional": True, "dropout": 0.3})
    whole = trained(tmp_path / "latches.csv", request, tmp_path / "whole")
    run = interrupted(tmp_path / "latches.csv", request, tmp_path / "run", Stops(2, 1))
    same_place(run, whole)
    assert_same_run(resume_run(run, watch=Silent()), whole)


def test_a_shortened_plan_is_kept_by_a_resumed_training(file, tmp_path, monkeypatch):
    from gatework.train import loop

    request = REQUEST.model_copy(update={"minutes": 0.4, "epochs": 30})
    clock = iter(range(0, 100_000, 6))  # an epoch lasts 6 seconds: 4 of them are planned
    monkeypatch.setattr(loop.time, "perf_counter", lambda: float(next(clock)))
    whole = trained(file, request, tmp_path / "whole")
    run = interrupted(file, request, tmp_path / "run", Stops(2))
    clock = iter(range(0, 100_000, 1))  # a faster machine now: the plan stays
    same_place(run, whole)
    assert_same_run(resume_run(run, watch=Silent()), whole)
    assert len(whole.read_history()) == 4


def fails_once(method: Callable[..., object], on_call: int) -> Callable[..., object]:
    calls = iter(range(1, 1000))

    def wrapped(*args: object, **kwargs: object) -> object:
        if next(calls) == on_call:
            raise KeyboardInterrupt
        return method(*args, **kwargs)

    return wrapped


@pytest.mark.parametrize(("name", "on_call"), [("write_history", 2), ("write_history", 5), ("update_manifest", 1)])
def test_a_kill_between_two_files_is_mended(file, whole, tmp_path, monkeypatch, name, on_call):
    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, name, fails_once(getattr(RunFolder, name), on_call))
        run = interrupted(file, REQUEST, tmp_path / "run", Silent())
    assert run.has(WEIGHTS) == (name == "update_manifest")
    same_place(run, whole)
    assert_same_run(resume_run(run, watch=Silent()), whole)


def test_lost_weights_of_a_finished_training_come_back_from_its_checkpoint(whole, tmp_path):
    run = RunFolder(shutil.copytree(whole.path, tmp_path / "run"))
    run.file(WEIGHTS).unlink()
    assert_same_run(resume_run(run, watch=Silent()), whole)


def test_a_finished_training_is_left_as_it_is(whole):
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in whole.path.iterdir()}
    resume_run(whole, watch=Silent())
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in whole.path.iterdir()} == before


def test_what_a_kill_left_half_written_is_removed(file, tmp_path):
    run = interrupted(file, REQUEST, tmp_path / "run", Stops(2))
    run.file(".checkpoint.safetensors.abc.part").write_bytes(b"half")
    resume_run(run, watch=Silent())
    assert not [path for path in run.path.iterdir() if path.name.endswith(".part")]


def test_a_frame_in_memory_must_be_given_again_and_be_the_same(tmp_path):
    run = interrupted(waves(), QUICK, tmp_path / "run", Stops(1))
    assert "trained on a frame in memory" in refusal(lambda: resume_run(run, watch=Silent()), RunError)
    other = refusal(lambda: resume_run(run, source=waves(seed=1), watch=Silent()), RunError)
    assert "is not what" in other
    whole = trained(waves(), QUICK, tmp_path / "whole")
    same_place(run, whole)
    assert_same_run(resume_run(run, source=waves(), watch=Silent()), whole)


def test_data_that_has_changed_or_gone_is_refused_and_moved_data_can_be_given(file, whole, tmp_path):
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(file.read_bytes())
    run = interrupted(copy, REQUEST, tmp_path / "run", Stops(2))
    waves(seed=9).write_parquet(copy)
    assert "has changed since training" in refusal(lambda: resume_run(run, watch=Silent()), RunError)
    copy.unlink()
    assert "is gone" in refusal(lambda: resume_run(run, watch=Silent()), RunError)
    resumed = resume_run(run, source=file, watch=Silent())
    assert resumed.file(WEIGHTS).read_bytes() == whole.file(WEIGHTS).read_bytes()


def test_an_unfinished_training_is_not_evaluated(file, tmp_path):
    run = interrupted(file, REQUEST, tmp_path / "run", Stops(2))
    assert f"gatework resume {run.path}" in refusal(lambda: evaluate_run(run), RunError)


class Tells(Silent):
    """Sends every batch and epoch to the process that watches."""

    def __init__(self, ear: Connection):
        self.ear = ear

    def batch(self, epoch: int, done: int, total: int) -> None:
        self.ear.send(("batch", epoch))

    def epoch(self, row: HistoryRow) -> None:
        self.ear.send(("epoch", row.epoch))


def train_or_resume(file: Path, run: Path, request: Request, ear: Connection) -> None:
    """What a process does that may be killed at any moment."""
    if RunFolder(run).has("run.json"):
        resume_run(run, watch=Tells(ear))
    else:
        train_model(file, request, out=run, watch=Tells(ear))


def run_until_killed(file: Path, run: RunFolder, request: Request, chance: random.Random) -> int:
    """Train in a process of its own and kill it at a random moment; the epochs that it had told of."""
    # a process forked from a server that has imported torch starts in a tenth of the time of a new one
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gatework.train", "torch._dynamo", "sklearn.linear_model"])
    mouth, ear = context.Pipe(duplex=False)
    child = context.Process(target=train_or_resume, args=(file, run.path, request, ear), daemon=True)
    child.start()
    ear.close()
    told = [mouth.recv() for _ in range(chance.randint(1, 12))]
    time.sleep(chance.random() * 0.02)  # a batch lasts about 5 ms, a checkpoint another 5
    child.kill()
    child.join()
    with contextlib.suppress(EOFError):
        while True:
            told.append(mouth.recv())
    assert child.exitcode == -signal.SIGKILL
    return max([0, *(epoch for what, epoch in told if what == "epoch")])


def kill_and_resume(file: Path, run: RunFolder, request: Request, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(kills):
        finished = run_until_killed(file, run, request, chance)
        kept = Checkpoint.load(run.file(CHECKPOINT)).progress.epoch if run.has(CHECKPOINT) else 0
        assert kept >= finished, "a finished epoch was lost"


def test_three_kills_at_random_moments_change_nothing(file, tmp_path):
    request = REQUEST.model_copy(update={"epochs": 8})
    whole = trained(file, request, tmp_path / "whole")
    run = RunFolder(tmp_path / "run")
    kill_and_resume(file, run, request, kills=3, seed=0)
    same_place(run, whole)
    assert_same_run(resume_run(run, watch=Silent()), whole)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_ten_kills_at_random_moments_change_nothing(file, tmp_path, cell):
    request = REQUEST.model_copy(update={"epochs": 24, "cell": cell, "patience": 24})
    whole = trained(file, request, tmp_path / "whole")
    run = RunFolder(tmp_path / "run")
    kill_and_resume(file, run, request, kills=10, seed=1)
    same_place(run, whole)
    assert_same_run(resume_run(run, watch=Silent()), whole)
