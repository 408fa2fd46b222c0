"""What a new user meets first: lengths that do not fit, trading days, options of another task, files that overlap."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gatework.cli import main
from gatework.data.future import append_horizon
from gatework.data.layout import build_table
from gatework.data.look import describe
from gatework.data.order import irregularity_notes
from gatework.data.read import read_frame
from gatework.data.recognise import recognise
from gatework.data.wishes import Wishes
from gatework.errors import ConfigError, DataError
from gatework.evaluate import load
from gatework.train import Request, plan_run
from refusals import refusal
from small_runs import CLASSES, QUICK, hours, latches, trained, waves

TUESDAY = date(2024, 1, 2)


@pytest.fixture
def gatework(capfd, tmp_path, monkeypatch) -> Callable[..., tuple[int, str, str]]:
    """One command in an empty folder: its exit code and what it printed to both outputs."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        return main(words), *capfd.readouterr()

    return run


def weekdays(count: int, start: date = TUESDAY) -> list[date]:
    days = (start + timedelta(days=number) for number in range(2 * count + 7))
    return [day for day in days if day.weekday() < 5][:count]


def prices(count: int = 300) -> pl.DataFrame:
    generator = np.random.default_rng(0)
    return pl.DataFrame({"day": weekdays(count), "close": 100 + generator.normal(0, 1, count).cumsum()})


@pytest.mark.parametrize(("steps", "horizon"), [(100, 3), (200, 12), (400, 3)])
def test_the_window_that_an_error_names_is_the_largest_that_works(steps, horizon):
    request = QUICK.model_copy(update={"horizon": horizon, "window": steps})
    with pytest.raises(DataError, match=r"Give a smaller --window \(at most \d+\)") as caught:
        plan_run(waves(steps), request)
    most = int(str(caught.value).partition("at most ")[2].partition(")")[0])
    plan_run(waves(steps), request.model_copy(update={"window": most}))
    with pytest.raises(DataError):
        plan_run(waves(steps), request.model_copy(update={"window": most + 1}))


def test_the_horizon_that_an_error_names_is_the_largest_that_works():
    request = QUICK.model_copy(update={"horizon": 50, "window": 1})
    with pytest.raises(DataError, match=r"Give a smaller --horizon \(at most 15\)"):  # 15 % of 100 steps validate
        plan_run(waves(100), request)
    plan_run(waves(100), request.model_copy(update={"horizon": 15}))


def test_a_series_that_is_too_short_is_named_and_the_rest_is_trained():
    tall = waves(200).with_columns(pl.lit("tall").alias("site"))
    short = waves(9).with_columns(pl.lit("short").alias("site"))
    request = QUICK.model_copy(update={"series": "site"})
    _, dataset = plan_run(pl.concat([tall, short]), request)
    expected = "1 series have fewer than 11 steps in the training part and are not trained on: short."
    assert expected in dataset.split.record.notes
    _, dataset = plan_run(tall, request)
    assert not [note for note in dataset.split.record.notes if "not trained on" in note]


def test_a_window_that_is_too_long_is_refused_before_anything_is_announced(gatework):
    waves(100).write_csv("load.csv")
    code, out, err = gatework("train", "load.csv", "--target", "load", "--window", "99", "--horizon", "2")
    assert code == 2
    assert "Training" not in out + err
    assert not Path("runs").exists()


@pytest.mark.parametrize("clock", [False, True])
def test_trading_days_go_on_with_trading_days(clock):
    data = prices(60)
    if clock:
        data = data.with_columns(pl.col("day").cast(pl.Datetime("us")) + pl.duration(hours=17, minutes=30))
    found = recognise(data, Wishes(targets=("close",)))
    table = build_table(data, found.plan)
    longer = append_horizon(table, 12)
    assert longer.steps["day"].dt.date().to_list() == weekdays(72)
    assert longer.steps["day"].dtype == data["day"].dtype


@pytest.mark.parametrize("count", range(30, 37))
def test_trading_days_go_on_from_every_day_of_the_week(count):
    data = prices(count)
    table = build_table(data, recognise(data, Wishes(targets=("close",))).plan)
    assert append_horizon(table, 11).steps["day"].to_list() == weekdays(count + 11)


def test_a_run_remembers_that_it_was_trained_on_trading_days(tmp_path):
    request = Request(target="close", horizon=3, window=4, hidden_size=4, epochs=1)
    run = trained(prices(), request, tmp_path / "run")
    window = prices().tail(4)  # four days cannot tell
    assert load(run).predict(window).frame["time"].to_list() == weekdays(303)[-3:]
    every_day = waves(300).with_columns(pl.date_range(TUESDAY, TUESDAY + timedelta(days=299), eager=True).alias("when"))
    run = trained(every_day, QUICK.model_copy(update={"epochs": 1}), tmp_path / "daily")
    fridays = every_day.filter(pl.col("when") <= date(2024, 6, 7))
    assert load(run).predict(fridays.tail(8)).frame["time"].to_list() == [date(2024, 6, 8), date(2024, 6, 9), date(2024, 6, 10)]


