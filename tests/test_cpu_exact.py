"""The compiled engine against the reference in float64: outputs, every state, and every gradient, from one list of cases."""

import math
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from cells_under_test import ALL_CELLS, MIXED
from engine_cases import (
    Case,
    Outcome,
    as_dtype,
    compiled,
    compiled_results,
    make_case,
    outcome,
    pairwise,
    reference_results,
    roundings,
    truth,
)
from gatework.cells import CELLS, Cell, Names, lstm, rnn, rnn_relu, tanh
from gatework.engine.cpu.machine import TARGETS, machine
from gatework.errors import ConfigError
from memory_guard import guarded_memory
from random_equations import Program, build, expressions

CHOICES: dict[str, list[object]] = {
    "cell": ALL_CELLS,
    "dtype": [torch.float32, torch.float64],
    # dense; one step; ragged, more sequences than lanes, some empty; nothing to compute; one long sequence
    "form": [("dense", [6] * 7), ("dense", [1]), ("ragged", [3, 0, 12, 1, 7, 2, 0, 5]), ("ragged", [0, 0]), ("ragged", [33])],
    "backwards": [False, True],
    "sizes": [(1, 1), (33, 7), (7, 33), (5, 100), (100, 129)],
    "bias": [True, False],
}
SAMPLE = pairwise(CHOICES)
PRODUCT = [dict(zip(CHOICES, values, strict=True)) for values in product(*CHOICES.values())]

FEW, TIMES = 60.0, 12.0
"""How many roundings of the largest number an error may have: sums of up to 129 terms, up to 33 steps deep, in another order,
give some tens. Where much cancels (the gradient of a normalised sum, a weight's gradient that is nearly 0) the reference in
float32 loses digits against itself in float64, too, and the compiled engine may lose some times as many."""


def case_of(options: dict[str, Any]) -> Case:
    form, lengths = options["form"]
    sizes = dict(zip(("input_size", "hidden_size"), options["sizes"], strict=True))
    own = {name: options[name] for name in ("dtype", "backwards", "bias")}
    return make_case(options["cell"], lengths=lengths, dense=form == "dense", **sizes, **own)


def name_of(options: dict[str, Any]) -> str:
    form, lengths = options["form"]
    return (
        f"{options['cell'].name}-{options['dtype']}-{form}{sum(lengths)}-{'back' if options['backwards'] else 'forth'}-"
        f"{options['sizes']}{'' if options['bias'] else '-nobias'}"
    ).replace(" ", "")


def assert_equal_within_rounding(mine: Outcome, exact: Outcome, rough: Outcome) -> None:
    """mine: any type. exact, rough: the reference in float64 and in float32."""
    wrong = {}
    for name, value in exact.all().items():
        error, lost = roundings(mine.all()[name], value), roundings(rough.all()[name], value)
        if not error <= FEW + TIMES * lost:
            wrong[name] = (error, lost)
    assert not wrong, f"(roundings, those of the reference itself): {wrong}"


def check(case: Case) -> None:
    with guarded_memory():
        mine = compiled(case)
    rough = as_dtype(case, torch.float32)
    assert_equal_within_rounding(mine, truth(case), outcome(rough, reference_results(rough)))


@pytest.mark.parametrize("options", SAMPLE, ids=name_of)
def test_results_and_gradients_equal_the_reference(options: dict[str, Any]) -> None:
    check(case_of(options))


