"""What forward and backward have in common: the slots of the arguments, a part's scratch memory, events, groups of rows.

Arguments are one array of 64-bit slots, each a pointer or a number; `slots` lists them. A part is the share of one thread: some
lanes
through all their ticks. Its scratch, in numbers of the kernel's type:

    states    [2][num_states][lanes][padded]     states before and after the tick, taking turns
    sums      [lanes][num_blocks][padded]        what the products add to the gates
    spill     [num_spilled][padded]              values between two passes over a row
    inner     [2 · num_inner][lanes][padded]     operands and results of products inside the step
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache

from gatework.cells.graph import Symbol
from gatework.engine.cpu.arithmetic import Lanes
from gatework.engine.cpu.ir import Function, Value, integer
from gatework.engine.cpu.pointwise import Row, RowPasses, RowStore, plan_passes
from gatework.engine.cpu.program import Inner, Program
from gatework.engine.cpu.slots import COMMON, Slots, load_tail

SCHEDULE_SLOTS = (
    "first_tick", "last_tick", "max_ticks", "lanes", "ticks", "start", "count", "begins", "begins_range", "ends", "ends_range",
    "scratch", "scratch_size", "lane_stride", "tiles",
)  # fmt: skip

AHEAD = 2**17
"""Bytes of an array that are asked for ahead of their tick at the most: a part of the second-level cache."""

LINE = 64
"""Bytes of a line of the cache."""

PATIENCE = 10_000
"""Turns that a thread waits at a barrier before it gives its processor away."""


@lru_cache(maxsize=256)
def slots(states: tuple[str, ...], unit_weights: tuple[str, ...], matrices: tuple[str, ...]) -> Slots:
    """All arguments of a cell's kernels."""
    names = [*COMMON, *SCHEDULE_SLOTS, "input", "recurrent", "input_bias", "recurrent_bias", "matrix_weights"]
    names += ["x_weights", "r_weights", "bias", "unit_weights", "y", "y_stride"]
    for state in states:
        names += [f"initial_{state}", f"final_{state}", f"out_{state}"]
    names += ["d_y", "d_y_stride", "back_weights", "d_unit_weights"]
    for state in states:
        names += [f"d_final_{state}", f"d_out_{state}", f"d_initial_{state}"]
    names += ["d_input_size", "d_recurrent_size", "zeros", "zeros_size"]
    own = [*(f"unit {name}" for name in unit_weights), *(f"matrix {name}" for name in matrices)]
    names += [*own, *(f"d {name}" for name in ("input", "recurrent", "input_bias", "recurrent_bias", *own))]
    return Slots(tuple(names))


