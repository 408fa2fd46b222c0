"""One command of gatework in this process, and the data and the run that the tests of the command line give it."""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'gatework'; from gatework.cli import main; sys.exit(main())"]
SMALL = "--horizon 2 --window 12 --hidden-size 4 --epochs 1 --batch-size 64"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Gatework = Callable[[str], Done]


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


def weights_of(run: Path) -> dict[str, bytes]:
    """The bits of every weight; the file's own bytes differ, since safetensors orders its metadata at random."""
    return {name: tensor.tobytes() for name, tensor in load_file(run / "model.safetensors").items()}


def complaint(done: Done) -> str:
    """The message of a command that was refused: one line, no traceback."""
    assert done.code == 2, done
    assert "Traceback" not in done.out + done.err
    lines = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.err
    return lines[0].removeprefix("error: ")
