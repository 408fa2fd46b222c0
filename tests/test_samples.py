"""Windows and sequences, compared with a slow obvious loop, and nothing from after a sample's origin."""

import time

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from gatework.data.future import append_horizon
from gatework.data.prepare import Prepared
from gatework.data.samples import ForecastSamples, SequenceSamples, batch_order
from gatework.data.split import PARTS, Split
from gatework.data.table import Field
from gatework.errors import ConfigError, DataError
from gatework.runs import SplitRecord
from gatework.tasks.range_calibration import deviations
from tables import STRATIFIED, forecast_table, prepared_and_fit, sequence_table, with_field, with_steps


def arrays(lengths: list[int], seed: int, num_static: int = 1, gaps: float = 0.4) -> Prepared:
    """Random prepared numbers of series with these lengths."""
    generator = np.random.default_rng(seed)
    total = sum(lengths)
    raw = np.where(generator.random((total, 2)) < gaps, np.nan, generator.normal(size=(total, 2)))
    return Prepared(
        inputs=generator.normal(size=(total, 3)).astype(np.float32),
        future=generator.normal(size=(total, 2)).astype(np.float32),
        static=generator.normal(size=(len(lengths), num_static)).astype(np.float32),
        targets=raw.astype(np.float32),
        raw_targets=raw,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        ids=[f"s{i}" for i in range(len(lengths))],
        times=pl.Series(range(total)),
        input_names=["a", "b", "c"],
        future_names=["d", "e"],
        static_names=["f"] * num_static,
        target_names=["y", "z"],
        classes=[],
        rows=np.arange(total),
        sequences=np.arange(len(lengths)),
    )


def parts(total: int, seed: int, num_sequences: int) -> Split:
    """A division into random runs."""
    generator = np.random.default_rng(seed)
    steps = np.repeat(generator.integers(0, 3, total // 5 + 1), 5)[:total].astype(np.int8)
    return Split("column", steps, np.full(num_sequences, -1, dtype=np.int8), SplitRecord(kind="column", counts={}))


def slow_origins(
    prepared: Prepared, steps: np.ndarray, part: int, window: int, horizon: int, shortest: int | None = None
) -> list[tuple[int, int]]:
    found = []
    for sequence in range(len(prepared.ids)):
        start, end = int(prepared.offsets[sequence]), int(prepared.offsets[sequence + 1])
        origins = [
            origin
            for origin in range(start + min(window, shortest or window), end - horizon + 1)
            if all(steps[row] == part for row in range(origin, origin + horizon))
        ]
        whole = [origin for origin in origins if origin - start >= window]
        found += [
            (sequence, origin) for origin in whole or origins if not np.isnan(prepared.targets[origin : origin + horizon]).all()
        ]
    return found


@given(
    lengths=st.lists(st.integers(0, 25), min_size=1, max_size=5),
    window=st.integers(1, 8),
    horizon=st.integers(1, 5),
    part=st.integers(0, 2),
    seed=st.integers(0, 100),
    num_static=st.integers(0, 2),
    shortest=st.none() | st.integers(1, 9),
)
def test_windows_are_those_of_a_plain_loop(lengths, window, horizon, part, seed, num_static, shortest):
    prepared, split = arrays(lengths, seed, num_static), parts(sum(lengths), seed, len(lengths))
    expected = slow_origins(prepared, split.steps, part, window, horizon, shortest)
    assume(expected)
    samples = ForecastSamples(prepared, split, PARTS[part], window, horizon, shortest=shortest)
    assert list(zip(samples.sequence.tolist(), samples.origin.tolist(), strict=True)) == expected
    index = np.random.default_rng(seed).permutation(len(samples))[:7]
    batch = samples.batch(index)
    assert batch.index.tolist() == index.tolist()
    steps = [min(window, origin - int(prepared.offsets[sequence])) for sequence, origin in expected]
    assert samples.lengths.tolist() == steps
    assert batch.inputs.lengths.tolist() == [steps[number] for number in index]
    for place, number in enumerate(index):
        sequence, origin = expected[number]
        for step in range(steps[number]):
            row = origin - steps[number] + step
            wanted = np.concatenate([prepared.inputs[row], prepared.future[row], prepared.static[sequence]])
            np.testing.assert_array_equal(batch.inputs[place][step].numpy(), wanted)
        coming = slice(origin, origin + horizon)
        np.testing.assert_array_equal(batch.future[place].numpy(), prepared.future[coming])
        np.testing.assert_array_equal(batch.observed[place].numpy(), ~np.isnan(prepared.targets[coming]))
        np.testing.assert_array_equal(batch.targets[place].numpy(), np.nan_to_num(prepared.targets[coming]))


@given(lengths=st.lists(st.integers(0, 30), min_size=1, max_size=4), stride=st.integers(1, 6), seed=st.integers(0, 50))
def test_a_stride_keeps_every_nth_window_from_the_first_of_each_series(lengths, stride, seed):
    window, horizon = 3, 2
    prepared, split = arrays(lengths, seed, gaps=0.0), Split.all_test(forecast_table(lengths))
    expected = slow_origins(prepared, split.steps, 2, window, horizon)
    assume(expected)
    samples = ForecastSamples(prepared, split, "test", window, horizon, stride)
    every = [[origin for owner, origin in expected if owner == sequence][::stride] for sequence in range(len(lengths))]
    assert samples.origin.tolist() == [origin for origins in every for origin in origins]


@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=6), seed=st.integers(0, 50))
def test_sequences_are_gathered_whole_whatever_their_lengths(lengths, seed):
    prepared = arrays(lengths, seed)
    generator = np.random.default_rng(seed)
    answers = generator.integers(-1, 2, len(lengths))
    prepared = Prepared(**{**vars(prepared), "targets": answers, "future": np.zeros((sum(lengths), 0), np.float32)})
    sequences = generator.integers(0, 3, len(lengths)).astype(np.int8)
    split = Split("stratified", np.repeat(sequences, lengths), sequences, SplitRecord(kind="stratified", counts={}))
    expected = [i for i in range(len(lengths)) if sequences[i] == 0 and answers[i] >= 0]
    assume(expected)
    samples = SequenceSamples(prepared, split, "train")
    assert samples.sequence.tolist() == expected
    index = generator.permutation(len(samples))
    batch = samples.batch(index)
    for place, number in enumerate(index):
        sequence = expected[number]
        rows = slice(prepared.offsets[sequence], prepared.offsets[sequence + 1])
        static = np.repeat(prepared.static[[sequence]], lengths[sequence], axis=0)
        np.testing.assert_array_equal(batch.inputs[place].numpy(), np.concatenate([prepared.inputs[rows], static], axis=1))
        assert batch.targets[place] == answers[sequence]
    assert batch.observed.all()
    assert batch.future.shape == (len(index), 0, 0)
    assert len(SequenceSamples(prepared, None, "test")) == len(lengths)


