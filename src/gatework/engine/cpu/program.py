"""What a cell's kernels compute: its equations traced once, their gradient, what must be kept between the two, and the phases.

Sums. What the matrix products add to a gate is an accumulator of the tile. Where the equations only ever use x.gate + r.gate, one
accumulator serves both products; where they use them apart (GRU's candidate), each has its own. Order of the blocks: those of x
alone,
shared ones, those of r alone; so the blocks of x and those of r are each contiguous.

Kept values. Backward needs values of forward. Whatever follows cheaply from states and other kept values is computed again; a
function of
a sum that cannot be is kept.

Products inside the step. The product of a matrix needs its operand for all units, so the equations are computed in phases: the
operands of the first products, those products, the operands of the products that build on them, …, at last everything else. A
phase computes again what it needs of earlier ones, but for the products.
"""

from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

from gatework.cells.equations import Equations, from_text, substitute
from gatework.cells.gradient import adjoints
from gatework.cells.graph import FUNCTIONS, Graph, Symbol, ordered


@dataclass(frozen=True)
class Block:
    """One accumulator: a gate, and whether the input's product, the recurrence's or both go into it."""

    gate: str
    has_x: bool
    has_r: bool


@dataclass(frozen=True, eq=False)
class Inner:
    """A product inside the step, or, in backward, one with the matrix transposed.

    matrix: its number among the cell's matrices. phase: in which its operand is computed.
    """

    node: Symbol
    matrix: int
    operand: Symbol
    phase: int


def inner_products(outputs: list[Symbol], kind: str, matrices: tuple[str, ...]) -> tuple[Inner, ...]:
    """All products of this kind, earlier phases first."""
    phase: dict[Symbol, int] = {}
    found = []
    for node in ordered(outputs):
        phase[node] = max((phase[arg] for arg in node.args), default=0) + (node.kind == kind)
        if node.kind == kind:
            found.append(Inner(node, matrices.index(node.args[0].name), node.args[1], phase[node] - 1))
    return tuple(sorted(found, key=lambda inner: inner.phase))


@dataclass(frozen=True, eq=False)
class Program:
    """A cell, ready to be compiled.

    blocks: the accumulators; sums: the symbol that stands for each in the graph. states: new states by name.
    kept: what forward stores for backward, in order. *_gradients: with respect to the sums, to the states one step ago and to
    the unit
    weights and, unit by unit, to the inputs that bypass the gates, where the gradient of a new state is the given value `d NAME`.
    inner: the products inside the step; back_inner: those of backward; d_results: the gradient that comes into each of `inner`.
    """

    cell: Equations
    blocks: tuple[Block, ...]
    sums: tuple[Symbol, ...]
    states: dict[str, Symbol]
    kept: tuple[Symbol, ...]
    sum_gradients: tuple[Symbol, ...]
    state_gradients: dict[str, Symbol]
    weight_gradients: dict[str, Symbol]
    step_gradients: dict[str, Symbol]
    unit_gradients: dict[str, Symbol]
    inner: tuple[Inner, ...]
    back_inner: tuple[Inner, ...]
    d_results: tuple[Symbol, ...]

    @cached_property
    def x_blocks(self) -> tuple[Block, ...]:
        return tuple(block for block in self.blocks if block.has_x)

    @cached_property
    def r_blocks(self) -> tuple[Block, ...]:
        return tuple(block for block in self.blocks if block.has_r)

    @cached_property
    def first_r(self) -> int:
        """The number of the first block that the recurrence goes into."""
        return sum(1 for block in self.blocks if not block.has_r)

    @cached_property
    def kept_rows(self) -> int:
        """Rows of `units` numbers that forward leaves for backward at each step: the kept values and the states one step ago."""
        return len(self.kept) + len(self.states)

    @cache  # noqa: B019 - programs live as long as the process
    def weight_slots(self, count: int) -> tuple[str, ...]:
        """The slots of a layer's weights, `count` in all, in the order in which they come: input, recurrent, the biases of both
        if there are any, unit weights, matrices.
        """
        own = [*(f"unit {name}" for name in self.cell.unit_weights), *(f"matrix {name}" for name in self.cell.matrices)]
        biases = ["input_bias", "recurrent_bias"] if count - len(own) == 4 else []
        return ("input", "recurrent", *biases, *own)

    @cache  # noqa: B019 - programs live as long as the process
    def state_slots(self, prefix: str) -> tuple[str, ...]:
        """A slot for each state."""
        return tuple(prefix + name for name in self.cell.state_names)

    @cached_property
    def num_inner(self) -> int:
        """Places that a lane needs for products inside the step, forward or backward."""
        return max(len(self.inner), len(self.back_inner))

    @cached_property
    def in_passes(self) -> bool:
        """Whether equations or gradients look at all units of a sequence at once, so that they need several passes."""
        has_mean = any(node.kind == "mean" for node in ordered(self.states.values()))
        return has_mean or bool(self.inner) or bool(self.step_gradients)

    @cached_property
    def inner_rows(self) -> tuple[int, ...]:
        """The kept row that each operand of `inner` is in."""
        return tuple(self.kept.index(inner.operand) for inner in self.inner)

    @property
    def outputs(self) -> list[Symbol]:
        """What the last phase of forward computes: the new states, in training the kept values as well."""
        return list(dict.fromkeys(self.states.values()))

    @property
    def gradients(self) -> list[Symbol]:
        """What the last phase of backward computes."""
        found = [*self.sum_gradients, *self.state_gradients.values(), *self.weight_gradients.values()]
        return list(dict.fromkeys([*found, *self.step_gradients.values(), *self.unit_gradients.values(), *self.d_results]))


