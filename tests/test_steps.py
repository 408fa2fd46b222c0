"""An answer for every step: what is read, what is judged, how it is divided, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from gatework.data.prepare import Preparation
from gatework.data.recognise import Wishes, recognise
from gatework.data.split import PARTS, apply_split, make_split
from gatework.data.step_samples import StepSamples
from gatework.errors import ConfigError, DataError
from gatework.evaluate import evaluate_run, load
from gatework.evaluate.bootstrap import step_units
from gatework.model import build_model, sizes_for
from gatework.report import write_report
from gatework.runs import Evaluation, ModelPlan, Plan, SplitPlan
from gatework.tasks import ClassifySteps
from gatework.tasks.baselines import followed_by, last_known, running_features
from gatework.tasks.judge_steps import class_baselines
from gatework.tasks.task import Case
from gatework.train import Request, resume_run
from gatework.train.planning import plan_run
from refusals import refusal
from small_runs import trained
from tables import STRATIFIED, TIME, prepared_and_fit, step_answer_table

LENGTHS = [9, 30, 1, 17, 5] * 4
COLUMN = SplitPlan(kind="column", column="part")


def frame_of(lengths: list[int], **options: object) -> pl.DataFrame:
    return step_answer_table(lengths, **options).steps  # type: ignore[arg-type]


def samples_of(table, plan: SplitPlan, part: str = "train", window: int = 4, piece: int = 5) -> StepSamples:
    split, _, prepared = prepared_and_fit(table, plan)
    return StepSamples(prepared, split, part, window=window, piece=piece)


# what is read


@pytest.mark.parametrize(("window", "piece"), [(1, 1), (4, 5), (7, 3), (512, 512)])
@pytest.mark.parametrize("part", PARTS)
def test_a_piece_is_the_rows_that_its_place_in_the_sequence_says(window, piece, part):
    samples = samples_of(step_answer_table(LENGTHS, missing=0.2), TIME, part, window, piece)
    prepared = samples.prepared
    judged = []
    for number in range(len(samples)):
        batch = samples.batch(np.array([number]))
        assert batch.judged is not None
        rows = samples.rows[len(judged) : len(judged) + len(batch.judged)]
        start = prepared.offsets[samples.sequence[len(judged)]]
        first = start + (rows[0] - start) // piece * piece
        begin = max(start, first - window)
        assert rows[-1] < first + piece
        expected = np.concatenate(
            [
                prepared.inputs[begin : rows[-1] + 1],
                np.tile(prepared.static[samples.sequence[len(judged)]], (rows[-1] + 1 - begin, 1)),
            ],
            1,
        )
        np.testing.assert_array_equal(batch.inputs.values.numpy(), expected)
        assert (batch.judged.numpy() + begin).tolist() == rows.tolist()
        assert batch.targets.tolist() == prepared.targets[rows].tolist()
        judged += rows.tolist()
    assert judged == samples.rows.tolist()
    together = samples.batch(np.arange(len(samples)))
    assert together.judged is not None
    assert set((together.inputs.offsets[1:] - 1).tolist()) <= set(together.judged.tolist()), "a piece ends with a judged step"


@pytest.mark.parametrize("part", PARTS)
def test_the_judged_steps_are_those_of_the_part_whose_answer_is_known(part):
    table = step_answer_table(LENGTHS, missing=0.3)
    split, _, prepared = prepared_and_fit(table, TIME)
    samples = StepSamples(prepared, split, part, window=4, piece=5)
    known = split.rows_of(part) & table.steps["state"].is_not_null().to_numpy()
    assert samples.rows.tolist() == np.flatnonzero(known).tolist()
    assert len(StepSamples(prepared, None, part, 4, 5).rows) == table.steps.height


def outputs_of(samples: StepSamples, model) -> np.ndarray:
    with torch.no_grad():
        return model.predict(samples.batch(np.arange(len(samples)))).numpy()


def small_model(prepared, bidirectional: bool = False):
    plan = Plan.model_validate(
        {
            "data": {"task": "classify_steps", "targets": ["state"], "fields": []},
            "split": {"kind": "time"},
            "model": ModelPlan(hidden_size=5, bidirectional=bidirectional),
        }
    )
    return build_model(plan, sizes_for(plan, prepared), ClassifySteps(4, 5), seed=0).eval()


def test_no_later_step_and_no_answer_changes_an_answer():
    table = step_answer_table([40, 25])
    preparation = Preparation.fit(table, make_split(table, TIME))
    before = preparation.apply(table)
    model = small_model(before)
    answers = outputs_of(StepSamples(before, None, "test", 6, 8), model)
    cut = 20
    later = pl.int_range(pl.len()).over("site") >= cut
    changed = replace(
        table,
        steps=table.steps.with_columns(pl.when(later).then(99.0).otherwise(pl.col("x")).alias("x"), pl.lit("on").alias("state")),
    )
    others = outputs_of(StepSamples(preparation.apply(changed), None, "test", 6, 8), model)
    place = np.concatenate([np.arange(40), np.arange(25)])
    np.testing.assert_array_equal(answers[place < cut], others[place < cut])
    assert np.abs(answers - others)[place >= cut].min() > 0


def test_the_answer_to_a_step_is_the_same_in_every_part_and_in_new_data():
    table = step_answer_table(LENGTHS)
    split, _, prepared = prepared_and_fit(table, TIME)
    model = small_model(prepared)
    whole = outputs_of(StepSamples(prepared, None, "test", 4, 5), model)
    for part in PARTS:
        samples = StepSamples(prepared, split, part, 4, 5)
        np.testing.assert_allclose(outputs_of(samples, model), whole[samples.rows], atol=1e-6)  # float32, another batch


def test_window_and_piece_are_at_least_one_step():
    split, _, prepared = prepared_and_fit(step_answer_table(LENGTHS), TIME)
    for window, piece in ((0, 5), (5, 0)):
        with pytest.raises(ConfigError, match="Give --window 1 or more"):
            StepSamples(prepared, split, "train", window, piece)


# how it is divided


def test_whole_sequences_or_later_steps_or_what_a_column_says():
    table = step_answer_table(LENGTHS)
    by_sequence = make_split(table, STRATIFIED)
    assert all(len(set(by_sequence.steps[table.steps["site"] == f"s{i}"])) == 1 for i in range(len(LENGTHS)))
    by_time = make_split(table, TIME)
    assert (
        table.steps["when"].filter(pl.Series(by_time.steps == 2)).min()
        > table.steps["when"].filter(pl.Series(by_time.steps == 0)).max()
    )
    words = np.random.default_rng(0).choice(["train", "validation", "test", "none"], sum(LENGTHS)).tolist()
    by_column = make_split(step_answer_table(LENGTHS, part=words), COLUMN)
    assert [[*PARTS, "none"][code] for code in by_column.steps] == words
    for split, own in ((by_sequence, table), (by_time, table), (by_column, step_answer_table(LENGTHS, part=words))):
        np.testing.assert_array_equal(apply_split(split.record, own).steps, split.steps)


def test_each_class_of_the_steps_is_in_every_part_of_a_stratified_split():
    table = step_answer_table([4] * 30)
    rare = [place % 40 == 3 for place in range(table.steps.height)]
    table = replace(
        table,
        steps=table.steps.with_columns(pl.when(pl.Series(rare)).then(pl.lit("rare")).otherwise(pl.lit("usual")).alias("state")),
    )
    for seed in range(5):
        split = make_split(table, SplitPlan(kind="stratified", seed=seed))
        assert {(part, text) for part, text in zip(split.steps.tolist(), table.steps["state"], strict=True)} == {
            (part, text) for part in range(3) for text in ("rare", "usual")
        }


def test_a_class_that_training_never_shows_is_refused():
    words = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    table = step_answer_table([10], part=words)
    table = replace(table, steps=table.steps.with_columns(pl.Series("state", ["a", "b"] * 4 + ["a", "c"])))
    message = refusal_without_expected(lambda: make_split(table, COLUMN))
    assert "Class 'c' of 'state' occurs only in test (1 steps)" in message


def refusal_without_expected(action) -> str:
    with pytest.raises(DataError) as caught:
        action()
    return str(caught.value)


def test_a_part_without_any_answer_is_refused():
    words = ["train"] * 60 + ["validation"] * 20 + ["test"] * 20
    table = step_answer_table([100], part=words)
    hidden = pl.when(pl.int_range(pl.len()) >= 80).then(None).otherwise(pl.col("state")).alias("state")
    table = replace(table, steps=table.steps.with_columns(hidden))
    split, _, prepared = prepared_and_fit(table, COLUMN)
    assert "The test part has no step with a known answer" in refusal(lambda: StepSamples(prepared, split, "test", 4, 5))


def test_training_steps_after_the_test_are_said():
    words = ["train"] * 20 + ["validation"] * 5 + ["test"] * 10 + ["none"] * 5 + ["train"] * 10
    split = make_split(step_answer_table([50], part=words), COLUMN)
    assert any("come after later parts in time" in note for note in split.record.notes)
    ahead = ["none"] * 10 + ["train"] * 20 + ["validation"] * 5 + ["none"] * 5 + ["test"] * 10
    assert not any("come after" in note for note in make_split(step_answer_table([50], part=ahead), COLUMN).record.notes)


def test_other_tasks_know_no_rows_without_a_part():
    table = replace(step_answer_table([30], "numeric", part=["train"] * 20 + ["none"] * 5 + ["test"] * 5), answers_steps=False)
    assert "It must say train, validation or test" in refusal_without_expected(lambda: make_split(table, COLUMN))


# what is inferred, and refused


def task_of(frame: pl.DataFrame, **wishes: object) -> str:
    return recognise(frame, Wishes(targets=("state",), **wishes)).plan.task  # type: ignore[arg-type]


def test_text_that_varies_along_the_steps_asks_for_a_class_at_each_and_numbers_for_a_forecast():
    assert task_of(frame_of(LENGTHS)) == "classify_steps"
    numbers = frame_of(LENGTHS, kind="numeric")
    assert task_of(numbers) == "forecast"
    assert task_of(numbers, task="regress_steps") == "regress_steps"
    assert task_of(numbers, task="classify_steps") == "classify_steps"
    assert task_of(numbers.with_columns(pl.col("state") > 0.5)) == "classify_steps"
    constant = frame_of([5] * 8).with_columns(
        pl.when(pl.col("site") < "s4").then(pl.lit("a")).otherwise(pl.lit("b")).alias("state")
    )
    assert task_of(constant) == "classify"
    assert task_of(constant, task="classify_steps") == "classify_steps"


def test_the_target_is_an_answer_and_no_input():
    for kind, task in (("categorical", "classify_steps"), ("numeric", "regress_steps")):
        _, dataset = plan_run(frame_of(LENGTHS, kind=kind), Request(target="state", task=task))
        assert dataset.prepared.input_names == ["x", "y"]
        assert len(dataset.prepared.targets) == sum(LENGTHS)


def test_what_does_not_fit_the_task_is_refused():
    frame = frame_of(LENGTHS).with_columns(pl.col("state").replace({"on": "high", "off": "low"}))
    assert "--task classify-steps" in refusal(lambda: task_of(frame, task="regress_steps"), ConfigError)
    assert "--task classify-steps" in refusal(lambda: task_of(frame, task="forecast"), ConfigError)
    assert "classify-steps" in refusal(lambda: task_of(frame, task="classify"), ConfigError)
    assert "--horizon" in refusal(lambda: plan_run(frame, Request(target="state", horizon=3)), ConfigError)
    assert "known in the future" in refusal(lambda: task_of(frame, known_future=("y",)), ConfigError)
    labels = pl.DataFrame({"site": [f"s{i}" for i in range(len(LENGTHS))], "label": ["a", "b"] * (len(LENGTHS) // 2)})
    wishes = Wishes(targets=("label",), series="site", task="classify_steps")
    assert "labels table" in refusal(lambda: recognise(frame.drop("state"), wishes, labels), ConfigError)


def test_text_among_numbers_is_refused_with_its_row():
    numbers = frame_of(LENGTHS, kind="numeric").with_columns(pl.col("state").cast(pl.String))
    mixed = numbers.with_columns(
        pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("broken")).otherwise(pl.col("state")).alias("state")
    )
    with pytest.raises((DataError, ConfigError)) as caught:
        plan_run(mixed, Request(target="state", task="regress_steps", kinds={"state": "numeric"}))
    assert "text" in str(caught.value) or "broken" in str(caught.value)


def test_sequences_are_read_whole_up_to_a_limit_and_it_is_said():
    plan, _ = plan_run(frame_of(LENGTHS), Request(target="state"))
    assert (plan.window, plan.piece, plan.model.bidirectional, plan.split.kind) == (512, 512, False, "stratified")
    assert "read from its beginning" in plan.reasons["window"]
    long, _ = plan_run(frame_of([900, 600]), Request(target="state"))
    assert (long.window, long.piece, long.split.kind) == (128, 16, "time")
    asked, _ = plan_run(frame_of([900, 600]), Request(target="state", window=40, bidirectional=True))
    assert (asked.window, asked.piece) == (40, 16)
    assert "ahead" in asked.reasons["bidirectional"]


def test_tasks_are_written_with_dashes_or_underscores():
    assert Request(target="state", task="classify-steps") == Request(target="state", task="classify_steps")


# baselines and units


def test_running_features_are_those_of_each_step_and_its_past():
    generator = np.random.default_rng(0)
    offsets = np.array([0, 4, 4, 9], dtype=np.int64)
    values = generator.normal(size=(9, 2))
    found = running_features(values, offsets)
    for start, end in ((0, 4), (4, 9)):
        for row in range(start, end):
            change = values[row] - values[row - 1] if row > start else np.zeros(2)
            expected = [*values[row], *change, *values[start : row + 1].mean(0), np.log(1 + row - start)]
            np.testing.assert_allclose(found[row], expected, atol=1e-12)


def test_the_last_known_row_is_earlier_and_of_the_same_sequence():
    offsets = np.array([0, 5, 5, 8], dtype=np.int64)
    known = np.array([False, True, False, True, False, False, True, True])
    assert last_known(known, offsets).tolist() == [-1, -1, 1, 1, 3, -1, -1, 6]
    classes = np.array([0, 1, 0, 1, 0, 0, 0, 1])
    shares = followed_by(classes, known, offsets, np.array([0.5, 0.5]))
    np.testing.assert_allclose(shares, [[0.5 / 2, 1.5 / 2], [0.5 / 2, 1.5 / 2]])


def test_the_last_known_class_is_of_earlier_parts_alone():
    table = step_answer_table([60, 50] * 6)
    split, preparation, prepared = prepared_and_fit(table, TIME)
    task = ClassifySteps(8, 8)
    case = Case(preparation, split, *(task.samples(prepared, split, part) for part in ("train", "test")), 0, ("",))
    values = {answer.name: answer.values for answer in class_baselines(case)}["last known class"]
    shuffled = np.where(split.steps == 2, 1 - prepared.targets, prepared.targets)
    other = Case(
        preparation,
        split,
        *(task.samples(replace(prepared, targets=shuffled), split, part) for part in ("train", "test")),
        0,
        ("",),
    )
    other = replace(other, train=task.samples(other.judged.prepared, split, "train"))
    np.testing.assert_array_equal({a.name: a.values for a in class_baselines(other)}["last known class"], values)
    by_sequence, _, again = prepared_and_fit(table, STRATIFIED)
    case = Case(preparation, by_sequence, *(task.samples(again, by_sequence, part) for part in ("train", "test")), 0, ("",))
    assert [answer.name for answer in class_baselines(case)] == ["majority class", "linear on the step"]


def test_the_bootstrap_draws_sequences_or_blocks_of_time():
    sequence = np.repeat(np.arange(12), 5)
    units = step_units(sequence, None)
    assert (units.number, units.words) == (12, "12 sequences")
    blocks = step_units(np.zeros(90, dtype=np.int64), np.arange(90))
    assert (blocks.number, blocks.words) == (30, "30 blocks of 3 steps")
    assert blocks.index.tolist() == np.repeat(np.arange(30), 3).tolist()


# end to end

QUICK = Request(target="state", hidden_size=8, epochs=2, batch_size=8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = trained(frame_of(LENGTHS), QUICK, tmp_path_factory.mktemp("steps") / "run")
    evaluate_run(folder, frame_of(LENGTHS))
    return folder


def test_a_run_is_scored_step_by_step_and_drawn_by_sequence(run):
    evaluation = run.read("evaluation.json", Evaluation)
    sequences = run.read("split.json", type(make_split(step_answer_table(LENGTHS), STRATIFIED).record)).sequences["test"]
    steps = sum(LENGTHS[int(name[1:])] for name in sequences)
    assert (evaluation.num_samples, evaluation.resampled) == (steps, f"{len(sequences)} sequences")
    assert [row.name for row in evaluation.rows][1:] == ["majority class", "linear on the step"]
    frame = pl.read_parquet(run.file("predictions.parquet"))
    assert frame.columns == ["series", "time", "truth", "prediction", "confidence", "probability off", "probability on"]
    own = frame_of(LENGTHS).filter(pl.col("site").is_in(sequences)).sort("site", "when")
    assert frame["truth"].to_list() == own["state"].to_list()
    assert frame["time"].to_list() == own["when"].to_list()


def test_new_data_gets_an_answer_for_every_row_and_the_same_as_in_the_test(run):
    new = load(run).predict(frame_of(LENGTHS).drop("state")).frame
    assert new.height == sum(LENGTHS)
    assert "truth" not in new.columns
    tested = pl.read_parquet(run.file("predictions.parquet"))
    both = tested.join(new, on=["series", "time"], suffix=" new")
    assert both.height == tested.height
    np.testing.assert_allclose(both["probability on"], both["probability on new"], atol=1e-6)  # float32, another batch


@pytest.mark.parametrize("kind", ["categorical", "numeric"])
def test_answers_row_by_row_are_those_of_the_whole_table(tmp_path: Path, kind):
    frame = frame_of([70, 40, 50], kind=kind).with_columns(pl.lit(3.0).alias("z"))
    task = "classify_steps" if kind == "categorical" else "regress_steps"
    request = Request(target="state", task=task, hidden_size=6, epochs=1, window=10, kinds={"z": "numeric"})
    predictor = load(trained(frame, request, tmp_path / "run"))
    new = frame_of([55], seed=3).with_columns(pl.lit(2.0).alias("z"))
    gaps = new.with_columns(pl.when(pl.int_range(pl.len()) % 7 == 3).then(None).otherwise(pl.col("x")).alias("x"))
    whole = predictor.predict(gaps.drop("state")).frame
    expected = whole.select("probability off", "probability on") if kind == "categorical" else whole.select("prediction")
    stream = predictor.stream({"z": 2.0})
    assert stream.piece == 16  # several pieces
    found = [stream.update({name: row[name] for name in stream.columns}) for row in gaps.iter_rows(named=True)]
    np.testing.assert_allclose(np.array(found), expected.to_numpy(), atol=1e-6)  # float32


def test_a_stream_needs_the_attributes_and_a_network_that_reads_forwards(run, tmp_path: Path):
    frame = frame_of(LENGTHS).join(pl.DataFrame({"site": [f"s{i}" for i in range(20)], "z": np.arange(20.0)}), on="site")
    with_attribute = trained(frame, QUICK.model_copy(update={"epochs": 1}), tmp_path / "attribute")
    assert "'z' is not among them" in refusal(lambda: load(with_attribute).stream())
    with pytest.raises(DataError, match="'x' is not among them"):
        load(run).stream().update({"y": 1.0})
    both = trained(frame_of(LENGTHS), QUICK.model_copy(update={"bidirectional": True, "epochs": 1}), tmp_path / "both")
    assert "reads ahead" in refusal(lambda: load(both).stream(), ConfigError)


def test_the_report_speaks_of_steps(run):
    text = write_report(run).read_text(encoding="utf-8")
    assert "Classifying state at each step" in text
    assert "Classification of steps: one class for each step" in text


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path, run):
    again = trained(frame_of(LENGTHS), QUICK, tmp_path / "again")
    assert run.file("model.safetensors").read_bytes() == again.file("model.safetensors").read_bytes()
    assert resume_run(again).path == again.path


def test_other_data_is_judged_whole(tmp_path: Path):
    frame_of(LENGTHS).write_csv(tmp_path / "own.csv")
    folder = trained(tmp_path / "own.csv", QUICK, tmp_path / "run")
    other = evaluate_run(folder, frame_of([12, 20, 15, 9], seed=5))
    assert (other.part, other.num_samples, other.resampled) == ("new", 56, "4 sequences")


def test_numbers_at_every_step_go_end_to_end(tmp_path: Path):
    frame = frame_of([60, 40, 50], kind="numeric", missing=0.1)
    request = Request(target="state", task="regress-steps", hidden_size=8, epochs=2, window=10)
    folder = trained(frame, request, tmp_path / "run")
    evaluation = evaluate_run(folder, frame)
    assert [row.name for row in evaluation.rows][1:] == ["training mean", "last known value", "linear on the step"]
    assert "blocks of" in evaluation.resampled
    assert any("read in pieces" in note for note in evaluation.notes)
    assert load(folder).predict(frame).frame.columns == ["series", "time", "target", "truth", "prediction"]


def test_rare_steps_are_weighted_and_scored_as_rare_sequences_are(tmp_path: Path):
    frame = frame_of(LENGTHS)
    request = QUICK.model_copy(update={"class_weights": "balanced", "precision_at": 5, "loss": "focal", "positive": "on"})
    folder = trained(frame, request, tmp_path / "run")
    evaluation = evaluate_run(folder, frame)
    names = [metric.name for metric in evaluation.metrics]
    assert {"PR-AUC", "precision at 5"} <= set(names)
    trained_task = load(folder).trained.task
    assert isinstance(trained_task, ClassifySteps)
    assert trained_task.whole.loss_of_classes.gamma == request.focal_gamma
    assert folder.has("decision.json")
