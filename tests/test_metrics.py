"""Every metric against scikit-learn or its formula, with missing truths, several targets and degenerate input."""

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from gatework.errors import DataError
from gatework.tasks.metrics import (
    FORECAST_METRICS,
    REGRESSION_METRICS,
    ClassScoring,
    best_simple,
    confusion_counts,
    mae_by_horizon,
    measure_classes,
    measure_forecast,
    measure_regression,
    moved_from,
    point_values,
    reliability,
    seasonal_scale,
)


def forecast(num_samples=33, horizon=7, num_targets=1, missing=0.2, seed=0):
    """Random truth, prediction and reference (a worse prediction), truth partly unobserved."""
    generator = np.random.default_rng(seed)
    truth = 1000 + 10 * generator.normal(size=(num_samples, horizon, num_targets)) * (1 + np.arange(num_targets))
    prediction = truth + generator.normal(size=truth.shape)
    reference = truth + 2 * generator.normal(size=truth.shape)
    truth[generator.random(truth.shape) < missing] = np.nan
    return truth, prediction, reference


def forecast_values(truth, prediction, reference, scales=None, mase_scale=None, names="abc"):
    num_targets = truth.shape[-1]
    scales = np.ones(num_targets) if scales is None else scales
    mase_scale = np.ones((len(truth), num_targets)) if mase_scale is None else mase_scale
    measured = measure_forecast(
        truth, prediction, targets=list(names[:num_targets]), scales=scales, mase_scale=mase_scale, reference=reference
    )
    return point_values(measured)


@settings(max_examples=30, deadline=None)
@given(num_samples=st.integers(2, 33), horizon=st.integers(1, 7), missing=st.floats(0, 0.6), seed=st.integers(0, 10**6))
def test_forecast_errors_are_those_of_scikit_learn_on_the_observed_values(num_samples, horizon, missing, seed):
    truth, prediction, reference = forecast(num_samples, horizon, 1, missing, seed)
    truth[:2, 0] = [[990.0], [1010.0]]
    seen = ~np.isnan(truth)
    values = forecast_values(truth, prediction, reference)
    # 1e-9: float64 sums in another order
    assert values["MAE"] == pytest.approx(sk.mean_absolute_error(truth[seen], prediction[seen]), rel=1e-9)
    assert values["MSE"] == pytest.approx(sk.mean_squared_error(truth[seen], prediction[seen]), rel=1e-9)
    assert values["RMSE"] == pytest.approx(sk.root_mean_squared_error(truth[seen], prediction[seen]), rel=1e-9)
    assert values["R²"] == pytest.approx(sk.r2_score(truth[seen], prediction[seen]), rel=1e-9, abs=1e-9)
    worse = sk.mean_absolute_error(truth[seen], reference[seen])
    assert values["skill"] == pytest.approx(1 - values["MAE"] / worse, rel=1e-9, abs=1e-9)


def test_several_targets_are_reported_apart_and_averaged_over_standard_deviations():
    truth, prediction, reference = forecast(num_targets=3)
    scales = np.array([10.0, 20.0, 30.0])
    values = forecast_values(truth, prediction, reference, scales)
    apart = [forecast_values(*(array[..., [k]] for array in (truth, prediction, reference))) for k in range(3)]
    for k, name in enumerate("abc"):
        for metric in FORECAST_METRICS:
            assert values[f"{metric.name} {name}"] == pytest.approx(apart[k][metric.name])
    for name, power in (("MAE", 1), ("RMSE", 1), ("MSE", 2), ("R²", 0), ("MASE", 0)):
        assert values[name] == pytest.approx(np.mean([apart[k][name] / scales[k] ** power for k in range(3)]))
    ours, theirs = (np.mean([np.nanmean(abs(truth - p)[..., k]) / scales[k] for k in range(3)]) for p in (prediction, reference))
    assert values["skill"] == pytest.approx(1 - ours / theirs)


def test_r2_keeps_its_digits_when_the_truth_is_large_and_nearly_constant():
    truth = 1e8 + np.random.default_rng(0).normal(size=(63, 1))
    prediction = truth + 0.5
    value = point_values(measure_regression(truth, prediction, targets=["y"], scales=np.ones(1)))["R²"]
    assert value == pytest.approx(sk.r2_score(truth, prediction), abs=1e-6)  # 1e8 has eight digits left behind the point


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9])
def test_r2_of_a_constant_truth_is_not_defined(constant):
    truth = np.full((10, 1), constant)
    assert point_values(measure_regression(truth, truth + 1, targets=["y"], scales=np.ones(1)))["R²"] is None


