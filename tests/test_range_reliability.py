"""Observed against nominal coverage: on the diagonal where a forecast is right, off it by as much as a formula says."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from gatework.evaluate import evaluate_run
from gatework.report import write_report
from gatework.report.notebook import evaluation_html
from gatework.runs.figures import RANGE_FIGURES, RANGE_RELIABILITY
from gatework.tasks.outputs import Gaussian, NegativeBinomial
from gatework.tasks.range_reliability import NOMINAL, coverage_from_errors, own_coverage
from small_runs import QUICK, trained, waves

COUNT = 20_000  # a share of so many has a standard error below 0.4 points


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_a_spread_that_is_wrong_by_a_factor_leaves_the_diagonal_as_the_normal_distribution_says(factor):
    truth = np.random.default_rng(0).normal(3.0, 2.0, COUNT)
    truth[::7] = np.nan
    numbers = np.tile([3.0, 2.0 * factor], (COUNT, 1))
    found = own_coverage(Gaussian(), numbers, truth)
    assert [nominal for nominal, _ in found] == list(NOMINAL)
    expected = 2 * stats.norm.cdf(factor * stats.norm.ppf(0.5 + np.array(NOMINAL) / 2)) - 1
    np.testing.assert_allclose([observed for _, observed in found], expected, atol=0.015)


def test_counts_are_on_the_diagonal_although_their_quantiles_are_steps():
    numbers = np.tile([1.5, 0.5], (COUNT, 1))
    truth = NegativeBinomial().sample(numbers, 1, np.random.default_rng(1))[0]
    found = own_coverage(NegativeBinomial(), numbers, truth)
    np.testing.assert_allclose([observed for _, observed in found], NOMINAL, atol=0.015)


def test_ranges_from_past_errors_hold_their_share_whatever_the_errors():
    # 40 repetitions of 250 past errors: a standard error of half a point
    generator = np.random.default_rng(0)
    held = []
    for _ in range(40):
        past, coming = (generator.lognormal(size=(count, 3)) - 1.0 for count in (250, 400))
        held.append([observed for _, observed in coverage_from_errors(past, coming)])
    np.testing.assert_allclose(np.mean(held, axis=0), NOMINAL, atol=0.03)


def test_shares_that_so_few_past_errors_give_no_end_for_are_left_out():
    past = np.random.default_rng(0).normal(size=(20, 2))
    assert [nominal for nominal, _ in coverage_from_errors(past, past)] == list(NOMINAL[:-1])
    assert coverage_from_errors(past, np.full((5, 2), np.nan)) == ()
    assert own_coverage(Gaussian(), np.ones((5, 2)), np.full(5, np.nan)) == ()


@pytest.mark.parametrize("output", ["point", "quantiles", "gaussian"])
def test_an_evaluation_has_the_curve_and_the_report_and_a_notebook_draw_it(output, tmp_path: Path):
    frame = waves(1200, noise=1.0)
    wanted = QUICK.model_copy(update={"epochs": 2, "output": output, "validation_share": 0.3, "test_share": 0.3})
    folder = trained(frame, wanted, tmp_path / "run")
    evaluation = evaluate_run(folder, frame)
    figure = next(figure for figure in evaluation.figures if figure.name == RANGE_RELIABILITY)
    assert [(x, y) for x, y, _ in figure.points] == [(one.level, one.coverage) for one in evaluation.uncertainty.intervals]
    assert tuple(zip(figure.curves[0].x, figure.curves[0].y, strict=True)) == evaluation.uncertainty.coverage
    observed = [y for _, y in evaluation.uncertainty.coverage]
    assert observed == sorted(observed)
    if output == "point":  # the same errors as the ranges, or some of them
        assert dict(evaluation.uncertainty.coverage)[0.8] == pytest.approx(evaluation.uncertainty.intervals[0].coverage, abs=0.04)
    page = write_report(folder).read_text()
    section = page[page.index("<h3>Ranges</h3>") : page.index("<h3>As a table</h3>")]
    for name in RANGE_FIGURES:
        assert f'id="figure-{name}"' in section
        assert page.count(f'id="figure-{name}"') == 1
    assert f"{100 * evaluation.uncertainty.intervals[0].coverage:.1f} %" in section
    assert figure.title in evaluation_html(evaluation)


def test_ranges_without_calibration_have_the_curve_of_the_network(tmp_path: Path):
    wanted = QUICK.model_copy(update={"epochs": 1, "output": "gaussian", "calibrate": "none"})
    uncertainty = evaluate_run(trained(waves(), wanted, tmp_path / "run"), waves()).uncertainty
    assert dict(uncertainty.coverage)[0.8] == pytest.approx(uncertainty.intervals[0].coverage, abs=1e-9)
