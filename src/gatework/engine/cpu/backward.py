"""Code for the backward pass of one cell: the ticks of forward in reverse.

    backward(args, part)           for each tick: the equations' gradients row by row, then the gradient of h through the
    recurrent weights
      backward_row_P(…)            one row, phase P: gradients of the sums, of the states before, of the unit weights
      backward_tile_R(…)           R rows × a few vectors of units: d_h += d_sums · recurrent weights

The gradients of the weights and of x are large products over all steps; `products` makes them after this, from d_sums.
Lane states hold d(state after the tick); turn 0 is used alone.
"""

from gatework.cells.graph import Symbol
from gatework.engine.cpu.arithmetic import Arithmetic
from gatework.engine.cpu.frame import TEAM_PARAMETERS, Frame, Phase, Team, backward_phases, emit_events
from gatework.engine.cpu.inner import emit_inner, inner_result, inner_tiles, operand_stores
from gatework.engine.cpu.ir import Function, Value, integer
from gatework.engine.cpu.pointwise import RowStore, emit_row, plan_passes
from gatework.engine.cpu.slots import load_tail, store_tail
from gatework.engine.cpu.tile import accumulate, emit_groups

ZERO = integer(0)


def backward_functions(frame: Frame) -> list[Function]:
    """Every function of the backward pass; the entry is called `backward`."""
    all_phases = backward_phases(frame.program)
    rows = [row(frame, number, phase, number == len(all_phases) - 1) for number, phase in enumerate(all_phases)]
    return [*(tile(frame, rows) for rows in range(1, frame.back_rows + 1)), *inner_tiles(frame), *rows, part(frame)]


def part(frame: Frame) -> Function:
    """One part's lanes, last tick first. Of a team, each member has some units of all lanes."""
    f = Function("backward", TEAM_PARAMETERS)
    scratch, team = frame.part_scratch(f), Team.of(frame, f)
    begin, end = reversed_events(frame, f, "begins"), reversed_events(frame, f, "ends")
    first_tick = f.mul(f["part"], frame.slot(f, "max_ticks"))
    first, last = frame.ticks(f)
    with f.loop(f.sub(last, integer(1)), f.sub(first, integer(1)), step=-1) as tick:
        entry, count = frame.live(f, first_tick, tick)
        emit_events(frame, f, end, tick, lambda lane, sequence: copy_in(frame, f, team, scratch, lane, sequence), step=-1)
        for phase in range(len(backward_phases(frame.program))):
            emit_inner(frame, f, frame.program.back_inner, phase - 1, scratch, count)
            with f.loop(ZERO, count) as lane:
                f.call(f"backward_row_{phase}", [f["args"], scratch, f.add(entry, lane), lane, f["part"], team.first, team.last])
        with f.when(f.compare("sgt", tick, first)):
            next_entry, next_count = frame.live(f, first_tick, f.sub(tick, integer(1)))
            ask_ahead(frame, f, next_entry, next_count)
        # the product reads the sums' gradients of all units
        team.wait(f)
        with f.loop(team.first_back, team.last_back) as u:
            emit_groups(
                f,
                count,
                frame.back_rows,
                lambda rows, first: f.call(f"backward_tile_{rows}", [f["args"], scratch, u, f.add(entry, first), first]),
            )
        emit_events(frame, f, begin, tick, lambda lane, sequence: copy_out(frame, f, team, scratch, lane, sequence), step=-1)
    return f


def ask_ahead(frame: Frame, f: Function, entry: Value, count: Value) -> None:
    """What the next tick reads and writes comes into the cache while this one's product runs."""
    item = integer(frame.lanes.bytes)
    kept = f.mul(frame.slot(f, "padded"), integer(frame.program.kept_rows))
    for name, row_size, writes in (
        ("kept", kept, False),
        ("d_y", frame.slot(f, "d_y_stride"), False),
        ("d_sums", frame.slot(f, "d_sums_stride"), True),
    ):
        frame.prefetch(f, frame.pointer(f, name), entry, count, f.mul(row_size, item), writes)


def reversed_events(frame: Frame, f: Function, name: str) -> tuple[Value, Value, Value]:
    """A part's events from the last to the first."""
    table, variable, stop = frame.event_range(f, name)
    first = f.get("i64", variable)
    f.set(variable, f.sub(stop, integer(1)))
    return table, variable, first


def copy_in(frame: Frame, f: Function, team: Team, scratch: Value, lane: Value, sequence: Value) -> None:
    """A sequence's last step: the gradients of its final states go into the lane, zeros where there are none."""
    for number, name in enumerate(frame.program.cell.state_names):
        target = frame.lane_state(f, scratch, ZERO, number, lane)
        source = frame.pointer(f, f"d_final_{name}")
        team.fill_zero(f, target)
        with f.when(f.make("i1", f"icmp ne {source}, null")):
            team.copy(f, f.at(source, frame.lanes.dtype, f.mul(sequence, frame.slot(f, "units"))), target)


