"""Graphs of equations on tensors, by torch's own functions: independent of the engines."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gatework.cells.graph import Symbol, ordered

EVALUATE: dict[str, Callable[..., Tensor]] = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "neg": torch.neg, "sigmoid": torch.sigmoid,
    "tanh": torch.tanh, "relu": torch.relu, "exp": torch.exp, "log": torch.log, "log1p": torch.log1p, "sqrt": torch.sqrt,
    "floor": torch.floor, "minimum": torch.minimum, "maximum": torch.maximum, "less": torch.lt, "equal": torch.eq,
    "where": torch.where, "mean": lambda a: a.mean(-1, keepdim=True).expand_as(a),
    "product": lambda matrix, a: torch.einsum("ij,nj->ni", matrix, a),
    "product_t": lambda matrix, g: torch.einsum("ij,ni->nj", matrix, g),
}  # fmt: skip


def evaluate(wanted: list[Symbol], known: Mapping[Symbol, Tensor]) -> list[Tensor]:
    """The values of nodes. known: the leaves'; the first of them has the shape (sequences, units) that a number is given."""
    values = dict(known)
    like = next(iter(known.values()))
    for node in ordered(wanted, frozenset(known)):
        if node not in values:
            is_number = node.kind == "number"
            of_args = [values[arg] for arg in node.args]
            values[node] = torch.full_like(like, node.value) if is_number else EVALUATE[node.kind](*of_args)
    return [values[node] for node in wanted]
