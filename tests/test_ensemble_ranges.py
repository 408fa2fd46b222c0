"""Ranges of ensembles: the mean of the members' quantiles, corrected by the ensemble's own errors."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gatework.evaluate import load
from gatework.model import load_trained, network_outputs
from gatework.runs import Conformal, Evaluation, RangePlan, RunFolder
from gatework.runs.study import Seeds
from gatework.study import Study, run_study
from gatework.tasks import Forecast
from gatework.tasks.conformal import quantile_levels
from gatework.tasks.ensemble import mean_of_members
from gatework.tasks.outputs import OUTPUTS
from gatework.train.hold_out import validation_samples
from gatework.train.planning import plan_run
from gatework.train.watch import Silent
from small_runs import QUICK, waves
from tables import forecast_table, prepared_and_fit

INTERVALS = (0.8, 0.95)
WANTED = QUICK.model_copy(update={"epochs": 1, "validation_share": 0.3, "test_share": 0.3, "horizon": 2})


def ensemble(frame: pl.DataFrame, place: Path, **changes: object) -> Study:
    return run_study(frame, WANTED.model_copy(update=changes), Seeds(members=2), out=place / "study", watch=Silent())


@pytest.mark.parametrize("changes", [{}, {"output": "gaussian", "calibrate": "adaptive"}], ids=["point", "gaussian"])
def test_the_ranges_of_an_ensemble_hold_their_share_and_stand_in_the_table(changes, tmp_path: Path):
    study = ensemble(waves(4000, noise=1.0), tmp_path, **changes)
    folder = RunFolder(study.folder.file("ensemble"))
    found = folder.read("evaluation.json", Evaluation).uncertainty
    # 1200 windows to calibrate on and as many to judge: a standard error of 1.6 points
    assert [one.coverage for one in found.intervals] == pytest.approx(INTERVALS, abs=0.03)
    assert len(found.coverage) == 10
    _, table = study.result.tables
    assert [row.name for row in table.rows] == ["ensemble", "mean member", "seed 0", "seed 1"]
    assert table.rows[0].cells[:2] == (f"{100 * found.intervals[0].coverage:.1f} %", table.rows[0].cells[1])
    assert table.rows[0].cells[1].value == found.intervals[0].width
    members = [RunFolder(study.folder.file(f"member-{number}")).read("evaluation.json", Evaluation) for number in (1, 2)]
    widths = [one.uncertainty.intervals[1].width for one in members]
    assert table.rows[1].cells[4].value == pytest.approx(np.mean(widths))
    frame = load(folder).predict(waves(300, noise=1.0)).frame
    for low, high in ((f"low {name}", f"high {name}") for name in ("80 %", "95 %")):
        assert (frame[low] <= frame["prediction"]).all()
        assert (frame["prediction"] <= frame[high]).all()
    paths = load(folder).sample_paths(waves(300, noise=1.0), num_paths=20, seed=1)
    assert paths["value"].is_finite().all()


def test_the_errors_of_the_ensemble_are_its_own_on_the_validation_part_of_its_members(tmp_path: Path):
    frame = waves(600, noise=1.0)
    study = ensemble(frame, tmp_path)
    folder = RunFolder(study.folder.file("ensemble"))
    trained, _ = load_trained(folder)
    _, dataset = plan_run(frame, WANTED)
    _, samples = validation_samples(trained.plan, dataset)
    forecast = trained.task.decode(network_outputs(trained.network, samples), trained.preparation)
    truth = dataset.prepared.raw_targets[samples.origin[:, None] + np.arange(samples.horizon)]
    scale = np.nanstd(dataset.table.steps["load"].to_numpy()[: int(samples.origin.min())])
    above = np.sort((truth - forecast)[:, 0, 0])
    rank = int(np.ceil((len(above) + 1) * 0.9)) - 1
    shift = folder.read("conformal.json", Conformal).shift[0][1][0][0]
    # the scale of the model is the deviation of the training rows, of which this is nearly that
    assert shift * scale == pytest.approx(above[rank], rel=0.02)
    own = [RunFolder(study.folder.file(f"member-{number}")).read("conformal.json", Conformal).shift for number in (1, 2)]
    assert folder.read("conformal.json", Conformal).shift not in own


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("is_log", [False, True])
def test_quantiles_are_averaged_in_the_units_of_the_data(name, is_log):
    table = forecast_table([200])
    if is_log:
        table = type(table)(
            table.steps.with_columns(pl.col("load").exp().round()), table.sequences, table.fields, table.series, table.time
        )
    _, preparation, _ = prepared_and_fit(table)
    assert next(field for field in preparation.record.fields if field.name == "load").scale.is_log == is_log
    member = Forecast(3, 6, asked=RangePlan(output=name))
    together = mean_of_members([member, member], preparation)
    generator = np.random.default_rng(0)
    size = member.output.num_parameters
    raw = np.abs(generator.normal(size=(5, 2, 3, 1, size))) + 0.1
    raw = np.sort(raw, axis=-1)  # quantiles rise
    output = raw if size > 1 else raw[..., 0]
    each = [member._numbers(output[:, number]) for number in range(2)]
    wanted = quantile_levels(INTERVALS)
    if name == "point":
        units = [preparation.inverse_targets(numbers[..., 0])[..., None] for numbers in each]
        levels: list[int] = [0]
    else:
        own = [member.output.quantile(numbers, wanted) for numbers in each]
        units = own if member.output.is_count else [to_units(values, preparation) for values in own]
        levels = [together.output.levels.index(level) for level in wanted]
    found = together._numbers(output)[..., levels]
    found = found if member.output.is_count else to_units(found, preparation)
    np.testing.assert_allclose(found, (units[0] + units[1]) / 2, rtol=1e-9)
    median = together.decode(output, preparation)
    np.testing.assert_allclose(median, np.mean([member.decode(output[:, k], preparation) for k in range(2)], axis=0), rtol=1e-9)


def to_units(values: np.ndarray, preparation: object) -> np.ndarray:
    return np.moveaxis(preparation.inverse_targets(np.moveaxis(values, -1, 0)), 0, -1)  # type: ignore[attr-defined]


def test_an_ensemble_without_calibration_of_single_numbers_has_no_ranges(tmp_path: Path):
    study = ensemble(waves(200), tmp_path, calibrate="none")
    assert len(study.result.tables) == 1
    assert not RunFolder(study.folder.file("ensemble")).has("conformal.json")