def copy_out(frame: Frame, f: Function, team: Team, scratch: Value, lane: Value, sequence: Value) -> None:
    """A sequence's first step is done: the lane holds the gradients of its initial states."""
    for number, name in enumerate(frame.program.cell.state_names):
        target = frame.row(f, f"d_initial_{name}", sequence, frame.slot(f, "units"))
        team.copy(f, frame.lane_state(f, scratch, ZERO, number, lane), target)


ROW_PARAMETERS = [
    ("ptr", "args"), ("ptr", "scratch"), ("i64", "entry"), ("i64", "lane"), ("i64", "part"), ("i64", "first"), ("i64", "last"),
]  # fmt: skip


def row(frame: Frame, number: int, phase: Phase, is_last: bool) -> Function:
    """One phase of the gradients of one row's equations, over a range of its units."""
    f = Function(f"backward_row_{number}", ROW_PARAMETERS, "noinline")
    program = frame.program
    passes = plan_passes(*phase)
    stores = output_stores(frame, f) if is_last else operand_stores(frame, f, program.back_inner, number)
    emit_row(frame.row_of(f, passes, stores, lambda leaf, u: load(frame, f, leaf, u)))
    if not is_last:
        return f
    clear_padding(frame, f)
    for place, name in enumerate(program.cell.state_names):
        if name != "h" and program.in_passes:
            source = frame.lane_state(f, f["scratch"], integer(1), place, f["lane"])
            target = frame.lane_state(f, f["scratch"], ZERO, place, f["lane"])
            with f.loop(f["first"], f["last"]) as u:
                f.store(vector(frame, f, source, u), frame.in_tile(f, target, u), frame.lanes.bytes)
    return f


def clear_padding(frame: Frame, f: Function) -> None:
    """Zeros in the sums' gradients behind the last unit: an infinite input times the padding's zeros is NaN there, and the
    products that follow would bring it back.
    """
    lanes, padded = frame.lanes, frame.slot(f, "padded")
    first = frame.row(f, "d_sums", f["entry"], frame.slot(f, "d_sums_stride"))
    with f.loop(frame.slot(f, "units"), padded) as k:
        for block in range(len(frame.program.blocks) + len(frame.program.inner)):
            place = f.at(first, lanes.dtype, f.add(f.mul(integer(block), padded), k))
            f.store(Value(lanes.dtype, lanes.literal(0.0)), place, lanes.bytes)


def load(frame: Frame, f: Function, leaf: Symbol, u: Value) -> Value:
    """A kept value, a state before the step, a unit weight, or the gradient of a new state."""
    program, cell, padded = frame.program, frame.program.cell, frame.slot(f, "padded")
    if leaf in program.kept:
        return vector(frame, f, frame.kept_row(f, f["entry"], program.kept.index(leaf)), u)
    if leaf.kind == "product_t":
        return vector(frame, f, inner_result(frame, f, program.back_inner, leaf, f["lane"]), u)
    if leaf.kind == "step":
        return frame.step_input(f, leaf.name)
    if leaf.kind == "unit":
        return frame.unit_input(f, leaf.name, u)
    if leaf.kind == "s":
        number = len(program.kept) + cell.state_names.index(leaf.name)
        return vector(frame, f, frame.kept_row(f, f["entry"], number), u)
    if leaf.kind == "w":
        return vector(frame, f, frame.row(f, "unit_weights", integer(cell.unit_weights.index(leaf.name)), padded), u)
    name = leaf.name.removeprefix("d ")
    return incoming(frame, f, name, u)


def vector(frame: Frame, f: Function, place: Value, u: Value) -> Value:
    """A tile's vector of a row."""
    return f.load(frame.lanes.type, frame.in_tile(f, place, u), frame.lanes.bytes)


def incoming(frame: Frame, f: Function, name: str, u: Value) -> Value:
    """The gradient of a new state: what the next tick sent back, plus what comes in at this step."""
    arithmetic, lanes = Arithmetic(f, frame.lanes), frame.lanes
    number = frame.program.cell.state_names.index(name)
    units = frame.slot(f, "units")
    total = f.variable(lanes.type, vector(frame, f, frame.lane_state(f, f["scratch"], ZERO, number, f["lane"]), u))
    source, stride = ("d_y", frame.slot(f, "d_y_stride")) if name == "h" else (f"d_out_{name}", units)
    pointer = frame.pointer(f, source)
    with f.when(f.make("i1", f"icmp ne {pointer}, null")):
        place = f.at(pointer, lanes.dtype, f.mul(f["entry"], stride))
        value = load_tail(f, lanes, place, f.mul(u, integer(lanes.width)), units)
        f.set(total, arithmetic.add(f.get(lanes.type, total), value))
    return f.get(lanes.type, total)


