"""The layers against torch.nn.LSTM, GRU and RNN: weights, outputs, states and every gradient."""

import copy
from itertools import combinations, product

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

import gatework.layers as ours
from gatework.ragged import Ragged
from torch_layers import KINDS, Options, assert_same, outcome, pair_of, random_states, states_of

CHOICES: dict[str, list[object]] = {
    "kind": KINDS,
    "num_layers": [1, 2, 3],
    "bias": [True, False],
    "batch_first": [False, True],
    "bidirectional": [False, True],
    "proj_size": [0, 3],
    "dtype": [torch.float64, torch.float32],
    "sizes": [(1, 7, 4, 3), (7, 33, 2, 5), (63, 7, 1, 2), (33, 63, 3, 1)],  # input, hidden, batch, steps
    "hx": [False, True],
}


def pairwise(choices: dict[str, list[object]]) -> list[Options]:
    """A few combinations in which every pair of two options' values occurs (greedy)."""
    names = list(choices)
    combos = [dict(zip(names, values, strict=True)) for values in product(*choices.values())]
    combos = [combo for combo in combos if combo["proj_size"] == 0 or combo["kind"] == "LSTM"]
    pairs = {id(combo): {(a, repr(combo[a]), b, repr(combo[b])) for a, b in combinations(names, 2)} for combo in combos}
    missing = set().union(*pairs.values())
    chosen = []
    while missing:
        best = max(combos, key=lambda combo: len(pairs[id(combo)] & missing))
        missing -= pairs[id(best)]
        chosen.append(best)
    return chosen


def case(options: Options) -> tuple[nn.Module, nn.Module, tuple[int, int], torch.dtype]:
    input_size, hidden_size, batch, steps = options["sizes"]  # type: ignore[misc]
    arguments = {name: options[name] for name in ("num_layers", "bias", "batch_first", "bidirectional", "dtype")}
    if options["proj_size"]:
        arguments["proj_size"] = options["proj_size"]
    theirs, mine = pair_of(str(options["kind"]), input_size, hidden_size, **arguments)
    return theirs, mine, (batch, steps), options["dtype"]  # type: ignore[return-value]


def name_of(options: Options) -> str:
    return "-".join(f"{name}={value}" for name, value in options.items()).replace("torch.", "").replace(" ", "")


ALL_CASES = pairwise(CHOICES)


@pytest.mark.parametrize("options", ALL_CASES, ids=name_of)
def test_dense_input_gives_what_torch_gives(options: Options) -> None:
    theirs, mine, (batch, steps), dtype = case(options)
    shape = (batch, steps) if options["batch_first"] else (steps, batch)
    x = torch.randn(*shape, theirs.input_size, dtype=dtype)
    hx = random_states(theirs, batch, dtype) if options["hx"] else None
    assert_same(outcome(mine, x, hx), outcome(theirs, x, hx), dtype)


@pytest.mark.parametrize("options", ALL_CASES, ids=name_of)
def test_one_sequence_without_a_batch_gives_what_torch_gives(options: Options) -> None:
    theirs, mine, (_, steps), dtype = case(options)
    x = torch.randn(steps, theirs.input_size, dtype=dtype)
    hx = random_states(theirs, None, dtype) if options["hx"] else None
    assert_same(outcome(mine, x, hx), outcome(theirs, x, hx), dtype)


@pytest.mark.parametrize("options", ALL_CASES, ids=name_of)
def test_packed_input_gives_what_torch_gives(options: Options) -> None:
    theirs, mine, (batch, steps), dtype = case(options)
    lengths = [1 + (3 * i + 1) % steps for i in range(batch)]
    hx = random_states(theirs, batch, dtype) if options["hx"] else None
    padded = torch.randn(batch, max(lengths), theirs.input_size, dtype=dtype)

    def pack(x: Tensor) -> PackedSequence:
        return pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)

    assert_same(outcome(mine, padded, hx, pack), outcome(theirs, padded, hx, pack), dtype)


