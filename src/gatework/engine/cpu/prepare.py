"""Code around a cell's loops: weights from torch's order into the kernels' order before, gradients back after.

    prepare_forward(args)     x_weights, r_weights [tile of units][k][block][lane], bias [tile][block][lane], unit weights
    prepare_backward(args)    back_weights, x_back_weights [columns of a tile][block · padded unit][column], unit weights
    finish(args)              d_input, d_recurrent, d_bias, d_unit_weights into gradients in torch's order

In torch's order the rows of a weight are gate by gate, (num_gates · units, K). Padding is filled with zeros.
"""

from collections.abc import Callable

from gatework.engine.cpu.arithmetic import Arithmetic, Lanes
from gatework.engine.cpu.frame import Frame
from gatework.engine.cpu.ir import Function, Value, integer
from gatework.engine.cpu.program import Block
from gatework.engine.cpu.slots import load_tail, store_tail

ZERO = integer(0)
ENTRIES = {"forward": ("prepare_forward",), "backward": ("prepare_backward", "finish")}
"""The entry points that a forward and a backward module have besides the loops."""


def prepare_functions(frame: Frame, backward: bool) -> list[Function]:
    """The entry points, and what they call."""
    if backward:
        return [prepare_backward(frame), finish(frame)]
    return [prepare_forward(frame)]


def entry(name: str) -> Function:
    """A function that is called from outside, once for all parts."""
    return Function(name, [("ptr", "args")], linkage="")


def first_row(frame: Frame, f: Function, block: Block) -> Value:
    """Where a block's gate begins among the rows in torch's order."""
    return f.mul(integer(frame.program.cell.gates.index(block.gate)), frame.slot(f, "units"))


def prepare_forward(frame: Frame) -> Function:
    """Everything that forward reads."""
    f = entry("prepare_forward")
    clear(frame, f)
    for source, target, columns, blocks in (
        ("input", "x_weights", frame.slot(f, "input_size"), frame.program.x_blocks),
        ("recurrent", "r_weights", frame.slot(f, "units"), frame.program.r_blocks),
    ):
        pack_rows(frame, f, frame.pointer(f, source), frame.pointer(f, target), columns, blocks)
    pack_bias(frame, f)
    pack_units(frame, f)
    for number, name in enumerate(frame.program.cell.matrices):
        pack_matrix(frame, f, frame.pointer(f, f"matrix {name}"), matrix_weights(frame, f, number))
    return f


def matrix_weights(frame: Frame, f: Function, number: int) -> Value:
    """Where a packed matrix begins."""
    size = f.mul(frame.slot(f, "lane_stride"), frame.slot(f, "units"))
    return f.at(frame.pointer(f, "matrix_weights"), frame.lanes.dtype, f.mul(size, integer(number)))


def clear(frame: Frame, f: Function) -> None:
    """Zeros where sums begin: in the lanes' states, and in what the large products add to."""
    size = f.mul(frame.slot(f, "zeros_size"), integer(frame.lanes.bytes))
    f.do(f"call void @llvm.memset.p0.i64({frame.pointer(f, 'zeros')}, i8 0, {size}, i1 false)")


def pack_rows(frame: Frame, f: Function, source: Value, target: Value, columns: Value, blocks: tuple[Block, ...]) -> None:
    """Rows become lanes: each vector holds one column of the rows of a tile. Beyond the last unit stand zeros."""
    lanes = frame.lanes
    with f.loop(ZERO, frame.slot(f, "tiles")) as u:
        first = f.mul(u, integer(lanes.width))
        left = f.sub(frame.slot(f, "units"), first)
        for number, block in enumerate(blocks):
            rows = f.at(source, lanes.dtype, f.mul(f.add(first_row(frame, f, block), first), columns))

            def put(k: Value, vector: Value, u: Value = u, number: int = number) -> None:
                place = f.add(f.mul(f.add(f.mul(u, columns), k), integer(len(blocks))), integer(number))
                f.store(vector, f.at(target, lanes.type, place), lanes.bytes)

            columns_of_rows(frame, f, rows, left, columns, put)