def test_dropped_rows_keep_their_part():
    table = with_field(forecast_table([200], gaps=0.3), "load", missing="drop")
    split, _, prepared = prepared_and_fit(table)
    samples = ForecastSamples(prepared, split, "test", window=10, horizon=4)
    rows = prepared.rows[samples.origin[:, None] + np.arange(4)]
    assert (split.steps[rows] == 2).all()
    first = int(np.flatnonzero((split.steps == 2) & table.steps["load"].is_not_null().to_numpy())[0])
    assert prepared.rows[samples.origin[0]] == first


def test_rows_after_the_origin_change_nothing_but_the_known_future():
    kinds = list(np.random.default_rng(2).choice(["a", "b"], 300))
    table = forecast_table([300], gaps=0.2, columns={"kind": (Field("kind", "categorical", "past"), kinds)})
    for name, policy in (("temp", "linear"), ("load", "mask")):
        table = with_field(table, name, missing=policy)
    split, preparation, prepared = prepared_and_fit(table)
    samples = ForecastSamples(prepared, split, "test", window=24, horizon=6)
    number = len(samples) // 2
    origin = int(samples.origin[number])
    later = pl.int_range(pl.len()) >= origin
    changes = [pl.when(later).then(pl.col(name) * -3 + 50).otherwise(pl.col(name)).alias(name) for name in ("load", "temp")]
    changed = with_steps(table, *changes, pl.when(later).then(pl.lit("b")).otherwise(pl.col("kind")).alias("kind"))
    other = ForecastSamples(preparation.apply(changed, split), split, "test", window=24, horizon=6)
    before, after = samples.batch(np.array([number])), other.batch(np.array([number]))
    assert torch.equal(before.inputs.values, after.inputs.values)
    assert torch.equal(before.future, after.future)
    assert not torch.equal(before.targets, after.targets)
    shifted = with_steps(table, pl.when(later).then(pl.col("price") + 1).otherwise(pl.col("price")).alias("price"))
    known = ForecastSamples(preparation.apply(shifted, split), split, "test", window=24, horizon=6).batch(np.array([number]))
    assert torch.equal(before.inputs.values, known.inputs.values)
    assert not torch.equal(before.future, known.future)


