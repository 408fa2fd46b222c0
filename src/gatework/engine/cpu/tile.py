"""The inner loop of every product: a few rows × a few vectors, held in registers while k runs."""

import itertools
from collections.abc import Callable

from gatework.engine.cpu.arithmetic import Arithmetic, Lanes
from gatework.engine.cpu.ir import Function, Value, integer

MOST_ROWS = 6
"""Rows of a forward tile: with two vectors, 15 registers."""


def panels(rows: int, num_vectors: int, registers: int) -> list[range]:
    """The vectors of a tile in as few equal shares as the registers can hold: rows · vectors sums, the fewer of rows and vectors
    once more, and one that passes through.

    More rows with fewer vectors each read the weights less often: from the second-level cache they come too slowly for three.
    """
    most = max([1, *(v for v in range(1, num_vectors + 1) if rows * v + min(rows, v) < registers)])
    count = -(-num_vectors // most)
    bounds = [num_vectors * number // count for number in range(count + 1)]
    return [range(first, last) for first, last in itertools.pairwise(bounds)]


def accumulate(
    f: Function, lanes: Lanes, base: Value, size: Value, inputs: list[Value], sums: list[list[Value]], stride: int | None = None
) -> None:
    """sums[row][vector] += inputs[row][k] · weights[k][vector] for all k, in ascending order.

    base: weights packed [k][vector][lane], `stride` vectors for each k if not only those of the sums. The fewer of factors and
    weights stay in registers, the others pass through one.
    """
    arithmetic, num_vectors = Arithmetic(f, lanes), len(sums[0])

    def factor(source: Value, k: Value) -> Value:
        return f.splat(lanes.width, f.load(lanes.dtype, f.at(source, lanes.dtype, k), lanes.bytes))

    with f.loop(integer(0), size) as k:
        first = f.mul(k, integer(stride or num_vectors))

        def weight(v: int, first: Value = first) -> Value:
            return f.load(lanes.type, f.at(base, lanes.type, f.add(first, integer(v))), lanes.bytes)

        def add(row: int, v: int, one: Value, other: Value) -> None:
            f.set(sums[row][v], arithmetic.fma(one, other, f.get(lanes.type, sums[row][v])))

        if len(inputs) <= num_vectors:
            factors = [factor(source, k) for source in inputs]
            for v in range(num_vectors):
                vector = weight(v)
                for row in range(len(inputs)):
                    add(row, v, factors[row], vector)
        else:
            vectors = [weight(v) for v in range(num_vectors)]
            for row, source in enumerate(inputs):
                one = factor(source, k)
                for v in range(num_vectors):
                    add(row, v, one, vectors[v])


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
