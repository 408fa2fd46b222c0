"""The compiled engine among torch's own tools: operators, compilers, transforms, hooks, threads and forks."""

import copy
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import graph
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import parametrize
from torch.utils.checkpoint import checkpoint

from cells_under_test import EXPONENTIAL, MIXED
from engine_cases import Case, compiled, compiled_results, make_case, outcome, truth
from gatework.cells import Cell, gru, layernorm, lstm, peephole
from gatework.cells.equations import canonical_text
from gatework.engine.cpu import layer as layer_module
from gatework.engine.cpu import operators
from gatework.engine.cpu.operators import recurrent, recurrent_backward
from gatework.errors import SlowPath
from gatework.layers import LSTM, Recurrent
from gatework.ragged import Ragged

FORMS = ["dense", "ragged"]


def small_case(cell: Cell, form: str, **options: object) -> Case:
    lengths = [4] * 3 if form == "dense" else [3, 0, 5]
    return make_case(cell, lengths=lengths, dense=form == "dense", input_size=3, hidden_size=5, **options)  # type: ignore[arg-type]


def operator_arguments(case: Case, mode: str) -> tuple[object, ...]:
    tensors = [case.x, case.weights.tensors(), case.initial]
    if mode == "inference":
        tensors = [case.x.detach(), [w.detach() for w in case.weights.tensors()], [state.detach() for state in case.initial]]
    return (*tensors, case.offsets, canonical_text(case.cell), case.backwards, True, mode)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", ["inference", "keep", "recompute"])
def test_the_operators_pass_torchs_own_checks(form: str, mode: str) -> None:
    case = small_case(peephole, form)
    arguments = operator_arguments(case, mode)
    torch.library.opcheck(recurrent, arguments)
    if mode == "inference":
        return
    with torch.no_grad():
        saved = recurrent(*arguments)[len(case.d_outputs) :]
    detached = [case.x.detach(), [w.detach() for w in case.weights.tensors()], [state.detach() for state in case.initial]]
    d_y, *d_others = case.d_outputs
    incoming = (d_y, d_others[:2], [True, True], d_others[2:], [True])
    torch.library.opcheck(recurrent_backward, (*incoming, *detached, case.offsets, saved, arguments[4], False, mode))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cell", [lstm, MIXED], ids=lambda cell: cell.name)
@pytest.mark.parametrize("mode", ["keep", "recompute"])
def test_the_operator_computes_what_a_plain_call_computes(form: str, cell: Cell, mode: str) -> None:
    case = small_case(cell, form)
    plain = compiled(case).all()
    through = outcome(case, recurrent(*operator_arguments(case, mode))[: len(case.d_outputs)]).all()
    assert all(torch.equal(through[name], value) for name, value in plain.items())


class Model(nn.Module):
    """What users compile and export: a stack and a head."""

    def __init__(self, cell: str | Cell) -> None:
        super().__init__()
        self.memory, self.head = Recurrent(cell, 3, 5, num_layers=2, bidirectional=True), nn.Linear(10, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.memory(x)[0])


