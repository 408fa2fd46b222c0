"""Code around a cell's loops: weights from torch's order into the kernels' order before, gradients back after.

    prepare_forward(args)     x_weights, r_weights [tile of units][k][block][lane], bias [tile][block][lane], unit weights
    prepare_backward(args)    back_weights, x_back_weights [columns of a tile][block · padded unit][column], unit weights
    finish(args)              d_input, d_recurrent, d_bias, d_unit_weights into gradients in torch's order

In torch's order the rows of a weight are gate by gate, (num_gates · units, K). Padding is filled with zeros.
"""

from gatework.engine.cpu.arithmetic import Arithmetic
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
    for source, target, columns, blocks in (
        ("input", "x_weights", frame.slot(f, "input_size"), frame.program.x_blocks),
        ("recurrent", "r_weights", frame.slot(f, "units"), frame.program.r_blocks),
    ):
        pack_rows(frame, f, frame.pointer(f, source), frame.pointer(f, target), columns, blocks)
    pack_bias(frame, f)
    pack_units(frame, f)
    return f


def pack_rows(frame: Frame, f: Function, source: Value, target: Value, columns: Value, blocks: tuple[Block, ...]) -> None:
    """Rows become lanes: each vector holds one column of the rows of a tile."""
    lanes = frame.lanes
    with f.loop(ZERO, frame.slot(f, "tiles")) as u:
        first = f.mul(u, integer(lanes.width))
        left = f.sub(frame.slot(f, "units"), first)
        for number, block in enumerate(blocks):
            top = f.add(first_row(frame, f, block), first)
            rows = []
            for lane in range(lanes.width):
                inside = f.select(f.compare("slt", integer(lane), left), integer(lane), ZERO)
                rows.append(f.at(source, lanes.dtype, f.mul(f.add(top, inside), columns)))
            with f.loop(ZERO, columns) as k:
                vector = Value(lanes.type, "poison")
                for lane, row in enumerate(rows):
                    item = f.load(lanes.dtype, f.at(row, lanes.dtype, k), lanes.bytes)
                    vector = f.make(lanes.type, f"insertelement {vector}, {item}, i64 {lane}")
                vector = f.select_lanes(lanes.width, left, vector, lanes.constant(0.0))
                place = f.add(f.mul(f.add(f.mul(u, columns), k), integer(len(blocks))), integer(number))
                f.store(vector, f.at(target, lanes.type, place), lanes.bytes)


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
    units, program = frame.slot(f, "units"), frame.program
    pack_columns(frame, f, frame.pointer(f, "recurrent"), frame.pointer(f, "back_weights"), units, program.r_blocks)
    target = frame.pointer(f, "x_back_weights")
    with f.when(f.make("i1", f"icmp ne {target}, null")):
        pack_columns(frame, f, frame.pointer(f, "input"), target, frame.slot(f, "input_size"), program.x_blocks)
    pack_units(frame, f)
    return f


def pack_columns(frame: Frame, f: Function, source: Value, target: Value, columns: Value, blocks: tuple[Block, ...]) -> None:
    """Rows stay rows, cut into tiles of a few vectors of columns."""
    lanes, vectors = frame.lanes, frame.back_vectors
    units, padded = frame.slot(f, "units"), frame.slot(f, "padded")
    width = integer(vectors * lanes.width)
    tiles = f.binary("sdiv", f.add(columns, f.sub(width, integer(1))), width)
    rows = f.mul(padded, integer(len(blocks)))
    with f.loop(ZERO, tiles) as tile:
        first = f.mul(tile, width)
        for number, block in enumerate(blocks):
            top = first_row(frame, f, block)
            to = f.add(f.mul(tile, rows), f.mul(padded, integer(number)))
            for inside, start, stop in ((True, ZERO, units), (False, units, padded)):
                with f.loop(start, stop) as unit:
                    row = f.at(source, lanes.dtype, f.mul(f.add(top, unit), columns))
                    for v in range(vectors):
                        value = lanes.constant(0.0)
                        if inside:
                            value = load_tail(f, lanes, row, f.add(first, integer(v * lanes.width)), columns)
                        place = f.add(f.mul(f.add(to, unit), integer(vectors)), integer(v))
                        f.store(value, f.at(target, lanes.type, place), lanes.bytes)


def finish(frame: Frame) -> Function:
    """All gradients of weights in torch's order. A gate that a product does not go into is left as it is."""
    f = entry("finish")
    program, lanes, units = frame.program, frame.lanes, frame.slot(f, "units")
    for source, row_size, target, columns, blocks in (
        ("d_input", "d_input_size", "d_weight_input", frame.slot(f, "input_size"), program.x_blocks),
        ("d_recurrent", "d_recurrent_size", "d_weight_recurrent", units, program.r_blocks),
    ):
        unpack_rows(frame, f, frame.pointer(f, source), frame.slot(f, row_size), frame.pointer(f, target), columns, blocks)
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
    return f


def unpack_rows(
    frame: Frame, f: Function, source: Value, row_size: Value, target: Value, columns: Value, blocks: tuple[Block, ...]
) -> None:
    """[block · tile][k][lane], row_size vectors to a block's tile, becomes rows in torch's order."""
    lanes, tiles = frame.lanes, frame.slot(f, "tiles")
    for number, block in enumerate(blocks):
        with f.loop(ZERO, tiles) as u:
            first = f.mul(u, integer(lanes.width))
            own = f.at(source, lanes.dtype, f.mul(f.mul(f.add(f.mul(integer(number), tiles), u), row_size), integer(lanes.width)))
            left = f.sub(frame.slot(f, "units"), first)
            top = f.add(first_row(frame, f, block), first)
            count = f.select(f.compare("slt", left, integer(lanes.width)), left, integer(lanes.width))
            with f.loop(ZERO, count) as lane:
                row = f.at(target, lanes.dtype, f.mul(f.add(top, lane), columns))
                column = f.at(own, lanes.dtype, lane)
                with f.loop(ZERO, columns) as k:
                    item = f.load(lanes.dtype, f.at(column, lanes.dtype, f.mul(k, integer(lanes.width))), lanes.bytes)
                    f.store(item, f.at(row, lanes.dtype, k), lanes.bytes)


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
