"""Anomaly detection from data to ranges: what is found, what is explained, what the labels may not touch, what is refused."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from anomaly_runs import PERIOD, SPIKE, detector, machine
from gatework.errors import ConfigError, DataError
from gatework.evaluate import evaluate_run, load
from gatework.report import write_report
from gatework.runs import DetectorRecord, Evaluation, Plan, RunFolder
from gatework.train import Request, plan_run
from refusals import refusal


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("anomaly")
    machine().write_csv(folder / "machine.csv")
    return detector(str(folder / "machine.csv"), folder / "run")


@pytest.fixture(scope="module")
def evaluation(run: RunFolder) -> Evaluation:
    return evaluate_run(run)


def test_the_planted_spike_has_the_top_score_and_is_explained(run: RunFolder, evaluation: Evaluation) -> None:
    model = evaluation.rows[0].scores
    assert model["top score in range"].value == 1
    assert model["event recall"].value == 1
    ranges = pl.read_csv(run.file("ranges.csv"), try_parse_dates=True).sort("peak_score", descending=True)
    top = ranges.row(0, named=True)
    when = machine()["when"]
    assert when[SPIKE[0]] <= top["start"] <= when[SPIKE[1]]
    assert top["channel"] == "pressure"
    assert top["contribution"] > 0.6
    assert top["seen"] - top["expected"] == pytest.approx(4.0, abs=1.5)
    assert top["explanation"].startswith(
        f"pressure was {top['seen']:.4g} where {top['expected']:.4g} was expected, contribution "
    )


def test_the_evaluation_has_baselines_a_verdict_and_figures_with_both_kinds_of_spans(evaluation: Evaluation) -> None:
    names = [row.name for row in evaluation.rows]
    assert names == ["LSTM", "rolling z-score", "difference", "nearest shape", "seasonal residual"]
    assert "average precision" in evaluation.verdict[0]
    overview, detail = evaluation.figures[0], evaluation.figures[1]
    assert {label for _, _, label in overview.spans} == {"alarm", "labelled as an anomaly"}
    assert [line.name for line in detail.lines] == ["seen", "expected"]
    assert max(value for value in overview.lines[0].y if value is not None) > 1
    assert any("no points are adjusted" in note for note in evaluation.notes)


def test_the_report_is_written(run: RunFolder, evaluation: Evaluation) -> None:
    text = write_report(run).read_text(encoding="utf-8")
    assert "Anomalies in pressure, flow" in text
    assert "average precision" in text


def test_labels_change_no_number_of_the_detector(run: RunFolder, tmp_path: Path) -> None:
    frame = machine()
    turned = frame.with_columns((1 - pl.col("is_anomaly")).alias("is_anomaly"))
    other = detector(turned, tmp_path / "turned")
    assert other.read("detector.json", DetectorRecord) == run.read("detector.json", DetectorRecord)
    plan = run.read("config.json", Plan)
    assert [field.role for field in plan.data.fields if field.name == "is_anomaly"] == ["label"]
    assert plan.data.targets == ("pressure", "flow")


def test_nothing_after_the_validation_part_changes_the_detector(run: RunFolder, tmp_path: Path) -> None:
    frame = machine().with_columns(
        pl.when(pl.int_range(pl.len()) >= 860).then(pl.col("pressure") * 3 + 7).otherwise(pl.col("pressure")).alias("pressure")
    )
    other = detector(frame, tmp_path / "later")
    assert other.read("detector.json", DetectorRecord) == run.read("detector.json", DetectorRecord)


def test_new_data_gets_ranges_and_scores(run: RunFolder) -> None:
    fresh = machine(600, seed=5, planted=False).drop("is_anomaly")
    broken = fresh.with_columns(
        pl.when(pl.int_range(pl.len()).is_between(400, 410)).then(pl.lit(50.0)).otherwise(pl.col("flow")).alias("flow")
    )
    found = load(run).predict(broken)
    assert found.steps is not None
    assert found.steps.height == 600
    assert found.steps["score"][:8].null_count() == 8  # the warm-up
    top = found.frame.sort("peak_score", descending=True).row(0, named=True)
    assert fresh["when"][398] <= top["start"] <= fresh["when"][411]
    assert top["channel"] == "flow"
    calm = load(run).predict(fresh)
    assert calm.frame.height <= 4  # two steps in a thousand are allowed
    assert calm.frame.columns == found.frame.columns


def test_a_score_knows_nothing_of_later_steps(run: RunFolder) -> None:
    frame = machine(400, seed=3, planted=False).drop("is_anomaly")
    whole, part = load(run).predict(frame).steps, load(run).predict(frame.head(300)).steps
    assert whole is not None
    assert part is not None
    assert np.allclose(whole["score"][:300].to_numpy(), part["score"].to_numpy(), rtol=1e-4, equal_nan=True)


def test_runs_of_missing_values_are_neither_alarms_nor_errors(run: RunFolder) -> None:
    frame = machine(500, seed=4, planted=False).drop("is_anomaly")
    inside = pl.int_range(pl.len()).is_between(200, 240)
    both = frame.with_columns(pl.when(inside).then(None).otherwise(pl.col(name)).alias(name) for name in ("pressure", "flow"))
    steps = load(run).predict(both).steps
    assert steps is not None
    assert steps["score"][200:241].null_count() == 41
    one = load(run).predict(frame.with_columns(pl.when(inside).then(None).otherwise(pl.col("flow")).alias("flow"))).steps
    assert one is not None
    assert one["score"][200:241].null_count() == 0  # judged by the other channel
    assert (one["contribution flow"][200:241] == 0).all()


def test_anomalies_in_the_training_part_do_not_hide_the_later_one(tmp_path: Path) -> None:
    generator = np.random.default_rng(9)
    frame = machine()
    pressure = frame["pressure"].to_numpy().copy()
    pressure[generator.choice(850, 25, replace=False)] += generator.choice([-4.0, 4.0], 25)  # three in a hundred
    evaluation = evaluate_run(
        detector(dirty := frame.with_columns(pl.Series("pressure", pressure)), tmp_path / "run"), data=dirty
    )
    assert evaluation.rows[0].scores["top score in range"].value == 1
    assert (evaluation.rows[0].scores["average precision"].value or 0) > 0.5


@pytest.fixture(scope="module")
def beats() -> pl.DataFrame:
    """One beat of the pressure is missing in rows 900 to 919."""
    frame = machine(1000, planted=False).drop("is_anomaly", "flow")
    pressure = frame["pressure"].to_numpy().copy()
    pressure[900 : 900 + PERIOD] = 5.0
    return frame.with_columns(pl.Series("pressure", pressure))


@pytest.fixture(scope="module")
def rewriter(beats: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A detector by reconstruction."""
    options = {"method": "reconstruction", "horizon": None, "epochs": 12, "hidden_size": 16, "window": PERIOD}
    return detector(beats, tmp_path_factory.mktemp("beats") / "run", **options)


