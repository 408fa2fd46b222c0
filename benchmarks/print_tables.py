"""The results of bench_engine.py and bench_compile.py as Markdown, as they stand in docs/engine.md.

python benchmarks/print_tables.py [benchmarks/results/engine.json benchmarks/results/compile.json]
"""

import argparse
import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from timing import Row

RIVALS = ("torch", "ONNX Runtime", "OpenVINO", "JAX")
NOTHING = "–"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def ratio(side: Row | None) -> str:
    """A ratio of a pair, or that there is none."""
    return NOTHING if side is None else f"{side['ratio']:.2f}"


def geometric_mean(ratios: Sequence[float]) -> float:
    """Of positive ratios."""
    return math.exp(math.fsum(math.log(value) for value in ratios) / len(ratios))


def shape_text(row: Row) -> str:
    """T×B×I×H."""
    return "×".join(map(str, row["shape"]))


def summary_rows(rows: list[Row], part: str, rivals: Sequence[str]) -> list[list[str]]:
    """The geometric mean and the least ratio against each rival that was there at every shape, and of the part's `ratio`."""
    columns = [[row[part]["against"][rival]["ratio"] for row in rows if rival in row[part]["against"]] for rival in rivals]
    if part == "inference":
        columns.append([row[part]["ratio"] for row in rows])
    values: list[tuple[str, Callable[[list[float]], float]]] = [("geometric mean", geometric_mean), ("least", min)]
    return [
        [name, *(f"{value(column):.2f}" if len(column) == len(rows) else NOTHING for column in columns)] for name, value in values
    ]


def inference_table(rows: list[Row]) -> list[str]:
    """Dense inference against each rival, and against the fastest of torch, ONNX Runtime and OpenVINO."""
    rivals = [rival for rival in RIVALS if any(rival in row["inference"]["against"] for row in rows)]
    body = [
        [
            shape_text(row),
            *(ratio(row["inference"]["against"].get(rival)) for rival in rivals),
            f"{row['inference']['ratio']:.2f} ({row['inference']['fastest']})",
            f"{row['inference']['gflops']:.0f}",
        ]
        for row in rows
    ]
    body += [[*summary, ""] for summary in summary_rows(rows, "inference", rivals)]
    return table(["inference, T×B×I×H", *rivals, "the fastest of them, without JAX", "GFLOP/s"], body)


def training_table(rows: list[Row], sgemm_gflops: float) -> list[str]:
    """Dense training against each rival, and as a fraction of the sgemm."""
    rivals = [rival for rival in RIVALS if any(rival in row["training"]["against"] for row in rows)]
    body = [
        [
            shape_text(row),
            *(ratio(row["training"]["against"].get(rival)) for rival in rivals),
            f"{row['training']['gflops']:.0f}",
            f"{row['training']['gflops'] / sgemm_gflops:.2f}",
        ]
        for row in rows
    ]
    body += [[*summary, "", ""] for summary in summary_rows(rows, "training", rivals)]
    return table(["training, T×B×I×H", *rivals, "GFLOP/s", "of the sgemm"], body)


def ragged_table(rows: list[Row]) -> list[str]:
    """Ragged training against packed and padded torch.nn.LSTM."""
    body = [
        [
            f"{row['lengths']}, {row['least']} to {row['most']} (mean {row['mean']:.0f})",
            ratio(row["against"]["packed"]),
            ratio(row["against"]["padded"]),
            f"{row['gflops']:.0f}",
        ]
        for row in rows
    ]
    return table(["ragged training, lengths", "packed", "padded", "useful GFLOP/s"], body)


def streaming_table(row: Row) -> list[str]:
    """One streaming step."""
    body = [[name, f"{1e3 * side['theirs_ms']:.1f}", f"{side['ratio']:.1f}"] for name, side in row["against"].items()]
    return table([f"one step of 64 units, ours {row['ours_us']:.1f} µs", "µs", "ratio"], body)


def cells_table(rows: list[Row]) -> list[str]:
    """Custom cells, training."""
    body = [
        [
            f"{row['cell']}, {row['units']}",
            f"{row['time_per_product']:.2f}",
            ratio(row["against"].get("eager")),
            ratio(row["against"].get("torch.compile")),
        ]
        for row in rows
    ]
    return table(["cell, H=I", "time per multiply-add against our lstm", "eager", "torch.compile"], body)


def compile_table(results: Row) -> list[str]:
    """First calls of a cell."""
    body = []
    for cell, found in results["cells"].items():
        compiled, loaded = found["compiled_ms"], found["loaded_ms"]
        kernels = [f"{compiled[kernel]:.0f}" for kernel in ("inference", "training", "backward")]
        body.append([cell, *kernels, f"{compiled['all']:.0f}", f"{loaded['all']:.0f}"])
    return table(["first call, ms", "inference", "training", "backward", "together", "together, from disk"], body)


def pairs_of(results: Any) -> list[Row]:
    """Every comparison of ours with a rival, wherever it stands in the results."""
    if isinstance(results, list):
        return [pair for part in results for pair in pairs_of(part)]
    if not isinstance(results, dict):
        return []
    return [results] if "disturbed" in results else pairs_of(list(results.values()))


def calm_line(results: Row) -> str:
    """How far another program disturbed the run."""
    pairs = pairs_of(results)
    busy = sum(not pair["is_calm"] for pair in pairs)
    counted, disturbed = sum(pair["pairs"] for pair in pairs), sum(pair["disturbed"] for pair in pairs)
    return f"{len(pairs)} comparisons, {busy} of them without enough calm pairs; {counted} pairs counted, {disturbed} disturbed."


def engine_tables(results: Row) -> list[str]:
    """Every table of bench_engine.py whose part was measured, a blank line before each."""
    each = results["sgemm_gflops_each"]
    lines = [f"A 2048³ sgemm in the same run: {results['sgemm_gflops']:.0f} GFLOP/s (median of {len(each)})."]
    lines.append(calm_line(results))
    if results.get("dense"):
        lines += ["", *inference_table(results["dense"])]
        lines += ["", *training_table(results["dense"], results["sgemm_gflops"])]
    if "ragged" in results:
        lines += ["", *ragged_table(results["ragged"])]
    if "streaming" in results:
        lines += ["", *streaming_table(results["streaming"])]
    if "cells" in results:
        lines += ["", *cells_table(results["cells"])]
    return lines


def main() -> None:
    """Print the tables of each file."""
    folder = Path(__file__).parent / "results"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", default=sorted(folder.glob("*.json")))
    for path in parser.parse_args().files:
        results = json.loads(path.read_text(encoding="utf-8"))
        tables = engine_tables(results) if "sgemm_gflops_each" in results else compile_table(results)
        machine = ", ".join(f"{name} {value}" for name, value in results["machine"].items())
        print("\n".join([machine, "", *tables, ""]))


if __name__ == "__main__":
    main()
