"""Missing values and irregular steps from the table to the network: the inputs, what chooses them, and what is refused."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
import torch

from gatework.data.clock import clock_columns, since_observed, why_irregular
from gatework.data.layout import build_table
from gatework.data.prepare import Preparation
from gatework.data.samples import ForecastSamples, SequenceSamples
from gatework.data.series import from_lengths
from gatework.data.split import Split
from gatework.errors import ConfigError, DataError
from gatework.evaluate.predict import predict_run
from gatework.model import build_model, sizes_for
from gatework.ragged import Ragged
from gatework.runs import Plan
from gatework.tasks import planned_task
from gatework.train import Request, plan_run, train_model
from gatework.train.planning import plan_table
from tables import column

START = datetime(2026, 1, 5)


def stamps(hours: np.ndarray) -> list[datetime]:
    return [START + timedelta(seconds=round(3600 * float(hour))) for hour in hours]


def measured(steps: int = 160, *, irregular: bool = True, missing: float = 0.4, seed: int = 0) -> pl.DataFrame:
    """One series of a target and a covariate with gaps, at irregular or at hourly times."""
    draw = np.random.default_rng(seed)
    hours = np.cumsum(draw.exponential(1.0, steps)) if irregular else np.arange(steps, dtype=float)
    temp = draw.normal(size=steps)
    gaps = draw.random(steps) < missing
    return pl.DataFrame(
        {
            "time": stamps(hours),
            "load": np.sin(hours / 3) + 0.1 * draw.normal(size=steps),
            "temp": [None if gap else float(value) for gap, value in zip(gaps, temp, strict=True)],
        }
    )


def patients(count: int = 40, seed: int = 0) -> pl.DataFrame:
    """Visits at irregular days with an answer each: whether the last visits were close together."""
    draw, rows = np.random.default_rng(seed), []
    for patient in range(count):
        days = np.cumsum(draw.exponential(10.0, draw.integers(3, 9)))
        sick = "yes" if draw.random() < 0.5 else "no"
        rows += [
            {"patient": f"p{patient:02}", "time": START + timedelta(days=float(day)), "sick": sick,
             "pulse": None if draw.random() < 0.3 else float(draw.normal(60 + 10 * (sick == "yes"), 3))}
            for day in days
        ]  # fmt: skip
    return pl.DataFrame(rows)


def quick(**options: object) -> Request:
    given = {"target": "load", "horizon": 3, "window": 12, "hidden_size": 5, "epochs": 1, "batch_size": 32} | options
    return Request(**given)  # type: ignore[arg-type]


# --- the numbers


def test_the_time_since_a_measurement_is_the_papers_recursion() -> None:
    draw = np.random.default_rng(0)
    rows, observed = from_lengths(np.array([5, 0, 9, 1])), draw.random(15) < 0.4
    clock = np.concatenate([np.cumsum(draw.exponential(1.0, n)) for n in (5, 9, 1)])
    expected = np.zeros(15)
    for start, end in ((0, 5), (5, 14), (14, 15)):
        for t in range(start + 1, end):  # Che et al. 2018, the definition of δ
            expected[t] = clock[t] - clock[t - 1] + (0.0 if observed[t - 1] else expected[t - 1])
    np.testing.assert_allclose(since_observed(observed, clock, rows), expected, rtol=1e-12, atol=1e-12)


def test_inputs_are_in_usual_steps_and_from_training_rows_alone() -> None:
    frame = measured()
    plan, dataset = plan_run(frame, quick(missing="decay"))
    assert plan.data.elapsed
    names = dataset.prepared.input_names
    assert names == ["temp", "temp:observed", "temp:since", "load", "load:observed", "load:since"]
    assert "elapsed" in dataset.prepared.future_names
    record, train = dataset.preparation.record, dataset.split.rows_of("train")
    seconds = np.diff(frame["time"].dt.epoch("us").to_numpy() / 1e6)
    assert record.usual_step == pytest.approx(np.median(seconds[: train.sum() - 1]))
    there = frame["temp"].is_not_null().to_numpy()
    assert np.array_equal(column(dataset.prepared, "temp:observed"), there.astype(np.float32))
    since = column(dataset.prepared, "temp:since")
    assert since[train & (since > 0)].mean() == pytest.approx(1.0, rel=1e-5)
    scale = record.elapsed
    assert scale is not None
    expected = scale.scale(np.concatenate([[0.0], seconds / record.usual_step]))
    np.testing.assert_allclose(column(dataset.prepared, "elapsed"), np.clip(expected, -20, 20), rtol=1e-5, atol=1e-6)

    later = frame.with_columns(
        time=pl.when(pl.int_range(pl.len()) >= 130).then(pl.col("time") + pl.duration(days=9)).otherwise("time"),
        temp=pl.when(pl.int_range(pl.len()) >= 130).then(None).otherwise("temp"),
    )
    other = Preparation.fit(build_table(later, plan.data), dataset.split)
    assert other.to_json() == dataset.preparation.to_json()


@pytest.mark.parametrize(("cell", "name"), [("t_lstm", "elapsed"), ("phased", "time")])
def test_a_cells_own_inputs_are_the_last_columns_counted_from_the_first_step_of_each_sample(cell: str, name: str) -> None:
    _, dataset = plan_run(measured(), quick(cell=cell))
    samples = ForecastSamples(dataset.prepared, dataset.split, "train", 12, 3)
    batch = samples.batch(np.array([0, 5, 20]))
    hours = dataset.prepared.clock
    for window, number in zip(batch.inputs, (0, 5, 20), strict=True):
        own = hours[samples.origin[number] - 12 : samples.origin[number]]
        expected = np.diff(own, prepend=own[0]) if name == "elapsed" else own - own[0]
        np.testing.assert_allclose(window[:, -1].numpy(), expected, rtol=1e-5, atol=1e-6)
    _, whole = plan_run(patients(), Request(target="sick", cell=cell, epochs=1))
    sequences = SequenceSamples(whole.prepared, None, "test").batch(np.arange(4)).inputs
    offsets = whole.prepared.offsets
    for number, sequence in enumerate(sequences):
        own = whole.prepared.clock[offsets[number] : offsets[number + 1]]
        expected = np.diff(own, prepend=own[0]) if name == "elapsed" else own - own[0]
        np.testing.assert_allclose(sequence[:, -1].numpy(), expected, rtol=1e-5, atol=1e-6)


def test_without_time_stamps_every_step_takes_one() -> None:
    frame = measured(irregular=False).drop("time")
    plan, dataset = plan_run(frame, quick(cell="t_lstm"))
    assert "count 1 each" in plan.reasons["cell.clock"]
    rows = np.arange(6)
    assert clock_columns(dataset.prepared, rows, np.array([0, 2, 6])).ravel().tolist() == [0, 1, 0, 1, 1, 1]


# --- what is chosen, and why


@pytest.mark.parametrize(
    ("missing", "cell", "policy", "why"),
    [
        (0.0, "lstm", "previous", "No used column has missing values"),
        (0.05, "lstm", "previous", "Fewer than 10% of the values are missing"),
        (0.4, "lstm", "mask", "at least 10% of the values are missing"),
        (0.4, "gru_d", "decay", "The cell is one for values that fade in gaps"),
        (0.05, "gru_d", "decay", "The cell is one for values that fade"),
        (0.0, "gru_d", "previous", "No used column"),
    ],
)
def test_the_policy_for_gaps_is_chosen_and_said(missing: float, cell: str, policy: str, why: str) -> None:
    for said in (None, "auto"):
        plan, _ = plan_table(measured(missing=missing), quick(cell=cell, missing=said))
        assert next(field.missing for field in plan.data.fields if field.name == "temp") == policy
        assert why in plan.reasons["missing"]
    asked, _ = plan_table(measured(missing=missing), quick(cell=cell, missing="linear"))
    assert next(field.missing for field in asked.data.fields if field.name == "temp") == "linear"


def test_irregular_steps_are_seen_and_regular_ones_with_gaps_are_not() -> None:
    irregular, table = plan_table(measured(), quick())
    assert irregular.data.elapsed
    assert "not equally long: usually" in irregular.reasons["time.elapsed"]
    assert "hour" in why_irregular(table)
    hourly = measured(irregular=False)
    for frame in (hourly, hourly.gather_every(24), hourly.filter(pl.Series(np.random.default_rng(1).random(160) > 0.05))):
        plan, _ = plan_table(frame, quick(horizon=1, window=2))
        assert not plan.data.elapsed
        assert "time.elapsed" not in plan.reasons
    months = pl.DataFrame({"time": pl.datetime_range(START, datetime(2036, 1, 5), "1mo", eager=True)})
    plan, _ = plan_table(months.with_columns(load=pl.int_range(pl.len()).sin()), quick())
    assert not plan.data.elapsed


@pytest.mark.parametrize("cell", ["gru_d", "t_lstm"])
def test_cells_that_look_back_in_time_read_forwards(cell: str) -> None:
    plan, _ = plan_table(patients(), Request(target="sick", cell=cell))
    assert not plan.model.bidirectional
    assert "known forwards" in plan.reasons["bidirectional"]


# --- to the network and back


def network_of(request: Request, frame: pl.DataFrame) -> tuple[Plan, object, object]:
    plan, dataset = plan_run(frame, request)
    task = planned_task(plan)
    return (
        plan,
        build_model(plan, sizes_for(plan, dataset.prepared), task, 0),
        task.samples(dataset.prepared, dataset.split, "train"),
    )


def test_a_measured_value_is_read_as_it_is_and_a_gap_fades() -> None:
    _, network, samples = network_of(quick(cell="gru_d"), measured())
    batch = samples.batch(np.arange(4))
    read, inputs, _ = network.read(batch.inputs, 3)
    names = samples.prepared.input_names
    value, mask, since = (names.index(f"temp{end}") for end in ("", ":observed", ":since"))
    before, after = batch.inputs.values, inputs.values.detach()
    gap = before[:, mask] == 0
    assert gap.any()
    assert torch.equal(after[~gap, value], before[~gap, value])
    expected = before[gap, value] * torch.exp(-0.5 * before[gap, since])
    torch.testing.assert_close(after[gap, value], expected, rtol=1e-6, atol=1e-7)
    assert read.values.shape[1] == network.recurrent.input_size


@pytest.mark.parametrize("channels", ["together", "apart"])
def test_each_lane_of_a_window_has_the_windows_clock(channels: str) -> None:
    frame = measured(missing=0.0)
    request = quick(target=("load", "temp"), cell="t_lstm", channels=channels)
    _, network, samples = network_of(request, frame)
    batch = samples.batch(np.arange(3))
    read, _, _ = network.read(batch.inputs, 3)
    lanes = 2 if channels == "apart" else 1
    for number, sequence in enumerate(read):
        assert torch.equal(sequence[:, -1], batch.inputs[number // lanes][:, -1])
    assert isinstance(read, Ragged)
    assert torch.isfinite(network.predict(batch)).all()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("cell", ["gru_d", "t_lstm", "phased"])
def test_a_model_is_trained_saved_and_forecasts_the_same_from_the_end_of_longer_data(cell: str, tmp_path) -> None:
    frame = measured()
    run = train_model(frame, quick(cell=cell), out=tmp_path / "run")
    one = predict_run(run, frame)
    assert one.frame.height == 3
    assert any("goes on by the usual step" in note for note in one.notes)
    gaps = one.frame["time"].cast(pl.Datetime("us")).diff().drop_nulls()
    assert gaps.n_unique() == 1
    wanted = frame["time"].max() + timedelta(hours=9)
    times = [wanted, wanted + timedelta(hours=1), wanted + timedelta(hours=7)]
    asked = pl.concat([frame, pl.DataFrame({"time": times})], how="diagonal")
    own = predict_run(run, asked)
    assert own.frame["time"].cast(pl.Datetime("us")).to_list()[0] == wanted
    assert not any("goes on by the usual step" in note for note in own.notes)


def test_the_forecast_reads_nothing_after_its_origin() -> None:
    frame = measured()
    _, network, samples = network_of(quick(cell="gru_d"), frame)
    network.eval()
    later = frame.with_columns(
        load=pl.when(pl.int_range(pl.len()) >= 60).then(pl.col("load") + 5).otherwise("load"),
        temp=pl.when(pl.int_range(pl.len()) >= 60).then(None).otherwise("temp"),
    )
    plan, dataset = plan_run(frame, quick(cell="gru_d"))
    changed = dataset.preparation.apply(build_table(later, plan.data), Split.all_test(dataset.table))
    other = ForecastSamples(changed, None, "test", 12, 3)
    early = np.flatnonzero(samples.origin < 58)
    assert len(early)
    same = np.flatnonzero(np.isin(other.origin, samples.origin[early]))
    with torch.no_grad():
        assert torch.equal(network.predict(samples.batch(early)), network.predict(other.batch(same)))


# --- what is refused


def refused(frame: pl.DataFrame, request: Request, message: str, kind: type[Exception] = DataError) -> None:
    with pytest.raises(kind, match=message):
        plan_run(frame, request)


def test_times_that_repeat_or_run_backwards() -> None:
    frame = measured()
    refused(pl.concat([frame, frame.tail(1)]), quick(), "has 2 rows at time = .* Expected each time once")
    _, dataset = plan_run(frame.reverse(), quick())
    assert any("were sorted" in note for note in dataset.table.notes)


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_an_order_that_is_no_number(bad: float) -> None:
    frame = measured().with_columns(time=pl.int_range(pl.len()).cast(pl.Float64))
    frame = frame.with_columns(time=pl.when(pl.int_range(pl.len()) == 159).then(bad).otherwise("time"))
    refused(frame, quick(time="time"), "time")


def test_a_series_without_a_value_is_named_and_a_column_without_one_is_noted() -> None:
    frame = patients()
    nobody = frame.with_columns(pulse=pl.when(pl.col("patient") == "p07").then(None).otherwise("pulse"))
    refused(nobody, Request(target="sick"), "Series 'p07' has .* steps and no value at any of them: pulse are all missing")
    both = nobody.with_columns(weight=pl.int_range(pl.len()).cast(pl.Float64) % 7)
    _, dataset = plan_run(both, Request(target="sick"))
    assert any("'pulse' has no value at all in 1 of 40 series ('p07')" in note for note in dataset.prepared.notes)


def test_a_cell_that_reads_the_time_of_every_step_reads_no_segments() -> None:
    for options, said in (({"segment": 4}, "--segment is 4"), ({"decoder": "recursive"}, "--decoder is recursive")):
        refused(measured(), quick(cell="phased", **options), f"{said} and the cell phased reads time", ConfigError)
