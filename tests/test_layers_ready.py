"""A call that is made again with the same shape: the same bits as the usual way, and nothing that changed meanwhile is missed."""

import copy
import gc
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.utils import parametrize

from gatework import GRU, LSTM, RNN, Recurrent
from gatework.errors import ShapeError
from gatework.layers import ready
from gatework.layers.stack import RecurrentStack

Results = tuple[Tensor, ...]


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def batch(layer: RecurrentStack, steps: int = 7, num_sequences: int = 5, seed: int = 0) -> Tensor:
    shape = (num_sequences, steps) if layer.batch_first else (steps, num_sequences)
    weight = next(layer.parameters())
    return torch.randn(*shape, layer.input_size, dtype=weight.dtype, generator=torch.Generator().manual_seed(seed))


def flat(results: tuple[Tensor, object]) -> Results:
    outputs, states = results
    return outputs, *(states if isinstance(states, tuple) else (states,))


def usual(layer: RecurrentStack, x: Tensor) -> Results:
    """Zero states given by hand take the usual way."""
    num_sequences = x.shape[0 if layer.batch_first else 1]
    zeros = torch.zeros(layer.num_layers * layer.num_directions, num_sequences, layer.hidden_size, dtype=x.dtype)
    count = len(layer.cell.states)
    return flat(layer(x, (zeros,) * count if count > 1 else zeros))


def is_ready(layer: RecurrentStack) -> bool:
    return isinstance(ready._ready.get(layer), ready.Ready)


def made_ready(layer: RecurrentStack, x: Tensor) -> None:
    for _ in range(2):
        layer(x)
    assert is_ready(layer)


def assert_same(layer: RecurrentStack, x: Tensor) -> None:
    for mine, expected in zip(flat(layer(x)), usual(layer, x), strict=True):
        assert mine.shape == expected.shape
        assert torch.equal(mine, expected)


