"""How studies divide data: windows, purged stretches, whole groups; each against a definition written out by hand."""

import numpy as np
import polars as pl
import pytest
import torch

from gatework.data.prepare import Preparation
from gatework.data.samples import ForecastSamples
from gatework.data.split import PARTS, apply_split
from gatework.data.table import Field, Table
from gatework.errors import ConfigError, DataError
from gatework.runs import DataPlan, FieldPlan, Plan, SplitPlan
from gatework.runs.study import Backtest, Folds
from gatework.study.backtest import axis_of, moments, plan_backtest
from gatework.study.folds import plan_folds
from gatework.study.job import Planned
from gatework.tasks import Forecast
from gatework.tasks.forecast_baselines import dlinear_answer
from gatework.tasks.task import Case
from refusals import refusal
from tables import forecast_table, sequence_table, with_field, with_steps

WINDOW, HORIZON = 5, 3


def forecast_plan(window: int = WINDOW, horizon: int = HORIZON) -> Plan:
    data = DataPlan(task="forecast", targets=("load",), fields=(FieldPlan(name="load", kind="numeric", role="target"),))
    return Plan(data=data, split=SplitPlan(kind="time"), window=window, horizon=horizon)


def class_plan(kind: str = "classify") -> Plan:
    data = DataPlan(task=kind, targets=("label",), fields=(FieldPlan(name="label", kind="categorical", role="target"),))
    return Plan(data=data, split=SplitPlan(kind="stratified"))


@pytest.mark.parametrize("scheme", ["expanding", "sliding"])
@pytest.mark.parametrize("has_clock", [True, False])
def test_the_windows_of_a_backtest_are_consecutive_and_end_with_the_data(scheme: str, has_clock: bool) -> None:
    table = forecast_table([200], has_clock=has_clock)
    wish = Backtest(windows=4, step=20, scheme=scheme)
    jobs = plan_backtest(table, {"": forecast_plan()}, wish, seed=0)
    for number, each in enumerate(jobs):
        rows = {part: np.flatnonzero(apply_split(each.split, table).rows_of(part)) for part in PARTS}
        cut = 120 + 20 * number
        assert rows["test"].tolist() == list(range(cut, cut + 20))
        begin = 20 * number if scheme == "sliding" else 0
        assert np.concatenate([rows["train"], rows["validation"]]).tolist() == list(range(begin, cut))
        assert len(rows["validation"]) == round(0.15 * (cut - begin))


