"""Memory that is used again: never while anything can still see it, and results have memory of exactly their own size."""

import gc
import sys
import threading
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from, tuples
from torch import Tensor
from torch.multiprocessing import reductions

from engine_cases import compiled, compiled_results, make_case
from gatework.cells import Cell, lstm, peephole
from gatework.engine.cpu import layer as layer_module
from gatework.engine.cpu import memory, operators
from gatework.layers import LSTM, Recurrent

FLOAT = torch.zeros(1)
NUMBERS = 200_000
"""Numbers of an array large enough to be used again."""

Holder = Callable[[Tensor], Callable[[], Tensor]]


def by_view(tensor: Tensor) -> Callable[[], Tensor]:
    view = tensor[1:]
    return lambda: view


def by_detached_alias(tensor: Tensor) -> Callable[[], Tensor]:
    alias = tensor.detach()
    return lambda: alias


def by_numpy(tensor: Tensor) -> Callable[[], Tensor]:
    array = tensor.numpy()
    return lambda: torch.from_numpy(array)


def by_buffer(tensor: Tensor) -> Callable[[], Tensor]:
    buffer = memoryview(tensor.numpy())
    return lambda: torch.frombuffer(buffer, dtype=torch.float32)


def by_dlpack(tensor: Tensor) -> Callable[[], Tensor]:
    capsule = torch.utils.dlpack.to_dlpack(tensor)
    return lambda: torch.utils.dlpack.from_dlpack(capsule)


def by_storage(tensor: Tensor) -> Callable[[], Tensor]:
    storage = tensor.untyped_storage()
    return lambda: torch.empty(0).set_(storage, 0, (NUMBERS,))


def by_autograd(tensor: Tensor) -> Callable[[], Tensor]:
    factor = torch.ones(NUMBERS, requires_grad=True)
    result = factor * tensor
    return lambda: torch.autograd.grad(result.sum(), factor)[0]


def by_another_process(tensor: Tensor) -> Callable[[], Tensor]:
    # what a queue does: the memory becomes shared, and the receiver maps it; here in this process, as if it were another one
    receive, message = reductions.reduce_storage(tensor.untyped_storage())
    reductions.shared_cache.clear()
    received = torch.empty(0).set_(receive(*message), 0, (NUMBERS,))
    assert received.data_ptr() != tensor.data_ptr()
    return lambda: received


HOLDERS: list[Holder] = [
    by_view, by_detached_alias, by_numpy, by_buffer, by_dlpack, by_storage, by_autograd, by_another_process,
]  # fmt: skip


@pytest.mark.parametrize("make", [memory.empty, memory.output], ids=lambda make: make.__name__)
@pytest.mark.parametrize("hold", HOLDERS, ids=lambda hold: hold.__name__)
def test_memory_that_something_still_sees_is_not_given_out(make: Callable[..., Tensor], hold: Holder) -> None:
    tensor = make(FLOAT, NUMBERS).fill_(1.0)
    see = hold(tensor)
    del tensor
    gc.collect()
    others = [make(FLOAT, NUMBERS).fill_(2.0) for _ in range(4)]
    assert bool((see() == 1.0).all())
    assert all(bool((other == 2.0).all()) for other in others)


@pytest.mark.parametrize("make", [memory.empty, memory.output], ids=lambda make: make.__name__)
def test_memory_that_nothing_sees_any_more_is_used_again(make: Callable[..., Tensor]) -> None:
    tensor = make(FLOAT, NUMBERS)
    place = tensor.data_ptr()
    del tensor
    assert make(FLOAT, NUMBERS).data_ptr() == place


SIZES = sampled_from([1, 1000, 16_384, 16_385, 100_000, 262_144, 262_145, 700_000])


@given(lists(tuples(SIZES, integers(0, 5)), min_size=4, max_size=40))
def test_living_arrays_never_overlap(turns: list[tuple[int, int]]) -> None:
    living: list[tuple[Tensor, float]] = []
    for number, (size, drop) in enumerate(turns):
        make = memory.empty if number % 2 else memory.output
        tensor = make(FLOAT, size)
        assert tensor.shape == (size,)
        living.append((tensor.fill_(number), float(number)))
        del tensor
        if drop < len(living):
            living.pop(drop)
    for tensor, value in living:
        assert bool((tensor == value).all())


