"""The engine: the reference by gradcheck, the backends against each other, ragged against one-by-one."""

import dataclasses
import warnings
from itertools import product

import pytest
import torch
from torch import Tensor

from cells_under_test import BUILT_IN
from gatework.cells import CELLS, Cell, Names, lstm, sigmoid, tanh
from gatework.engine import BACKENDS, Backend, LayerWeights, PackedRows, RaggedRows, choose, run_layer, run_rows, trace_layer
from gatework.engine.choose import REFERENCE
from gatework.engine.fused import KERNELS, Kernel, run_packed_in_chunks
from gatework.errors import ConfigError, SlowPath
from gatework.ragged import Ragged

ALL = BUILT_IN
States = dict[str, Tensor]


def peephole_step(x: Names, r: Names, s: Names, w: Names) -> States:
    keep = sigmoid(x.forget + r.forget + w.forget * s.c)
    write = sigmoid(x.input + r.input + w.input * s.c)
    c = keep * s.c + write * tanh(x.candidate + r.candidate)
    return {"h": sigmoid(x.output + r.output + w.output * c) * tanh(c), "c": c}  # type: ignore[dict-item]


PEEPHOLE = Cell("peephole", "an own cell", lstm.gates, lstm.states, peephole_step, ("forget", "input", "output"))


def random_weights(
    cell: Cell, input_size: int, hidden_size: int, projected: int = 0, dtype: torch.dtype = torch.float64
) -> LayerWeights:
    rows, output_size = len(cell.gates) * hidden_size, projected or hidden_size

    def draw(*shape: int) -> Tensor:
        return (torch.randn(shape, dtype=dtype) * 0.3).requires_grad_()

    return LayerWeights(
        draw(rows, input_size),
        draw(rows, output_size),
        draw(rows),
        draw(rows),
        draw(projected, hidden_size) if projected else None,
        {name: draw(hidden_size) for name in cell.unit_weights},
    )


def random_states(cell: Cell, count: int, hidden_size: int, projected: int = 0, dtype: torch.dtype = torch.float64) -> States:
    sizes = {name: projected if projected and name == "h" else hidden_size for name in cell.states}
    return {name: torch.randn(count, size, dtype=dtype, requires_grad=True) for name, size in sizes.items()}


@pytest.mark.parametrize("cell", [*ALL[:3], PEEPHOLE], ids=lambda cell: cell.name)
def test_reference_gradients_are_the_numerical_ones(cell: Cell) -> None:
    torch.manual_seed(0)
    lengths, input_size, hidden_size = [2, 0, 3], 2, 2
    projected = 1 if cell is lstm else 0
    weights = [random_weights(cell, input_size, hidden_size, projected) for _ in range(2)]
    initial = [random_states(cell, 3, hidden_size, projected) for _ in range(2)]
    values = torch.randn(5, input_size, dtype=torch.float64, requires_grad=True)
    flat = [values, *(t for w in weights for t in w.tensors()), *(state for states in initial for state in states.values())]

    def run(*_: Tensor) -> tuple[Tensor, ...]:
        stacked = {name: torch.stack([states[name] for states in initial]) for name in cell.states}
        result = REFERENCE.run(cell, RaggedRows(Ragged.from_lengths(values, lengths)), tuple(weights), stacked)
        return result.outputs.values, *result.finals.values()

    assert torch.autograd.gradcheck(run, flat, fast_mode=True)


@pytest.mark.parametrize("cell", [lstm, CELLS["gru"]], ids=lambda cell: cell.name)
def test_reference_can_be_differentiated_twice(cell: Cell) -> None:
    torch.manual_seed(0)
    weights, initial = random_weights(cell, 1, 2), random_states(cell, 2, 2)
    values = torch.randn(3, 1, dtype=torch.float64, requires_grad=True)

    def run(*_: Tensor) -> Tensor:
        start = {name: state[None] for name, state in initial.items()}
        return REFERENCE.run(cell, RaggedRows(Ragged.from_lengths(values, [2, 1])), (weights,), start).outputs.values

    assert torch.autograd.gradgradcheck(run, [values, *weights.tensors(), *initial.values()], fast_mode=True)


