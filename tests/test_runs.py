"""The run folder: what is written is read back, writing is atomic, and a damaged folder is named with its cure."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gatework.errors import RunError
from gatework.evaluate import compare_runs, evaluate_run, load
from gatework.runs import Evaluation, HistoryRow, Manifest, Plan, RunFolder, SplitRecord, atomic_write
from gatework.train import resume_run
from gatework.train.watch import Silent
from refusals import refusal
from small_runs import QUICK, trained, waves


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> RunFolder:
    place = tmp_path_factory.mktemp("finished")
    waves(200).write_csv(place / "data.csv")
    run = trained(place / "data.csv", QUICK.model_copy(update={"epochs": 2}), place / "run")
    evaluate_run(run)
    return run


@pytest.fixture
def run(finished, tmp_path) -> RunFolder:
    return RunFolder(shutil.copytree(finished.path, tmp_path / "run"))


@pytest.fixture
def unfinished(run) -> RunFolder:
    """As a kill leaves it after the last epoch."""
    run.update_manifest(status="training")
    run.file("model.safetensors").unlink()
    return run


def evaluate(run: RunFolder) -> object:
    return evaluate_run(run)


def predict(run: RunFolder) -> object:
    return load(run).predict(waves(20))


def resume(run: RunFolder) -> object:
    return resume_run(run, watch=Silent())


def compare(run: RunFolder) -> object:
    return compare_runs([run])


USED = {
    evaluate: ("run.json", "config.json", "split.json", "prepare.json", "model.safetensors"),
    predict: ("config.json", "prepare.json", "model.safetensors"),
    compare: ("run.json", "config.json", "split.json", "evaluation.json"),
}
USED_BY_RESUME = ("run.json", "config.json", "split.json", "prepare.json", "checkpoint.safetensors")


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(max(64, path.stat().st_size)))


def another_json(path: Path) -> None:
    path.write_text('["a list"]')


def absent(path: Path) -> None:
    path.unlink()


def newer(path: Path) -> None:
    """The same file with the schema version of a gatework to come."""
    if path.suffix == ".json":
        path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99, "unheard_of": 1}))
        return
    old = path.read_bytes()
    marked = old.replace(b'\\"schema_version\\": \\"1\\"', b'\\"schema_version\\": \\"9\\"')
    assert marked != old
    path.write_bytes(marked)


DAMAGES = (half, nothing, noise, another_json, absent, newer)
CASES = [(command, name, damage) for command, names in USED.items() for name in names for damage in DAMAGES]


@pytest.mark.parametrize(("command", "name", "damage"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_a_damaged_folder_is_refused_with_the_file_and_the_cure(run, command, name, damage):
    assert_refused(run, command, name, damage)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda value: value.__name__)
@pytest.mark.parametrize("name", USED_BY_RESUME)
def test_a_damaged_unfinished_folder_is_not_resumed(unfinished, name, damage):
    if (name, damage) == ("checkpoint.safetensors", absent):
        assert len(resume_run(unfinished, watch=Silent()).read_history()) == 2  # from the beginning
        return
    assert_refused(unfinished, resume, name, damage)


def assert_refused(run: RunFolder, command: Callable[[RunFolder], object], name: str, damage: Callable[[Path], None]) -> None:
    damage(run.file(name))
    before = contents(run)
    with pytest.raises(RunError) as caught:
        command(run)
    message = str(caught.value)
    assert name in message
    cures = ("Upgrade gatework",) if damage is newer else ("train again", "gatework resume", "gatework evaluate")
    assert any(cure in message for cure in cures), message
    assert contents(run) == before, "a refused folder was changed"


def contents(run: RunFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}


@pytest.mark.parametrize("command", [evaluate, predict, resume, compare])
def test_a_folder_that_is_none_is_refused(tmp_path, command):
    assert "is not a run folder" in refusal(lambda: command(RunFolder(tmp_path / "nowhere")), RunError)


def test_weights_of_another_network_are_refused(finished, run, tmp_path):
    other = trained(waves(200), QUICK.model_copy(update={"hidden_size": 9, "epochs": 1}), tmp_path / "other")
    run.file("model.safetensors").write_bytes(other.file("model.safetensors").read_bytes())
    assert "does not fit the model that config.json describes" in refusal(lambda: load(run), RunError)


def test_one_changed_bit_of_the_weights_is_noticed(run):
    data = bytearray(run.file("model.safetensors").read_bytes())
    data[-5] ^= 1
    run.file("model.safetensors").write_bytes(bytes(data))
    assert "do not match their hash" in refusal(lambda: load(run), RunError)


def test_a_history_with_half_a_line_is_refused(run):
    path = run.file("history.jsonl")
    path.write_bytes(path.read_bytes()[:-20])
    assert "history.jsonl" in refusal(run.read_history, RunError)


@pytest.mark.parametrize(
    ("name", "schema"),
    [("config.json", Plan), ("split.json", SplitRecord), ("run.json", Manifest), ("evaluation.json", Evaluation)],
)
def test_a_record_is_read_back_as_it_was_written(finished, tmp_path, name, schema):
    record = finished.read(name, schema)
    copy = RunFolder(tmp_path)
    copy.write(name, record)
    assert copy.read(name, schema) == record
    assert copy.read_text(name) == finished.read_text(name)


def test_a_key_that_nobody_knows_is_named(run):
    data = json.loads(run.read_text("config.json"))
    run.write_text("config.json", json.dumps({**data, "horizont": 3}))
    assert "'horizont'" in refusal(lambda: run.read("config.json", Plan), RunError)


def test_a_failed_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as temporary:
        temporary.write_text("half of the n")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_manifest_is_updated_not_replaced(run):
    before = run.read("run.json", Manifest)
    after = run.update_manifest(wall_time_s={"report": 1.5}, files={"report.html": "abc"}, status="evaluated")
    assert after.wall_time_s == {**before.wall_time_s, "report": 1.5}
    assert after.files == {**before.files, "report.html": "abc"}
    assert after.started_at == before.started_at
    assert run.read("run.json", Manifest) == after


def test_an_unread_number_of_an_epoch_may_be_missing_but_never_infinite(tmp_path):
    row = {"epoch": 1, "train_loss": 1.0, "validation_loss": 1.0, "learning_rate": 0.1, "gradient_norm": 1.0, "clip_rate": 0.0}
    history = RunFolder(tmp_path)
    history.write_history([HistoryRow(**row, is_best=True, elapsed_s=1.0)])
    (read,) = history.read_history()
    assert (read.reach_steps, read.dead_units, read.saturated_share) == (None, None, None)


def test_the_folder_of_a_study_names_a_run_in_it(tmp_path: Path) -> None:
    (tmp_path / "fold-1").mkdir()
    (tmp_path / "fold-1" / "config.json").write_text("{}")
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(RunError) as caught:
        RunFolder(tmp_path).read_text("config.json")
    assert (
        f"is the folder of a study. Expected that of one training. Give one of those in it, such as {tmp_path / 'fold-1'}."
        in str(caught.value)
    )
