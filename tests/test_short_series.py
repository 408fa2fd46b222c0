"""Series shorter than the window: trained on, judged and forecast from the steps that they have, as if they were alone."""

import numpy as np
import polars as pl
import pytest

import gatework
from gatework.data.dataset import open_dataset
from gatework.data.layout import build_table
from gatework.data.split import Split
from gatework.errors import DataError
from gatework.evaluate import evaluate_run
from gatework.model import load_trained, network_outputs
from gatework.runs import RunFolder
from gatework.tasks.forecast import shortest_window
from gatework.tasks.task import Case
from gatework.train import Request, plan_run
from small_runs import hours, sites, trained

WINDOW, HORIZON, LENGTH = 24, 3, 150
REQUEST = Request(
    target="load", time="when", series="site", ignore=("kind",), horizon=HORIZON, window=WINDOW, normalise="standard",
    hidden_size=6, epochs=1, batch_size=32, dropout=0.0,
)  # fmt: skip


def products() -> pl.DataFrame:
    """Two with all steps, one that ended early, one that began in the test part."""
    frame = sites(["long", "other", "ended", "new"], count=LENGTH)
    first, last = hours(1, first=LENGTH - 18)[0], hours(1, first=15)[0]
    is_kept = (
        pl.when(pl.col("site") == "new")
        .then(pl.col("when") >= first)
        .otherwise((pl.col("site") != "ended") | (pl.col("when") <= last))
    )
    return frame.filter(is_kept)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    return trained(products(), REQUEST, tmp_path_factory.mktemp("short") / "run")


def test_short_series_are_trained_on_and_judged_and_named(run):
    _, dataset = plan_run(products(), REQUEST)
    note = "1 series have fewer than 27 steps (window and horizon) in the training part: what is read of them begins at"
    assert any(text.startswith(note) and text.endswith("ended.") for text in dataset.split.record.notes)
    evaluation = evaluate_run(run, data=products())
    assert all(np.isfinite(row.scores["MAE"].value) for row in evaluation.rows)
    judged = pl.read_parquet(run.file("predictions.parquet"))
    assert set(judged["series"]) == {"long", "other", "new"}
    assert judged.filter(pl.col("series") == "new")["forecast_from"].min() == hours(1, first=LENGTH - 18 + 7)[0]
    names = [row.name for row in evaluation.rows]
    assert "DLinear" in names
    assert "ridge on the window" in names


def test_no_answer_for_a_short_series_depends_on_its_neighbours(run):
    """The model's, and those of the baselines that read a window: row by row as when the series before it is another one."""
    frame = products()
    others = pl.col("site") != "new"
    changed = frame.with_columns(pl.when(others).then(pl.col("load") * 30).otherwise(pl.col("load")).alias("load"))
    rows = [evaluated(run, each) for each in (frame, changed)]
    np.testing.assert_allclose(*rows, rtol=1e-6)


def evaluated(run: RunFolder, frame: pl.DataFrame) -> np.ndarray:
    """(answers, n) the first value of every answer for the windows of the new series."""
    trained_model, _ = load_trained(run)
    own = open_dataset(run, products())
    table = build_table(frame, trained_model.plan.data)
    every = Split.all_test(table)
    task, prepared = trained_model.task, trained_model.preparation.apply(table, every)
    judged = task.samples(prepared, every, "test")
    case = Case(trained_model.preparation, own.split, task.samples(own.prepared, own.split, "train"), judged, 24, ("",))
    is_new = np.array(prepared.ids)[judged.sequence] == "new"
    model = task.decode(network_outputs(trained_model.network, judged), trained_model.preparation)
    return np.stack([answer[is_new, 0, 0] for answer in (model, *(each.values for each in task.baselines(case)))])


def test_a_new_short_series_is_forecast_as_it_is_alone_and_live(run):
    frame = sites(["long", "fresh", "tiny"], count=30)
    start = {"long": 0, "fresh": 19, "tiny": 23}
    kept = pl.concat(frame.filter(pl.col("site") == name).slice(first) for name, first in start.items())
    predictor = gatework.load(run)
    answer = predictor.predict(kept)
    assert answer.frame["series"].unique().sort().to_list() == ["fresh", "long"]
    assert "1 series are shorter than the window of 24 steps; each is forecast from what it has: fresh." in answer.notes
    assert "1 series have fewer than 8 steps and no forecast: tiny." in answer.notes
    own = answer.frame.filter(pl.col("series") == "fresh")["prediction"].to_numpy()
    fresh = kept.filter(pl.col("site") == "fresh")
    np.testing.assert_allclose(predictor.predict(fresh).frame["prediction"], own, rtol=1e-5)
    live = predictor.live(fresh.head(8))
    for row in fresh.slice(8).iter_rows(named=True):
        live.update(row)
    np.testing.assert_allclose(live.forecast()[:, 0], own, rtol=1e-5)
    other = predictor.live(sites(["long"], count=20))
    other.restore(live.state())
    np.testing.assert_array_equal(other.forecast(), live.forecast())
    with pytest.raises(DataError, match="has 7 steps; the model reads windows of 24, and no fewer than 8"):
        predictor.live(fresh.head(7))
    paths = predictor.sample_paths(fresh, num_paths=3)
    assert paths["value"].is_finite().all()


def test_a_carried_state_begins_with_a_short_history_too(tmp_path):
    request = REQUEST.model_copy(update={"normalise": "none", "linear_steps": 20})
    predictor = gatework.load(trained(products(), request, tmp_path / "run"))
    fresh = sites(["fresh"], count=11)
    live = predictor.live(fresh)
    assert live.carries_state
    np.testing.assert_allclose(live.forecast()[:, 0], predictor.predict(fresh).frame["prediction"], rtol=1e-4)


def test_the_fewest_steps_are_a_few_a_segment_and_two_seasons(run):
    model = gatework.load(run).trained.plan.model
    assert shortest_window(model, 24, 12) == 8
    assert shortest_window(model, 5, 12) == 5
    assert shortest_window(model.model_copy(update={"segment": 12}), 24, 12) == 12
    assert shortest_window(model.model_copy(update={"normalise": "season"}), 30, 12) == 24


def test_a_window_that_no_series_has_is_refused_but_may_be_taken_over(run, tmp_path):
    short = sites(["a", "b"], count=30)
    with pytest.raises(DataError, match=r"needs 27: a window of 24.*Give a smaller --window \(at most 17\)"):
        plan_run(short, REQUEST)
    request = Request(target="load", time="when", series="site", ignore=("kind",), init_from=str(run.path), epochs=1)
    plan, dataset = plan_run(short, request)
    assert plan.window == 24
    assert any("2 series have fewer than 27 steps" in note for note in dataset.split.record.notes)
    again = trained(short, request, tmp_path / "again")
    assert again.read_history()[0].train_loss > 0
