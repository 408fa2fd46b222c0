"""When each step is computed: the properties of a schedule, and the laws that say that it does not show in the results."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.strategies import booleans, integers, lists
from torch import Tensor

from cells_under_test import ALL_CELLS, MIXED
from engine_cases import Case, Outcome, compiled, compiled_results, make_case, truth
from gatework.cells import Cell, gru, lstm
from gatework.engine import LayerWeights
from gatework.engine.cpu import layer as layer_module
from gatework.engine.cpu import operators
from gatework.engine.cpu import plan as plan_module
from gatework.engine.cpu.schedule import Schedule, dense_schedule, ragged_schedule

LENGTHS = lists(integers(0, 30), min_size=0, max_size=40)


def computed(schedule: Schedule, total: int) -> dict[int, list[tuple[int, int]]]:
    """Walk a schedule as a kernel does: for each sequence, the (tick, row) of its steps in the order of computation."""
    steps: dict[int, list[tuple[int, int]]] = {}
    entries: list[int] = []
    for part in range(schedule.parts):
        in_lane: dict[int, int] = {}
        begins, ends = (
            {(int(t), int(lane)): int(sequence) for t, lane, sequence in table[slice(*bounds[part])]}
            for table, bounds in ((schedule.begins, schedule.begins_range), (schedule.ends, schedule.ends_range))
        )
        assert sorted(begins) == [tuple(row) for row in schedule.begins[slice(*schedule.begins_range[part]), :2].tolist()]
        for tick in range(int(schedule.ticks[part])):
            count = int(schedule.count[part, tick])
            assert count <= schedule.lanes
            starting = {lane: sequence for (t, lane), sequence in begins.items() if t == tick}
            assert not starting.keys() & in_lane.keys(), "a lane begins a sequence while another one is in it"
            in_lane |= starting
            assert sorted(in_lane) == list(range(count)), "live lanes are the first ones"
            for lane in range(count):
                entry = int(schedule.start[part, tick]) + lane
                row = entry if schedule.rows is None else int(schedule.rows[entry])
                steps.setdefault(in_lane[lane], []).append((tick, row))
                entries.append(entry)
            for (t, lane), sequence in ends.items():
                if t == tick:
                    assert in_lane.pop(lane) == sequence
        assert not in_lane
        assert not schedule.count[part, int(schedule.ticks[part]) :].any()
    assert sorted(entries) == list(range(total)), "each entry once"
    return steps


def assert_chunks_are_consecutive(schedule: Schedule, total: int) -> None:
    """Any cut of the ticks cuts the entries into consecutive pieces, and the events with them."""
    for size in (1, 3):
        found = []
        for first in range(0, schedule.max_ticks, size):
            last = min(first + size, schedule.max_ticks)
            live = schedule.count[:, first:last]
            if live.any():
                low, high = schedule.entries_between(first, last)
                assert high - low == live.sum()
                found.append((low, high))
            begins = schedule.events_between(schedule.begins, schedule.begins_range, first, last)
            for low, high in begins.tolist():
                assert all(first <= tick < last for tick in schedule.begins[low:high, 0])
        found.sort()
        assert [low for low, _ in found] == [0, *(high for _, high in found[:-1])][: len(found)]
        assert (found[-1][1] if found else 0) == total


@given(LENGTHS, integers(1, 5), booleans(), integers(1, 6))
def test_a_ragged_schedule_computes_each_step_once_and_each_sequence_in_order(
    lengths: list[int], threads: int, backwards: bool, multiple: int
) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    schedule = ragged_schedule(offsets, threads, backwards, multiple)
    steps = computed(schedule, sum(lengths))
    assert set(steps) == {i for i, length in enumerate(lengths) if length}
    for sequence, done in steps.items():
        ticks, rows = zip(*done, strict=True)
        assert list(ticks) == list(range(ticks[0], ticks[0] + lengths[sequence])), "one step after the other"
        expected = list(range(offsets[sequence], offsets[sequence + 1]))
        assert list(rows) == (expected[::-1] if backwards else expected)
    assert_chunks_are_consecutive(schedule, sum(lengths))
    if sum(lengths):
        # no part waits for another: the longest takes at most a sequence more than an even share
        lanes = schedule.parts * schedule.lanes
        assert schedule.max_ticks <= -(-sum(lengths) // lanes) + max(lengths)


@given(integers(0, 12), integers(1, 9), integers(1, 5), booleans())
def test_a_dense_schedule_computes_each_step_once_and_each_sequence_in_order(
    steps: int, num_sequences: int, threads: int, backwards: bool
) -> None:
    schedule = dense_schedule(steps, num_sequences, threads, backwards)
    done = computed(schedule, steps * num_sequences)
    for sequence in range(num_sequences if steps else 0):
        expected = [step * num_sequences + sequence for step in range(steps)]
        assert [row for _, row in done[sequence]] == (expected[::-1] if backwards else expected)
    assert_chunks_are_consecutive(schedule, steps * num_sequences)


@given(LENGTHS, integers(1, 200), integers(1, 4))
def test_chunks_cover_all_ticks_once(lengths: list[int], entries: int, threads: int) -> None:
    schedule = ragged_schedule(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), threads, False, 4)
    chunks = schedule.chunks(entries)
    assert [tick for chunk in chunks for tick in range(chunk.first, chunk.last)] == list(range(schedule.max_ticks))
    assert sum(chunk.entries for chunk in chunks) == sum(lengths)


# --- the schedule does not show in the results


@pytest.fixture
def num_threads() -> Iterator[None]:
    """Gives back torch's number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def only(case: Case, sequences: list[int]) -> Case:
    """Some sequences of a ragged case."""
    assert case.offsets is not None
    bounds = case.offsets.tolist()
    x = torch.cat([case.x[bounds[i] : bounds[i + 1]] for i in sequences])
    offsets = torch.tensor([0, *(bounds[i + 1] - bounds[i] for i in sequences)]).cumsum(0)
    return replace(case, x=x, offsets=offsets, initial=[state[sequences] for state in case.initial])


