"""The public names: a change here is a change for every user, and needs a line in CHANGELOG.md."""

import ast
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import gatework

NAMES = [
    "AnomalyDetector",
    "CELLS",
    "Cell",
    "Classifier",
    "ConfigError",
    "DataError",
    "Forecaster",
    "GRU",
    "GateworkError",
    "LSTM",
    "MissingExtra",
    "RNN",
    "Ragged",
    "Recurrent",
    "Regressor",
    "Request",
    "RunError",
    "ShapeError",
    "SlowPath",
    "TrainingError",
    "evaluate_run",
    "load",
    "train_model",
    "write_report",
]


def test_the_public_names_are_these_and_no_others() -> None:
    assert sorted(gatework.__all__) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_the_object_of_its_room(name: str) -> None:
    home = import_module(f"gatework.{gatework._ROOM_OF[name]}")
    assert getattr(gatework, name) is getattr(home, name)
    assert name in dir(gatework)


def test_type_checkers_see_the_same_names(repository: Path) -> None:
    tree = ast.parse((repository / "src" / "gatework" / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    seen = {(node.module, alias.name) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == {(f"gatework.{room}", name) for name, room in gatework._ROOM_OF.items()}


def test_an_unknown_name_is_an_attribute_error_that_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'LTSM'. Its public names: .*LSTM"):
        _ = gatework.LTSM


def test_a_star_import_gives_every_public_name() -> None:
    code = "from gatework import *; import gatework; assert set(gatework.__all__) <= set(globals())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_the_version_is_the_same_everywhere(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert gatework.__version__ == project["version"]
    assert f"version: {gatework.__version__}\n" in (repository / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## {gatework.__version__}" in (repository / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_command_that_is_installed_exists(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, function = project["scripts"]["gatework"].partition(":")
    assert callable(getattr(import_module(module), function))
