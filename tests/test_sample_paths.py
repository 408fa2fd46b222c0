"""Courses of the future through the recursive decoder, of a process whose future is known by a formula: their spread and sums."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gatework.data.dataset import open_dataset
from gatework.evaluate import load
from gatework.model import load_trained, network_outputs
from gatework.runs import RunFolder
from gatework.tasks.forecast import Draw
from small_runs import QUICK, hours, trained

PHI, HORIZON, COUNT = 0.9, 6, 3000
WANTED = QUICK.model_copy(
    update={
        "decoder": "recursive",
        "linear_steps": 0,
        "horizon": HORIZON,
        "learning_rate": 0.01,
        "epochs": 4,
        "dropout": 0.0,
        "validation_share": 0.3,
        "test_share": 0.2,
    }
)


def autoregressive() -> pl.DataFrame:
    """An hourly AR(1) process with unit noise."""
    noise = np.random.default_rng(0).normal(size=COUNT)
    values = noise / np.sqrt(1 - PHI**2)
    for step in range(1, COUNT):
        values[step] = PHI * values[step - 1] + noise[step]
    return pl.DataFrame({"when": hours(COUNT), "load": values})


@pytest.fixture(scope="module", params=["gaussian", "quantiles"])
def run(request, tmp_path_factory) -> RunFolder:
    place = tmp_path_factory.mktemp("paths")
    autoregressive().write_csv(place / "data.csv")
    return trained(place / "data.csv", WANTED.model_copy(update={"output": request.param}), place / "run")


def drawn(run: RunFolder) -> np.ndarray:
    """(windows, paths, HORIZON) courses after every tenth window of the test part."""
    model, dataset = load_trained(run)[0], open_dataset(run)
    samples = model.task.samples(dataset.prepared, dataset.split, "test")
    samples = samples.only(np.arange(0, len(samples), 10))
    outputs = network_outputs(model.network, samples)
    return model.task.paths(outputs, samples, model.preparation, model.calibration, Draw(100, 0))[..., 0]


def test_the_spread_of_paths_grows_with_the_step_as_that_of_the_process(run):
    spread = np.sqrt(drawn(run).var(axis=1).mean(axis=0))
    true_spread = np.sqrt((1 - PHI ** (2 * np.arange(1, HORIZON + 1))) / (1 - PHI**2))
    assert (np.diff(spread) > 0).all()
    # 600 truths of the validation part, of which 250 are carried over: a standard error of about 5 %, and a small network
    np.testing.assert_allclose(spread, true_spread, rtol=0.2)


def test_sums_of_paths_have_the_spread_of_steps_that_hang_together(run):
    paths = drawn(run)
    weights = (1 - PHI ** np.arange(HORIZON, 0, -1)) / (1 - PHI)  # with which each noise reaches the sum
    true_spread = np.sqrt((weights**2).sum())
    assert np.sqrt(paths.sum(-1).var(axis=1).mean()) == pytest.approx(true_spread, rel=0.2)
    independent = np.sqrt(paths.var(axis=1).mean(axis=0).sum())
    assert independent < 0.6 * true_spread  # what steps drawn by themselves would give


def test_the_same_seed_draws_the_same_paths_and_another_one_others(run, tmp_path: Path):
    data = autoregressive().tail(100)
    first, again, other = (load(run).sample_paths(data, num_paths=30, seed=seed) for seed in (3, 3, 4))
    assert first.equals(again)
    assert not first.equals(other)
    assert first.height == 30 * HORIZON