@lru_cache(maxsize=256)
def program_of(text: str) -> Program:
    """The program of a cell's canonical text."""
    equations = from_text(text)
    graph = equations.graph
    x, r = ({gate: graph.leaf(kind, gate) for gate in equations.gates} for kind in ("x", "r"))
    blocks, replaced = shared_sums(equations, x, r)
    states = {name: substitute(state, replaced) for name, state in equations.states.items()}
    sums = tuple(stand_in(graph, block) for block in blocks)
    inner = inner_products(list(states.values()), "product", equations.matrices)
    gradient = add_up(states, {name: graph.leaf("given", f"d {name}") for name in states})
    zero = graph.number(0.0)
    sum_gradients = tuple(gradient.get(node, zero) for node in sums)
    state_gradients = {name: gradient.get(graph.leaf("s", name), zero) for name in equations.state_names}
    weight_gradients = {name: gradient.get(graph.leaf("w", name), zero) for name in equations.unit_weights}
    # the mean of its gradients: a column's gradient is their sum over the units
    step_gradients = {name: graph.mean(gradient.get(graph.leaf("step", name), zero)) for name in equations.inputs}
    unit_gradients = {name: gradient.get(graph.leaf("unit", name), zero) for name in equations.unit_inputs}
    d_results = tuple(gradient.get(product.node, zero) for product in inner)
    wanted = [*sum_gradients, *state_gradients.values(), *weight_gradients.values(), *step_gradients.values()]
    wanted += [*unit_gradients.values(), *d_results]
    back_inner = inner_products(wanted, "product_t", equations.matrices)
    kept = what_to_keep(wanted, (*sums, *(product.node for product in inner)), [product.operand for product in inner])
    return Program(
        equations, blocks, sums, states, kept, sum_gradients, state_gradients, weight_gradients, step_gradients,
        unit_gradients, inner,
        back_inner, d_results,
    )  # fmt: skip


def stand_in(graph: Graph, block: Block) -> Symbol:
    """The symbol that stands for an accumulator."""
    return graph.leaf("given", f"{block.gate} {int(block.has_x)}{int(block.has_r)}")


def add_up(states: dict[str, Symbol], incoming: dict[str, Symbol]) -> dict[Symbol, Symbol]:
    """Gradients of everything; two states may be one expression, whose gradients then add."""
    outputs: dict[Symbol, Symbol] = {}
    for name, node in states.items():
        outputs[node] = outputs[node] + incoming[name] if node in outputs else incoming[name]
    return adjoints(outputs)


def shared_sums(
    equations: Equations, x: dict[str, Symbol], r: dict[str, Symbol]
) -> tuple[tuple[Block, ...], dict[Symbol, Symbol]]:
    """The accumulators, and what replaces x.gate + r.gate, x.gate and r.gate in the equations."""
    graph, states = equations.graph, equations.states
    users: dict[Symbol, list[Symbol]] = {}
    for node in ordered(states.values()):
        for arg in node.args:
            users.setdefault(arg, []).append(node)
    outputs = set(states.values())
    x_only, shared, r_only = [], [], []
    for gate in equations.gates:
        together = graph.add(x[gate], r[gate])
        apart = [node for leaf in (x[gate], r[gate]) for node in users.get(leaf, []) if node is not together]
        if not apart and not outputs & {x[gate], r[gate]}:
            shared.append(gate)
            continue
        if users.get(x[gate]) or x[gate] in outputs:
            x_only.append(gate)
        if users.get(r[gate]) or r[gate] in outputs:
            r_only.append(gate)
    blocks = tuple(
        [Block(gate, True, False) for gate in x_only]
        + [Block(gate, True, True) for gate in shared]
        + [Block(gate, False, True) for gate in r_only]
    )
    replaced: dict[Symbol, Symbol] = {}
    for block in blocks:
        given = stand_in(graph, block)
        if block.has_x and block.has_r:
            replaced[graph.add(x[block.gate], r[block.gate])] = given
        else:
            replaced[(x if block.has_x else r)[block.gate]] = given
    return blocks, replaced


def what_to_keep(wanted: list[Symbol], sums: tuple[Symbol, ...], operands: list[Symbol]) -> tuple[Symbol, ...]:
    """The values of forward that backward cannot compute again from states, weights and other kept values.

    sums: the results of all products. operands: kept in any case, since the gradients of their matrices are made of them.
    """
    is_sum = set(sums)
    from_sums: dict[Symbol, bool] = {}
    for node in ordered(wanted):
        from_sums[node] = node in is_sum or any(from_sums[arg] for arg in node.args)
    kept: dict[Symbol, None] = dict.fromkeys(operands)
    visited: set[Symbol] = set()

    def need(node: Symbol) -> None:
        if node in visited or not from_sums[node] or node in kept:
            return
        visited.add(node)
        directly = node.kind in FUNCTIONS and any(near_sum(arg, is_sum) for arg in node.args)
        if node in is_sum or directly:
            kept[node] = None
            return
        for arg in node.args:
            need(arg)

    def near_sum(node: Symbol, targets: set[Symbol]) -> bool:
        """Whether a sum is reached by arithmetic alone, without passing another function."""
        if node in targets:
            return True
        return node.kind not in FUNCTIONS and node.kind != "mean" and any(near_sum(arg, targets) for arg in node.args)

    for node in wanted:
        need(node)
    return tuple(sorted(kept, key=lambda node: node.number))
