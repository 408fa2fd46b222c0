"""For how many epochs a network is trained anew on training and validation part together."""

import copy

import numpy as np
import pytest
import scipy.stats

from gatework.model import load_trained, network_outputs
from gatework.runs import HistoryRow
from gatework.train import plan_run
from gatework.train.hold_out import validation_samples
from gatework.train.refit import standard_error, useful_epochs
from small_runs import CLASSES, latches, trained

ROW = HistoryRow(
    epoch=1, train_loss=1, validation_loss=1, learning_rate=1, gradient_norm=1, clip_rate=0, is_best=False, elapsed_s=1
)


@pytest.mark.parametrize(("error", "epochs"), [(0.0, 4), (0.059, 4), (0.061, 6), (0.239, 6), (0.241, 7), (9.0, 7)])
def test_it_ends_where_the_loss_was_last_as_good_as_the_best(error, epochs):
    losses = [1.0, 0.5, 0.52, 0.48, 0.7, 0.51, 0.6]
    rows = [ROW.model_copy(update={"epoch": number, "validation_loss": loss}) for number, loss in enumerate(losses, start=1)]
    assert useful_epochs(rows, error) == epochs


def test_the_standard_error_is_that_of_the_losses_of_single_samples(tmp_path):
    frame, request = latches(60, 6), CLASSES.model_copy(update={"epochs": 1, "refit": False})
    model, _ = load_trained(trained(frame, request, tmp_path / "run"))
    plan, dataset = plan_run(frame, request)
    samples, _ = validation_samples(plan, dataset)
    scores = network_outputs(model.network, samples).astype(np.float64)
    losses = np.log(np.exp(scores).sum(1)) - scores[np.arange(len(samples)), dataset.prepared.targets[samples.sequence]]
    assert standard_error(model.network, model.task, samples) == pytest.approx(scipy.stats.sem(losses), rel=1e-4)
    alone = copy.copy(samples)
    alone.sequence = samples.sequence[:1]
    assert standard_error(model.network, model.task, alone) == 0.0
