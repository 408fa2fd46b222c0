"""A flag in mid-sequence begins a new episode: the layers give what each episode gives alone, and nothing crosses a flag."""

from collections.abc import Callable, Sequence
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis.strategies import lists, text
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

import gatework.layers as ours
from gatework.errors import ShapeError
from gatework.layers.inputs import Input
from gatework.ragged import Ragged
from torch_layers import states_of

CELLS = ["lstm", "gru", "layernorm"]
FORMS = ["dense", "batch_first", "unbatched", "ragged", "packed"]
Sequences = list[Tensor]
Started = tuple[Tensor, ...]


def flags_of(*texts: str) -> Sequences:
    """One tensor of flags per text, True where it has an x."""
    return [torch.tensor([letter == "x" for letter in text], dtype=torch.bool) for text in texts]


EQUAL = flags_of("x..x..x", ".......", "xxxxxxx", "...xx..")
"""At the first and at the last step, nowhere, everywhere, one after the other; all equally long."""
UNEQUAL = flags_of("x..xx..x.", "", "..x", "x", ".", "", ".x")
WITHOUT_EMPTY = [flags for flags in UNEQUAL if len(flags)]
FLAGS = {"dense": EQUAL, "batch_first": EQUAL, "unbatched": EQUAL[:1], "ragged": UNEQUAL, "packed": WITHOUT_EMPTY}


def in_form(sequences: Sequences, form: str) -> Input:
    """One input of the sequences, or of their flags."""
    if form == "unbatched":
        return sequences[0]
    if form == "ragged":
        return Ragged.from_list(sequences)
    if form == "packed":
        return pack_sequence(sequences, enforce_sorted=False)
    return torch.stack(sequences, dim=0 if form == "batch_first" else 1)


def out_of_form(x: Input, form: str) -> Sequences:
    """The sequences of an output."""
    if isinstance(x, Ragged | PackedSequence):
        return (x if isinstance(x, Ragged) else Ragged.from_packed(x)).to_list()
    return [x] if form == "unbatched" else list(x.unbind(0 if form == "batch_first" else 1))


def alone(layer: nn.Module, sequence: Tensor, flags: Tensor, start: Started) -> tuple[Tensor, Started]:
    """Outputs and final states of one sequence, each episode run by itself; start: (num_layers * num_directions, size) each."""
    if not len(sequence):
        return sequence.new_zeros((0, layer.num_directions * layer.output_size)), start
    cuts = [0, *(step for step in range(1, len(flags)) if flags[step]), len(flags)]
    outputs, finals = [], []
    for number in range(len(cuts) - 1):
        enters = torch.zeros(layer.num_layers * layer.num_directions, 1, dtype=torch.bool)
        enters[0 :: layer.num_directions] = number == 0 and not flags[0]
        if layer.num_directions == 2:
            enters[1::2] = number == len(cuts) - 2
        states = tuple(torch.where(enters, state, torch.zeros_like(state)) for state in start)
        output, final = layer(sequence[cuts[number] : cuts[number + 1]], states if len(states) > 1 else states[0])
        outputs.append(output)
        finals.append(states_of(final))
    is_backward = (torch.arange(layer.num_layers * layer.num_directions) % layer.num_directions == 1)[:, None]
    left = tuple(torch.where(is_backward, first, last) for first, last in zip(finals[0], finals[-1], strict=True))
    return torch.cat(outputs), left


def make_layer(cell: str, form: str = "dense", **options: object) -> nn.Module:
    torch.manual_seed(0)
    return ours.Recurrent(cell, 3, 5, num_layers=2, batch_first=form == "batch_first", **options)  # type: ignore[arg-type]


def numbers(layer: nn.Module, flags: Sequences) -> tuple[Sequences, list[Started]]:
    """Random steps for each sequence, and random initial states, (num_layers * num_directions, size) each."""
    dtype = layer.weight_ih_l0.dtype
    count = layer.num_layers * layer.num_directions
    sizes = [layer.output_size if name == "h" else layer.hidden_size for name in layer.cell.states]
    sequences = [torch.randn(len(own), 3, dtype=dtype) for own in flags]
    return sequences, [tuple(torch.randn(count, size, dtype=dtype) for size in sizes) for _ in flags]


