"""The scikit-learn face: its manners, its arrays, its messages; and that it answers as the stages below do."""

import copy
import pickle
import pickletools
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

import gatework
from gatework import Classifier, Forecaster, Ragged, Regressor, Request
from gatework.errors import InputError
from gatework.runs import Plan

SMALL = {"hidden_size": 6, "epochs": 2}


def swings(count: int = 60, seed: int = 0, channels: int = 2) -> tuple[list[np.ndarray], np.ndarray]:
    """Sequences of 8 to 20 steps whose first channel is high or low, and which."""
    generator = np.random.default_rng(seed)
    y = np.array(["low", "high"])[np.arange(count) % 2]
    level = np.where(y == "high", 1.0, -1.0)
    X = [generator.normal(size=(int(generator.integers(8, 21)), channels)) for _ in range(count)]
    for sequence, own in zip(X, level, strict=True):
        sequence[:, 0] = 0.3 * sequence[:, 0] + own
    return X, y


def waves(steps: int = 120, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return 5 + np.sin(np.arange(steps) * 2 * np.pi / 12) + generator.normal(0, 0.05, steps)


@pytest.fixture(scope="module")
def fitted() -> Classifier:
    X, y = swings(200)
    return Classifier(hidden_size=8, epochs=6, learning_rate=0.01).fit(X, y)


@pytest.fixture(scope="module")
def seer() -> Forecaster:
    return Forecaster(horizon=3, window=24, **SMALL).fit(waves())


def test_a_classifier_learns_and_says_what_it_was_given(fitted):
    X, y = swings(40, seed=1)
    assert fitted.score(X, y) > 0.95
    assert fitted.classes_.tolist() == ["high", "low"]
    assert fitted.n_features_in_ == 2
    assert fitted.run_ is None
    assert fitted.n_iter_ == 6
    probabilities = fitted.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert (fitted.classes_[probabilities.argmax(axis=1)] == fitted.predict(X)).all()


def test_every_form_of_the_same_sequences_is_answered_alike(fitted):
    X = [sequence[:8] for sequence in swings(6)[0]]
    expected = fitted.predict_proba(X)
    tensors = [torch.from_numpy(sequence) for sequence in X]
    for form in (np.stack(X), tuple(X), Ragged.from_list(tensors), tensors, [sequence.tolist() for sequence in X]):
        np.testing.assert_array_equal(fitted.predict_proba(form), expected)


def test_a_sequence_does_not_notice_its_neighbours_and_may_be_empty(fitted):
    X = swings(5)[0]
    together = fitted.predict_proba([*X, np.zeros((0, 2))])
    for number, sequence in enumerate(X):
        np.testing.assert_allclose(fitted.predict_proba([sequence])[0], together[number], atol=1e-7)
    assert np.isfinite(together[-1]).all()


def test_the_columns_of_a_frame_are_steps():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(40, 10)) + np.repeat([[1.0], [-1.0]], 20, axis=0)
    y = np.repeat([1, 0], 20)
    frame = pd.DataFrame(rows, columns=[f"t{step}" for step in range(10)])
    model = Classifier(**SMALL).fit(frame, y)
    assert model.n_features_in_ == 10
    assert model.feature_names_in_.tolist() == list(frame.columns)
    np.testing.assert_array_equal(model.predict_proba(frame), model.predict_proba(pl.DataFrame(frame.to_dict("list"))))
    with pytest.raises(ValueError, match="X has 9 features, but Classifier is expecting 10 features"):
        model.predict(rows[:, :9])


def test_a_regressor_gives_numbers_in_the_form_of_y():
    X, _ = swings(60)
    y = np.array([sequence[:, 0].mean() for sequence in X]) * 10 + 50
    one = Regressor(hidden_size=8, epochs=20, learning_rate=0.01).fit(X, y)
    assert one.predict(X[:5]).shape == (5,)
    assert one.score(X, y) > 0.8
    two = Regressor(**SMALL).fit(X, np.stack([y, -y], axis=1))
    assert two.predict(X[:5]).shape == (5, 2)


