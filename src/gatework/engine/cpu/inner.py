"""Products inside the step: between two phases of the equations, a matrix times what the first phase left for it.

An operand is a row of a lane's scratch; so is the result. Forward multiplies by the matrix, backward by it transposed; which of
the two stands in the packed weights [tile of units][k][column of the tile].
"""

from gatework.cells.graph import Symbol
from gatework.engine.cpu.frame import Frame
from gatework.engine.cpu.ir import Function, Value, integer
from gatework.engine.cpu.pointwise import RowStore
from gatework.engine.cpu.program import Inner
from gatework.engine.cpu.tile import accumulate, emit_groups


def emit_inner(frame: Frame, f: Function, inner: tuple[Inner, ...], phase: int, scratch: Value, count: Value) -> None:
    """The products whose operands this phase left, for the first `count` lanes."""
    lanes, stride = frame.lanes, frame.slot(f, "lane_stride")
    tiles = f.binary("sdiv", stride, integer(frame.back_vectors * lanes.width))
    matrix_size = f.mul(stride, frame.slot(f, "units"))
    for number, product in enumerate(inner):
        if product.phase != phase:
            continue
        weights = f.at(frame.pointer(f, "matrix_weights"), lanes.dtype, f.mul(matrix_size, integer(product.matrix)))
        with f.loop(integer(0), tiles) as u:

            def call(rows: int, lane: Value, u: Value = u, number: int = number, weights: Value = weights) -> None:
                operand = frame.lane_inner(f, scratch, number, lane)
                result = frame.lane_inner(f, scratch, frame.program.num_inner + number, lane)
                f.call(f"inner_tile_{rows}", [f["args"], weights, operand, result, u])

            emit_groups(f, count, frame.back_rows, call)


def inner_tiles(frame: Frame) -> list[Function]:
    """The tiles, where the cell has products inside the step."""
    if not frame.program.inner:
        return []
    return [inner_tile(frame, rows) for rows in range(1, frame.back_rows + 1)]


def inner_tile(frame: Frame, rows: int) -> Function:
    """`rows` lanes × a few vectors of units of one product."""
    parameters = [("ptr", "args"), ("ptr", "weights"), ("ptr", "operand"), ("ptr", "result"), ("i64", "u")]
    f = Function(f"inner_tile_{rows}", parameters, "noinline")
    lanes, stride, units = frame.lanes, frame.slot(f, "lane_stride"), frame.slot(f, "units")
    vectors = integer(frame.back_vectors)
    inputs = [f.at(f["operand"], lanes.dtype, f.mul(integer(r), stride)) for r in range(rows)]
    sums = [[f.variable(lanes.type, lanes.constant(0.0)) for _ in range(frame.back_vectors)] for _ in range(rows)]
    base = f.at(f["weights"], lanes.type, f.mul(f.mul(f["u"], units), vectors))
    accumulate(f, lanes, base, units, inputs, sums)
    for r, row_sums in enumerate(sums):
        row = f.at(f["result"], lanes.dtype, f.mul(integer(r), stride))
        for v, variable in enumerate(row_sums):
            place = f.at(row, lanes.type, f.add(f.mul(f["u"], vectors), integer(v)))
            f.store(f.get(lanes.type, variable), place, lanes.bytes)
    return f


def operand_stores(frame: Frame, f: Function, inner: tuple[Inner, ...], phase: int) -> dict[Symbol, list[RowStore]]:
    """Where a phase leaves the operands of its products."""
    stores: dict[Symbol, list[RowStore]] = {}
    for number, product in enumerate(inner):
        if product.phase == phase:
            target = frame.lane_inner(f, f["scratch"], number, f["lane"])
            stores.setdefault(product.operand, []).append(frame.store_at(f, target))
    return stores


def inner_result(frame: Frame, f: Function, inner: tuple[Inner, ...], node: Symbol, lane: Value) -> Value:
    """Where the result of a product is."""
    number = next(number for number, product in enumerate(inner) if product.node is node)
    return frame.lane_inner(f, f["scratch"], frame.program.num_inner + number, lane)
