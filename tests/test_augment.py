"""Varied training batches: nothing at strength zero, masks and answers respected, the same draws for a seed, training alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gatework.data.samples import Batch
from gatework.errors import ConfigError
from gatework.ragged import Ragged
from gatework.runs import Plan
from gatework.tasks import Classify, Forecast, Regress
from gatework.train import Request, resume_run, train_model
from gatework.train.augment import (
    USUAL,
    Augmenter,
    Columns,
    augment_strengths,
    jittered,
    mixed,
    scaled,
    warped,
    warped_positions,
)
from gatework.train.planning import plan_run
from gatework.train.watch import Silent
from small_runs import CLASSES, QUICK, latches, means, sites, trained, waves
from test_resume import Stops, interrupted

LENGTHS = [7, 0, 12, 1, 20]
# a number with a mask, a number without, a category, and the mask of the first
COLUMNS = Columns(np.array([True, True, False, False]), np.array([3, -1, -1, -1]), np.array([], dtype=np.int64))


def batch_of(lengths: list[int] = LENGTHS, seed: int = 0) -> Batch:
    """Sequences with four columns as in COLUMNS, and the classes 0, 1, 2, …"""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(sum(lengths), 4)).astype(np.float32)
    values[:, 2:] = generator.integers(0, 2, (len(values), 2))
    classes = torch.arange(len(lengths)) % 3
    future = torch.zeros(len(lengths), 0, 0)
    inputs = Ragged.from_lengths(torch.from_numpy(values), lengths)
    return Batch(inputs, future, classes, classes >= 0, torch.arange(len(lengths)))


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_at_strength_zero_a_batch_is_itself():
    batch = batch_of()
    assert Augmenter(dict.fromkeys(USUAL, 0.0), COLUMNS, seed=0).vary(batch, 1, 1).batch is batch


@pytest.mark.parametrize("name", ["jitter", "scale"])
def test_the_smallest_strength_still_leaves_masks_categories_and_filled_values_to_the_bit(name):
    batch = batch_of()
    way = {"jitter": jittered, "scale": scaled}[name]
    values, other = batch.inputs.values, way(batch, COLUMNS, 0.5, generator()).inputs.values
    assert torch.equal(values[:, 2:], other[:, 2:])
    filled = values[:, 3] == 0
    assert (values[:, 1] != other[:, 1]).all()
    if name == "jitter":
        assert torch.equal(values[filled, 0], other[filled, 0])
    assert (values[~filled, 0] != other[~filled, 0]).all()


def test_noise_has_the_strength_that_was_asked_for():
    batch = batch_of([4000])
    noise = (jittered(batch, COLUMNS, 0.3, generator()).inputs.values - batch.inputs.values)[:, 1]
    assert abs(float(noise.std()) - 0.3) < 0.02  # 4000 draws: the standard error is 0.0034
    assert abs(float(noise.mean())) < 0.02


def test_one_factor_for_each_sequence_and_column():
    batch = batch_of()
    ratio = scaled(batch, COLUMNS, 0.2, generator()).inputs.with_values(
        scaled(batch, COLUMNS, 0.2, generator()).inputs.values / batch.inputs.values
    )
    for sequence in ratio:
        if len(sequence):
            torch.testing.assert_close(sequence[:, :2], sequence[:1, :2].expand(len(sequence), 2))
    firsts = torch.stack([sequence[0, :2] for sequence in ratio if len(sequence)])
    assert len(firsts.flatten().unique()) == firsts.numel()


def test_a_forecasts_answer_is_scaled_with_its_history():
    columns = Columns(np.array([True, True]), np.array([-1, -1]), np.array([1]))
    inputs = Ragged.from_lengths(torch.ones(6, 2), [3, 3])
    batch = Batch(inputs, torch.zeros(2, 4, 0), torch.ones(2, 4, 1), torch.ones(2, 4, 1, dtype=torch.bool), torch.arange(2))
    varied = scaled(batch, columns, 0.5, generator())
    factors = torch.stack([sequence[0, 1] for sequence in varied.inputs])
    assert torch.equal(varied.targets, factors[:, None, None].expand(2, 4, 1))
    assert factors[0] != factors[1]


def test_a_warped_stretch_runs_at_half_or_double_speed_and_the_rest_as_before():
    for seed in range(20):
        places = warped_positions(100, 0.2, generator(seed))
        assert len(places) in (90, 120)
        assert places[0] == 0
        assert places[-1] == 99
        assert (np.diff(places) > 0).all()
        usual = np.isclose(np.diff(places), 1.0)
        assert 79 <= usual.sum() <= 81  # what lies outside the stretch
        assert np.diff(places)[~usual].max() < 2.2


def test_warping_reads_numbers_on_the_line_and_everything_else_from_a_step():
    values = torch.arange(10.0)[:, None].repeat(1, 4)
    values[:, 2:] = (values[:, 2:] % 2 == 0).float()
    batch = batch_of([10])
    batch = Batch(batch.inputs.with_values(values), batch.future, batch.targets, batch.observed, batch.index)
    result = warped(batch, COLUMNS, 0.6, generator(3)).inputs
    places = torch.from_numpy(warped_positions(10, 0.6, generator(3))).float()
    torch.testing.assert_close(result.values[:, 0], places)  # column 0 is its own place
    assert set(result.values[:, 2].tolist()) <= {0.0, 1.0}
    assert result.lengths.tolist() == [len(places)]


def test_sequences_too_short_to_warp_are_left_alone():
    batch = batch_of([3, 0, 1])
    result = warped(batch, COLUMNS, 0.5, generator())
    assert torch.equal(result.inputs.values, batch.inputs.values)
    assert torch.equal(result.inputs.offsets, batch.inputs.offsets)


def test_a_mixture_is_the_weighted_sum_of_two_sequences_brought_to_one_length():
    batch = batch_of([4, 7, 5])
    varied = mixed(batch, COLUMNS, 0.4, generator(1))
    assert varied.partner is not None
    assert 0.5 <= varied.share <= 1
    for i, own in enumerate(batch.inputs):
        mixture, other = varied.batch.inputs[i], batch.inputs[int(varied.partner.targets[i])]  # classes count the sequences
        for column in (0, 1):
            at = np.linspace(0, len(other) - 1, len(own))
            stretched = np.interp(at, np.arange(len(other)), other[:, column].numpy())
            expected = varied.share * own[:, column].numpy() + (1 - varied.share) * stretched
            np.testing.assert_allclose(mixture[:, column].numpy(), expected, atol=1e-6)  # float32 sums of two terms


def test_windows_of_a_forecast_are_mixed_with_equally_long_ones_so_that_no_past_is_stretched():
    steps = [torch.arange(length, dtype=torch.float32)[:, None].repeat(1, 4) for length in (9, 12, 9, 12, 10)]
    batch = Batch(
        Ragged.from_list(steps),
        torch.zeros(5, 3, 0),
        torch.arange(15.0).view(5, 3, 1),
        torch.ones(5, 3, 1, dtype=torch.bool),
        torch.arange(5),
    )
    varied = [mixed(batch, COLUMNS, 0.5, generator(seed)).batch for seed in range(4)]
    for each in varied:  # all count their steps: only another tempo would change them
        torch.testing.assert_close(each.inputs.values, batch.inputs.values)
        torch.testing.assert_close(each.targets[4], batch.targets[4])
    assert any((each.targets[:4] != batch.targets[:4]).any() for each in varied)


def test_the_loss_of_a_mixture_is_the_cross_entropy_with_soft_targets():
    batch = batch_of([4, 7, 5])
    varied = mixed(batch, COLUMNS, 0.4, generator(1))
    scores = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    own, other = (torch.nn.functional.one_hot(each.targets, 3).float() for each in (varied.batch, varied.partner))
    soft = varied.share * own + (1 - varied.share) * other
    expected = torch.nn.functional.cross_entropy(scores, soft)
    torch.testing.assert_close(varied.loss(Classify(), scores), expected)


def test_numbers_to_predict_are_mixed_like_their_sequences_where_both_are_known():
    inputs = Ragged.from_lengths(torch.ones(6, 4), [3, 3])
    observed = torch.tensor([[True, True], [True, False]])
    targets = torch.tensor([[1.0, 5.0], [3.0, 0.0]])
    batch = Batch(inputs, torch.zeros(2, 0, 0), targets, observed, torch.arange(2))
    seed = next(seed for seed in range(20) if mixed(batch, COLUMNS, 1.0, generator(seed)).batch.targets[0, 0] > 1)
    varied = mixed(batch, COLUMNS, 1.0, generator(seed))
    share = max(drawn := float(generator(seed).beta(1.0, 1.0)), 1 - drawn)
    torch.testing.assert_close(varied.batch.targets[:, 0], torch.tensor([3 - 2 * share, 1 + 2 * share]))
    assert varied.batch.observed.tolist() == [[True, False], [True, False]]
    assert varied.partner is None


def test_the_same_seed_epoch_and_batch_draw_the_same_and_others_do_not():
    columns, strengths = COLUMNS, dict(USUAL)

    def values(seed: int, epoch: int, number: int) -> torch.Tensor:
        return Augmenter(strengths, columns, seed).vary(batch_of(), epoch, number).batch.inputs.values

    assert torch.equal(values(1, 2, 3), values(1, 2, 3))
    others = [values(2, 2, 3), values(1, 3, 3), values(1, 2, 4), values(1, 3, 2)]
    assert all(other.shape != values(1, 2, 3).shape or not torch.equal(other, values(1, 2, 3)) for other in others)


def test_which_columns_are_measured_is_read_off_the_preparation():
    frame = sites(["north", "south"]).with_columns(holiday=True)
    request = QUICK.model_copy(update={"series": "site", "known_future": ("price",), "missing": {"temp": "mask"}})
    _, dataset = plan_run(frame, request)
    columns = Columns.of(dataset.preparation, dataset.prepared)
    prepared = dataset.prepared
    names = [*prepared.input_names, *prepared.future_names, *prepared.static_names]
    assert {names[i] for i in np.flatnonzero(columns.measured)} == {"load", "temp"}
    assert names[columns.mask[names.index("temp")]] == "temp:observed"
    assert columns.mask[names.index("temp:observed")] == -1
    assert [names[i] for i in columns.target] == ["load"]


@pytest.mark.parametrize(
    ("data", "request_", "augment"),
    [
        (latches(60), CLASSES, ("jitter", "scale", "warp", "mixup")),
        (means(60), CLASSES.model_copy(update={"target": "answer", "task": "regress"}), ("jitter", "warp", "mixup=1")),
        (waves(150), QUICK, ("jitter=0.1", "scale", "mixup")),
    ],
    ids=["classify", "regress", "forecast"],
)
def test_every_task_trains_on_varied_batches_and_resumes_to_the_same_weights(data, request_, augment, tmp_path: Path):
    request = request_.model_copy(update={"augment": augment, "epochs": 2})
    whole = trained(data, request, tmp_path / "whole")
    plain = trained(data, request.model_copy(update={"augment": ()}), tmp_path / "plain")
    assert whole.file("model.safetensors").read_bytes() != plain.file("model.safetensors").read_bytes()
    assert whole.read("config.json", Plan).training.augment == augment_strengths(augment, request.task or "forecast")
    run = interrupted(data, request, tmp_path / "stopped", Stops(1, 1))
    resumed = resume_run(run, source=data, watch=Silent())
    assert resumed.file("model.safetensors").read_bytes() == whole.file("model.safetensors").read_bytes()


def test_only_training_batches_are_varied(monkeypatch, tmp_path: Path):
    seen: list[int] = []
    real = Augmenter.vary

    def spy(self: Augmenter, batch: Batch, epoch: int, number: int):
        seen.extend(batch.index.tolist())
        return real(self, batch, epoch, number)

    monkeypatch.setattr(Augmenter, "vary", spy)
    run = train_model(
        latches(40),
        CLASSES.model_copy(update={"augment": ("jitter",), "epochs": 1, "refit": False}),
        out=tmp_path / "run",
        watch=Silent(),
    )
    count = len(set(seen))
    assert len(seen) == count  # each training sequence once, and nothing else
    assert count == 28
    assert run.read("config.json", Plan).training.augment == {"jitter": 0.05}


@pytest.mark.parametrize(
    ("asked", "task", "message"),
    [
        (("jiter",), "classify", r"--augment has 'jiter'; expected jitter, scale, warp, mixup.* Did you mean 'jitter'\?"),
        (
            ("warp",),
            "forecast",
            r"--augment has 'warp', but the task is forecast: .*Expected jitter, scale, mixup\. Leave warp out",
        ),
        (("scale=much",), "regress", r"'scale=much'; expected a number from 0 to 10\. Write for example --augment scale=0\.1"),
        (("warp=2",), "classify", r"'warp=2'; expected a share of the sequence, from 0 to 1"),
        (("jitter=-1",), "classify", r"'jitter=-1'; expected a number from 0 to 10"),
        (("jitter=nan",), "classify", r"'jitter=nan'; expected a number from 0 to 10"),
    ],
)
def test_what_cannot_be_done_is_refused(asked, task, message):
    with pytest.raises(ConfigError, match=message):
        augment_strengths(asked, task)


def test_every_task_says_what_keeps_its_meaning():
    assert augment_strengths(("jitter", "mixup=0.4"), "forecast") == {"jitter": 0.05, "mixup": 0.4}
    for task in (Forecast, Classify, Regress):
        assert augment_strengths(("jitter", "scale"), task.name) == {"jitter": 0.05, "scale": 0.1}
    assert Request(augment=("warp",)).said() == {"augment": ("warp",)}
