"""Studies from end to end on tiny data: nothing leaks, nothing is repeated, a killed study goes on, bad input gets our words."""

import contextlib
import json
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

from gatework.errors import ConfigError, GateworkError, RunError
from gatework.evaluate import evaluate_run, load
from gatework.model import load_trained
from gatework.report import write_report, write_study_report
from gatework.runs import Evaluation, Plan, RunFolder
from gatework.runs.study import STUDY, Backtest, Curve, Folds, Search, Seeds, StudyRecord, Sweep
from gatework.study import Study, run_study
from gatework.study.search import Arena, enqueue_plan, forget_killed, open_trials
from gatework.study.workers import start
from gatework.train import Request
from gatework.train.watch import Silent
from refusals import refusal
from small_runs import latches, trained, waves

TINY = Request(target="load", time="when", horizon=2, window=6, hidden_size=4, epochs=1, batch_size=32, dropout=0.1)
TINY_CLASSES = Request(target="label", series="id", time="step", task="classify", hidden_size=4, epochs=1, batch_size=32)


class Notes(Silent):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


class Interrupts(Notes):
    """Ctrl-C after so many notes."""

    def __init__(self, after: int):
        super().__init__()
        self.after = after

    def note(self, text: str) -> None:
        super().note(text)
        if len(self.said) == self.after:
            raise KeyboardInterrupt


def study_of(source: object, wish: object, out: Path, request: Request = TINY, **more: object) -> Study:
    return run_study(source, request, wish, out=out, watch=more.pop("watch", Silent()), **more)


def numbers_of(study: Path, name: str) -> tuple[dict[str, bytes], list[dict[str, object]], str]:
    """The weights, the losses and the table of one training, bit for bit."""
    folder = RunFolder(study / name)
    weights = {key: value.tobytes() for key, value in load_file(folder.file("model.safetensors")).items()}
    history = [{**json.loads(line), "elapsed_s": 0} for line in folder.read_text("history.jsonl").splitlines()]
    rows = folder.read("evaluation.json", Evaluation).rows
    return weights, history, "".join(row.model_dump_json() for row in rows)


# Leakage


def test_nothing_behind_a_cut_changes_anything_before_it(tmp_path: Path) -> None:
    frame, wish = waves(180), Backtest(windows=3, step=30)
    study_of(frame, wish, tmp_path / "one")
    changed = frame.with_columns(
        pl.when(pl.int_range(pl.len()) >= 150).then(pl.col(name) * 7.3 + 100).otherwise(pl.col(name)).alias(name)
        for name in ("load", "temp")
    )
    study_of(changed, wish, tmp_path / "other")
    for name in ("window-1", "window-2"):  # judged up to row 150
        assert numbers_of(tmp_path / "one", name) == numbers_of(tmp_path / "other", name)
        assert (tmp_path / "one" / name / "prepare.json").read_bytes() == (
            tmp_path / "other" / name / "prepare.json"
        ).read_bytes()
    third, same = numbers_of(tmp_path / "one", "window-3"), numbers_of(tmp_path / "other", "window-3")
    assert third[:2] == same[:2], "the model of the last cut has seen what is behind it"
    assert third[2] != same[2], "the last window is judged on what was changed"


def test_scales_are_fitted_again_at_each_cut(tmp_path: Path) -> None:
    frame = waves(180).with_columns(load=pl.col("load") + 0.2 * pl.int_range(pl.len()))
    study_of(frame, Backtest(windows=2, step=30), tmp_path / "study")
    means = [
        json.loads((tmp_path / "study" / f"window-{number}" / "prepare.json").read_text())["fields"][-1] for number in (1, 2)
    ]
    assert means[0]["scale"] != means[1]["scale"]


# Going on


