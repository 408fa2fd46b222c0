"""The functions that a cell's equations may call. Each calls the operand's own method, so tensors and symbols both work."""

from typing import Any, Protocol, Self, TypeVar


class Operand(Protocol):
    """What equations are written over: a torch tensor (sequences, units) or a symbol. Numbers may stand on either side."""

    def __add__(self, other: Any, /) -> Self: ...
    def __radd__(self, other: Any, /) -> Self: ...
    def __sub__(self, other: Any, /) -> Self: ...
    def __rsub__(self, other: Any, /) -> Self: ...
    def __mul__(self, other: Any, /) -> Self: ...
    def __rmul__(self, other: Any, /) -> Self: ...
    def __truediv__(self, other: Any, /) -> Self: ...
    def __neg__(self) -> Self: ...
    def sigmoid(self) -> Self: ...
    def tanh(self) -> Self: ...
    def relu(self) -> Self: ...
    def exp(self) -> Self: ...


OperandT = TypeVar("OperandT", bound=Operand)


def sigmoid(a: OperandT) -> OperandT:
    """1 / (1 + exp(-a)), in (0, 1)."""
    return a.sigmoid()


def tanh(a: OperandT) -> OperandT:
    """Hyperbolic tangent, in (-1, 1)."""
    return a.tanh()


def relu(a: OperandT) -> OperandT:
    """Zero where a is negative, else a."""
    return a.relu()


def exp(a: OperandT) -> OperandT:
    """The exponential function, positive."""
    return a.exp()
