"""The map of the rooms: which may import which. Data goes one way, imports go down only.

cli   estimators                                     faces
config                                               a TOML file as the request that train takes
study                                                calls train and evaluate many times
train   evaluate   explain   report   deploy         stages; they meet only in the run folder (runs)
model
tasks                                                may use layers and data
layers      data                                     neither imports the other
engine
ragged      cells      runs      errors              the type that flows; what is computed; what is written
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "gatework"
FILES = sorted(SOURCE.rglob("*.py"))

GROUND = {"ragged", "cells", "runs", "errors"}
UP_TO_DATA = GROUND | {"engine", "layers", "data"}
UP_TO_MODEL = UP_TO_DATA | {"tasks", "model"}
STAGES = {"train", "evaluate", "explain", "report", "deploy"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "cells": {"errors"},
    "runs": {"errors"},
    "ragged": {"errors"},
    "engine": {"ragged", "cells", "errors"},
    "layers": {"engine", "ragged", "cells", "errors"},
    "data": {"ragged", "runs", "errors"},
    "tasks": UP_TO_DATA,
    "model": UP_TO_DATA | {"tasks"},
    "train": UP_TO_MODEL,
    "evaluate": UP_TO_MODEL,
    "explain": UP_TO_MODEL,
    "deploy": UP_TO_MODEL,
    "report": {"runs", "cells", "errors"},
    "config": {"train", "runs", "errors"},
    "study": UP_TO_MODEL | STAGES | {"config"},
    "estimators": UP_TO_MODEL | STAGES | {"study"},
    "cli": UP_TO_MODEL | STAGES | {"study", "config"},
}
APP = {"polars", "narwhals", "sklearn", "scipy", "pydantic", "typer", "rich", "matplotlib"}
WITHOUT: dict[str, set[str]] = {  # outside packages that a room must do without
    "errors": APP | {"torch", "numpy", "llvmlite", "safetensors"},
    "cells": APP | {"torch", "numpy", "llvmlite", "safetensors"},
    "runs": (APP - {"pydantic"}) | {"torch"},
    "report": {"torch"},
    "ragged": APP,
    "engine": APP,
    "layers": APP,
}
BANNED_PACKAGES = {"pickle", "joblib", "cloudpickle", "dill", "shelve", "marshal"}
BANNED_CALLS = {"eval", "exec", "torch.load", "torch.save", "compile"}
BANNED_FILES = {"utils", "helpers", "common", "misc", "core", "manager"}


def room_of(file: Path) -> str:
    """The room that a file belongs to; 'gatework' for the public names themselves and for `python -m gatework`."""
    first = file.relative_to(SOURCE).parts[0]
    return "gatework" if first in ("__init__.py", "__main__.py") else first.removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{'.' * node.level}{node.module or ''}.{alias.name}") for alias in node.names)


def complaints(file: Path) -> Iterator[str]:
    """Each import of a file that the map does not allow, in words."""
    room = room_of(file)
    for line, name in imports(file):
        package, _, rest = name.partition(".")
        where = f"{file.relative_to(SOURCE)}:{line} imports '{name}'"
        target = rest.partition(".")[0]
        if not package:
            yield f"{where}: imports are absolute ('from gatework.room import name')"
        elif package == "gatework" and target not in {"__version__", room} and target not in MAY_IMPORT[room]:
            yield f"{where}: room '{room}' may import only {sorted(MAY_IMPORT[room]) or 'nothing of gatework'}"
        elif package in WITHOUT.get(room, set()):
            yield f"{where}: room '{room}' works without '{package}'"
        elif package in BANNED_PACKAGES:
            yield f"{where}: files are safetensors and JSON; nothing is pickled"


def test_every_room_is_on_the_map() -> None:
    assert {room_of(file) for file in FILES} - {"gatework"} <= set(MAY_IMPORT), (
        "a new room: add it to MAY_IMPORT and to README.md"
    )


def test_imports_go_down_only() -> None:
    found = [complaint for file in FILES if room_of(file) != "gatework" for complaint in complaints(file)]
    assert not found, "\n" + "\n".join(found)


def test_no_room_is_reachable_from_itself() -> None:
    for room, below in MAY_IMPORT.items():
        reached = set(below)
        while more := {lower for name in reached for lower in MAY_IMPORT[name]} - reached:
            reached |= more
        assert room not in reached, f"room '{room}' can import itself through {sorted(below)}"


def test_nothing_runs_code_that_was_loaded_from_a_file() -> None:
    found = []
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in BANNED_CALLS:
                found.append(f"{file.relative_to(SOURCE)}:{node.lineno} calls {ast.unparse(node.func)}")
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
                found.append(f"{file.relative_to(SOURCE)}:{node.value.lineno} sets allow_pickle")
    assert not found, "\n" + "\n".join(found)


def test_files_are_short_and_named_for_what_they_hold() -> None:
    assert not [str(file.relative_to(SOURCE)) for file in FILES if {file.stem, *file.relative_to(SOURCE).parts} & BANNED_FILES]
    lengths = {str(file.relative_to(SOURCE)): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert not {name: length for name, length in lengths.items() if length > 500}, "split it: one idea per file"


def run_python(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["gatework", *(f"gatework.{room}" for room in ("errors", "cells", "runs", "report"))])
def test_this_module_loads_no_torch(module: str) -> None:
    run_python(f"import sys, {module}; assert 'torch' not in sys.modules, 'importing {module} loaded torch'")


def test_layers_work_where_the_app_extra_is_not_installed() -> None:
    block = f"import sys; sys.modules.update(dict.fromkeys({sorted(APP)}))"  # None there makes an import fail
    run_python(f"{block}; import gatework; gatework.LSTM, gatework.GRU, gatework.Recurrent, gatework.Ragged, gatework.CELLS")
