"""What holds for every test: one thread per worker, no display, fixed examples; real data; a command line to try."""

import os
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from cli_runs import Gatework

# Set before anything imports torch or polars: two workers with two threads each would fight over two cores.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ[variable] = "1"
os.environ["MPLBACKEND"] = "Agg"
# A command that a test starts must find the package where pytest found it.
REPOSITORY = Path(__file__).resolve().parent.parent
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY / "src"), os.environ.get("PYTHONPATH")]))

# derandomize: the same examples on every machine, so that a failure can be repeated. deadline: the first call may compile.
settings.register_profile("gatework", deadline=None, derandomize=True, max_examples=40, database=None)
settings.load_profile("gatework")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets; a test that needs it is skipped where there is none."""
    folder = Path(os.environ.get("GATEWORK_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data: GATEWORK_DATA names no folder, and '{folder}' does not exist")
    return folder


@pytest.fixture
def gatework(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Gatework":
    """One command in an empty folder, in this process."""
    from cli_runs import Done
    from gatework.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def run(line: str) -> Done:
        capfd.readouterr()
        code = main(shlex.split(line))
        out, err = capfd.readouterr()
        return Done(code, out, err)

    return run


@pytest.fixture(scope="session")
def good_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good.csv and runs/good, a finished run of it that the command line made; to be copied, not changed."""
    from cli_runs import SMALL, load_rows, write_csv
    from gatework.cli import main

    folder = tmp_path_factory.mktemp("good_run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_csv("good.csv", load_rows())
        assert main(shlex.split(f"train good.csv --target load {SMALL} --out runs/good --quiet")) == 0
    return folder


@pytest.fixture
def own_copy(good_run: Path, tmp_path: Path) -> Path:
    """good.csv and runs/good in the folder of this test."""
    shutil.copytree(good_run, tmp_path, dirs_exist_ok=True)
    return tmp_path
