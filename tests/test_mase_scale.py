"""What MASE divides by: every series' own past, that of training where training knows it."""

import numpy as np
import polars as pl
import pytest

from gatework.evaluate import evaluate_run
from gatework.runs import Evaluation, RunFolder
from small_runs import QUICK, hours, sites, trained

PERIOD, WINDOW = 24, 48
REQUEST = QUICK.model_copy(update={"series": "site", "ignore": ("kind",), "window": WINDOW, "epochs": 1})


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    folder = tmp_path_factory.mktemp("shops")
    sites(["a", "b"], 300).write_parquet(folder / "shops.parquet")
    return trained(str(folder / "shops.parquet"), REQUEST, folder / "run")


def scaled(frame: pl.DataFrame, factor: float, *names: str) -> pl.DataFrame:
    return frame.with_columns(pl.when(pl.col("site").is_in(names)).then(pl.col("load") * factor).otherwise("load").alias("load"))


def scores(evaluation: Evaluation) -> dict[str, float | None]:
    return {row.name: row.scores["MASE"].value for row in evaluation.rows}


def change(load: pl.Series) -> float:
    values = load.to_numpy()
    return float(np.abs(values[PERIOD:] - values[:-PERIOD]).mean())


def test_a_series_that_training_never_saw_is_measured_by_its_own_past(run):
    shop = scaled(sites(["a", "b", "small"], 200).filter(pl.col("site") == "small"), 0.01, "small")
    evaluation = evaluate_run(run, data=shop)
    written = pl.read_parquet(run.file("predictions-frame.parquet"))
    error = (written["truth"] - written["prediction"]).abs().mean()
    assert scores(evaluation)["LSTM"] == pytest.approx(error / change(shop["load"][:WINDOW]), rel=1e-9)
    assert 0.3 < scores(evaluation)["seasonal naive"] < 3  # the noise of both parts is alike
    assert any("MASE of 1 series that training does not know" in note and note.endswith(": small.") for note in evaluation.notes)


def test_without_a_season_of_its_own_before_the_first_forecast_it_is_left_out_and_named(run):
    frame = pl.concat([sites(["a"], 200), sites(["new"], 30)])
    evaluation = evaluate_run(run, data=frame)
    assert any(note.startswith("MASE leaves out 1 series") and note.endswith(": new.") for note in evaluation.notes)
    alone = evaluate_run(run, data=sites(["new"], 30))
    assert set(scores(alone).values()) == {None}
    known = evaluate_run(run, data=sites(["a"], 200))
    assert scores(evaluation) == pytest.approx(scores(known), rel=1e-9)
    assert not any("MASE" in note for note in known.notes)


def test_a_series_that_begins_after_the_training_part_does_not_borrow_the_others_scale(tmp_path):
    frame = sites(["a", "b", "late"], 600)
    first = hours(1, first=600 - 170)[0]  # the training part ends 180 steps before the end
    late = pl.col("site") == "late"
    data = scaled(frame.filter(~late | (pl.col("when") >= first)), 1000.0, "a", "b")
    run = trained(data, REQUEST, tmp_path / "run")
    found = scores(evaluate_run(run, data=data))["LSTM"]
    rows = pl.read_parquet(run.file("predictions.parquet")).with_columns(
        (pl.col("truth") - pl.col("prediction")).abs().alias("error")
    )
    before = data.filter(late & (pl.col("when") <= rows.filter(pl.col("series") == "late")["forecast_from"].min()))
    by = {name: change(data.filter(pl.col("site") == name)["load"][:420]) for name in ("a", "b")} | {
        "late": change(before["load"])
    }
    assert found == pytest.approx(np.mean([row["error"] / by[row["series"]] for row in rows.iter_rows(named=True)]), rel=1e-9)
