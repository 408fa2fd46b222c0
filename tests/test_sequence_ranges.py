"""Ranges around numbers of whole sequences: coverage, the arithmetic of split conformal prediction, ensembles, estimators."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gatework import Regressor
from gatework.errors import ConfigError, InputError
from gatework.evaluate import evaluate_run, load
from gatework.model import load_trained, network_outputs
from gatework.report import write_report
from gatework.runs import Evaluation, RunFolder
from gatework.runs.study import Seeds
from gatework.study import run_study
from gatework.train import Request
from gatework.train.hold_out import validation_samples
from gatework.train.planning import plan_run
from gatework.train.watch import Silent
from refusals import refusal
from small_runs import long_form, trained

REQUEST = Request(
    target="answer", task="regress", series="id", time="step", hidden_size=4, epochs=1, validation_share=0.4, test_share=0.4
)
INTERVALS = (0.8, 0.95)


def skewed(count: int, seed: int = 0) -> pl.DataFrame:
    """Short sequences whose answer is their last value and an error that nobody can foresee, skewed to above."""
    generator = np.random.default_rng(seed)
    values = generator.normal(0, 1, (count, 3))
    return long_form(values, answer=(values[:, -1] + generator.exponential(2.0, count)).tolist())


@pytest.fixture(scope="module")
def data() -> pl.DataFrame:
    return skewed(4000)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> RunFolder:
    return trained(data, REQUEST, tmp_path_factory.mktemp("sequence-ranges") / "run")


def test_ranges_hold_their_share_and_miss_as_often_below_as_above(run, data):
    found = evaluate_run(run, data).uncertainty
    # 1600 sequences to calibrate on and as many to judge: a standard error of 1.4 points
    assert [one.coverage for one in found.intervals] == pytest.approx(INTERVALS, abs=0.03)
    assert len(found.coverage) == 10
    rows = pl.read_parquet(run.file("predictions.parquet"))
    below, above = (rows["truth"] < rows["low 80 %"]).mean(), (rows["truth"] > rows["high 80 %"]).mean()
    assert (below, above) == pytest.approx((0.1, 0.1), abs=0.025)
    page = write_report(run).read_text()
    assert "Do the ranges hold what they promise?" in page
    assert "at each step ahead" not in page  # a sequence has one answer


def test_a_range_is_the_ranked_error_of_the_validation_part(run, data):
    model, _ = load_trained(run)
    plan, dataset = plan_run(data, REQUEST)
    first, _ = validation_samples(plan, dataset)
    truth = first.prepared.raw_targets[first.place][:, 0]
    # the errors were measured before the network learned from the validation part, too: they stand in conformal.safetensors
    errors = np.sort(model.calibration.errors[:, 0, 0])
    assert len(errors) == 250  # evenly chosen ones are kept
    record = model.calibration.record
    assert record.num_windows == len(truth)
    low, high = (np.array(record.shift)[1][side][0][0] for side in (0, 1))  # of 95 %
    scale = next(field.scale.std for field in model.preparation.record.fields if field.name == "answer")
    assert (-low, high) == pytest.approx(np.quantile(errors, (0.025, 0.975)), abs=0.35)
    frame = load(run).predict(data.head(9)).frame
    width = (frame["high 95 %"] - frame["low 95 %"]).to_numpy()
    assert width == pytest.approx((low + high) * scale, rel=1e-5)


def test_what_was_held_back_gives_the_ranks_by_hand(data, tmp_path: Path):
    run = trained(data, REQUEST.model_copy(update={"refit": False}), tmp_path / "run")
    model, _ = load_trained(run)
    plan, dataset = plan_run(data, REQUEST)
    samples, _ = validation_samples(plan, dataset)
    errors = samples.prepared.targets[samples.place][:, 0] - network_outputs(model.network, samples)[:, 0].astype(np.float64)
    count = len(errors)
    for number, share in enumerate(INTERVALS):
        rank = int(np.ceil((count + 1) * (1 + share) / 2 - 1e-9))
        above, below = np.sort(errors)[rank - 1], np.sort(-errors)[rank - 1]
        found = [np.array(model.calibration.record.shift)[number][side][0][0] for side in (0, 1)]
        assert found == pytest.approx([below, above], rel=1e-6)


def test_an_ensemble_has_ranges_of_its_own(data, tmp_path: Path):
    study = run_study(data, REQUEST, Seeds(members=2), out=tmp_path / "study", watch=Silent())
    folder = RunFolder(study.folder.file("ensemble"))
    found = folder.read("evaluation.json", Evaluation).uncertainty
    assert [one.coverage for one in found.intervals] == pytest.approx(INTERVALS, abs=0.03)


def test_wishes_are_followed_or_refused(data, tmp_path: Path):
    few = data.filter(pl.col("id") < "s1500")
    run = trained(few, REQUEST.model_copy(update={"intervals": (0.5,)}), tmp_path / "half")
    names = load(run).predict(few.head(6)).frame.columns
    assert [name for name in names if " %" in name] == ["low 50 %", "high 50 %"]
    run = trained(few, REQUEST.model_copy(update={"calibrate": "none"}), tmp_path / "none")
    assert load(run).predict(few.head(6)).frame.columns == ["series", "target", "truth", "prediction"]
    assert evaluate_run(run, few).uncertainty is None
    adaptive = REQUEST.model_copy(update={"calibrate": "adaptive"})
    assert "no order of time" in refusal(lambda: plan_run(few, adaptive), ConfigError)
    share = REQUEST.model_copy(update={"calibration_share": 0.5})
    assert "calibration_share is 0.5" in refusal(lambda: plan_run(few, share), ConfigError)
    classes = few.with_columns(pl.when(pl.col("answer") > 2).then(pl.lit("a")).otherwise(pl.lit("b")).alias("answer"))
    wish = REQUEST.model_copy(update={"task": "classify", "intervals": (0.9,)})
    assert "--task regress" in refusal(lambda: plan_run(classes, wish), ConfigError)


def test_a_regressor_says_between_which_values_the_truth_will_lie():
    generator = np.random.default_rng(1)
    X = generator.normal(0, 1, (900, 3, 1))
    y = X[:, -1, 0] + generator.normal(0, 1, 900)
    options = Request(validation_share=0.4)
    model = Regressor(hidden_size=4, epochs=3, options=options).fit(X[:600], y[:600])
    lower, upper = model.predict_interval(X[600:], coverage=0.8)
    assert lower.shape == upper.shape == (300,)
    inside = (lower <= y[600:]) & (y[600:] <= upper)
    assert inside.mean() == pytest.approx(0.8, abs=0.09)  # four standard errors of 300 judged and 240 calibrated
    wide_low, wide_high = model.predict_interval(X[600:], coverage=0.95)
    assert (wide_low <= lower).all()
    assert (wide_high >= upper).all()
    assert ((lower < model.predict(X[600:])) & (model.predict(X[600:]) < upper)).all()
    assert "intervals=(0.5, 0.8, 0.95)" in refusal(lambda: model.predict_interval(X, coverage=0.5), InputError)
    two = Regressor(hidden_size=4, epochs=1, options=options).fit(X, np.stack([y, 10 * y], axis=1))
    assert two.predict_interval(X[:5])[0].shape == (5, 2)
    few = Regressor(hidden_size=4, epochs=1).fit(X[:20], y[:20])
    lower, upper = few.predict_interval(X[:2], coverage=0.95)  # three errors are known
    assert (lower == -np.inf).all()
    assert (upper == np.inf).all()
    without = Regressor(hidden_size=4, epochs=1, options=Request(calibrate="none")).fit(X[:50], y[:50])
    assert "calibrate='split'" in refusal(lambda: without.predict_interval(X[:2]), InputError)
