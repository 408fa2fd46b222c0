"""Matrix: a learned matrix as the equations see it, `w.NAME`, with one use: `w.NAME @ (…)`."""

from collections.abc import Callable
from typing import Any, NoReturn


class MatrixError(TypeError):
    """The equations use a matrix without @, or @ without a matrix."""


class Matrix:
    """A declared matrix (hidden_size, hidden_size), for products alone.

    `w.NAME @ a`, for a value `a` of each unit, gives each unit i the sum over the units j of matrix[i, j] · a[j].

    product: what `@` computes from its right side, a tensor or a symbol.
    Raises MatrixError for every other use.
    """

    def __init__(self, name: str, product: Callable[[Any], Any]) -> None:
        self.__name__ = name
        self._product = product

    def __matmul__(self, operand: Any) -> Any:
        if isinstance(operand, Matrix):
            operand.refuse()
        return self._product(operand)

    def __rmatmul__(self, operand: object) -> NoReturn:
        raise MatrixError(
            f"The equations write … @ w.{self.__name__}; expected the matrix on the left. Write w.{self.__name__} @ (…) instead."
        )

    def refuse(self, *_: object) -> NoReturn:
        """Raises MatrixError: the matrix stands where a value is expected."""
        name = self.__name__
        raise MatrixError(
            f"The equations use the matrix w.{name} like a value of each unit; expected a product with @. "
            f"Write w.{name} @ (…), or declare '{name}' in unit_weights instead of matrices."
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = __bool__ = refuse

    def __getattr__(self, name: str) -> NoReturn:
        """Called only for what is not there, such as the `sigmoid` of a value."""
        if name.startswith("__"):
            raise AttributeError(name)
        self.refuse()
