"""info: this machine, and every cell with its equations."""

import inspect
import os
import platform
from importlib import metadata
from typing import Annotated

import typer

from gatework import __version__
from gatework.cli import show

PACKAGES = (
    "torch",
    "numpy",
    "llvmlite",
    "safetensors",
    "polars",
    "narwhals",
    "scikit-learn",
    "pydantic",
    "typer",
    "rich",
    "matplotlib",
)


def info(
    cell: Annotated[str | None, typer.Argument(metavar="[CELL]", help="A cell, such as lstm.", show_default=False)] = None,
) -> None:
    """Show this machine, or one cell with its equations.

    This machine: versions, threads, engines and why; the list of cells.
    Example:  gatework info
              gatework info gru
    """
    if cell is None:
        show_machine()
    else:
        show_cell(cell)


def show_machine() -> None:
    """Versions, threads, engines, cells."""
    import torch

    from gatework.cells import CELLS
    from gatework.engine import BACKENDS

    show.heading(f"gatework {__version__}")
    show.pairs(
        [
            ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
            *((name, version_of(name)) for name in PACKAGES),
            ("threads", f"{torch.get_num_threads()} of {os.cpu_count()} cores (OMP_NUM_THREADS changes it)"),
            ("device", "cpu"),
        ]
    )
    show.heading("Engines, fastest first")
    show.pairs([(backend.name, backend.title) for backend in BACKENDS])
    show.heading("Cells")
    show.pairs([(cell.name, f"{cell.title} [{engine_of(cell.name)}]") for cell in CELLS.values()])
    show.next_commands([(f"gatework info {next(iter(CELLS))}", "its equations")])


def version_of(package: str) -> str:
    """The installed version of a package, or how to get it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return 'not installed: pip install "gatework[app]"'


def show_cell(name: str) -> None:
    """One cell: its states and gates, its equations as they are run, its engines, its paper."""
    from gatework.cells import find_cell

    cell = find_cell(name)
    show.heading(f"{cell.name}: {cell.title}")
    rows = [
        ("states", f"{', '.join(cell.states)}; {cell.states[0]} is the output"),
        ("gates", f"{', '.join(cell.gates)}, in the order of the weight matrices' blocks"),
        ("weights", f"{len(cell.gates)} · hidden_size rows for the input and for the recurrence, and two biases"),
    ]
    if cell.unit_weights:
        rows.append(("unit weights", ", ".join(cell.unit_weights)))
    show.pairs([*rows, ("engine", engine_reason(name)), ("paper", cell.paper)])
    show.heading("Equations")
    show.code(inspect.getsource(cell.step).strip())
    show.say()
    show.paragraph(
        "x.gate = W_gate · input + bias; r.gate = U_gate · h one step ago + bias; s: the states one step ago; * is unit by unit."
    )


def engine_of(cell: str) -> str:
    """The name of the engine that computes this cell here."""
    return engine_reason(cell).partition(":")[0]


def engine_reason(cell: str) -> str:
    """The engine that computes a plain layer of this cell here, and why; asked of the engine itself, on one small layer."""
    import torch

    from gatework.cells import find_cell
    from gatework.engine import LayerWeights, RaggedRows, choose
    from gatework.ragged import Ragged

    declared = find_cell(cell)
    rows = len(declared.gates)
    weights = LayerWeights(
        torch.zeros(rows, 1), torch.zeros(rows, 1), torch.zeros(rows), torch.zeros(rows),
        unit={name: torch.zeros(1) for name in declared.unit_weights},
    )  # fmt: skip
    return choose(declared, RaggedRows(Ragged.one(torch.zeros(2, 1))), (weights,)).reason