def test_nothing_observed_gives_no_values():
    truth, prediction, reference = forecast(missing=0.0)
    assert set(forecast_values(truth * np.nan, prediction, reference).values()) == {None}


def test_regression_with_missing_truths_is_scikit_learn_per_target():
    generator = np.random.default_rng(1)
    truth = generator.normal(size=(63, 2))
    prediction = truth + generator.normal(size=truth.shape)
    truth[generator.random(truth.shape) < 0.3] = np.nan
    values = point_values(measure_regression(truth, prediction, targets=["u", "v"], scales=np.ones(2)))
    for k, name in enumerate("uv"):
        seen = ~np.isnan(truth[:, k])
        assert values[f"RMSE {name}"] == pytest.approx(sk.root_mean_squared_error(truth[seen, k], prediction[seen, k]))
        assert values[f"MAE {name}"] == pytest.approx(sk.mean_absolute_error(truth[seen, k], prediction[seen, k]))
        assert values[f"R² {name}"] == pytest.approx(sk.r2_score(truth[seen, k], prediction[seen, k]))
    assert [name for name in values if " " not in name] == [metric.name for metric in REGRESSION_METRICS]


def test_mase_is_the_error_over_the_in_sample_seasonal_naive_error_of_each_series():
    generator = np.random.default_rng(2)
    lengths = [50, 0, 41]
    offsets = np.cumsum([0, *lengths])
    raw = generator.normal(size=(91, 1)) * np.repeat([1.0, 1.0, 100.0], lengths)[:, None]
    raw[generator.random(raw.shape) < 0.1] = np.nan
    is_train = np.concatenate([np.arange(50) < 40, np.arange(41) < 30])
    scale = seasonal_scale(raw, offsets, is_train, period=7)
    series = [raw[:40, 0], raw[50:80, 0]]
    expected = [np.nanmean(abs(one[7:] - one[:-7])) for one in series]
    assert scale[[0, 2], 0] == pytest.approx(expected)
    assert scale[1, 0] == pytest.approx(np.mean(expected))  # no row of its own: the mean of the others
    truth, prediction, reference = forecast(num_samples=10)
    which = np.array([0, 2] * 5)
    by_hand = np.nanmean(abs(truth - prediction) / scale[which][:, None])
    assert forecast_values(truth, prediction, reference, mase_scale=scale[which])["MASE"] == pytest.approx(by_hand)


def test_a_series_that_repeats_itself_exactly_has_no_mase():
    raw = np.tile([1.0, 2.0, 3.0], 10)[:, None]
    assert np.isnan(seasonal_scale(raw, np.array([0, 30]), np.ones(30, dtype=bool), period=3)).all()
    truth, prediction, reference = forecast(num_samples=4)
    assert forecast_values(truth, prediction, reference, mase_scale=np.full((4, 1), np.nan))["MASE"] is None


def test_the_best_simple_baseline_and_the_error_by_horizon_leave_out_missing_truths():
    truth, prediction, reference = forecast(num_targets=2)
    assert best_simple(truth, {"far": reference, "near": prediction}, np.ones(2)) == "near"
    assert mae_by_horizon(truth, prediction) == pytest.approx(np.nanmean(abs(truth - prediction), axis=0))


def test_a_prediction_that_is_not_a_number_is_an_error():
    truth, prediction, reference = forecast()
    prediction[~np.isnan(truth)] = np.inf
    with pytest.raises(DataError, match=r"infinite or not a number.*--learning-rate"):
        forecast_values(truth, prediction, reference)


def classes(num_samples=63, num_classes=3, seed=0, ties=False):
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, num_classes, num_samples)
    truth[:num_classes] = np.arange(num_classes)
    logits = generator.normal(size=(num_samples, num_classes))
    logits[np.arange(num_samples), truth] += 1
    probabilities = np.exp(np.round(logits) if ties else logits)
    return truth, probabilities / probabilities.sum(1, keepdims=True)


