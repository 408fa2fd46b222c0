"""A trained run on new data: the right steps, the right time stamps, the numbers of the evaluation; and what bad data gets."""

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

import gatework
from gatework.errors import ConfigError, DataError
from gatework.evaluate import Predictor, evaluate_run, load, predict_run
from gatework.runs import RunFolder
from gatework.train import Request
from refusals import refusal
from small_runs import CLASSES, QUICK, hours, latches, means, sites, trained, waves

SITES = QUICK.model_copy(update={"series": "site", "known_future": ("price",)})


@pytest.fixture(scope="module")
def forecast(tmp_path_factory) -> RunFolder:
    return trained(waves(), QUICK, tmp_path_factory.mktemp("forecast") / "run")


@pytest.fixture(scope="module")
def planned(tmp_path_factory) -> RunFolder:
    """Several series, a category, and a price that is known for the future."""
    return trained(sites(["north", "south"], planned=3), SITES, tmp_path_factory.mktemp("planned") / "run")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> RunFolder:
    return trained(latches(80, steps=6), CLASSES, tmp_path_factory.mktemp("classifier") / "run")


def said(action: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        action()
    return str(caught.value)


def test_a_forecast_starts_right_after_the_last_row(forecast):
    frame = load(forecast).predict(waves(50)).frame
    ranges = ["low 80 %", "high 80 %", "low 95 %", "high 95 %"]
    assert frame.columns == ["series", "forecast_from", "time", "step", "target", "prediction", *ranges]
    assert frame["time"].to_list() == hours(3, first=50).to_list()
    assert frame["forecast_from"].unique().to_list() == [hours(1, first=49)[0]]
    assert frame["step"].to_list() == [1, 2, 3]


def test_a_forecast_is_the_evaluations_prediction_of_the_same_window(forecast):
    evaluate_run(forecast, data=waves())
    written = pl.read_parquet(forecast.file("predictions.parquet"))
    predictor = load(forecast)
    for origin in (340, 371, 397):
        expected = written.filter(pl.col("forecast_from") == hours(1, first=origin - 1)[0])["prediction"]
        found = predictor.predict(waves().head(origin)).frame["prediction"]
        np.testing.assert_allclose(found, expected, rtol=1e-5)  # float32 in batches of other sizes
        exactly_the_window = predictor.predict(waves().slice(origin - 8, 8)).frame["prediction"]
        np.testing.assert_allclose(exactly_the_window, expected, rtol=1e-5)


def test_the_same_data_gets_the_same_answer_from_a_file_a_frame_and_another_load(forecast, tmp_path):
    data = waves(60, seed=2)
    data.write_csv(tmp_path / "new.csv")
    data.write_parquet(tmp_path / "new.parquet")
    first = predict_run(forecast, data).frame
    assert predict_run(forecast, tmp_path / "new.csv").frame.equals(first)
    assert gatework.load(str(forecast.path)).predict(str(tmp_path / "new.parquet")).frame.equals(first)
    assert Predictor(forecast).predict(data.to_pandas()).frame["prediction"].equals(first["prediction"])


def test_rows_without_order_are_sorted_before_the_forecast(forecast):
    data = waves(60)
    shuffled = data.sample(fraction=1.0, shuffle=True, seed=0)
    answer = load(forecast).predict(shuffled)
    assert answer.frame.equals(load(forecast).predict(data).frame)
    assert "sorted" in " ".join(answer.notes)


def test_the_target_may_be_unknown_in_the_last_rows(forecast):
    data = waves(60).with_columns(pl.when(pl.int_range(60) < 58).then(pl.col("load")).alias("load"))
    frame = load(forecast).predict(data).frame
    assert frame["time"][0] == hours(1, first=60)[0]  # temp was observed there: these rows are the past
    assert frame["prediction"].is_finite().all()


def test_every_series_has_a_forecast_and_one_that_is_too_short_is_named(planned):
    data = sites(["north", "south", "west"], count=20, planned=3)
    short = data.filter((pl.col("site") != "west") | (pl.col("when") >= hours(1, first=13)[0]))
    answer = load(planned).predict(short)
    assert answer.frame["series"].unique().sort().to_list() == ["north", "south"]
    assert "1 series have fewer than 8 steps and no forecast: west." in answer.notes
    assert answer.frame["time"].unique().sort().to_list() == hours(3, first=20).to_list()
    assert load(planned).predict(data).frame["series"].n_unique() == 3  # a series that training never saw


def test_no_series_that_is_long_enough_is_an_error(forecast):
    assert "A sample needs" in said(lambda: load(forecast).predict(waves(5)))


def test_ranges_that_the_plan_asks_for_and_the_folder_lacks_are_missed_aloud(forecast, tmp_path):
    whole = load(forecast).predict(waves(100))
    assert "low 80" in " ".join(whole.frame.columns) and not any("conformal" in note for note in whole.notes)  # noqa: PT018
    copy = shutil.copytree(forecast.path, tmp_path / "copy")
    (copy / "conformal.json").unlink()
    bare = load(copy).predict(waves(100))
    assert not any(name.startswith("low") for name in bare.frame.columns)
    assert any("has no conformal.json, so that the answers have none" in note for note in bare.notes)
    own = trained(waves(), QUICK.model_copy(update={"output": "gaussian", "calibrate": "none", "epochs": 1}), tmp_path / "own")
    own.file("conformal.json").unlink()
    assert any("--output gaussian" in note for note in load(own).predict(waves(100)).notes)


def test_a_forecast_needs_its_known_future(planned):
    data = sites(["north", "south"], count=20, planned=3)
    past = data.filter(pl.col("load").is_not_null())
    message = said(lambda: load(planned).predict(past))
    assert "needs 'price' for the next 3 steps" in message
    holes = data.with_columns(pl.when(pl.col("load").is_not_null()).then(pl.col("price")).alias("price"))
    assert "'price' has no value" in said(lambda: load(planned).predict(holes))


def test_a_horizon_that_the_decoder_does_not_know_is_refused_before_rows_are_asked_for(planned):
    past = sites(["north", "south"], count=20)
    with pytest.raises(ConfigError, match="A forecast of 60 steps is wanted from a model trained for 3"):
        load(planned).predict(past, horizon=60)


def test_the_known_future_changes_the_forecast(planned):
    data = sites(["north", "south"], count=20, planned=3)
    dearer = data.with_columns(
        pl.when(pl.col("load").is_null()).then(pl.col("price") + 5).otherwise(pl.col("price")).alias("price")
    )
    first, second = (load(planned).predict(frame).frame["prediction"] for frame in (data, dearer))
    assert not np.allclose(first, second)


def test_a_category_that_training_never_saw_counts_as_other_and_is_said(planned):
    data = sites(["north", "south"], count=20, planned=3)
    strange = data.with_columns(pl.when(pl.col("kind") == "b").then(pl.lit("zebra")).otherwise(pl.col("kind")).alias("kind"))
    answer = load(planned).predict(strange)
    assert [note for note in answer.notes if "zebra" in note and "kind" in note]
    assert answer.frame["prediction"].is_finite().all()


def test_a_missing_column_is_named_and_an_extra_one_is_left_out(forecast):
    data = waves(60)
    assert "'temp'" in refusal(lambda: load(forecast).predict(data.drop("temp")))
    extra = data.with_columns(pl.lit("whatever").alias("colour"))
    assert load(forecast).predict(extra).frame.equals(load(forecast).predict(data).frame)


def test_text_in_a_numeric_column_is_shown(forecast):
    data = waves(60).with_columns(pl.when(pl.int_range(60) == 41).then(pl.lit("n.a.?")).otherwise(pl.col("temp")).alias("temp"))
    message = refusal(lambda: load(forecast).predict(data))
    assert "temp" in message
    assert "n.a.?" in message


def test_whole_numbers_where_training_had_fractions_are_taken(forecast):
    data = waves(60).with_columns(pl.col("load").round().cast(pl.Int32))
    frame = load(forecast).predict(data).frame
    assert frame.equals(load(forecast).predict(data.with_columns(pl.col("load").cast(pl.Float64))).frame)


def test_a_classifier_answers_for_every_sequence_without_knowing_the_answers(classifier):
    data = latches(9, steps=4, seed=1)
    predictor = load(classifier)
    frame = predictor.predict(data.drop("label")).frame
    assert frame["series"].to_list() == [f"s{number:03}" for number in range(9)]
    assert frame.columns == ["series", "prediction", "confidence", "probability down", "probability up"]
    assert set(frame["prediction"]) <= {"up", "down"}
    with_truth = predictor.predict(data).frame
    assert with_truth["truth"].to_list() == ["up", "down"] * 4 + ["up"]
    assert with_truth.drop("truth").equals(frame)


def test_an_answer_does_not_depend_on_the_other_sequences(classifier):
    data = latches(9, steps=4, seed=1)
    together = load(classifier).predict(data).frame
    alone = pl.concat([load(classifier).predict(data.filter(pl.col("id") == name)).frame for name in together["series"]])
    np.testing.assert_allclose(alone["confidence"], together["confidence"], rtol=1e-5)  # float32 in batches of other sizes


def test_a_sequence_without_steps_gets_an_answer_like_any_other(tmp_path):
    events = latches(60, steps=5).drop("label")
    labels = pl.DataFrame({"id": [f"s{number:03}" for number in range(60)], "label": ["up", "down"] * 30})
    labels.write_csv(tmp_path / "labels.csv")
    request = CLASSES.model_copy(update={"labels": str(tmp_path / "labels.csv"), "epochs": 1})
    run = trained(events.filter(pl.col("id") != "s007"), request, tmp_path / "run")
    frame = load(run).predict(events.filter(pl.col("id").is_in(["s007", "s008"]).not_()), labels).frame
    assert frame.filter(pl.col("series") == "s007")["confidence"].is_finite().all()
    assert frame["series"].to_list() == labels["id"].to_list()


def test_a_regression_is_in_the_units_of_its_target(tmp_path):
    request = Request(target="answer", series="id", time="step", task="regress", hidden_size=8, epochs=3, batch_size=16)
    data = means(90, steps=6).with_columns(pl.col("answer") * 1000)
    run = trained(data, request, tmp_path / "run")
    frame = load(run).predict(data.drop("answer")).frame
    assert frame.columns == ["series", "target", "prediction", "low 80 %", "high 80 %", "low 95 %", "high 95 %"]
    assert abs(frame["prediction"].mean() - 5000) < 3000  # the answers lie around 5000, with a deviation of 6000
    width = frame["high 80 %"] - frame["low 80 %"]
    assert (width > 1000).all()  # so are the ends
    assert ((frame["low 80 %"] < frame["prediction"]) & (frame["prediction"] < frame["high 80 %"])).all()
    assert frame["high 95 %"].null_count() == 90  # 13 errors are too few


def test_training_and_test_in_files_of_their_own_do_not_bind_a_prediction(tmp_path):
    waves(300).write_csv(tmp_path / "train.csv")
    waves(100, first=300).write_csv(tmp_path / "test.csv")
    run = trained(tmp_path / "train.csv", QUICK.model_copy(update={"test": (str(tmp_path / "test.csv"),)}), tmp_path / "run")
    assert evaluate_run(run).num_samples > 0
    frame = load(run).predict(waves(20, first=400)).frame
    assert frame["time"].to_list() == hours(3, first=420).to_list()


def test_days_and_months_follow_the_calendar(tmp_path):
    months = pl.datetime_range(datetime(2000, 1, 31), datetime(2016, 12, 31), "1mo", eager=True).dt.month_end()
    data = waves(len(months), period=12).with_columns(months.alias("when"))
    run = trained(data, QUICK, tmp_path / "run")
    stamps = load(run).predict(data.filter(pl.col("when") < datetime(2016, 1, 1))).frame["time"]
    assert stamps.to_list() == [datetime(2016, 1, 31), datetime(2016, 2, 29), datetime(2016, 3, 31)]


def test_time_zones_survive(tmp_path):
    data = waves(200).with_columns(pl.col("when").dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin"))
    run = trained(data, QUICK, tmp_path / "run")
    stamps = load(run).predict(data).frame["time"]
    assert stamps.dtype == pl.Datetime("us", "Europe/Berlin")
    assert stamps[0] - data["when"][-1] == timedelta(hours=1)