def test_an_interrupted_study_goes_on_to_the_same_numbers_and_repeats_nothing(tmp_path: Path) -> None:
    frame, wish = waves(160), Folds(k=3)
    study_of(frame, wish, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        study_of(frame, wish, tmp_path / "study", watch=Interrupts(2))
    first = tmp_path / "study" / "fold-1"
    before = {file.name: file.stat().st_mtime_ns for file in first.iterdir()}
    assert RunFolder(tmp_path / "study").read(STUDY, StudyRecord).status == "running"
    notes = Notes()
    study = study_of(frame, wish, tmp_path / "study", watch=notes)
    assert {file.name: file.stat().st_mtime_ns for file in first.iterdir()} == before
    for name in ("fold-1", "fold-2", "fold-3"):
        assert numbers_of(tmp_path / "study", name) == numbers_of(tmp_path / "whole", name)
    whole = RunFolder(tmp_path / "whole").read(STUDY, StudyRecord)
    assert study.record.result == whole.result
    assert study_of(frame, wish, tmp_path / "study").record.result == whole.result, "a finished study is only read"


@pytest.mark.slow
def test_processes_give_the_numbers_of_one_and_survive_a_kill(tmp_path: Path) -> None:
    waves(160).write_parquet(tmp_path / "waves.parquet")
    source, wish = str(tmp_path / "waves.parquet"), Folds(k=2)
    study_of(source, wish, tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    record = RunFolder(tmp_path / "one").read(STUDY, StudyRecord)
    for name in ("fold-1", "fold-2"):
        for file in (tmp_path / "two" / name).iterdir():
            if file.name not in ("config.json", "split.json"):
                file.unlink()
    RunFolder(tmp_path / "two").write(STUDY, record.model_copy(update={"status": "running", "result": None}))
    killed = start(tmp_path / "two", ["fold-1"], 1)
    time.sleep(0.3)
    killed.kill()
    killed.wait()
    killed.close()
    assert killed.returncode == -signal.SIGKILL
    study = study_of(source, wish, tmp_path / "two", processes=2)
    assert study.record.result == record.result
    for name in ("fold-1", "fold-2"):
        assert numbers_of(tmp_path / "two", name) == numbers_of(tmp_path / "one", name)


def test_a_process_that_writes_much_is_not_held_up(tmp_path: Path) -> None:
    process = start(tmp_path, [], 1, "import sys; sys.stdout.write('x' * 300_000); sys.stderr.write('y'); sys.exit(3)")
    assert process.wait(timeout=60) == 3
    process.close()
    assert len(process.output) == 300_001
    assert process.stdin is not None
    assert process.stdin.closed


def test_another_question_or_other_data_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    frame = waves(120)
    with pytest.raises(KeyboardInterrupt):
        study_of(frame, Folds(k=2), tmp_path / "study", watch=Interrupts(1))
    assert "other options" in refusal(lambda: study_of(frame, Folds(k=3), tmp_path / "study"), RunError)
    other = TINY.model_copy(update={"cell": "gru"})
    assert "other options" in refusal(lambda: study_of(frame, Folds(k=2), tmp_path / "study", request=other), RunError)
    assert "another frame" in refusal(lambda: study_of(waves(120, seed=5), Folds(k=2), tmp_path / "study"), RunError)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    assert "holds no study" in refusal(lambda: study_of(frame, Folds(k=2), tmp_path / "full"), ConfigError)


# What comes out


def test_a_comparison_in_pairs_names_both_and_counts_what_they_share(tmp_path: Path) -> None:
    gru = TINY_CLASSES.model_copy(update={"cell": "gru"})
    study = study_of(latches(60, steps=8), Folds(k=3), tmp_path / "study", request=TINY_CLASSES, against=[gru])
    assert [variant.name for variant in study.record.variants] == ["cell=lstm", "cell=gru"]
    assert "cell=lstm" in study.result.verdict[0]
    assert "corrected resampled t-test" in study.result.verdict[0]
    folds = study.result.tables[1]
    for number, row in enumerate(folds.rows, start=1):
        for place, name in enumerate(("cell=lstm", "cell=gru"), start=1):
            evaluation = RunFolder(tmp_path / "study" / name / f"fold-{number}").read("evaluation.json", Evaluation)
            assert row.cells[place] == evaluation.rows[0].scores["accuracy"]
    mean = np.mean([row.cells[1].value for row in folds.rows])
    assert study.result.tables[0].rows[0].cells[0].value == pytest.approx(mean, rel=1e-12)
    page = write_study_report(study.folder).read_text()
    assert "corrected resampled t-test" in page
    assert page == write_study_report(study.folder).read_text()
    write_report(tmp_path / "study" / "cell=gru" / "fold-1")


def test_every_fold_is_a_run_that_can_be_evaluated_again(tmp_path: Path) -> None:
    study_of(waves(150), Folds(k=2), tmp_path / "study")
    folder = RunFolder(tmp_path / "study" / "fold-1")
    before = folder.read("evaluation.json", Evaluation)
    again = evaluate_run(folder)
    assert [row.scores["MAE"].value for row in again.rows] == [row.scores["MAE"].value for row in before.rows]


@pytest.mark.parametrize("task", ["forecast", "classify"])
def test_an_ensemble_predicts_the_mean_of_its_members(task: str, tmp_path: Path) -> None:
    frame, request = (waves(140), TINY) if task == "forecast" else (latches(40, steps=6), TINY_CLASSES)
    study = study_of(frame, Seeds(members=2), tmp_path / "study", request=request)
    together = load(tmp_path / "study" / "ensemble").predict(frame).frame
    alone = [load(tmp_path / "study" / f"member-{number}").predict(frame).frame for number in (1, 2)]
    column = "prediction" if task == "forecast" else "probability up"
    mean = (alone[0][column] + alone[1][column]).to_numpy() / 2
    assert together[column].to_numpy() == pytest.approx(mean, rel=1e-6)
    assert (alone[0][column] != alone[1][column]).any()
    assert "than its mean member" in study.result.verdict[0]
    scored = evaluate_run(tmp_path / "study" / "ensemble")
    assert scored.rows[0].scores == RunFolder(tmp_path / "study" / "ensemble").read("evaluation.json", Evaluation).rows[0].scores
    write_report(tmp_path / "study" / "ensemble")


def test_an_ensemble_whose_member_is_gone_is_refused(tmp_path: Path) -> None:
    study_of(waves(120), Seeds(members=2), tmp_path / "study")
    (tmp_path / "study" / "ensemble" / "member-2" / "model.safetensors").unlink()
    assert "member-2/model.safetensors' does not exist" in refusal(
        lambda: load_trained(RunFolder(tmp_path / "study" / "ensemble")), RunError
    )


def test_an_ensemble_has_no_single_state_to_follow_live(tmp_path: Path) -> None:
    study_of(waves(120), Seeds(members=2), tmp_path / "study")
    predictor = load(tmp_path / "study" / "ensemble")
    assert "Load one of its members" in refusal(lambda: predictor.live(waves(60)), ConfigError)


def test_a_learning_curve_trains_on_the_recent_part_and_keeps_the_test_part(tmp_path: Path) -> None:
    study = study_of(waves(200), Curve(shares=(0.3, 0.6, 1.0), seeds=1), tmp_path / "study")
    sizes = [int(row.name) for row in study.result.tables[0].rows]
    assert sizes == [42, 84, 140]
    tested = [
        RunFolder(tmp_path / "study" / job.folder).read("evaluation.json", Evaluation).num_samples for job in study.record.jobs
    ]
    assert len(set(tested)) == 1
    assert write_study_report(study.folder).is_file()


def test_a_smaller_share_of_sequences_lies_inside_a_larger_one(tmp_path: Path) -> None:
    study = study_of(latches(60, steps=5), Curve(shares=(0.2, 0.5, 1.0), seeds=1), tmp_path / "study", request=TINY_CLASSES)
    from gatework.runs import SplitRecord

    splits = [RunFolder(tmp_path / "study" / job.folder).read("split.json", SplitRecord) for job in study.record.jobs]
    trained = [set(split.sequences["train"]) for split in splits]
    assert trained[0] < trained[1] < trained[2]
    assert len({split.sequences["test"] for split in splits}) == 1


def test_a_sweep_judges_training_and_validation_part_and_trains_the_plan_once(tmp_path: Path) -> None:
    wish = Sweep(options=("dropout", "hidden_size"), values={"dropout": (0.1, 0.5), "hidden_size": (4, 8)})
    study = study_of(waves(140), wish, tmp_path / "study")
    assert sorted({job.model for job in study.record.jobs}) == ["base", "dropout-0.5", "hidden_size-8"]
    plan = RunFolder(tmp_path / "study" / "hidden_size-8").read("config.json", Plan)
    assert (plan.model.hidden_size, plan.model.dropout) == (8, 0.1)
    row = study.result.tables[0].rows[0]
    validation = RunFolder(tmp_path / "study" / "base").read("evaluation.json", Evaluation)
    train = RunFolder(tmp_path / "study" / "base" / "train").read("evaluation.json", Evaluation)
    assert (train.part, validation.part) == ("train", "validation")
    assert row.cells == (train.rows[0].scores["MAE"], validation.rows[0].scores["MAE"])


# Search


SPACE = 'hidden_size = { low = 2, high = 8 }\nlearning_rate = { low = 0.001, high = 0.1, log = true }\ncell = ["lstm", "gru"]\n'
SEARCHED = Request(target="load", time="when", horizon=2, window=6, epochs=2, batch_size=32, dropout=0.1)


def test_a_search_takes_the_lowest_validation_loss_and_judges_it_once(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(SPACE)
    wish = Search(trials=5, space=str(tmp_path / "space.toml"))
    study = study_of(waves(160), wish, tmp_path / "study", request=SEARCHED)
    trials = [trial for trial in open_trials(study.folder, study.record).get_trials() if trial.state.name == "COMPLETE"]
    best = min(trials, key=lambda trial: trial.value)
    assert "plan" not in best.user_attrs, "this test is about a search that finds something better than the plan"
    plan = RunFolder(tmp_path / "study" / "best").read("config.json", Plan)
    assert (plan.model.hidden_size, plan.model.cell) == (best.params["hidden_size"], best.params["cell"])
    assert plan.training.learning_rate == best.params["learning_rate"]
    losses = [row.validation_loss for row in RunFolder(tmp_path / "study" / "best").read_history()]
    assert min(losses) == best.value, "trained again, it is the same training"
    (tmp_path / "best.toml").write_text(study.result.settings)
    from gatework.config import read_request

    assert read_request(tmp_path / "best.toml").learning_rate == best.params["learning_rate"]
    assert not list((tmp_path / "study").glob("trials/*/evaluation.json")), "no trial is judged on the test part"
    again = study_of(waves(160), wish, tmp_path / "again", request=SEARCHED)
    assert [trial.params for trial in open_trials(again.folder, again.record).get_trials()] == [
        trial.params for trial in open_trials(study.folder, study.record).get_trials()
    ], "the same seed, the same trials"
    assert write_study_report(study.folder).is_file()


def test_a_search_never_ends_worse_than_the_plan_even_where_its_space_leaves_the_plan_out(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text("learning_rate = { low = 1e-7, high = 1e-6 }\nhidden_size = [8, 9]\nsegment = [1, 2]\n")
    wish = Search(trials=2, space=str(tmp_path / "space.toml"))
    study = study_of(waves(160), wish, tmp_path / "study", request=SEARCHED)
    alone = trained(waves(160), SEARCHED, tmp_path / "alone")
    first, second = open_trials(study.folder, study.record).get_trials()
    assert min(row.validation_loss for row in alone.read_history()) == first.value < second.value
    assert first.user_attrs["plan"] == {"learning_rate": 2e-3, "hidden_size": 32, "segment": 1}
    assert first.params == {"segment": 1}, "what the space leaves out is offered to no other trial"
    weights = [load_file(folder.file("model.safetensors")) for folder in (alone, RunFolder(tmp_path / "study" / "best"))]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert "it is the plan of a training without a search" in study.result.verdict[0]
    assert [row.name for row in study.result.tables[1].rows] == ["1 (the plan)", "2"]


def test_a_killed_trial_of_the_plan_is_made_again(tmp_path: Path) -> None:
    wish = Search(trials=1)
    with pytest.raises(KeyboardInterrupt):
        study_of(waves(120), wish, tmp_path / "study", watch=Interrupts(1))
    folder = RunFolder(tmp_path / "study")
    (folder.path / "trials.journal").unlink()  # as if it had been killed in its first trial
    record = folder.read(STUDY, StudyRecord)
    trials, arena = open_trials(folder, record), Arena.open(folder, record, TINY)
    enqueue_plan(arena, trials)
    trials.ask()
    enqueue_plan(arena, trials)
    assert len(trials.get_trials()) == 1, "it is under way"
    study = study_of(waves(120), wish, tmp_path / "study")
    ended = [(trial.state.name, "plan" in trial.user_attrs) for trial in open_trials(folder, study.record).get_trials()]
    assert ended == [("FAIL", True), ("COMPLETE", True)]


def test_a_search_goes_on_where_it_stopped_and_forgets_a_killed_trial(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        study_of(waves(120), Search(trials=4), tmp_path / "study", watch=Interrupts(2))
    folder = RunFolder(tmp_path / "study")
    trials = open_trials(folder, folder.read(STUDY, StudyRecord))
    done = [trial.number for trial in trials.get_trials() if trial.state.is_finished()]
    lost = trials.ask()
    notes = Notes()
    study = study_of(waves(120), Search(trials=4), tmp_path / "study", watch=notes)
    every = open_trials(folder, study.record).get_trials()
    assert {trial.number: trial.state.name for trial in every}[lost.number] == "FAIL"
    assert sum(trial.state.name in ("COMPLETE", "PRUNED") for trial in every) == 4
    assert len(notes.said) == 4 - len(done)
    ends = [int(count) for count in re.findall(r"(\d+) (?:finished|ended early|interrupted)", study.result.verdict[0])]
    assert len(ends) == 3 and sum(ends) == len(every)  # noqa: PT018
    assert int(re.findall(r"Of (\d+) trials", study.result.verdict[0])[0]) == len(every)
    forget_killed(trials)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hidden = 3", "Did you mean 'hidden_size'?"),
        ("dropout = { low = 0.5, high = 0.1 }", "a range whose low is below its high"),
        ("dropout = { low = 0.0, high = 0.1, log = true }", "above 0 with log"),
        ("dropout = []", "expected a list of choices"),
        ("", "names no option"),
        ("target = ['a']", "There is no option 'target' to search"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        study_of(waves(120), Search(trials=1, space=str(tmp_path / "space.toml")), tmp_path / "study", request=SEARCHED)
    assert words in str(caught.value)
    assert not (tmp_path / "study" / "study.json").exists()  # so that the corrected search may have the folder


@pytest.mark.parametrize("storage", ["sqlite:////no/such/folder/trials.db", "nonsense", "postgresql://localhost:1/none"])
def test_a_storage_that_cannot_be_reached_is_refused(storage: str, tmp_path: Path) -> None:
    message = refusal(lambda: study_of(waves(120), Search(trials=1, storage=storage), tmp_path / "study"), ConfigError)
    assert f"'{storage}' cannot be reached" in message


# Bad input


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Backtest(windows=60), "Give fewer --windows"),
        (Curve(shares=(0.5, 1.0)), "at least three different ones"),
        (Curve(seeds=0), "seeds is 0"),
        (Seeds(members=1), "at least 2"),
        (Sweep(options=("colour",)), "expected one of dropout"),
        (Sweep(options=("dropout",), values={"dropout": (1.5,)}), "in its range"),
        (Sweep(options=("hidden_size",), values={"hidden_size": (2.5,)}), "a whole number"),
        (Sweep(options=()), "No option was given"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_before_anything_is_trained(wish: object, words: str, tmp_path: Path) -> None:
    with pytest.raises(GateworkError) as caught:
        study_of(waves(100), wish, tmp_path / "study")
    assert words in str(caught.value)
    assert not list(tmp_path.rglob("model.safetensors"))


def test_a_group_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    request = TINY_CLASSES.model_copy(update={"group": "town"})
    with pytest.raises(GateworkError, match="town"):
        study_of(latches(20, steps=3), Folds(k=2), tmp_path / "study", request=request)


def test_configurations_must_differ_and_need_a_study_that_compares(tmp_path: Path) -> None:
    assert "two of them are equal" in refusal(
        lambda: study_of(waves(100), Folds(k=2), tmp_path / "a", against=[TINY]), ConfigError
    )
    gru = TINY.model_copy(update={"cell": "gru"})
    assert "the study is a seeds" in refusal(lambda: study_of(waves(100), Seeds(), tmp_path / "b", against=[gru]), ConfigError)
    with pytest.raises(ConfigError, match="processes is 0"):
        study_of(waves(100), Folds(k=2), tmp_path / "c", processes=0)


def test_the_page_of_an_unfinished_study_is_refused(tmp_path: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        study_of(waves(100), Folds(k=2), tmp_path / "study", watch=Interrupts(1))
    assert "goes on where it stopped" in refusal(lambda: write_study_report(tmp_path / "study"), RunError)
