"""Code around a cell's loops: weights from torch's order into the kernels' order before, gradients back after.

    prepare_forward     x_weights, r_weights [tile of units][k][block][lane], bias [tile][block][lane], unit weights
    prepare_backward    back_weights, x_back_weights [columns of a tile][block · padded unit][column], unit weights
    finish              d_input, d_recurrent, d_bias, d_unit_weights into gradients in torch's order

In torch's order the rows of a weight are gate by gate, (num_gates · units, K). Padding is filled with zeros. Each of
`size` threads does a share: some tiles of units, or of columns.
"""

from gatework.engine.cpu.arithmetic import Arithmetic, Lanes
from gatework.engine.cpu.frame import LINE, Frame
from gatework.engine.cpu.ir import Function, Value, integer
from gatework.engine.cpu.program import Block
from gatework.engine.cpu.slots import load_tail, store_tail

ZERO = integer(0)

ROWS_AHEAD = 8
"""Rows of a weight that are asked for before they are read: processors see a pattern only within a page."""

ENTRIES = {"forward": ("prepare_forward",), "backward": ("prepare_backward", "finish")}
"""The entry points that a forward and a backward module have besides the loops."""


def prepare_functions(frame: Frame, backward: bool) -> list[Function]:
    """The entry points, and what they call."""
    if backward:
        return [cut(frame), turn_back(frame), prepare_backward(frame), finish(frame)]
    return [turn(frame), prepare_forward(frame)]


def entry(name: str) -> Function:
    """One thread's share of what is done once for all parts."""
    return Function(name, [("ptr", "args"), ("i64", "rank"), ("i64", "size")])


def share(f: Function, count: Value) -> tuple[Value, Value]:
    """The thread's share [first, last) of so many."""
    bounds = [f.binary("sdiv", f.mul(count, member), f["size"]) for member in (f["rank"], f.add(f["rank"], integer(1)))]
    return bounds[0], bounds[1]


def own_tiles(frame: Frame, f: Function) -> tuple[Value, Value]:
    """The thread's tiles of units [first, last)."""
    return share(f, frame.slot(f, "tiles"))


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
    first, last = (f.mul(bound, integer(frame.lanes.bytes)) for bound in share(f, frame.slot(f, "zeros_size")))
    begin = f.at(frame.pointer(f, "zeros"), "i8", first)
    f.do(f"call void @llvm.memset.p0.i64({begin}, i8 0, {f.sub(last, first)}, i1 false)")


def pack_rows(frame: Frame, f: Function, source: Value, target: Value, columns: Value, blocks: tuple[Block, ...]) -> None:
    """Rows become lanes: each vector holds one column of the rows of a tile. Beyond the last unit stand zeros."""
    lanes = frame.lanes
    with f.loop(*own_tiles(frame, f)) as u:
        first = f.mul(u, integer(lanes.width))
        left = f.sub(frame.slot(f, "units"), first)
        for number, block in enumerate(blocks):
            rows = f.at(source, lanes.dtype, f.mul(f.add(first_row(frame, f, block), first), columns))
            to = f.at(target, lanes.type, f.add(f.mul(f.mul(u, columns), integer(len(blocks))), integer(number)))
            # the rows of the next tile of the same gate, while those of this tile are turned
            tile_bytes = f.mul(columns, integer(lanes.width * lanes.bytes))
            with f.loop(tile_bytes, f.add(tile_bytes, tile_bytes), step=LINE) as byte:
                ask(f, rows, byte)
            f.call("turn", [rows, left, columns, to, integer(len(blocks))])


def ask(f: Function, begin: Value, offset: Value) -> None:
    """A line of memory, so many bytes further, that will be read soon. Behind the end of an array it is of no use and no harm."""
    place = f.make("ptr", f"getelementptr i8, {begin}, {offset}")
    f.do(f"call void @llvm.prefetch.p0({place}, i32 0, i32 2, i32 1)")


def pack_matrix(frame: Frame, f: Function, source: Value, target: Value) -> None:
    """The rows of a matrix become columns of a tile of a few vectors: [tile][k][vector][lane]."""
    lanes, vectors, units = frame.lanes, frame.back_vectors, frame.slot(f, "units")
    count = f.binary("sdiv", frame.slot(f, "lane_stride"), integer(lanes.width))
    with f.loop(*share(f, count)) as u:
        first = f.mul(u, integer(lanes.width))
        left = f.sub(units, first)
        tile, inside = (f.binary(operation, u, integer(vectors)) for operation in ("sdiv", "srem"))
        # where the last tile has more vectors than there are units, any row will do: it is not used
        start = f.select(f.compare("sgt", left, ZERO), first, ZERO)
        to = f.at(target, lanes.type, f.add(f.mul(f.mul(tile, units), integer(vectors)), inside))
        f.call("turn", [f.at(source, lanes.dtype, f.mul(start, units)), left, units, to, integer(vectors)])


