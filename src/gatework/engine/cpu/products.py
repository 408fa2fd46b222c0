"""The large products of the backward pass: gradients of the weights and of the input, from the gradients of the sums.

One module for all cells. `products(args, 0, rank, size)` computes one thread's share of

    d_input[v][k]     += Σ_entries x[k] · d_sums[v]          outer: the thread's vectors v of the sums' gradients
    d_recurrent[v][k] += Σ_entries h_before[k] · d_sums[v]
    d_bias[v]         += Σ_entries d_sums[v]
    d_inner[i][v][k]  += Σ_entries operand_i[k] · d_result_i[v]
    d_x[entry]         = d_sums[entry] · weights             inner: the thread's entries

over the entries of one chunk. Every sum runs over the entries in ascending order, whoever computes it: the number of threads
changes no bit.
"""

from dataclasses import dataclass

from gatework.engine.cpu.arithmetic import Arithmetic, Lanes
from gatework.engine.cpu.ir import Function, Value, integer
from gatework.engine.cpu.machine import Machine
from gatework.engine.cpu.slots import COMMON, Slots, load_tail, store_tail
from gatework.engine.cpu.tile import accumulate, emit_groups

BLOCK = 256
"""Entries of a block in `outer`, columns of a block in `inner`: what a tile reads again and again stays in the first-level
cache.
"""

PITCH = BLOCK + 4
"""Entries from one group of packed columns to the next: a power of two would put all groups in the same places of the cache."""

VECTORS = 3
"""Vectors of an outer tile."""

SLOTS = Slots(COMMON)

ZERO = integer(0)


