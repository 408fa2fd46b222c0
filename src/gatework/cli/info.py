"""info: this machine, and every cell with its equations."""

import os
import platform
from importlib import metadata
from typing import Annotated

import typer

from gatework import __version__
from gatework.cells import Cell
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

    This machine: versions, threads, engines; the list of cells.
    A cell: states, gates, weights, engines and why, paper, equations.
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
    show.heading("The compiled engine here")
    show.pairs(compiled_here())
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
    from gatework.cells.words import equations_in_words, legend_of

    cell = find_cell(name)
    show.heading(f"{cell.name}: {cell.title}")
    rows = [
        ("states", f"{', '.join(cell.states)}; {cell.states[0]} is the output"),
        ("gates", f"{', '.join(cell.gates)}, in the order of the weight matrices' blocks"),
        ("weights", weights_in_words(cell)),
    ]
    if cell.unit_weights:
        rows.append(("unit weights", ", ".join(cell.unit_weights)))
    if cell.matrices:
        rows.append(("matrices", f"{', '.join(cell.matrices)}, hidden_size by hidden_size, inside the step"))
    if cell.inputs:
        rows.append(("inputs", f"{', '.join(cell.inputs)}: the last of the layer's columns, past the gates"))
    show.pairs([*rows, *engines_of(name), ("paper", cell.paper)])
    show.heading("Equations")
    show.code("\n".join(equations_in_words(cell)))
    show.say()
    show.paragraph(legend_of(cell))


def weights_in_words(cell: Cell) -> str:
    """How many rows the weights of the gates have."""
    of_input, of_recurrence = len(cell.gates), len(cell.recurrent_gates)
    if of_input == of_recurrence:
        return f"{of_input} · hidden_size rows for the input and for the recurrence, and two biases"
    return f"{of_input} · hidden_size rows for the input, {of_recurrence} · hidden_size for the recurrence, each with its bias"


def compiled_here() -> list[tuple[str, str]]:
    """What the compiled engine makes kernels for, where they run and where they are kept."""
    from gatework.engine.cpu.backend import pool_in_words
    from gatework.engine.cpu.compile import cache_folder
    from gatework.engine.cpu.machine import machine

    here, folder = machine(), cache_folder()
    kept = str(folder) if folder else "nowhere: each process compiles anew (GATEWORK_CACHE names a folder)"
    return [
        ("processor", f"{here.name}, {here.vector_bytes}-byte vectors (GATEWORK_TARGET asks for a lesser one)"),
        ("threads", pool_in_words()),
        ("kernels", kept),
    ]


def engine_of(cell: str) -> str:
    """The name of the engine that computes this cell here: the first that can."""
    return next(name for name, reason in engine_reasons(cell).items() if reason is None)


def engines_of(cell: str) -> list[tuple[str, str]]:
    """Every engine with what it says to this cell: the first that can computes it."""
    reasons, used = engine_reasons(cell), engine_of(cell)
    said = {name: "used here" if name == used else f"no: {reason}" if reason else "can, too" for name, reason in reasons.items()}
    return [("engines" if not number else "", f"{name}: {words}") for number, (name, words) in enumerate(said.items())]


def engine_reasons(cell: str) -> dict[str, str | None]:
    """Why each engine cannot compute a plain layer of this cell here, None where it can; asked of itself, on one small layer."""
    import torch

    from gatework.cells import find_cell
    from gatework.engine import BACKENDS, LayerWeights, RaggedRows
    from gatework.ragged import Ragged

    declared = find_cell(cell)
    rows = len(declared.gates)
    weights = LayerWeights(
        torch.zeros(rows, 1), torch.zeros(rows, 1), torch.zeros(rows), torch.zeros(rows),
        unit={name: torch.zeros(1) for name in declared.unit_weights},
        matrices={name: torch.zeros(1, 1) for name in declared.matrices},
    )  # fmt: skip
    given = RaggedRows(Ragged.one(torch.zeros(2, 1 + len(declared.inputs))))
    return {backend.name: backend.why_not(declared, given, (weights,)) for backend in BACKENDS}