def turn(frame: Frame) -> Function:
    """As many rows as lanes, `left` of which are there, become one vector per column, `stride` vectors apart."""
    parameters = [("ptr", "source"), ("i64", "left"), ("i64", "columns"), ("ptr", "target"), ("i64", "stride")]
    f = Function("turn", parameters, "noinline")
    lanes, width, left, columns = frame.lanes, frame.lanes.width, f["left"], f["columns"]
    rows = []
    for lane in range(width):
        inside = f.select(f.compare("slt", integer(lane), left), integer(lane), ZERO)
        rows.append(f.at(f["source"], lanes.dtype, f.mul(inside, columns)))

    def put(k: Value, vector: Value) -> None:
        only = f.select_lanes(width, left, vector, lanes.constant(0.0))
        f.store(only, f.at(f["target"], lanes.type, f.mul(k, f["stride"])), lanes.bytes)

    whole = f.mul(f.binary("sdiv", columns, integer(width)), integer(width))
    with f.loop(ZERO, whole, step=width) as k:
        loaded = [f.load(lanes.type, f.at(row, lanes.dtype, k), lanes.bytes) for row in rows]
        for number, vector in enumerate(transposed(f, lanes, loaded)):
            put(f.add(k, integer(number)), vector)
    with f.loop(whole, columns) as k:
        vector = Value(lanes.type, "poison")
        for lane, row in enumerate(rows):
            item = f.load(lanes.dtype, f.at(row, lanes.dtype, k), lanes.bytes)
            vector = f.make(lanes.type, f"insertelement {vector}, {item}, i64 {lane}")
        put(k, vector)
    return f


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
    with f.loop(*own_tiles(frame, f)) as u:
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
        with f.loop(*own_tiles(frame, f)) as u:
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
        matrix = frame.pointer(f, f"matrix {name}")
        whole = [f["args"], matrix, matrix_weights(frame, f, number), units, units, ZERO, units]
        f.call("cut", [*whole, *column_tiles(frame, f, units)])
    return f


def pack_columns(frame: Frame, f: Function, source: Value, target: Value, columns: Value, blocks: tuple[Block, ...]) -> None:
    """Rows stay rows, cut into tiles of a few vectors of columns; zeros beyond the last unit of each block."""
    padded = frame.slot(f, "padded")
    rows, own = f.mul(padded, integer(len(blocks))), column_tiles(frame, f, columns)
    for number, block in enumerate(blocks):
        first = f.at(source, frame.lanes.dtype, f.mul(first_row(frame, f, block), columns))
        f.call("cut", [f["args"], first, target, columns, rows, f.mul(padded, integer(number)), padded, *own])


def column_tiles(frame: Frame, f: Function, columns: Value) -> tuple[Value, Value]:
    """The thread's tiles of so many columns."""
    width = frame.back_vectors * frame.lanes.width
    return share(f, f.binary("sdiv", f.add(columns, integer(width - 1)), integer(width)))


def cut(frame: Frame) -> Function:
    """The `units` rows at `source`, cut into tiles of columns: rows [top, top + count) of each tile of `rows` rows, of the tiles
    [first, last).
    """
    parameters = [
        ("ptr", "args"), ("ptr", "source"), ("ptr", "target"), ("i64", "columns"), ("i64", "rows"), ("i64", "top"),
        ("i64", "count"), ("i64", "first"), ("i64", "last"),
    ]  # fmt: skip
    f = Function("cut", parameters, "noinline")
    lanes, vectors, units, columns = frame.lanes, frame.back_vectors, frame.slot(f, "units"), f["columns"]
    width = integer(vectors * lanes.width)
    with f.loop(f["first"], f["last"]) as tile:
        first, to = f.mul(tile, width), f.add(f.mul(tile, f["rows"]), f["top"])
        for inside, start, stop in ((True, ZERO, units), (False, units, f["count"])):
            with f.loop(start, stop) as unit:
                row = f.at(f["source"], lanes.dtype, f.mul(unit, columns))
                if inside:
                    ask(f, f.at(row, lanes.dtype, first), f.mul(columns, integer(ROWS_AHEAD * lanes.bytes)))
                for v in range(vectors):
                    value = lanes.constant(0.0)
                    if inside:
                        value = load_tail(f, lanes, row, f.add(first, integer(v * lanes.width)), columns)
                    number = f.add(f.mul(f.add(to, unit), integer(vectors)), integer(v))
                    f.store(value, f.at(f["target"], lanes.type, number), lanes.bytes)
    return f