def test_what_waits_for_its_next_use_is_limited() -> None:
    pieces = memory.Pieces(1)
    held = [pieces.take(size) for size in (*[2**16] * 3 * memory.MOST, *[memory.LIMIT // 2] * 5)]
    places = {storage.data_ptr() for storage in held}
    assert len(places) == len(held)
    waiting = [storage.nbytes() for storage in pieces._storages]
    assert len(waiting) <= memory.MOST
    assert sum(waiting) <= memory.LIMIT


def test_threads_that_ask_at_once_get_different_memory() -> None:
    """A turn of the interpreter may end anywhere between finding free memory and making a tensor of it."""
    wrong: list[float] = []

    def work(value: float) -> None:
        for _ in range(3000):
            tensor = memory.output(FLOAT, 20_000)
            tensor[0] = value
            if float(tensor[0]) != value:
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(float(number),)) for number in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    sys.setswitchinterval(interval)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong


# --- in a layer


@pytest.fixture
def large_layer() -> LSTM:
    torch.manual_seed(0)
    return LSTM(96, 128)


def large_batch(seed: int) -> Tensor:
    return torch.randn(40, 24, 96, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def everything(layer: LSTM, x: Tensor) -> list[Tensor]:
    """Outputs, final states, gradients of the input and of every weight."""
    outputs, (h, c) = layer(x)
    loss = outputs.square().sum() + h.sum() + c.sum()
    return [outputs.detach(), h.detach(), c.detach(), *torch.autograd.grad(loss, [x, *layer.parameters()])]


def test_a_result_has_memory_of_exactly_its_own_size_and_alone(large_layer: LSTM) -> None:
    for _ in range(2):  # the second call uses memory again
        found = everything(large_layer, large_batch(1))
        for tensor in found:
            assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        assert len({tensor.untyped_storage().data_ptr() for tensor in found}) == len(found)


def test_later_calls_do_not_change_what_earlier_ones_gave(large_layer: LSTM) -> None:
    first = everything(large_layer, large_batch(1))
    before = [tensor.clone() for tensor in first]
    arrays = [tensor.numpy() for tensor in first]
    del first
    for seed in (2, 3, 4):
        everything(large_layer, large_batch(seed))
    for array, value in zip(arrays, before, strict=True):
        assert torch.equal(torch.from_numpy(array), value)


def test_gradients_that_wait_in_a_module_are_not_written_over(large_layer: LSTM) -> None:
    x = large_batch(1)
    _, _, _, _, *expected = everything(large_layer, x)
    large_layer(x)[0].square().sum().backward()
    large_layer(large_batch(2))[0].square().sum()  # forward alone: its graph is dropped
    outputs, (h, c) = large_layer(x)
    (h.sum() + c.sum()).backward()
    del outputs
    for weight, gradient in zip(large_layer.parameters(), expected, strict=True):
        assert weight.grad is not None
        # float32: two sums of 960 terms instead of one
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-4, atol=1e-3)


@pytest.fixture(params=["keep", "recompute"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether what backward needs is kept or computed again."""
    for module in (layer_module, operators):
        monkeypatch.setattr(module, "KEEP_BYTES", 2**40 if request.param == "keep" else 0)
    return str(request.param)


def large_case(cell: Cell, seed: int = 0):  # type: ignore[no-untyped-def]
    return make_case(cell, lengths=[40] * 24, dense=True, input_size=33, hidden_size=65, dtype=torch.float32, seed=seed)


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize("cell", [lstm, peephole], ids=lambda cell: cell.name)
def test_many_calls_may_wait_for_their_backward(cell: Cell) -> None:
    cases = [large_case(cell, seed) for seed in range(3)]
    expected = [compiled(case).gradients for case in cases]
    waiting = [compiled_results(case) for case in cases]
    for case, results, wanted in reversed(list(zip(cases, waiting, expected, strict=True))):
        for _ in range(2):  # and each may be asked twice
            found = torch.autograd.grad(results, case.leaves(), case.d_outputs, retain_graph=True)
            assert all(torch.equal(a, b) for a, b in zip(found, wanted.values(), strict=True))


@pytest.mark.usefixtures("mode")
def test_threads_of_python_that_train_at_once_do_not_share_memory() -> None:
    before = torch.get_num_threads()
    cases = [large_case(lstm, seed) for seed in range(2)]
    expected = [compiled(case).all() for case in cases]
    wrong: list[str] = []

    def work(number: int) -> None:
        torch.set_num_threads(2)
        for _ in range(10):
            found = compiled(cases[number]).all()
            wrong.extend(name for name, value in expected[number].items() if not torch.equal(found[name], value))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    torch.set_num_threads(before)
    assert not wrong


def test_a_stack_of_layers_trains_right_in_memory_used_again() -> None:
    torch.manual_seed(0)
    layer, x = Recurrent("gru", 64, 64, num_layers=3, bidirectional=True), torch.randn(50, 16, 64)
    found = []
    for _ in range(4):
        outputs = layer(x)[0]
        found.append([outputs.detach(), *torch.autograd.grad(outputs.square().sum(), list(layer.parameters()))])
    for again in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(again, found[0], strict=True))
