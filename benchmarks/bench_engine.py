"""The compiled engine against everything else that runs an LSTM on this machine: dense, ragged, one streaming step, custom cells.

    python benchmarks/bench_engine.py [--threads 2] [--seconds 1] [--shapes 100x24x64x64 …] [--parts dense ragged …]
        [--torch-compile] [--ud FILE] [--out benchmarks/results/engine.json]

`make bench-rivals` runs it beside ONNX Runtime, OpenVINO and JAX; those that cannot be imported are left out. How it measures
stands in timing.py. FLOPs are 8·H·(I+H) per step and sequence for inference, three times as many for training; padding
is not counted.
Refuses to time a kernel whose results differ from the reference, and a rival whose results differ from torch's.
`python benchmarks/print_tables.py` prints what was written as tables.
"""

import argparse
import json
import os
import platform
from pathlib import Path

import torch

import gatework
from custom_cells import COUPLED, cells
from dense import SHAPES, dense
from equality import refuse_unless_like_the_reference
from gatework.cells import CELLS
from gatework.engine.cpu.machine import machine
from lengths import lognormal_lengths, sentence_lengths
from ragged import ragged
from rivals import HOW_TO_INSTALL, missing
from rivals_jax import limit_threads
from rivals_of_cells import COMPILED_STEPS
from streaming import streaming
from timing import Yardstick

PARTS = ("dense", "ragged", "streaming", "cells")


def shape_of(text: str) -> tuple[int, ...]:
    """Steps, sequences, input size and units from a text like 100x24x64x64."""
    shape = tuple(int(part) for part in text.replace("×", "x").split("x"))
    if len(shape) != 4 or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"'{text}'; expected four sizes, TxBxIxH, like 100x24x64x64")
    return shape


def options_given() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each pair of rivals")
    parser.add_argument("--shapes", type=shape_of, nargs="+", default=SHAPES, help="of the dense part, like 100x24x64x64")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument(
        "--torch-compile", action="store_true", help="custom cells through torch.compile, too: minutes of compiling"
    )
    parser.add_argument(
        "--ud", type=Path, help="a CoNLL-U file, plain or .xz, such as UD English-EWT's: lengths of its sentences"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/engine.json"))
    return parser.parse_args()


def machine_and_versions(threads: int) -> dict[str, object]:
    """What the figures were measured on."""
    import llvmlite

    return {
        "processor": f"{platform.machine()}, {machine().cpu}, vectors: {machine().name}",
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gatework": gatework.__version__,
        "llvmlite": llvmlite.__version__,
    }


def measured(options: argparse.Namespace, yardstick: Yardstick) -> dict[str, object]:
    """The parts asked for, the yardstick between them."""
    found: dict[str, object] = {}
    if "dense" in options.parts:
        found["dense"] = dense(options.shapes, options.threads, options.seconds, yardstick)
    if "ragged" in options.parts:
        rows = [ragged("log-normal", lognormal_lengths(), options.seconds)]
        if options.ud is None:
            print("No --ud FILE: the lengths of a treebank's sentences are skipped.")
        elif not options.ud.is_file():
            print(f"{options.ud} is not there: the lengths of a treebank's sentences are skipped.")
        else:
            rows.append(ragged("sentences", sentence_lengths(options.ud), options.seconds))
        found["ragged"] = rows
        yardstick.measure()
    if "streaming" in options.parts:
        found["streaming"] = streaming(options.seconds)
    if "cells" in options.parts:
        found["cells"] = cells(options.seconds, options.torch_compile)
        found["torch_compile_steps"] = COMPILED_STEPS
        yardstick.measure()
    return found


def main() -> None:
    """Check, then measure, then write."""
    options = options_given()
    torch.set_num_threads(options.threads)
    limit_threads(options.threads)
    for cell in (*CELLS.values(), COUPLED):
        refuse_unless_like_the_reference(cell)
    if missing():
        print(f"Not here, and left out: {', '.join(missing())}. {HOW_TO_INSTALL}")
    about: dict[str, object] = {"machine": machine_and_versions(options.threads), "seconds": options.seconds}
    print(about, flush=True)
    yardstick = Yardstick()
    yardstick.measure()
    found = measured(options, yardstick)
    about |= {"sgemm_gflops": yardstick.median_gflops(), "sgemm_gflops_each": yardstick.gflops}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(about | found, indent=1) + "\n", encoding="utf-8")
    print(f"{options.out} is written; `python benchmarks/print_tables.py {options.out}` prints it as tables.")


if __name__ == "__main__":
    main()
