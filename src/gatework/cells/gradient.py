"""The gradient of a graph, as a graph: reverse accumulation with one rule per kind of node."""

from collections.abc import Callable, Mapping

from gatework.cells.graph import Symbol, is_number, ordered


def adjoints(outputs: Mapping[Symbol, Symbol]) -> dict[Symbol, Symbol]:
    """The gradient with respect to every node: reverse accumulation, one rule per kind.

    outputs: the gradient that comes into each output, as a symbol. Returns node → gradient, for every node that has one.
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
}
