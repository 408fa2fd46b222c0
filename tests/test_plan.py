"""What was left out is decided from the data, and said; what was asked for is done, or refused with a reason."""

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from gatework.errors import ConfigError
from gatework.runs import Plan
from gatework.train import Request, plan_run
from gatework.train.plan import season_steps
from gatework.train.plan_forecast import MAX_HORIZON, MAX_WINDOW
from small_runs import QUICK, latches, means, waves

BARE = Request(target="load")


def every(step: str, count: int, start: datetime = datetime(2001, 1, 1)) -> pl.DataFrame:
    """`count` rows, one every `step`, of a wave."""
    stamps = pl.datetime_range(start, datetime(2200, 1, 1), step, eager=True).head(count)
    return waves(count).with_columns(stamps.alias("when"))


def planned(data: pl.DataFrame, **options: object) -> Plan:
    return plan_run(data, BARE.model_copy(update=options))[0]


@pytest.mark.parametrize(
    ("step", "steps"),
    [
        ("15m", 96),
        ("30m", 48),
        ("1h", 24),
        ("6h", 4),
        ("12h", 2),
        ("1d", 7),
        ("1w", 52),
        ("1mo", 12),
        ("1q", 4),
        ("2d", 0),
        ("1y", 0),
    ],
)
def test_a_season_is_a_day_a_week_or_a_year(step, steps):
    _, dataset = plan_run(every(step, 150, datetime(1900, 1, 1)), BARE)
    assert season_steps(dataset.table) == steps


def test_trading_days_have_a_season_of_five():
    data = every("1d", 300).filter(pl.col("when").dt.weekday() < 6)
    assert planned(data).period == 5


def test_an_order_without_a_clock_has_no_known_season():
    data = waves(200).with_columns(pl.int_range(200).alias("when"))
    plan = planned(data)
    assert plan.period == 0
    assert plan.horizon >= 1


@pytest.mark.parametrize("count", [40, 100, 400, 3000])
@pytest.mark.parametrize("step", ["15m", "1h", "1d"])
def test_inferred_lengths_leave_room_for_many_training_windows(step, count):
    plan = planned(every(step, count))
    training_steps = int(count * 0.7)
    assert 1 <= plan.horizon <= min(MAX_HORIZON, count / 20)
    assert 1 <= plan.window <= min(MAX_WINDOW, training_steps / 3)


def test_hourly_data_is_forecast_one_day_ahead():
    assert planned(every("1h", 3000)).horizon == 24


@pytest.mark.parametrize(
    ("data", "task", "split"), [(waves(200), "forecast", "time"), (latches(40, 5), "classify", "stratified")]
)
def test_task_and_split_follow_from_the_data(data, task, split):
    request = {"target": "label", "series": "id"} if task == "classify" else {}
    plan = planned(data, **request)
    assert (plan.data.task, plan.split.kind) == (task, split)
    assert "split" in plan.reasons


def test_a_regression_is_divided_by_whole_sequences():
    plan = planned(means(40, 5), target="answer", series="id", task="regress")
    assert plan.split.kind == "group"
    assert plan.horizon == plan.window == 0


def test_every_inferred_choice_has_a_reason_and_nothing_that_was_asked_for():
    asked = {"horizon": 5, "window": 11, "hidden_size": 12, "dropout": 0.25, "epochs": 2, "batch_size": 8, "learning_rate": 0.003}
    names = {"horizon", "window", "hidden_size", "dropout", "epochs", "batch_size", "learning_rate", "bidirectional"}
    plan = planned(waves(200))
    assert names <= set(plan.reasons)
    assert all(reason.strip() for reason in plan.reasons.values())
    plan = planned(waves(200), **asked, bidirectional=True)
    assert not names & set(plan.reasons)
    found = {name: getattr(plan.model, name, getattr(plan.training, name, getattr(plan, name, None))) for name in asked}
    assert found == asked
    assert plan.model.bidirectional


