"""What bad input gets from the command line: one message in three parts, exit code 2, and nothing left behind."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli_runs import SMALL, Gatework, complaint, load_rows, with_cell, write_csv

SEVERAL = "id,step,x,kind,part"


def bad_training_files() -> None:
    """One file for each mistake."""
    rows = load_rows()
    Path("empty.csv").write_text("", encoding="utf-8")
    write_csv("good.csv", rows)
    write_csv("one.csv", rows[:1])
    write_csv("text.csv", with_cell(40, 2, "n/a?"))
    write_csv("infinite.csv", with_cell(40, 2, "inf"))
    write_csv("constant.csv", [[row[0], "5", *row[2:]] for row in rows])
    write_csv("twice.csv", rows[:100] + rows[99:])
    parts = ["train"] * 20 + ["validation"] * 5 + ["test"] * 7
    several = [
        [f"s{i}", str(step), str(i % 2 + 0.1 * step), "c" if i > 29 else "ab"[i % 2], parts[i]]
        for i in range(32)
        for step in range(5)
    ]
    write_csv("classes.csv", several, SEVERAL)
    Path("unknown.toml").write_text('target = "load"\nhorzion = 3\n', encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "given", "expected", "cure"),
    [
        ("train god.csv --target load", "'god.csv' does not exist", "Expected a data file", "Did you mean 'good.csv'?"),
        ("train empty.csv --target load", "'empty.csv' is empty", "Expected a header", "Check how it was exported"),
        ("train one.csv --target load", "1 row", "Expected at least two", "Check that the file is complete"),
        ("train good.csv --target laod", "no column 'laod'", "Expected a column", "Did you mean 'load'?"),
        ("train good.csv", "No target", "Expected the column to predict", "--target"),
        ("train text.csv --target load", "'temp' has 'n/a?' in row 41", "Expected a number", "--kind temp=categorical"),
        ("train infinite.csv --target load", "'temp' is infinite in row 41", "Expected finite numbers", "Leave the cell empty"),
        ("train constant.csv --target load", "'load' is always 5", "Expected a target that varies", "--target"),
        ("train twice.csv --target load", "rows 100, 101", "Expected each time once", "Remove the repeats"),
        ("train classes.csv --target kind", "Class 'c' of 'kind' occurs only in test", "seen in training", "leave the class out"),
        ("train good.csv --target load --horizon 0", "horizon is 0", "expected a whole number of at least 1", "--horizon 1"),
        ("train good.csv --target load --horizon -3", "horizon is -3", "expected a whole number of at least 1", "--horizon 1"),
        ("train good.csv --target load --horizon x", "'--horizon x'", "Expected a whole number", "--horizon 24"),
        ("train good.csv --target load --window 400", "300 steps", "A sample needs", "smaller --window"),
        ("train good.csv --target load --cell lstn", "no cell 'lstn'", "Did you mean 'lstm'?", "Cell"),
        (
            "train good.csv --target load --task forcast",
            "'--task forcast'",
            "one of forecast, classify, regress",
            "--task forecast",
        ),
        ("train good.csv --target load --kind temp=text", "'--kind temp=text'", "one of numeric", "--kind temperature=numeric"),
        ("train good.csv --target load --kind temp", "--kind has 'temp'", "expected COLUMN=WORD", "--kind temperature=numeric"),
        ("train good.csv --config unknown.toml", "no option 'horzion'", "Expected the options", "Did you mean 'horizon'?"),
        ("train good.csv --config none.toml", "'none.toml' cannot be read", "Expected a TOML file", "Check --config"),
        ("train good.csv --target load --out good.csv", "'good.csv' exists", "Expected a place for a new run", "another --out"),
        ("train good.csv --target load --widnow 3", "no option '--widnow'", "Did you mean '--window'?", "gatework train --help"),
        ("train --target load", "Missing argument 'DATA'", "it comes first", "gatework train --help"),
        ("trian good.csv", "no command 'trian'", "Did you mean 'train'?", "gatework --help"),
        ("look good.csv --target laod", "no column 'laod'", "Expected a column", "Did you mean 'load'?"),
        ("look god.csv", "'god.csv' does not exist", "Expected a data file", "Did you mean 'good.csv'?"),
        ("demo forcast", "no demo 'forcast'", "Did you mean 'forecast'?", "gatework demo forecast"),
        ("train bundled:beijing --target x", "no bundled data set 'beijing'", "Did you mean", "bundled:beijing-air"),
        ("info lstn", "no cell 'lstn'", "Did you mean 'lstm'?", "Cell"),
        ("resume runs/none", "'runs/none' is not a run folder", "Expected a folder", "Check the path"),
    ],
)
def test_bad_input_is_answered_in_three_parts_and_leaves_nothing(
    line: str, given: str, expected: str, cure: str, gatework: Gatework
) -> None:
    bad_training_files()
    before = sorted(path.name for path in Path().iterdir())
    message = complaint(gatework(line))
    assert [part for part in (given, expected, cure) if part not in message] == [], message
    assert sorted(path.name for path in Path().iterdir()) == before


def test_unsorted_time_is_sorted_and_said(gatework: Gatework) -> None:
    rows = load_rows()
    write_csv("unsorted.csv", rows[150:] + rows[:150])
    done = gatework("look unsorted.csv --target load --horizon 2 --window 12")
    assert done.code == 0
    assert re.search(r"sorted", done.out)


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_nothing(own_copy: Path, gatework: Gatework) -> None:
    message = complaint(gatework(f"train good.csv --target load {SMALL} --learning-rate 1e30 --out runs/nan"))
    assert re.search(r"became nan in epoch 1, batch \d+ of \d+", message)
    assert "--learning-rate" in message
    assert not Path("runs/nan").exists()


def break_runs() -> None:
    """Copies of a good run, each damaged in one way."""
    for name in ("cut", "short", "newer", "bare", "unfinished"):
        shutil.copytree("runs/good", f"runs/{name}")
    Path("runs/cut/config.json").write_text('{"schema_version": 1, ', encoding="utf-8")
    weights = Path("runs/short/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-8])
    for name, file, old, new in (
        ("newer", "config.json", '"schema_version": 1', '"schema_version": 99'),
        ("unfinished", "run.json", '"status": "evaluated"', '"status": "training"'),
    ):
        path = Path("runs") / name / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
    Path("runs/bare/model.safetensors").unlink()


@pytest.mark.parametrize(
    ("line", "given", "expected", "cure"),
    [
        ("predict runs/cut good.csv", "'runs/cut/config.json' is damaged", "Expected the file", "train again"),
        ("report runs/cut", "'runs/cut/config.json' is damaged", "Expected the file", "train again"),
        ("resume runs/cut", "'runs/cut/config.json' is damaged", "Expected the file", "train again"),
        ("compare runs/good runs/cut", "'runs/cut/config.json' is damaged", "Expected the file", "train again"),
        (
            "predict runs/short good.csv",
            "'runs/short/model.safetensors' is damaged",
            "Expected a safetensors file",
            "train again",
        ),
        ("evaluate runs/newer", "schema version 99", "reads versions up to 1", "pip install --upgrade gatework"),
        ("predict runs/bare good.csv", "model.safetensors' does not exist", "Expected the weights", "gatework resume"),
        ("evaluate runs/unfinished", "has not finished", "Expected a trained run", "gatework resume runs/unfinished"),
        ("evaluate runs/good --part tset", "--part is 'tset'", "expected one of test", "Did you mean 'test'?"),
        ("compare runs/good", "One run was given", "Expected at least two", "Name another"),
        ("predict runs/good missing.csv", "no column 'temp'", "Expected every column", "add it"),
        ("predict runs/good typed.csv", "'temp' has 'warm' in row 1", "Expected a number", "Correct it"),
        ("predict runs/good good.csv --out p.txt", "'p.txt'", "expected a file that ends in .csv or .parquet", "--out p.csv"),
        ("predict runs/good good.csv --out no/p.csv", "no folder 'no'", "Expected one that exists", "Make it first"),
        ("train good.csv --target load --out runs/good", "'runs/good' exists", "Expected a place for a new run", "another --out"),
    ],
)
def test_a_bad_run_or_bad_new_data_is_answered_in_three_parts(
    line: str, given: str, expected: str, cure: str, own_copy: Path, gatework: Gatework
) -> None:
    break_runs()
    write_csv("missing.csv", [[row[0], row[1], row[3]] for row in load_rows()], "when,load,kind")
    write_csv("typed.csv", [[row[0], row[1], "warm", row[3]] for row in load_rows()])
    before = sorted(path for path in Path().rglob("*"))
    message = complaint(gatework(line))
    assert [part for part in (given, expected, cure) if part not in message] == [], message
    assert sorted(path for path in Path().rglob("*")) == before


def test_a_bug_of_ours_keeps_its_traceback_and_says_what_it_is(gatework: Gatework, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_run: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("gatework.report.write_report", broken)
    done = gatework("report runs/good")
    assert done.code == 1
    assert "Traceback" in done.err
    assert "This is a bug in gatework" in done.err


def test_without_the_app_extra_the_message_names_the_install_command() -> None:
    block = "import sys; sys.modules['typer'] = None; from gatework.cli import main; sys.exit(main(['--help']))"
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert 'pip install "gatework[app]"' in done.stderr