def test_the_same_seed_gives_the_same_answers_and_another_one_does_not():
    X, y = swings(30)
    answers = [Classifier(random_state=seed, **SMALL).fit(X, y).predict_proba(X) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(answers[0], answers[1])
    assert (answers[0] != answers[2]).any()
    Classifier(random_state=np.random.RandomState(0), **SMALL).fit(X, y)


def test_clone_copy_and_pickle_keep_what_they_should(fitted):
    X = swings(6)[0]
    expected = fitted.predict_proba(X)
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict(X)
    for again in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(again.predict_proba(X), expected)


def test_a_pickle_holds_weights_as_bytes_and_no_torch_object(fitted):
    fitted.predict(swings(3)[0])  # the model is in memory now
    words = {word for _, word, _ in pickletools.genops(pickle.dumps(fitted)) if isinstance(word, str)}
    assert "model.safetensors" in words
    assert not [word for word in words if word.startswith(("torch", "builtins", "os", "subprocess"))]


def test_nothing_is_left_behind_and_a_run_is_kept_where_it_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    X, y = swings(30)
    model = Classifier(out=tmp_path / "run", **SMALL).fit(X, y)
    quiet = Classifier(**SMALL).fit(X, y)
    expected = quiet.predict_proba(X)
    assert not any((tmp_path / "temporary").iterdir())
    assert model.run_.has("model.safetensors")
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    run = quiet.save_run(tmp_path / "saved")
    assert run.read("config.json", Plan).model.hidden_size == 6
    rows = pl.DataFrame({"series": np.repeat(0, len(X[0])), "x0": X[0][:, 0], "x1": X[0][:, 1]})
    answer = gatework.load(run).predict(rows).frame
    shares = {name: value for name, value in answer.row(0, named=True).items() if isinstance(value, float)}
    assert max(shares.values()) == pytest.approx(expected[0].max())
    with pytest.raises(InputError, match=r"is not empty\. Expected a place for a run folder"):
        quiet.save_run(tmp_path / "saved")


def test_it_is_at_home_in_searches_pipelines_and_folds():
    X, y = swings(36)
    scores = cross_val_score(Classifier(**SMALL), X, y, cv=2)
    assert scores.shape == (2,)
    rows = np.array([sequence[:8, 0] for sequence in X])
    search = GridSearchCV(make_pipeline(StandardScaler(), Classifier(epochs=1)), {"classifier__hidden_size": [3, 5]}, cv=2)
    search.fit(rows, y)
    assert search.best_params_["classifier__hidden_size"] in (3, 5)
    assert search.predict(rows).shape == (36,)


def test_weights_of_sequences_and_classes_move_the_answers():
    X, y = swings(40)
    noise = [np.random.default_rng(number).normal(size=sequence.shape) for number, sequence in enumerate(X)]  # nothing to see
    means = {}
    for name, more, weight in (
        ("plain", {}, None),
        ("class", {"class_weight": {"high": 9.0}}, None),
        ("sample", {}, np.where(y == "high", 9.0, 1.0)),
        ("both", {"class_weight": "balanced"}, np.where(y == "high", 1.0, 9.0)),
    ):
        plain = Request(calibration="none")  # which would put the shares right again
        model = Classifier(hidden_size=4, epochs=10, learning_rate=0.02, options=plain, **more).fit(
            noise, y, sample_weight=weight
        )
        means[name] = model.predict_proba(noise)[:, 0].mean()
    assert means["class"] == pytest.approx(means["sample"])  # a weight is a weight, wherever it comes from
    assert means["both"] < means["plain"] < means["class"]


def test_options_of_a_training_reach_it():
    X, y = swings(30)
    options = Request(zoneout=0.1, augment=("jitter",), num_layers=2, bidirectional=False)
    model = Classifier(options=options, **SMALL).fit(X, y)
    plan = model.predictor().trained.plan
    assert (plan.model.zoneout, plan.model.num_layers, plan.model.bidirectional) == (0.1, 2, False)
    assert plan.training.augment == {"jitter": 0.05}
    assert plan.model.hidden_size == 6


def test_gaps_are_refused_unless_it_was_said_how_they_are_filled():
    X, y = swings(30)
    X[3][2, 1] = np.nan
    with pytest.raises(ValueError, match=r"Input X contains NaN: sequence 3, step 2, channel 1.*missing='previous'"):
        Classifier(**SMALL).fit(X, y)
    model = Classifier(options=Request(missing="mask"), **SMALL).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([np.zeros((3, 2)), np.zeros((3, 1))], [0, 1], "Sequence 1 of X has 1 channels, sequence 0 has 2"),
        (
            [np.zeros((3, 2, 2)), np.zeros((3, 2, 2))],
            [0, 1],
            r"Sequence 0 of X has 3 axes, shape \(3, 2, 2\); expected \(steps,\)",
        ),
        ([np.zeros((3, 2))] * 3, [0, 1], "y has 2 answers for 3 sequences: inconsistent numbers of samples"),
        ([np.zeros((3, 2))] * 3, [1, 1, 1], "y holds one class only"),
        ([np.zeros((3, 2))], [1], "X has 1 sequences; expected at least 2: one to learn from"),
        ([np.full((3, 2), np.inf)] * 3, [0, 1, 1], "contains an infinite value: sequence 0, step 0, channel 0"),
        ([np.array([["a"], ["b"]])] * 3, [0, 1, 1], "X holds what is no number"),
        ([np.zeros((3, 2))] * 3, None, "requires y to be passed, but the target y is None"),
        ([np.zeros((3, 2))] * 2, [0, 1], "each class has 1 sample"),
        (np.zeros(7), [0] * 7, "Expected 2D array, got 1D array instead"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_with_the_reason(X, y, message):
    with pytest.raises(ValueError, match=message):
        Classifier(**SMALL).fit(X, y)


def test_what_is_wrong_at_prediction_is_said(fitted):
    with pytest.raises(InputError, match="X has 3 features, but Classifier is expecting 2 features"):
        fitted.predict([np.zeros((4, 3))])
    with pytest.raises(NotFittedError):
        Classifier().predict([np.zeros((4, 3))])
    with pytest.raises(NotFittedError):
        Forecaster().predict()
    with pytest.raises(InputError, match="class_weight is 'heavy'; expected None, 'balanced'"):
        Classifier(class_weight="heavy", **SMALL).fit(*swings(10))


def test_a_forecast_continues_what_was_fitted_or_another_history(seer):
    series = waves()
    assert seer.predict().shape == (3,)
    np.testing.assert_allclose(seer.predict(series[-24:]), seer.predict(), atol=1e-5)  # the window is all that it reads
    other = seer.predict(waves(seed=1))
    assert other.shape == (3,)
    assert (other != seer.predict()).any()


def test_many_series_and_targets_come_back_as_they_were_given():
    series = [np.stack([waves(60 + 7 * number, seed=number), waves(60 + 7 * number, seed=9)], axis=1) for number in range(12)]
    model = Forecaster(horizon=2, window=12, **SMALL).fit(series)
    assert model.predict().shape == (12, 2, 2)
    assert model.n_features_in_ == 2
    alone = model.predict([series[10], series[2]])
    np.testing.assert_allclose(alone, model.predict()[[10, 2]], atol=1e-5)
    with pytest.raises(InputError, match="is expecting 2 features as input: 2 targets and 0 covariates"):
        model.predict([waves(60)])
    with pytest.raises(InputError, match="1 of 2 series are too short to be forecast"):
        model.predict([series[0], series[1][:5]])


def test_covariates_known_in_advance_are_asked_for():
    generator = np.random.default_rng(0)
    known = generator.normal(size=(150, 1))
    y = 3 * known[:, 0] + waves(150) * 0.1
    model = Forecaster(horizon=4, window=12, hidden_size=8, epochs=15, options=Request(known_future=("x0",))).fit(
        known[:140], y[:140]
    )
    predicted = model.predict(known[140:144])
    np.testing.assert_allclose(predicted, y[140:144], atol=1.5)
    assert (model.predict(known[140:144] + 1) != predicted).all()
    assert model.score(known[140:144], y[140:144]) == pytest.approx(r2_score(y[140:144], predicted))
    with pytest.raises(gatework.DataError, match="x0"):
        model.predict()
    with pytest.raises(InputError, match="X has 2 features, but the covariates of fit were 1"):
        model.predict(np.zeros((4, 2)))


def test_folds_of_time_score_the_steps_that_follow():
    scores = cross_val_score(Forecaster(horizon=6, window=12, **SMALL), waves(), cv=TimeSeriesSplit(2, test_size=6))
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()


def test_a_frame_is_forecast_as_a_frame():
    times = pd.date_range("2026-01-01", periods=120, freq="h")
    frame = pd.DataFrame({"when": times, "load": waves(), "temp": waves(seed=3)})
    model = Forecaster(horizon=3, window=24, options=Request(target="load", time="when"), **SMALL).fit(frame)
    predicted = model.predict()
    assert predicted["time"].to_list() == [time.to_pydatetime() for time in pd.date_range("2026-01-06", periods=3, freq="h")]
    assert predicted["prediction"].is_finite().all()


def test_no_row_of_a_forecast_is_trained_and_validated_on():
    model = Forecaster(horizon=3, window=12, out=None, **SMALL).fit(waves(100))
    assert model.predictor().trained.plan.horizon == 3
    with pytest.raises(gatework.DataError, match=r"(?i)window|steps"):
        Forecaster(horizon=3, window=50, **SMALL).fit(waves(30))


APPLY = [
    "check_estimator_cloneable", "check_valid_tag_types", "check_estimator_repr", "check_no_attributes_set_in_init",
    "check_parameters_default_constructible", "check_get_params_invariance", "check_set_params",
    "check_do_not_raise_errors_in_init_or_set_params", "check_mixin_order", "check_estimators_unfitted", "check_complex_data",
    "check_estimator_sparse_tag", "check_fit1d", "check_requires_y_none", "check_estimators_empty_data_messages",
    "check_fit2d_1sample", "check_n_features_in", "check_supervised_y_no_nan",
]  # fmt: skip
"""scikit-learn's own checks that cost few trainings; docs/scikit-learn.md says which cannot hold, and why."""


@pytest.mark.parametrize("name", APPLY)
@pytest.mark.parametrize(
    "estimator", [Classifier(hidden_size=3, epochs=1), Regressor(hidden_size=3, epochs=1)], ids=["class", "number"]
)
def test_scikit_learns_own_checks_hold(estimator, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        getattr(estimator_checks, name)(type(estimator).__name__, clone(estimator))


def test_an_array_of_arrays_is_read_as_a_list_of_them():
    random = np.random.default_rng(0)
    X = [random.normal(size=(steps, 2)) for steps in [4, 7, 5] * 6]
    y = np.arange(18) % 2
    packed = np.empty(18, dtype=object)
    packed[:] = X
    small = {"hidden_size": 3, "epochs": 1}
    expected = Classifier(**small).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(Classifier(**small).fit(packed, y).predict_proba(packed), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": None}, "X is None"),
        ({"X": []}, "it has no sequences"),
        ({"X": np.ones((18, 4, 2)) * 1j}, "Complex data not supported"),
        ({"options": {"num_layers": 2}}, "options is dict"),
        ({"options": Request(task="forecast")}, "task='forecast', and Classifier is one of task='classify'"),
        ({"sample_weight": -np.ones(18)}, "sample_weight has -1 for sequence 0"),
    ],
)
def test_what_is_given_wrongly_is_refused_in_words(change, message):
    given = {"X": np.random.default_rng(0).normal(size=(18, 4, 2)), "options": None, "sample_weight": None, **change}
    model = Classifier(hidden_size=3, epochs=1, options=given["options"])
    with pytest.raises(InputError, match=message):
        model.fit(given["X"], np.arange(18) % 2, sample_weight=given["sample_weight"])
