"""AnomalyDetector: the manners of scikit-learn's outlier detectors, over the task that the command line has."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone, is_outlier_detector
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

import gatework
from anomaly_runs import machine
from gatework import AnomalyDetector, ConfigError, DataError, Ragged, Request
from gatework.errors import InputError
from gatework.runs import DetectorRecord, Plan, SplitRecord

QUICK = {"window": 32, "hidden_size": 6, "epochs": 6, "options": Request(batch_size=64, learning_rate=0.01)}
FAULT = slice(300, 304)


def swings(count: int = 600, seed: int = 0) -> np.ndarray:
    """(count, 2) pressure and flow, as usual."""
    return machine(count, seed, planted=False).select("pressure", "flow").to_numpy().copy()


def broken(count: int = 400) -> np.ndarray:
    """New data whose pressure is far off in the rows FAULT."""
    values = swings(count, seed=3)
    values[FAULT, 0] += 4.0
    return values


@pytest.fixture(scope="module")
def watchman() -> AnomalyDetector:
    return AnomalyDetector(false_alarms="0.005", **QUICK).fit(swings())


def test_what_is_unlike_the_usual_has_the_lowest_score_and_is_an_alarm(watchman):
    X = broken()
    scores, decision, predicted = watchman.score_samples(X), watchman.decision_function(X), watchman.predict(X)
    assert scores.shape == decision.shape == predicted.shape == (400,)
    assert FAULT.start <= scores.argmin() < FAULT.stop + watchman.window_
    assert set(predicted) == {-1, 1}
    np.testing.assert_array_equal(predicted == -1, decision < 0)
    np.testing.assert_allclose(decision, scores - watchman.offset_)
    assert (predicted[:295] == -1).sum() <= 5
    assert (predicted[FAULT] == -1).all()
    assert is_outlier_detector(watchman)
    assert (watchman.n_features_in_, watchman.n_iter_, watchman.method_, watchman.run_) == (2, 6, "forecast", None)


def test_ranges_are_explained_and_steps_without_a_score_are_told_apart(watchman):
    X = broken()
    ranges = watchman.ranges(X).sort("peak_score", descending=True)
    top = ranges.row(0, named=True)
    assert FAULT.start <= top["start"] <= FAULT.stop
    assert top["channel"] == "x0"
    assert top["explanation"].startswith("x0 was ")
    steps = watchman.steps(X)
    assert (
        steps["score"].null_count() == 9
    )  # the warm-up, a quarter of the window, and the step from which the first forecast is made
    np.testing.assert_array_equal(watchman.score_samples(X)[:9], 0.0)
    np.testing.assert_array_equal(-watchman.score_samples(X)[9:], steps["score"][9:].to_numpy())
    assert steps["in_alarm"].sum() >= (watchman.predict(X) == -1).sum()


def test_it_answers_as_the_task_of_the_command_line_does(watchman, tmp_path):
    run = watchman.save_run(tmp_path / "run")
    X = broken()
    frame = pl.DataFrame({"series": [0] * len(X), "x0": X[:, 0], "x1": X[:, 1]})
    found = gatework.load(run).predict(frame)
    assert found.frame.equals(watchman.ranges(X))
    plan, record = run.read("config.json", Plan), run.read("detector.json", DetectorRecord)
    assert plan.anomaly.false_alarms == "0.005"
    assert record.threshold.num_steps == run.read("split.json", SplitRecord).counts["validation"] == 150  # a quarter, its end
    assert run.read("split.json", SplitRecord).counts["test"] == 0


def test_every_form_of_the_same_series_is_scored_alike(watchman):
    X = broken()
    expected = watchman.score_samples(X)
    np.testing.assert_array_equal(watchman.score_samples(X.tolist()), expected)
    for several in ([X, X[:100]], Ragged.from_list([torch.from_numpy(X), torch.from_numpy(X[:100])])):
        whole, part = watchman.score_samples(several)
        np.testing.assert_allclose(whole, expected, atol=1e-6)
        np.testing.assert_allclose(part, expected[:100], atol=1e-4)  # a score knows nothing of later steps
    both = watchman.predict(np.stack([X, X]))
    assert [one.tolist() for one in both] == [watchman.predict(X).tolist()] * 2


def test_many_series_come_back_in_their_order():
    series = [swings(90 + number, seed=number) for number in range(12)]
    model = AnomalyDetector(**QUICK | {"window": 16, "epochs": 1}).fit(series)
    scores = model.score_samples(series)
    assert [len(one) for one in scores] == [90 + number for number in range(12)]
    for number in (2, 10, 11):
        np.testing.assert_allclose(model.score_samples(series[number]), scores[number], atol=1e-5)
    assert [len(one) for one in model.decision_function(series[:3])] == [90, 91, 92]


def test_one_channel_may_be_flat():
    X = swings()[:, 0]
    model = AnomalyDetector(**QUICK | {"epochs": 1}).fit(X)
    assert model.n_features_in_ == 1
    np.testing.assert_array_equal(model.score_samples(X), model.score_samples(X[:, None]))
    np.testing.assert_array_equal(model.score_samples(X.tolist()), model.score_samples(X))


def test_a_frame_keeps_its_names_and_gets_one_number_a_row():
    frame = machine(600, planted=False).drop("is_anomaly")
    model = AnomalyDetector(false_alarms="1/week", **QUICK).fit(frame)
    new = machine(400, 3, planted=False).drop("is_anomaly")
    new = new.with_columns(pl.Series("pressure", broken()[:, 0]))
    scores = model.score_samples(new)
    assert FAULT.start <= scores.argmin() < FAULT.stop + 3
    assert model.ranges(new)["channel"][0] == "pressure"
    assert model.ranges(new)["start"][0] == new["when"][int(np.flatnonzero(model.predict(new) == -1)[0])]
    mixed = new.sample(fraction=1.0, shuffle=True, seed=1)
    np.testing.assert_array_equal(model.score_samples(mixed), scores[new["when"].search_sorted(mixed["when"])])
    pandas = pd.DataFrame(new.drop("when").to_dict(as_series=False), index=pd.DatetimeIndex(new["when"].to_list(), name="when"))
    np.testing.assert_array_equal(model.score_samples(pandas), scores)


def test_a_column_of_a_frame_may_be_named_and_a_row_that_is_dropped_has_no_score():
    frame = machine(600, planted=False).drop("is_anomaly").with_columns(pl.lit("a").alias("site"))
    options = QUICK["options"].model_copy(update={"target": "flow", "series": "site", "missing": "drop"})
    model = AnomalyDetector(**QUICK | {"options": options, "epochs": 1}).fit(frame)
    assert "expected flow" in model.steps(frame).columns
    assert "expected pressure" not in model.steps(frame).columns
    holes = frame.with_columns(pl.when(pl.int_range(600) == 300).then(None).otherwise("pressure").alias("pressure"))
    scores = model.score_samples(holes)
    assert scores.shape == (600,)
    assert scores[300] == 0.0
    assert model.steps(holes).height == 599


@pytest.mark.parametrize("method", ["forecast", "reconstruction"])
def test_a_stream_gives_the_scores_of_the_whole(method):
    model = AnomalyDetector(method=method, **QUICK | {"window": 20, "epochs": 2}).fit(swings())
    X, stream = broken(), model.stream()
    assert stream.delay == (20 if method == "reconstruction" else 0)
    news = [stream.update(X[start : start + 7]) for start in range(0, 400, 7)]
    scores = pl.concat([*(one.steps for one in news), stream.end().steps])["score"].fill_null(0.0).to_numpy()
    np.testing.assert_allclose(-scores, model.score_samples(X), rtol=1e-3, atol=1e-4)  # float32 sums in another order
    closed = pl.concat([*(one.closed for one in news), stream.end().closed])
    assert closed["start"].to_list() == model.ranges(X)["start"].to_list()
    with pytest.raises(InputError, match=r"X has 2 series, and a stream follows one.*Make a stream for each series"):
        stream.update([X, X])


def test_clone_copy_and_pickle_keep_what_they_should(watchman):
    X = broken()
    expected = watchman.score_samples(X)
    fresh = clone(watchman)
    assert fresh.get_params() == watchman.get_params()
    with pytest.raises(NotFittedError):
        fresh.score_samples(X)
    with pytest.raises(NotFittedError):
        fresh.stream()
    for again in (copy.deepcopy(watchman), pickle.loads(pickle.dumps(watchman))):
        np.testing.assert_array_equal(again.score_samples(X), expected)


def test_folds_searches_and_pipelines_find_it_at_home():
    X, y = swings(), np.ones(600, dtype=int)
    for start in (300, 450, 550):
        X[start : start + 4, 0] += 6.0
        y[start : start + 4] = -1
    model = AnomalyDetector(false_alarms="0.01", **QUICK)
    scores = cross_val_score(model, X, y, scoring="roc_auc", cv=TimeSeriesSplit(2, test_size=140))
    assert (scores > 0.8).all()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), AnomalyDetector(**QUICK | {"epochs": 1})),
        {"anomalydetector__method": ["forecast", "reconstruction"]},
        scoring="average_precision",
        cv=TimeSeriesSplit(2, test_size=140),
    )
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X).shape == (600,)
    same = AnomalyDetector(**QUICK | {"epochs": 1})
    np.testing.assert_array_equal(same.fit_predict(X), same.predict(X))


def test_options_reach_the_training():
    options = QUICK["options"].model_copy(update={"cell": "gru", "gap": 5})
    model = AnomalyDetector(**QUICK | {"epochs": 1, "options": options}, method="reconstruction", random_state=3).fit(swings())
    plan = model.predictor().trained.plan
    assert (plan.model.cell, plan.anomaly.gap, plan.anomaly.method, plan.training.seed) == ("gru", 5, "reconstruction", 3)
    assert (plan.window, model.window_, model.method_) == (32, 32, "reconstruction")


def with_gap() -> np.ndarray:
    X = swings()
    X[5, 1] = np.nan
    return X


@pytest.mark.parametrize(
    ("parameters", "X", "kind", "message"),
    [
        ({}, with_gap(), InputError, r"Input X contains NaN: sequence 0, step 5, channel 1.*missing='previous'"),
        ({}, swings(30), DataError, "longest stretch of the training part has 18 steps"),
        ({}, [swings(90), swings(90)[:, :1]], InputError, "Sequence 1 of X has 1 channels, sequence 0 has 2"),
        ({"method": "guess"}, swings(), InputError, r"method is 'guess'; expected one of 'auto', 'forecast', 'reconstruction'"),
        ({"false_alarms": "1/week"}, swings(), ConfigError, r"no time stamps.*--false-alarms 1/1000 steps"),
        ({}, np.ones((300, 2)), ConfigError, "'x0', 'x1' never change"),
    ],
)
def test_what_cannot_be_fitted_is_refused_with_the_reason(parameters, X, kind, message):
    with pytest.raises(kind, match=f"(?s){message}"):
        AnomalyDetector(**QUICK | parameters).fit(X)


def test_a_share_of_the_steps_may_be_a_number():
    by_text, by_number = (AnomalyDetector(**QUICK | {"false_alarms": share}).fit(swings()) for share in ("0.01", 0.01))
    np.testing.assert_array_equal(by_number.score_samples(swings(90)), by_text.score_samples(swings(90)))


def test_what_is_wrong_at_prediction_is_said(watchman):
    with pytest.raises(ValueError, match="X has 1 features, but AnomalyDetector is expecting 2 features"):
        watchman.predict(swings()[:, :1])
    with pytest.raises(InputError, match="X has 3 features, but AnomalyDetector is expecting 2 features"):
        watchman.predict([np.zeros((50, 3))])
    with pytest.raises(DataError, match="No series has a step that can be scored"):
        watchman.predict(swings(4))
    with pytest.raises(InputError, match=r"X is given as a data frame, and fit had arrays.*Give X as in fit"):
        watchman.predict(machine(100))


APPLY = [
    "check_estimator_cloneable", "check_valid_tag_types", "check_estimator_repr", "check_no_attributes_set_in_init",
    "check_parameters_default_constructible", "check_get_params_invariance", "check_set_params",
    "check_do_not_raise_errors_in_init_or_set_params", "check_mixin_order", "check_estimators_unfitted", "check_complex_data",
    "check_estimator_sparse_tag", "check_estimator_sparse_array", "check_estimators_empty_data_messages", "check_fit2d_1sample",
    "check_n_features_in", "check_positive_only_tag_during_fit", "check_fit_idempotent", "check_fit_check_is_fitted",
    "check_outliers_train", "check_outliers_fit_predict",
]  # fmt: skip
"""scikit-learn's own checks that hold; docs/scikit-learn.md says which cannot, and why."""


@pytest.mark.parametrize("name", APPLY)
def test_scikit_learns_own_checks_hold(name):
    small = AnomalyDetector(window=8, hidden_size=3, epochs=1, false_alarms="0.05", options=Request(batch_size=64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        getattr(estimator_checks, name)("AnomalyDetector", small)
