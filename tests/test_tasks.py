"""What every task promises, over the list of tasks; and each task's loss, decoding, predictions and figures by hand."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import torch

from gatework.data.prepare import Prepared
from gatework.data.samples import Batch
from gatework.data.split import Split
from gatework.ragged import Ragged
from gatework.runs import CLASS_TASKS, LinesFigure, MatrixFigure, Plan, ScatterFigure, SplitPlan
from gatework.tasks import TASKS, Classify, ClassifySteps, Forecast, Regress, RegressSteps, Task, planned_task
from gatework.tasks.forecast_figures import examples
from gatework.tasks.judge_forecast import origin_clock, series_in_training, stamp_texts, truth_of
from gatework.tasks.pooling import mean_over_steps
from gatework.tasks.task import Answer, Case, Features, Sizes, masked_mean
from tables import STRATIFIED, TIME, forecast_table, prepared_and_fit, sequence_table, step_answer_table

HORIZON, WINDOW = 3, 6


def case_of(name: str) -> tuple[Task, Case]:
    """A task with data of its kind."""
    table, plan, task = forecast_table([60, 50], gaps=0.1), TIME, planned_forecast()
    if name == "classify":
        table, plan, task = sequence_table([3, 0, 5, 4] * 10, ["a", "b"] * 20), STRATIFIED, Classify()
    if name == "regress":
        table, plan = sequence_table([3, 0, 5, 4] * 10, list(np.arange(40.0)), kind="numeric"), SplitPlan(kind="group")
        task = Regress()
    if name in ("classify_steps", "regress_steps"):
        is_class = name == "classify_steps"
        table = step_answer_table([9, 30, 1, 17] * 8, "categorical" if is_class else "numeric", missing=0.1)
        plan, task = TIME, (ClassifySteps if is_class else RegressSteps)(window=4, piece=5)
    split, preparation, prepared = prepared_and_fit(table, plan)
    train, judged = (task.samples(prepared, split, part) for part in ("train", "test"))
    return task, Case(preparation, split, train, judged, period=24, target_units=("",))


def planned_forecast() -> Forecast:
    return Forecast(HORIZON, WINDOW)


def sizes_of(prepared: Prepared) -> Sizes:
    width = prepared.inputs.shape[1] + prepared.future.shape[1] + prepared.static.shape[1]
    columns = tuple(prepared.input_names.index(name) for name in prepared.target_names if name in prepared.input_names)
    sizes = (width, 5, prepared.future.shape[1], len(prepared.target_names), len(prepared.classes))
    return Sizes(*sizes, columns, prepared.target_zeros)


def made_up(task: Task, batch: Batch, sizes: Sizes) -> Features:
    """Random outputs of the layers, behind the task's own entry."""
    read, window = task.entry(sizes)(batch.inputs, batch.future.shape[1])
    steps = read.with_values(torch.randn(read.total_steps, 5))
    return Features(steps, torch.randn(read.num_sequences, 5), batch.inputs, window=window)


def outputs(task: Task, case: Case, batch: Batch) -> torch.Tensor:
    """What the task's head makes of made-up features."""
    torch.manual_seed(0)
    sizes = sizes_of(case.judged.prepared)
    return read(task.head(sizes), task, sizes, batch)


def read(head: torch.nn.Module, task: Task, sizes: Sizes, batch: Batch) -> torch.Tensor:
    """What a head makes of made-up features of a batch."""
    output = head(made_up(task, batch, sizes), batch.future)
    return output if batch.judged is None else output[batch.judged]


@pytest.fixture(scope="module", params=list(TASKS))
def told(request) -> tuple[Task, Case]:
    return case_of(request.param)


def test_the_list_of_tasks_is_keyed_by_their_names():
    assert {name: task.name for name, task in TASKS.items()} == {name: name for name in TASKS}
    plan = Plan.model_validate(
        {"data": {"task": "forecast", "targets": ["load"], "fields": []}, "split": {"kind": "time"}, "window": 9, "horizon": 4}
    )
    task = planned_task(plan)
    assert isinstance(task, Forecast)
    assert (task.window, task.horizon) == (9, 4)


