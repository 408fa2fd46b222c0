"""Scores for each value of an attribute: those of its samples alone, differences from the same draws, the worst one in words."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from anomaly_runs import QUICK as DETECTOR
from anomaly_runs import machine
from cli_runs import Gatework, complaint
from gatework.errors import ConfigError, DataError
from gatework.evaluate import evaluate_run
from gatework.evaluate.bootstrap import NUM_RESAMPLES, Units, bootstrap, draw_weights
from gatework.evaluate.differences import differences
from gatework.report import write_report
from gatework.runs import RunFolder
from gatework.tasks.metrics import measure_classes, measure_regression
from refusals import refusal
from small_runs import CLASSES, latches, means, trained


def judged(count: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Truth, probabilities, sex and person: the model finds the positive class better in 'm'; two persons are 'x'."""
    generator = np.random.default_rng(seed)
    person = np.repeat(np.arange(count // 4), 4)
    sex = np.where(person % 2 == 0, "f", "m")
    sex = np.where(person < 2, "x", sex)
    truth = generator.integers(0, 2, count)
    sharp = np.where(sex == "m", 3.0, 1.0)
    score = 1 / (1 + np.exp(-sharp * (2 * truth - 1 + generator.normal(0, 1.5, count))))
    return truth, np.stack([1 - score, score], axis=1), sex, person


def test_each_value_has_the_scores_of_its_samples_alone() -> None:
    truth, probabilities, sex, person = judged()
    found = differences(measure_classes(truth, probabilities), Units(person, "people"), "sex", sex.tolist(), seed=0)
    assert [(group.value, group.num_samples, group.num_units) for group in found.groups] == [
        (value, int((sex == value).sum()), len(np.unique(person[sex == value]))) for value in ("f", "m", "x")
    ]
    for group in found.groups:
        inside = sex == group.value
        again = np.unique(person[inside], return_inverse=True)[1]
        alone = bootstrap(measure_classes(truth[inside], probabilities[inside]), again, num_resamples=1).scores()
        for name, score in group.scores.items():
            assert score.value == pytest.approx(alone[name].value, rel=1e-12)
            assert (score.low is None) == (group.value == "x"), "two people are too few for an interval"
    assert {gap.num_compared for gap in found.gaps} == {2}
    assert "Too few to be compared: x." in found.sentence


def test_a_difference_and_its_interval_are_those_of_the_same_draws() -> None:
    truth, probabilities, sex, person = judged()
    found = differences(measure_classes(truth, probabilities), Units(person, "people"), "sex", sex.tolist(), seed=5)
    gap = next(gap for gap in found.gaps if gap.metric == "sensitivity")
    right = (probabilities.argmax(1) == 1) & (truth == 1)
    number = int(person.max()) + 1
    hits, all_ill = (
        {value: np.bincount(person[(sex == value) & chosen], minlength=number) for value in ("f", "m")}
        for chosen in (right, truth == 1)
    )
    weights = np.concatenate([np.ones((1, number)), draw_weights(np.random.default_rng(5), number, NUM_RESAMPLES)])
    share = {value: (weights @ hits[value]) / (weights @ all_ill[value]) for value in ("f", "m")}
    apart = share[gap.higher] - share[gap.lower]
    assert gap.difference.value == pytest.approx(apart[0], rel=1e-12)
    assert (gap.difference.low, gap.difference.high) == pytest.approx(tuple(np.percentile(apart[1:], [2.5, 97.5])), rel=1e-12)


def test_the_worst_difference_is_named_and_one_that_may_be_chance_is_called_so() -> None:
    truth, probabilities, sex, person = judged()
    sensitive = measure_classes(truth, probabilities)
    found = differences(sensitive, Units(person, "people"), "sex", sex.tolist(), seed=0)
    candidates = [gap for gap in found.gaps if gap.metric in ("sensitivity", "specificity", "calibration error")]
    worst = max(candidates, key=lambda gap: gap.difference.value)
    assert found.sentence.startswith(f"By sex: {worst.metric} differs most")
    assert "It is the largest of 3 differences" in found.sentence
    by_chance = np.random.default_rng(1).permutation(np.array(["a", "b"] * 30))[person].tolist()
    nothing = differences(sensitive, Units(person, "people"), "coin", by_chance, seed=0)
    assert any(gap.difference.low < 0 < gap.difference.high for gap in nothing.gaps)


def test_a_model_that_is_as_good_for_all_has_no_difference() -> None:
    truth = np.tile([0, 1, 1, 0], 30)
    probabilities = np.stack([1 - 0.9 * truth, 0.9 * truth], axis=1)
    units = Units(np.repeat(np.arange(30), 4), "people")
    found = differences(measure_classes(truth, probabilities), units, "site", ["a", "b"] * 60, seed=0)
    assert next(gap for gap in found.gaps if gap.metric == "sensitivity").difference.value == 0
    assert "It may be chance." in found.sentence


def test_numbers_are_told_apart_by_their_errors() -> None:
    generator = np.random.default_rng(0)
    truth, error = generator.normal(size=(90, 1)), generator.normal(size=(90, 1))
    site = np.array(["a", "b", "b"] * 30)
    error[site == "b"] *= 3
    measured = measure_regression(truth, truth + error, targets=["y"], scales=np.ones(1))
    found = differences(measured, Units(np.arange(90), "sequences"), "site", site.tolist(), seed=0)
    for group in found.groups:
        expected = float(np.sqrt(np.mean(error[site == group.value] ** 2)))
        assert group.scores["RMSE"].value == pytest.approx(expected, rel=1e-12)
    gap = next(gap for gap in found.gaps if gap.metric == "RMSE")
    assert (gap.higher, gap.lower) == ("b", "a")
    assert gap.difference.low > 0
    assert found.sentence.startswith("By site: RMSE differs most")
    assert "chance" not in found.sentence.replace("partly chance", "")


def patients() -> pl.DataFrame:
    """Latches with a sex, which is no input, a site, which is one, a dose that varies, and a number for each."""
    frame = latches(90, 5)
    number = pl.col("id").str.slice(1).cast(pl.Int64)
    return frame.with_columns(
        sex=pl.when(number % 3 == 0).then(pl.lit("f")).otherwise(pl.lit("m")),
        site=pl.when(number % 2 == 0).then(pl.lit("north")).otherwise(pl.lit("south")),
        dose=pl.col("step").cast(pl.String),
        number=number,
        empty=pl.when(number % 7 == 0).then(pl.lit("yes")),
    )


REQUEST = CLASSES.model_copy(update={"ignore": ("sex", "dose", "number", "empty"), "static": ("site",), "epochs": 1})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("differences")
    patients().write_csv(folder / "patients.csv")
    return trained(str(folder / "patients.csv"), REQUEST, folder / "run")


def test_a_column_tells_scores_apart_whether_or_not_the_model_was_given_it(run: RunFolder) -> None:
    evaluation = evaluate_run(run, by=("sex", "site"))
    assert [each.attribute for each in evaluation.differences] == ["sex", "site"]
    rows = pl.read_parquet(run.file("predictions.parquet")).join(
        patients().select(pl.col("id").alias("series"), "sex", "site").unique(), on="series", validate="1:1"
    )
    for each in evaluation.differences:
        for group in each.groups:
            own = rows.filter(pl.col(each.attribute) == group.value)
            assert group.num_samples == own.height
            assert group.scores["accuracy"].value == pytest.approx((own["truth"] == own["prediction"]).mean())
    assert evaluate_run(run).differences == ()


def test_the_report_shows_the_differences(run: RunFolder) -> None:
    evaluation = evaluate_run(run, by=["sex"])
    page = write_report(run).read_text()
    assert "By sex" in page
    assert "largest difference" in page
    assert evaluation.differences[0].sentence.startswith("By sex: ")


def test_other_data_is_told_apart_by_its_own_column(run: RunFolder, tmp_path: Path) -> None:
    elsewhere = patients().with_columns(pl.when(pl.col("sex") == "f").then(pl.lit("d")).otherwise(pl.col("sex")).alias("sex"))
    elsewhere.head(300).write_csv(tmp_path / "elsewhere.csv")
    evaluation = evaluate_run(run, data=tmp_path / "elsewhere.csv", by=["sex"])
    assert [group.value for group in evaluation.differences[0].groups] == ["d", "m"]
    assert sum(group.num_samples for group in evaluation.differences[0].groups) == evaluation.num_samples == 60


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sexx", "Did you mean 'sex'?"),
        ("dose", "Column 'dose' has several values in series 's000'"),
        ("number", "has 90 different values. Expected 2 to 12"),
        ("empty", "has 1 different values"),
    ],
)
def test_a_column_that_tells_nothing_apart_is_refused(name: str, words: str, run: RunFolder) -> None:
    assert words in refusal(lambda: evaluate_run(run, by=[name]), DataError)