def test_a_reconstruction_finds_a_missing_beat(rewriter: RunFolder, beats: pl.DataFrame) -> None:
    steps = load(rewriter).predict(beats).steps
    assert steps is not None
    assert 895 <= int(steps["score"].fill_null(0).arg_max() or 0) <= 925
    assert steps["score"].null_count() == 0


def test_without_labels_alarms_are_counted_and_nobody_wins(tmp_path: Path) -> None:
    frame = machine().drop("is_anomaly")
    evaluation = evaluate_run(detector(frame, tmp_path / "run", epochs=2), data=frame)
    assert [metric.name for metric in evaluation.metrics] == ["alarms", "steps in alarm"]
    assert evaluation.metrics[0].unit == "per day"
    assert evaluation.verdict[0].startswith("There are no labels")


def test_rows_that_come_one_by_one_get_the_scores_and_ranges_of_the_whole(run: RunFolder) -> None:
    frame = machine(300, seed=6, planted=False).drop("is_anomaly")
    place = pl.int_range(pl.len())
    frame = frame.with_columns(pl.when(place.is_between(200, 204)).then(9.9).otherwise(pl.col("pressure")).alias("pressure"))
    frame = frame.with_columns(pl.when(place.is_between(120, 123)).then(None).otherwise(pl.col("flow")).alias("flow"))
    whole = load(run).predict(frame)
    assert whole.steps is not None
    live = load(run).detector()
    cuts = [0, 150, *range(151, 216), 300]
    found = [live.update(frame[start:end]) for start, end in pairwise(cuts)]
    steps = pl.concat([part.steps for part in found])
    assert steps["time"].to_list() == whole.steps["time"].to_list()
    # float32 sums in another order
    assert np.allclose(steps["score"].to_numpy(), whole.steps["score"].to_numpy(), rtol=1e-3, atol=1e-4, equal_nan=True)
    closed = pl.concat([*(part.closed for part in found), found[-1].open])
    assert closed["start"].to_list() == whole.frame["start"].to_list()
    assert closed["end"].to_list() == whole.frame["end"].to_list()
    during = found[1 + 203 - 150]  # the row in the middle of the fault
    assert during.open.height == 1
    assert during.open["channel"][0] == "pressure"


