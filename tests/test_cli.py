"""The command line as a user meets it: what it prints, and what it leaves behind."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from cli_runs import SMALL, Done, Gatework, load_rows, weights_of, with_cell, write_csv
from gatework.cli.app import COMMANDS, STUDIES

# What is printed


def test_help_lists_every_command_and_each_explains_itself_with_an_example(
    gatework: Gatework, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    listed = gatework("--help")
    for name in (*COMMANDS, *(f"study {name}" for name in STUDIES)):
        group, _, own = f"gatework {name}".rpartition(" ")
        assert re.search(rf"^  {own}  ", gatework(f"{group.removeprefix('gatework')} --help").out, flags=re.MULTILINE)
        text = gatework(f"{name} --help")
        assert (text.code, text.err) == (0, "")
        assert name == "study" or f"Example:  gatework {name}" in text.out
        assert max(len(line) for line in text.out.splitlines()) <= 88
    assert listed.code == 0
    assert gatework("").out == listed.out
    assert "..." not in listed.out.partition("Commands:")[2], "a short description is cut"


def test_the_module_is_the_command(gatework: Gatework) -> None:
    words = [sys.executable, "-m", "gatework", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == gatework("--version").out
    assert subprocess.run([*words[:3], "lok"], capture_output=True, check=False).returncode == 2


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


def test_the_python_that_is_shown_gives_the_same_weights(good_run: Path, gatework: Gatework) -> None:
    from gatework.runs import Plan, RunFolder

    shutil.copy(good_run / "good.csv", "good.csv")
    code = RunFolder(good_run / "runs" / "good").read("config.json", Plan).python
    names: dict[str, object] = {}
    exec(code, names)
    assert weights_of(Path("runs/good")) == weights_of(good_run / "runs/good")


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


def test_scores_of_another_part_stand_beside_those_of_the_test_part(own_copy: Path, gatework: Gatework) -> None:
    before = Path("runs/good/evaluation.json").read_bytes()
    said = " ".join(gatework("evaluate runs/good --part validation").out.split())
    assert "evaluation-validation.json and predictions-validation.parquet, beside those of the test part" in said
    assert Path("runs/good/evaluation-validation.json").is_file()
    assert Path("runs/good/evaluation.json").read_bytes() == before
