"""How a forecast's windows are read when nobody says how; and what cannot go together."""

import numpy as np
import polars as pl
import pytest

import gatework
from gatework.errors import ConfigError
from gatework.tasks import planned_task
from gatework.train import Request, plan_run
from small_runs import QUICK, hours, sites, trained, waves


def planned(frame: pl.DataFrame, **options: object):
    request = Request.model_validate({"target": "load", "time": "when", "horizon": 3, "window": 12, **options})
    return plan_run(frame, request)[0]


def at_levels(levels: list[float]) -> pl.DataFrame:
    frames = [waves(120, seed=number).with_columns(pl.col("load") + level) for number, level in enumerate(levels)]
    return pl.concat(frame.with_columns(pl.lit(f"s{number}").alias("site")) for number, frame in enumerate(frames))


def test_series_at_one_level_keep_the_scale_of_training():
    plan = planned(at_levels([0.0, 0.1, -0.1]), series="site")
    assert (plan.model.normalise, plan.model.decoder, plan.model.segment, plan.model.channels) == (
        "none",
        "direct",
        1,
        "together",
    )


def test_series_at_levels_of_their_own_are_put_on_their_own():
    plan = planned(at_levels([0.0, 100.0, 900.0]), series="site")
    assert plan.model.normalise == "standard"
    assert "different levels" in plan.reasons["normalise"]


def test_a_level_that_wanders_is_taken_off():
    walk = np.random.default_rng(0).normal(0, 1, 400).cumsum() + 100
    plan = planned(pl.DataFrame({"when": hours(400), "load": walk}))
    assert plan.model.normalise == "last"
    assert "wanders" in plan.reasons["normalise"]


def test_what_comes_after_the_first_part_does_not_decide():
    early = waves(400)
    late = early.with_columns(
        pl.when(pl.int_range(400) >= 290).then(1e3 * pl.int_range(400)).otherwise(pl.col("load")).alias("load")
    )
    assert planned(late).model.normalise == planned(early).model.normalise == "none"


def test_what_is_asked_for_is_taken():
    plan = planned(waves(), segment=4, normalise="mean", decoder="position", linear_steps=0, loss="huber", season=12)
    assert (plan.model.segment, plan.model.normalise, plan.model.decoder, plan.model.linear_steps) == (4, "mean", "position", 0)
    assert (plan.training.loss, plan.period) == ("huber", 12)
    assert "normalise" not in plan.reasons


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"segment": 13}, "segment is 13 and the window has 12 steps"),
        ({"linear_steps": 13}, "linear_steps is 13 and the window has 12 steps"),
        ({"normalise": "season", "season": 7}, "the season is 7 and the window has 12 steps"),
        ({"decoder": "position", "bidirectional": True}, "Expected --decoder direct with --bidirectional"),
        ({"segment": 0}, "segment is 0; expected a whole number of at least 1"),
    ],
    ids=str,
)
def test_what_cannot_go_together_is_refused_before_training(options, message):
    with pytest.raises(ConfigError, match=message):
        planned(waves(), **options)


def test_a_longer_horizon_is_forecast_where_the_decoder_goes_on(tmp_path):
    request = QUICK.model_copy(update={"decoder": "recursive", "linear_steps": 0, "epochs": 1})
    predictor = gatework.load(trained(waves(), request, tmp_path / "run"))
    usual, longer = predictor.predict(waves(100)).frame, predictor.predict(waves(100), horizon=10).frame
    assert longer["step"].to_list() == list(range(1, 11))
    assert longer["time"].to_list() == hours(10, first=100).to_list()
    np.testing.assert_allclose(longer["prediction"][:3], usual["prediction"], rtol=1e-6)
    with pytest.raises(ConfigError, match="The horizon is 0"):
        predictor.predict(waves(100), horizon=0)


def test_a_bound_decoder_says_what_to_train_instead(tmp_path):
    predictor = gatework.load(trained(waves(), QUICK.model_copy(update={"epochs": 1}), tmp_path / "run"))
    with pytest.raises(ConfigError, match="Train with --horizon 4, or with --decoder recursive"):
        predictor.predict(waves(100), horizon=4)


@pytest.mark.parametrize(
    "options", [{"channels": "apart", "segment": 4}, {"decoder": "sequence"}, {"normalise": "scale"}], ids=str
)
def test_a_new_series_is_forecast_and_several_targets_come_in_their_order(options, tmp_path):
    request = Request(
        target=("load", "temp"), time="when", series="site", horizon=3, window=12, hidden_size=8, epochs=1, batch_size=32,
        ignore=("kind", "price"),
    )  # fmt: skip
    run = trained(sites(["a", "b"]), request.model_copy(update=options), tmp_path / "run")
    frame = gatework.load(run).predict(sites(["new"], count=30)).frame
    assert frame["series"].unique().to_list() == ["new"]
    assert frame["target"].to_list() == ["load", "temp"] * 3
    load, temp = (frame.filter(pl.col("target") == name)["prediction"] for name in ("load", "temp"))
    assert abs(load.mean() - 10) < 6  # the targets are not taken for each other: 10 and 15 with deviations 2 and 5
    assert load.is_not_nan().all() and temp.is_not_nan().all()  # noqa: PT018


def of_lengths(lengths: list[int], begins: list[int] | None = None) -> pl.DataFrame:
    """A site of each length; where each begins, in hours."""
    return pl.concat(
        waves(length, seed=number, first=first).with_columns(pl.lit(f"s{number}").alias("site"))
        for number, (length, first) in enumerate(zip(lengths, begins or [0] * len(lengths), strict=True))
    )


def test_the_inferred_window_fits_nine_in_ten_series_where_they_hold_the_rows():
    request = Request(target="load", time="when", series="site", horizon=3)
    plan, _ = plan_run(of_lengths([900] + [60] * 20), request)
    assert plan.window == int(60 * 0.7) // 3
    assert "nine in ten" in plan.reasons["window"]
    alike, _ = plan_run(of_lengths([90, *range(60, 90)]), request)  # about equally long
    assert alike.window == int(63 * 0.7) // 3
    alone, _ = plan_run(waves(900), Request(target="load", time="when", horizon=3))
    assert alone.window == 3 * 24


@pytest.mark.parametrize("where", ["from the same start", "to the same end"])
def test_a_few_short_series_do_not_limit_the_inferred_window(where):
    lengths = [12, 60, 500, 700, 700]
    begins = None if where == "from the same start" else [700 - length for length in lengths]
    plan, dataset = plan_run(of_lengths(lengths, begins), Request(target="load", time="when", series="site"))
    assert (plan.horizon, plan.window) == (24, 3 * 24)
    assert "500 steps or more have to train on, which hold 96 % of the rows" in plan.reasons["window"]
    for part in ("train", "validation", "test"):
        assert len(planned_task(plan).samples(dataset.prepared, dataset.split, part))


def test_long_series_that_are_hardly_trained_on_do_not_decide_the_window():
    """All that is long lies in the last third of the time: the training part has series of 60 steps alone."""
    lengths, begins = [60] * 30 + [300] * 20, [*range(0, 1800, 60), *[1500] * 20]
    plan, dataset = plan_run(of_lengths(lengths, begins), Request(target="load", time="when", series="site", horizon=3))
    assert plan.window <= 60 // 3
    assert len(planned_task(plan).samples(dataset.prepared, dataset.split, "train"))