def test_a_loss_is_finite_and_moves_every_parameter_of_the_head(told):
    task, case = told
    batch = case.train.batch(np.arange(len(case.train)))
    sizes = sizes_of(case.train.prepared)
    head = task.head(sizes)
    loss = task.loss(read(head, task, sizes, batch), batch)
    loss.backward()
    assert loss.shape == ()
    assert torch.isfinite(loss)
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in head.parameters())


def test_a_loss_of_one_batch_is_the_weighted_mean_of_its_parts(told):
    task, case = told
    index = np.arange(min(9, len(case.train)))
    whole = case.train.batch(index)
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(outputs(task, case, whole).shape, generator=generator)
    total = 0.0
    place = 0
    for number in index:
        part = case.train.batch(index[number : number + 1])
        total += float(task.loss(output[place : place + len(part.targets)], part)) * int(part.observed.sum())
        place += len(part.targets)
    assert float(task.loss(output, whole)) == pytest.approx(total / int(whole.observed.sum()), rel=1e-5)  # float32


def test_every_answer_is_measured_on_the_same_samples_and_the_model_comes_first(told):
    task, case = told
    output = outputs(task, case, case.judged.batch(np.arange(len(case.judged)))).detach().numpy()
    answers = [Answer("model", "", task.decode(output, case.preparation)), *task.baselines(case)]
    assert len(answers) >= 2
    assert len({answer.values.shape for answer in answers}) == 1
    assert all(np.isfinite(answer.values).all() for answer in answers)
    measured = task.measure(case, answers)
    assert len({one.num_units for one in measured}) == 1 == len({tuple(one.metrics) for one in measured})
    assert all(measured_one.num_units == case.judged.num_answers for measured_one in measured)
    assert len({figure.name for figure in task.figures(case, answers)}) == len(task.figures(case, answers))


def test_predictions_are_one_row_for_each_predicted_number_or_sequence(told):
    task, case = told
    output = outputs(task, case, case.judged.batch(np.arange(len(case.judged)))).detach().numpy()
    values = task.decode(output, case.preparation)
    frame = task.predictions(case.judged.prepared, case.judged, values)
    assert frame.height == (case.judged.num_answers if task.name in CLASS_TASKS else values.size)
    assert frame.columns[0] == "series"
    assert {"truth", "prediction"} <= set(frame.columns)
    assert frame["prediction"].null_count() == 0


def test_the_mean_of_what_is_observed_never_touches_the_rest():
    values = torch.tensor([1.0, float("nan"), 5.0, float("inf")], requires_grad=True)
    observed = torch.tensor([True, False, True, False])
    loss = masked_mean(values, observed)
    loss.backward()
    assert loss.item() == 3.0
    assert values.grad.tolist() == [0.5, 0.0, 0.5, 0.0]
    assert masked_mean(torch.tensor([float("nan")]), torch.tensor([False])).item() == 0.0


def as_batch(targets: torch.Tensor, observed: torch.Tensor) -> Batch:
    empty = Ragged.from_lengths(torch.zeros(0, 1), [0] * len(targets))
    return Batch(empty, torch.zeros(len(targets), 0, 0), targets, observed, torch.arange(len(targets)))


def test_the_losses_are_absolute_squared_and_cross_entropy():
    generator = np.random.default_rng(0)
    output, target = generator.normal(size=(2, 7, 3, 2))
    observed = generator.random((7, 3, 2)) < 0.7
    batch = as_batch(torch.from_numpy(target), torch.from_numpy(observed))
    assert planned_forecast().loss(torch.from_numpy(output), batch).item() == pytest.approx(
        np.abs(output - target)[observed].mean()
    )
    flat = as_batch(torch.from_numpy(target[:, 0]), torch.from_numpy(observed[:, 0]))
    found = Regress().loss(torch.from_numpy(output[:, 0]), flat).item()
    assert found == pytest.approx(((output - target)[:, 0] ** 2)[observed[:, 0]].mean())
    scores, classes = generator.normal(size=(7, 4)), np.array([0, 3, -1, 2, 1, -1, 0])
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    known = classes >= 0
    expected = -np.log(probabilities[known, classes[known]]).mean()
    told = as_batch(torch.from_numpy(classes), torch.from_numpy(known))
    assert Classify().loss(torch.from_numpy(scores), told).item() == pytest.approx(expected)


