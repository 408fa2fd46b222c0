"""How windows are read and horizons decoded: each against the same thing written out with torch's own layers."""

import itertools
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from gatework.errors import ConfigError
from gatework.model import build_model
from gatework.ragged import Ragged
from gatework.runs import Plan
from gatework.tasks import Forecast
from gatework.tasks.forecasters.window import window_scale
from gatework.tasks.task import Sizes
from tables import TIME, forecast_table, prepared_and_fit

WINDOW, HORIZON, SEASON = 11, 7, 4
SIZES = Sizes(5, 6, 2, 2, 0, target_columns=(2, 1), target_zeros=(-1.5, 0.5))
"""Five inputs, of which number 2 and number 1 are the targets' histories, 3 and 4 the known future; a network of six units."""

FORMS = [
    {"segment": segment, "decoder": decoder, "channels": channels}
    for segment, decoder, channels in itertools.product(
        (1, 3), ("direct", "position", "sequence", "recursive"), ("together", "apart")
    )
]


def network(season: int = SEASON, horizon: int = HORIZON, **options: object):
    plan = Plan.model_validate(
        {"data": {"task": "forecast", "targets": ["a", "b"], "fields": []}, "split": {"kind": "time"}}
        | {"window": WINDOW, "horizon": horizon, "model": {"hidden_size": 6, "linear_steps": 3, **options}}
    )
    built = build_model(plan, SIZES, Forecast(horizon, WINDOW, plan.model, season), seed=0).eval()
    with torch.no_grad():  # what starts at zero would hide a mistake
        for parameter in built.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    return built


def windows(count: int = 4, seed: int = 0, horizon: int = HORIZON) -> tuple[Ragged, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, WINDOW, 5, generator=generator) + 2
    return Ragged.dense(values), torch.randn(count, horizon, 2, generator=generator)


@pytest.mark.parametrize("options", FORMS, ids=str)
def test_a_forecast_has_its_shape_and_every_weight_learns(options):
    model, (inputs, future) = network(**options), windows()
    model.train()
    output = model(inputs, future)
    assert output.shape == (4, HORIZON, 2)
    output.square().sum().backward()
    still = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not [name for name in still if "bias_hh" not in name], still


@pytest.mark.parametrize("kind", ["last", "mean", "season"])
@pytest.mark.parametrize("options", FORMS[::3], ids=str)
def test_a_forecast_moves_with_the_level_of_its_window(kind, options):
    model, (inputs, future) = network(normalise=kind, **options), windows()
    moved = inputs.values.clone()
    moved[:, [2, 1]] += torch.tensor([3.0, -5.0])
    change = model(inputs.with_values(moved), future) - model(inputs, future)
    torch.testing.assert_close(change, torch.tensor([3.0, -5.0]).expand_as(change), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["standard", "scale", "season"])
def test_a_forecast_stretches_with_its_window(kind):
    """About the window's mean, or about the zero of the data."""
    model, (inputs, future) = network(normalise=kind), windows()
    zero = torch.tensor([-1.5, 0.5])
    stretched = inputs.values.clone()
    stretched[:, [2, 1]] = zero + 3 * (stretched[:, [2, 1]] - zero)
    expected = zero + 3 * (model(inputs, future) - zero)
    torch.testing.assert_close(model(inputs.with_values(stretched), future), expected, atol=2e-4, rtol=1e-4)


def test_the_scales_of_a_window_are_those_of_their_formulas():
    history = windows()[0].values.view(4, WINDOW, 5)[..., [2, 1]]
    zero = torch.tensor([-1.5, 0.5])
    last = window_scale("last", history, HORIZON, SEASON, zero)
    torch.testing.assert_close(last.base, history[:, -1:])
    standard = window_scale("standard", history, HORIZON, SEASON, zero)
    torch.testing.assert_close(standard.spread[:, 0], history.std(1, correction=0))
    torch.testing.assert_close(standard.normalise(history).mean(1), torch.zeros(4, 2), atol=1e-6, rtol=0)
    scale = window_scale("scale", history, HORIZON, SEASON, zero)
    torch.testing.assert_close(scale.spread[:, 0], (history - zero).abs().mean(1))
    season = window_scale("season", history, HORIZON, SEASON, zero)
    for step in range(HORIZON):
        torch.testing.assert_close(season.base[:, step], history[:, WINDOW - SEASON + step % SEASON])
    change = (history[:, -SEASON:] - history[:, -2 * SEASON : -SEASON]).abs().mean(1)
    torch.testing.assert_close(season.spread[:, 0], change)


