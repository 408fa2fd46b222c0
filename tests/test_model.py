"""The network: its equations by hand, its initialisation, its file; and its health against direct computations."""

import numpy as np
import pytest
import torch
from torch import nn

from gatework.cells import CELLS
from gatework.model import SequenceModel, build_model, load_trained, load_weights, save_weights, tensors_sha256
from gatework.ragged import Ragged
from gatework.runs import Plan
from gatework.tasks import Classify, Regress
from gatework.tasks.task import Sizes
from gatework.train.health import DEAD_MOVEMENT, HIGH_GATE, LOW_GATE, examine, gate_values, reach
from small_runs import CLASSES, QUICK, latches, trained, waves

SIZES = Sizes(input_size=3, feature_size=6, num_future=2, num_targets=2, num_classes=4)
LENGTHS = [5, 0, 1, 7]


def plan(**model: object) -> Plan:
    return Plan.model_validate(
        {
            "data": {"task": "forecast", "targets": ["load"], "fields": []},
            "split": {"kind": "time"},
            "model": {"hidden_size": 6, **model},
        }
    )


def network(seed: int = 0, **model: object) -> SequenceModel:
    built = plan(**model)
    sizes = SIZES if not built.model.bidirectional else Sizes(3, 12, 2, 2, 4)
    return build_model(built, sizes, Regress(), seed).eval()


def batch(lengths: list[int], seed: int = 0) -> Ragged:
    generator = torch.Generator().manual_seed(seed)
    return Ragged.from_list([torch.randn(length, 3, generator=generator) for length in lengths])


def test_the_features_are_those_of_torchs_own_layers_and_zeros_for_an_empty_sequence():
    model = network(cell="gru", num_layers=2, bidirectional=True)
    torch_gru = nn.GRU(3, 6, num_layers=2, bidirectional=True)
    torch_gru.load_state_dict(model.recurrent.state_dict())
    x = batch(LENGTHS)
    features = model.features(x)
    for number, length in enumerate(LENGTHS):
        if length == 0:
            assert not features.last[number].any()
            continue
        outputs, final = torch_gru(x[number])
        torch.testing.assert_close(features.steps[number], outputs)
        torch.testing.assert_close(features.last[number], final[-2:].flatten())


def test_summary_heads_read_the_final_and_the_mean_state():
    model = network()
    x = batch(LENGTHS)
    with torch.no_grad():
        features = model.features(x)
        means = [steps.mean(0) if len(steps) else torch.zeros(6) for steps in features.steps]
        expected = model.head.read(torch.cat([features.last, torch.stack(means)], dim=1))
        torch.testing.assert_close(model(x), expected)


def test_a_sequence_does_not_notice_its_neighbours():
    model = network(num_layers=2, bidirectional=True)
    x = batch(LENGTHS)
    together = model(x)
    alone = torch.cat([model(Ragged.one(x[number])) for number in range(len(LENGTHS))])
    torch.testing.assert_close(together, alone)


def test_forget_gates_start_open_and_everything_else_as_torch_starts_it():
    own = build_model(plan(num_layers=2), SIZES, Classify(), seed=5)
    torch.manual_seed(5)
    theirs = nn.LSTM(3, 6, num_layers=2).state_dict()
    for name, tensor in own.recurrent.state_dict().items():
        if name.startswith("bias"):
            expected = torch.full((6,), 1.0 if name.startswith("bias_ih") else 0.0)
            assert torch.equal(tensor[6:12], expected), name
            theirs[name][6:12] = expected
        assert torch.equal(tensor, theirs[name]), name


def test_building_a_model_draws_nothing_from_the_callers_generator():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build_model(plan(), SIZES, Regress(), seed=3).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert tensors_sha256(build_model(plan(), SIZES, Regress(), seed=3).state_dict()) == tensors_sha256(first)
    assert tensors_sha256(build_model(plan(), SIZES, Regress(), seed=4).state_dict()) != tensors_sha256(first)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
def test_dropout_works_in_training_only(options):
    model = network(dropout=0.5, **options)
    x = batch(LENGTHS)
    assert torch.equal(model(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))


@pytest.mark.parametrize(("request_", "data"), [(QUICK, waves(200)), (CLASSES, latches(40, steps=5))])
def test_a_saved_model_is_loaded_as_it_was(tmp_path, request_, data):
    run = trained(data, request_.model_copy(update={"epochs": 1, "num_layers": 2}), tmp_path / "run")
    first, sha256 = load_trained(run)
    tensors, header = load_weights(run.file("model.safetensors"))
    assert header["sha256"] == sha256 == tensors_sha256(tensors)
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in first.network.state_dict().items())
    assert not first.network.training


def test_weights_come_back_bit_for_bit_whatever_their_form(tmp_path):
    special = torch.tensor([float("nan"), float("inf"), -0.0, 1e-45])
    tensors = {"a": special, "transposed": torch.arange(6.0).view(2, 3).T, "b": torch.tensor(7, dtype=torch.int64)}
    save_weights(tmp_path / "w.safetensors", tensors, {"note": "é ∑"})
    back, header = load_weights(tmp_path / "w.safetensors")
    assert header["note"] == "é ∑"
    for name, tensor in tensors.items():
        assert tensor.contiguous().numpy().tobytes() == back[name].numpy().tobytes()
        assert back[name].shape == tensor.shape
    first = (tmp_path / "w.safetensors").read_bytes()
    save_weights(tmp_path / "w.safetensors", dict(reversed(tensors.items())), {"note": "é ∑"})
    assert (tmp_path / "w.safetensors").read_bytes() == first


