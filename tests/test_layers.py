"""The layers against torch.nn.LSTM, GRU and RNN: weights, outputs, states and every gradient; then what torch does not have."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, product

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

import gatework.layers as ours
from gatework.cells import CELLS, Cell, Names, lstm, sigmoid, tanh
from gatework.errors import ConfigError, ShapeError
from gatework.ragged import Ragged

KINDS = ["LSTM", "GRU", "RNN"]
Options = dict[str, object]

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


def pair_of(kind: str, *arguments: object, seed: int = 0, **options: object) -> tuple[nn.Module, nn.Module]:
    """torch's layer and ours, each made under the same seed."""
    made = []
    for module in (nn, ours):
        torch.manual_seed(seed)
        made.append(getattr(module, kind)(*arguments, **options))
    return made[0], made[1]


def states_of(hx: object) -> tuple[Tensor, ...]:
    return hx if isinstance(hx, tuple) else (hx,)  # type: ignore[return-value]


@dataclass
class Outcome:
    """Outputs, finals and the gradient of a random loss by everything that can have one."""

    results: list[Tensor]
    gradients: dict[str, Tensor]


def outcome(module: nn.Module, x: Tensor, hx: object, wrap: Callable[[Tensor], object] = lambda x: x) -> Outcome:
    x = x.detach().clone().requires_grad_()
    leaves = {"x": x, **dict(module.named_parameters())}
    if hx is not None:
        given = tuple(state.detach().clone().requires_grad_() for state in states_of(hx))
        leaves |= {f"hx {i}": state for i, state in enumerate(given)}
        hx = given if len(given) > 1 else given[0]
    output, finals = module(wrap(x), hx) if hx is not None else module(wrap(x))
    output = output.data if isinstance(output, PackedSequence) else output
    results = [output, *states_of(finals)]
    generator = torch.Generator().manual_seed(1)
    loss = sum((r * torch.randn(r.shape, generator=generator, dtype=r.dtype)).sum() for r in results)
    gradients = torch.autograd.grad(loss, list(leaves.values()))  # type: ignore[arg-type]
    return Outcome(results, dict(zip(leaves, gradients, strict=True)))


def assert_same(mine: Outcome, theirs: Outcome, dtype: torch.dtype) -> None:
    # Sums of up to 63 + 33 terms and 5 steps in another order: some tens of roundings.
    tolerance = {"rtol": 1e-10, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 2e-4, "atol": 2e-5}
    for a, b in zip(mine.results, theirs.results, strict=True):
        torch.testing.assert_close(a, b, **tolerance)
    assert mine.gradients.keys() == theirs.gradients.keys()
    for name, gradient in theirs.gradients.items():
        torch.testing.assert_close(mine.gradients[name], gradient, **tolerance, msg=lambda text, name=name: f"{name}: {text}")


def random_states(module: nn.Module, batch: int | None, dtype: torch.dtype) -> object:
    count = module.num_layers * (2 if module.bidirectional else 1)
    width = getattr(module, "proj_size", 0) or module.hidden_size
    sizes = [width, module.hidden_size] if isinstance(module, nn.LSTM) else [width]
    states = tuple(torch.randn((count, size) if batch is None else (count, batch, size), dtype=dtype) for size in sizes)
    return states if len(states) > 1 else states[0]


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


@pytest.mark.parametrize("cell", CELLS.values(), ids=lambda cell: cell.name)
def test_recurrent_runs_every_listed_cell_like_its_own_layer(cell: Cell) -> None:
    named, x = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}, torch.randn(5, 2, 3)
    torch.manual_seed(0)
    mine = ours.Recurrent(cell.name, 3, 7, num_layers=2, bidirectional=True)
    outputs, finals = mine(x)
    assert outputs.shape == (5, 2, 14)
    assert [state.shape for state in states_of(finals)] == [(4, 2, 7)] * len(cell.states)
    if cell.name in named:
        theirs, _ = pair_of(named[cell.name], 3, 7, num_layers=2, bidirectional=True)
        torch.testing.assert_close((outputs, finals), theirs(x))


def coupled_step(x: Names, r: Names, s: Names, w: Names) -> dict[str, object]:
    keep = sigmoid(x.forget + r.forget + w.peephole * s.c)
    c = keep * s.c + (1 - keep) * tanh(x.candidate + r.candidate)
    return {"h": sigmoid(x.output + r.output) * tanh(c), "c": c}