def test_decoding_undoes_the_scaling_of_the_targets():
    for name in ("forecast", "regress"):
        task, case = case_of(name)
        prepared = case.judged.prepared
        known = ~np.isnan(prepared.raw_targets)
        decoded = task.decode(prepared.targets, case.preparation)
        # targets are float32; around 0 the size of the others counts
        np.testing.assert_allclose(decoded[known], prepared.raw_targets[known], rtol=1e-5, atol=1e-5)


def test_probabilities_are_those_of_the_scores_whatever_their_size():
    _, case = case_of("classify")
    probabilities = Classify().decode(np.array([[1000.0, 0.0], [0.0, np.log(3.0)]], dtype=np.float32), case.preparation)
    np.testing.assert_allclose(probabilities, [[1.0, 0.0], [0.25, 0.75]], rtol=1e-6)  # ln 3 as float32


def test_the_mean_over_steps_is_that_of_each_sequence_and_zero_without_steps():
    steps = Ragged.from_list([torch.randn(length, 3) for length in (4, 0, 1, 33)])
    expected = torch.stack([one.mean(0) if len(one) else torch.zeros(3) for one in steps])
    torch.testing.assert_close(mean_over_steps(steps), expected)


def test_prediction_rows_say_which_step_of_which_target_they_are():
    task, case = case_of("forecast")
    samples = case.judged
    values = np.arange(len(samples) * HORIZON, dtype=np.float64).reshape(len(samples), HORIZON, 1)
    frame = task.predictions(samples.prepared, samples, values)
    stamps, raw = samples.prepared.times, samples.prepared.raw_targets[:, 0]
    for place, row in enumerate(frame.iter_rows(named=True)):
        sample, step = divmod(place, HORIZON)
        target_row = int(samples.origin[sample]) + step
        assert row["series"] == f"s{samples.sequence[sample]}"
        assert (row["time"], row["forecast_from"]) == (stamps[target_row], stamps[int(samples.origin[sample]) - 1])
        assert (row["step"], row["prediction"]) == (step + 1, float(place))
        assert (row["truth"] is None) if np.isnan(raw[target_row]) else (row["truth"] == raw[target_row])


def test_the_figures_of_a_forecast_hold_the_numbers_of_the_predictions():
    task, case = case_of("forecast")
    baselines = task.baselines(case)
    truth = case.judged.prepared.raw_targets[case.judged.origin[:, None] + np.arange(HORIZON)]
    model = Answer("LSTM", "", np.where(np.isnan(truth), 0.0, truth + 1.0))
    by_name = {figure.name: figure for figure in task.figures(case, [model, *baselines])}
    errors = by_name["error-by-horizon"]
    assert isinstance(errors, LinesFigure)
    assert errors.lines[0].y == pytest.approx((1.0,) * HORIZON)
    means = {answer.name: np.nanmean(np.abs(truth - answer.values)) for answer in baselines}
    assert {line.name for line in errors.lines[1:]} == set(sorted(means, key=means.get)[:4])
    shown = next(answer for answer in baselines if answer.name == errors.lines[1].name)
    expected = [np.nanmean(np.abs(truth - shown.values)[:, step]) for step in range(HORIZON)]
    assert errors.lines[1].y == pytest.approx(expected)
    scatter = by_name["prediction-against-truth"]
    assert isinstance(scatter, ScatterFigure)
    np.testing.assert_allclose(np.array(scatter.y) - np.array(scatter.x), 1.0)
    example = by_name["example-1"]
    assert len(example.x) == WINDOW + HORIZON
    assert {line.style for line in example.lines} >= {"history", "truth", "prediction"}
    for line in example.lines:
        filled = [value is not None for value in line.y]
        assert not any(filled[WINDOW:]) if line.style == "history" else not any(filled[:WINDOW])


def test_the_confusion_matrix_counts_the_sequences():
    task, case = case_of("classify")
    truth = case.judged.prepared.targets[case.judged.sequence]
    always_a = np.tile([0.9, 0.1], (len(truth), 1))
    matrix = next(figure for figure in task.figures(case, [Answer("LSTM", "", always_a)]) if isinstance(figure, MatrixFigure))
    assert matrix.values == ((float((truth == 0).sum()), 0.0), (float((truth == 1).sum()), 0.0))
    assert matrix.row_labels == ("a", "b")