@pytest.mark.parametrize("policy", ["previous", "linear", "mean", "mask"])
def test_validation_and_test_rows_change_no_training_sample(policy):
    table = forecast_table([200, 150], gaps=0.2)
    for name in ("load", "temp", "price"):
        table = with_field(table, name, missing=policy)
    split, _, prepared = prepared_and_fit(table)
    outside = pl.Series(split.steps != 0)
    changes = [pl.when(outside).then(1e5).otherwise(pl.col(name)).alias(name) for name in ("load", "temp", "price")]
    other_split, _, other = prepared_and_fit(with_steps(table, *changes))
    one = ForecastSamples(prepared, split, "train", window=20, horizon=5)
    two = ForecastSamples(other, other_split, "train", window=20, horizon=5)
    assert len(one) == len(two) > 0
    every = np.arange(len(one))
    for name in ("targets", "observed", "future"):
        assert torch.equal(getattr(one.batch(every), name), getattr(two.batch(every), name))
    assert torch.equal(one.batch(every).inputs.values, two.batch(every).inputs.values)


def test_every_part_sees_only_its_own_targets_and_earlier_inputs():
    table = forecast_table([120, 100])
    split, _, prepared = prepared_and_fit(table)
    for code, part in enumerate(PARTS):
        samples = ForecastSamples(prepared, split, part, window=10, horizon=4)
        assert (split.steps[samples.origin[:, None] + np.arange(4)] == code).all()
        assert (split.steps[samples.origin[:, None] - np.arange(1, 11)] <= code).all()


def test_short_series_are_named_and_the_rest_is_used():
    prepared = arrays([30, 5, 0, 40, 11], seed=0, gaps=0.0)
    split = Split.all_test(forecast_table([30, 5, 0, 40, 11]))
    samples = ForecastSamples(prepared, split, "test", window=8, horizon=4)
    assert samples.skipped == ["s1", "s4"]
    assert set(samples.sequence.tolist()) == {0, 3}


def test_a_short_series_is_read_from_its_first_step_and_a_long_one_in_whole_windows():
    prepared = arrays([30, 11, 0, 40, 6], seed=0, gaps=0.0)
    split = Split.all_test(forecast_table([30, 11, 0, 40, 6]))
    samples = ForecastSamples(prepared, split, "test", window=8, horizon=4, shortest=5)
    assert (samples.short, samples.skipped) == (["s1"], ["s4"])
    assert samples.lengths[samples.sequence == 1].tolist() == [5, 6, 7]
    assert (samples.lengths[samples.sequence != 1] == 8).all()
    alone = ForecastSamples(arrays([11], seed=0, gaps=0.0), Split.all_test(forecast_table([11])), "test", 8, 4, shortest=5)
    with pytest.raises(DataError, match=r"longest of 1 has 11 steps.*needs 12: a window of 8"):
        alone.check_whole(Split.all_test(forecast_table([11])))
    samples.check_whole(split)
    with pytest.raises(DataError, match=r"has 6 steps.*needs 9: at least 5 of the 8 steps of a window"):
        ForecastSamples(arrays([6], seed=0, gaps=0.0), Split.all_test(forecast_table([6])), "test", 8, 4, shortest=5)


def test_a_short_window_changes_with_nothing_after_its_origin_and_nothing_of_its_neighbours():
    table = forecast_table([60, 14, 60], gaps=0.2)
    split, preparation, prepared = prepared_and_fit(table)
    own = (table.steps["site"] == "s1").to_numpy()
    samples = ForecastSamples(prepared, None, "test", window=20, horizon=4, shortest=8)
    number = int(np.flatnonzero(samples.sequence == 1)[1])
    origin = int(samples.origin[number])
    elsewhere = pl.Series(~own | (np.arange(len(own)) >= origin))
    changes = [pl.when(elsewhere).then(pl.col(name) * -3 + 50).otherwise(pl.col(name)).alias(name) for name in ("load", "temp")]
    changed = preparation.apply(with_steps(table, *changes), split)
    other = ForecastSamples(changed, None, "test", window=20, horizon=4, shortest=8)
    before, after = samples.batch(np.array([number])), other.batch(np.array([number]))
    assert before.inputs.lengths.tolist() == [9]
    assert torch.equal(before.inputs.values, after.inputs.values)
    assert not torch.equal(before.targets, after.targets)
    spread = deviations(samples, prepared.raw_targets)[number], deviations(other, changed.raw_targets)[number]
    np.testing.assert_array_equal(*spread)
    np.testing.assert_allclose(spread[0], np.nanstd(prepared.raw_targets[origin - 9 : origin], axis=0), rtol=1e-12)