def run(layer: nn.Module, sequences: Sequences, flags: Sequences, starts: list[Started], form: str) -> tuple[Sequences, Started]:
    """All sequences at once: the outputs of each, and the final states (…, num_sequences, size)."""
    hx = starts[0] if form == "unbatched" else tuple(torch.stack(states, dim=1) for states in zip(*starts, strict=True))
    output, finals = layer(in_form(sequences, form), hx if len(hx) > 1 else hx[0], resets=in_form(flags, form))
    left = states_of(finals)
    return out_of_form(output, form), tuple(state.unsqueeze(1) for state in left) if form == "unbatched" else left


def run_alone(layer: nn.Module, sequences: Sequences, flags: Sequences, starts: list[Started]) -> tuple[Sequences, Started]:
    """The same from episodes that are run one by one."""
    found = [alone(layer, *each) for each in zip(sequences, flags, starts, strict=True)]
    return [output for output, _ in found], tuple(torch.stack(s, dim=1) for s in zip(*(left for _, left in found), strict=True))


@pytest.mark.parametrize(("cell", "form", "bidirectional"), list(product(CELLS, FORMS, [False, True])))
@torch.no_grad()
def test_each_episode_has_the_bits_that_it_has_alone(cell: str, form: str, bidirectional: bool) -> None:
    layer, flags = make_layer(cell, form, bidirectional=bidirectional), FLAGS[form]
    sequences, starts = numbers(layer, flags)
    outputs, finals = run(layer, sequences, flags, starts, form)
    expected, expected_finals = run_alone(layer, sequences, flags, starts)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(outputs, expected, strict=True))
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(finals, expected_finals, strict=True))


def gradients(layer: nn.Module, numbers_of: tuple[Sequences, list[Started]], compute: Callable[..., object]) -> Sequences:
    """Of a random loss, by every sequence, every initial state and every weight."""
    sequences = [sequence.clone().requires_grad_() for sequence in numbers_of[0]]
    starts = [tuple(state.clone().requires_grad_() for state in start) for start in numbers_of[1]]
    outputs, finals = compute(sequences, starts)  # type: ignore[misc]
    generator = torch.Generator().manual_seed(1)
    results = [*outputs, *finals]
    loss = sum((r * torch.randn(r.shape, generator=generator, dtype=r.dtype)).sum() for r in results)
    leaves = [*sequences, *(state for start in starts for state in start), *layer.parameters()]
    return list(torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True))  # type: ignore[arg-type]


@pytest.mark.parametrize(("cell", "form", "bidirectional"), list(product(CELLS, FORMS, [False, True])))
def test_every_gradient_is_that_of_the_episodes_run_one_by_one(cell: str, form: str, bidirectional: bool) -> None:
    layer, flags = make_layer(cell, form, bidirectional=bidirectional, dtype=torch.float64), FLAGS[form]
    given = numbers(layer, flags)
    mine = gradients(layer, given, lambda sequences, starts: run(layer, sequences, flags, starts, form))
    theirs = gradients(layer, given, lambda sequences, starts: run_alone(layer, sequences, flags, starts))
    # float64: the weights' gradients are sums over 30 steps in another order
    torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_torchs_kernels_and_projections_reset_too(form: str) -> None:
    torch.manual_seed(0)
    layer = ours.LSTM(3, 5, 2, batch_first=form == "batch_first", bidirectional=True, proj_size=2, dtype=torch.float64)
    sequences, starts = numbers(layer, FLAGS[form])
    found = run(layer, sequences, FLAGS[form], starts, form)
    torch.testing.assert_close(found, run_alone(layer, sequences, FLAGS[form], starts))