LENGTHS = (8, WINDOW, 9, 8, WINDOW)


def shorter() -> tuple[Ragged, torch.Tensor]:
    """Windows of several lengths."""
    inputs, future = windows(len(LENGTHS))
    return Ragged.from_list([steps[-length:] for steps, length in zip(inputs.to_list(), LENGTHS, strict=True)]), future


@pytest.mark.parametrize("kind", ["none", "last", "mean", "standard", "scale", "season"])
@pytest.mark.parametrize("options", FORMS[::3], ids=str)
def test_a_short_window_does_not_notice_its_neighbours(kind, options):
    """Alone, a window goes the way of equally long ones, which is compared with torch's own layers."""
    model, (inputs, future) = network(normalise=kind, linear_steps=10, **options), shorter()
    together = model(inputs, future)
    together.square().sum().backward()
    learned = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    for number in range(len(LENGTHS)):
        alone = model(inputs.only([number]), future[[number]])
        torch.testing.assert_close(together[[number]], alone, atol=1e-5, rtol=1e-5)
        alone.square().sum().backward()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad, learned[name], atol=2e-3, rtol=2e-4)


def test_the_scales_of_a_short_window_are_those_of_its_own_steps():
    inputs, _ = shorter()
    model, zero = network(normalise="standard"), torch.tensor([-1.5, 0.5])
    for kind in ("mean", "standard", "scale"):
        model.entry.plan = model.entry.plan.model_copy(update={"normalise": kind})
        scale = model.entry.window(inputs, HORIZON).scale
        for number, steps in enumerate(inputs.to_list()):
            own = window_scale(kind, steps[None, :, [2, 1]], HORIZON, SEASON, zero)
            torch.testing.assert_close(scale.spread[[number]], own.spread)
            torch.testing.assert_close(scale.past[[number]], own.past)


def test_the_linear_path_reads_what_a_short_window_has():
    model, (inputs, future) = network(linear_steps=10), shorter()
    weight = model.head.recent.weight.detach().clone().view(HORIZON, 2, 10, 5)
    found = model(inputs, future)
    with torch.no_grad():
        model.head.recent.weight.zero_()
    added = found - model(inputs, future)
    for number in range(len(LENGTHS)):
        read = inputs[number][-10:][:, [2, 1, 0, 3, 4]]
        torch.testing.assert_close(added[number], torch.einsum("htsi,si->ht", weight[:, :, 10 - len(read) :], read))


def test_targets_apart_do_not_see_each_other():
    model, (inputs, future) = network(channels="apart", segment=3, decoder="position", normalise="last"), windows()
    other = inputs.values.clone()
    other[:, 1] += torch.randn(len(other), generator=torch.Generator().manual_seed(1))
    before, after = model(inputs, future), model(inputs.with_values(other), future)
    assert torch.equal(before[..., 0], after[..., 0])
    assert not torch.equal(before[..., 1], after[..., 1])


def test_targets_together_see_each_other():
    model, (inputs, future) = network(), windows()
    other = inputs.values.clone()
    other[:, 1] += 1
    assert not torch.equal(model(inputs, future)[..., 0], model(inputs.with_values(other), future)[..., 0])