def finish(frame: Frame) -> Function:
    """All gradients of weights in torch's order. A gate that a product does not go into is left as it is."""
    f = entry("finish")
    program, lanes, units = frame.program, frame.lanes, frame.slot(f, "units")
    for source, row_size, target, columns, blocks in (
        ("d_input", "d_input_size", "d input", frame.slot(f, "input_size"), program.x_blocks),
        ("d_recurrent", "d_recurrent_size", "d recurrent", units, program.r_blocks),
    ):
        places = [f.mul(integer(frame.program.cell.gates.index(block.gate)), units) for block in blocks]
        unpack_rows(frame, f, frame.pointer(f, source), frame.slot(f, row_size), frame.pointer(f, target), columns, places)
    with f.when(f.make("i1", f"icmp ne {frame.pointer(f, 'd input_bias')}, null")):
        for number, block in enumerate(program.blocks):
            for name, is_in in (("d input_bias", block.has_x), ("d recurrent_bias", block.has_r)):
                if is_in:
                    row = f.at(frame.pointer(f, name), lanes.dtype, first_row(frame, f, block))
                    with f.loop(*own_tiles(frame, f)) as u:
                        place = f.add(f.mul(integer(number), frame.slot(f, "tiles")), u)
                        value = f.load(lanes.type, f.at(frame.pointer(f, "d_bias"), lanes.type, place), lanes.bytes)
                        store_tail(f, lanes, value, row, f.mul(u, integer(lanes.width)), units)
    add_parts(frame, f)
    seen: set[int] = set()
    for number, product in enumerate(program.inner):
        own = f.at(frame.pointer(f, "d_inner"), lanes.dtype, f.mul(frame.slot(f, "d_inner_size"), integer(number)))
        matrix = frame.pointer(f, f"d matrix {program.cell.matrices[product.matrix]}")
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
    lanes, tiles = frame.lanes, frame.slot(f, "tiles")
    for number, top in enumerate(places):
        with f.loop(*own_tiles(frame, f)) as u:
            first = f.mul(u, integer(lanes.width))
            own = f.at(source, lanes.type, f.mul(f.add(f.mul(integer(number), tiles), u), row_size))
            row = f.at(target, lanes.dtype, f.mul(f.add(top, first), columns))
            f.call("turn_back", [own, f.sub(frame.slot(f, "units"), first), columns, row, integer(int(adds))])


def turn_back(frame: Frame) -> Function:
    """One vector per column becomes as many rows as lanes, `left` of which are there. adds: to what is there, if not 0."""
    parameters = [("ptr", "source"), ("i64", "left"), ("i64", "columns"), ("ptr", "target"), ("i64", "adds")]
    f = Function("turn_back", parameters, "noinline")
    lanes, width, left, columns = frame.lanes, frame.lanes.width, f["left"], f["columns"]
    adds = f.compare("ne", f["adds"], ZERO)

    def put(value: Value, place: Value) -> None:
        total = f.binary("fadd", f.load(value.type, place, lanes.bytes), value)
        f.store(f.select(adds, total, value), place, lanes.bytes)

    is_whole = f.compare("sge", left, integer(width))
    whole = f.select(is_whole, f.mul(f.binary("sdiv", columns, integer(width)), integer(width)), ZERO)
    with f.loop(ZERO, whole, step=width) as k:
        place = f.at(f["source"], lanes.type, k)
        vectors = [f.load(lanes.type, f.at(place, lanes.type, integer(i)), lanes.bytes) for i in range(width)]
        for number, vector in enumerate(transposed(f, lanes, vectors)):
            row = f.at(f["target"], lanes.dtype, f.mul(integer(number), columns))
            put(vector, f.at(row, lanes.dtype, k))
    with f.loop(ZERO, f.select(is_whole, integer(width), left)) as lane:
        row = f.at(f["target"], lanes.dtype, f.mul(lane, columns))
        column = f.at(f["source"], lanes.dtype, lane)
        with f.loop(whole, columns) as k:
            item = f.load(lanes.dtype, f.at(column, lanes.dtype, f.mul(k, integer(width))), lanes.bytes)
            put(item, f.at(row, lanes.dtype, k))
    return f


def add_parts(frame: Frame, f: Function) -> None:
    """The parts' gradients of the unit weights, added up in the order of the parts."""
    lanes, padded, names = frame.lanes, frame.slot(f, "padded"), frame.program.cell.unit_weights
    for number, name in enumerate(names):
        with f.loop(*own_tiles(frame, f)) as u:
            total = f.variable(lanes.type, lanes.constant(0.0))
            with f.loop(ZERO, frame.slot(f, "parts")) as part:
                row = frame.row(f, "d_unit_weights", f.add(f.mul(part, integer(len(names))), integer(number)), padded)
                value = f.load(lanes.type, frame.in_tile(f, row, u), lanes.bytes)
                f.set(total, Arithmetic(f, lanes).add(f.get(lanes.type, total), value))
            target = frame.pointer(f, f"d unit {name}")
            store_tail(f, lanes, f.get(lanes.type, total), target, f.mul(u, integer(lanes.width)), frame.slot(f, "units"))