def target_or_skip(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWORK_TARGET", target)
    try:
        machine()
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("cell", ALL_CELLS, ids=lambda cell: cell.name)
def test_the_whole_product_equals_the_reference_on_every_target(target: str, cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    target_or_skip(target, monkeypatch)
    for options in PRODUCT:
        if options["cell"] is cell:
            check(case_of(options))


def test_a_lesser_vector_unit_gives_the_same_within_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    target_or_skip("generic", monkeypatch)
    assert machine().vector_bytes == 16
    for dtype in (torch.float32, torch.float64):
        check(make_case(MIXED, lengths=[5, 0, 9], dtype=dtype))


@pytest.mark.parametrize("cell", ALL_CELLS, ids=lambda cell: cell.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saturated_gates_are_exact(cell: Cell, dtype: torch.dtype) -> None:
    case = make_case(cell, lengths=[2, 3, 1], dtype=dtype, hidden_size=13)
    with torch.no_grad():
        for number, bias in enumerate((case.weights.input_bias, case.weights.recurrent_bias)):
            # ±100 in two thirds of the units, by turns; gates that see both biases also meet 0 and ±200
            assert bias is not None
            places = torch.arange(len(bias))
            # what is multiplied, not squashed, would carry the roundings of 100 · 100 into the gates
            is_gate = torch.tensor([gate != "factor" for gate in cell.gates]).repeat_interleave(13)
            bias.add_(100.0 * ((places + number) % 3 - 1) * is_gate)
    exact = truth(case)
    assert all(bool(value.isfinite().all()) for value in exact.all().values())
    check(case)


def only_final(case: Case, results: list[Tensor]) -> Outcome:
    """The gradient of the outputs alone, squared so that NaN comes back."""
    leaves = case.leaves()
    loss = (results[0] * results[0]).sum()
    gradients = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
    return Outcome({"y": results[0].detach()}, dict(zip(case.names(), gradients, strict=True)))


@pytest.mark.parametrize("cell", ALL_CELLS, ids=lambda cell: cell.name)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_infinity_go_where_the_equations_send_them_and_to_no_other_sequence(cell: Cell, value: float) -> None:
    # 12 sequences on the lanes of one thread: later ones are computed where the poisoned one was
    lengths = [9, 3, 0, 2, 4, 1, 1, 5, 2, 3, 1, 2]
    poisoned, step = 1, 1
    found = []
    for dirty in (False, True):
        case = make_case(cell, lengths=lengths, dtype=torch.float32, hidden_size=11, seed=3)
        if dirty:
            with torch.no_grad():
                case.x[lengths[0] + step, 2] = value
        found.append((only_final(case, compiled_results(case)), only_final(case, reference_results(case))))
    (clean, _), (mine, exact) = found
    own = torch.zeros(sum(lengths), dtype=torch.bool)
    own[lengths[0] : lengths[0] + lengths[poisoned]] = True
    for name, ours, theirs in (("y", mine.results, exact.results), ("x", mine.gradients, exact.gradients)):
        clean_value = (clean.results if name == "y" else clean.gradients)[name]
        assert torch.equal(ours[name][~own], clean_value[~own]), name
        torch.testing.assert_close(ours[name][own], theirs[name][own], rtol=1e-3, atol=1e-4, equal_nan=True)
    if math.isnan(value):
        before = lengths[0] + step
        assert bool(mine.results["y"][before : before + 2].isnan().all())
        assert bool(mine.gradients["x"][before].isnan().any())


@pytest.mark.parametrize("cell", [rnn, rnn_relu], ids=lambda cell: cell.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_denormal_numbers_are_computed_with_not_flushed(cell: Cell, dtype: torch.dtype) -> None:
    smallest = torch.finfo(dtype).smallest_normal
    case = make_case(cell, lengths=[1, 1], dtype=dtype, input_size=1, hidden_size=5, bias=False)
    with torch.no_grad():
        case.x.copy_(torch.tensor([[smallest / 64], [-smallest / 1024]], dtype=dtype))
        case.weights.input.fill_(0.5)
        for state in case.initial:
            state.zero_()
    results = compiled_results(case)
    expected = 0.5 * case.x.detach().expand(2, 5)  # tanh(a) = a that near to 0
    assert torch.equal(results[0].detach(), expected.relu() if cell is rnn_relu else expected)
    incoming = torch.full_like(results[0], smallest / 128)
    (gradient,) = torch.autograd.grad(results[0], case.x, incoming)
    expected_gradient = torch.tensor([[1.0], [0.0 if cell is rnn_relu else 1.0]], dtype=dtype) * (5 * 0.5 * smallest / 128)
    assert torch.equal(gradient, expected_gradient)


@pytest.mark.parametrize("cell", ALL_CELLS, ids=lambda cell: cell.name)
@pytest.mark.parametrize("kept", ["y", "finals", "states", "one final"])
def test_any_part_of_the_results_can_have_a_gradient_alone(cell: Cell, kept: str) -> None:
    case = make_case(cell, lengths=[4, 0, 2, 7])
    count = len(cell.states)
    wanted = {"y": range(1), "finals": range(1, 1 + count), "states": range(1 + count, 2 * count), "one final": [count]}[kept]
    if not wanted:
        pytest.skip("the cell has no other state than its output")
    found = []
    for results in (compiled_results(case), reference_results(case)):
        some = [i for i in wanted if results[i].requires_grad]  # in the reference a state may be a number
        chosen, incoming = [results[i] for i in some], [case.d_outputs[i] for i in some]
        gradients = torch.autograd.grad(chosen, case.leaves(), incoming, allow_unused=True, materialize_grads=True)
        found.append(dict(zip(case.names(), gradients, strict=True)))
    # float64, at most 7 steps deep: some hundred roundings of numbers around 1
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-13)


def test_a_gate_that_nothing_reads_has_zero_gradient() -> None:
    def step(x: Names, r: Names, s: Names, w: Names) -> dict[str, Any]:
        return {"h": (x.used * s.h).tanh() + r.other}

    cell = Cell("wasteful", "Reads parts of its sums", ("idle", "used", "other"), ("h",), step, ("unread",))
    case = make_case(cell, lengths=[3, 5])
    check(case)
    mine = compiled(case)
    assert not mine.gradients["input"][:9].any()
    assert not mine.gradients["unit unread"].any()


def test_a_layer_without_any_product_is_its_states_alone() -> None:
    cell = Cell("clock", "Counts", ("idle",), ("h", "n"), lambda x, r, s, w: {"h": s.n * w.rate, "n": s.n + 1.0}, ("rate",))
    case = make_case(cell, lengths=[3, 5])
    check(case)


@pytest.mark.parametrize("which", ["x", "initial", "d_outputs"])
@pytest.mark.parametrize("form", ["dense", "ragged"])
def test_strided_and_broadcast_tensors_are_read_as_they_are(which: str, form: str) -> None:
    case = make_case(lstm, lengths=[4, 4, 4], dense=form == "dense", hidden_size=5, dtype=torch.float64)

    def spread(tensor: Tensor) -> Tensor:
        """The same numbers with strides of 2 and the axes laid out the other way round."""
        turned = tensor.detach().transpose(0, -1)
        memory = torch.full([2 * size for size in turned.shape], float("nan"), dtype=tensor.dtype)
        memory[tuple(slice(None, None, 2) for _ in turned.shape)] = turned
        view = memory[tuple(slice(None, None, 2) for _ in turned.shape)].transpose(0, -1)
        assert torch.equal(view, tensor)
        return view

    changed = spread(getattr(case, which)) if which == "x" else [spread(tensor) for tensor in getattr(case, which)]
    if which != "d_outputs":
        changed = changed.requires_grad_() if which == "x" else [tensor.requires_grad_() for tensor in changed]
    plain, strided = compiled(case).all(), compiled(replace(case, **{which: changed})).all()
    assert all(torch.equal(strided[name], value) for name, value in plain.items())
    broadcast = [gradient[..., :1].expand_as(gradient) for gradient in case.d_outputs]
    written_out = [gradient.contiguous() for gradient in broadcast]
    found, plain = (compiled(replace(case, d_outputs=given)).all() for given in (broadcast, written_out))
    assert all(torch.equal(found[name], value) for name, value in plain.items())


def test_a_lazily_negated_input_is_read_with_its_sign() -> None:
    case = make_case(lstm, lengths=[3, 2], dtype=torch.float32, input_size=4)
    lazy = torch.complex(torch.zeros_like(case.x), -case.x.detach()).conj().imag
    assert lazy.is_neg()
    mine = compiled_results(replace(case, x=lazy))
    assert torch.equal(mine[0], compiled_results(case)[0])


def cell_of_programs(first: Program, second: Program) -> Cell:
    """A cell of two random expressions; tanh keeps the states from growing."""

    def step(x: Names, r: Names, s: Names, w: Names) -> dict[str, Any]:
        leaves = [x.a, r.a, x.b + r.b, r.c, s.h, s.c, w.u]
        return {"h": tanh(build(first, leaves)), "c": tanh(build(second, leaves[::-1]))}

    return Cell("random", "Random equations", ("a", "b", "c"), ("h", "c"), step, ("u",))


@pytest.mark.slow
@settings(max_examples=50)
@given(expressions(), expressions())
def test_any_equations_compile_to_what_they_say(first: Program, second: Program) -> None:
    case = make_case(cell_of_programs(first, second), lengths=[3, 0, 2, 4], hidden_size=11)
    mine, exact = compiled(case).all(), truth(case).all()
    # float64: random equations cancel badly at times; a wrong rule or a lost value is wrong in the first place
    assert max(roundings(mine[name], value) for name, value in exact.items()) < 1e6


def test_every_cell_of_the_list_is_checked_here() -> None:
    assert set(CELLS.values()) <= set(ALL_CELLS)
    assert {options["cell"].name for options in SAMPLE} == {cell.name for cell in ALL_CELLS}