def by_sequence(case: Case, results: list[Tensor]) -> list[list[Tensor]]:
    """For each sequence its part of every result."""
    assert case.offsets is not None
    bounds, count = case.offsets.tolist(), len(case.cell.states)
    is_final = [False, *[True] * count, *[False] * (count - 1)]
    return [
        [result[i] if final else result[low:high] for result, final in zip(results, is_final, strict=True)]
        for i, (low, high) in enumerate(itertools.pairwise(bounds))
    ]


def same_bits(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("cell", ALL_CELLS, ids=lambda cell: cell.name)
@torch.no_grad()
def test_inference_is_bit_identical_whatever_the_neighbours_the_place_and_the_threads(cell: Cell, num_threads: None) -> None:
    lengths = [5, 0, 17, 1, 5, 8, 3, 5, 2, 30, 1]
    for dtype, hidden_size in ((torch.float32, 33), (torch.float64, 7)):
        case = make_case(cell, lengths=lengths, dtype=dtype, input_size=5, hidden_size=hidden_size, seed=1)
        torch.set_num_threads(1)
        expected = by_sequence(case, compiled_results(case))
        for threads in (2, 3):
            torch.set_num_threads(threads)
            found = by_sequence(case, compiled_results(case))
            assert all(same_bits(a, b) for a, b in zip(expected, found, strict=True)), f"{threads} threads"
        order = [9, 2, 0, 0, 4, 7, 1, 5, 3, 10]
        picked = only(case, order)
        for i, parts in zip(order, by_sequence(picked, compiled_results(picked)), strict=True):
            assert same_bits(expected[i], parts), f"sequence {i} among others"
        for i in range(len(lengths)):
            alone = only(case, [i])
            assert same_bits(expected[i], by_sequence(alone, compiled_results(alone))[0]), f"sequence {i} alone"
        alike = only(case, [0, 4, 7])  # of one length, so they can be dense as well
        dense = replace(alike, x=alike.x.view(3, 5, -1).transpose(0, 1), offsets=None)
        for a, b in zip(compiled_results(alike), compiled_results(dense), strict=True):
            assert torch.equal(a.view(3, -1, hidden_size), b.transpose(0, 1) if b.dim() == 3 else b[:, None])


@pytest.mark.parametrize("cell", [lstm, MIXED], ids=lambda cell: cell.name)
def test_training_gives_the_same_outputs_as_inference(cell: Cell) -> None:
    case = make_case(cell, lengths=[5, 0, 17, 1], dtype=torch.float32, hidden_size=33)
    with torch.no_grad():
        expected = compiled_results(case)
    assert same_bits(expected, [result.detach() for result in compiled_results(case)])


def in_chunks(monkeypatch: pytest.MonkeyPatch, entries: int, keep: bool) -> None:
    real = Schedule.chunks
    monkeypatch.setattr(Schedule, "chunks", lambda schedule, _: real(schedule, entries))
    plan_module._plan.cache_clear()
    for module in (layer_module, operators):
        monkeypatch.setattr(module, "KEEP_BYTES", 2**40 if keep else 0)


@pytest.mark.parametrize("cell", ALL_CELLS, ids=lambda cell: cell.name)
@pytest.mark.parametrize("form", ["dense", "ragged"])
@pytest.mark.parametrize("backwards", [False, True])
def test_keeping_and_computing_again_give_bit_equal_gradients_and_chunks_do_not_show(
    cell: Cell, form: str, backwards: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = [11] * 4 if form == "dense" else [5, 0, 17, 1, 5, 8, 3]
    sizes = {"input_size": 5, "hidden_size": 13}
    case = make_case(cell, lengths=lengths, dense=form == "dense", backwards=backwards, **sizes)
    whole = compiled(case)
    for entries in (1, 9):
        found: list[Outcome] = []
        for keep in (True, False):
            in_chunks(monkeypatch, entries, keep)
            found.append(compiled(case))
        kept, again = (outcome.all() for outcome in found)
        assert all(torch.equal(kept[name], value) for name, value in again.items())
        assert all(torch.equal(whole.results[name], value) for name, value in found[0].results.items())
        # float64: sums of at most 44 steps in another grouping
        torch.testing.assert_close(found[0].gradients, whole.gradients, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("keep", [True, False])
def test_gradients_are_right_with_several_threads(
    threads: int, keep: bool, num_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(threads)
    in_chunks(monkeypatch, 8, keep)
    for cell in (gru, MIXED):
        for form, lengths in (("ragged", [5, 0, 17, 1, 5, 8, 3]), ("dense", [6] * 5), ("ragged", [4])):
            case = make_case(cell, lengths=lengths, dense=form == "dense")
            # float64, as above
            torch.testing.assert_close(compiled(case).all(), truth(case).all(), rtol=1e-11, atol=1e-12)
    assert torch.get_num_threads() == threads


@settings(max_examples=25)
@given(lengths=lists(integers(0, 20), min_size=1, max_size=12), seed=integers(0, 1000), backwards=booleans())
def test_any_lengths_give_what_the_reference_gives(lengths: list[int], seed: int, backwards: bool) -> None:
    case = make_case(lstm, lengths=lengths, seed=seed, backwards=backwards, hidden_size=6)
    torch.testing.assert_close(compiled(case).all(), truth(case).all(), rtol=1e-11, atol=1e-12)


def test_no_padded_step_is_computed() -> None:
    # a sequence of 1000 steps beside 99 of one step: padded there would be 100 000 steps
    offsets = np.concatenate([[0], np.cumsum([1000] + [1] * 99)]).astype(np.int64)
    for threads in (1, 2):
        schedule = ragged_schedule(offsets, threads, False, 3)
        assert schedule.count.sum() == 1099
        assert schedule.max_ticks == 1000


@pytest.mark.slow
@pytest.mark.parametrize("keep", [True, False])
def test_more_steps_than_16_bits_can_count_are_right(keep: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    in_chunks(monkeypatch, 2048, keep)
    lengths = [70_001, 3]
    theirs = torch.nn.LSTM(2, 5, dtype=torch.float64)
    case = make_case(lstm, lengths=lengths, input_size=2, hidden_size=5)
    case = replace(case, weights=LayerWeights(*theirs.parameters()), initial=[torch.zeros_like(s) for s in case.initial])
    mine = compiled_results(case)[0]
    expected = torch.cat([theirs(part)[0] for part in case.x.split(lengths)])
    incoming = torch.randn_like(expected)
    leaves = [case.x, *theirs.parameters()]
    found = [torch.autograd.grad(results, leaves, incoming) for results in (mine, expected)]
    # float64: 70 000 roundings in the sums of the weights' gradients
    torch.testing.assert_close((mine, found[0]), (expected, found[1]), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("shape", [(5, 0), (0, 3), (0, 0)])
def test_a_batch_without_a_step_or_a_sequence_has_gradients_of_zero(shape: tuple[int, int]) -> None:
    case = make_case(lstm, lengths=[2] * shape[1], dense=True, hidden_size=5)
    x = torch.empty(*shape, 7, dtype=torch.float64, requires_grad=True)
    case = replace(case, x=x)
    results = compiled_results(case)
    assert results[0].shape == (*shape, 5)
    assert same_bits(results[1:3], case.initial)
    gradients = torch.autograd.grad(sum(result.sum() for result in results), case.leaves())
    assert all(not gradient.any() for gradient in gradients[:-2])
    assert all(bool((gradient == 1.0).all()) for gradient in gradients[-2:])