def direct_gates(cell: str, weights: dict[str, np.ndarray], x: np.ndarray, hidden: int, suffix: str) -> list[np.ndarray]:
    """Every sigmoid of one sequence, by the formulas as in the books; x in the order of the direction."""

    def sigmoid(value: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-value))

    h, c, seen = np.zeros(hidden), np.zeros(hidden), []
    w_x, w_h, b_x, b_h = (weights[name + suffix].astype(np.float64) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    for step in x.astype(np.float64):
        from_x, from_h = np.split(w_x @ step + b_x, len(w_x) // hidden), np.split(w_h @ h + b_h, len(w_x) // hidden)
        if cell == "lstm":
            i, f, o = (sigmoid(from_x[k] + from_h[k]) for k in (0, 1, 3))
            c = f * c + i * np.tanh(from_x[2] + from_h[2])
            h = o * np.tanh(c)
            seen += [i, f, o]
        else:
            r, z = (sigmoid(from_x[k] + from_h[k]) for k in (0, 1))
            h = (1 - z) * np.tanh(from_x[2] + r * from_h[2]) + z * h
            seen += [r, z]
    return seen


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_share_of_saturated_gates_is_that_of_a_direct_computation(cell, bidirectional):
    model = network(cell=cell, bidirectional=bidirectional)
    with torch.no_grad():
        for parameter in model.recurrent.parameters():
            parameter.mul_(4)  # so that a good share saturates
    x = batch(LENGTHS)
    weights = {name: tensor.numpy() for name, tensor in model.recurrent.state_dict().items()}
    seen = []
    for sequence in x:
        seen += direct_gates(cell, weights, sequence.numpy(), 6, "_l0")
        if bidirectional:
            seen += direct_gates(cell, weights, sequence.numpy()[::-1], 6, "_l0_reverse")
    expected = np.concatenate(seen)
    with torch.no_grad():
        found = gate_values(model, x).numpy()
    np.testing.assert_allclose(np.sort(found), np.sort(expected), atol=1e-5)  # float32 through seven steps
    saturated = ((expected < LOW_GATE) | (expected > HIGH_GATE)).mean()
    assert 0.05 < saturated < 0.95
    assert float(((found < LOW_GATE) | (found > HIGH_GATE)).mean()) == pytest.approx(saturated)


@pytest.mark.filterwarnings("ignore::gatework.errors.SlowPath")
@pytest.mark.parametrize("cell", CELLS)
def test_the_health_of_every_cell_can_be_looked_at(cell):
    health = examine(network(cell=cell, bidirectional=True), Given(batch(LENGTHS)))
    assert health.reach_steps is not None
    assert 1 <= health.reach_steps <= max(LENGTHS)
    assert health.saturated_share is None or 0 <= health.saturated_share <= 1


def test_a_cell_without_gates_has_no_saturated_share():
    assert gate_values(network(cell="rnn"), batch(LENGTHS)).numel() == 0


class Reads(nn.Module):
    """A network that depends on the inputs at chosen lags alone."""

    def __init__(self, weights: dict[int, float]):
        super().__init__()
        self.weights = weights

    def forward(self, inputs: Ragged, future: torch.Tensor | None = None) -> torch.Tensor:
        return torch.stack([sum(sequence[-lag] * weight for lag, weight in self.weights.items()) for sequence in inputs])


@pytest.mark.parametrize(
    ("weights", "steps"),
    [({1: 1.0}, 1), ({7: 1.0}, 7), ({1: 1.0, 9: 0.001}, 1), ({1: 1.0, 9: 0.02}, 9), ({2: -1.0, 5: 1.0}, 5)],
)
def test_the_reach_is_the_lag_that_a_network_really_reads(weights, steps):
    x = Ragged.from_list([torch.randn(length, 3) for length in (9, 12, 10)])
    assert reach(Reads(weights), x, None) == steps


def test_a_network_that_reads_nothing_has_no_reach():
    assert reach(Reads({1: 0.0}), batch([3, 4]), None) is None
    assert reach(network(), Ragged.from_lengths(torch.zeros(0, 3), [0, 0]), None) is None


class Given:
    """Samples that are one batch, whatever is asked for."""

    def __init__(self, inputs: Ragged):
        self.inputs, self.future, self.judged = inputs, torch.zeros(len(inputs), 0, 0), None

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, index: np.ndarray) -> "Given":
        return self


def test_dead_units_are_those_whose_output_stands_still():
    model = network()
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            tensor = getattr(model.recurrent, name)
            for gate in range(4):
                tensor[gate * 6 : gate * 6 + 2] = 0.0  # units 0 and 1 compute 0.5 · tanh(0) for ever
    x = batch([30, 30])
    health = examine(model, Given(x))
    moved = model.features(x).steps.values.std(dim=0, unbiased=False)
    assert health.dead_units == 2 == int((moved < DEAD_MOVEMENT).sum())


def test_looking_at_the_health_changes_nothing():
    model = network(dropout=0.5, num_layers=2).train()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    weights = tensors_sha256(model.state_dict())
    torch.manual_seed(0)
    before = torch.get_rng_state()
    examine(model, Given(batch(LENGTHS)))
    assert torch.equal(torch.get_rng_state(), before)
    assert tensors_sha256(model.state_dict()) == weights
    assert all(torch.equal(parameter.grad, torch.ones_like(parameter)) for parameter in model.parameters())
