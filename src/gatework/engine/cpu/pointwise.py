"""A graph evaluated on vectors: one vector of units at a time, in as many passes over a row as its means ask for."""

from collections.abc import Callable
from dataclasses import dataclass

from gatework.cells.graph import Symbol, ordered
from gatework.engine.cpu.arithmetic import Arithmetic, Lanes
from gatework.engine.cpu.ir import Function, Value, integer

CONDITIONS = frozenset({"less", "equal"})
"""Kinds of node that are no numbers: computed again in a later pass instead of being spilled."""

LONG = frozenset({"sigmoid", "tanh", "exp", "log", "log1p"})
"""Functions whose result takes the processor long."""

Load = Callable[[Symbol], Value]
RowStore = Callable[[Value, Value], None]


def evaluate(arithmetic: Arithmetic, wanted: list[Symbol], known: dict[Symbol, Value], load: Load) -> None:
    """Compute `wanted` into `known`. Leaves and given values that are not known are loaded, each once."""
    for node in ordered(wanted, frozenset(known)):
        if node in known:
            continue
        if node.kind == "number":
            known[node] = arithmetic.lanes.constant(node.value)
        elif not node.args:
            known[node] = load(node)
        else:
            known[node] = compute(arithmetic, node, [known[arg] for arg in node.args])


def compute(arithmetic: Arithmetic, node: Symbol, args: list[Value]) -> Value:
    """One node from its arguments: the methods of Arithmetic are named like the kinds of node."""
    operation: Callable[..., Value] = getattr(arithmetic, node.kind)
    return operation(*args)


def levels(outputs: list[Symbol], given: frozenset[Symbol]) -> dict[Symbol, int]:
    """The pass in which each node is known; `given` values at once.

    A mean is known one pass after what it is the mean of. A long function of a long function waits for the next pass, too: in one
    pass the processor would wait for the chain of both, since it looks only a few hundred instructions ahead.
    """
    level: dict[Symbol, int] = {}
    is_long: dict[Symbol, bool] = {}
    for node in ordered(outputs, given):
        if node in given:
            level[node], is_long[node] = 0, False
            continue
        own = max((level[arg] for arg in node.args), default=0)
        after_long = any(is_long[arg] and level[arg] == own for arg in node.args)
        waits = node.kind == "mean" or (node.kind in LONG and after_long)
        level[node] = own + waits
        is_long[node] = node.kind in LONG or (after_long and not waits)
    return level


def same_for_all(outputs: list[Symbol], given: frozenset[Symbol]) -> frozenset[Symbol]:
    """The means, and what is computed from means and numbers alone."""
    found: set[Symbol] = set()
    for node in ordered(outputs, given):
        if node in given or not node.args:
            continue
        if node.kind == "mean" or all(arg in found or arg.kind == "number" for arg in node.args):
            found.add(node)
    return frozenset(found)


@dataclass(frozen=True)
class RowPasses:
    """The passes over one row.

    spilled: values computed in one pass and needed in a later one, by place in the scratch row. same: values that are the same
    for all units, being functions of means alone; computed once before the pass.
    """

    outputs: dict[Symbol, int]
    level: dict[Symbol, int]
    spilled: tuple[Symbol, ...]
    given: frozenset[Symbol]
    same: frozenset[Symbol]

    @property
    def last(self) -> int:
        return max(self.level[node] for node in self.outputs)


def plan_passes(outputs: list[Symbol], given: frozenset[Symbol] = frozenset()) -> RowPasses:
    """Which pass computes what. given: nodes that are loaded, not computed."""
    level = levels(outputs, given)
    same = same_for_all(outputs, given)
    spilled: dict[Symbol, None] = {}
    # without it, a value that is used twice, by values that are used twice, would be walked through exponentially often
    seen: set[tuple[Symbol, int]] = set()

    def demand(node: Symbol, at: int) -> None:
        if node in given or not node.args or (node, at) in seen:
            return
        seen.add((node, at))
        if node in same:
            for arg in node.args:
                demand(arg, level[node] - 1 if node.kind == "mean" else at)
            return
        if level[node] < at and node.kind not in CONDITIONS:
            spilled[node] = None
            at = level[node]
        for arg in node.args:
            demand(arg, at)

    for node in outputs:
        demand(node, level[node])
    return RowPasses({node: level[node] for node in outputs}, level, tuple(spilled), given, same)