def test_the_clock_counts_typical_steps_that_all_series_share():
    _, case = case_of("forecast")
    clock = origin_clock(case)
    stamps = case.judged.prepared.times.gather(case.judged.origin).to_list()
    hours_since = [(stamp - min(stamps)).total_seconds() / 3600 for stamp in stamps]
    assert clock.tolist() == hours_since
    for name in ("classify", "regress"):
        task, other = case_of(name)
        assert task.clock(other) is None


def test_baselines_of_other_data_learn_from_the_training_part_alone():
    task, case = case_of("forecast")
    other = forecast_table([30, 40, 20], seed=9)
    names = {"s0": "s1", "s1": "s7", "s2": "s0"}  # in another order, and one that training never saw
    steps = other.steps.with_columns(pl.col("site").replace(names), (pl.col("when") + pl.duration(days=200)))
    sequences = other.sequences.with_columns(pl.col("site").replace(names))
    other = type(other)(steps, sequences, other.fields, other.series, other.time)
    prepared = case.preparation.apply(other, Split.all_test(other))
    judged = task.samples(prepared, Split.all_test(other), "test")
    mixed = Case(case.preparation, case.split, case.train, judged, case.period, case.target_units)
    assert series_in_training(mixed).tolist() == [1, -1, 0]
    answers = {answer.name: answer.values for answer in task.baselines(mixed)}
    raw, train = case.train.prepared.raw_targets[:, 0], case.split.rows_of("train")[case.train.prepared.rows]
    series = np.repeat([0, 1], np.diff(case.train.prepared.offsets))
    hour = case.train.prepared.times.dt.hour().to_numpy()
    asked = prepared.times.dt.hour().to_numpy()
    for number, (origin, sequence) in enumerate(zip(judged.origin, judged.sequence, strict=True)):
        own = {0: series == 1, 1: np.ones(len(series), bool), 2: series == 0}[int(sequence)]
        for step in range(HORIZON):
            known = own & train & ~np.isnan(raw)
            # the months differ, so that the hour of the day alone is left; one that was never seen gets the mean of all hours
            same = known & (hour == asked[origin + step])
            same = same if same.any() else known
            assert answers["climatology"][number, step, 0] == pytest.approx(raw[same].mean())
        past = prepared.raw_targets[prepared.offsets[sequence] : origin, 0]
        assert answers["last value"][number, 0, 0] == past[-1]
    model = Answer("LSTM", "", np.zeros((len(judged), HORIZON, 1)))
    measured = task.measure(mixed, [model, *task.baselines(mixed)])
    assert np.isfinite(measured[0].values(np.ones((1, len(judged))))).all()


def test_stamps_have_fractions_of_a_second_only_where_there_are_any():
    whole, part = datetime(2014, 5, 17, 12), datetime(2014, 5, 17, 12, 0, 1, 250_000)
    assert stamp_texts(pl.Series([whole, whole + timedelta(seconds=10)])) == ["2014-05-17T12:00:00", "2014-05-17T12:00:10"]
    assert stamp_texts(pl.Series([part])) == ["2014-05-17T12:00:01.250000"]
    assert stamp_texts(pl.Series([whole.replace(tzinfo=UTC)])) == ["2014-05-17T12:00:00+00:00"]
    assert [datetime.fromisoformat(text) for text in stamp_texts(pl.Series([whole, part]))] == [whole, part]
    assert stamp_texts(pl.Series([3, 4])) == ["3", "4"]


def test_the_captions_of_examples_say_which_window_horizon_and_series_are_shown():
    _, case = case_of("forecast")
    truth = truth_of(case.judged)
    first = examples(case, case.judged, truth, [Answer("LSTM", "", truth)])[0]
    name = case.judged.prepared.ids[int(case.judged.sequence[int(len(case.judged) / 6)])]
    assert first.caption == (f"The 6 steps of series {name} that the forecast is made from, then the 3 steps that it predicts.")
    assert len(first.x) == 9
    assert ".000000" not in first.title