@dataclass(frozen=True)
class Frame:
    """One kernel's fixed choices.

    training: forward keeps what backward needs. tile_rows: rows of a forward tile. back_rows, back_vectors: rows and vectors of a
    backward tile.
    """

    program: Program
    lanes: Lanes
    training: bool
    tile_rows: int
    back_rows: int
    back_vectors: int

    # --- arguments

    @cached_property
    def slots(self) -> Slots:
        """The arguments that the kernel is called with."""
        cell = self.program.cell
        return slots(cell.state_names, cell.unit_weights, cell.matrices)

    def slot(self, f: Function, name: str) -> Value:
        """A number among the arguments."""
        return self.slots.number(f, name)

    def pointer(self, f: Function, name: str) -> Value:
        """A pointer among the arguments."""
        return self.slots.pointer(f, name)

    def row(self, f: Function, name: str, number: Value, stride: Value) -> Value:
        """The address of a row of an array of numbers."""
        return f.at(self.pointer(f, name), self.lanes.dtype, f.mul(number, stride))

    def kept_row(self, f: Function, entry: Value, number: int) -> Value:
        """The address of a row that forward leaves for backward: the kept values of an entry, then its states one step ago."""
        return self.row(f, "kept", f.add(f.mul(entry, integer(self.program.kept_rows)), integer(number)), self.slot(f, "padded"))

    def in_tile(self, f: Function, row: Value, u: Value) -> Value:
        """The address of a tile's vector in a row."""
        return f.at(row, self.lanes.dtype, f.mul(u, integer(self.lanes.width)))

    def store_at(self, f: Function, target: Value) -> RowStore:
        """A store into a row that begins at `target`."""
        return lambda value, u: f.store(value, self.in_tile(f, target, u), self.lanes.bytes)

    def load_vector(self, f: Function, base: Value, index: Value) -> Value:
        """The index-th vector of a packed array."""
        return f.load(self.lanes.type, f.at(base, self.lanes.type, index), self.lanes.bytes)

    # --- scratch

    def part_scratch(self, f: Function) -> Value:
        """Where this part's scratch begins."""
        return self.row(f, "scratch", f["part"], self.slot(f, "scratch_size"))

    def lane_state(self, f: Function, scratch: Value, turn: Value, state: int, lane: Value) -> Value:
        """A lane's row of a state; turn: 0 or 1."""
        lanes, padded = self.slot(f, "lanes"), self.slot(f, "lane_stride")
        number = f.add(f.mul(turn, integer(len(self.program.cell.state_names))), integer(state))
        return f.at(scratch, self.lanes.dtype, f.mul(f.add(f.mul(number, lanes), lane), padded))

    def lane_sums(self, f: Function, scratch: Value, lane: Value, block: Value) -> Value:
        """A lane's row of an accumulator."""
        lanes, padded = self.slot(f, "lanes"), self.slot(f, "lane_stride")
        states = f.mul(integer(2 * len(self.program.cell.state_names)), lanes)
        number = f.add(states, f.add(f.mul(lane, integer(len(self.program.blocks))), block))
        return f.at(scratch, self.lanes.dtype, f.mul(number, padded))

    def spill(self, f: Function, scratch: Value) -> Value:
        """Where spilled rows begin."""
        return self.lane_sums(f, scratch, self.slot(f, "lanes"), integer(0))

    def lane_inner(self, f: Function, scratch: Value, number: int, lane: Value) -> Value:
        """A lane's row for a product inside the step: its operand, and `num_inner` places on its result."""
        lanes, padded = self.slot(f, "lanes"), self.slot(f, "lane_stride")
        first = f.at(self.spill(f, scratch), self.lanes.dtype, f.mul(integer(spilled_rows(self.program)), padded))
        return f.at(first, self.lanes.dtype, f.mul(f.add(f.mul(integer(number), lanes), lane), padded))

    def step_input(self, f: Function, name: str) -> Value:
        """The number of an entry that bypasses the gates, in every lane; f has a parameter `entry`."""
        column = f.add(self.slot(f, "input_size"), integer(self.program.cell.inputs.index(name)))
        place = f.at(self.row(f, "x", f["entry"], self.slot(f, "x_stride")), self.lanes.dtype, column)
        return f.splat(self.lanes.width, f.load(self.lanes.dtype, place, self.lanes.bytes))

    def unit_input(self, f: Function, name: str, u: Value) -> Value:
        """A vector of an entry's numbers that bypass the gates, one for each unit; f has a parameter `entry`."""
        return load_tail(f, self.lanes, self.unit_row(f, "x", name), f.mul(u, integer(self.lanes.width)), self.slot(f, "units"))

    def unit_row(self, f: Function, array: str, name: str) -> Value:
        """Where those numbers of an entry begin, in x or in its gradient."""
        cell, units = self.program.cell, self.slot(f, "units")
        before = f.add(self.slot(f, "input_size"), integer(len(cell.inputs)))
        column = f.add(before, f.mul(units, integer(cell.unit_inputs.index(name))))
        return f.at(self.row(f, array, f["entry"], self.slot(f, "x_stride")), self.lanes.dtype, column)

    def ticks(self, f: Function) -> tuple[Value, Value]:
        """The part's share of the ticks asked for: (first, one after the last)."""
        own = f.load("i64", f.at(self.pointer(f, "ticks"), "i64", f["part"]), 8)
        last = self.slot(f, "last_tick")
        return self.slot(f, "first_tick"), f.select(f.compare("slt", own, last), own, last)

    def row_of(
        self, f: Function, passes: RowPasses, stores: dict[Symbol, list[RowStore]], load: Callable[[Symbol, Value], Value]
    ) -> Row:
        """A row of this kernel: its spilled values in scratch, its sizes among the arguments."""
        units, padded = self.slot(f, "units"), self.slot(f, "padded")
        return Row(f, self.lanes, passes, stores, load, self.spill(f, f["scratch"]), f["first"], f["last"], units, padded)

    def live(self, f: Function, first_tick: Value, tick: Value) -> tuple[Value, Value]:
        """The first entry and the number of live lanes of a tick. first_tick: where the part's ticks begin."""
        place = f.add(first_tick, tick)
        entry = f.load("i64", f.at(self.pointer(f, "start"), "i64", place), 8)
        return entry, f.load("i64", f.at(self.pointer(f, "count"), "i64", place), 8)

    def prefetch(self, f: Function, array: Value, entry: Value, count: Value, row_bytes: Value, writes: bool) -> None:
        """Ask for the rows of `count` entries, to read or to write; nothing where there is no array or the rows are too many."""
        size = f.mul(count, row_bytes)
        is_there = f.make("i1", f"icmp ne {array}, null")
        with f.when(f.binary("and", is_there, f.compare("sle", size, integer(AHEAD)))):
            begin = f.at(array, "i8", f.mul(entry, row_bytes))
            with f.loop(integer(0), size, step=LINE) as byte:
                place = f.at(begin, "i8", byte)
                f.do(f"call void @llvm.prefetch.p0({place}, i32 {int(writes)}, i32 2, i32 1)")

    # --- events

    def event_range(self, f: Function, name: str) -> tuple[Value, Value, Value]:
        """(events, variable with the next one, the end) of this part."""
        bounds = self.pointer(f, f"{name}_range")
        place = f.mul(f["part"], integer(2))
        first = f.load("i64", f.at(bounds, "i64", place), 8)
        stop = f.load("i64", f.at(bounds, "i64", f.add(place, integer(1))), 8)
        return self.pointer(f, name), f.variable("i64", first), stop