@pytest.fixture
def forgetful_compiler() -> Iterator[None]:
    """No code compiled by one test is found by another."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.usefixtures("forgetful_compiler")
@pytest.mark.parametrize(("cell", "backend"), [("lstm", "eager"), ("lstm", "aot_eager"), (EXPONENTIAL, "aot_eager")])
def test_a_compiled_model_is_one_graph_with_the_same_results_and_gradients(cell: str | Cell, backend: str) -> None:
    torch.manual_seed(0)
    model = Model(cell)
    fast, x = torch.compile(model, fullgraph=True, backend=backend), torch.randn(4, 2, 3)
    outputs, expected = fast(x), model(x)
    assert torch.equal(outputs, expected)
    found, wanted = (torch.autograd.grad(result.square().sum(), list(model.parameters())) for result in (outputs, expected))
    torch.testing.assert_close(found, wanted)
    with torch.no_grad():
        assert torch.equal(fast(x), model(x))


@pytest.mark.usefixtures("forgetful_compiler")
def test_a_compiled_function_of_a_ragged_batch_is_one_graph() -> None:
    layer = LSTM(3, 5, bidirectional=True)

    def outputs(values: Tensor, offsets: Tensor) -> Tensor:
        return layer(Ragged(values, offsets))[0].values

    fast, values = torch.compile(outputs, fullgraph=True, backend="eager"), torch.randn(8, 3)
    for offsets in (torch.tensor([0, 3, 3, 8]), torch.tensor([0, 1, 6, 8])):
        torch.testing.assert_close(fast(values, offsets), outputs(values, offsets), rtol=0, atol=0)


@pytest.mark.usefixtures("forgetful_compiler")
@pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
def test_a_transform_inside_a_compiled_function_is_noticed() -> None:
    layer, x = LSTM(2, 3, dtype=torch.float64), torch.randn(3, 1, 2, dtype=torch.float64)

    def slope(values: Tensor) -> Tensor:
        return torch.func.grad(lambda v: layer(v)[0].square().sum())(values)

    def tangent(values: Tensor) -> Tensor:
        return torch.func.jvp(lambda v: layer(v)[0].square().sum(), (values,), (values,))[1]

    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(layer(leaf)[0].square().sum(), leaf)
    torch.testing.assert_close(torch.compile(slope, backend="eager")(x), expected)
    torch.testing.assert_close(torch.compile(tangent, backend="eager")(x), (expected * x).sum())


def nodes(module: torch.fx.GraphModule) -> list[str]:
    return [str(node.target) for node in module.graph.nodes if node.op == "call_function"]


def test_an_exported_model_has_one_node_per_layer_and_direction_and_takes_other_sizes() -> None:
    torch.manual_seed(0)
    model, x = Model("lstm").eval(), torch.randn(4, 2, 3)
    sizes = {"x": {0: torch.export.Dim("steps", min=2, max=1000), 1: torch.export.Dim("batch", min=2, max=64)}}
    exported = torch.export.export(model, (x,), dynamic_shapes=sizes)
    assert nodes(exported.graph_module).count("gatework.recurrent.default") == 4
    for other in (x, torch.randn(7, 5, 3)):
        torch.testing.assert_close(exported.module()(other), model(other), rtol=0, atol=0)


def test_a_tracer_of_plain_tensors_sees_the_operator() -> None:
    layer, x = LSTM(3, 4).requires_grad_(False), torch.randn(5, 2, 3)
    traced = make_fx(lambda values: layer(values)[0])(x)
    assert "gatework.recurrent.default" in nodes(traced)
    other = torch.randn(5, 2, 3)
    torch.testing.assert_close(traced(other), layer(other)[0], rtol=0, atol=0)


# --- derivatives


@pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cell", [lstm, gru, layernorm], ids=lambda cell: cell.name)
def test_a_gradient_can_be_differentiated_again(form: str, cell: Cell) -> None:
    lengths = [2, 2] if form == "dense" else [2, 0, 1]
    case = make_case(cell, lengths=lengths, dense=form == "dense", input_size=2, hidden_size=3)

    def run(*_: Tensor) -> tuple[Tensor, ...]:
        return tuple(compiled_results(case))

    assert torch.autograd.gradcheck(run, case.leaves(), fast_mode=True)
    assert torch.autograd.gradgradcheck(run, case.leaves(), fast_mode=True)


def test_the_slower_second_derivative_is_said_once_and_equals_the_reference() -> None:
    operators.warn_twice.cache_clear()
    layer, x = LSTM(2, 3, dtype=torch.float64), torch.randn(4, 1, 2, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(layer(x)[0].sum(), x)
    with pytest.warns(SlowPath, match="gradient of a gradient"):
        (again,) = torch.autograd.grad(layer(x)[0].sum(), x, create_graph=True)
    torch.testing.assert_close(again, slope, rtol=1e-12, atol=1e-13)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.autograd.grad(layer(x)[0].sum(), x, create_graph=True)


@pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
@pytest.mark.parametrize("cell", [lstm, layernorm], ids=lambda cell: cell.name)
def test_gradients_of_each_sequence_come_from_one_call(cell: Cell) -> None:
    torch.manual_seed(0)
    layer = Recurrent(cell, 3, 5, bidirectional=True, dtype=torch.float64)
    x, weights = torch.randn(6, 4, 3, dtype=torch.float64), dict(layer.named_parameters())

    def loss(given: dict[str, Tensor], sequence: Tensor) -> Tensor:
        return torch.func.functional_call(layer, given, (sequence,))[0].square().sum()

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, x)
    for i in range(6):
        expected = torch.autograd.grad(layer(x[i])[0].square().sum(), list(weights.values()))
        for name, gradient in zip(weights, expected, strict=True):
            torch.testing.assert_close(found[name][i], gradient, rtol=1e-10, atol=1e-12)


# --- autograd's manners


@pytest.mark.parametrize("keep", [True, False])
def test_backward_can_run_twice_and_gives_the_same_bits(keep: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (layer_module, operators):
        monkeypatch.setattr(module, "KEEP_BYTES", 2**40 if keep else 0)
    case = small_case(MIXED, "ragged")
    results = compiled_results(case)
    first = torch.autograd.grad(results, case.leaves(), case.d_outputs, retain_graph=True)
    second = torch.autograd.grad(results, case.leaves(), case.d_outputs)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("changed", ["x", "weight", "initial"])
def test_changing_what_backward_needs_is_refused(changed: str) -> None:
    case = small_case(lstm, "ragged")
    results = compiled_results(case)
    with torch.no_grad():
        {"x": case.x, "weight": case.weights.recurrent, "initial": case.initial[0]}[changed].add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(results, case.leaves(), case.d_outputs)


@pytest.mark.parametrize("form", FORMS)
def test_outputs_may_be_changed_in_place(form: str) -> None:
    case = small_case(lstm, form)
    gradients = []
    for change in (lambda y: y.mul_(2.0), lambda y: y * 2.0):
        y, *_ = compiled_results(case)
        gradients.append(torch.autograd.grad(change(y), case.leaves(), case.d_outputs[0]))
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_only_what_asks_for_a_gradient_gets_one() -> None:
    layer = LSTM(3, 5)
    layer.weight_ih_l0.requires_grad_(False)
    layer(torch.randn(4, 2, 3))[0].sum().backward()
    assert layer.weight_ih_l0.grad is None
    assert layer.weight_hh_l0.grad is not None
    assert not layer.requires_grad_(False)(torch.randn(4, 2, 3))[0].requires_grad
    with torch.inference_mode():
        assert layer(torch.randn(4, 2, 3))[0].is_inference()


@pytest.mark.parametrize("cell", [lstm, layernorm], ids=lambda cell: cell.name)
def test_saved_tensors_can_be_moved_away_and_computed_again(cell: Cell) -> None:
    case = small_case(cell, "ragged")
    expected, moved = compiled(case).gradients, []

    def away(tensor: Tensor) -> tuple[Tensor]:
        moved.append(tensor.shape)
        return (tensor.detach().clone(),)

    with graph.saved_tensors_hooks(away, lambda parts: parts[0]):
        found = compiled(case).gradients
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert len(moved) >= len(case.leaves())

    def run(*_: Tensor) -> tuple[Tensor, ...]:
        return tuple(compiled_results(case))

    again = checkpoint(run, *case.leaves(), use_reentrant=False)
    gradients = torch.autograd.grad(again, case.leaves(), case.d_outputs)
    assert all(torch.equal(a, b) for a, b in zip(gradients, expected.values(), strict=True))


# --- modules


class Doubled(nn.Module):
    """A parametrization: twice the weight."""

    def forward(self, weight: Tensor) -> Tensor:
        return 2.0 * weight


def test_layers_copy_load_cast_and_take_parametrizations() -> None:
    torch.manual_seed(0)
    layer, x = Recurrent("peephole", 3, 5, num_layers=2), torch.randn(4, 2, 3)
    expected = layer(x)[0]
    clone = copy.deepcopy(layer)  # after a call: compiled kernels belong to the process, not to the layer
    assert torch.equal(clone(x)[0], expected)
    fresh = Recurrent("peephole", 3, 5, num_layers=2)
    fresh.load_state_dict(layer.state_dict())
    assert torch.equal(fresh(x)[0], expected)
    double = copy.deepcopy(layer).to(torch.float64)
    torch.testing.assert_close(double(x.double())[0].float(), expected, rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        layer.weight_hh_l1.mul_(2.0)
    parametrize.register_parametrization(clone, "weight_hh_l1", Doubled())
    assert torch.equal(clone(x)[0], layer(x)[0])
    gradients = [torch.autograd.grad(m(x)[0].sum(), list(m.parameters())) for m in (layer, clone)]
    assert sorted(float(g.abs().sum()) for g in gradients[0]) != sorted(float(g.abs().sum()) for g in gradients[1])
    (original,) = (p for name, p in clone.named_parameters() if "original" in name)
    (mine,) = torch.autograd.grad(clone(x)[0].sum(), original)
    (theirs,) = torch.autograd.grad(layer(x)[0].sum(), layer.weight_hh_l1)
    torch.testing.assert_close(mine, 2.0 * theirs, rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
def test_initial_states_of_another_type_are_cast_under_autocast() -> None:
    layer, x = LSTM(3, 5), torch.randn(4, 2, 3)
    start = (torch.rand(1, 2, 5), torch.rand(1, 2, 5))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(x, tuple(state.bfloat16() for state in start))[0]
    # bfloat16 keeps 8 bits
    torch.testing.assert_close(found.float(), layer(x, start)[0], rtol=0, atol=0.02)


# --- threads and processes


def test_two_threads_may_call_one_layer_at_once() -> None:
    torch.manual_seed(0)
    layer = Recurrent("gru", 7, 33, num_layers=2)
    batches = [Ragged.from_lengths(torch.randn(90, 7), [30, 1, 0, 59 - i, i]) for i in range(4)]

    def gradients(x: Ragged) -> list[Tensor]:
        outputs = layer(x)[0].values
        return [outputs.detach(), *torch.autograd.grad(outputs.square().sum(), list(layer.parameters()))]

    expected = [gradients(x) for x in batches]
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(15):
            found = gradients(batches[number])
            if not all(torch.equal(a, b) for a, b in zip(found, expected[number], strict=True)):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert not wrong


def test_threads_that_compile_at_once_all_get_the_kernel() -> None:
    def step(x: object, r: object, s: object, w: object) -> dict[str, object]:
        return {"h": (x.a * 0.37 + r.a).tanh()}  # type: ignore[attr-defined]

    cell = Cell("race", "A cell that nobody has compiled", ("a",), ("h",), step)  # type: ignore[arg-type]
    case = small_case(cell, "ragged")
    found: list[Tensor] = []
    threads = [threading.Thread(target=lambda: found.append(compiled_results(case)[0].detach())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(found) == 3
    for result in found:
        torch.testing.assert_close(result, truth(case).results["y"])


def run_alone(code: str, threads: int) -> str:
    """Runs Python code in a process of its own with this many threads; fails after a minute."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