@pytest.mark.parametrize("count", [157, 160, 161], ids=lambda count: f"{count} rows")  # windows begin every 2 rows
def test_a_reconstruction_that_is_followed_gets_the_scores_of_the_whole(
    rewriter: RunFolder, beats: pl.DataFrame, count: int
) -> None:
    frame = beats[800 : 800 + count]
    frame = frame.with_columns(pl.when(pl.int_range(count).is_between(40, 43)).then(None).otherwise("pressure").alias("pressure"))
    whole = load(rewriter).predict(frame)
    assert whole.steps is not None
    live = load(rewriter).detector()
    assert live.delay == PERIOD
    cuts = [0, 5, 30, 31, 32, 100, *range(101, 130), count]
    found = []
    for start, end in pairwise(cuts):
        before = live.end() if start else None
        found.append(live.update(frame[start:end]))
        assert sum(part.steps.height for part in found) == max(0, end - PERIOD)  # a window late, and never later
        if before is not None and end <= PERIOD + 5:
            assert before.steps["score"].null_count() == before.steps.height  # no whole window yet
    rest = live.end()
    steps = pl.concat([*(part.steps for part in found), rest.steps])
    assert steps["time"].to_list() == whole.steps["time"].to_list()
    assert steps["score"].is_null().to_list() == whole.steps["score"].is_null().to_list()
    # float32 sums in another order
    for name in ("score", "expected pressure"):
        assert np.allclose(steps[name].to_numpy(), whole.steps[name].to_numpy(), rtol=1e-3, atol=1e-4, equal_nan=True)
    closed = pl.concat([*(part.closed for part in found), rest.closed])
    assert closed["start"].to_list() == whole.frame["start"].to_list() != []
    assert closed["end"].to_list() == whole.frame["end"].to_list()
    assert live.end().steps.equals(rest.steps)  # to ask changes nothing
    assert rest.open.is_empty()


def test_where_a_series_ends_changes_no_score_that_was_given(rewriter: RunFolder, beats: pl.DataFrame) -> None:
    live, rows = load(rewriter).detector(), []
    for count in range(60):
        rows += live.update(beats[count : count + 1]).steps["score"].to_list()
        if count >= PERIOD + 10:
            steps = load(rewriter).predict(beats[: count + 1]).steps
            assert steps is not None
            assert np.allclose(rows, steps["score"].to_numpy()[: len(rows)], rtol=1e-3, atol=1e-4)


def test_the_ranges_that_are_open_at_the_end_are_told(run: RunFolder) -> None:
    frame = machine(250, seed=6, planted=False).drop("is_anomaly")
    fault = pl.int_range(pl.len()) >= 247
    frame = frame.with_columns(pl.when(fault).then(9.9).otherwise(pl.col("pressure")).alias("pressure"))
    live = load(run).detector()
    with pytest.raises(DataError, match=r"before the first row.*Give them to update\(\) first"):
        live.end()
    news = live.update(frame)
    assert live.delay == 0
    assert news.open.height == 1
    last = live.end()
    assert last.steps.is_empty()
    assert last.closed.equals(news.open)