def test_position_decoding_is_that_of_torchs_own_layers():
    """Segments of three: 11 steps are 3 segments (two steps in front are not read), 7 steps ahead are 3 positions."""
    model, (inputs, future) = network(segment=3, decoder="position", normalise="last", linear_steps=0), windows(2)
    history = inputs.values.view(2, WINDOW, 5)[..., [2, 1, 0, 3, 4]].clone()
    base = history[:, -1:, :2].clone()
    history[..., :2] -= base
    encoder, decoder = nn.LSTM(6, 6, batch_first=True), nn.LSTM(6, 6, batch_first=True)
    encoder.load_state_dict(model.recurrent.state_dict())
    decoder.load_state_dict(model.head.decoder.layer.state_dict())
    _, (h, c) = encoder(torch.relu(model.entry.embed[0](history[:, 2:].reshape(2, 3, 15))))
    padded = torch.cat([future, torch.zeros(2, 2, 2)], dim=1)
    for position in range(3):
        told = model.head.decoder.positions[position] + model.head.decoder.known(
            padded[:, 3 * position : 3 * position + 3].flatten(1)
        )
        read, _ = decoder(told[:, None], (h, c))
        steps = model.head.decoder.read(read[:, 0]).view(2, 3, 2)
        kept = min(3, HORIZON - 3 * position)
        found = model(inputs, future)[:, 3 * position : 3 * position + kept]
        torch.testing.assert_close(found, steps[:, :kept] + base, atol=1e-5, rtol=1e-5)


def test_the_recursive_decoder_reads_its_own_forecast():
    model, (inputs, future) = network(decoder="recursive", linear_steps=0), windows(2)
    decoder = nn.LSTM(6, 6, batch_first=True)
    own = model.head.decoder
    decoder.load_state_dict(own.layer.state_dict())
    encoder = nn.LSTM(5, 6, batch_first=True)
    encoder.load_state_dict(model.recurrent.state_dict())
    values = inputs.values.view(2, WINDOW, 5)[..., [2, 1, 0, 3, 4]]
    _, state = encoder(values)
    last = values[:, -1, :2]
    for step in range(HORIZON):
        read, state = decoder((own.start + own.known(future[:, step]) + own.feed(last))[:, None], state)
        last = own.read(read[:, 0])
        torch.testing.assert_close(model(inputs, future)[:, step], last, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("decoder", ["sequence", "recursive"])
def test_an_unrolled_decoder_goes_beyond_its_horizon_without_changing_what_comes_before(decoder):
    model = network(decoder=decoder, linear_steps=0, segment=3, normalise="last")
    inputs, future = windows(horizon=3 * HORIZON)
    longer, shorter = model(inputs, future), model(inputs, future[:, :HORIZON])
    torch.testing.assert_close(longer[:, :6], shorter[:, :6])  # the third segment of the shorter one is told less
    assert longer.shape == (4, 3 * HORIZON, 2)


@pytest.mark.parametrize("options", [{}, {"decoder": "position"}, {"decoder": "recursive", "linear_steps": 3}])
def test_a_bound_decoder_refuses_another_horizon(options):
    inputs, future = windows(horizon=HORIZON + 1)
    with pytest.raises(ConfigError, match=f"{HORIZON + 1} steps is wanted from a model trained for {HORIZON}"):
        network(**options)(inputs, future)


def test_a_season_needs_two_seasons_of_window():
    with pytest.raises(ConfigError, match="needs two seasons of 6 steps"):
        network(season=6, normalise="season")(*windows())


def test_the_loss_mase_counts_every_series_by_its_own_change():
    """Two series, one moving ten times as far: with errors in that proportion both count alike."""
    table = forecast_table([120, 120])
    load = table.steps["load"].to_numpy().copy()
    load[120:] = 500 + 10 * (load[120:] - 100)
    table = replace(table, steps=table.steps.with_columns(pl.Series("load", load)))
    split, _, prepared = prepared_and_fit(table, TIME)
    task = Forecast(3, 6, season=24, loss="mase")
    batch = (samples := task.samples(prepared, split, "train")).batch(np.arange(len(samples)))
    targets = prepared.targets[:, 0].reshape(2, -1)[:, : int(split.rows_of("train").sum() // 2)]
    change = np.abs(targets[:, 24:] - targets[:, :-24]).mean(1)
    error = torch.from_numpy(change[samples.sequence].astype(np.float32))[:, None, None].expand_as(batch.targets)
    each = task.loss(batch.targets + error, batch)
    one = error.clone()
    one[samples.sequence == 0] = 0
    torch.testing.assert_close(task.loss(batch.targets + one, batch), each / 2, rtol=1e-4, atol=0)
