"""The inner loop of every product: a few rows × a few vectors, held in registers while k runs."""

import itertools
from collections.abc import Callable

from gatework.engine.cpu.arithmetic import Arithmetic, Lanes
from gatework.engine.cpu.ir import Function, Value, integer
from gatework.engine.cpu.program import Program

MOST_ROWS = 6
"""Rows of a forward tile: with two vectors, 15 registers."""

WORTH = 4
"""Rows from which on a tile with all vectors of a product reads the weights seldom enough."""

AT_ONCE = 4
"""Steps of k between two turns of the loop: the counting costs a sixth of the instructions of one."""


def fits(rows: int, vectors: int, registers: int) -> bool:
    """Whether a tile stays in registers: its sums, the fewer of rows and vectors once more, and one that passes through."""
    return rows * vectors + min(rows, vectors) < registers


def most_vectors(program: Program) -> int:
    """Of the larger one of a cell's two products."""
    return max(len(program.x_blocks), len(program.r_blocks))


def forward_rows(program: Program, registers: int) -> int:
    """Rows of a forward tile at the most: fewer where all vectors of each product, but not all blocks, fit with them."""
    if len(program.blocks) > most_vectors(program):
        whole = [rows for rows in range(WORTH, MOST_ROWS + 1) if fits(rows, most_vectors(program), registers)]
        return max(whole, default=MOST_ROWS)
    return MOST_ROWS


def shares_of(program: Program, rows: int, registers: int) -> list[range]:
    """The blocks of a tile in as few equal shares as the registers can hold, all of them where each product fits by itself.

    More rows with fewer vectors each read the weights less often: from the second-level cache they come too slowly for three.
    """
    blocks = len(program.blocks)
    if fits(rows, most_vectors(program), registers):
        return [range(blocks)]
    most = max([1, *(vectors for vectors in range(1, blocks + 1) if fits(rows, vectors, registers))])
    count = -(-blocks // most)
    bounds = [blocks * number // count for number in range(count + 1)]
    return [range(first, last) for first, last in itertools.pairwise(bounds)]


def accumulate(
    f: Function,
    lanes: Lanes,
    base: Value,
    size: Value,
    inputs: list[Value],
    sums: list[list[Value]],
    stride: int | None = None,
    spacing: int = 1,
) -> None:
    """sums[row][vector] += inputs[row][k] · weights[k][vector] for all k, in ascending order.

    base: weights packed [k][vector][lane], `stride` vectors for each k if not only those of the sums. inputs: `spacing` numbers
    from one k to the next. The fewer of factors and weights stay in registers, the others pass through one.
    """
    whole = f.mul(f.binary("sdiv", size, integer(AT_ONCE)), integer(AT_ONCE))
    for start, stop, count in ((integer(0), whole, AT_ONCE), (whole, size, 1)):
        with f.loop(start, stop, step=count) as k:
            weights = f.at(base, lanes.type, f.mul(k, integer(stride or len(sums[0]))))
            sources = [f.at(source, lanes.dtype, f.mul(k, integer(spacing))) for source in inputs]
            totals = [[f.get(lanes.type, total) for total in row] for row in sums]
            for number in range(count):
                factors = [f.at(source, lanes.dtype, integer(number * spacing)) for source in sources]
                one_step(f, lanes, f.at(weights, lanes.type, integer(number * (stride or len(sums[0])))), factors, totals)
            for variables, row in zip(sums, totals, strict=True):
                for variable, total in zip(variables, row, strict=True):
                    f.set(variable, total)


def one_step(f: Function, lanes: Lanes, weights: Value, inputs: list[Value], totals: list[list[Value]]) -> None:
    """totals[row][vector] += inputs[row] · weights[vector]."""
    arithmetic, rows, vectors = Arithmetic(f, lanes), range(len(inputs)), range(len(totals[0]))

    def factor(row: int) -> Value:
        return f.splat(lanes.width, f.load(lanes.dtype, inputs[row], lanes.bytes))

    def weight(v: int) -> Value:
        return f.load(lanes.type, f.at(weights, lanes.type, integer(v)), lanes.bytes)

    if len(rows) <= len(vectors):
        factors = [factor(row) for row in rows]
        for v in vectors:
            vector = weight(v)
            for row in rows:
                totals[row][v] = arithmetic.fma(factors[row], vector, totals[row][v])
    else:
        own = [weight(v) for v in vectors]
        for row in rows:
            one = factor(row)
            for v in vectors:
                totals[row][v] = arithmetic.fma(one, own[v], totals[row][v])


def emit_groups(f: Function, count: Value, most: int, call: Callable[[int, Value], None], start: Value | None = None) -> None:
    """Rows in balanced groups of at most `most`: 16 rows in tiles of 3 are 3,3,3,3,2,2, never 3,3,3,3,3,1."""
    groups = f.binary("sdiv", f.add(count, integer(most - 1)), integer(most))
    safe = f.select(f.compare("sgt", groups, integer(0)), groups, integer(1))
    small = f.binary("sdiv", count, safe)
    larger = f.sub(count, f.mul(small, groups))
    first = f.variable("i64", start or integer(0))
    with f.loop(integer(0), groups) as group:
        rows = f.select(f.compare("slt", group, larger), f.add(small, integer(1)), small)
        begin = f.get("i64", first)
        for size in range(1, most + 1):
            with f.when(f.compare("eq", rows, integer(size))):
                call(size, begin)
        f.set(first, f.add(begin, rows))
