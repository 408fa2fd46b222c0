"""Random equations, as symbols or tensors: what they say is computed twice and compared."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis.strategies import SearchStrategy, composite, integers, sampled_from

from gatework.cells import less, maximum, mean, minimum, where
from gatework.cells.functions import Operand

ONE, TWO = ("sigmoid", "tanh", "relu", "exp", "floor", "neg", "mean"), ("add", "sub", "mul", "minimum", "maximum")

Program = list[tuple[str, int, int, int]]
"""Instructions (operation, three operands by number), for `build`."""


def positive(a: Operand) -> Operand:
    """Where a logarithm or a quotient is right."""
    return a * a + 0.5


@composite
def expressions(draw: Callable[[SearchStrategy[object]], object]) -> Program:
    """Any expression of the language."""
    count = draw(integers(1, 9))
    kinds = sampled_from([*ONE, *TWO, "div", "log", "log1p", "sqrt", "where"])
    return [(draw(kinds), *(draw(integers(0, 30)) for _ in range(3))) for _ in range(count)]  # type: ignore[misc]


def build(program: Program, leaves: Sequence[Operand]) -> Operand:
    """What a program computes from leaves that are symbols or tensors."""
    values: list[Any] = list(leaves)
    for kind, *places in program:
        a, b, c = (values[place % len(values)] for place in places)
        if kind in TWO:
            two = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "minimum": minimum, "maximum": maximum}
            values.append(two[kind](a, b))
        elif kind == "div":
            values.append(a / positive(b))
        elif kind in ("log", "log1p", "sqrt"):
            values.append(getattr(positive(a), kind)())
        elif kind == "where":
            values.append(where(less(a, b), c, 0.5 * a))
        elif kind == "exp":
            values.append(a.tanh().exp())  # an exp of an exp would leave the numbers
        else:
            values.append(-a if kind == "neg" else mean(a) if kind == "mean" else getattr(a, kind)())
    return sum((value * (0.5 + i) for i, value in enumerate(values[1:])), values[0])
