"""The options of classification: what each decides, end to end."""

import pytest

from gatework.errors import ConfigError
from gatework.runs import Plan
from gatework.train import plan_run
from small_runs import CLASSES, QUICK, latches, trained, waves


def test_the_pooling_asked_for_is_planned_stored_and_built(tmp_path):
    run = trained(latches(60, 6), CLASSES.model_copy(update={"pooling": "attention", "epochs": 1}), tmp_path / "run")
    assert run.read("config.json", Plan).model.pooling == "attention"
    from gatework.model import load_trained

    network = load_trained(run)[0].network
    assert "head.pool.attention.query" in dict(network.named_parameters())


def test_a_pooling_left_out_has_its_reason():
    plan, _ = plan_run(latches(60, 6), CLASSES)
    assert plan.reasons["pooling"].startswith("summary:")


def test_a_pooling_means_nothing_to_a_forecast():
    with pytest.raises(ConfigError, match=r"pooling is max, but the task is forecast.*Leave it out"):
        plan_run(waves(), QUICK.model_copy(update={"pooling": "max"}))