TEAM_PARAMETERS = [("ptr", "args"), ("i64", "part"), ("i64", "rank"), ("i64", "size")]


@dataclass(frozen=True)
class Team:
    """The threads that compute one part together, each some of the units; usually one thread, all of them.

    first, last: this member's vectors of units [first, last). first_back, last_back: its tiles in backward, the same units.
    """

    frame: Frame
    first: Value
    last: Value
    first_back: Value
    last_back: Value

    @classmethod
    def of(cls, frame: Frame, f: Function) -> "Team":
        """The share of a function with TEAM_PARAMETERS."""
        tiles, vectors = frame.slot(f, "tiles"), integer(frame.back_vectors)
        back = f.binary("sdiv", f.add(tiles, integer(frame.back_vectors - 1)), vectors)
        bounds = []
        for member in (f["rank"], f.add(f["rank"], integer(1))):
            tile = f.binary("sdiv", f.mul(back, member), f["size"])
            vector = f.mul(tile, vectors)
            bounds.append((f.select(f.compare("slt", vector, tiles), vector, tiles), tile))
        (first, first_back), (last, last_back) = bounds
        return cls(frame, first, last, first_back, last_back)

    def wait(self, f: Function) -> None:
        """Until all members are here."""
        with f.when(f.compare("sgt", f["size"], integer(1))):
            f.call("wait", [self.frame.pointer(f, "barrier"), f["size"]])

    def units(self, f: Function) -> tuple[Value, Value]:
        """The member's units [first, last)."""
        width, units = integer(self.frame.lanes.width), self.frame.slot(f, "units")
        last = f.mul(self.last, width)
        return f.mul(self.first, width), f.select(f.compare("slt", last, units), last, units)

    def copy(self, f: Function, source: Value, target: Value) -> None:
        """The member's units of a row."""
        lanes = self.frame.lanes
        with f.loop(*self.units(f)) as k:
            value = f.load(lanes.dtype, f.at(source, lanes.dtype, k), lanes.bytes)
            f.store(value, f.at(target, lanes.dtype, k), lanes.bytes)

    def fill_zero(self, f: Function, target: Value) -> None:
        """Zeros in the member's units of a row."""
        lanes = self.frame.lanes
        with f.loop(*self.units(f)) as k:
            f.store(Value(lanes.dtype, lanes.literal(0.0)), f.at(target, lanes.dtype, k), lanes.bytes)


