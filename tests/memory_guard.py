"""Memory in which reading before writing, and reading or writing outside of an array, shows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gatework.engine.cpu import layer, memory, stream
from gatework.engine.cpu.arguments import Arguments
from gatework.engine.cpu.plan import Plan, plan

MARGIN = 64
"""Numbers before and behind each array; a whole number of the largest vectors."""

CANARY = -12345.0


def inside_nan(tensor: Tensor) -> Tensor:
    """The same numbers in memory that has NaN before and behind them, so that reading over an end shows."""
    array = torch.full((tensor.numel() + 2 * MARGIN,), float("nan"), dtype=tensor.dtype)
    array[MARGIN : MARGIN + tensor.numel()] = tensor.reshape(-1)
    return array[MARGIN : MARGIN + tensor.numel()].view(tensor.shape)


def spaced(own: Plan) -> tuple[Plan, list[tuple[int, int]]]:
    """The same plan with a margin behind each piece of the call's memory, and where the margins begin and end.

    The pieces that begin as zeros stay the first ones, so their margins are cleared, too.
    """
    zeros, *pieces = own.pieces
    ends = [*(offset for _, offset in pieces[1:]), own.numbers]
    gaps = [(end + number * MARGIN, end + (number + 1) * MARGIN) for number, end in enumerate(ends)]
    moved = [(place, offset + number * MARGIN) for number, (place, offset) in enumerate(pieces)]
    size = own.template.number("zeros_size")
    template = own.template.copy()
    template.put(zeros_size=size + MARGIN * sum(end <= size for end in ends))
    template.keep(own)
    return replace(own, template=template, pieces=(zeros, *moved), numbers=gaps[-1][1]), gaps


class SpacedPlans:
    """Plans with margins, and the memory of every call that was made with one."""

    def __init__(self) -> None:
        self.used: list[tuple[Tensor, int, list[tuple[int, int]]]] = []

    def plan(self, *sizes: object) -> Plan:
        """Instead of the engine's `plan`."""
        made, gaps = spaced(plan(*sizes))  # type: ignore[arg-type]
        real = made.arguments

        def arguments(like: Tensor) -> tuple[Arguments, Tensor]:
            found, numbers = real(like)
            self.used.append((numbers, made.template.number("zeros_size"), gaps))
            return found, numbers

        object.__setattr__(made, "arguments", arguments)  # frozen
        return made

    def check(self) -> None:
        """No margin was written to."""
        assert self.used
        for numbers, zeros, gaps in self.used:
            for first, last in gaps:
                margin = numbers[first:last]
                untouched = not margin.any() if last <= zeros else bool(margin.isnan().all())
                assert untouched, f"written behind the piece of a call's memory that ends at {first}"


@contextmanager
def guarded_memory() -> Iterator[None]:
    """Arrays that the engine asks for hold NaN until they are written, and writing outside of them is found at the end."""
    handed_out: list[tuple[Tensor, int]] = []
    plans, full = SpacedPlans(), torch.full

    def guarded(shape: tuple[int, ...], dtype: torch.dtype, fill: float) -> Tensor:
        size = torch.Size(shape).numel()
        array = full((size + 2 * MARGIN,), CANARY, dtype=dtype)
        array[MARGIN : MARGIN + size] = fill
        handed_out.append((array, size))
        return array[MARGIN : MARGIN + size].view(shape)

    def shape_of(arguments: tuple[object, ...]) -> tuple[int, ...]:
        return tuple(arguments[0] if len(arguments) == 1 and not isinstance(arguments[0], int) else arguments)  # type: ignore[call-overload]

    def method(fill: float) -> Callable[..., Tensor]:
        return lambda self, *shape, **_: guarded(shape_of(shape), self.dtype, fill)

    def like(fill: float) -> Callable[..., Tensor]:
        return lambda tensor, **_: guarded(tuple(tensor.shape), tensor.dtype, fill)

    nan = float("nan")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "new_empty", method(nan))
        patch.setattr(Tensor, "new_zeros", method(0.0))
        patch.setattr(torch, "empty_like", like(nan))
        patch.setattr(torch, "zeros_like", like(0.0))
        # all memory is new: none that an earlier call has written to
        patch.setattr(memory, "LEAST", 2**60)
        patch.setattr(layer, "plan", plans.plan)
        patch.setattr(stream, "plan", plans.plan)
        yield
    for array, size in handed_out:
        margins = torch.cat([array[:MARGIN], array[MARGIN + size :]])
        assert bool((margins == CANARY).all()), f"written outside of an array of {size} numbers"
    plans.check()