@pytest.mark.parametrize("options", ALL_CASES, ids=name_of)
def test_each_sequence_of_a_ragged_batch_gives_what_torch_gives_for_it_alone(options: Options) -> None:
    theirs, mine, (batch, steps), dtype = case(options)
    lengths = [*(1 + (3 * i + 1) % (steps + 2) for i in range(batch)), 0]
    x = Ragged.from_lengths(torch.randn(sum(lengths), theirs.input_size, dtype=dtype), lengths)
    hx = random_states(theirs, len(lengths), dtype)
    outputs, finals = mine(x, hx)
    tolerance = {"rtol": 1e-10, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 2e-4, "atol": 2e-5}
    for i in range(batch):
        start = tuple(state[:, i].contiguous() for state in states_of(hx))
        expected, expected_finals = theirs(x[i], start if len(start) > 1 else start[0])
        torch.testing.assert_close(outputs[i], expected, **tolerance)
        for final, expected_final in zip(states_of(finals), states_of(expected_finals), strict=True):
            torch.testing.assert_close(final[:, i], expected_final, **tolerance)
    for final, start_state in zip(states_of(finals), states_of(hx), strict=True):
        assert torch.equal(final[:, batch], start_state[:, batch])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_ragged_gradients_are_those_of_torchs_packed_layer(kind: str, nonlinearity: str) -> None:
    if kind != "RNN" and nonlinearity == "relu":
        pytest.skip("only torch.nn.RNN has a choice of nonlinearity")
    extra = {"nonlinearity": nonlinearity} if kind == "RNN" else {}
    theirs, mine = pair_of(kind, 7, 33, num_layers=2, bidirectional=True, dtype=torch.float64, **extra)
    lengths = [4, 9, 1, 9]
    x, hx = torch.randn(sum(lengths), 7, dtype=torch.float64), random_states(theirs, 4, torch.float64)
    ragged_outcomes = []
    for module in (mine, theirs):
        values = x.clone().requires_grad_()
        given = tuple(state.clone().requires_grad_() for state in states_of(hx))
        start = given if len(given) > 1 else given[0]
        if module is mine:
            outputs, finals = module(Ragged.from_lengths(values, lengths), start)
            rows = list(outputs)
        else:
            packed, finals = module(pack_sequence(list(values.split(lengths)), enforce_sorted=False), start)
            padded, _ = pad_packed_sequence(packed, batch_first=True)
            rows = [row[:length] for row, length in zip(padded, lengths, strict=True)]
        loss = sum(row.square().sum() for row in rows) + sum(final.pow(3).sum() for final in states_of(finals))
        leaves = [values, *given, *module.parameters()]
        ragged_outcomes.append((rows, states_of(finals), torch.autograd.grad(loss, leaves)))
    torch.testing.assert_close(ragged_outcomes[0], ragged_outcomes[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_torchs_weights_and_state_dicts_load_both_ways(kind: str) -> None:
    extra: Options = {"proj_size": 2} if kind == "LSTM" else {}
    theirs, mine = pair_of(kind, 3, 5, num_layers=2, bidirectional=True, **extra)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    for name, weight in theirs.state_dict().items():
        assert torch.equal(mine.state_dict()[name], weight), name
    fresh_theirs, fresh_mine = pair_of(kind, 3, 5, num_layers=2, bidirectional=True, seed=1, **extra)
    fresh_theirs.load_state_dict(mine.state_dict())
    fresh_mine.load_state_dict(theirs.state_dict())
    x = torch.randn(4, 2, 3)
    torch.testing.assert_close(fresh_mine(x), fresh_theirs(x))
    assert [[w.shape for w in layer] for layer in mine.all_weights] == [[w.shape for w in layer] for layer in theirs.all_weights]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_dropout_draws_torchs_masks_in_training_and_nothing_in_evaluation(kind: str, batch_first: bool) -> None:
    theirs, mine = pair_of(kind, 3, 33, num_layers=3, dropout=0.4, batch_first=batch_first)
    x, found = torch.randn(4, 6, 3), []
    packed = pack_padded_sequence(torch.randn(5, 4, 3), [5, 1, 4, 2], enforce_sorted=False)
    for module in (mine, theirs):
        torch.manual_seed(5)
        found.append((module(x)[0], module(packed)[0].data, module.eval()(x)[0], module.train()(x)[0]))
    torch.testing.assert_close(found[0], found[1])
    assert not torch.equal(found[0][0], found[0][2])


def test_dropout_with_one_layer_is_warned_about_as_in_torch() -> None:
    with pytest.warns(UserWarning, match="nothing is dropped") as seen:
        ours.LSTM(3, 4, dropout=0.5)
    assert seen[0].filename == __file__


@pytest.mark.parametrize("kind", KINDS)
def test_it_prints_and_copies_like_torchs(kind: str) -> None:
    for options in ({}, {"num_layers": 2, "bias": False, "batch_first": True, "dropout": 0.5, "bidirectional": True}):
        theirs, mine = pair_of(kind, 3, 4, **options)
        assert repr(mine) == repr(theirs)
    clone, x = copy.deepcopy(mine.eval()), torch.randn(2, 3)
    torch.testing.assert_close(clone(x), mine(x))
    with torch.no_grad():
        clone.weight_hh_l0.add_(1.0)
    assert not torch.equal(clone(x)[0], mine(x)[0])
    assert mine.double().half().float()(x)[0].dtype == torch.float32
