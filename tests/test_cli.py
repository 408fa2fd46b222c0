"""The command line as a user meets it: what it prints, what it leaves behind, and its exit codes."""

import io
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

from gatework.cli import main
from gatework.cli.app import COMMANDS

COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'gatework'; from gatework.cli import main; sys.exit(main())"]
SMALL = "--horizon 2 --window 12 --hidden-size 4 --epochs 1 --batch-size 64"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Gatework = Callable[[str], Done]


@pytest.fixture
def gatework(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gatework:
    """One command in an empty folder, in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def run(line: str) -> Done:
        capfd.readouterr()
        code = main(shlex.split(line))
        out, err = capfd.readouterr()
        return Done(code, out, err)

    return run


def load_rows(count: int = 300) -> list[list[str]]:
    """(when, load, temp, kind): an hourly wave with noise, a covariate and a category."""
    noise, start = np.random.default_rng(0), datetime(2026, 1, 1)
    return [
        [
            str(start + timedelta(hours=hour)),
            f"{10 + 3 * math.sin(hour / 4) + noise.normal(0, 0.3):.3f}",
            f"{noise.normal():.3f}",
            "abc"[hour % 3],
        ]
        for hour in range(count)
    ]


def write_csv(name: str, rows: list[list[str]], header: str = "when,load,temp,kind") -> None:
    """A CSV file in the current folder."""
    Path(name).write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")


def with_cell(row: int, column: int, text: str) -> list[list[str]]:
    """The rows with one cell replaced."""
    rows = load_rows()
    rows[row][column] = text
    return rows


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with good.csv and a finished run of it, made by the command line."""
    folder = tmp_path_factory.mktemp("trained")
    before = Path.cwd()
    os.chdir(folder)
    try:
        write_csv("good.csv", load_rows())
        assert main(shlex.split(f"train good.csv --target load {SMALL} --out runs/good --quiet")) == 0
        yield folder
    finally:
        os.chdir(before)


@pytest.fixture
def own_copy(trained: Path, tmp_path: Path) -> Path:
    """good.csv and runs/good in the folder of this test."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def weights_of(run: Path) -> dict[str, bytes]:
    """The bits of every weight; the file's own bytes differ, since safetensors orders its metadata at random."""
    return {name: tensor.tobytes() for name, tensor in load_file(run / "model.safetensors").items()}


# What is printed


def test_help_lists_every_command_and_each_explains_itself_with_an_example(
    gatework: Gatework, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    listed = gatework("--help")
    for function in COMMANDS:
        assert re.search(rf"^  {function.__name__}  ", listed.out, flags=re.MULTILINE)
        text = gatework(f"{function.__name__} --help")
        assert (text.code, text.err) == (0, "")
        assert f"Example:  gatework {function.__name__}" in text.out
        assert max(len(line) for line in text.out.splitlines()) <= 88
    assert listed.code == 0
    assert gatework("").out == listed.out
    assert "..." not in listed.out.partition("Commands:")[2], "a short description is cut"


def test_the_version_is_the_one_of_the_package(gatework: Gatework) -> None:
    import gatework as package

    assert gatework("--version") == Done(0, f"gatework {package.__version__}\n", "")


def test_training_prints_what_was_inferred_the_python_the_table_and_what_to_type_next(own_copy: Path, gatework: Gatework) -> None:
    done = gatework(f"train good.csv --target load {SMALL} --out runs/shown")
    assert done.code == 0
    for text in (
        "forecast load, 2 steps (2 hours) ahead",
        "No column is",
        "LSTM (this model)",
        "last value",
        "ridge",
        "%",
        "Next",
    ):
        assert text in done.out or text == "No column is"
    assert "'when' is the time" in done.out
    assert (
        "train_model('good.csv', Request(target='load', horizon=2, window=12, hidden_size=4, epochs=1, batch_size=64)" in done.out
    )
    assert Path("runs/shown/report.html").is_file()
    assert "runs/shown/report.html" in done.out
    assert re.search(r"^ +1 +0\.\d{4}", done.err, flags=re.MULTILINE), "the epoch table is a line per epoch on standard error"
    assert "\x1b" not in done.out + done.err
    commands = re.findall(r"^  (gatework \w+)", done.out.partition("\nNext\n")[2], flags=re.MULTILINE)
    assert {"gatework predict", "gatework evaluate"} <= set(commands)


def test_the_python_that_is_shown_gives_the_same_weights(trained: Path, gatework: Gatework) -> None:
    from gatework.runs import Plan, RunFolder

    shutil.copy(trained / "good.csv", "good.csv")
    code = RunFolder(trained / "runs" / "good").read("config.json", Plan).python
    names: dict[str, object] = {}
    exec(code, names)
    assert weights_of(Path("runs/good")) == weights_of(trained / "runs/good")


def test_look_shows_columns_series_time_split_leaks_and_the_next_command(gatework: Gatework) -> None:
    rows = load_rows()
    write_csv("leaky.csv", [[*row, f"{2 * float(row[1]):.3f}"] for row in rows[:80] + rows[90:]], "when,load,temp,kind,double")
    done = gatework("look leaky.csv --target load --horizon 2 --window 12")
    assert done.code == 0
    assert re.search(r"^  kind +categorical +input", done.out, flags=re.MULTILINE)
    for text in (
        "1 series of 290 steps",
        "one step every 1 hour",
        "1 gap in time",
        "an epoch",
        "--ignore double",
    ):
        assert text in done.out
    parts = re.search(r"train (\d+) steps, validation (\d+) steps, test (\d+) steps", done.out)
    assert parts is not None
    assert sum(int(count) for count in parts.groups()) == 290
    assert "gatework train leaky.csv --target load --horizon 2 --window 12" in done.out
    assert not Path("runs").exists()


def test_look_shows_no_column_that_only_says_which_file_a_row_comes_from(gatework: Gatework) -> None:
    write_csv("first.csv", load_rows()[:220], "when,load,temp,kind")
    write_csv("second.csv", load_rows()[220:], "when,load,temp,kind")
    done = gatework("look first.csv --test second.csv --target load --horizon 2 --window 12")
    assert done.code == 0, done.err
    assert "__part__" not in done.out
    assert "temp" in done.out


def test_the_progress_of_a_terminal_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    from gatework.train.watch import Terminal

    watch = Terminal()
    watch.note("began")
    watch.batch(1, 1, 2)
    watch.close()
    done = capsys.readouterr()
    assert done.out == ""
    assert "began" in done.err


def test_look_without_a_target_lists_what_could_be_predicted(gatework: Gatework) -> None:
    write_csv("good.csv", load_rows())
    done = gatework("look good.csv")
    assert done.code == 0
    assert re.search(r"^  load  forecast\n  temp  forecast$", done.out, flags=re.MULTILINE)
    assert "gatework train good.csv --target load" in done.out


def test_info_shows_each_cell_with_the_engine_that_runs_it(gatework: Gatework) -> None:
    from gatework.cells import CELLS
    from gatework.cells.words import equations_in_words

    machine = gatework("info").out
    for name, cell in CELLS.items():
        assert f"{cell.title} [compiled]" in machine
        shown = gatework(f"info {name}").out
        assert [line for line in equations_in_words(cell) if f"  {line}\n" not in shown] == []
        assert [word for word in (*cell.gates, *cell.states, *cell.unit_weights) if word not in shown] == []
        assert cell.paper[:20] in shown
        assert "compiled: used here" in shown
    assert "fused: no: " in gatework("info peephole").out
    assert "fused: can, too" in gatework("info lstm").out


def test_info_shows_what_the_compiled_engine_found(gatework: Gatework, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWORK_CACHE", str(tmp_path / "kernels"))
    monkeypatch.setenv("GATEWORK_TARGET", "generic")
    shown = gatework("info").out
    assert shown.index("compiled") < shown.index("fused") < shown.index("reference")
    assert "generic, 16-byte vectors" in shown
    assert str(tmp_path / "kernels") in shown.replace("\n", "").replace(" ", "") or str(tmp_path / "kernels") in shown
    monkeypatch.setenv("GATEWORK_CACHE", "")
    assert "each process compiles anew" in gatework("info").out


# Trained runs


def test_predictions_go_to_standard_output_or_to_a_file_and_are_the_same(own_copy: Path, gatework: Gatework) -> None:
    piped = gatework("predict runs/good good.csv")
    assert piped.code == 0
    frame = pl.read_csv(piped.out.encode())
    assert frame.height == 2, "one row for each step of the horizon"
    assert gatework("predict runs/good good.csv --out p.csv").out == ""
    assert Path("p.csv").read_text(encoding="utf-8") == piped.out
    assert gatework("predict runs/good good.csv --out p.parquet").code == 0
    assert pl.read_parquet("p.parquet").height == 2


def test_an_extra_column_changes_no_prediction(own_copy: Path, gatework: Gatework) -> None:
    write_csv("more.csv", [[*row, "1"] for row in load_rows()], "when,load,temp,kind,more")
    assert gatework("predict runs/good more.csv").out == gatework("predict runs/good good.csv").out


def test_a_category_never_seen_is_counted_and_said(own_copy: Path, gatework: Gatework) -> None:
    write_csv("new.csv", with_cell(299, 3, "zebra"))
    done = gatework("predict runs/good new.csv")
    assert done.code == 0
    assert re.search(r"note: .*zebra", done.err)


def test_compare_puts_runs_side_by_side(own_copy: Path, gatework: Gatework) -> None:
    shutil.copytree("runs/good", "runs/twin")
    done = gatework("compare runs/good runs/twin")
    rows = [line.split() for line in done.out.splitlines() if line.strip().startswith("runs/")]
    assert done.code == 0
    assert {row[0] for row in rows} == {"runs/good", "runs/twin"}
    assert rows[0][1:] == rows[1][1:]


def test_evaluate_and_report_can_be_run_again(own_copy: Path, gatework: Gatework) -> None:
    before = Path("runs/good/evaluation.json").read_bytes()
    Path("runs/good/report.html").unlink()
    assert gatework("evaluate runs/good").code == 0
    assert Path("runs/good/evaluation.json").read_bytes() == before
    assert gatework("report runs/good").out.strip().endswith("report.html")
    assert Path("runs/good/report.html").is_file()


# Interruptions


def interrupted(gatework: Gatework, monkeypatch: pytest.MonkeyPatch, after: int) -> Done:
    """A training of four epochs that Ctrl-C ends in the one after epoch `after`."""
    from gatework.train.watch import PlainLines

    def press(self: PlainLines, epoch: int, done: int, total: int) -> None:
        if epoch == after + 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PlainLines, "batch", press)
        return gatework(f"train good.csv --target load {SMALL.replace('--epochs 1', '--epochs 4')} --out runs/stopped")


def test_an_interrupted_training_says_how_to_go_on_and_ends_as_if_nothing_had_been(
    own_copy: Path, gatework: Gatework, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = interrupted(gatework, monkeypatch, after=2)
    assert done.code == 130
    assert done.err.rstrip().endswith("Interrupted after epoch 2. Go on with: gatework resume runs/stopped")
    resumed = gatework("resume runs/stopped")
    assert resumed.code == 0
    assert "LSTM (this model)" in resumed.out
    assert (
        gatework(f"train good.csv --target load {SMALL.replace('--epochs 1', '--epochs 4')} --out runs/whole --quiet").code == 0
    )
    assert weights_of(Path("runs/stopped")) == weights_of(Path("runs/whole"))


def test_a_training_interrupted_in_its_first_epoch_can_be_resumed(
    own_copy: Path, gatework: Gatework, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = interrupted(gatework, monkeypatch, after=0)
    assert (done.code, "Interrupted in the first epoch. Go on with: gatework resume runs/stopped" in done.err) == (130, True)
    assert gatework("resume runs/stopped --quiet --no-report").code == 0
    assert not Path("runs/stopped/report.html").exists()


def test_ctrl_c_while_the_program_starts_leaves_no_traceback(tmp_path: Path) -> None:
    write_big = "when,load\n" + "".join(
        f"2026-01-01 {i // 3600 % 24:02d}:{i // 60 % 60:02d}:{i % 60:02d},{i % 7}\n" for i in range(80_000)
    )
    (tmp_path / "big.csv").write_text(write_big, encoding="utf-8")
    running = subprocess.Popen(
        [*COMMAND, "train", "big.csv", "--target", "load"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(1.0)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode in (2, 130, -signal.SIGINT)
    assert "Traceback" not in errors or running.returncode == -signal.SIGINT, errors
    assert not (tmp_path / "runs").exists()


def test_a_reader_that_goes_away_is_no_error(
    own_copy: Path, gatework: Gatework, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", closed)
        assert main(["predict", "runs/good", "good.csv"]) == 141
    assert capfd.readouterr().err == ""


def test_a_terminal_without_utf8_shows_a_question_mark_for_what_it_cannot_show(
    own_copy: Path, gatework: Gatework, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.BytesIO()
    with io.TextIOWrapper(printed, encoding="ascii") as ascii_only, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", ascii_only)
        assert main(["look", "good.csv", "--target", "load", "--horizon", "2", "--window", "12"]) == 0
        text = printed.getvalue().decode("ascii")
    assert re.search(r"load +numeric +target +\? ", text)


# What bad input gets


def complaint(done: Done) -> str:
    """The message of a command that was refused: one line, no traceback."""
    assert done.code == 2, done
    assert "Traceback" not in done.out + done.err
    lines = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.err
    return lines[0].removeprefix("error: ")


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


def test_scores_that_replace_those_of_the_test_part_say_so(own_copy: Path, gatework: Gatework) -> None:
    said = gatework("evaluate runs/good --part validation").out
    assert "These scores replaced those in runs/good" in said
    assert "gatework evaluate runs/good" in said
    assert "replaced" not in gatework("evaluate runs/good").out
