"""A training that starts from another run: what means the same has the old weights, what is new changes nothing at first."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from gatework.data.prepare import Preparation
from gatework.errors import ConfigError, RunError
from gatework.evaluate import evaluate_run
from gatework.evaluate.run import network_outputs
from gatework.model import load_trained
from gatework.runs import Manifest, Plan, RunFolder
from gatework.train import Request, resume_run
from gatework.train.planning import plan_run
from gatework.train.run import make_training
from gatework.train.start import by_name, columns_of
from gatework.train.watch import Silent
from small_runs import CLASSES, QUICK, latches, sites, trained
from test_resume import Stops, interrupted

MANY = QUICK.model_copy(update={"series": "site", "known_future": ("price",), "epochs": 1, "hidden_size": 6, "batch_size": 128})
FEW = Request(target="load", time="when", series="site", known_future=("price",), epochs=1)
WEIGHTS = "model.safetensors"


class Told(Silent):
    """Keeps the sentences."""

    def __init__(self):
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> RunFolder:
    return trained(sites(["a", "b", "c"]), MANY, tmp_path_factory.mktemp("many") / "run")


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> RunFolder:
    return trained(latches(40), CLASSES.model_copy(update={"epochs": 1}), tmp_path_factory.mktemp("speech") / "run")


def begun(data: pl.DataFrame, request: Request, tmp_path: Path):
    """The training as it stands before its first step, its plan and data, and what was said."""
    plan, dataset = plan_run(data, request)
    watch = Told()
    return make_training(plan, dataset, RunFolder(tmp_path / "begun"), watch), plan, dataset, watch.notes


def few(**asked: object) -> pl.DataFrame:
    return sites(["d"], count=150).with_columns(**asked)


def test_on_the_old_scales_the_network_answers_as_before(many, tmp_path):
    request = FEW.model_copy(update={"init_from": str(many.path), "keep_scales": True})
    training, plan, dataset, notes = begun(few(), request, tmp_path)
    old, _ = load_trained(many)
    assert dataset.preparation.record.fields == old.preparation.record.fields
    for name, tensor in old.network.state_dict().items():
        assert torch.equal(training.network.state_dict()[name], tensor), name
    assert plan.model == old.plan.model
    assert (plan.horizon, plan.window) == (3, 8)
    assert "network" in plan.reasons
    assert not notes


def test_a_new_input_changes_nothing_at_first(many, tmp_path):
    generator = np.random.default_rng(0)
    data = few(humidity=pl.Series(generator.normal(size=150)), planned=pl.Series(generator.normal(size=150)))
    request = FEW.model_copy(update={"init_from": str(many.path), "keep_scales": True, "known_future": ("price",)})
    training, _, _, notes = begun(data, request, tmp_path)
    same, _, _, _ = begun(data.drop("humidity", "planned"), request, tmp_path)
    np.testing.assert_allclose(
        network_outputs(training.network, training.train), network_outputs(same.network, same.train), atol=1e-6
    )  # float32 sums of the same terms and some zeros
    assert any("'humidity', 'planned': unknown to" in note and "weights of zero" in note for note in notes)


def test_an_input_that_is_gone_is_named(many, tmp_path):
    _, _, _, notes = begun(few().drop("temp"), FEW.model_copy(update={"init_from": str(many.path)}), tmp_path)
    assert any("'temp': an input of" in note and "left out" in note for note in notes)


def test_the_scales_are_those_of_the_new_data_unless_the_old_ones_are_kept(many, tmp_path):
    data = few().with_columns(pl.col("load") * 100)
    request = FEW.model_copy(update={"init_from": str(many.path)})
    _, plan, dataset, _ = begun(data, request, tmp_path)
    scale = dataset.preparation.record.fields[-1].scale
    rows = dataset.split.rows_of("train")
    assert scale.mean == pytest.approx(float(np.mean(data["load"].to_numpy()[rows])))
    assert "levels differ" in plan.reasons["scales"]
    _, _, other, _ = begun(data, request.model_copy(update={"keep_scales": True}), tmp_path)
    old = Preparation.from_json(many.read_text("prepare.json")).record.fields[-1].scale
    assert other.preparation.record.fields[-1].scale == old


def test_a_target_of_another_name_takes_the_old_ones_place(many, tmp_path):
    data = few().rename({"load": "sales"})
    request = FEW.model_copy(update={"init_from": str(many.path), "target": "sales", "keep_scales": True})
    training, _, _, notes = begun(data, request, tmp_path)
    old, _ = load_trained(many)
    for name, tensor in old.network.state_dict().items():
        assert torch.equal(training.network.state_dict()[name], tensor), name
    assert not notes


def test_a_logarithm_is_taken_where_the_old_run_took_one(many, tmp_path):
    data = few(temp=pl.Series(np.exp(np.random.default_rng(0).normal(size=150) * 2)))
    _, plain = plan_run(data, FEW)
    _, like = plan_run(data, FEW.model_copy(update={"init_from": str(many.path)}))
    is_log = {
        which: next(field for field in dataset.preparation.record.fields if field.name == "temp").scale.is_log
        for which, dataset in (("plain", plain), ("like", like))
    }
    assert is_log == {"plain": True, "like": False}


def test_other_classes_get_a_fresh_head_on_the_old_layers(speech, tmp_path):
    data = latches(60).with_columns(label=pl.Series([f"c{int(name[1:]) % 3}" for name in latches(60)["id"]]))
    request = Request(target="label", series="id", time="step", task="classify", epochs=1, init_from=str(speech.path))
    training, _, _, notes = begun(data, request, tmp_path)
    old, _ = load_trained(speech)
    for name, tensor in old.network.recurrent.state_dict().items():
        assert torch.equal(training.network.recurrent.state_dict()[name], tensor), name
    assert training.network.state_dict()["head.read.weight"].shape[0] == 3
    assert any("knows the classes 'down', 'up', this data 'c0', 'c1', 'c2': the head starts anew" in note for note in notes)


def test_frozen_layers_keep_their_bits_and_the_head_learns(speech, tmp_path):
    request = Request(
        target="label", series="id", time="step", task="classify", epochs=2, init_from=str(speech.path), freeze=True
    )
    run = trained(latches(30, seed=1), request, tmp_path / "run")
    (old, _), (new, _) = load_trained(speech), load_trained(run)
    for name, tensor in old.network.state_dict().items():
        assert torch.equal(new.network.state_dict()[name], tensor) == name.startswith("recurrent"), name
    assert run.read("config.json", Plan).training.freeze


def test_a_smaller_learning_rate_is_inferred_and_said(speech, tmp_path):
    request = Request(target="label", series="id", time="step", task="classify", init_from=str(speech.path))
    plan, _ = plan_run(latches(30), request)
    assert plan.training.learning_rate == 5e-4
    assert "quarter" in plan.reasons["learning_rate"]
    frozen, _ = plan_run(latches(30), request.model_copy(update={"freeze": True}))
    assert frozen.training.learning_rate == 2e-3


def test_it_resumes_to_the_same_weights_and_does_so_without_the_old_run(speech, tmp_path):
    data = latches(30, seed=1)
    copy = shutil.copytree(speech.path, tmp_path / "old")
    request = Request(target="label", series="id", time="step", task="classify", epochs=2, init_from=str(copy))
    request = request.model_copy(update={"refit": False})  # a second training would start from the old weights again
    whole = trained(data, request, tmp_path / "whole")
    run = interrupted(data, request, tmp_path / "stopped", Stops(1))
    again = interrupted(data, request, tmp_path / "early", Stops(1, 1))
    shutil.rmtree(copy)
    resumed = resume_run(run, source=data, watch=Silent())
    assert resumed.file(WEIGHTS).read_bytes() == whole.file(WEIGHTS).read_bytes()
    with pytest.raises(RunError, match="is not a run folder"):
        resume_run(again, source=data, watch=Silent())  # no epoch was finished: the old weights are needed again
    assert evaluate_run(resumed, data=data).num_samples > 0  # fitting again gives the same preparation
    assert whole.read("config.json", Plan).training.init_sha256 == load_trained(speech)[1]


def test_the_notes_are_kept_with_the_run(many, tmp_path):
    request = FEW.model_copy(update={"init_from": str(many.path)})
    run = trained(few().drop("temp"), request, tmp_path / "run")
    assert any("its weights were left out" in note for note in run.read("run.json", Manifest).notes)


def test_weights_are_sorted_by_name_step_after_step():
    old = torch.arange(12.0).reshape(2, 6)  # two steps of three columns
    new = by_name(old, ("a", "b", "c"), ("c", "x", "a"))
    assert new.tolist() == [[2, 0, 0, 5, 0, 3], [8, 0, 6, 11, 0, 9]]


def test_the_columns_of_a_run_are_those_that_its_network_reads(many):
    plan, dataset = plan_run(sites(["a", "b", "c"]), MANY)
    prepared = dataset.prepared
    columns = (*prepared.input_names, *prepared.future_names, *prepared.static_names)
    known = columns_of(Preparation.from_json(many.read_text("prepare.json")))
    assert known == (columns, tuple(prepared.future_names))
    assert plan.training.init_from == ""


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"hidden_size": 16}, r"hidden_size is 16, but '.*' has hidden_size 6.* Leave --hidden-size out"),
        ({"cell": "gru"}, r"cell is gru, but '.*' has cell lstm"),
        ({"target": ("load", "temp")}, r"forecasts 1 targets \(load\); this training has 2"),
    ],
)
def test_another_network_or_question_is_refused(many, asked, message):
    with pytest.raises(ConfigError, match=message):
        plan_run(few(), FEW.model_copy(update={"init_from": str(many.path), **asked}))


def test_another_task_and_half_a_wish_are_refused(speech):
    with pytest.raises(ConfigError, match="is a run of the task classify; this training is one of forecast"):
        plan_run(few(), FEW.model_copy(update={"init_from": str(speech.path)}))
    with pytest.raises(ConfigError, match="--keep-scales was given without a run to start from"):
        plan_run(few(), FEW.model_copy(update={"keep_scales": True}))
    with pytest.raises(RunError, match="is not a run folder"):
        plan_run(few(), FEW.model_copy(update={"init_from": "nowhere"}))
