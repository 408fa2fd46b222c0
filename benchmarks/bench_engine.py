"""The compiled engine against torch's own kernels: dense, ragged, custom cells, one streaming step.

    python benchmarks/bench_engine.py [--threads 2] [--seconds 1] [--out benchmarks/results/engine.json]

Rivals are interleaved with ours in one run; the ratio is the median of the ratios pair by pair. FLOPs are 8·H·(I+H) per step and
sequence for inference and three times as many for training, for an LSTM; the sgemm that they are held against is measured in the
same run.
Refuses to time a kernel whose results differ from the reference.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

import gatework
from gatework.cells import CELLS, Cell, sigmoid, tanh
from gatework.engine import choose
from gatework.engine.choose import BACKENDS
from gatework.engine.cpu.machine import machine
from gatework.engine.rows import DenseRows

SHAPES = [
    (50, 12, 32, 32), (100, 24, 64, 64), (100, 32, 64, 64), (100, 36, 96, 96), (100, 24, 128, 128), (100, 64, 128, 128),
    (50, 48, 256, 256), (35, 20, 200, 200), (100, 64, 512, 512), (784, 48, 1, 128), (1000, 12, 1, 64), (168, 36, 7, 64),
    (200, 17, 33, 100),
]  # fmt: skip


def coupled_step(x, r, s, w):
    """An own pointwise cell: input and forget gate are coupled."""
    keep = sigmoid(x.forget + r.forget)
    c = keep * s.c + (1.0 - keep) * tanh(x.candidate + r.candidate)
    return {"h": sigmoid(x.output + r.output) * tanh(c), "c": c}


COUPLED = Cell("own", "An own pointwise cell", ("forget", "candidate", "output"), ("h", "c"), coupled_step)


def paired(ours: Callable[[], object], others: dict[str, Callable[[], object]], seconds: float) -> dict[str, dict[str, float]]:
    """Interleaved timings: for each rival its median time, ours, and the median of the ratios pair by pair."""
    for run in (ours, *others.values()):
        run()
        run()
    times: dict[str, list[float]] = {name: [] for name in ("ours", *others)}
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop or len(times["ours"]) < 5:
        for name, run in (("ours", ours), *others.items()):
            begin = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begin)
    ours_s = np.array(times["ours"])
    return {
        name: {
            "ours_ms": 1e3 * statistics.median(times["ours"]),
            "theirs_ms": 1e3 * statistics.median(times[name]),
            "ratio": float(np.median(np.array(times[name]) / ours_s)),
        }
        for name in others
    }


def trainer(layer: nn.Module, x: object, gradient: torch.Tensor) -> Callable[[], object]:
    """One training step of a layer: forward and every gradient."""
    parameters = list(layer.parameters())
    leaf = values_of(x)

    def run() -> object:
        return torch.autograd.grad(values_of(layer(x)[0]), [leaf, *parameters], gradient)

    return run


def values_of(x: object) -> torch.Tensor:
    """The steps of a tensor, a Ragged or a PackedSequence."""
    if isinstance(x, gatework.Ragged):
        return x.values
    return x.data if isinstance(x, nn.utils.rnn.PackedSequence) else x


def check(cell: Cell, hidden_size: int) -> None:
    """Outputs and gradients of the compiled cell equal the reference's, or there is nothing to time."""
    torch.manual_seed(0)
    layer = gatework.Recurrent(cell, 5, hidden_size)
    x = torch.randn(7, 4, 5, requires_grad=True)
    chosen = choose(layer.cell, DenseRows(x), layer._weights(0))
    if chosen.backend.name != "compiled":
        raise SystemExit(f"{cell.name} is not compiled: {chosen.reason}")
    results = []
    for backend in (chosen.backend, BACKENDS[-1]):
        initial = {name: torch.zeros(1, 4, hidden_size) for name in layer.cell.states}
        outputs = backend.run(layer.cell, DenseRows(x), layer._weights(0), initial).outputs.values
        results.append([outputs, *torch.autograd.grad(outputs.sin().sum(), [x, *layer.parameters()])])
    for ours, truth in zip(*results, strict=True):
        torch.testing.assert_close(ours, truth, rtol=1e-4, atol=1e-5)