@dataclass(frozen=True)
class Tiles:
    """columns: of the left factor in an outer tile. rows, vectors: of an inner tile."""

    lanes: Lanes
    columns: int
    rows: int
    vectors: int

    @classmethod
    def of(cls, machine: Machine, dtype: str) -> "Tiles":
        """As many accumulators as there are registers, less those for the factors."""
        many = machine.num_registers >= 32
        return cls(Lanes(machine, dtype), 8 if many else 4, 12 if many else 6, 2)

    def padded_columns(self, size: int) -> int:
        """Columns of the left factor, rounded up to whole tiles."""
        return -(-size // self.columns) * self.columns

    def scratch_size(self, input_size: int, padded: int) -> int:
        """Numbers that each thread needs: the left factor's block and the right factor's panel."""
        return PITCH * self.padded_columns(max(input_size, padded)) + BLOCK * VECTORS * self.lanes.width


def products_functions(tiles: Tiles) -> list[Function]:
    """Every function; the entry is called `products`."""
    return [
        pack_left(tiles),
        *(pack_right(tiles, count) for count in range(1, VECTORS + 1)),
        *(outer_tile(tiles, count) for count in range(1, VECTORS + 1)),
        outer(tiles),
        put(tiles),
        *(inner_tile(tiles, rows) for rows in range(1, tiles.rows + 1)),
        inner(tiles),
        part(tiles),
    ]


def share(f: Function, total: Value) -> tuple[Value, Value]:
    """The member's share of `total` things: (first, one after the last)."""
    first = f.binary("sdiv", f.mul(total, f["rank"]), f["size"])
    return first, f.binary("sdiv", f.mul(total, f.add(f["rank"], integer(1))), f["size"])


def part(tiles: Tiles) -> Function:
    """One member's share of everything."""
    lanes = tiles.lanes
    f = Function("products", [("ptr", "args"), ("i64", "part"), ("i64", "rank"), ("i64", "size")])
    x_vectors, first_r = SLOTS.number(f, "x_vectors"), SLOTS.number(f, "first_r_vector")
    null = Value("ptr", "null")
    entry = SLOTS.number(f, "first_entry")
    d_sums = f.at(SLOTS.pointer(f, "d_sums"), lanes.dtype, f.mul(entry, SLOTS.number(f, "d_sums_stride")))
    of_r = f.at(d_sums, lanes.dtype, f.mul(first_r, integer(lanes.width)))
    r_vectors = f.sub(SLOTS.number(f, "vectors"), first_r)
    rest_bias = f.at(SLOTS.pointer(f, "d_bias"), lanes.type, first_r)
    scratch = f.at(SLOTS.pointer(f, "panels"), lanes.dtype, f.mul(f["rank"], SLOTS.number(f, "panels_size")))
    sizes = [SLOTS.number(f, name) for name in ("entries", "d_sums_stride")]
    padded, kept_rows = SLOTS.number(f, "padded"), SLOTS.number(f, "kept_rows")
    x = f.at(SLOTS.pointer(f, "x"), lanes.dtype, f.mul(entry, SLOTS.number(f, "x_stride")))
    row = f.add(f.mul(entry, kept_rows), SLOTS.number(f, "h_row"))
    h, h_stride = f.at(SLOTS.pointer(f, "kept"), lanes.dtype, f.mul(row, padded)), f.mul(kept_rows, padded)
    # the bias of the sums of x alone comes with the product of x, that of all others with the product of h
    for left, stride, columns, right, bias, target, vectors, bias_vectors in (
        (x, SLOTS.number(f, "x_stride"), SLOTS.number(f, "input_size"), d_sums, SLOTS.pointer(f, "d_bias"), "d_input", x_vectors,
         first_r),
        (h, h_stride, padded, of_r, rest_bias, "d_recurrent", r_vectors, r_vectors),
    ):  # fmt: skip
        first, last = share(f, vectors)
        f.call(
            "outer",
            [left, stride, columns, right, *sizes, first, last, SLOTS.pointer(f, target), bias, bias_vectors, scratch],
        )
    with f.loop(ZERO, SLOTS.number(f, "num_inner")) as number:
        kept_row = f.load("i64", f.at(SLOTS.pointer(f, "inner_rows"), "i64", number), 8)
        own = f.add(f.mul(entry, kept_rows), kept_row)
        operand = f.at(SLOTS.pointer(f, "kept"), lanes.dtype, f.mul(own, padded))
        tiles_of_units = f.binary("sdiv", padded, integer(lanes.width))
        column = f.add(SLOTS.number(f, "vectors"), f.mul(number, tiles_of_units))
        total = f.at(SLOTS.pointer(f, "d_inner"), lanes.dtype, f.mul(number, SLOTS.number(f, "d_inner_size")))
        first, last = share(f, tiles_of_units)
        right = f.at(d_sums, lanes.type, column)
        f.call("outer", [operand, h_stride, padded, right, *sizes, first, last, total, null, ZERO, scratch])
    with f.when(f.make("i1", f"icmp ne {SLOTS.pointer(f, 'd_x')}, {null.text}")):
        first, last = share(f, sizes[0])
        f.call("inner", [f["args"], f.add(entry, first), f.add(entry, last)])
    return f


OUTER = [
    ("ptr", "left"), ("i64", "left_stride"), ("i64", "columns"), ("ptr", "right"), ("i64", "entries"), ("i64", "right_stride"),
    ("i64", "first"), ("i64", "last"), ("ptr", "target"), ("ptr", "bias"), ("i64", "bias_vectors"), ("ptr", "scratch"),
]  # fmt: skip


def outer(tiles: Tiles) -> Function:
    """target[v][k] += Σ left[entry][k] · right[entry][v] for the vectors v in [first, last), block by block of entries."""
    lanes = tiles.lanes
    f = Function("outer", OUTER, "noinline")
    groups = f.binary("sdiv", f.add(f["columns"], integer(tiles.columns - 1)), integer(tiles.columns))
    panel = f.at(f["scratch"], lanes.dtype, f.mul(groups, integer(tiles.columns * PITCH)))
    nothing = f.compare("sge", f["first"], f["last"])
    entries = f.select(nothing, ZERO, f["entries"])
    with f.loop(ZERO, entries, step=BLOCK) as begin:
        left = f.sub(entries, begin)
        block = f.select(f.compare("slt", left, integer(BLOCK)), left, integer(BLOCK))
        source = f.at(f["left"], lanes.dtype, f.mul(begin, f["left_stride"]))
        f.call("pack_left", [source, f["left_stride"], f["columns"], block, f["scratch"]])
        rows = f.at(f["right"], lanes.dtype, f.mul(begin, f["right_stride"]))

        def columns_of(count: int, v: Value, rows: Value = rows, block: Value = block) -> None:
            place = f.at(rows, lanes.type, v)
            bias = f.at(f["bias"], lanes.type, v)
            wanted = f.compare("slt", v, f["bias_vectors"])
            to = f.select(wanted, bias, Value("ptr", "null"))
            f.call(f"pack_right_{count}", [place, f["right_stride"], block, panel, to, f.sub(f["bias_vectors"], v)])
            row_size = f.mul(groups, integer(tiles.columns))
            with f.loop(ZERO, groups) as k:
                ours = f.at(f["scratch"], lanes.dtype, f.mul(k, integer(tiles.columns * PITCH)))
                target = f.at(f["target"], lanes.type, f.add(f.mul(v, row_size), f.mul(k, integer(tiles.columns))))
                f.call(f"outer_tile_{count}", [ours, panel, block, target, row_size])

        emit_groups(f, f.sub(f["last"], f["first"]), VECTORS, columns_of, f["first"])
    return f


def pack_left(tiles: Tiles) -> Function:
    """A block of the left factor as [group of columns][entry][column of the group], zeros beyond the last column."""
    lanes, width = tiles.lanes, tiles.columns
    parameters = [("ptr", "source"), ("i64", "stride"), ("i64", "columns"), ("i64", "entries"), ("ptr", "target")]
    f = Function("pack_left", parameters, "noinline")
    kind = f"<{width} x {lanes.dtype}>"
    whole = f.binary("sdiv", f["columns"], integer(width))
    last = f.mul(whole, integer(width))
    left = f.sub(f["columns"], last)
    with f.loop(ZERO, f["entries"]) as n:
        row = f.at(f["source"], lanes.dtype, f.mul(n, f["stride"]))
        place = f.at(f["target"], kind, n)
        with f.loop(ZERO, whole) as k:
            value = f.load(kind, f.at(row, kind, k), lanes.bytes)
            f.store(value, f.at(place, kind, f.mul(k, integer(PITCH))), lanes.bytes)
        with f.when(f.compare("sgt", left, ZERO)):
            to = f.at(place, kind, f.mul(whole, integer(PITCH)))
            with f.loop(ZERO, integer(width)) as k:
                inside = f.compare("slt", k, left)
                column = f.select(inside, f.add(last, k), ZERO)
                value = f.load(lanes.dtype, f.at(row, lanes.dtype, column), lanes.bytes)
                zero = Value(lanes.dtype, lanes.literal(0.0))
                f.store(f.select(inside, value, zero), f.at(to, lanes.dtype, k), lanes.bytes)
    return f


def pack_right(tiles: Tiles, count: int) -> Function:
    """`count` vectors of each entry, one entry below the other; their sums are added to the gradient of the bias if wanted."""
    lanes = tiles.lanes
    parameters = [("ptr", "source"), ("i64", "stride"), ("i64", "entries"), ("ptr", "panel"), ("ptr", "bias"), ("i64", "wanted")]
    f = Function(f"pack_right_{count}", parameters, "noinline")
    arithmetic = Arithmetic(f, lanes)
    sums = [f.variable(lanes.type, lanes.constant(0.0)) for _ in range(count)]
    with f.loop(ZERO, f["entries"]) as n:
        row = f.at(f["source"], lanes.dtype, f.mul(n, f["stride"]))
        first = f.mul(n, integer(count))
        for v in range(count):
            value = f.load(lanes.type, f.at(row, lanes.type, integer(v)), lanes.bytes)
            f.store(value, f.at(f["panel"], lanes.type, f.add(first, integer(v))), lanes.bytes)
            f.set(sums[v], arithmetic.add(f.get(lanes.type, sums[v]), value))
    with f.when(f.make("i1", f"icmp ne {f['bias']}, null")):
        for v in range(count):
            with f.when(f.compare("sgt", f["wanted"], integer(v))):
                place = f.at(f["bias"], lanes.type, integer(v))
                total = arithmetic.add(f.load(lanes.type, place, lanes.bytes), f.get(lanes.type, sums[v]))
                f.store(total, place, lanes.bytes)
    return f


def outer_tile(tiles: Tiles, count: int) -> Function:
    """`count` vectors × one group of columns: the sum over the block's entries is added to the target."""
    lanes, columns = tiles.lanes, tiles.columns
    parameters = [("ptr", "left"), ("ptr", "panel"), ("i64", "entries"), ("ptr", "target"), ("i64", "row_size")]
    f = Function(f"outer_tile_{count}", parameters, "noinline")
    places = [
        [f.at(f["target"], lanes.type, f.add(f.mul(integer(v), f["row_size"]), integer(k))) for v in range(count)]
        for k in range(columns)
    ]
    sums = [[f.variable(lanes.type, f.load(lanes.type, place, lanes.bytes)) for place in row] for row in places]
    factors = [f.at(f["left"], lanes.dtype, integer(k)) for k in range(columns)]
    accumulate(f, lanes, f["panel"], f["entries"], factors, sums, spacing=columns)
    for place_row, sum_row in zip(places, sums, strict=True):
        for place, total in zip(place_row, sum_row, strict=True):
            f.store(f.get(lanes.type, total), place, lanes.bytes)
    return f


def inner(tiles: Tiles) -> Function:
    """d_x of the entries [first, last), block by block of the sums' columns."""
    lanes = tiles.lanes
    f = Function("inner", [("ptr", "args"), ("i64", "first"), ("i64", "last")], "noinline")
    width = integer(tiles.vectors * lanes.width)
    size = f.mul(SLOTS.number(f, "x_vectors"), integer(lanes.width))
    columns = f.binary("sdiv", f.add(SLOTS.number(f, "input_size"), f.sub(width, integer(1))), width)
    with f.loop(ZERO, size, step=BLOCK) as begin, f.loop(ZERO, columns) as c:
        emit_groups(
            f,
            f.sub(f["last"], f["first"]),
            tiles.rows,
            lambda rows, entry: f.call(f"inner_tile_{rows}", [f["args"], entry, begin, c]),
            f["first"],
        )
    return f


def inner_tile(tiles: Tiles, rows: int) -> Function:
    """`rows` entries × a few vectors of d_x, over one block of the sums' columns: added to what earlier blocks gave."""
    lanes = tiles.lanes
    f = Function(f"inner_tile_{rows}", [("ptr", "args"), ("i64", "entry"), ("i64", "begin"), ("i64", "column")], "noinline")
    size = f.mul(SLOTS.number(f, "x_vectors"), integer(lanes.width))
    left = f.sub(size, f["begin"])
    block = f.select(f.compare("slt", left, integer(BLOCK)), left, integer(BLOCK))
    stride, input_size = SLOTS.number(f, "d_sums_stride"), SLOTS.number(f, "input_size")
    inputs, targets = [], []
    for r in range(rows):
        entry = f.add(f["entry"], integer(r))
        inputs.append(f.at(SLOTS.pointer(f, "d_sums"), lanes.dtype, f.add(f.mul(entry, stride), f["begin"])))
        targets.append(f.at(SLOTS.pointer(f, "d_x"), lanes.dtype, f.mul(entry, SLOTS.number(f, "x_stride"))))
    firsts = [
        f.mul(f.add(f.mul(f["column"], integer(tiles.vectors)), integer(v)), integer(lanes.width)) for v in range(tiles.vectors)
    ]
    sums = [[f.variable(lanes.type, lanes.constant(0.0)) for _ in firsts] for _ in targets]
    with f.when(f.compare("sgt", f["begin"], ZERO)):
        for target, row_sums in zip(targets, sums, strict=True):
            for first, variable in zip(firsts, row_sums, strict=True):
                f.set(variable, load_tail(f, lanes, target, first, input_size))
    tile_size = f.mul(size, integer(tiles.vectors))
    place = f.add(f.mul(f["column"], tile_size), f.mul(f["begin"], integer(tiles.vectors)))
    accumulate(f, lanes, f.at(SLOTS.pointer(f, "x_back_weights"), lanes.type, place), block, inputs, sums)
    for target, row_sums in zip(targets, sums, strict=True):
        for first, variable in zip(firsts, row_sums, strict=True):
            f.call("put", [f.get(lanes.type, variable), target, first, input_size])
    return f


def put(tiles: Tiles) -> Function:
    """A vector into a row of `size` numbers."""
    f = Function("put", [(tiles.lanes.type, "value"), ("ptr", "row"), ("i64", "first"), ("i64", "size")], "noinline")
    store_tail(f, tiles.lanes, f["value"], f["row"], f["first"], f["size"])
    return f