CASES = list(product(ALL, [[3, 0, 7, 1, 7], [9, 0, 9, 9, 4], [4, 4, 4], [0, 0], [33]], [1, 2], [0, 3]))


@pytest.mark.parametrize(
    ("cell", "lengths", "num_directions", "projected"), CASES, ids=lambda value: str(getattr(value, "name", value))
)
def test_every_backend_equals_the_reference_in_results_and_gradients(
    cell: Cell, lengths: list[int], num_directions: int, projected: int
) -> None:
    if projected and cell is CELLS["gru"]:
        pytest.skip("the equations of gru read h unit by unit: no projection")
    torch.manual_seed(1)
    input_size, hidden_size = 7, 9
    weights = tuple(random_weights(cell, input_size, hidden_size, projected) for _ in range(num_directions))
    initial = [random_states(cell, len(lengths), hidden_size, projected) for _ in range(num_directions)]
    stacked = {name: torch.stack([states[name] for states in initial]) for name in cell.states}
    values = torch.randn(sum(lengths), input_size, dtype=torch.float64, requires_grad=True)
    leaves = [values, *(t for w in weights for t in w.tensors()), *(s for states in initial for s in states.values())]
    x = RaggedRows(Ragged.from_lengths(values, lengths))
    found = []
    for backend in BACKENDS:
        if backend.why_not(cell, x, weights) is not None:
            continue
        result = backend.run(cell, x, weights, stacked)
        results = [result.outputs.ragged().values, *(result.finals[name] for name in cell.states)]
        torch.manual_seed(2)
        loss = sum((r * torch.randn_like(r)).sum() for r in results)
        found.append((results, torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)))
    *others, (results, gradients) = found
    assert others or projected
    for mine, my_gradients in others:
        # float64: sums of at most 33 steps in another order
        torch.testing.assert_close(mine, results, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(my_gradients, gradients, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("cell", [*ALL, PEEPHOLE], ids=lambda cell: cell.name)
@pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
def test_a_sequence_does_not_notice_its_neighbours(cell: Cell) -> None:
    torch.manual_seed(3)
    lengths = [4, 0, 1, 6, 4]
    weights = tuple(random_weights(cell, 3, 7) for _ in range(2))
    initial = tuple(random_states(cell, len(lengths), 7) for _ in range(2))
    x = Ragged.from_lengths(torch.randn(sum(lengths), 3, dtype=torch.float64), lengths)
    together = run_layer(cell, x, weights, initial)
    for i in range(len(lengths)):
        own_start = tuple({name: state[i : i + 1] for name, state in states.items()} for states in initial)
        alone = run_layer(cell, x.only(i), weights, own_start)
        torch.testing.assert_close(together.outputs[i], alone.outputs[0], rtol=1e-12, atol=1e-13)
        for ours, theirs in zip(together.finals, alone.finals, strict=True):
            for name in cell.states:
                torch.testing.assert_close(ours[name][i], theirs[name][0], rtol=1e-12, atol=1e-13)


BACKEND_AND_CELL = [(backend, cell) for backend in BACKENDS for cell in ALL if backend.name != "fused" or cell in KERNELS]


@pytest.mark.parametrize(("backend", "cell"), BACKEND_AND_CELL, ids=lambda value: value.name)
@pytest.mark.parametrize("lengths", [[3, 5, 2], [4, 4, 4]], ids=["ragged", "dense"])
def test_a_nan_reaches_its_own_sequence_only(backend: Backend, cell: Cell, lengths: list[int]) -> None:
    torch.manual_seed(4)
    weights = (random_weights(cell, 3, 5, dtype=torch.float32), random_weights(cell, 3, 5, dtype=torch.float32))
    initial = {name: torch.zeros(2, 3, 5) for name in cell.states}
    values = torch.randn(sum(lengths), 3)
    poisoned = values.clone()
    poisoned[lengths[0] + 1] = float("nan")  # the second sequence, its second step
    found = []
    for given in (values.requires_grad_(), poisoned.requires_grad_()):
        result = backend.run(cell, RaggedRows(Ragged.from_lengths(given, lengths)), weights, initial)
        outputs = result.outputs.ragged().sequences
        (gradient,) = torch.autograd.grad(outputs.values.square().sum(), given)
        found.append((outputs, outputs.with_values(gradient), result.finals["h"]))
    (clean, clean_gradient, clean_h), (dirty, dirty_gradient, dirty_h) = found
    assert dirty[1].isnan().any()
    assert dirty_gradient[1].isnan().any()
    for i in (0, 2):
        assert torch.equal(dirty[i], clean[i])
        assert torch.equal(dirty_gradient[i], clean_gradient[i])
        assert torch.equal(dirty_h[:, i], clean_h[:, i])


def test_a_sequence_of_length_zero_passes_its_initial_state_and_gradient_through() -> None:
    weights, initial = (random_weights(lstm, 2, 3),), random_states(lstm, 3, 3)
    x = Ragged.from_lengths(torch.randn(5, 2, dtype=torch.float64), [3, 0, 2])
    finals = run_layer(lstm, x, weights, (initial,)).finals[0]
    assert torch.equal(finals["c"][1], initial["c"][1])
    (gradient,) = torch.autograd.grad(finals["c"][1].sum(), initial["c"])
    assert torch.equal(gradient, torch.tensor([[0.0] * 3, [1.0] * 3, [0.0] * 3], dtype=torch.float64))


def test_trace_holds_every_state_and_the_sums_that_made_it() -> None:
    torch.manual_seed(5)
    lengths = [3, 0, 4]
    weights = tuple(random_weights(lstm, 2, 3) for _ in range(2))
    initial = tuple(random_states(lstm, 3, 3) for _ in range(2))
    x = Ragged.from_lengths(torch.randn(7, 2, dtype=torch.float64), lengths)
    result, traces = run_layer(lstm, x, weights, initial), trace_layer(lstm, x, weights, initial)
    joined = torch.cat([trace.states["h"].values for trace in traces], dim=1)
    torch.testing.assert_close(joined, result.outputs.values, rtol=1e-12, atol=1e-13)
    for i, trace in enumerate(traces):
        end = -1 if i == 0 else 0  # the backward direction ends at the first step
        torch.testing.assert_close(trace.states["c"][2][end], result.finals[i]["c"][2], rtol=1e-12, atol=1e-13)
        show = (trace.input_sums["output"].values + trace.recurrent_sums["output"].values).sigmoid()
        torch.testing.assert_close(show * trace.states["c"].values.tanh(), trace.states["h"].values)


def test_the_compiled_engine_runs_every_cell_and_says_why_where_it_does_not() -> None:
    x = RaggedRows(Ragged.one(torch.zeros(2, 3, dtype=torch.float64)))
    for cell in (*ALL, PEEPHOLE, dataclasses.replace(PEEPHOLE, name="lstm")):
        assert choose(cell, x, (random_weights(cell, 3, 4),)).backend.name == "compiled"
    half = RaggedRows(Ragged.one(torch.zeros(2, 3, dtype=torch.float16)))
    chosen = choose(lstm, half, (random_weights(lstm, 3, 4, dtype=torch.float16),))
    assert chosen.backend.name == "fused"
    assert "the compiled engine has no kernels for torch.float16" in chosen.reason
    chosen = choose(PEEPHOLE, half, (random_weights(PEEPHOLE, 3, 4, dtype=torch.float16),))
    assert chosen.backend.name == "reference"
    assert "torch has no kernel for the cell 'peephole'" in chosen.reason


def test_another_cell_called_lstm_is_not_run_by_torchs_lstm() -> None:
    impostor = dataclasses.replace(PEEPHOLE, name="lstm")
    half = RaggedRows(Ragged.one(torch.zeros(2, 3, dtype=torch.float16)))
    assert choose(impostor, half, (random_weights(impostor, 3, 4, dtype=torch.float16),)).backend.name == "reference"


def test_the_slower_way_is_said_once() -> None:
    cell = dataclasses.replace(PEEPHOLE, name="said_once")
    x, weights = Ragged.one(torch.zeros(2, 3, dtype=torch.bfloat16)), (random_weights(cell, 3, 4, dtype=torch.bfloat16),)
    start = ({name: torch.zeros(1, 4, dtype=torch.bfloat16) for name in cell.states},)
    reason = "the compiled engine has no kernels for torch.bfloat16; torch has no kernel for the cell 'said_once'"
    with pytest.warns(SlowPath, match=rf"step by step \(reference: {reason}\)"):
        run_layer(cell, x, weights, start)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_layer(cell, x, weights, start)


def test_a_step_that_returns_other_states_is_named() -> None:
    cell = dataclasses.replace(PEEPHOLE, name="forgetful", step=lambda x, r, s, w: {"h": s.h})
    with pytest.raises(ConfigError, match="'forgetful' returned h; declared are the states h, c"):
        start = {name: torch.zeros(1, 1, 4, dtype=torch.float64) for name in cell.states}
        REFERENCE.run(cell, RaggedRows(Ragged.one(torch.zeros(2, 3).double())), (random_weights(cell, 3, 4),), start)


@pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
def test_torch_func_transforms_are_right() -> None:
    torch.manual_seed(6)
    weights, x = random_weights(lstm, 2, 3), torch.randn(4, 2, dtype=torch.float64)
    start = ({name: torch.zeros(1, 3, dtype=torch.float64) for name in lstm.states},)

    def loss(values: Tensor) -> Tensor:
        return run_layer(lstm, Ragged.one(values), (weights,), start).outputs.values.square().sum()

    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(leaf), leaf)
    direction = torch.randn_like(x)
    torch.testing.assert_close(torch.func.grad(loss)(x), expected)
    torch.testing.assert_close(torch.func.jvp(loss, (x,), (direction,))[1], (expected * direction).sum())
    batch = torch.stack([x, 2 * x])
    torch.testing.assert_close(torch.func.vmap(loss)(batch), torch.stack([loss(x), loss(2 * x)]))
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, direction)
        tangent = torch.autograd.forward_ad.unpack_dual(loss(dual)).tangent
        torch.testing.assert_close(tangent, (expected * direction).sum())


