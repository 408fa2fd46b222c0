"""torch's layers and ours side by side: made under one seed, with outputs, final states and every gradient compared."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

import gatework.layers as ours

KINDS = ["LSTM", "GRU", "RNN"]
Options = dict[str, object]


def pair_of(kind: str, *arguments: object, seed: int = 0, **options: object) -> tuple[nn.Module, nn.Module]:
    """torch's layer and ours, each made under the same seed."""
    made = []
    for module in (nn, ours):
        torch.manual_seed(seed)
        made.append(getattr(module, kind)(*arguments, **options))
    return made[0], made[1]


def states_of(hx: object) -> tuple[Tensor, ...]:
    return hx if isinstance(hx, tuple) else (hx,)  # type: ignore[return-value]


@dataclass
class Outcome:
    """Outputs, finals and the gradient of a random loss by everything that can have one."""

    results: list[Tensor]
    gradients: dict[str, Tensor]


def outcome(module: nn.Module, x: Tensor, hx: object, wrap: Callable[[Tensor], object] = lambda x: x) -> Outcome:
    x = x.detach().clone().requires_grad_()
    leaves = {"x": x, **dict(module.named_parameters())}
    if hx is not None:
        given = tuple(state.detach().clone().requires_grad_() for state in states_of(hx))
        leaves |= {f"hx {i}": state for i, state in enumerate(given)}
        hx = given if len(given) > 1 else given[0]
    output, finals = module(wrap(x), hx) if hx is not None else module(wrap(x))
    output = output.data if isinstance(output, PackedSequence) else output
    results = [output, *states_of(finals)]
    generator = torch.Generator().manual_seed(1)
    loss = sum((r * torch.randn(r.shape, generator=generator, dtype=r.dtype)).sum() for r in results)
    gradients = torch.autograd.grad(loss, list(leaves.values()))  # type: ignore[arg-type]
    return Outcome(results, dict(zip(leaves, gradients, strict=True)))


def assert_same(mine: Outcome, theirs: Outcome, dtype: torch.dtype) -> None:
    # Sums of up to 63 + 33 terms and 5 steps in another order: some tens of roundings.
    tolerance = {"rtol": 1e-10, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 2e-4, "atol": 2e-5}
    for a, b in zip(mine.results, theirs.results, strict=True):
        torch.testing.assert_close(a, b, **tolerance)
    assert mine.gradients.keys() == theirs.gradients.keys()
    for name, gradient in theirs.gradients.items():
        torch.testing.assert_close(mine.gradients[name], gradient, **tolerance, msg=lambda text, name=name: f"{name}: {text}")


def random_states(module: nn.Module, batch: int | None, dtype: torch.dtype) -> object:
    count = module.num_layers * (2 if module.bidirectional else 1)
    width = getattr(module, "proj_size", 0) or module.hidden_size
    sizes = [width, module.hidden_size] if isinstance(module, nn.LSTM) else [width]
    states = tuple(torch.randn((count, size) if batch is None else (count, batch, size), dtype=dtype) for size in sizes)
    return states if len(states) > 1 else states[0]