def pack_matrix(frame: Frame, f: Function, source: Value, target: Value) -> None:
    """The rows of a matrix become columns of a tile of a few vectors: [tile][k][vector][lane]."""
    lanes, vectors, units = frame.lanes, frame.back_vectors, frame.slot(f, "units")
    count = f.binary("sdiv", frame.slot(f, "lane_stride"), integer(lanes.width))
    with f.loop(ZERO, count) as u:
        first = f.mul(u, integer(lanes.width))
        left = f.sub(units, first)
        tile = f.binary("sdiv", u, integer(vectors))
        inside = f.binary("srem", u, integer(vectors))
        # where the last tile has more vectors than there are units, any row will do: it is not used
        start = f.select(f.compare("sgt", left, ZERO), first, ZERO)

        def put(k: Value, vector: Value, tile: Value = tile, inside: Value = inside) -> None:
            place = f.add(f.mul(f.add(f.mul(tile, units), k), integer(vectors)), inside)
            f.store(vector, f.at(target, lanes.type, place), lanes.bytes)

        columns_of_rows(frame, f, f.at(source, lanes.dtype, f.mul(start, units)), left, units, put)


def columns_of_rows(
    frame: Frame, f: Function, top: Value, left: Value, columns: Value, put: Callable[[Value, Value], None]
) -> None:
    """put(k, the k-th column of as many rows as lanes), from the row at `top` on; zeros from row `left` on."""
    lanes, width = frame.lanes, frame.lanes.width
    rows = []
    for lane in range(width):
        inside = f.select(f.compare("slt", integer(lane), left), integer(lane), ZERO)
        rows.append(f.at(top, lanes.dtype, f.mul(inside, columns)))
    whole = f.mul(f.binary("sdiv", columns, integer(width)), integer(width))
    with f.loop(ZERO, whole, step=width) as k:
        loaded = [f.load(lanes.type, f.at(row, lanes.dtype, k), lanes.bytes) for row in rows]
        for number, vector in enumerate(transposed(f, lanes, loaded)):
            put(f.add(k, integer(number)), f.select_lanes(width, left, vector, lanes.constant(0.0)))
    with f.loop(whole, columns) as k:
        vector = Value(lanes.type, "poison")
        for lane, row in enumerate(rows):
            item = f.load(lanes.dtype, f.at(row, lanes.dtype, k), lanes.bytes)
            vector = f.make(lanes.type, f"insertelement {vector}, {item}, i64 {lane}")
        put(k, f.select_lanes(width, left, vector, lanes.constant(0.0)))


def transposed(f: Function, lanes: Lanes, rows: list[Value]) -> list[Value]:
    """As many vectors as lanes, rows and lanes exchanged: blocks beside the diagonal change places, halves first."""
    size = lanes.width // 2
    while size:
        after = list(rows)
        for i in range(lanes.width):
            if i & size:
                continue
            own = [lane if not lane & size else lanes.width + lane - size for lane in range(lanes.width)]
            other = [lane + size if not lane & size else lanes.width + lane for lane in range(lanes.width)]
            for to, picks in ((i, own), (i + size, other)):
                mask = ", ".join(f"i32 {pick}" for pick in picks)
                text = f"shufflevector {rows[i]}, {rows[i + size]}, <{lanes.width} x i32> <{mask}>"
                after[to] = f.make(lanes.type, text)
        rows, size = after, size // 2
    return rows


def pack_bias(frame: Frame, f: Function) -> None:
    """The input's bias where the input goes into a block, plus the recurrence's likewise."""
    lanes, blocks, units = frame.lanes, frame.program.blocks, frame.slot(f, "units")
    with f.loop(ZERO, frame.slot(f, "tiles")) as u:
        for number, block in enumerate(blocks):
            total = f.variable(lanes.type, lanes.constant(0.0))
            for name, is_in in (("input_bias", block.has_x), ("recurrent_bias", block.has_r)):
                if not is_in:
                    continue
                source = frame.pointer(f, name)
                with f.when(f.make("i1", f"icmp ne {source}, null")):
                    row = f.at(source, lanes.dtype, first_row(frame, f, block))
                    value = load_tail(f, lanes, row, f.mul(u, integer(lanes.width)), units)
                    f.set(total, Arithmetic(f, lanes).add(f.get(lanes.type, total), value))
            place = f.add(f.mul(u, integer(len(blocks))), integer(number))
            f.store(f.get(lanes.type, total), f.at(frame.pointer(f, "bias"), lanes.type, place), lanes.bytes)