COUPLED = Cell(
    "coupled",
    "an own cell",
    ("forget", "candidate", "output"),
    ("h", "c"),
    coupled_step,
    ("peephole",),
    {"forget": 2.0},  # type: ignore[arg-type]
)


@pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
def test_an_own_cell_runs_in_every_form_and_learns_all_its_weights() -> None:
    torch.manual_seed(0)
    layer = ours.Recurrent(COUPLED, 3, 5, num_layers=2, bidirectional=True, dtype=torch.float64)
    assert torch.equal(layer.bias_ih_l1[:5], torch.full((5,), 2.0, dtype=torch.float64))
    assert not layer.bias_hh_l1[:5].any()
    lengths = [4, 1, 3]
    x = Ragged.from_lengths(torch.randn(8, 3, dtype=torch.float64), lengths)
    outputs, (h_n, c_n) = layer(x)
    packed, packed_finals = layer(x.to_packed())
    torch.testing.assert_close(Ragged.from_packed(packed).values, outputs.values)
    torch.testing.assert_close(packed_finals, (h_n, c_n))
    for i in range(3):
        alone, _ = layer(x[i])
        torch.testing.assert_close(outputs[i], alone)
        dense, _ = layer(x[i].unsqueeze(1).expand(-1, 2, -1))
        torch.testing.assert_close(dense[:, 1], alone)
    (outputs.values.sum() + c_n.sum()).backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    # the equations again, in plain tensors, for the first layer's first step
    w = dict(layer.named_parameters())
    forget, candidate, output = (x[0][0] @ w["weight_ih_l0"].T + w["bias_ih_l0"] + w["bias_hh_l0"]).chunk(3)
    c = (1 - forget.sigmoid()) * candidate.tanh()
    traced = layer.trace(x).layer(0)
    torch.testing.assert_close(traced.states["h"][0][0], output.sigmoid() * c.tanh())


@pytest.mark.parametrize("kind", KINDS)
def test_trace_ends_in_the_layers_own_outputs(kind: str) -> None:
    _, mine = pair_of(kind, 3, 5, num_layers=2, bidirectional=True, dropout=0.5)
    x = Ragged.from_lengths(torch.randn(7, 3), [3, 0, 4])
    trace, outputs = mine.trace(x), mine.eval()(x)[0]
    last = torch.cat([trace.layer(1, direction).states["h"].values for direction in (0, 1)], dim=1)
    torch.testing.assert_close(last, outputs.values)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_without_a_step_give_back_the_initial_states(kind: str) -> None:
    theirs, mine = pair_of(kind, 3, 5, num_layers=2, bidirectional=True)
    hx = random_states(theirs, 2, torch.float32)
    outputs, finals = mine(Ragged.from_lengths(torch.empty(0, 3), [0, 0]), hx)
    assert outputs.values.shape == (0, 10)
    torch.testing.assert_close(finals, hx)
    dense, dense_finals = mine(torch.empty(0, 2, 3), hx)
    assert dense.shape == (0, 2, 10)
    torch.testing.assert_close(dense_finals, hx)
    assert mine(Ragged.from_lengths(torch.empty(0, 3), []))[0].num_sequences == 0


def test_weights_given_for_one_call_and_parametrized_weights_are_used() -> None:
    theirs, mine = pair_of("LSTM", 3, 5)
    x, other = torch.randn(4, 2, 3), {name: weight * 2 for name, weight in theirs.state_dict().items()}
    doubled = torch.func.functional_call(mine, other, (x,))
    theirs.load_state_dict(other)
    torch.testing.assert_close(doubled, theirs(x))
    torch.nn.utils.parametrizations.weight_norm(mine, "weight_hh_l0")
    assert "weight_hh_l0" not in dict(mine.named_parameters())
    mine(x)[0].sum().backward()
    assert mine.parametrizations.weight_hh_l0.original0.grad is not None


@pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
@pytest.mark.parametrize("kind", KINDS)
def test_autocast_on_the_cpu_works_where_torchs_lstm_fails(kind: str) -> None:
    _, mine = pair_of(kind, 3, 5, num_layers=2)
    x, ragged = torch.randn(4, 2, 3), Ragged.from_lengths(torch.randn(5, 3), [3, 0, 2])
    for given, values in ((x, lambda output: output), (ragged, lambda output: output.values)):
        expected = values(mine(given)[0])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            # bfloat16 keeps 8 bits; values below 1, some steps deep
            torch.testing.assert_close(values(mine(given)[0]).float(), expected, rtol=0, atol=0.02)


def test_results_do_not_share_memory_with_what_was_given() -> None:
    _, mine = pair_of("LSTM", 3, 5)
    hx = (torch.zeros(1, 2, 5), torch.zeros(1, 2, 5))
    with torch.no_grad():
        for x in (torch.randn(4, 2, 3), torch.empty(0, 2, 3), Ragged.from_lengths(torch.empty(0, 3), [0, 0])):
            _, finals = mine(x, hx)
            for final, start in zip(finals, hx, strict=True):
                final.add_(1.0)
                assert not start.any()


LAYER = ours.LSTM(3, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LAYER(torch.zeros(2, 2, 5)), r"5 features at each step; this layer has input_size=3.*Give 3 features"),
        (lambda: LAYER(torch.zeros(3)), r"shape \(3,\); expected \(steps, batch, size\), \(steps, size\).*Add or remove an axis"),
        (lambda: LAYER([1.0]), r"The input is a list; expected"),
        (lambda: LAYER(torch.zeros(2, 2, 3).double()), r"torch\.float64, the layer's weights are torch\.float32.*\.to\("),
        (lambda: LAYER(Ragged.one(torch.zeros(2, 3, 1))), r"values of shape \(2, 3, 1\); expected \(total_steps, input_size\)"),
        (lambda: LAYER(torch.zeros(2, 2, 3), torch.zeros(1, 2, 4)), r"hx holds 1 \(Tensor\).*states h, c.*hx=\(h_0, c_0\)"),
        (lambda: ours.GRU(3, 4)(torch.zeros(2, 2, 3), (torch.zeros(1, 2, 4),) * 2), r"hx holds 2.*the states h\..*hx=h_0"),
        (lambda: LAYER(torch.zeros(2, 2, 3), (torch.zeros(1, 3, 4),) * 2), r"h_0 has shape \(1, 3, 4\); expected \(1, 2, 4\)"),
        (lambda: LAYER(torch.zeros(2, 3), (torch.zeros(1, 1, 4),) * 2), r"h_0 has shape \(1, 1, 4\); expected \(1, 4\)"),
        (lambda: LAYER(torch.zeros(2, 2, 3), (torch.zeros(1, 2, 4).double(),) * 2), r"h_0 is torch\.float64, the input"),
        (lambda: LAYER(torch.zeros(2, 2, 3, device="meta")), r"input is on meta, the layer's weights are on cpu"),
        (lambda: LAYER.trace(torch.zeros(2, 3)), r"trace got a Tensor; expected a Ragged\. Wrap"),
    ],
)
def test_wrong_input_is_refused_with_the_cure(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        call()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ours.LSTM(0, 4), r"input_size=0 was given; expected a whole number above zero"),
        (lambda: ours.LSTM(3, 4.0), r"hidden_size=4\.0"),
        (lambda: ours.LSTM(3, 4, num_layers=0), r"num_layers=0"),
        (lambda: ours.LSTM(3, 4, 1, 1), r"bias=1 was given; expected True or False"),
        (lambda: ours.LSTM(3, 4, 2, dropout=1.5), r"dropout=1\.5 was given; expected a probability"),
        (lambda: ours.LSTM(3, 4, proj_size=4), r"proj_size=4 was given with hidden_size=4"),
        (lambda: ours.Recurrent("gru", 3, 4, proj_size=2), r"the cell 'gru', whose equations read h unit by unit"),
        (lambda: ours.Recurrent("lsmt", 3, 4), r"no cell 'lsmt'\. Did you mean 'lstm'"),
        (lambda: ours.RNN(3, 4, nonlinearity="sigmoid"), r"nonlinearity='sigmoid' was given; expected 'tanh' or 'relu'"),
    ],
)
def test_impossible_options_are_refused_with_the_cure(make: Callable[[], object], message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConfigError, match=message):
            make()


def test_the_cell_of_a_layer_is_the_declared_one() -> None:
    assert ours.LSTM(3, 4).cell is lstm