def output_stores(frame: Frame, f: Function) -> dict[Symbol, list[RowStore]]:
    """Gradients of the sums to memory, of the states before to the lane, of the unit weights to this part's totals."""
    program, lanes = frame.program, frame.lanes
    padded = frame.slot(f, "padded")
    stores: dict[Symbol, list[RowStore]] = {}
    # behind the sums' gradients those of the products inside the step
    for number, node in enumerate((*program.sum_gradients, *program.d_results)):
        first = frame.row(f, "d_sums", f["entry"], frame.slot(f, "d_sums_stride"))
        target = f.at(first, lanes.dtype, f.mul(integer(number), padded))
        stores.setdefault(node, []).append(frame.store_at(f, target))
    for number, name in enumerate(program.cell.state_names):
        target = frame.lane_state(f, f["scratch"], own_turn(frame, name), number, f["lane"])
        stores.setdefault(program.state_gradients[name], []).append(frame.store_at(f, target))
    for number, name in enumerate(program.cell.unit_weights):
        row_number = f.add(f.mul(f["part"], integer(len(program.cell.unit_weights))), integer(number))
        target = f.at(frame.pointer(f, "d_unit_weights"), lanes.dtype, f.mul(row_number, padded))

        def add_to(value: Value, u: Value, target: Value = target) -> None:
            place = frame.in_tile(f, target, u)
            f.store(Arithmetic(f, lanes).add(f.load(lanes.type, place, lanes.bytes), value), place, lanes.bytes)

        stores.setdefault(program.weight_gradients[name], []).append(add_to)
    for number, name in enumerate(program.cell.inputs):
        stores.setdefault(program.step_gradients[name], []).append(column_store(frame, f, number))
    for name in program.cell.unit_inputs:
        stores.setdefault(program.unit_gradients[name], []).append(unit_store(frame, f, name))
    return stores


def unit_store(frame: Frame, f: Function, name: str) -> RowStore:
    """The gradient of an input with a number for each unit."""
    lanes = frame.lanes

    def store(value: Value, u: Value) -> None:
        with f.when(f.make("i1", f"icmp ne {frame.pointer(f, 'd_x')}, null")):
            row = frame.unit_row(f, "d_x", name)
            store_tail(f, lanes, value, row, f.mul(u, integer(lanes.width)), frame.slot(f, "units"))

    return store


def column_store(frame: Frame, f: Function, number: int) -> RowStore:
    """The gradient of an input that bypasses the gates: the mean over the units, which is in every lane, times their number."""
    lanes = frame.lanes
    column = f.add(frame.slot(f, "input_size"), integer(number))

    def store(mean: Value, u: Value) -> None:
        target = frame.pointer(f, "d_x")
        is_first = f.compare("eq", u, ZERO)
        with f.when(f.binary("and", is_first, f.make("i1", f"icmp ne {target}, null"))):
            row = f.at(target, lanes.dtype, f.mul(f["entry"], frame.slot(f, "x_stride")))
            one = f.make(lanes.dtype, f"extractelement {mean}, i64 0")
            count = f.make(lanes.dtype, f"sitofp {frame.slot(f, 'units')} to {lanes.dtype}")
            f.store(f.binary("fmul", one, count), f.at(row, lanes.dtype, column), lanes.bytes)

    return store


def own_turn(frame: Frame, name: str) -> Value:
    """Where a row puts the gradient of a state before the step. h waits in turn 1 for the recurrent product; the others can
    replace what
    came in, unless a later pass over the row still reads it.
    """
    return integer(1) if name == "h" or frame.program.in_passes else ZERO


def tile(frame: Frame, rows: int) -> Function:
    """d_h of the lanes: the equations' own part (turn 1) plus d_sums · weights, for some vectors of units."""
    parameters = [("ptr", "args"), ("ptr", "scratch"), ("i64", "u"), ("i64", "entry"), ("i64", "lane")]
    f = Function(f"backward_tile_{rows}", parameters, "noinline")
    lanes, program, padded = frame.lanes, frame.program, frame.slot(f, "padded")
    width = integer(frame.back_vectors * lanes.width)
    first = f.mul(f["u"], width)
    num_r = len(program.r_blocks)
    size = f.mul(integer(num_r), padded)
    inputs, sums, places = [], [], []
    for r in range(rows):
        row = frame.row(f, "d_sums", f.add(f["entry"], integer(r)), frame.slot(f, "d_sums_stride"))
        inputs.append(f.at(row, lanes.dtype, f.mul(integer(program.first_r), padded)))
        own = f.at(frame.lane_state(f, f["scratch"], integer(1), 0, f.add(f["lane"], integer(r))), lanes.dtype, first)
        places.append(f.at(frame.lane_state(f, f["scratch"], ZERO, 0, f.add(f["lane"], integer(r))), lanes.dtype, first))
        sums.append([f.variable(lanes.type, frame.load_vector(f, own, integer(v))) for v in range(frame.back_vectors)])
    base = f.at(frame.pointer(f, "back_weights"), lanes.dtype, f.mul(f["u"], f.mul(size, width)))
    accumulate(f, lanes, base, size, inputs, sums)
    for place, row_sums in zip(places, sums, strict=True):
        for v, variable in enumerate(row_sums):
            f.store(f.get(lanes.type, variable), f.at(place, lanes.type, integer(v)), lanes.bytes)
    return f