def test_impossible_samples_are_said_in_three_parts():
    prepared = arrays([30, 5], seed=0)
    split = Split.all_test(forecast_table([30, 5]))
    with pytest.raises(DataError, match=r"longest of 2 has 30 steps.*needs 54: a window of 48.*Give longer series"):
        ForecastSamples(prepared, split, "test", window=48, horizon=6)
    with pytest.raises(DataError, match=r"for the train part.*inside the part.*Give longer series"):
        ForecastSamples(prepared, split, "train", window=4, horizon=2)
    for window, horizon, stride in ((0, 1, 1), (1, 0, 1), (1, -3, 1), (1, 1, 0)):
        with pytest.raises(ConfigError, match=r"expected a number of steps, 1 or more. Give --"):
            ForecastSamples(prepared, split, "test", window, horizon, stride)
    with pytest.raises(DataError, match=r"Every target of the test part is missing.*at least one.*Give data"):
        ForecastSamples(arrays([30], seed=0, gaps=2.0), Split.all_test(forecast_table([30])), "test", 4, 2)
    table = sequence_table([2] * 20, ["a", "b"] * 10)
    _, preparation, _ = prepared_and_fit(table, STRATIFIED)
    unknown = sequence_table([2, 2], [None, None])
    with pytest.raises(DataError, match=r"no sequence with a known answer.*at least one.*Give sequences"):
        SequenceSamples(preparation.apply(unknown), Split.all_test(unknown), "test")


def test_a_forecast_beyond_the_data_has_one_window_at_each_end():
    table = with_field(forecast_table([60, 50, 3]), "price", role="past")
    _, preparation, _ = prepared_and_fit(table)
    prepared = preparation.apply(append_horizon(table, 5))
    samples = ForecastSamples(prepared, None, "test", window=12, horizon=5)
    assert samples.origin[samples.final].tolist() == [60, 65 + 50]
    assert samples.skipped == ["s2"]
    batch = samples.batch(samples.final)
    assert not batch.observed.any()
    assert torch.isfinite(batch.inputs.values).all()
    assert torch.isfinite(batch.future).all()


def test_the_order_of_batches_depends_on_seed_and_epoch_alone():
    np.random.seed(1)  # noqa: NPY002 - that the global state does not matter is what is tested
    first = batch_order(103, 16, seed=3, epoch=5, shuffle=True)
    np.random.seed(2)  # noqa: NPY002
    batch_order(50, 7, seed=3, epoch=4, shuffle=True)
    again = batch_order(103, 16, seed=3, epoch=5, shuffle=True)
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in again]
    assert [len(batch) for batch in first] == [16] * 6 + [7]
    assert sorted(np.concatenate(first).tolist()) == list(range(103))
    others = [batch_order(103, 16, seed, epoch, shuffle=True) for seed, epoch in ((3, 6), (4, 5), (5, 3), (-3, 5))]
    assert all(np.concatenate(other).tolist() != np.concatenate(first).tolist() for other in others)
    assert np.concatenate(batch_order(103, 16, 3, 5, shuffle=False)).tolist() == list(range(103))
    assert batch_order(0, 16, 3, 5, shuffle=True) == []


def test_a_batch_of_64_windows_takes_less_than_a_millisecond():
    generator = np.random.default_rng(0)
    prepared = arrays([20_000], seed=0, num_static=0)
    inputs = generator.normal(size=(20_000, 18)).astype(np.float32)
    samples = ForecastSamples(Prepared(**{**vars(prepared), "inputs": inputs}), None, "test", window=168, horizon=24)
    batches = batch_order(len(samples), 64, 0, 0, shuffle=True)
    samples.batch(batches[0])
    taken = []
    for index in batches[:100]:
        started = time.perf_counter()
        samples.batch(index)
        taken.append(time.perf_counter() - started)
    assert min(taken) < 1e-3  # the fastest: other work on the machine only ever slows it down
