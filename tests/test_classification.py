"""The options of classification, end to end: what each decides, stores and changes."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from gatework.errors import ConfigError, DataError, GateworkError
from gatework.evaluate import evaluate_run, load
from gatework.evaluate.elsewhere import comparison
from gatework.model import load_trained
from gatework.runs import Decision, Evaluation, MetricInfo, Plan, RunFolder, Score, ScoreRow
from gatework.tasks import planned_task
from gatework.train import Request, plan_run, resume_run
from gatework.train.augment import Augmenter, Columns
from gatework.train.decision import with_class_weights
from small_runs import CLASSES, QUICK, latches, means, trained, waves


def people(count: int = 120, each: int = 3) -> pl.DataFrame:
    """Latches, three of each person; a fifth of them 'up' from the seventh person on."""
    frame = latches(count, 6)
    number = pl.col("id").str.slice(1).cast(pl.Int64)
    return frame.with_columns(patient=(number // each).cast(pl.String))


DECIDED = CLASSES.model_copy(
    update={
        "group": "patient",
        "cost": {"FALSE_ALARM": 1.0, "MISS": 20.0},
        "class_weights": "balanced",
        "loss": "focal",
        "positive": "up",
        "pooling": "attention",
        "epochs": 2,
    }
)


@pytest.fixture(scope="module")
def decided(tmp_path_factory) -> RunFolder:
    """A trained and judged run with everything asked for."""
    folder = tmp_path_factory.mktemp("decided")
    people().write_csv(folder / "here.csv")
    run = trained(str(folder / "here.csv"), DECIDED, folder / "run")
    evaluate_run(run)
    return run


def test_the_pooling_asked_for_is_planned_stored_and_built(decided):
    assert decided.read("config.json", Plan).model.pooling == "attention"
    assert "head.pool.attention.query" in dict(load_trained(decided)[0].network.named_parameters())


def test_a_pooling_left_out_has_its_reason():
    plan, _ = plan_run(latches(60, 6), CLASSES)
    assert plan.reasons["pooling"].startswith("summary:")


def test_nobody_is_in_two_parts_and_intervals_draw_whole_people(decided):
    parts = decided.read_text("split.json")
    evaluation = decided.read("evaluation.json", Evaluation)
    people_of = [{int(name[1:]) // 3 for name in names} for names in json.loads(parts)["sequences"].values() if names]
    assert sum(map(len, people_of)) == len(set().union(*people_of)) == 40
    assert evaluation.resampled.endswith("values of 'patient'")
    assert evaluation.num_samples > int(evaluation.resampled.split()[0])


def test_the_table_is_led_by_the_cost_and_shows_what_two_classes_need(decided):
    evaluation = decided.read("evaluation.json", Evaluation)
    names = [metric.name for metric in evaluation.metrics]
    assert names[0] == "cost"
    assert {"sensitivity", "specificity", "precision", "PR-AUC", "precision at k", "MCC", "balanced accuracy"} <= set(names)
    figures = {figure.name for figure in evaluation.figures}
    assert {"precision-recall", "receiver", "by-threshold", "cost-by-threshold", "calibration-before-and-after"} <= figures


def test_predictions_decide_by_the_stored_threshold(decided):
    fitted = decided.read("decision.json", Decision)
    frame = load(decided).predict(people().drop("label")).frame
    above = frame["probability up"] >= fitted.threshold
    assert fitted.threshold is not None
    assert (frame["decision"] == "up").to_list() == above.to_list()
    sums = (frame["probability up"] + frame["probability down"]).to_numpy()
    assert np.allclose(sums, 1.0)


def test_the_cost_in_the_table_is_that_of_the_decisions(decided):
    frame = pl.read_parquet(decided.path / "predictions.parquet")
    missed = ((frame["truth"] == "up") & (frame["decision"] == "down")).sum()
    alarms = ((frame["truth"] == "down") & (frame["decision"] == "up")).sum()
    model = decided.read("evaluation.json", Evaluation).rows[0]
    assert model.scores["cost"].value == pytest.approx((20 * missed + alarms) / frame.height)


def test_the_test_part_has_no_say_in_calibration_and_threshold(decided, tmp_path):
    """Other answers in the test part: the same decision.json."""
    record = json.loads(decided.read_text("split.json"))["sequences"]
    where = {name: part for part, names in record.items() for name in names}
    frame = people().with_columns(part=pl.col("id").replace_strict(where))
    request = DECIDED.model_copy(update={"split_column": "part"})
    flipped = pl.when((pl.col("part") == "test") & (pl.col("id") != "s000")).then(
        pl.when(pl.col("label") == "up").then(pl.lit("down")).otherwise(pl.lit("up"))
    )
    one = trained(frame, request, tmp_path / "one")
    other = trained(frame.with_columns(label=flipped.otherwise(pl.col("label"))), request, tmp_path / "other")
    assert one.read_text("decision.json") == other.read_text("decision.json")


def test_other_data_is_scored_beside_the_test_part(decided, tmp_path):
    before = decided.read_text("evaluation.json")
    people(60).drop("patient").with_columns(id="b" + pl.col("id")).write_csv(tmp_path / "site-b.csv")
    evaluation = evaluate_run(decided, str(tmp_path / "site-b.csv"))
    assert decided.read_text("evaluation.json") == before
    assert decided.has("evaluation-site-b.json")
    assert decided.has("predictions-site-b.parquet")
    assert evaluation.resampled == "60 sequences"  # the file names nobody, so that sequences are the units
    assert "on this data against" in evaluation.verdict[-1]


def test_a_comparison_with_another_site_says_whether_it_is_clear():
    def evaluation(value: float, half: float) -> Evaluation:
        score = Score(value=value, low=value - half, high=value + half)
        metric = MetricInfo(name="AUROC", better="higher", meaning="")
        row = ScoreRow(name="LSTM", kind="model", description="", scores={"AUROC": score})
        return Evaluation(task="classify", part="test", num_samples=9, resampled="", metrics=(metric,), rows=(row,), verdict=())

    assert "no clear difference" in comparison(evaluation(0.9, 0.03), evaluation(0.87, 0.04))
    assert "clearly worse here" in comparison(evaluation(0.9, 0.03), evaluation(0.8, 0.04))
    # the half width of a difference of independent quantities: the root of the sum of squares, here 0.05
    assert "-0.15 to -0.05" in comparison(evaluation(0.9, 0.03), evaluation(0.8, 0.04))


def test_a_refitted_run_ends_with_the_weights_of_a_training_on_both_parts(tmp_path):
    """Trained anew for as many epochs as were of use; an interruption in between changes nothing."""
    request = CLASSES.model_copy(update={"epochs": 2, "refit": True})
    frame = latches(60, 6)
    once = trained(frame, request, tmp_path / "once")
    again = trained(frame, request, tmp_path / "again")
    for name in ("model.safetensors", "refit/checkpoint.safetensors"):
        again.file(name).unlink()
    again.update_manifest(status="training")
    resume_run(again, frame)
    assert again.file("model.safetensors").read_bytes() == once.file("model.safetensors").read_bytes()
    plain = trained(frame, request.model_copy(update={"refit": False}), tmp_path / "plain")
    assert plain.file("model.safetensors").read_bytes() != once.file("model.safetensors").read_bytes()
    assert plain.read_text("history.jsonl").count("\n") == once.read_text("history.jsonl").count("\n")


def test_balanced_weights_give_every_class_the_same_say():
    frame = latches(90, 6).filter((pl.col("label") == "up") | (pl.col("id") < "s030"))
    plan, dataset = plan_run(frame, CLASSES.model_copy(update={"class_weights": "balanced"}))
    from gatework.tasks import planned_task

    task = planned_task(plan)
    train = task.samples(dataset.prepared, dataset.split, "train")
    weighed = with_class_weights(task, plan.training, train)
    counts = np.bincount(dataset.prepared.targets[train.sequence])
    assert np.asarray(weighed.loss_of_classes.weights) * counts == pytest.approx([len(train) / 2] * 2)


# Bad input


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"class_weights": {"side": 2.0}}, r"--class-weights names 'side', which is no class.*Expected one of down, up"),
        ({"class_weights": {"up": 0.0}}, r"--class-weights gives 'up' 0\.0; expected a positive number"),
        ({"cost": {"FALSE": 2.0}}, r"--cost names 'FALSE', which is no class.*FALSE_ALARM, MISS"),
        ({"positive": "side"}, r"--positive names 'side', which is no class"),
        ({"min_sensitivity": 1.2}, r"min_sensitivity is 1\.2; expected a share"),
        ({"cost": {"MISS": 2.0}, "min_precision": 0.5}, r"each of them sets the threshold.*Leave the others out"),
        ({"precision_at": 0}, r"precision_at is 0; expected a count"),
        ({"loss": "mae"}, r"loss is mae, but the task is classify. Expected cross-entropy or focal"),
        ({"group": "patience"}, r"There is no column 'patience' \(--group\).*Did you mean 'patient'"),
        ({"group": "patient", "split_by": "stratified"}, r"--group is 'patient' and --split-by is stratified"),
    ],
)
def test_an_impossible_wish_says_what_is_expected(changes, said):
    with pytest.raises(ConfigError, match=said):
        plan_run(people(60), CLASSES.model_copy(update=changes))


@pytest.mark.parametrize("name", ["class_weights", "positive", "min_sensitivity", "precision_at", "cost"])
def test_options_of_classes_mean_nothing_to_other_tasks(name):
    value = {"class_weights": "balanced", "positive": "a", "min_sensitivity": 0.5, "precision_at": 3, "cost": {"a": 1.0}}[name]
    with pytest.raises(ConfigError, match=rf"{name} is .*, but the task is regress, which has no classes"):
        plan_run(means(30), Request(target="answer", series="id", time="step", **{name: value}))


def test_a_pooling_means_nothing_to_a_forecast():
    with pytest.raises(ConfigError, match=r"pooling is max, but the task is forecast.*Leave it out"):
        plan_run(waves(), QUICK.model_copy(update={"pooling": "max"}))


def test_a_person_in_two_parts_of_a_given_split_is_refused():
    frame = people(60).with_columns(part=pl.when(pl.col("id") < "s030").then(pl.lit("train")).otherwise(pl.lit("test")))
    plan_run(frame, CLASSES.model_copy(update={"group": "patient", "split_column": "part"}))
    torn = frame.with_columns(part=pl.when(pl.col("id") == "s000").then(pl.lit("test")).otherwise(pl.col("part")))
    with pytest.raises(DataError, match=r"1 values of 'patient' in several parts: '0' is in train and test"):
        plan_run(torn, CLASSES.model_copy(update={"group": "patient", "split_column": "part"}))


def test_a_group_that_varies_within_a_series_is_refused():
    frame = people(30).with_columns(patient=pl.col("step").cast(pl.String))
    with pytest.raises(DataError, match=r"Column 'patient' has 6 different values in series.*--group"):
        plan_run(frame, CLASSES.model_copy(update={"group": "patient"}))


def test_a_series_without_a_group_is_named():
    frame = people(60).with_columns(patient=pl.when(pl.col("id") != "s004").then(pl.col("patient")))
    with pytest.raises(DataError, match=r"names no group for 1 of 60 series, the first is 's004'"):
        plan_run(frame, CLASSES.model_copy(update={"group": "patient"}))


def test_a_training_part_with_one_class_is_refused_and_a_test_part_is_noted():
    frame = latches(60, 6)
    ups = pl.when(pl.col("label") == "up").then(pl.lit("train")).otherwise(pl.lit("test"))
    with pytest.raises(GateworkError, match=r"Class 'down'|one class only"):
        plan_run(frame.with_columns(part=ups), CLASSES.model_copy(update={"split_column": "part"}))
    lonely = pl.when((pl.col("label") == "up") & (pl.col("id") < "s020")).then(pl.lit("test")).otherwise(pl.lit("train"))
    _, dataset = plan_run(frame.with_columns(part=lonely), CLASSES.model_copy(update={"split_column": "part"}))
    assert any("The test part has sequences of one class only, 'up'" in note for note in dataset.split.record.notes)


def test_a_k_beyond_the_part_is_refused(tmp_path):
    run = trained(latches(60, 6), CLASSES.model_copy(update={"epochs": 1, "precision_at": 50, "refit": False}), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"precision_at is 50, and the part that is judged has \d+ sequences"):
        evaluate_run(run, latches(60, 6))


# Few sequences


def test_few_sequences_train_longer_with_noise_and_are_all_used_in_the_end():
    request = CLASSES.model_copy(update={"epochs": None})
    plan, _ = plan_run(latches(40, 6), request)
    assert plan.training.epochs == 200  # 28 sequences are 2 steps a pass
    assert plan.training.augment == {"jitter": 0.2}
    assert plan.training.refit
    assert {"augment", "refit", "epochs"} <= set(plan.reasons)
    plain, _ = plan_run(latches(40, 6), request.model_copy(update={"augment": ("jitter=0",), "refit": False, "epochs": 7}))
    assert plain.training.augment == {"jitter": 0.0}
    assert (plain.training.refit, plain.training.epochs) == (False, 7)


@pytest.mark.parametrize("cell", ["t_lstm", "phased"])
def test_noise_leaves_what_a_cell_reads_of_the_clock_as_it_is(cell, tmp_path):
    request = CLASSES.model_copy(
        update={"epochs": 1, "cell": cell, "augment": ("jitter", "scale", "warp", "mixup"), "num_layers": 2}
    )
    plan, dataset = plan_run(latches(40, 6), request)
    samples = planned_task(plan).samples(dataset.prepared, dataset.split, "train")
    batch = samples.batch(np.arange(8))
    columns = Columns.of(dataset.preparation, dataset.prepared)
    varied = Augmenter({"jitter": 0.5, "scale": 0.5}, columns, seed=0).vary(batch, 1, 1).batch.inputs.values
    clock = len(dataset.prepared.clock_names)
    assert clock == 1
    assert torch.equal(varied[:, -clock:], batch.inputs.values[:, -clock:])
    assert (varied[:, :-clock] != batch.inputs.values[:, :-clock]).any(dim=1).all()
    assert trained(latches(40, 6), request, tmp_path / "run").read_history()


def layers_of(data: pl.DataFrame, request: Request = CLASSES) -> tuple[int, bool]:
    """How many layers are planned, and whether it is said why."""
    plan, _ = plan_run(data, request)
    return plan.model.num_layers, "num_layers" in plan.reasons


def test_few_long_sequences_get_a_second_layer_and_short_or_many_or_other_answers_do_not():
    assert layers_of(latches(40, 50)) == (2, True)
    assert layers_of(latches(40, 49)) == (1, False)
    assert layers_of(latches(2000, 50)) == (1, False)
    assert layers_of(latches(40, 50), CLASSES.model_copy(update={"num_layers": 1})) == (1, False)
    assert layers_of(latches(40, 6), CLASSES.model_copy(update={"num_layers": 3})) == (3, False)
    assert layers_of(means(30, 60), Request(target="answer", series="id", time="step")) == (1, False)
    assert layers_of(waves(200), QUICK) == (1, False)


def test_sequences_of_unequal_length_are_long_by_their_mean():
    mixed = pl.concat([latches(20, 80, seed=1), latches(20, 20, seed=2).with_columns(id="short " + pl.col("id"))])
    assert layers_of(mixed) == (2, True)  # 50 on average
    shorter = mixed.filter((pl.col("id") != "short s000") | (pl.col("step") > 0))
    assert layers_of(shorter) == (1, False)


def test_the_second_layer_is_built_stored_and_gone_on_with(tmp_path):
    quick = CLASSES.model_copy(update={"epochs": 1, "refit": False, "hidden_size": 8})
    run = trained(latches(40, 60), quick, tmp_path / "run")
    network = load_trained(run)[0].network
    shapes = {name: tuple(weight.shape) for name, weight in network.named_parameters() if "weight_ih_l1" in name}
    assert set(shapes.values()) == {(32, 16)}  # four gates of 8 units read both directions of the first layer
    plan, _ = plan_run(latches(40, 6), quick.model_copy(update={"hidden_size": None, "init_from": str(run.path)}))
    assert plan.model.num_layers == 2
    old = trained(latches(40, 60), quick.model_copy(update={"num_layers": 1}), tmp_path / "old")
    plan, _ = plan_run(latches(40, 60), quick.model_copy(update={"hidden_size": None, "init_from": str(old.path)}))
    assert plan.model.num_layers == 1
    assert "num_layers" not in plan.reasons


def test_a_forecast_and_a_regression_get_no_noise_by_themselves():
    assert plan_run(waves(200), QUICK)[0].training.augment == {}
    assert plan_run(means(30), Request(target="answer", series="id", time="step"))[0].training.augment == {}
