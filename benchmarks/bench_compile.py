"""How long a cell's first call takes: compiled afresh, and loaded from the folder of compiled kernels.

    python benchmarks/bench_compile.py [--repetitions 3] [--out benchmarks/results/compile.json]

Each figure comes from a process of its own that has imported everything and has run torch, autograd included, but no kernel of
ours: the first inference, the first training forward and the first backward of a small layer of the cell, one kernel each. The
medians of the repetitions are printed in Markdown and written.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import gatework
from custom_cells import COUPLED
from gatework.cells import CELLS

NEW_CELLS = {cell.name: cell for cell in (CELLS["lstm"], CELLS["gru"], CELLS["peephole"], CELLS["layernorm"], COUPLED)}
KERNELS = ("inference", "training", "backward")


def first_calls_ms(cell_name: str) -> dict[str, float]:
    """The first call of each kernel in this process, in ms."""
    x = torch.randn(3, 2, 8, requires_grad=True)
    # torch's own first calls are not ours
    torch.autograd.grad(nn.Linear(8, 8)(x).tanh().sum(), x)
    layer = gatework.Recurrent(NEW_CELLS[cell_name], 8, 16)
    found = {}

    def timed(name: str, run: Callable[[], torch.Tensor]) -> torch.Tensor:
        begin = time.perf_counter()
        result = run()
        found[name] = 1e3 * (time.perf_counter() - begin)
        return result

    with torch.no_grad():
        timed("inference", lambda: layer(x)[0])
    outputs = timed("training", lambda: layer(x)[0])
    timed("backward", lambda: torch.autograd.grad(outputs.sum(), x)[0])
    return found


def in_fresh_process(cell_name: str, cache: str) -> dict[str, float]:
    """first_calls_ms in a process of its own. cache: the folder of compiled kernels, empty for none."""
    command = [sys.executable, __file__, "--one", cell_name]
    done = subprocess.run(command, env=os.environ | {"GATEWORK_CACHE": cache}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{cell_name} could not be measured:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Of each kernel, and of the three together."""
    by_kernel = {kernel: statistics.median(run[kernel] for run in runs) for kernel in KERNELS}
    return by_kernel | {"all": statistics.median(sum(run.values()) for run in runs)}


def measure(repetitions: int) -> dict[str, dict[str, dict[str, float]]]:
    """By cell: compiled and loaded, in ms."""
    found = {}
    for name in NEW_CELLS:
        compiled = medians([in_fresh_process(name, "") for _ in range(repetitions)])
        with tempfile.TemporaryDirectory() as cache:
            in_fresh_process(name, cache)
            if not any(Path(cache).iterdir()):
                raise SystemExit(f"{name} left no kernel in the folder of compiled kernels; there is nothing to load.")
            loaded = medians([in_fresh_process(name, cache) for _ in range(repetitions)])
        found[name] = {"compiled_ms": compiled, "loaded_ms": loaded}
        print(f"{name}: compiled {compiled['all']:.0f} ms, loaded {loaded['all']:.0f} ms", flush=True)
    return found


def main() -> None:
    """Measure one cell here, or all of them in processes of their own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/compile.json"))
    parser.add_argument("--one", choices=NEW_CELLS, help="print the first calls of this cell in this process, as JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(first_calls_ms(options.one)))
        return
    from bench_engine import machine_and_versions
    from print_tables import compile_table

    results = {"machine": machine_and_versions(torch.get_num_threads()), "cells": measure(options.repetitions)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print("\n".join(compile_table(results)))


if __name__ == "__main__":
    main()