def pack_units(frame: Frame, f: Function) -> None:
    """Each unit weight padded to whole vectors."""
    lanes, padded = frame.lanes, frame.slot(f, "padded")
    for number, name in enumerate(frame.program.cell.unit_weights):
        row = frame.row(f, "unit_weights", integer(number), padded)
        with f.loop(ZERO, frame.slot(f, "tiles")) as u:
            value = load_tail(f, lanes, frame.pointer(f, f"unit {name}"), f.mul(u, integer(lanes.width)), frame.slot(f, "units"))
            f.store(value, frame.in_tile(f, row, u), lanes.bytes)


def prepare_backward(frame: Frame) -> Function:
    """Everything that backward reads; x_back_weights only where the gradient of x is asked for."""
    f = entry("prepare_backward")
    clear(frame, f)
    units, program = frame.slot(f, "units"), frame.program
    pack_columns(frame, f, frame.pointer(f, "recurrent"), frame.pointer(f, "back_weights"), units, program.r_blocks)
    target = frame.pointer(f, "x_back_weights")
    with f.when(f.make("i1", f"icmp ne {target}, null")):
        pack_columns(frame, f, frame.pointer(f, "input"), target, frame.slot(f, "input_size"), program.x_blocks)
    pack_units(frame, f)
    for number, name in enumerate(program.cell.matrices):
        place = (units, ZERO, units)
        cut_rows(frame, f, frame.pointer(f, f"matrix {name}"), matrix_weights(frame, f, number), units, place)
    return f


def pack_columns(frame: Frame, f: Function, source: Value, target: Value, columns: Value, blocks: tuple[Block, ...]) -> None:
    """Rows stay rows, cut into tiles of a few vectors of columns; zeros beyond the last unit of each block."""
    padded = frame.slot(f, "padded")
    rows = f.mul(padded, integer(len(blocks)))
    for number, block in enumerate(blocks):
        cut_rows(frame, f, f.at(source, frame.lanes.dtype, f.mul(first_row(frame, f, block), columns)), target, columns,
                 (rows, f.mul(padded, integer(number)), padded))  # fmt: skip


def cut_rows(frame: Frame, f: Function, source: Value, target: Value, columns: Value, place: tuple[Value, Value, Value]) -> None:
    """One block. place: (rows of a tile, the block's first row in it, its rows)."""
    lanes, vectors, units = frame.lanes, frame.back_vectors, frame.slot(f, "units")
    rows, top, count = place
    width = integer(vectors * lanes.width)
    tiles = f.binary("sdiv", f.add(columns, f.sub(width, integer(1))), width)
    with f.loop(ZERO, tiles) as tile:
        first, to = f.mul(tile, width), f.add(f.mul(tile, rows), top)
        for inside, start, stop in ((True, ZERO, units), (False, units, count)):
            with f.loop(start, stop) as unit:
                row = f.at(source, lanes.dtype, f.mul(unit, columns))
                for v in range(vectors):
                    value = lanes.constant(0.0)
                    if inside:
                        value = load_tail(f, lanes, row, f.add(first, integer(v * lanes.width)), columns)
                    number = f.add(f.mul(f.add(to, unit), integer(vectors)), integer(v))
                    f.store(value, f.at(target, lanes.type, number), lanes.bytes)