FORK = """
import os, signal, torch
from gatework.layers import LSTM
layer, x = LSTM(16, 64), torch.randn(50, 32, 16)
def work():
    outputs = layer(x)[0]
    return [outputs, *torch.autograd.grad(outputs.square().sum(), list(layer.parameters()))]
expected = work()
child = os.fork()
if child == 0:
    signal.alarm(30)
    found = work()
    same = all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(found, expected))
    os._exit(0 if same else 3)
_, status = os.waitpid(child, 0)
assert status == 0, f"the child ended with {os.waitstatus_to_exitcode(status)}"
assert all(torch.equal(a, b) for a, b in zip(work(), expected))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_after_a_fork_the_child_computes_the_same_and_the_parent_goes_on() -> None:
    run_alone(FORK, threads=2)


THREADS = """
import os, torch
from gatework.layers import LSTM
def count():
    return len(os.listdir("/proc/self/task"))
layer, x = LSTM(4, 16).requires_grad_(False), torch.randn(9, 8, 4)
torch.set_num_threads(1)
before = count()
expected = layer(x)[0]
assert count() == before, "one thread was asked for"
for threads in (3, 2, 1):
    torch.set_num_threads(threads)
    assert torch.equal(layer(x)[0], expected)
    assert torch.get_num_threads() == threads
    if threads == 3:
        assert count() - before == 2, f"{count() - before} threads joined"
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="this system does not list its threads")
def test_as_many_threads_compute_as_torch_is_told() -> None:
    run_alone(THREADS, threads=3)
