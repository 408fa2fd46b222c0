"""A command that is stopped: Ctrl-C, a reader that goes away, a terminal that cannot show everything."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli_runs import COMMAND, SMALL, Done, Gatework, weights_of
from gatework.cli import main


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
