"""The functions that a cell's equations may call. Each calls the operand's own method, so tensors and symbols both work."""

from typing import Any, Protocol, Self, TypeVar


class Operand(Protocol):
    """What equations are written over: a torch tensor (sequences, units) or a symbol. Numbers may stand on either side.

    `@` is there for the matrices of a cell alone: `w.NAME @ a`.
    """

    def __add__(self, other: Any, /) -> Self: ...
    def __radd__(self, other: Any, /) -> Self: ...
    def __sub__(self, other: Any, /) -> Self: ...
    def __rsub__(self, other: Any, /) -> Self: ...
    def __mul__(self, other: Any, /) -> Self: ...
    def __rmul__(self, other: Any, /) -> Self: ...
    def __truediv__(self, other: Any, /) -> Self: ...
    def __rtruediv__(self, other: Any, /) -> Self: ...
    def __matmul__(self, other: Any, /) -> Self: ...
    def __neg__(self) -> Self: ...
    def sigmoid(self) -> Self: ...
    def tanh(self) -> Self: ...
    def relu(self) -> Self: ...
    def exp(self) -> Self: ...
    def log(self) -> Self: ...
    def log1p(self) -> Self: ...
    def sqrt(self) -> Self: ...
    def floor(self) -> Self: ...
    def lt(self, other: Any, /) -> Any: ...
    def gt(self, other: Any, /) -> Any: ...
    def where(self, condition: Any, other: Any, /) -> Self: ...
    def minimum(self, other: Any, /) -> Self: ...
    def maximum(self, other: Any, /) -> Self: ...


OperandT = TypeVar("OperandT", bound=Operand)


def sigmoid(a: OperandT) -> OperandT:
    """1 / (1 + exp(-a)), in (0, 1)."""
    return a.sigmoid()


def tanh(a: OperandT) -> OperandT:
    """Hyperbolic tangent, in (-1, 1)."""
    return a.tanh()


def relu(a: OperandT) -> OperandT:
    """a where it is positive, else 0."""
    return a.relu()


def exp(a: OperandT) -> OperandT:
    """The exponential function, positive."""
    return a.exp()


def log(a: OperandT) -> OperandT:
    """The natural logarithm; a must be positive."""
    return a.log()


def log1p(a: OperandT) -> OperandT:
    """log(1 + a), right near 0, too."""
    return a.log1p()


def sqrt(a: OperandT) -> OperandT:
    """The square root; a must not be negative."""
    return a.sqrt()


def floor(a: OperandT) -> OperandT:
    """The largest whole number that is not above a; its gradient is 0."""
    return a.floor()


def less(a: OperandT | float, b: OperandT | float) -> Any:
    """Whether a < b: a condition for `where`; at least one of them is no plain number."""
    if isinstance(a, int | float):
        return b.gt(a)  # type: ignore[union-attr]
    return a.lt(b)


def where(condition: Any, a: OperandT | float, b: OperandT | float) -> OperandT:
    """a where the condition holds, else b; at least one of them is no plain number."""
    if isinstance(a, int | float):
        # 0 · b would turn an infinite b into NaN; b's own where takes the condition the other way round
        return b.where(condition.logical_not(), a)  # type: ignore[union-attr]
    return a.where(condition, b)


def minimum(a: OperandT | float, b: OperandT | float) -> OperandT:
    """The smaller of two, of which at least one is no plain number; at a tie half of the gradient goes to each."""
    one, other = (b, a) if isinstance(a, int | float) else (a, b)
    return one.minimum(_like(other, one))  # type: ignore[union-attr]


def maximum(a: OperandT | float, b: OperandT | float) -> OperandT:
    """The larger of two, of which at least one is no plain number; at a tie half of the gradient goes to each."""
    one, other = (b, a) if isinstance(a, int | float) else (a, b)
    return one.maximum(_like(other, one))  # type: ignore[union-attr]


def _like(b: Any, a: Any) -> Any:
    """A plain number as an operand: tensors' minimum and maximum take tensors only."""
    return a.new_tensor(b) if isinstance(b, int | float) and hasattr(a, "new_tensor") else b


def mean(a: OperandT) -> OperandT:
    """The mean over the units of one sequence, the same for all of them."""
    return a.mean(-1, keepdim=True)  # type: ignore[attr-defined,no-any-return]


def hard_sigmoid(a: OperandT) -> OperandT:
    """a / 6 + 1/2, held between 0 and 1."""
    return maximum(minimum(a * (1.0 / 6.0) + 0.5, 1.0), 0.0)


def softplus(a: OperandT) -> OperandT:
    """log(1 + exp(a)), positive; written so that it neither overflows for large a nor loses the small ones."""
    return maximum(a, 0.0) + log1p(exp(minimum(a, -a)))


def linear(a: OperandT) -> OperandT:
    """a itself: the activation "linear"."""
    return a


ACTIVATIONS = {
    "sigmoid": sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "tanh": tanh,
    "relu": relu,
    "softplus": softplus,
    "exp": exp,
    "linear": linear,
}
"""Activations by name."""