def test_the_numbers_that_were_asked_for_arrive_in_the_plan():
    options = {"weight_decay": 0.5, "clip_norm": 3.0, "patience": 9, "minutes": 2.5, "seed": 11}
    plan = planned(waves(200), **options, test_share=0.3, validation_share=0.2, cell="gru", num_layers=3)
    assert {name: getattr(plan.training, name) for name in options} == options
    assert (plan.split.test, plan.split.validation, plan.split.seed) == (0.3, 0.2, 11)
    assert (plan.model.cell, plan.model.num_layers) == ("gru", 3)


IMPOSSIBLE = {
    "horizon": [0, -1],
    "window": [0],
    "hidden_size": [0],
    "num_layers": [0],
    "epochs": [0],
    "batch_size": [0],
    "patience": [0],
    "minutes": [0.0, -1.0, float("nan"), float("inf")],
    "learning_rate": [0.0, float("nan")],
    "clip_norm": [0.0, -1.0],
    "dropout": [-0.1, 1.0, float("nan")],
    "test_share": [-0.1, 1.0],
    "validation_share": [1.5],
    "weight_decay": [-1.0],
    "seed": [-1],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in IMPOSSIBLE.items() for value in values])
def test_an_impossible_number_is_named_with_its_option(name, value):
    with pytest.raises(ConfigError) as caught:
        planned(waves(200), **{name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} is {value}; expected ")
    assert f"--{name.replace('_', '-')}" in message


def test_shares_that_leave_nothing_to_train_on_are_refused():
    with pytest.raises(ConfigError, match=r"test_share 0\.9 and validation_share 0\.15 leave nothing to train on"):
        planned(waves(200), test_share=0.9)


def test_a_forecast_is_not_divided_at_random():
    with pytest.raises(ConfigError, match="expected 'time'"):
        planned(waves(200), split_by="stratified")


def test_no_target_is_refused_with_the_columns():
    with pytest.raises(ConfigError, match="when, load, temp"):
        plan_run(waves(50), Request())


def test_planning_writes_nothing_and_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = waves(200)
    before = data.clone()
    first, _ = plan_run(data, QUICK)
    second, _ = plan_run(data, QUICK)
    assert first == second
    assert data.equals(before)
    assert list(tmp_path.iterdir()) == []


def test_the_reason_for_the_patience_is_true_of_its_number():
    """Half of the usual epochs; with --epochs it is said of which, and when it means that training never stops early."""
    usual = planned(waves(200))
    assert usual.training.patience == usual.training.epochs // 2
    assert usual.reasons["patience"].startswith(f"{usual.training.patience}: half of the epochs")
    for epochs, end in ((2, "2 are trained, so that training never stops early"), (300, "the last ones are often the best")):
        plan = planned(waves(200), epochs=epochs)
        assert plan.training.patience == usual.training.patience
        assert f"half of the {usual.training.epochs} epochs that are usual" in plan.reasons["patience"]
        assert plan.reasons["patience"].endswith(end)


def test_the_lines_of_python_say_the_same_request():
    request = QUICK.model_copy(update={"target": ("load", "temp"), "missing": {"load": "linear"}, "kinds": {"temp": "numeric"}})
    code = request.as_python("data.csv", "runs/x")
    line = next(line for line in code.splitlines() if line.startswith("run = "))
    given: dict[str, object] = {}
    names = {"Request": Request, "train_model": lambda data, request, out: given.update(data=data, request=request, out=out)}
    exec(line, names)
    assert given == {"data": "data.csv", "request": request, "out": "runs/x"}


def test_what_was_left_out_is_not_written_into_the_lines_of_python():
    assert Request(target="load").said() == {"target": "load"}
    assert "Request(target='load')" in Request(target="load").as_python("a.csv", "b")


def test_several_series_are_as_long_as_the_longest():
    frame = pl.concat([waves(count).with_columns(pl.lit(str(count)).alias("site")) for count in (60, 600)])
    plan = planned(frame, series="site")
    assert plan.horizon == 24
    assert np.isfinite(plan.window)