@settings(max_examples=40, deadline=None)
@given(num_classes=st.integers(2, 6), num_samples=st.integers(7, 63), seed=st.integers(0, 10**6), ties=st.booleans())
def test_classification_metrics_are_those_of_scikit_learn(num_classes, num_samples, seed, ties):
    truth, probabilities = classes(num_samples, num_classes, seed, ties)
    values = point_values(measure_classes(truth, probabilities))
    chosen = probabilities.argmax(1)
    assert values["accuracy"] == pytest.approx(sk.accuracy_score(truth, chosen))
    assert values["macro-F1"] == pytest.approx(sk.f1_score(truth, chosen, average="macro"))
    score = probabilities[:, 1] if num_classes == 2 else probabilities
    assert values["AUROC"] == pytest.approx(sk.roc_auc_score(truth, score, multi_class="ovr"))
    assert values["log-loss"] == pytest.approx(sk.log_loss(truth, probabilities))
    one_hot = np.eye(num_classes)[truth]
    assert values["Brier"] == pytest.approx(((probabilities - one_hot) ** 2).sum(1).mean())
    assert (confusion_counts(truth, probabilities) == sk.confusion_matrix(truth, chosen, labels=range(num_classes))).all()
    assert list(values) == [metric.name for metric in ClassScoring(positive=1 if num_classes == 2 else None).metrics]


def test_calibration_error_is_the_weighted_gap_between_confidence_and_accuracy():
    truth, probabilities = classes(300, 4)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == truth
    gap = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        gap += abs(confidence[inside].sum() - right[inside].sum()) / 300
    assert point_values(measure_classes(truth, probabilities))["calibration error"] == pytest.approx(gap)
    mean, share, count = reliability(truth, probabilities)
    assert (abs(mean - share) * count).sum() / count.sum() == pytest.approx(gap)


def test_unknown_truths_are_left_out():
    truth, probabilities = classes(63, 3)
    with_unknown = np.concatenate([truth, [-1, -1]])
    more = np.concatenate([probabilities, np.full((2, 3), np.nan)])
    assert point_values(measure_classes(with_unknown, more)) == point_values(measure_classes(truth, probabilities))
    assert (confusion_counts(with_unknown, more) == confusion_counts(truth, probabilities)).all()


def test_auroc_of_one_class_is_not_defined_and_classes_without_members_are_left_out():
    _, probabilities = classes(10, 3)
    assert point_values(measure_classes(np.zeros(10, dtype=int), probabilities))["AUROC"] is None
    truth = np.arange(10) % 2  # class 2 never occurs
    expected = np.mean([sk.roc_auc_score(truth == k, probabilities[:, k]) for k in range(2)])
    assert point_values(measure_classes(truth, probabilities))["AUROC"] == pytest.approx(expected)


def test_a_certain_wrong_answer_costs_a_finite_log_loss():
    value = point_values(measure_classes(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]])))["log-loss"]
    assert value == pytest.approx(-np.log(np.finfo(float).eps) / 2)


def test_probabilities_that_do_not_sum_to_one_are_an_error():
    with pytest.raises(DataError, match="sum to 1"):
        measure_classes(np.array([0]), np.array([[0.9, 0.9]]))


@pytest.mark.parametrize(
    ("unit", "squared"),
    [("µg/m³", "(µg/m³)²"), ("m³", "(m³)²"), ("km h", "(km h)²"), ("°C", "°C²"), ("kW", "kW²"), ("%", "(%)²"), ("", "")],
)
def test_a_unit_with_a_power_or_a_quotient_is_squared_in_parentheses(unit: str, squared: str) -> None:
    info = next(metric for metric in REGRESSION_METRICS if metric.name == "MSE").info(unit)
    assert info.unit == squared


def test_the_unit_of_the_target_is_written_into_the_metrics():
    truth, prediction, reference = forecast(num_samples=3)
    measured = measure_forecast(
        truth, prediction, targets=["pm"], scales=np.ones(1), mase_scale=np.ones((3, 1)), reference=reference, target_units=["µg"]
    )
    assert {info.name: info.unit for info in measured.metrics} == {
        "MAE": "µg", "RMSE": "µg", "MSE": "µg²", "R²": "", "MASE": "", "skill": ""
    }  # fmt: skip


def test_moved_from_is_the_share_of_the_way_that_the_truth_goes_away_from_the_last_value():
    last, truth = np.zeros((3, 4, 1)), np.full((3, 4, 1), 2.0)
    truth[0] = np.nan
    assert moved_from(truth, last + 0.1, last) == pytest.approx(0.05)
    assert moved_from(last, last + 0.1, last) is None
