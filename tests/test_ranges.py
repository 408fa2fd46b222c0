"""Ranges of forecasts from training to prediction: coverage, order, what they may know, what is refused."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from gatework.cli.results import readable
from gatework.errors import ConfigError, DataError
from gatework.evaluate import evaluate_run, load
from gatework.runs import Conformal, RangePlan, RunFolder
from gatework.tasks import Forecast
from gatework.tasks.conformal import quantile_levels
from gatework.tasks.outputs import OUTPUTS
from gatework.tasks.range_calibration import fitted_shift
from gatework.tasks.task import Answer, Case
from gatework.train import Request
from gatework.train.hold_out import validation_samples
from gatework.train.planning import plan_run
from refusals import refusal
from small_runs import QUICK, trained, waves
from tables import forecast_table, prepared_and_fit

WANTED = QUICK.model_copy(update={"epochs": 2, "validation_share": 0.3, "test_share": 0.3})
INTERVALS = (0.8, 0.95)
RANGES = ["low 80 %", "high 80 %", "low 95 %", "high 95 %"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("ranges")


@pytest.fixture(scope="module")
def run(place) -> RunFolder:
    waves(5000, noise=1.0).write_csv(place / "data.csv")
    return trained(place / "data.csv", WANTED.model_copy(update={"epochs": 1}), place / "run")


def test_the_ranges_of_a_trained_model_hold_the_share_that_they_promise(run):
    found = evaluate_run(run).uncertainty
    assert (found.output, found.calibration) == ("point", "split")
    # 1500 windows to calibrate on and 1500 to judge: a standard error of 1.5 points
    assert [one.coverage for one in found.intervals] == pytest.approx(INTERVALS, abs=0.03)
    for one in found.intervals:
        assert len(one.coverage_by_step) == 3
        assert one.coverage_by_step == pytest.approx([one.level] * 3, abs=0.04)
    rows = pl.read_parquet(run.file("predictions.parquet"))
    inside = (rows["low 80 %"] <= rows["truth"]) & (rows["truth"] <= rows["high 80 %"])
    assert inside.mean() == pytest.approx(found.intervals[0].coverage)
    noise = 2 * 1.2816  # the 80 % range of the noise itself, of standard deviation 1
    assert noise * 0.9 < found.intervals[0].width < noise * 1.5


@pytest.mark.parametrize("method", ["split", "adaptive"])
def test_a_skewed_target_misses_as_often_below_as_above(method, place):
    skewed = waves(5000).with_columns(pl.Series("load", 20 + 5 * np.random.default_rng(0).lognormal(size=5000)))
    wanted = WANTED.model_copy(update={"epochs": 1, "calibrate": method})
    folder = trained(skewed, wanted, place / f"skewed-{method}")
    evaluate_run(folder, skewed)
    rows = pl.read_parquet(folder.file("predictions.parquet"))
    for name, half in (("80 %", 0.1), ("95 %", 0.025)):
        below = (rows["truth"] < rows[f"low {name}"]).mean()
        above = (rows["truth"] > rows[f"high {name}"]).mean()
        assert (below, above) == pytest.approx((half, half), abs=0.02)
        assert below + above == pytest.approx(2 * half, abs=0.03)
    sides = [(rows["prediction"] - rows["low 95 %"]).mean(), (rows["high 95 %"] - rows["prediction"]).mean()]
    # of the noise itself: 5 (1 - exp(-1.96)) below its median and 5 (exp(1.96) - 1) above
    assert sides == pytest.approx([4.3, 30.5], rel=0.25)


def test_nothing_after_the_validation_part_changes_a_range(place):
    frame = waves(300)
    changed = frame.with_columns(pl.when(pl.int_range(300) >= 250).then(pl.col("load") * 9).otherwise("load").alias("load"))
    files = []
    for number, data in enumerate((frame, changed)):
        folder = trained(data, QUICK.model_copy(update={"epochs": 1, "test_share": 0.2}), place / f"leak-{number}")
        files.append([folder.file(name).read_bytes() for name in ("conformal.json", "conformal.safetensors")])
    assert files[0] == files[1]


@pytest.mark.parametrize("method", ["split", "adaptive"])
def test_a_changed_truth_changes_no_range_before_it(method, place):
    frame = waves(400, noise=0.5)
    wanted = QUICK.model_copy(update={"epochs": 1, "calibrate": method})
    frame.write_csv(place / f"{method}.csv")
    folder = trained(place / f"{method}.csv", wanted, place / f"run-{method}")
    at = 380
    changed = frame.with_columns(pl.when(pl.int_range(400) >= at).then(99.0).otherwise("load").alias("load"))
    changed.write_csv(place / f"{method}-changed.csv")
    seen = []
    for name in (f"{method}.csv", f"{method}-changed.csv"):
        evaluate_run(folder, str(place / name))
        rows = pl.read_parquet(folder.file("predictions.parquet"))
        seen.append(rows.filter(pl.col("forecast_from") < frame["when"][at]).select("prediction", *RANGES))
    assert len(seen[0]) > 100
    assert seen[0].equals(seen[1])


def samples_and_output(name: str, method: str, lengths: list[int]):
    """A task with made-up forecasts of its test part, calibrated on made-up forecasts of its validation part."""
    table = forecast_table(lengths, gaps=0.1)
    if name in ("negative-binomial", "zero-inflated"):
        table = type(table)(
            table.steps.with_columns(pl.col("load").round()), table.sequences, table.fields, table.series, table.time
        )
    split, preparation, prepared = prepared_and_fit(table)
    task = Forecast(3, 6, asked=RangePlan(output=name, calibrate=method))
    made = {}
    for part in ("validation", "test"):
        samples = task.samples(prepared, split, part)
        raw = torch.randn(len(samples), 3, 1, task.output.num_parameters, generator=torch.Generator().manual_seed(0))
        numbers = task.output.parameters(raw)
        if task.output.is_count:
            numbers = task.output.rescale(numbers, torch.zeros(1), torch.full((1,), 100.0))
        made[part] = (samples, (numbers if task.output.num_parameters > 1 else numbers[..., 0]).numpy())
    calibration = task.calibrate(made["validation"][1], made["validation"][0])
    return task, preparation, calibration, *made["test"]


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("method", ["split", "adaptive", "none"])
def test_ranges_never_cross_whatever_the_output(name, method):
    task, preparation, calibration, samples, output = samples_and_output(name, method, [120, 150])
    ranges = task.ranges(output, samples, preparation, calibration)
    assert ranges.levels == quantile_levels(INTERVALS)
    values = np.nan_to_num(ranges.values, posinf=1e9, neginf=-1e9)
    assert (np.diff(values, axis=-1) >= 0).all()
    np.testing.assert_allclose(values[..., 2], task.decode(output, preparation))
    assert calibration.record.is_scaled  # two series


def test_a_calibrated_range_holds_its_share_of_the_windows_that_it_was_calibrated_on():
    task, _, calibration, _, _ = samples_and_output("gaussian", "split", [900])
    table = forecast_table([900], gaps=0.1)
    split, preparation, prepared = prepared_and_fit(table)
    samples = task.samples(prepared, split, "validation")
    raw = torch.randn(len(samples), 3, 1, 2, generator=torch.Generator().manual_seed(0))
    output = task.output.parameters(raw).numpy()
    ranges = task.ranges(output, samples, preparation, calibration)
    truth = prepared.raw_targets[samples.origin[:, None] + np.arange(3)]
    for number, share in enumerate(INTERVALS):
        ends = ranges.ends[..., number, :]
        inside = ((ends[..., 0] <= truth) & (truth <= ends[..., 1]))[~np.isnan(truth)].mean()
        assert share <= inside < share + 0.03


def test_sample_paths_are_repeatable_and_their_steps_lie_in_the_ranges(run, place):
    predictor = load(run)
    data = waves(200, noise=1.0)
    paths = predictor.sample_paths(data, num_paths=400, seed=3)
    assert paths.columns == ["series", "time", "step", "path", "target", "value"]
    assert paths.height == 400 * 3
    assert paths.equals(predictor.sample_paths(data, num_paths=400, seed=3))
    assert not paths.equals(predictor.sample_paths(data, num_paths=400, seed=4))
    frame = predictor.predict(data).frame
    for step in range(1, 4):
        values = paths.filter(pl.col("step") == step)["value"].to_numpy()
        row = frame.filter(pl.col("step") == step)
        inside = ((row["low 80 %"].item() <= values) & (values <= row["high 80 %"].item())).mean()
        assert inside == pytest.approx(0.8, abs=0.08)  # 250 past errors beside the 1500 of the range


def test_counts_are_forecast_as_counts_and_other_numbers_refused(place):
    counts = waves(300).with_columns(pl.Series("load", np.random.default_rng(0).poisson(3, 300)))
    wanted = QUICK.model_copy(update={"epochs": 1, "output": "zero-inflated"})
    folder = trained(counts, wanted, place / "counts")
    frame = load(folder).predict(counts).frame
    for name in ("prediction", "low 80 %", "high 95 %"):
        assert (frame[name] >= 0).all()
    assert (frame["prediction"] == frame["prediction"].round()).all()
    assert load(folder).sample_paths(counts, 20)["value"].min() >= 0
    message = refusal(lambda: plan_run(waves(300), wanted), DataError)
    assert "'load' holds" in message
    assert "--output zero-inflated" in message


def test_a_share_of_validation_can_be_kept_for_calibration_alone():
    plan, dataset = plan_run(waves(400), QUICK.model_copy(update={"calibration_share": 0.5}))
    choosing, calibrating = validation_samples(plan, dataset)
    assert choosing.origin.max() + choosing.horizon <= calibrating.origin.min()
    assert len(calibrating) == pytest.approx(len(choosing), abs=choosing.horizon + 2)
    same, again = validation_samples(*plan_run(waves(400), QUICK))
    assert same is again


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"intervals": (0.8, 1.0)}, "intervals has 1; expected shares between 0 and 1"),
        ({"output": "gaussian", "loss": "mse"}, "loss is mse and output is gaussian"),
        ({"calibrate": "none", "calibration_share": 0.5}, "calibration_share is 0.5 and calibrate is none"),
        ({"calibration_share": 0.999}, "divides .* validation windows into"),
    ],
)
def test_wishes_that_cannot_be_are_refused(changes, said):
    request = Request.model_validate({**QUICK.model_dump(), **changes})
    with pytest.raises(ConfigError, match=said):
        plan, dataset = plan_run(waves(200), request)
        validation_samples(plan, dataset)


def test_intervals_are_named_in_the_table_and_without_calibration_a_number_has_none(place):
    wanted = QUICK.model_copy(update={"epochs": 1, "intervals": (0.975, 0.5)})
    frame = load(trained(waves(200), wanted, place / "other")).predict(waves(100)).frame
    assert frame.columns[-4:] == ["low 50 %", "high 50 %", "low 97.5 %", "high 97.5 %"]
    bare = trained(waves(200), wanted.model_copy(update={"calibrate": "none"}), place / "bare")
    assert not bare.has("conformal.json")
    assert "low 50 %" not in load(bare).predict(waves(100)).frame.columns
    with pytest.raises(Exception, match=r"has no conformal.json.*--calibrate split.*Train again"):
        load(bare).sample_paths(waves(100))


def test_too_few_windows_leave_a_range_without_a_bound(place):
    folder = trained(waves(90), QUICK.model_copy(update={"epochs": 1, "intervals": (0.5, 0.99)}), place / "few")
    record = folder.read("conformal.json", Conformal)
    assert record.shift[1] == (((None, None, None),),) * 2  # below and above
    assert "99 windows" in record.notes[0]
    frame = load(folder).predict(waves(90)).frame
    assert frame["low 99 %"].null_count() == 3
    assert frame["low 50 %"].null_count() == 0
    json.loads(folder.read_text("conformal.json"))
    written = readable(frame)
    assert written["low 99 %"].to_list() == [None] * 3
    assert written["low 50 %"].to_list() == pytest.approx(frame["low 50 %"].to_list(), rel=1e-6)


@pytest.mark.parametrize(
    ("count", "is_bounded", "is_sided"), [(18, False, False), (19, True, False), (38, True, False), (39, True, True)]
)
def test_two_sides_need_twice_as_many_windows_as_one(count, is_bounded, is_sided):
    scores = np.random.default_rng(0).normal(size=(count, 1, 1, 1, 2))
    shift = np.broadcast_to(fitted_shift(scores, (0.95,))[0, 0, 0], 2)
    assert np.isfinite(shift).all() == is_bounded
    assert (shift[0] != shift[1]) == is_sided
    if is_sided:
        np.testing.assert_array_equal(shift, scores.max(axis=0).ravel())  # the 39th of 39 on each side
    elif is_bounded:  # the 19th of 19, the 38th of 38
        np.testing.assert_array_equal(shift, scores.max())


@pytest.mark.parametrize("name", OUTPUTS)
def test_each_side_of_a_range_is_calibrated_by_itself_but_for_counts(name):
    task, _, calibration, _, _ = samples_and_output(name, "split", [400])
    below, *above = (np.array(side) for side in calibration.record.shift[0])
    assert len(above) == (0 if task.output.is_count else 1)
    assert not above or (below != above[0]).all()


def test_a_range_that_adapts_widens_when_the_latest_forecasts_were_wrong(place):
    frame = waves(700, noise=0.3)
    wanted = QUICK.model_copy(update={"epochs": 1, "calibrate": "adaptive"})
    folder = trained(frame, wanted, place / "adapts")
    generator = np.random.default_rng(5)
    rougher = frame["load"].to_numpy() + np.where(np.arange(700) >= 600, generator.normal(0, 6, 700), 0)
    # the last window itself is left as it was: the same forecast, another past
    rougher[-8:] = frame["load"].to_numpy()[-8:]
    widths = []
    for data in (frame, frame.with_columns(pl.Series("load", rougher))):
        found = load(folder).predict(data).frame
        widths.append((found["high 80 %"] - found["low 80 %"]).to_numpy())
    assert (widths[1] > 1.5 * widths[0]).all()


def test_an_answer_without_ranges_has_no_scores_for_them():
    task, preparation, _, samples, output = samples_and_output("point", "split", [100])
    case = Case(preparation, None, samples, samples, period=24, target_units=("",))
    assert task.range_scores(case, Answer("model", "", task.decode(output, preparation))) is None