def test_the_command_shows_the_table_and_the_worst_difference(run: RunFolder, gatework: Gatework) -> None:
    done = gatework(f"evaluate {run.path} --by sex,site")
    assert done.code == 0, done.err
    assert "\nBy sex\n" in done.out
    assert "largest difference" in done.out
    assert "By site: " in done.out
    assert "no column 'age'" in complaint(gatework(f"evaluate {run.path} --by age"))


def test_regressions_are_told_apart_and_detectors_are_not(tmp_path: Path) -> None:
    frame = means(60, 5).with_columns(
        site=pl.when(pl.col("id").str.slice(1).cast(pl.Int64) % 2 == 0).then(pl.lit("a")).otherwise(pl.lit("b"))
    )
    request = CLASSES.model_copy(update={"target": "answer", "task": "regress", "epochs": 1, "ignore": ("site",)})
    done = evaluate_run(trained(frame, request, tmp_path / "run"), data=frame, by=["site"])
    assert {"RMSE", "MAE", "R²"} == set(done.differences[0].groups[0].scores)
    detector = trained(machine(600, planted=False), DETECTOR.model_copy(update={"epochs": 1}), tmp_path / "detector")
    assert "Leave --by out" in refusal(lambda: evaluate_run(detector, data=machine(600, planted=False), by=["site"]), ConfigError)