LAYERS: dict[str, Callable[[], RecurrentStack]] = {
    "lstm": lambda: LSTM(3, 5),
    "batch_first": lambda: LSTM(3, 33, batch_first=True),
    "stack": lambda: LSTM(3, 20, num_layers=3, dropout=0.5).eval(),
    "float64": lambda: GRU(3, 9, num_layers=2, dtype=torch.float64),
    "no bias": lambda: RNN(3, 9, bias=False),
    "peephole": lambda: Recurrent("peephole", 3, 9),
    "layernorm": lambda: Recurrent("layernorm", 3, 40),
    "large": lambda: LSTM(70, 100),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("num_sequences", [1, 5])
def test_the_same_bits_as_the_usual_way(name: str, num_sequences: int) -> None:
    layer = LAYERS[name]()
    made_ready(layer, batch(layer, num_sequences=num_sequences))
    for seed in (1, 2):
        assert_same(layer, batch(layer, num_sequences=num_sequences, seed=seed))
    assert is_ready(layer)


def test_inputs_that_do_not_lie_one_behind_the_other() -> None:
    layer = LSTM(3, 5)
    x = batch(layer)
    made_ready(layer, x)
    assert_same(layer, torch.randn(5, 7, 3).transpose(0, 1))
    assert_same(layer, torch.randn(7, 5, 6)[..., ::2])
    assert_same(layer, torch.randn(3).expand(7, 5, 3))


def by_optimiser(layer: nn.Module) -> None:
    for weight in layer.parameters():
        weight.grad = torch.ones_like(weight)
    torch.optim.SGD(layer.parameters(), lr=0.1).step()


def by_data_in_place(layer: nn.Module) -> None:
    for weight in layer.parameters():
        weight.data.mul_(0.5)


def by_other_data(layer: nn.Module) -> None:
    for weight in layer.parameters():
        weight.data = torch.rand_like(weight)


def by_the_same_memory_otherwise(layer: nn.Module) -> None:
    layer.weight_hh_l0.data = layer.weight_hh_l0.data.t()  # type: ignore[union-attr, operator]


def by_state_dict(layer: nn.Module) -> None:
    layer.load_state_dict({name: torch.rand_like(value) for name, value in layer.state_dict().items()})


def by_numpy(layer: nn.Module) -> None:
    for weight in layer.parameters():
        weight.detach().numpy()[...] = 0.1


def by_another_parameter(layer: nn.Module) -> None:
    layer.weight_ih_l0 = nn.Parameter(torch.rand(5, 3))


def by_parametrization(layer: nn.Module) -> None:
    class Twice(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return 2 * weight

    parametrize.register_parametrization(layer, "weight_hh_l0", Twice())


CHANGES = [
    by_optimiser, by_data_in_place, by_other_data, by_the_same_memory_otherwise, by_state_dict, by_numpy, by_another_parameter,
    by_parametrization,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_of_the_weights_is_seen(change: Callable[[nn.Module], None]) -> None:
    layer = RNN(3, 5)
    x = batch(layer)
    made_ready(layer, x)
    before = layer(x)[0]
    change(layer)
    assert not torch.equal(layer(x)[0], before)
    for _ in range(3):
        assert_same(layer, x)


def test_functional_call_is_seen() -> None:
    layer = LSTM(3, 5)
    x = batch(layer)
    made_ready(layer, x)
    doubled = {name: 2 * weight for name, weight in layer.named_parameters()}
    called = torch.func.functional_call(layer, doubled, (x,))[0]
    other = LSTM(3, 5)
    other.load_state_dict(doubled)
    assert torch.equal(called, other(x)[0])
    assert_same(layer, x)


def test_another_type_is_seen() -> None:
    layer = LSTM(3, 5)
    made_ready(layer, batch(layer))
    layer.double()
    x = batch(layer)
    assert layer(x)[0].dtype == torch.float64
    made_ready(layer, x)
    with pytest.raises(ShapeError, match="one dtype"):
        layer(x.float())


def test_dropout_is_not_forgotten() -> None:
    layer = LSTM(3, 5, num_layers=2, dropout=0.5).eval()
    x = batch(layer)
    made_ready(layer, x)
    quiet = layer(x)[0]
    layer.train()
    assert not torch.equal(layer(x)[0], quiet)
    layer.eval()
    assert torch.equal(layer(x)[0], quiet)


def test_a_gradient_that_is_asked_for_comes() -> None:
    layer = LSTM(3, 5)
    x = batch(layer)
    made_ready(layer, x)
    with torch.enable_grad():
        layer(x)[0].sum().backward()
    assert all(weight.grad is not None for weight in layer.parameters())


@pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
def test_transforms_go_their_own_way() -> None:
    layer = LSTM(3, 5)
    x = batch(layer)
    made_ready(layer, x)
    with forward_ad.dual_level():
        dual = layer(forward_ad.make_dual(x, torch.ones_like(x)))[0]
        assert forward_ad.unpack_dual(dual).tangent is not None
    several = torch.func.vmap(lambda each: layer(each)[0], in_dims=0)(torch.stack([x, 2 * x]))
    torch.testing.assert_close(several[1], layer(2 * x)[0])


def test_autocast_goes_its_own_way() -> None:
    layer = LSTM(3, 5)
    x = batch(layer)
    made_ready(layer, x)
    usual_type = usual(layer, x)[0].dtype
    with torch.autocast("cpu", dtype=torch.bfloat16):
        zeros = torch.zeros(1, 5, 5)
        assert layer(x)[0].dtype == layer(x, (zeros, zeros))[0].dtype
    assert layer(x)[0].dtype == usual_type


def test_another_number_of_threads_gives_the_same_bits() -> None:
    layer = LSTM(70, 100)
    x = batch(layer)
    made_ready(layer, x)
    before, expected = torch.get_num_threads(), layer(x)[0]
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            for _ in range(3):
                assert torch.equal(layer(x)[0], expected)
    finally:
        torch.set_num_threads(before)


def test_results_do_not_share_memory() -> None:
    layer = LSTM(64, 64, num_layers=2)
    x = batch(layer, steps=100, num_sequences=8)
    made_ready(layer, x)
    first = flat(layer(x))
    kept = [value.clone() for value in first]
    second = flat(layer(2 * x))
    assert len({value.untyped_storage().data_ptr() for value in (*first, *second)}) == 6
    assert all(torch.equal(value, before) for value, before in zip(first, kept, strict=True))


def test_other_shapes_between() -> None:
    layer = LSTM(3, 5)
    for steps in (7, 7, 9, 7, 9, 9, 7, 7, 7):
        assert_same(layer, batch(layer, steps=steps))
    for x in (torch.zeros(0, 5, 3), torch.zeros(7, 0, 3), torch.zeros(7, 3)):
        for _ in range(3):
            assert layer(x)[0].shape == (*x.shape[:-1], 5)
    for _ in range(3):
        with pytest.raises(ShapeError):
            layer(torch.zeros(7, 5, 4))


def test_two_threads_at_once() -> None:
    layer = LSTM(16, 32)
    inputs = [batch(layer, steps=60, seed=seed) for seed in range(2)]
    expected = [usual(layer, x) for x in inputs]
    made_ready(layer, inputs[0])
    wrong: list[int] = []

    def work(number: int) -> None:
        torch.set_num_threads(1)
        with torch.no_grad():
            for _ in range(300):
                found = flat(layer(inputs[number]))
                if not all(torch.equal(a, b) for a, b in zip(found, expected[number], strict=True)):
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert not wrong


def test_copies_and_the_dead() -> None:
    layer = LSTM(3, 5)
    x = batch(layer)
    made_ready(layer, x)
    twin = copy.deepcopy(layer)
    by_data_in_place(twin)
    assert_same(twin, x)
    assert_same(layer, x)
    gone = weakref.ref(layer)
    del layer
    gc.collect()
    assert gone() is None


def test_only_what_the_kernels_compute_is_made_ready() -> None:
    for layer in (LSTM(3, 5, bidirectional=True), LSTM(3, 5, proj_size=2), Recurrent("lstm", 3, 8, recurrent_blocks=2)):
        x = batch(layer)
        for _ in range(4):
            layer(x)
        assert not is_ready(layer)
