"""Code for the forward pass of one cell: for each tick, for each tile of units, for each group of rows.

forward(args, part)            one part's lanes through all its ticks
  forward_tile_R(…)            R rows × one vector of units × all gates: both matrix products in registers
  forward_row_P(…)             phase P of the equations over all units of one row, in as many passes as its means ask for
"""

from dataclasses import dataclass

from gatework.cells.graph import Symbol
from gatework.engine.cpu.frame import TEAM_PARAMETERS, Frame, Phase, Team, emit_events, forward_phases
from gatework.engine.cpu.inner import emit_inner, inner_result, inner_tiles, operand_stores
from gatework.engine.cpu.ir import Function, Value, integer
from gatework.engine.cpu.pointwise import RowStore, emit_row, plan_passes
from gatework.engine.cpu.slots import store_tail
from gatework.engine.cpu.tile import accumulate, emit_groups, shares_of


def forward_functions(frame: Frame) -> list[Function]:
    """Every function of the forward pass; the entry is called `forward`."""
    all_phases = forward_phases(frame.program, frame.training)
    rows = [row(frame, number, phase, number == len(all_phases) - 1) for number, phase in enumerate(all_phases)]
    return [*(tile(frame, rows) for rows in range(1, frame.tile_rows + 1)), *inner_tiles(frame), *rows, part(frame)]


ROW_PARAMETERS = [
    ("ptr", "args"), ("ptr", "scratch"), ("i64", "entry"), ("i64", "lane"), ("i64", "now"), ("i64", "first"), ("i64", "last"),
]  # fmt: skip
TILE_PARAMETERS = [("ptr", "args"), ("ptr", "scratch"), ("i64", "u"), ("i64", "entry"), ("i64", "lane"), ("i64", "now")]


def part(frame: Frame) -> Function:
    """One part's lanes: begin sequences, compute the tick, end sequences. Of a team, each member has some units of all lanes."""
    f = Function("forward", TEAM_PARAMETERS)
    scratch, team = frame.part_scratch(f), Team.of(frame, f)
    begin, end = frame.event_range(f, "begins"), frame.event_range(f, "ends")
    first_tick = f.mul(f["part"], frame.slot(f, "max_ticks"))
    first, last = frame.ticks(f)
    with f.loop(first, last) as tick:
        entry, count = frame.live(f, first_tick, tick)
        if frame.training:
            following = f.add(tick, integer(1))
            with f.when(f.compare("slt", following, last)):
                ask_ahead(frame, f, *frame.live(f, first_tick, following))
        now = f.binary("and", tick, integer(1))
        before = f.get("i64", begin[1])
        emit_events(frame, f, begin, tick, lambda lane, sequence: copy_in(frame, f, team, scratch, now, lane, sequence))
        with f.when(f.compare("ne", f.get("i64", begin[1]), before)):
            team.wait(f)
        with f.loop(team.first, team.last) as u:
            emit_groups(
                f,
                count,
                frame.tile_rows,
                lambda rows, first: f.call(f"forward_tile_{rows}", [f["args"], scratch, u, f.add(entry, first), first, now]),
            )
        for phase in range(len(forward_phases(frame.program, frame.training))):
            emit_inner(frame, f, frame.program.inner, phase - 1, scratch, count)
            with f.loop(integer(0), count) as lane:
                f.call(f"forward_row_{phase}", [f["args"], scratch, f.add(entry, lane), lane, now, team.first, team.last])
        later = f.binary("xor", now, integer(1))
        emit_events(frame, f, end, tick, lambda lane, sequence: copy_out(frame, f, team, scratch, later, lane, sequence))
        # the next tick reads all units, and writes where this one read
        team.wait(f)
    return f


def ask_ahead(frame: Frame, f: Function, entry: Value, count: Value) -> None:
    """What the next tick reads and writes comes into the cache while this one's products run."""
    item = integer(frame.lanes.bytes)
    kept = f.mul(frame.slot(f, "padded"), integer(frame.program.kept_rows))
    for name, row_size, writes in (
        ("x", frame.slot(f, "x_stride"), False),
        ("y", frame.slot(f, "y_stride"), True),
        ("kept", kept, True),
    ):
        frame.prefetch(f, frame.pointer(f, name), entry, count, f.mul(row_size, item), writes)


def copy_in(frame: Frame, f: Function, team: Team, scratch: Value, now: Value, lane: Value, sequence: Value) -> None:
    """A sequence begins: its initial states go into the lane."""
    for number, name in enumerate(frame.program.cell.state_names):
        source = frame.row(f, f"initial_{name}", sequence, frame.slot(f, "units"))
        team.copy(f, source, frame.lane_state(f, scratch, now, number, lane))