# What is decided


def test_what_is_not_said_is_inferred_from_the_training_part_with_reasons(tmp_path: Path) -> None:
    plan, _ = plan_run(machine(), Request(task="anomaly"))
    assert plan.anomaly is not None
    assert plan.period == PERIOD
    assert plan.anomaly.method == "forecast"
    assert plan.split.validation == 0.25
    assert {"method", "season", "window", "false_alarms", "target", "labels_column"} <= set(plan.reasons)
    noise = machine().with_columns(pl.Series(name, np.random.default_rng(1).normal(size=1000)) for name in ("pressure", "flow"))
    assert plan_run(noise, Request(task="anomaly"))[0].anomaly.method == "reconstruction"  # type: ignore[union-attr]


def test_labels_may_be_words(tmp_path: Path) -> None:
    words = machine().with_columns(
        pl.when(pl.col("is_anomaly") == 1).then(pl.lit("Attack")).otherwise(pl.lit("Normal")).alias("state")
    )
    request = Request(task="anomaly", labels_column="state", target=("pressure", "flow"))
    _, dataset = plan_run(words, request)
    assert dataset.prepared.labels is not None
    assert dataset.prepared.labels.tolist() == words["is_anomaly"].cast(pl.Float64).to_list()


# What is refused


def refused(frame: pl.DataFrame, kind: type[Exception], **options: object) -> str:
    request = Request.model_validate({"task": "anomaly", **options})
    return refusal(lambda: plan_run(frame, request), kind)


def test_data_without_a_number_to_watch_is_refused() -> None:
    text = machine(200).select("when", pl.lit("on").alias("state"), pl.lit(3.0).alias("level"))
    assert "'level' never change" in refused(text, ConfigError)


def test_a_channel_that_is_constant_in_training_is_refused_by_name() -> None:
    frame = machine().with_columns(pl.when(pl.int_range(pl.len()) < 900).then(7.0).otherwise(pl.col("flow")).alias("flow"))
    with pytest.raises(DataError, match="'flow' is 7 in every training row"):
        plan_run(frame, Request(task="anomaly"))


def test_a_training_part_that_is_too_short_is_refused() -> None:
    assert "window of 100 steps" in refused(machine(120, planted=False), DataError, window=100)


def test_labels_that_say_nothing_are_refused() -> None:
    frame = machine(300).with_columns(pl.Series("state", ["red", "green"] * 150))
    assert "none of its values 'green', 'red' stands for a normal step" in refused(frame, ConfigError, labels_column="state")
    assert "it holds the numbers" in refused(
        frame.with_columns(pl.Series("state", [-1, 1] * 150)), ConfigError, labels_column="state"
    )
    assert "There is no column 'sate'" in refused(frame, ConfigError, labels_column="sate")


def test_a_budget_beyond_all_data_is_refused_before_training() -> None:
    assert "less than one alarm in 1,000 times" in refused(machine(300), ConfigError, false_alarms="1/1000000 steps")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bidirectional": True}, "reads forwards"),
        ({"decoder": "direct"}, "decoder is direct"),
        ({"target": "when_not"}, "There is no column"),
        ({"horizon": 40, "window": 50}, "half of the window"),
        ({"split_by": "group"}, "split_by is 'group'"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        plan_run(machine(400), Request.model_validate({"task": "anomaly", **options}))


def test_options_of_detectors_are_refused_elsewhere() -> None:
    with pytest.raises(ConfigError, match=r"false_alarms is 0\.01, but the task is forecast"):
        plan_run(machine(400), Request(target="pressure", false_alarms="0.01"))


def test_new_data_that_is_too_short_is_refused(run: RunFolder) -> None:
    frame = machine(1).drop("is_anomaly")
    later = frame.with_columns(pl.col("when") + timedelta(hours=1))
    assert "No series has a step that can be scored" in refusal(lambda: load(run).predict(pl.concat([frame, later])), DataError)