def test_weekends_are_no_gaps_and_a_week_off_is_one():
    data = prices(60)
    table = build_table(data, recognise(data, Wishes(targets=("close",))).plan)
    assert not table.notes
    assert describe(table, recognise(data, Wishes(targets=("close",))).plan).time.num_gaps == 0
    holiday = data.filter(~pl.col("day").is_between(date(2024, 2, 5), date(2024, 2, 9)))
    table = build_table(holiday, recognise(holiday, Wishes(targets=("close",))).plan)
    assert "1 of 54 is longer; 1 gap, first 2024-02-02 to 2024-02-12, the longest from 2024-02-02 to 2024-02-12" in table.notes[0]
    every_day = pl.DataFrame({"s": ["a"] * 30, "t": pl.date_range(TUESDAY, TUESDAY + timedelta(days=29), eager=True)})
    assert irregularity_notes(every_day.filter(pl.int_range(30) != 9), "s", "t")


@pytest.mark.parametrize(("option", "value"), [("horizon", 3), ("window", 8), ("known_future", ("x",))])
def test_an_option_of_forecasts_is_refused_by_other_tasks(option, value):
    message = refusal(lambda: plan_run(latches(40, 5), CLASSES.model_copy(update={option: value})), ConfigError)
    assert f"--{option.replace('_', '-')} with forecasts only" in message


def test_look_suggests_a_target_of_the_labels(gatework):
    latches(40, 5).drop("label").write_csv("events.csv")
    pl.DataFrame({"id": [f"s{n:03}" for n in range(40)], "outcome": ["ill", "well"] * 20}).write_csv("labels.csv")
    _, out, _ = gatework("look", "events.csv", "--labels", "labels.csv")
    assert "gatework train events.csv --target outcome --labels labels.csv" in " ".join(out.split())
    code, _, err = gatework("train", "events.csv", "--labels", "labels.csv")
    assert code == 2
    assert "outcome" in err


def test_files_that_share_rows_are_refused(tmp_path):
    waves(300).write_csv(tmp_path / "train.csv")
    waves(100, first=250).write_csv(tmp_path / "test.csv")
    request = QUICK.model_copy(update={"test": (str(tmp_path / "test.csv"),)})
    for asked in (request, request.model_copy(update={"time": ()})):
        message = refusal(lambda asked=asked: plan_run(str(tmp_path / "train.csv"), asked))
        assert "The train and the test files share 50 rows" in message
        assert str(hours(1, first=250)[0]) in message


def test_files_that_share_sequences_are_refused(tmp_path):
    latches(40, 5).write_csv(tmp_path / "train.csv")
    latches(10, 5).write_csv(tmp_path / "test.csv")
    request = CLASSES.model_copy(update={"test": (str(tmp_path / "test.csv"),)})
    assert "files share 50 rows" in refusal(lambda: plan_run(str(tmp_path / "train.csv"), request))


def test_a_wrong_type_in_new_data_is_no_reason_to_name_an_option_of_training(tmp_path):
    data = waves(200).with_columns(pl.when(pl.int_range(200) % 3 == 0).then(pl.lit("yes")).otherwise(pl.lit("no")).alias("open"))
    run = trained(data, QUICK.model_copy(update={"epochs": 1}), tmp_path / "run")
    new = data.tail(20)
    strange = {"temp": pl.lit("warm"), "open": pl.lit("perhaps")}
    for name, value in strange.items():
        broken = new.with_columns(pl.when(pl.int_range(20) == 7).then(value).otherwise(pl.col(name).cast(pl.String)).alias(name))
        message = refusal(lambda broken=broken: load(run).predict(broken))
        assert "--" not in message
    with pytest.raises(DataError) as caught:
        load(run).predict(new.with_columns(pl.lit(datetime(2020, 1, 1)).alias("temp")))
    assert "--" not in str(caught.value)


def test_missing_answers_are_said_to_be_left_out():
    data = latches(40, 5).with_columns(pl.when(pl.col("id") > "s004").then(pl.col("label")).alias("label"))
    said = recognise(data, Wishes(targets=("label",), series="id", task="classify")).reasons["missing"]
    assert "'label' 25 (no answer: these series are left out)" in said
    gaps = waves(50).with_columns(pl.when(pl.int_range(50) > 4).then(pl.col("load")).alias("load"))
    assert "'load' 5 (mask)" in recognise(gaps, Wishes(targets=("load",))).reasons["missing"]


def test_a_csv_of_predictions_has_the_digits_of_a_float32_and_parquet_all(gatework):
    run = trained(waves(200), QUICK.model_copy(update={"epochs": 1}), Path("run"))
    waves(40).write_csv("new.csv")
    for out in ("out.csv", "out.parquet"):
        assert gatework("predict", str(run.path), "new.csv", "--out", out)[0] == 0
    whole = load(run).predict("new.csv").frame["prediction"]
    assert pl.read_parquet("out.parquet")["prediction"].equals(whole)
    texts = [line.rpartition(",")[2] for line in Path("out.csv").read_text().splitlines()[1:]]
    assert max(len(text.replace(".", "").lstrip("-0")) for text in texts) <= 7
    np.testing.assert_allclose(read_frame("out.csv")["prediction"], whole, rtol=1e-6)
    assert gatework("predict", str(run.path), "new.csv")[1] == Path("out.csv").read_text()