def sgemm_gflops() -> float:
    """A 2048³ product, the yardstick."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - begin)
    return 2 * 2048**3 / statistics.median(times) / 1e9


def dense(seconds: float) -> list[dict[str, object]]:
    """Inference and training on every shape, against torch.nn.LSTM."""
    rows = []
    for steps, batch, inputs, units in SHAPES:
        ours, theirs = gatework.LSTM(inputs, units), nn.LSTM(inputs, units)
        x = torch.randn(steps, batch, inputs)
        leaf, gradient = x.clone().requires_grad_(), torch.randn(steps, batch, units)
        flops = steps * batch * 8 * units * (inputs + units)
        with torch.inference_mode():
            inference = paired(partial(ours, x), {"torch": partial(theirs, x)}, seconds)["torch"]
        training = paired(trainer(ours, leaf, gradient), {"torch": trainer(theirs, leaf, gradient)}, seconds)["torch"]
        rows.append(
            {
                "shape": f"{steps}×{batch}×{inputs}×{units}",
                "inference": inference["ratio"],
                "training": training["ratio"],
                "inference_gflops": flops / inference["ours_ms"] / 1e6,
                "training_gflops": 3 * flops / training["ours_ms"] / 1e6,
            }
        )
        print(rows[-1], flush=True)
    return rows


def lognormal_lengths() -> list[int]:
    """64 lengths from 3 to 200, mean about 32."""
    generator = np.random.default_rng(0)
    return np.clip(generator.lognormal(3.1, 0.85, 64), 3, 200).astype(int).tolist()


def ragged(seconds: float) -> dict[str, object]:
    """Training on sequences of unequal lengths, against packed and padded torch.nn.LSTM."""
    lengths, inputs, units = lognormal_lengths(), 64, 128
    sequences = [torch.randn(length, inputs) for length in lengths]
    batch = gatework.Ragged.from_list(sequences)
    batch = batch.with_values(batch.values.clone().requires_grad_())
    packed = nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False)
    packed = packed._replace(data=packed.data.clone().requires_grad_())
    padded = nn.utils.rnn.pad_sequence(sequences).requires_grad_()
    ours, theirs = gatework.LSTM(inputs, units), nn.LSTM(inputs, units)
    found = paired(
        trainer(ours, batch, torch.randn(sum(lengths), units)),
        {
            "packed": trainer(theirs, packed, torch.randn(sum(lengths), units)),
            "padded": trainer(theirs, padded, torch.randn(max(lengths), 64, units)),
        },
        3 * seconds,
    )
    return {"mean_length": statistics.fmean(lengths), **{name: row["ratio"] for name, row in found.items()}}


def cells(seconds: float) -> list[dict[str, object]]:
    """Training time per multiply-add of other cells against our lstm, and against their eager selves."""
    rows = []
    for units in (64, 128, 256):
        x = torch.randn(100, 24, units, requires_grad=True)
        gradient = torch.randn(100, 24, units)
        base = gatework.LSTM(units, units)
        for cell in (CELLS["peephole"], CELLS["gru"], COUPLED, CELLS["layernorm"]):
            layer = gatework.Recurrent(cell, units, units)
            rivals = {"lstm": trainer(base, x, gradient)}
            if cell.name in ("peephole", "layernorm"):
                rivals["eager"] = eager(layer, x, gradient)
            found = paired(trainer(layer, x, gradient), rivals, seconds)
            per_product = 1.0 / found["lstm"]["ratio"] * 4 / len(cell.gates)
            rows.append(
                {"cell": cell.name, "units": units, "time_per_product": per_product, "eager": found.get("eager", {}).get("ratio")}
            )
            print(rows[-1], flush=True)
    return rows


def eager(layer: nn.Module, x: torch.Tensor, gradient: torch.Tensor) -> Callable[[], object]:
    """The same cell through the reference: torch operations step by step."""
    parameters = list(layer.parameters())

    def run() -> object:
        initial = {name: torch.zeros(1, x.shape[1], layer.hidden_size) for name in layer.cell.states}
        outputs = BACKENDS[-1].run(layer.cell, DenseRows(x), layer._weights(0), initial).outputs.values
        return torch.autograd.grad(outputs, [x, *parameters], gradient)

    return run


def streaming(seconds: float) -> dict[str, object]:
    """One step of 64 units, in µs, against torch.nn.LSTM and LSTMCell on one step."""
    stream, out = gatework.LSTM(64, 64).stream(), torch.empty(64)
    layer, cell, x = nn.LSTM(64, 64), nn.LSTMCell(64, 64), torch.randn(64)
    zeros, flat = (torch.zeros(1, 1, 64), torch.zeros(1, 1, 64)), (torch.zeros(1, 64), torch.zeros(1, 64))
    rivals = {"nn.LSTM": partial(layer, x.view(1, 1, 64), zeros), "nn.LSTMCell": partial(cell, x.view(1, 64), flat)}
    with torch.inference_mode():
        found = paired(partial(stream.step, x, out), rivals, seconds)
    return {"ours_us": 1e3 * found["nn.LSTM"]["ours_ms"], **{name: row["ratio"] for name, row in found.items()}}


def main() -> None:
    """Check, then measure, then write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/engine.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for cell in (*CELLS.values(), COUPLED):
        check(cell, 33)
    results: dict[str, object] = {
        "machine": f"{platform.machine()}, {machine().name}, {options.threads} threads",
        "torch": torch.__version__,
        "sgemm_gflops": sgemm_gflops(),
    }
    print(results, flush=True)
    results["dense"] = dense(options.seconds)
    results["ragged"] = ragged(options.seconds)
    print(results["ragged"], flush=True)
    results["streaming"] = streaming(options.seconds)
    print(results["streaming"], flush=True)
    results["cells"] = cells(options.seconds)
    for name in ("inference", "training"):
        ratios = [row[name] for row in results["dense"]]  # type: ignore[attr-defined]
        results[f"{name}_geometric_mean"] = float(np.exp(np.mean(np.log(ratios))))
        print(name, "geometric mean", results[f"{name}_geometric_mean"], "least", min(ratios))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