def copy_out(frame: Frame, f: Function, team: Team, scratch: Value, later: Value, lane: Value, sequence: Value) -> None:
    """A sequence ends: the lane's states are its final ones."""
    for number, name in enumerate(frame.program.cell.state_names):
        target = frame.row(f, f"final_{name}", sequence, frame.slot(f, "units"))
        team.copy(f, frame.lane_state(f, scratch, later, number, lane), target)


def tile(frame: Frame, rows: int) -> Function:
    """`rows` rows × one vector of units: what the products add to the gates goes to scratch, where the equations find it.

    The way through the cache costs a few cycles; the equations are compiled once, and their constants loaded once a row.
    """
    f = Function(f"forward_tile_{rows}", TILE_PARAMETERS, "noinline")
    program, (x, h) = frame.program, operands(frame, f, rows)
    shares = shares_of(program, rows, frame.lanes.machine.num_registers)
    if x.blocks == h.blocks and len({len(share) for share in shares}) == 1:
        # the same code for every share and both products: half of it or less to compile
        with f.loop(integer(0), integer(len(program.blocks)), step=len(shares[0])) as first:
            together = begin_sums(frame, f, rows, first, len(shares[0]))
            with f.loop(integer(0), integer(2)) as number:
                add_product(frame, f, x.or_else(f, h, f.compare("eq", number, integer(0))), first, together)
            store_sums(frame, f, first, together)
        return f
    for share in shares:
        sums: list[dict[int, Value]] = [{} for _ in range(rows)]
        for operand, later in ((x, h.blocks), (h, range(0))):
            own = [b for b in operand.blocks if b in share]
            if not own:
                continue
            # a block's sums are there from its first product to its last: fewer at a time
            for b in (b for b in own if b not in sums[0]):
                for row_sums, (begun,) in zip(sums, begin_sums(frame, f, rows, integer(b), 1), strict=True):
                    row_sums[b] = begun
            first = integer(own[0] - operand.blocks[0])
            add_product(frame, f, operand, first, [[row_sums[b] for b in own] for row_sums in sums])
            for b in (b for b in own if b not in later):
                store_sums(frame, f, integer(b), [[row_sums[b]] for row_sums in sums])
    return f


@dataclass(frozen=True)
class Operand:
    """One of the two products: rows of numbers, how many, the tile's packed weights, and the blocks that they go into."""

    inputs: list[Value]
    size: Value
    weights: Value
    blocks: range

    def or_else(self, f: Function, other: "Operand", condition: Value) -> "Operand":
        """Itself where the condition holds."""
        inputs = [f.select(condition, a, b) for a, b in zip(self.inputs, other.inputs, strict=True)]
        size, weights = f.select(condition, self.size, other.size), f.select(condition, self.weights, other.weights)
        return Operand(inputs, size, weights, self.blocks)


def operands(frame: Frame, f: Function, rows: int) -> tuple[Operand, Operand]:
    """The input and the recurrence of so many rows."""
    program, lanes = frame.program, frame.lanes
    x_rows = [frame.row(f, "x", f.add(f["entry"], integer(r)), frame.slot(f, "x_stride")) for r in range(rows)]
    h_rows = [frame.lane_state(f, f["scratch"], f["now"], 0, f.add(f["lane"], integer(r))) for r in range(rows)]
    found = []
    for name, inputs, size, blocks in (
        ("x_weights", x_rows, frame.slot(f, "input_size"), range(len(program.x_blocks))),
        ("r_weights", h_rows, frame.slot(f, "units"), range(program.first_r, program.first_r + len(program.r_blocks))),
    ):
        tile_size = f.mul(f.mul(size, integer(len(blocks))), integer(lanes.width))
        found.append(Operand(inputs, size, f.at(frame.pointer(f, name), lanes.dtype, f.mul(f["u"], tile_size)), blocks))
    return found[0], found[1]


def begin_sums(frame: Frame, f: Function, rows: int, first: Value, count: int) -> list[list[Value]]:
    """Accumulators of `count` blocks from `first` on, [row][block]: the biases."""
    place = f.add(f.mul(f["u"], integer(len(frame.program.blocks))), first)
    biases = [frame.load_vector(f, frame.pointer(f, "bias"), f.add(place, integer(b))) for b in range(count)]
    return [[f.variable(frame.lanes.type, value) for value in biases] for _ in range(rows)]


def add_product(frame: Frame, f: Function, operand: Operand, first: Value, sums: list[list[Value]]) -> None:
    """Into the accumulators of an operand's blocks from its `first` on; k is summed in ascending order whatever the tile."""
    weights = f.at(operand.weights, frame.lanes.type, first)
    accumulate(f, frame.lanes, weights, operand.size, operand.inputs, sums, len(operand.blocks))


