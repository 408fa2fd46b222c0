"""New data for a trained run with a table of labels: who is answered, with which attributes, and what is refused."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gatework.errors import ConfigError, RunError
from gatework.evaluate import Predictor, evaluate_run, predict_run
from gatework.runs import RunFolder
from gatework.train import Request, resume_run
from refusals import refusal
from small_runs import trained

REQUEST = Request(target="readmitted", task="classify", time="visit", hidden_size=8, epochs=2, batch_size=16)


def visits(first: int, count: int, seed: int = 0) -> pl.DataFrame:
    """Five visits each of the patients from number `first` on."""
    generator = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "patient": [f"p{number:03}" for number in range(first, first + count) for _ in range(5)],
            "visit": list(range(5)) * count,
            "pressure": generator.normal(120, 10, 5 * count),
        }
    )


def patients(first: int, count: int, age: float = 40.0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "patient": [f"p{number:03}" for number in range(first, first + count)],
            "age": [age + number % 30 for number in range(count)],
            "readmitted": ["yes" if number % 2 else "no" for number in range(count)],
        }
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clinic")
    visits(0, 60).write_csv(folder / "visits.csv")
    patients(0, 60).write_csv(folder / "patients.csv")
    return folder


@pytest.fixture(scope="module")
def run(files) -> RunFolder:
    request = REQUEST.model_copy(update={"labels": str(files / "patients.csv")})
    return trained(str(files / "visits.csv"), request, files / "run")


def test_only_the_series_of_the_new_data_are_answered(run):
    known = predict_run(run, visits(3, 4, seed=1)).frame
    assert known["series"].to_list() == ["p003", "p004", "p005", "p006"]
    new = predict_run(run, visits(100, 2, seed=1))
    assert new.frame["series"].to_list() == ["p100", "p101"]
    assert [note for note in new.notes if "'age': 2 of 2 values are missing" in note]
    assert [note for note in new.notes if "--labels" in note]


def test_a_labels_table_for_the_new_data_gives_attributes_and_truth(run, tmp_path):
    new = visits(100, 2, seed=1)
    young, old = (predict_run(run, new, labels=patients(100, 2, age)) for age in (20.0, 69.0))
    assert not np.allclose(young.frame["confidence"], old.frame["confidence"])
    assert young.frame["truth"].to_list() == ["no", "yes"]
    assert not [note for note in young.notes if "missing" in note]
    patients(100, 2, 20.0).write_csv(tmp_path / "new.csv")
    assert Predictor(run).predict(new, labels=tmp_path / "new.csv").frame.equals(young.frame)


def test_whoever_stands_in_the_labels_given_is_answered_even_without_visits(run):
    answer = predict_run(run, visits(100, 2), labels=patients(100, 3).drop("readmitted"))
    assert answer.frame["series"].to_list() == ["p100", "p101", "p102"]


def test_new_patients_in_the_training_table_or_no_table_at_all_do_not_break_a_prediction(run, files):
    new = visits(100, 2)
    expected = predict_run(run, new, labels=patients(100, 2))
    before = (files / "patients.csv").read_bytes()
    try:
        pl.concat([patients(0, 60), patients(100, 2)]).write_csv(files / "patients.csv")
        assert predict_run(run, new).frame.equals(expected.frame)
        assert "a file of their own: --labels" in refusal(lambda: evaluate_run(run), RunError)
        (files / "patients.csv").unlink()
        assert predict_run(run, new).frame["series"].to_list() == ["p100", "p101"]
        (files / "patients.csv").write_text("patient,age,readmitted\n")
        assert predict_run(run, new).frame["series"].to_list() == ["p100", "p101"]
    finally:
        (files / "patients.csv").write_bytes(before)


def test_other_data_is_judged_with_its_own_labels_only(run, files):
    new = visits(100, 20, seed=2)
    message = refusal(lambda: evaluate_run(run, data=new))
    assert "--labels" in message
    evaluation = evaluate_run(run, data=new, labels=patients(100, 20))
    assert evaluation.part == "new"
    assert evaluation.num_samples == 20
    assert evaluate_run(run, data=str(files / "visits.csv")).part == "test"  # its own data needs no second word
    assert resume_run(run).path == run.path


def test_labels_that_a_run_cannot_use_are_refused(run, tmp_path):
    with pytest.raises(ConfigError, match="labels was given and no data"):
        evaluate_run(run, labels=patients(0, 60))
    joined = visits(0, 60).join(patients(0, 60), on="patient")
    plain = trained(joined, REQUEST.model_copy(update={"series": "patient"}), tmp_path / "plain")
    with pytest.raises(ConfigError, match="trained without a labels table"):
        predict_run(plain, joined, labels=patients(0, 60))
