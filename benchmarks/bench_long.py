"""One sequence of a million steps, forward and backward, in bounded memory.

    python benchmarks/bench_long.py [--steps 1000000]

Prints the growth of the process's largest resident size over what it holds before, beside output and gradient of the input.
"""

import argparse
import time
from pathlib import Path

import torch

import gatework

SIZE = 128


def largest_resident_mb() -> float:
    """VmHWM of this process, in MiB (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    """Run once and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1_000_000)
    steps = parser.parse_args().steps
    layer = gatework.LSTM(SIZE, SIZE)
    x = torch.randn(steps, 1, SIZE, requires_grad=True)
    gradient = torch.randn(steps, 1, SIZE)
    before, begin = largest_resident_mb(), time.perf_counter()
    outputs, _ = layer(x)
    torch.autograd.grad(outputs, [x, *layer.parameters()], gradient)
    grown = largest_resident_mb() - before
    needed = 2 * steps * SIZE * 4 / 2**20
    print(f"{steps} steps, I=H={SIZE}: {grown - needed:.0f} MiB beyond output and input gradient ({needed:.0f} MiB)")
    print(f"forward and backward took {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