@pytest.mark.parametrize(("refit", "fitted"), [(1, [1, 2, 3, 4, 5]), (0, [1] * 5), (2, [1, 1, 3, 3, 5])])
def test_a_model_is_fitted_anew_at_every_so_many_windows(refit: int, fitted: list[int]) -> None:
    jobs = plan_backtest(forecast_table([200]), {"": forecast_plan()}, Backtest(windows=5, refit_every=refit), seed=0)
    assert [each.job.model for each in jobs] == [f"window-{number}" for number in fitted]
    assert [each.job.folder for each in jobs] == [f"window-{number}" for number in range(1, 6)]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Backtest(windows=5, step=2), "Give --step 3 or more"),
        (Backtest(windows=50, step=5), "Give --step 3 or less, or fewer --windows"),
        (Backtest(windows=80, step=5), "Give fewer --windows"),
        (Backtest(windows=4, step=49), "Give --step 47 or less"),
        (Backtest(windows=1), "at least 2"),
        (Backtest(refit_every=-1), "never or a whole number"),
    ],
)
def test_windows_that_do_not_fit_are_refused(wish: Backtest, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        moments(200, wish, forecast_plan())
    assert words in str(caught.value)


def test_only_a_forecast_can_be_backtested() -> None:
    assert "gatework study folds" in refusal(lambda: moments(200, Backtest(), class_plan()), ConfigError)


def gappy(lengths: list[int], seed: int) -> object:
    """Series that lack a third of their rows, each its own."""
    table = forecast_table(lengths, seed=seed)
    kept = np.random.default_rng(seed).random(table.steps.height) > 0.33
    return type(table)(table.steps.filter(pl.Series(kept)), table.sequences, table.fields, table.series, table.time)


@pytest.mark.parametrize("embargo", [0, 4])
@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("is_gappy", [False, True])
def test_no_window_that_is_trained_on_reaches_into_the_test_stretch_and_no_other_one_is_lost(
    k: int, embargo: int, is_gappy: bool
) -> None:
    table = gappy([120, 90, 160], seed=k) if is_gappy else forecast_table([120, 90, 160])
    axis = axis_of(table)
    edges = [round(axis.length * number / k) for number in range(k + 1)]
    stamps = table.steps["when"].unique().sort()
    rank = np.searchsorted(stamps.to_numpy(), table.steps["when"].to_numpy())
    names = table.steps["site"].to_numpy()
    for number, each in enumerate(plan_folds(table, {"": forecast_plan()}, Folds(k=k, embargo=embargo), seed=0)):
        split = apply_split(each.split, table)
        is_test = (rank >= edges[number]) & (rank < edges[number + 1])
        assert np.array_equal(split.rows_of("test"), is_test)
        prepared = Preparation.fit(table, split).apply(table, split)
        for part in ("train", "validation"):
            samples = ForecastSamples(prepared, split, part, WINDOW, HORIZON)
            for origin in samples.origin:
                rows = np.arange(origin - WINDOW, origin + HORIZON)
                assert not is_test[rows].any(), "a window reaches into the test stretch"
                if rank[origin] >= edges[number + 1]:
                    after = np.flatnonzero((names == names[origin]) & (rank >= edges[number + 1]))
                    assert rows[0] - after[0] >= embargo, "a window begins within the embargo"
        # by definition: in no part are the rows behind the test from which a window reaches back into it or into the embargo
        for name in np.unique(names):
            behind = np.flatnonzero((names == name) & (rank >= edges[number + 1]))
            assert (split.steps[behind] == -1).tolist() == [place < WINDOW + embargo for place in range(len(behind))]
        assert (split.steps[rank < edges[number]] >= 0).all()


def folds_with_gaps(policy: str, names: tuple[str, ...] = ("load", "temp", "price")) -> tuple[Table, list[Planned]]:
    """Two series with gaps everywhere, directly behind the edges of the folds among them."""
    table = forecast_table([120, 90], gaps=0.2, columns={"kind": (Field("kind", "categorical", "past"), ["a", "b", "c"] * 70)})
    is_gap = pl.int_range(pl.len()).over("site") % 30 < 4  # the edges of four folds of 120 steps lie at 30, 60, 90
    table = with_steps(table, *(pl.when(~is_gap).then(pl.col(name)).alias(name) for name in (*names, "kind")))
    for name in names:
        table = with_field(table, name, missing=policy)
    return table, plan_folds(table, {"": forecast_plan()}, Folds(k=4), seed=0)


@pytest.mark.parametrize("policy", ["previous", "linear", "mask", "decay", "drop"])
def test_no_value_of_the_test_stretch_changes_a_number_of_the_other_parts(policy: str) -> None:
    """A gap directly behind the stretch would get its last value; and where rows are dropped the purge is too short."""
    names = ("load",) if policy == "drop" else ("load", "temp", "price")
    table, planned = folds_with_gaps(policy, names)
    changed_somewhere = False
    for each in planned:
        split = apply_split(each.split, table)
        is_test = pl.Series(split.rows_of("test"))
        changes = [pl.when(is_test).then(pl.col(name) * 9 + 400).otherwise(pl.col(name)).alias(name) for name in names]
        other = with_steps(
            table,
            *changes,
            pl.when(is_test & pl.col("kind").is_not_null()).then(pl.lit("c")).otherwise(pl.col("kind")).alias("kind"),
        )
        prepared = [Preparation.fit(rows, split).apply(rows, split) for rows in (table, other)]
        for part in ("train", "validation"):
            one, two = (ForecastSamples(numbers, split, part, WINDOW, HORIZON) for numbers in prepared)
            assert one.origin.tolist() == two.origin.tolist()
            every = np.arange(len(one))
            first, second = one.batch(every), two.batch(every)
            assert torch.equal(first.inputs.values, second.inputs.values)
            assert torch.equal(first.future, second.future)
            assert torch.equal(first.targets, second.targets)
        one, two = (ForecastSamples(numbers, split, "test", WINDOW, HORIZON) for numbers in prepared)
        changed_somewhere |= not torch.equal(
            one.batch(np.arange(len(one))).inputs.values, two.batch(np.arange(len(two))).inputs.values
        )
    assert changed_somewhere, "the values that were changed are inputs of the test windows"


def test_a_gap_behind_the_test_stretch_takes_the_last_value_before_it() -> None:
    table, planned = folds_with_gaps("previous")
    split = apply_split(planned[1].split, table)
    preparation = Preparation.fit(table, split)
    prepared = preparation.apply(table, split)
    rows, load = np.arange(120), table.steps["load"].to_numpy()[:120]
    tested = np.flatnonzero(split.steps[:120] == 2)
    before = rows[(rows < tested[0]) & ~np.isnan(load)][-1]
    assert np.isnan(load[tested[-1] + 1])
    column = prepared.inputs[:, prepared.input_names.index("load")]
    assert column[tested[-1] + 1] == column[before]
    inside = rows[(rows >= tested[0]) & (rows <= tested[-1]) & np.isnan(load)][-1]
    latest = rows[(rows < inside) & ~np.isnan(load)][-1]
    assert latest in tested
    assert column[inside] == column[latest], "within the stretch a gap is filled as ever"


def test_dlinear_learns_nothing_of_the_test_stretch() -> None:
    table, planned = folds_with_gaps("previous", ("load",))
    split = apply_split(planned[1].split, table)
    preparation, task = Preparation.fit(table, split), Forecast(HORIZON, WINDOW)
    is_test = pl.Series(split.rows_of("test"))
    other = with_steps(table, pl.when(is_test).then(pl.col("load") * 9).otherwise(pl.col("load")).alias("load"))
    said = []
    for rows in (table, other):
        train = task.samples(preparation.apply(rows, split), split, "train")
        answer = dlinear_answer(Case(preparation, split, train, train, 0, ("",)), train, train)
        assert answer is not None
        said.append(answer.values)
    np.testing.assert_array_equal(*said)


def test_stretches_without_a_clock_are_shares_of_each_series() -> None:
    table = forecast_table([100, 60], has_clock=False)
    splits = [apply_split(each.split, table) for each in plan_folds(table, {"": forecast_plan()}, Folds(k=4), seed=0)]
    tested = np.stack([split.rows_of("test") for split in splits])
    assert (tested.sum(axis=0)[:100] == 1).all(), "every row of the longest series is tested once"


def test_whole_sequences_are_tested_once_and_classes_are_in_equal_shares() -> None:
    labels = ["a"] * 40 + ["b"] * 20
    table = sequence_table([3] * 60, labels)
    splits = [apply_split(each.split, table) for each in plan_folds(table, {"": class_plan()}, Folds(k=5), seed=0)]
    for split in splits:
        test = np.flatnonzero(split.sequences == 2)
        assert [labels[index] for index in test].count("b") == 4
        assert (split.sequences == 1).sum() >= 5
    assert np.stack([split.sequences == 2 for split in splits]).sum(axis=0).tolist() == [1] * 60


def patients(per_patient: int = 5, count: int = 12) -> object:
    names = [f"p{index // per_patient}" for index in range(per_patient * count)]
    labels = ["ill" if index % 3 else "well" for index in range(len(names))]
    field = Field("patient", "categorical", "group")
    return sequence_table([2] * len(names), labels, extra={"patient": (field, names)})


@pytest.mark.parametrize("by", ["group", "stratified"])
def test_a_group_is_never_in_two_parts(by: str) -> None:
    table = patients()
    names = table.sequences["patient"].to_numpy()
    tested: list[str] = []
    for each in plan_folds(table, {"": class_plan()}, Folds(k=4, by=by), seed=1):
        split = apply_split(each.split, table)
        parts = [set(names[split.sequences == code]) for code in range(3)]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]
        tested += sorted(parts[2])
    assert sorted(tested) == sorted(set(names))


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Folds(k=12, by="group"), "the data has 12 values of 'patient'"),
        (Folds(k=1), "at least 2 folds"),
        (Folds(by="blocked"), "Such sequences are divided whole"),
        (Folds(embargo=3), "An embargo of 3 steps"),
        (Folds(k=30), "the data has 12 values of 'patient'"),
    ],
)
def test_folds_that_cannot_be_are_refused(wish: Folds, words: str) -> None:
    with pytest.raises((ConfigError, DataError)) as caught:
        plan_folds(patients(), {"": class_plan()}, wish, seed=0)
    assert words in str(caught.value)


def test_a_class_that_is_rarer_than_the_folds_is_named() -> None:
    table = sequence_table([2] * 43, ["a"] * 40 + ["b"] * 3)
    assert "Class 'b' has 3 sequences" in refusal(lambda: plan_folds(table, {"": class_plan()}, Folds(k=5), seed=0))


def test_a_fold_with_one_class_is_named() -> None:
    names = [f"p{index // 10}" for index in range(60)]
    field = Field("patient", "categorical", "group")
    table = sequence_table([2] * 60, ["a" if index < 50 else "b" for index in range(60)], extra={"patient": (field, names)})
    message = refusal(lambda: plan_folds(table, {"": class_plan()}, Folds(k=3, by="group"), seed=0))
    assert "of fold" in message
    assert "one class only, 'a'" in message


def test_forecasts_have_no_classes() -> None:
    table = forecast_table([200])
    assert "no classes" in refusal(lambda: plan_folds(table, {"": forecast_plan()}, Folds(by="stratified"), 0), ConfigError)
    with pytest.raises(ConfigError, match="Give fewer --k"):
        plan_folds(table, {"": forecast_plan()}, Folds(k=100), 0)