def finish(frame: Frame) -> Function:
    """All gradients of weights in torch's order. A gate that a product does not go into is left as it is."""
    f = entry("finish")
    program, lanes, units = frame.program, frame.lanes, frame.slot(f, "units")
    for source, row_size, target, columns, blocks in (
        ("d_input", "d_input_size", "d_weight_input", frame.slot(f, "input_size"), program.x_blocks),
        ("d_recurrent", "d_recurrent_size", "d_weight_recurrent", units, program.r_blocks),
    ):
        places = [f.mul(integer(frame.program.cell.gates.index(block.gate)), units) for block in blocks]
        unpack_rows(frame, f, frame.pointer(f, source), frame.slot(f, row_size), frame.pointer(f, target), columns, places)
    with f.when(f.make("i1", f"icmp ne {frame.pointer(f, 'd_input_bias')}, null")):
        for number, block in enumerate(program.blocks):
            for name, is_in in (("d_input_bias", block.has_x), ("d_recurrent_bias", block.has_r)):
                if is_in:
                    row = f.at(frame.pointer(f, name), lanes.dtype, first_row(frame, f, block))
                    with f.loop(ZERO, frame.slot(f, "tiles")) as u:
                        place = f.add(f.mul(integer(number), frame.slot(f, "tiles")), u)
                        value = f.load(lanes.type, f.at(frame.pointer(f, "d_bias"), lanes.type, place), lanes.bytes)
                        store_tail(f, lanes, value, row, f.mul(u, integer(lanes.width)), units)
    add_parts(frame, f)
    seen: set[int] = set()
    for number, product in enumerate(program.inner):
        own = f.at(frame.pointer(f, "d_inner"), lanes.dtype, f.mul(frame.slot(f, "d_inner_size"), integer(number)))
        matrix = frame.pointer(f, f"d_matrix {program.cell.matrices[product.matrix]}")
        unpack_rows(frame, f, own, frame.slot(f, "d_recurrent_size"), matrix, units, [ZERO], adds=product.matrix in seen)
        seen.add(product.matrix)
    return f


def unpack_rows(
    frame: Frame, f: Function, source: Value, row_size: Value, target: Value, columns: Value, places: list[Value],
    adds: bool = False,
) -> None:  # fmt: skip
    """[block · tile][k][lane], row_size vectors to a block's tile, becomes rows in torch's order.

    places: the first row of each block. adds: to what is there already.
    """
    lanes, tiles, width = frame.lanes, frame.slot(f, "tiles"), frame.lanes.width

    def put(value: Value, place: Value) -> None:
        if adds:
            value = f.binary("fadd", f.load(value.type, place, lanes.bytes), value)
        f.store(value, place, lanes.bytes)

    for number, block_top in enumerate(places):
        with f.loop(ZERO, tiles) as u:
            first = f.mul(u, integer(width))
            own = f.at(source, lanes.type, f.mul(f.add(f.mul(integer(number), tiles), u), row_size))
            left = f.sub(frame.slot(f, "units"), first)
            top = f.add(block_top, first)
            is_whole = f.compare("sge", left, integer(width))
            whole = f.select(is_whole, f.mul(f.binary("sdiv", columns, integer(width)), integer(width)), ZERO)
            with f.loop(ZERO, whole, step=width) as k:
                vectors = [f.load(lanes.type, f.at(own, lanes.type, f.add(k, integer(i))), lanes.bytes) for i in range(width)]
                for lane_number, vector in enumerate(transposed(f, lanes, vectors)):
                    row = f.at(target, lanes.dtype, f.mul(f.add(top, integer(lane_number)), columns))
                    put(vector, f.at(row, lanes.dtype, k))
            count = f.select(is_whole, integer(width), left)
            with f.loop(ZERO, count) as lane:
                row = f.at(target, lanes.dtype, f.mul(f.add(top, lane), columns))
                column = f.at(own, lanes.dtype, lane)
                with f.loop(whole, columns) as k:
                    item = f.load(lanes.dtype, f.at(column, lanes.dtype, f.mul(k, integer(width))), lanes.bytes)
                    put(item, f.at(row, lanes.dtype, k))


def add_parts(frame: Frame, f: Function) -> None:
    """The parts' gradients of the unit weights, added up in the order of the parts."""
    lanes, padded, names = frame.lanes, frame.slot(f, "padded"), frame.program.cell.unit_weights
    for number, name in enumerate(names):
        with f.loop(ZERO, frame.slot(f, "tiles")) as u:
            total = f.variable(lanes.type, lanes.constant(0.0))
            with f.loop(ZERO, frame.slot(f, "parts")) as part:
                row = frame.row(f, "d_unit_weights", f.add(f.mul(part, integer(len(names))), integer(number)), padded)
                value = f.load(lanes.type, frame.in_tile(f, row, u), lanes.bytes)
                f.set(total, Arithmetic(f, lanes).add(f.get(lanes.type, total), value))
            target = frame.pointer(f, f"d_unit {name}")
            store_tail(f, lanes, f.get(lanes.type, total), target, f.mul(u, integer(lanes.width)), frame.slot(f, "units"))
