"""The table of an evaluation: every number against scikit-learn or a slow loop, on the predictions that were written."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

from gatework.errors import ConfigError, DataError, RunError
from gatework.evaluate import compare_runs, evaluate_run
from gatework.evaluate.run import describe
from gatework.model import load_weights
from gatework.runs import Evaluation, Manifest, Plan, RunFolder, SplitRecord
from gatework.tasks import forecast_baselines
from gatework.tasks.baselines import Classical
from gatework.train import Request
from refusals import refusal
from small_runs import CLASSES, QUICK, latches, means, sites, trained, waves

NUMBERS = Request(target="answer", series="id", time="step", task="regress", hidden_size=8, epochs=3, batch_size=16)
PERIOD = 24


@pytest.fixture(scope="module")
def data() -> pl.DataFrame:
    # 20 days, so that a test part holds several blocks; a gap in the target must be left out everywhere
    frame = waves(480)
    return frame.with_columns(pl.when(pl.int_range(480).is_in([60, 61, 450])).then(None).otherwise(pl.col("load")).alias("load"))


@pytest.fixture(scope="module")
def file(data, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "waves.parquet"
    data.write_parquet(path)
    return path


@pytest.fixture(scope="module")
def run(file, tmp_path_factory) -> RunFolder:
    return trained(file, QUICK, tmp_path_factory.mktemp("run") / "run")


@pytest.fixture(scope="module")
def evaluation(run) -> Evaluation:
    return evaluate_run(run)


@pytest.fixture(scope="module")
def rows(run, evaluation) -> pl.DataFrame:
    return pl.read_parquet(run.file("predictions.parquet"))


def values(evaluation: Evaluation, row: int = 0) -> dict[str, float | None]:
    return {name: score.value for name, score in evaluation.rows[row].scores.items()}


def test_every_test_window_is_predicted_with_its_time_stamps_and_truth(data, rows):
    truth = dict(zip(data["when"], data["load"], strict=True))
    first_of_test = data["when"][408]  # the last 15 %
    assert rows["forecast_from"].min() == first_of_test - timedelta(hours=1)
    assert rows["time"].max() == data["when"][-1]
    assert rows.height == (480 - 408 - 3 + 1) * 3
    assert rows.select((pl.col("time") == pl.col("forecast_from") + pl.duration(hours=1) * pl.col("step")).all()).item()
    assert all(truth[when] == value for when, value in zip(rows["time"], rows["truth"], strict=True))


def test_the_scores_of_a_forecast_are_those_of_its_written_predictions(data, evaluation, rows):
    seen = rows.drop_nulls("truth")
    truth, prediction = seen["truth"].to_numpy(), seen["prediction"].to_numpy()
    load = data["load"].to_numpy()[: 480 - 2 * 72]  # the training part
    season = np.nanmean(np.abs(load[PERIOD:] - load[:-PERIOD]))
    error = np.abs(truth - prediction).mean()
    simple = [values(evaluation, row)["MAE"] for row in (1, 2, 3)]
    expected = {
        "MAE": metrics.mean_absolute_error(truth, prediction),
        "MSE": metrics.mean_squared_error(truth, prediction),
        "RMSE": metrics.root_mean_squared_error(truth, prediction),
        "R²": metrics.r2_score(truth, prediction),
        "MASE": error / season,
        "skill": 1 - error / min(simple),
    }
    assert values(evaluation) == pytest.approx(expected, rel=1e-9)  # float64 sums in another order


def test_the_simple_baselines_are_those_of_a_slow_loop(data, evaluation, rows):
    stamps, load = data["when"].to_list(), data["load"].to_list()
    place = {when: number for number, when in enumerate(stamps)}
    by_hour: dict[int, list[float]] = {}
    for when, value in list(zip(stamps, load, strict=True))[: 480 - 2 * 72]:
        if value is not None:
            by_hour.setdefault(when.hour, []).append(value)
    answers: dict[str, list[float]] = {"last value": [], "seasonal naive": [], "climatology": []}
    truth = []
    for when, origin, value in rows.select("time", "forecast_from", "truth").iter_rows():
        if value is None:
            continue
        truth.append(value)
        answers["last value"].append(next(v for v in reversed(load[: place[origin] + 1]) if v is not None))
        answers["seasonal naive"].append(next(v for v in reversed(load[place[when] % PERIOD : place[when] : PERIOD]) if v))
        answers["climatology"].append(float(np.mean(by_hour[when.hour])))  # one month only
    table = {row.name: row.scores["MAE"].value for row in evaluation.rows}
    for name, predicted in answers.items():
        assert table[name] == pytest.approx(np.abs(np.array(truth) - np.array(predicted)).mean(), rel=1e-9), name
    assert list(table) == ["LSTM", *answers, "drift", "DLinear", "ridge on the window"]


def test_the_model_is_described_in_words(run):
    plan = run.read("config.json", Plan)
    assert describe(plan) == "The trained model: one layer of 8 units."
    small = plan.model_copy(update={"model": plan.model.model_copy(update={"hidden_size": 1, "num_layers": 2})})
    assert describe(small) == "The trained model: 2 layers of 1 unit."


def test_every_interval_holds_its_value(evaluation):
    scores = [score for row in evaluation.rows for score in row.scores.values()]
    assert all(score.low <= score.value <= score.high for score in scores)
    assert evaluation.resampled == "10 blocks of 7 steps"
    assert evaluation.num_samples == 70


def test_an_evaluation_says_the_same_twice(run, evaluation):
    first = run.read_text("evaluation.json")
    assert evaluate_run(run) == evaluation
    assert run.read_text("evaluation.json") == first


def test_an_evaluation_is_tied_to_its_weights_and_recorded_in_the_manifest(run, evaluation):
    assert evaluation.model_sha256 == load_weights(run.file("model.safetensors"))[1]["sha256"]
    manifest = run.read("run.json", Manifest)
    assert manifest.status == "evaluated"
    assert {"evaluation.json", "predictions.parquet", "model.safetensors"} <= set(manifest.files)


def test_the_validation_part_can_be_judged_too(run, data):
    evaluation = evaluate_run(run, part="validation")
    rows = pl.read_parquet(run.file("predictions-validation.parquet"))
    assert evaluation.part == "validation"
    assert (rows["time"].min(), rows["time"].max()) == (data["when"][480 - 144], data["when"][480 - 73])


def test_the_runs_own_data_may_have_moved(run, evaluation, data, tmp_path):
    data.write_csv(tmp_path / "moved.csv")
    assert evaluate_run(run, data=tmp_path / "moved.csv") == evaluation


def test_other_data_is_judged_whole_beside_baselines_that_learned_from_the_run(run, data):
    later = waves(100, seed=3, first=480)
    evaluation = evaluate_run(run, data=later)
    assert evaluation.part == "new"
    assert evaluation.num_samples == 100 - 8 - 3 + 1
    assert not [note for note in evaluation.notes if "part of the training" in note]
    rows = pl.read_parquet(run.file("predictions-frame.parquet"))
    error = (rows["truth"] - rows["prediction"]).abs().mean()
    assert values(evaluation)["MAE"] == pytest.approx(error, rel=1e-9)
    train = data.head(480 - 144)
    usual = dict(train.group_by(pl.col("when").dt.hour()).agg(pl.col("load").mean()).iter_rows())
    climatology = np.mean([abs(truth - usual[when.hour]) for when, truth in rows.select("time", "truth").iter_rows()])
    assert evaluation.rows[3].name == "climatology"
    assert values(evaluation, 3)["MAE"] == pytest.approx(climatology, rel=1e-9)


def test_other_data_that_holds_training_rows_is_said_to(run, data):
    evaluation = evaluate_run(run, data=data.slice(100, 200))
    assert evaluation.part == "new"
    assert "200 of 200 rows were part of the training" in " ".join(evaluation.notes)


def test_a_run_on_a_frame_in_memory_is_judged_on_that_frame_alone(data, run, tmp_path):
    own = trained(data, QUICK, tmp_path / "run")
    assert "trained on a frame in memory" in refusal(lambda: evaluate_run(own), RunError)
    assert "a frame in memory" in refusal(lambda: evaluate_run(own, data=waves(seed=5)), RunError)
    assert evaluate_run(own, data=data).rows == evaluate_run(run).rows


def test_one_series_has_nothing_to_tell_its_scores_apart_by(run):
    words = refusal(lambda: evaluate_run(run, by=["zzz"]), DataError)
    assert "the data is one series" in words and "__" not in words  # noqa: PT018


def test_data_without_the_models_columns_is_refused(run, data):
    assert "temp" in refusal(lambda: evaluate_run(run, data=data.drop("temp")), DataError)


def test_several_series_with_targets_of_their_own_units_have_one_row_each(tmp_path):
    data = sites(["a", "b"], 160).with_columns((pl.col("load") * 100 + pl.col("temp")).alias("power"))
    request = QUICK.model_copy(update={"target": ("load", "power"), "series": "site", "known_future": ("price",)})
    run = trained(data, request, tmp_path / "run")
    evaluation = evaluate_run(run, data=data)
    rows = pl.read_parquet(run.file("predictions.parquet"))
    for target in ("load", "power"):
        chosen = rows.filter(pl.col("target") == target)
        error = (chosen["truth"] - chosen["prediction"]).abs().mean()
        assert values(evaluation)[f"MAE {target}"] == pytest.approx(error, rel=1e-9)
    assert set(rows["series"]) == {"a", "b"}


def test_the_scores_of_a_classification_are_those_of_scikit_learn(tmp_path):
    generator = np.random.default_rng(0)
    data = latches(150, steps=5).with_columns(pl.Series("x", generator.normal(0, 1, 750)))  # hopeless, so that errors are made
    data = data.with_columns(pl.when(pl.col("id") > "s110").then(pl.lit("left")).otherwise(pl.col("label")).alias("label"))
    run = trained(data, CLASSES, tmp_path / "run")
    evaluation = evaluate_run(run, data=data)
    rows = pl.read_parquet(run.file("predictions.parquet"))
    names = sorted(set(data["label"]))
    probabilities = rows.select(f"probability {name}" for name in names).to_numpy()
    truth, predicted = rows["truth"].to_list(), rows["prediction"].to_list()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
    assert predicted == [names[number] for number in probabilities.argmax(axis=1)]
    one_hot = np.array([[name == label for name in names] for label in truth])
    expected = {
        "accuracy": metrics.accuracy_score(truth, predicted),
        "macro-F1": metrics.f1_score(truth, predicted, average="macro"),
        "AUROC": metrics.roc_auc_score(truth, probabilities, multi_class="ovr", labels=names),
        "log-loss": metrics.log_loss(truth, probabilities, labels=names),
        "Brier": ((probabilities - one_hot) ** 2).sum(axis=1).mean(),
    }
    found = values(evaluation)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-6)  # AUROC is summed in float32
    matrix = next(figure for figure in evaluation.figures if figure.name == "confusion")
    assert np.array_equal(matrix.values, metrics.confusion_matrix(truth, predicted, labels=names))
    assert run.read("split.json", SplitRecord).counts["test"] == rows.height


def test_the_scores_of_a_regression_are_those_of_scikit_learn(tmp_path):
    data = means(90, steps=6)
    run = trained(data, NUMBERS, tmp_path / "run")
    found = values(evaluate_run(run, data=data))
    rows = pl.read_parquet(run.file("predictions.parquet"))
    truth, prediction = rows["truth"].to_numpy(), rows["prediction"].to_numpy()
    expected = {
        "MAE": metrics.mean_absolute_error(truth, prediction),
        "MSE": metrics.mean_squared_error(truth, prediction),
        "RMSE": metrics.root_mean_squared_error(truth, prediction),
        "R²": metrics.r2_score(truth, prediction),
    }
    assert found == pytest.approx(expected, rel=1e-9)
    answers = dict(data.select("id", "answer").unique().iter_rows())
    assert all(answers[name] == pytest.approx(value) for name, value in rows.select("series", "truth").iter_rows())


def test_other_sequences_are_judged_whole(tmp_path):
    path = tmp_path / "latches.parquet"
    latches(80, steps=6).write_parquet(path)
    run = trained(path, CLASSES, tmp_path / "run")
    evaluation = evaluate_run(run, data=latches(31, steps=9, seed=4))
    assert (evaluation.part, evaluation.num_samples) == ("new", 31)
    assert evaluation.rows[1].name == "majority class"
    assert values(evaluation, 1)["accuracy"] in (16 / 31, 15 / 31)  # one of two balanced classes


def test_other_data_needs_no_column_or_files_that_said_which_part_is_which(tmp_path):
    waves(300).write_csv(tmp_path / "train.csv")
    waves(100, first=300).write_csv(tmp_path / "test.csv")
    by_files = QUICK.model_copy(update={"test": (str(tmp_path / "test.csv"),)})
    marked = waves(300).with_columns(pl.Series("part", ["train"] * 200 + ["validation"] * 50 + ["test"] * 50))
    marked.write_csv(tmp_path / "marked.csv")
    by_column = QUICK.model_copy(update={"split_column": "part"})
    for number, (name, request) in enumerate({"train.csv": by_files, "marked.csv": by_column}.items()):
        run = trained(tmp_path / name, request, tmp_path / str(number))
        assert evaluate_run(run).part == "test"
        evaluation = evaluate_run(run, data=waves(60, seed=8, first=500))
        assert (evaluation.part, evaluation.num_samples) == ("new", 60 - 8 - 3 + 1)


def test_runs_are_compared_best_first_and_unfair_comparisons_are_said(file, run, data, tmp_path):
    evaluate_run(run)
    better = trained(file, QUICK.model_copy(update={"epochs": 8, "learning_rate": 1e-2, "seed": 1}), tmp_path / "better")
    evaluate_run(better)
    comparison = compare_runs([run, better])
    scores = [row[1]["MAE"].value for row in comparison.rows]
    assert scores == sorted(scores)
    assert comparison.rows[0][0] == str(better.path)
    assert comparison.metrics[0] == "MAE"
    assert comparison.notes == ()  # another seed is the same question
    other = trained(file, QUICK.model_copy(update={"horizon": 4, "test_share": 0.2}), tmp_path / "other")
    evaluate_run(other)
    said = " ".join(compare_runs([run, other]).notes)
    assert "different horizons" in said
    assert "different splits" in said
    elsewhere = trained(data, QUICK, tmp_path / "frame")
    evaluate_run(elsewhere, data=data)
    assert "different data files" in " ".join(compare_runs([run, elsewhere]).notes)


def test_runs_of_different_tasks_are_not_compared(run, tmp_path):
    data = means(60, steps=5)
    other = trained(data, NUMBERS.model_copy(update={"epochs": 1}), tmp_path / "run")
    evaluate_run(other, data=data)
    evaluate_run(run)
    assert "different questions: forecast, regress" in refusal(lambda: compare_runs([run, other]), ConfigError)


def test_a_baseline_that_was_run_in_part_is_compared_on_its_own_windows(run, monkeypatch):
    def mean_of_the_past(name, filled, offsets, origin, horizon, period):
        answered = np.arange(len(origin)) % 7 == 3
        values = np.where(answered[:, None, None], np.full((len(origin), horizon, 1), filled[:300].mean()), np.nan)
        return Classical(name, values, answered, 100)

    monkeypatch.setattr(forecast_baselines, "classical_forecasts", mean_of_the_past)
    evaluation = evaluate_run(run, classical=True)
    rows = pl.read_parquet(run.file("predictions.parquet"))
    row = next(row for row in evaluation.rows if row.name == "ETS")
    assert row.num_samples == len(range(3, 70, 7))
    table = rows.with_columns((pl.int_range(rows.height) // 3).alias("window")).filter(pl.col("window") % 7 == 3)
    ours = (table["truth"] - table["prediction"]).abs().mean()
    note = next(note for note in evaluation.notes if note.startswith("ETS was run on 10 of 70 windows"))
    assert f"LSTM has {ours:.4g}" in note
    assert f"MAE {row.scores['MAE'].value:.4g}" in note
    assert "ETS" not in evaluation.verdict[0].partition("best baseline")[2].partition(",")[0]
    evaluate_run(run)