@given(texts=lists(text(".x", max_size=9), min_size=1, max_size=6))
@torch.no_grad()
def test_any_flags_in_any_lengths_give_the_episodes_alone(texts: list[str]) -> None:
    flags = flags_of(*texts)
    layer = make_layer("gru", bidirectional=True)
    sequences, starts = numbers(layer, flags)
    outputs, finals = run(layer, sequences, flags, starts, "ragged")
    expected, expected_finals = run_alone(layer, sequences, flags, starts)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip([*outputs, *finals], [*expected, *expected_finals], strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_flags_that_are_all_false_change_nothing(form: str) -> None:
    layer = make_layer("lstm", form, bidirectional=True)
    flags = [torch.zeros_like(own) for own in FLAGS[form]]
    sequences, starts = numbers(layer, flags)
    hx = starts[0] if form == "unbatched" else tuple(torch.stack(states, dim=1) for states in zip(*starts, strict=True))
    x = in_form(sequences, form)
    found = [layer(x, hx, resets=resets) for resets in (None, in_form(flags, form))]
    outputs = [[*out_of_form(output, form), *finals] for output, finals in found]
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(*outputs, strict=True))
    by_weight = [torch.autograd.grad(sum(r.square().sum() for r in results), list(layer.parameters())) for results in outputs]
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(*by_weight, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_no_value_and_no_gradient_crosses_a_flag(cell: str) -> None:
    layer, flags = make_layer(cell, bidirectional=True), flags_of("...x....x..")[0]
    found = []
    for is_poisoned in (False, True):
        x = torch.randn(11, 3, generator=torch.Generator().manual_seed(2))
        if is_poisoned:
            x[:3], x[8:] = float("nan"), float("inf")
        x.requires_grad_()
        outputs, _ = layer(x, resets=flags)
        found.append((outputs[3:8], torch.autograd.grad(outputs[3:8].square().sum(), x)[0]))
    (middle, gradient), (poisoned, poisoned_gradient) = found
    assert torch.equal(poisoned, middle)
    assert torch.equal(poisoned_gradient[3:8], gradient[3:8])
    assert not gradient[:3].any()
    assert not gradient[8:].any()


def test_a_flag_at_the_first_step_drops_the_initial_state_forwards_only() -> None:
    layer = make_layer("lstm", bidirectional=True)
    hx = tuple(torch.randn(4, 2, 5, requires_grad=True) for _ in range(2))
    flags = torch.stack(flags_of("x....", "....."), dim=1)
    output, _ = layer(torch.randn(5, 2, 3), hx, resets=flags)
    for gradient in torch.autograd.grad(output.square().sum(), hx):
        first_sequence, second_sequence = gradient.abs().sum(dim=-1).unbind(1)
        assert first_sequence[::2].tolist() == [0.0, 0.0]
        assert bool((first_sequence[1::2] > 0).all())
        assert bool((second_sequence > 0).all())


def test_numerical_differences_agree_with_the_gradient() -> None:
    layer = ours.LSTM(2, 3, bidirectional=True, dtype=torch.float64)
    flags = Ragged.from_list(flags_of(".x..", "", "x.x"))
    x = torch.randn(7, 2, dtype=torch.float64, requires_grad=True)
    hx = tuple(torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))

    def results(values: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        output, finals = layer(flags.with_values(values), states, resets=flags)
        return output.values, *finals

    assert torch.autograd.gradcheck(results, (x, *hx))


@pytest.mark.parametrize("cell", CELLS)
def test_a_trace_begins_anew_at_the_same_steps(cell: str) -> None:
    layer = make_layer(cell, bidirectional=True)
    flags = Ragged.from_list(UNEQUAL)
    sequences, starts = numbers(layer, UNEQUAL)
    x, hx = Ragged.from_list(sequences), tuple(torch.stack(states, dim=1) for states in zip(*starts, strict=True))
    trace = layer.trace(x, hx if len(hx) > 1 else hx[0], resets=flags)
    output, _ = layer(x, hx if len(hx) > 1 else hx[0], resets=flags)
    last = torch.cat([trace.layer(1, direction).states["h"].values for direction in (0, 1)], dim=1)
    torch.testing.assert_close(last, output.values)
    everything = trace.layer(0)
    for part in (everything.states, everything.input_sums, everything.recurrent_sums, everything.gates, everything.preacts):
        assert all(torch.equal(own.offsets, x.offsets) for own in part.values())
    # where the state before a step is zeros, the recurrence adds its bias alone
    rows = (flags.values & (flags.step_index > 0)).nonzero()[:, 0]
    sums = torch.cat([own.values[rows] for own in everything.recurrent_sums.values()], dim=1)
    torch.testing.assert_close(sums, layer.bias_hh_l0.expand_as(sums))


def test_flags_may_have_an_axis_of_one_feature() -> None:
    layer, flags = make_layer("gru"), Ragged.from_list(UNEQUAL)
    x = flags.with_values(torch.randn(flags.total_steps, 3))
    wide = flags.with_values(flags.values[:, None])
    assert torch.equal(layer(x, resets=flags)[0].values, layer(x, resets=wide)[0].values)
    without_empty = [own for own in UNEQUAL if len(own)]
    packed, x_packed = pack_sequence(without_empty, enforce_sorted=False), x.only(x.lengths > 0).to_packed()
    wide_packed = pack_sequence([own[:, None] for own in without_empty], enforce_sorted=False)
    assert torch.equal(layer(x_packed, resets=packed)[0].data, layer(x_packed, resets=wide_packed)[0].data)


def test_flags_work_under_a_compiler() -> None:
    layer, flags = make_layer("lstm", bidirectional=True), torch.stack(EQUAL, dim=1)
    compiled = torch.compile(lambda x, flags: layer(x, resets=flags)[0], backend="eager")
    x = torch.randn(7, 4, 3)
    for now in (flags, flags.flip(0), torch.zeros_like(flags)):
        torch.testing.assert_close(compiled(x, now), layer(x, resets=now)[0])


LAYER = ours.LSTM(3, 4)
FIRST = ours.GRU(3, 4, batch_first=True)
RAGGED = Ragged.from_lengths(torch.zeros(5, 3), [2, 3])
FALSE = torch.zeros(5, dtype=torch.bool)
PACKED = RAGGED.to_packed()


def flagged(x: Input, values: Tensor, lengths: Sequence[int] = (2, 3)) -> object:
    made = Ragged.from_lengths(values, lengths)
    return made if isinstance(x, Ragged) else made.to_packed()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: LAYER(torch.zeros(5, 2, 3), resets=torch.zeros(2, 5, dtype=torch.bool)),
            r"resets is torch\.bool of shape \(2, 5\); expected .* torch\.bool of shape \(5, 2\).*torch\.zeros\(x\.shape",
        ),
        (
            lambda: FIRST(torch.zeros(5, 2, 3), resets=torch.zeros(2, 5, dtype=torch.bool)),
            r"resets is torch\.bool of shape \(2, 5\); expected .* torch\.bool of shape \(5, 2\)",
        ),
        (
            lambda: LAYER(torch.zeros(5, 2, 3), resets=torch.zeros(5, 2)),
            r"torch\.float32 of shape \(5, 2\).*Convert it with \.bool\(\)",
        ),
        (lambda: LAYER(torch.zeros(5, 2, 3), resets=torch.zeros(5, 2, 1, dtype=torch.bool)), r"torch\.bool of shape \(5, 2, 1\)"),
        (lambda: LAYER(torch.zeros(5, 3), resets=FALSE[:4]), r"shape \(4,\); expected .* shape \(5,\)"),
        (lambda: LAYER(torch.zeros(5, 3), resets=[False] * 5), r"resets is a list; expected"),
        (lambda: LAYER(RAGGED, resets=FALSE), r"torch\.bool of shape \(5,\); expected .* a Ragged .*x\.with_values\(flags\)"),
        (lambda: LAYER(RAGGED, resets=flagged(RAGGED, FALSE, [3, 2])), r"lengths \[3, 2\].*the same lengths"),
        (lambda: LAYER(RAGGED, resets=flagged(RAGGED, FALSE.int())), r"int32.*Convert it with"),
        (lambda: LAYER(RAGGED, resets=flagged(RAGGED, FALSE[:, None].expand(5, 2))), r"values \(5, 2\) bool"),
        (lambda: LAYER.trace(RAGGED, resets=flagged(RAGGED, FALSE, [3, 2])), r"lengths \[3, 2\].*the same lengths"),
        (lambda: LAYER(PACKED, resets=RAGGED.with_values(FALSE)), r"resets is Ragged.*a PackedSequence of the same lengths"),
        (
            lambda: LAYER(PACKED, resets=flagged(PACKED, FALSE, [4, 1])),
            r"PackedSequence with torch\.bool data.*same lengths.*pack the flags",
        ),
    ],
)
def test_flags_of_another_form_are_refused_with_the_cure(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        call()
