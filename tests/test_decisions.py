"""Calibration, thresholds, losses and metrics of classes against closed forms, scikit-learn, torch and brute force."""

import numpy as np
import pytest
import scipy.special
import sklearn.metrics as sk
import torch

from gatework.runs import DecisionPlan
from gatework.tasks.calibration import Calibration, fit_calibration
from gatework.tasks.class_loss import ClassLoss
from gatework.tasks.decide import Rule, Wish, fit_rule
from gatework.tasks.metrics import ClassScoring, measure_classes, point_values, scoring_for
from gatework.tasks.metrics.ranking import auroc, average_precision, let_in, precision_at


def random_case(count: int = 400, num_classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores and classes drawn from the probabilities that they mean."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(0, 1.5, (count, num_classes))
    probabilities = scipy.special.softmax(scores, axis=1)
    truth = (probabilities.cumsum(1) < generator.random((count, 1))).sum(1).clip(max=num_classes - 1)
    return scores, truth.astype(np.int64)


# Metrics


def test_the_metrics_of_two_classes_are_scikit_learns():
    scores, truth = random_case(301)
    probabilities = scipy.special.softmax(np.round(scores, 1), axis=1)  # rounded: ties
    decided = (probabilities[:, 1] >= 0.3).astype(np.int64)
    found = point_values(measure_classes(truth, probabilities, ClassScoring(positive=1, costs=(1.0, 7.0)), decided))
    precision, recall, _, _ = sk.precision_recall_fscore_support(truth, decided, labels=[0, 1])
    expected = {
        "accuracy": sk.accuracy_score(truth, decided),
        "balanced accuracy": sk.balanced_accuracy_score(truth, decided),
        "sensitivity": recall[1],
        "specificity": recall[0],
        "precision": precision[1],
        "macro-F1": sk.f1_score(truth, decided, average="macro"),
        "MCC": sk.matthews_corrcoef(truth, decided),
        "AUROC": sk.roc_auc_score(truth, probabilities[:, 1]),
        "PR-AUC": sk.average_precision_score(truth, probabilities[:, 1]),
        "log-loss": sk.log_loss(truth, probabilities),
        "cost": (7 * ((truth == 1) & (decided == 0)).sum() + ((truth == 0) & (decided == 1)).sum()) / 301,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-6)


def test_the_metrics_of_many_classes_are_scikit_learns_macro_averages():
    scores, truth = random_case(500, num_classes=5)
    probabilities = scipy.special.softmax(scores, axis=1)
    found = point_values(measure_classes(truth, probabilities))
    one_of = np.eye(5)[truth]
    assert found["PR-AUC"] == pytest.approx(sk.average_precision_score(one_of, probabilities, average="macro"), rel=1e-6)
    assert found["MCC"] == pytest.approx(sk.matthews_corrcoef(truth, probabilities.argmax(1)))
    assert "sensitivity" not in found


@pytest.mark.parametrize("seed", range(4))
def test_a_weight_in_a_resample_is_that_many_copies(seed):
    generator = np.random.default_rng(seed)
    score, inside = generator.integers(0, 6, 40) / 6, generator.random(40) < 0.3
    weight = generator.integers(0, 4, (40, 1)).astype(np.float32)
    copies = np.repeat(np.arange(40), weight[:, 0].astype(int))
    found = let_in(score, inside, weight)
    assert auroc(found)[0] == pytest.approx(sk.roc_auc_score(inside[copies], score[copies]))
    assert average_precision(found)[0] == pytest.approx(sk.average_precision_score(inside[copies], score[copies]))


def test_precision_at_k_counts_the_highest_and_shares_a_tie():
    score = np.array([0.9, 0.8, 0.5, 0.5, 0.5, 0.1])
    inside = np.array([True, False, True, False, False, True])
    found = let_in(score, inside, np.ones((6, 1), np.float32))
    assert [precision_at(found, k)[0] for k in (1, 2, 6)] == pytest.approx([1.0, 0.5, 0.5])
    assert precision_at(found, 3)[0] == pytest.approx((1 + 1 / 3) / 3)  # one of three equal ones, one of which is inside
    assert precision_at(found, None)[0] == precision_at(found, 3)[0]
    assert precision_at(found, 9)[0] == 0.5


def test_one_class_alone_has_no_ranking_and_no_correlation():
    found = point_values(measure_classes(np.zeros(9, dtype=np.int64), np.tile([0.7, 0.3], (9, 1))))
    assert found["AUROC"] is None
    assert found["PR-AUC"] is None
    assert found["MCC"] is None
    assert found["sensitivity"] is None
    assert found["specificity"] == 1.0


def test_the_leading_metric_is_one_that_the_frequent_class_cannot_flatter():
    assert scoring_for([90, 10]).lead == "PR-AUC"
    assert scoring_for([60, 40]).lead == "accuracy"
    assert scoring_for([90, 5, 5]).lead == "macro-F1"
    assert scoring_for([90, 10], costs=(1.0, 5.0)).metrics[0].name == "cost"
    assert scoring_for([10, 90]).positive == 0


# Calibration


def test_a_temperature_that_was_put_in_is_found_again():
    scores, truth = random_case(20_000, num_classes=4)
    found = fit_calibration("temperature", scores * 3.0, truth)
    assert found.scale == pytest.approx(1 / 3, rel=0.05)
    assert found.shifts == (0.0,) * 4


def test_platt_undoes_what_class_weights_did():
    scores, truth = random_case(20_000)
    weights = (0.25, 4.0)
    bent = scores + np.log(weights)  # what a loss with these weights makes of the scores
    found = fit_calibration("platt", bent, truth, weights)
    assert found.scale == pytest.approx(1.0, abs=0.05)
    assert np.diff(found.shifts)[0] == pytest.approx(np.log(0.25 / 4.0), abs=0.1)
    honest = found.probabilities(bent)
    assert honest[:, 1].mean() == pytest.approx(truth.mean(), abs=0.005)


def test_a_few_sequences_that_are_all_right_do_not_make_a_model_certain():
    scores = np.tile([2.0, 0.0], (8, 1))
    found = fit_calibration("temperature", scores, np.zeros(8, dtype=np.int64))
    assert 1.0 < found.scale < 1.5


def test_calibration_leaves_no_smaller_loss_beside_it():
    scores, truth = random_case(200, num_classes=3)
    found = fit_calibration("temperature", scores, truth)

    def penalised(scale: float) -> float:
        given = Calibration(scale, (0.0,) * 3).probabilities(scores)[np.arange(200), truth]
        return float(-np.log(given).sum() + 0.5 * ((scale - 1) / 0.5) ** 2)

    assert penalised(found.scale) <= min(penalised(found.scale + step) for step in (-0.01, 0.01))


def test_no_calibration_is_the_softmax_itself():
    scores, truth = random_case(20)
    found = fit_calibration("none", scores, truth)
    assert np.allclose(found.probabilities(scores), scipy.special.softmax(scores, axis=1))


# Decisions


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_costs_less_than_the_chosen_one(seed):
    scores, truth = random_case(60, seed=seed)
    score = scipy.special.softmax(scores, axis=1)[:, 1]

    def cost(threshold: float) -> float:
        decided = score >= threshold
        return 20 * ((truth == 1) & ~decided).sum() + 1 * ((truth == 0) & decided).sum()

    chosen, _ = Wish(costs=(20.0, 1.0)).threshold(score, truth == 1)
    assert cost(chosen) == min(cost(threshold) for threshold in [0, 1.1, *score])


def test_where_all_thresholds_cost_the_same_the_honest_one_is_taken():
    chosen, _ = Wish(costs=(20.0, 1.0)).threshold(np.array([0.9, 0.01]), np.array([True, False]))
    assert chosen == pytest.approx(1 / 21)


def test_a_wanted_sensitivity_and_precision_are_reached_and_no_more_is_given_away():
    scores, truth = random_case(300, seed=2)
    score, positive = scipy.special.softmax(scores, axis=1)[:, 1], truth == 1
    chosen, reached = Wish(sensitivity=0.9).threshold(score, positive)
    higher = min(value for value in score if value >= chosen)
    assert reached
    assert (score >= chosen)[positive].mean() >= 0.9
    assert (score > higher)[positive].mean() < 0.9
    chosen, reached = Wish(precision=0.8).threshold(score, positive)
    assert reached
    assert positive[score >= chosen].mean() >= 0.8
    assert all(positive[score >= lower].mean() < 0.8 for lower in score[score < chosen])


def test_a_precision_that_nothing_reaches_is_said():
    _, reached = Wish(precision=0.9).threshold(np.array([0.9, 0.8, 0.7]), np.array([False, True, False]))
    assert not reached


def test_costs_of_many_classes_weigh_their_probabilities():
    rule, _ = fit_rule(DecisionPlan(costs={"a": 1.0, "b": 1.0, "c": 9.0}), ["a", "b", "c"], np.zeros(0, int), np.zeros((0, 3)))
    assert rule.decide(np.array([[0.6, 0.3, 0.1], [0.9, 0.05, 0.05]])).tolist() == [2, 0]
    assert Rule().decide(np.array([[0.6, 0.3, 0.1]])).tolist() == [0]


# Losses


def test_cross_entropy_and_its_weights_are_torchs():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    targets = torch.randint(-1, 3, (50,), generator=generator)
    plain = torch.nn.functional.cross_entropy(scores, targets, ignore_index=-1)
    assert torch.allclose(ClassLoss()(scores, targets), plain)
    weights = (0.5, 1.0, 4.0)
    summed = torch.nn.functional.cross_entropy(
        scores, targets, weight=torch.tensor(weights, dtype=torch.float64), ignore_index=-1, reduction="sum"
    )
    assert torch.allclose(ClassLoss(weights=weights)(scores, targets), summed / (targets >= 0).sum())


def test_focal_loss_is_its_formula_with_gradients():
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(30, 4, generator=generator, dtype=torch.float64).requires_grad_()
    targets = torch.randint(0, 4, (30,), generator=generator)
    given = torch.softmax(scores, 1)[torch.arange(30), targets]
    formula = (-((1 - given) ** 2) * given.log()).mean()
    loss = ClassLoss(gamma=2.0)(scores, targets)
    assert torch.allclose(loss, formula)
    ours, theirs = torch.autograd.grad(loss, scores), torch.autograd.grad(formula, scores)
    assert torch.allclose(ours[0], theirs[0], atol=1e-12)


def test_focal_loss_stays_finite_where_the_model_is_certain():
    scores = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    loss = ClassLoss(gamma=2.0)(scores, torch.tensor([0, 0]))
    loss.backward()
    assert loss.item() == pytest.approx(100.0)
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()