def barrier(frame: Frame) -> Function:
    """Wait until `size` threads are here. barrier: how many have come, and how often all had; each in its own line of the cache.

    After many turns without success the processor is given away: the other thread may need it.
    """
    f = Function("wait", [("ptr", "barrier"), ("i64", "size")], "noinline")
    often = f.at(f["barrier"], "i64", integer(16))
    seen = f.make("i64", f"load atomic i64, {often} acquire, align 8")
    come = f.make("i64", f"atomicrmw add {f['barrier']}, i64 1 acq_rel")
    is_last = f.compare("eq", f.add(come, integer(1)), f["size"])
    opens, waits, done = f.fresh("opens"), f.fresh("waits"), f.fresh("through")
    f.do(f"br {is_last}, label %{opens}, label %{waits}")
    f.label(opens)
    f.do(f"store atomic i64 0, {f['barrier']} monotonic, align 8")
    f.do(f"store atomic {f.add(seen, integer(1))}, {often} release, align 8")
    f.do(f"br label %{done}")
    f.label(waits)
    turns = f.variable("i64", integer(0))
    again, rests, go_on = f.fresh("again"), f.fresh("rests"), f.fresh("on")
    f.do(f"br label %{again}")
    f.label(again)
    now = f.make("i64", f"load atomic i64, {often} acquire, align 8")
    f.do(f"br {f.compare('ne', now, seen)}, label %{done}, label %{rests}")
    f.label(rests)
    if frame.lanes.machine.pause:
        f.do(frame.lanes.machine.pause)
    turn = f.add(f.get("i64", turns), integer(1))
    f.set(turns, turn)
    with f.when(f.compare("sgt", turn, integer(PATIENCE))):
        f.do("call i32 @sched_yield()")
    f.do(f"br label %{go_on}")
    f.label(go_on)
    f.do(f"br label %{again}")
    f.label(done)
    return f


def emit_events(
    frame: Frame, f: Function, events: tuple[Value, Value, Value], tick: Value, act: Callable[[Value, Value], None], step: int = 1
) -> None:
    """While the next event (tick, lane, sequence) is of this tick: act on it. step −1 walks from the last to the first."""
    table, variable, stop = events
    with while_loop(f) as leave:
        number = f.get("i64", variable)
        inside = f.compare("slt" if step > 0 else "sge", number, stop)
        at_tick = f.fresh("event")
        f.do(f"br {inside}, label %{at_tick}, label %{leave}")
        f.label(at_tick)
        event = f.at(table, "i64", f.mul(number, integer(3)))
        matches = f.compare("eq", f.load("i64", event, 8), tick)
        body = f.fresh("act")
        f.do(f"br {matches}, label %{body}, label %{leave}")
        f.label(body)
        lane = f.load("i64", f.at(event, "i64", integer(1)), 8)
        sequence = f.load("i64", f.at(event, "i64", integer(2)), 8)
        act(lane, sequence)
        f.set(variable, f.add(number, integer(step)))


@contextmanager
def while_loop(f: Function) -> Iterator[str]:
    """A loop that its body leaves by a branch to the label."""
    head, leave = f.fresh("again"), f.fresh("leave")
    f.do(f"br label %{head}")
    f.label(head)
    yield leave
    f.do(f"br label %{head}")
    f.label(leave)


def scratch_rows(program: Program, num_lanes: int) -> int:
    """How many rows of `padded` numbers one part's scratch has, forward or backward."""
    own = 2 * len(program.cell.state_names) + len(program.blocks) + 2 * program.num_inner
    return own * num_lanes + spilled_rows(program)


@lru_cache(maxsize=256)
def spilled_rows(program: Program) -> int:
    """Rows for values that are computed in one pass and needed in a later one."""
    forward, backward = forward_phases(program, training=True), backward_phases(program)
    return max(len(plan_passes(*phase).spilled) for phase in (*forward, *backward))


Phase = tuple[list[Symbol], frozenset[Symbol]]
"""What a phase computes, and what it finds in memory."""


def forward_phases(program: Program, training: bool) -> list[Phase]:
    """The operands of the products inside the step, phase by phase; at last the states and what backward needs."""
    last = [*program.outputs, *(program.kept if training else ())]
    return phases(program.inner, list(dict.fromkeys(last)), frozenset())


def backward_phases(program: Program) -> list[Phase]:
    """The same of backward, which finds what forward kept."""
    return phases(program.back_inner, program.gradients, frozenset(program.kept))


def phases(inner: tuple[Inner, ...], last: list[Symbol], given: frozenset[Symbol]) -> list[Phase]:
    """inner: the products between the phases. last: what the last phase computes. given: what all find in memory."""
    found: list[Phase] = []
    for number in range(1 + max((product.phase for product in inner), default=-1)):
        operands = list(dict.fromkeys(product.operand for product in inner if product.phase == number))
        found.append((operands, given | {product.node for product in inner if product.phase < number}))
    return [*found, (last, given | {product.node for product in inner})]
