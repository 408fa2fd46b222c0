"""The gradient of a graph, as a graph: reverse accumulation with one rule per kind of node."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gatework.cells.graph import Symbol, is_number, ordered


def adjoints(outputs: Mapping[Symbol, Symbol]) -> dict[Symbol, Symbol]:
    """The gradient with respect to every node: reverse accumulation, one rule per kind.

    outputs: the gradient that comes into each output, as a symbol. Returns node → gradient, for every node that has one. Each
    gradient is a number of each unit: that of an input that bypasses the gates is their sum over the units, that of a unit weight
    their sum over the steps. Matrices have none here: see `product_gradients`.
    """
    gradient: dict[Symbol, Symbol] = {}
    for node, incoming in outputs.items():
        gradient[node] = gradient[node] + incoming if node in gradient else incoming
    for node in reversed(ordered(outputs)):
        if node not in gradient or not node.args:
            continue
        for arg, part in zip(node.args, RULES[node.kind](node, gradient[node]), strict=True):
            if part is not None and not is_number(part, 0.0):
                gradient[arg] = gradient[arg] + part if arg in gradient else part
    return gradient


@dataclass(frozen=True, eq=False)
class ProductGradient:
    """One product of the equations and what it adds to the gradient of its matrix.

    node: the product. matrix: the name of its matrix. operand: what the matrix is multiplied with. d_result: the gradient that
    comes into the product. It adds, over all steps, Σ d_result[i] · operand[j] to the gradient of matrix[i, j].
    """

    node: Symbol
    matrix: str
    operand: Symbol
    d_result: Symbol


def product_gradients(outputs: Iterable[Symbol], gradient: Mapping[Symbol, Symbol]) -> tuple[ProductGradient, ...]:
    """Every product that has a gradient, in the order in which they are computed; a matrix may have several or none.

    outputs, gradient: what `adjoints` was given (the keys) and what it returned.
    """
    products = [node for node in ordered(outputs) if node.kind == "product" and node in gradient]
    return tuple(ProductGradient(node, node.args[0].name, node.args[1], gradient[node]) for node in products)


Parts = tuple[Symbol | None, ...]


def _where_rule(node: Symbol, g: Symbol) -> Parts:
    condition = node.args[0]
    zero = node.graph.number(0.0)
    return None, node.graph.where(condition, g, zero), node.graph.where(condition, zero, g)


def _extreme_rule(node: Symbol, g: Symbol) -> Parts:
    # as torch.minimum and torch.maximum: at a tie half to each; where one is NaN, so is the result, and both get all
    graph, (a, b) = node.graph, node.args
    zero, tie = graph.number(0.0), graph.pair("equal", a, b)
    smaller, larger = graph.pair("less", a, b), graph.pair("less", b, a)
    a_loses, b_loses = (larger, smaller) if node.kind == "minimum" else (smaller, larger)
    return tuple(graph.where(tie, g * 0.5, graph.where(loses, zero, g)) for loses in (a_loses, b_loses))


def _relu_rule(node: Symbol, g: Symbol) -> Parts:
    # as torch: 0 where the result is 0; a NaN lets the gradient through
    zero = node.graph.number(0.0)
    return (node.graph.where(node.graph.pair("equal", node, zero), zero, g),)


RULES: dict[str, Callable[[Symbol, Symbol], Parts]] = {
    "add": lambda n, g: (g, g),
    "sub": lambda n, g: (g, -g),
    "mul": lambda n, g: (g * n.args[1], g * n.args[0]),
    "div": lambda n, g: (g / n.args[1], -(g * n / n.args[1])),
    "neg": lambda n, g: (-g,),
    "sigmoid": lambda n, g: (g * (n * (1.0 - n)),),
    "tanh": lambda n, g: (g * (1.0 - n * n),),
    "exp": lambda n, g: (g * n,),
    "log": lambda n, g: (g / n.args[0],),
    "log1p": lambda n, g: (g / (1.0 + n.args[0]),),
    "sqrt": lambda n, g: (g * 0.5 / n,),
    "floor": lambda n, g: (None,),
    "less": lambda n, g: (None, None),
    "relu": _relu_rule,
    "minimum": _extreme_rule,
    "maximum": _extreme_rule,
    "where": _where_rule,
    "mean": lambda n, g: (n.graph.mean(g),),
    "product": lambda n, g: (None, n.graph.product_t(n.args[0], g)),
}