@dataclass(frozen=True, eq=False)
class Row:
    """One row of units in a function under construction.

    stores: for each output what to do with its value in tile u. load(leaf, u): a leaf's vector in tile u.
    scratch: a row of (number of spilled, padded) numbers. first, last: the vectors of units [first, last) to compute. units,
    padded: of the row.
    """

    f: Function
    lanes: Lanes
    passes: RowPasses
    stores: dict[Symbol, list[RowStore]]
    load: Callable[[Symbol, Value], Value]
    scratch: Value
    first: Value
    last: Value
    units: Value
    padded: Value

    def spilled(self, node: Symbol, u: Value) -> Value:
        """Where a spilled value's vector is."""
        number = integer(self.passes.spilled.index(node))
        return self.f.at(
            self.scratch, self.lanes.dtype, self.f.add(self.f.mul(number, self.padded), self.f.mul(u, integer(self.lanes.width)))
        )


def emit_row(row: Row) -> None:
    """All passes over one row."""
    f, lanes, passes = row.f, row.lanes, row.passes
    means: dict[Symbol, Value] = {}
    all_means = [node for node in passes.level if node in passes.same and node.kind == "mean"]
    for number in range(passes.last + 1):
        ready = [node for node in passes.same if node.kind != "mean" and passes.level[node] == number]
        evaluate(Arithmetic(f, lanes), sorted(ready, key=lambda node: node.number), means, row_has_no_leaf)
        totals = {node: f.variable(lanes.type, lanes.constant(0.0)) for node in all_means if passes.level[node] == number + 1}
        with f.loop(row.first, row.last) as u:
            emit_tile(row, number, u, means, totals)
        for node, total in totals.items():
            means[node] = mean_of(f, lanes, f.get(lanes.type, total), row.units)


def row_has_no_leaf(leaf: Symbol) -> Value:
    """What is the same for all units is computed from means alone."""
    raise AssertionError(f"{leaf.kind} {leaf.name} differs from unit to unit")


def emit_tile(row: Row, number: int, u: Value, means: dict[Symbol, Value], totals: dict[Symbol, Value]) -> None:
    """One pass's work on one vector of units. means: known by now. totals: the sums that this pass adds up."""
    f, lanes, passes = row.f, row.lanes, row.passes
    arithmetic = Arithmetic(f, lanes)
    known: dict[Symbol, Value] = dict(means)
    outputs = [node for node in passes.outputs if passes.level[node] == number]
    spill_now = [node for node in passes.spilled if passes.level[node] == number]
    wanted = [*outputs, *(node.args[0] for node in totals), *spill_now]
    earlier = frozenset(node for node in passes.spilled if passes.level[node] < number)
    for node in ordered(wanted, earlier | passes.given | frozenset(means)):
        if node in earlier:
            known[node] = f.load(lanes.type, row.spilled(node, u), lanes.bytes)
        elif node in passes.given:
            known[node] = row.load(node, u)
    evaluate(arithmetic, wanted, known, lambda leaf: row.load(leaf, u))
    for node in spill_now:
        f.store(known[node], row.spilled(node, u), lanes.bytes)
    for node, total in totals.items():
        value = only_units(f, lanes, known[node.args[0]], u, row.units)
        f.set(total, arithmetic.add(f.get(lanes.type, total), value))
    for node in outputs:
        for store in row.stores.get(node, []):
            store(known[node], u)


def only_units(f: Function, lanes: Lanes, value: Value, u: Value, num_units: Value) -> Value:
    """The value with 0 in the lanes beyond the last unit: padding must stay out of means."""
    left = f.sub(num_units, f.mul(u, integer(lanes.width)))
    return f.select_lanes(lanes.width, left, value, lanes.constant(0.0))


def mean_of(f: Function, lanes: Lanes, total: Value, num_units: Value) -> Value:
    """The sum of the lanes divided by the number of units, in every lane."""
    suffix = f"v{lanes.width}f{8 * lanes.bytes}"
    zero = f"{lanes.dtype} {lanes.literal(-0.0)}"
    summed = f.make(lanes.dtype, f"call {lanes.dtype} @llvm.vector.reduce.fadd.{suffix}({zero}, {total})")
    count = f.make(lanes.dtype, f"sitofp {num_units} to {lanes.dtype}")
    return f.splat(lanes.width, f.binary("fdiv", summed, count))
