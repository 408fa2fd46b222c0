"""Batches beyond what 31 and 16 bits can count: more than 2³¹ numbers in a tensor, more than 65,535 steps in a sequence.

What lies behind the limit must be what the same sequence gives alone, bit for bit.
"""

import gc
from pathlib import Path

import pytest
import torch

import gatework.layers as ours
from gatework.ragged import Ragged

NUMBERS, STEPS = 2**31, 2**16
GIB = 2**30


def needs_memory(size_bytes: int) -> None:
    """Skips the test where less is available: what a program may take without another one being stopped."""
    gc.collect()
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines() if Path("/proc/meminfo").exists() else []
    available = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    if not available or available[0] < size_bytes:
        found = f"{available[0] / GIB:.0f} GiB" if available else "an unknown amount"
        pytest.skip(f"needs {size_bytes / GIB:.0f} GiB of memory; {found} is available")


@pytest.mark.slow
@torch.no_grad()
def test_a_dense_batch_beyond_the_limits_gives_its_sequences_alone() -> None:
    needs_memory(12 * GIB)
    steps, num_sequences = 70_000, 4_100
    torch.manual_seed(0)
    layer = ours.LSTM(1, 8)
    x = torch.randn(steps, num_sequences, 1)
    outputs, finals = layer(x)
    assert outputs.numel() > NUMBERS
    assert steps > STEPS
    for some in (slice(0, 1), slice(-2, None)):
        alone, alone_finals = layer(x[:, some])
        assert torch.equal(outputs[:, some], alone)
        assert all(torch.equal(mine[:, some], theirs) for mine, theirs in zip(finals, alone_finals, strict=True))


@pytest.mark.slow
@torch.no_grad()
def test_a_ragged_batch_beyond_the_limits_gives_its_sequences_alone() -> None:
    needs_memory(20 * GIB)
    lengths = [70_001, *(33_000 + number % 7 for number in range(1_020)), 5, 301]
    torch.manual_seed(0)
    layer = ours.GRU(1, 64)
    x = Ragged.from_lengths(torch.randn(sum(lengths), 1), lengths)
    outputs, finals = layer(x)
    assert outputs.values.numel() > NUMBERS
    for number in (0, len(lengths) - 3, len(lengths) - 1):
        alone, final = layer(x[number])
        assert torch.equal(outputs[number], alone)
        assert torch.equal(finals[:, number], final)


@pytest.mark.slow
def test_gradients_beyond_the_limits_are_those_of_the_sequences_alone() -> None:
    needs_memory(20 * GIB)
    steps, num_sequences = 70_000, 960
    torch.manual_seed(0)
    layer = ours.Recurrent("rnn", 1, 32)
    x = torch.randn(steps, num_sequences, 1)
    x_few = x[:, -2:].clone().requires_grad_()
    assert steps * num_sequences * layer.hidden_size > NUMBERS
    # a copy of the last ones, so that the outputs' memory is free when their gradient's is taken
    few = layer(x.requires_grad_())[0][:, -2:].clone()
    found = torch.autograd.grad(few.square().sum(), [x, *layer.parameters()])
    expected = torch.autograd.grad(layer(x_few)[0].square().sum(), [x_few, *layer.parameters()])
    assert not found[0][:, :-2].any()
    assert torch.equal(found[0][:, -2:], expected[0])
    # float32: the weights' gradients are sums of 140 000 terms in another order
    torch.testing.assert_close(found[1:], expected[1:], rtol=1e-3, atol=1e-3)