def store_sums(frame: Frame, f: Function, first: Value, sums: list[list[Value]]) -> None:
    """The sums of a tile, of blocks from `first` on, go to the lanes' rows in scratch."""
    for r, row_sums in enumerate(sums):
        lane = f.add(f["lane"], integer(r))
        for b, variable in enumerate(row_sums):
            place = frame.lane_sums(f, f["scratch"], lane, f.add(first, integer(b)))
            f.store(f.get(frame.lanes.type, variable), frame.in_tile(f, place, f["u"]), frame.lanes.bytes)


def row(frame: Frame, number: int, phase: Phase, is_last: bool) -> Function:
    """One phase of the equations of one row over a range of its units, in passes; with means, over all of them."""
    f = Function(f"forward_row_{number}", ROW_PARAMETERS, "noinline")
    passes = plan_passes(*phase)
    stores = output_stores(frame, f, f["entry"], f["lane"]) if is_last else operand_stores(frame, f, frame.program.inner, number)
    emit_row(frame.row_of(f, passes, stores, lambda leaf, u: load_leaf(frame, f, leaf, f["lane"], u)))
    if frame.training and is_last:
        with f.loop(f["first"], f["last"]) as u:
            keep_states(frame, f, f["entry"], f["lane"], u)
    return f


def load_leaf(frame: Frame, f: Function, leaf: Symbol, lane: Value, u: Value) -> Value:
    """A sum, the result of a product, a state one step ago, a unit weight, or an input that bypasses the gates."""
    cell = frame.program.cell
    if leaf.kind == "step":
        return frame.step_input(f, leaf.name)
    if leaf.kind == "unit":
        return frame.unit_input(f, leaf.name, u)
    if leaf in frame.program.sums:
        place = frame.lane_sums(f, f["scratch"], lane, integer(frame.program.sums.index(leaf)))
    elif leaf.kind == "product":
        place = inner_result(frame, f, frame.program.inner, leaf, lane)
    elif leaf.kind == "s":
        place = frame.lane_state(f, f["scratch"], f["now"], cell.state_names.index(leaf.name), lane)
    else:
        place = frame.row(f, "unit_weights", integer(cell.unit_weights.index(leaf.name)), frame.slot(f, "padded"))
    return f.load(frame.lanes.type, frame.in_tile(f, place, u), frame.lanes.bytes)


def output_stores(frame: Frame, f: Function, entry: Value, lane: Value) -> dict[Symbol, list[RowStore]]:
    """What is done with each computed value: new states to the lane and to the outputs, kept values to memory."""
    program, lanes = frame.program, frame.lanes
    stores: dict[Symbol, list[RowStore]] = {}
    later = f.binary("xor", f["now"], integer(1))
    units = frame.slot(f, "units")
    for number, (name, node) in enumerate(program.states.items()):
        to_lane = frame.lane_state(f, f["scratch"], later, number, lane)

        def store_state(value: Value, u: Value, to_lane: Value = to_lane, name: str = name) -> None:
            f.store(value, frame.in_tile(f, to_lane, u), lanes.bytes)
            if name == "h":
                target = frame.row(f, "y", entry, frame.slot(f, "y_stride"))
                store_tail(f, lanes, value, target, f.mul(u, integer(lanes.width)), units)
                return
            out = frame.pointer(f, f"out_{name}")
            with f.when(f.make("i1", f"icmp ne {out}, null")):
                target = f.at(out, lanes.dtype, f.mul(entry, units))
                store_tail(f, lanes, value, target, f.mul(u, integer(lanes.width)), units)

        stores.setdefault(node, []).append(store_state)
    if frame.training:
        for number, node in enumerate(program.kept):
            target = frame.kept_row(f, entry, number)

            def store_kept(value: Value, u: Value, target: Value = target) -> None:
                f.store(value, frame.in_tile(f, target, u), lanes.bytes)

            stores.setdefault(node, []).append(store_kept)
    return stores


def keep_states(frame: Frame, f: Function, entry: Value, lane: Value, u: Value) -> None:
    """Backward needs the states one step ago: h for the gradient of the recurrent weights, the others for the equations."""
    for number in range(len(frame.program.cell.state_names)):
        value = f.load(
            frame.lanes.type, frame.in_tile(f, frame.lane_state(f, f["scratch"], f["now"], number, lane), u), frame.lanes.bytes
        )
        target = frame.kept_row(f, entry, len(frame.program.kept) + number)
        f.store(value, frame.in_tile(f, target, u), frame.lanes.bytes)
