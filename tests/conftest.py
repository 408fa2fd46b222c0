"""What holds for every test: one thread per worker, no display, fixed examples, and where real data is found."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

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