def test_rows_come_back_in_the_order_in_which_they_were_given() -> None:
    torch.manual_seed(7)
    x = Ragged.from_lengths(torch.randn(9, 2), [2, 0, 4, 3])
    packed = RaggedRows(x).packed()
    assert torch.equal(packed.ragged().values, x.values)
    assert isinstance(packed, PackedRows)
    assert torch.equal(packed.like(RaggedRows(x)).values, packed.values)
    weights = (random_weights(lstm, 2, 3, dtype=torch.float32),)
    start = {name: torch.zeros(1, 4, 3) for name in lstm.states}
    outputs = run_rows(lstm, RaggedRows(x), weights, start).outputs
    assert torch.equal(RaggedRows(x).like(outputs).sequences.offsets, x.offsets)


@pytest.mark.parametrize("cell", KERNELS, ids=lambda cell: cell.name)
def test_packed_kernel_and_dense_pieces_agree(cell: Cell) -> None:
    torch.manual_seed(8)
    weights = tuple(random_weights(cell, 3, 7) for _ in range(2))
    values = torch.randn(15, 3, dtype=torch.float64, requires_grad=True)
    states = tuple(torch.randn(2, 5, 7, dtype=torch.float64) for _ in cell.states)
    kernel = Kernel(cell, weights, keep=True)
    found = []
    for run in (Kernel.packed, run_packed_in_chunks):
        rows = RaggedRows(Ragged.from_lengths(values, [2, 0, 6, 3, 3, 1])).packed()
        outputs, finals = run(kernel, rows, states)
        loss = outputs.square().sum() + sum(final.pow(3).sum() for final in finals)
        leaves = [values, *(tensor for direction in weights for tensor in direction.tensors())]
        found.append((outputs, finals, torch.autograd.grad(loss, leaves)))
    torch.testing.assert_close(found[0], found[1], rtol=1e-11, atol=1e-12)
