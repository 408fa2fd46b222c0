"""What a kernel is called with: one array of 64-bit slots, each a pointer or a number, found by name."""

from dataclasses import dataclass
from functools import cached_property

from gatework.engine.cpu.arithmetic import Lanes
from gatework.engine.cpu.ir import Function, Value

COMMON = (
    "parts", "is_team", "barrier", "units", "padded", "input_size", "x", "x_stride", "kept", "kept_rows", "h_row", "d_sums",
    "d_sums_stride", "first_entry", "entries", "vectors", "x_vectors", "first_r_vector", "d_input", "d_recurrent", "d_bias",
    "d_x", "x_back_weights", "panels", "panels_size",
    "num_inner", "inner_rows", "d_inner", "d_inner_size",
)  # fmt: skip
"""The first slots of every kernel, so that the large products run on the arguments of whichever cell."""


@dataclass(frozen=True)
class Slots:
    """The names of all slots, in order. A kernel's functions take the array as their parameter `args`."""

    names: tuple[str, ...]

    @cached_property
    def places(self) -> dict[str, int]:
        """The index of each slot."""
        return {name: number for number, name in enumerate(self.names)}

    def number(self, f: Function, name: str) -> Value:
        """A number among the arguments."""
        return self._argument(f, "i64", name)

    def pointer(self, f: Function, name: str) -> Value:
        """A pointer among the arguments."""
        return self._argument(f, "ptr", name)

    def _argument(self, f: Function, kind: str, name: str) -> Value:
        offset = 8 * self.places[name]
        address = f.once(f"address of {name}", "ptr", lambda g: f"getelementptr i8, {g['args']}, i64 {offset}")
        return f.once(name, kind, lambda g: f"load {kind}, {address}, align 8")


def load_tail(f: Function, lanes: Lanes, row: Value, first: Value, size: Value) -> Value:
    """The vector at `first` of a row of exactly `size` numbers, zeros beyond."""
    left = f.sub(size, first)
    result = f.variable(lanes.type, lanes.constant(0.0))
    whole, part, done = f.fresh("whole"), f.fresh("tail"), f.fresh("loaded")
    f.do(f"br {f.compare('sge', left, Value('i64', str(lanes.width)))}, label %{whole}, label %{part}")
    f.label(whole)
    f.set(result, f.load(lanes.type, f.at(row, lanes.dtype, first), lanes.bytes))
    f.do(f"br label %{done}")
    f.label(part)
    with f.loop(Value("i64", "0"), left) as k:
        item = f.load(lanes.dtype, f.at(row, lanes.dtype, f.add(first, k)), lanes.bytes)
        f.set(result, f.make(lanes.type, f"insertelement {f.get(lanes.type, result)}, {item}, {k}"))
    f.do(f"br label %{done}")
    f.label(done)
    return f.get(lanes.type, result)


def store_tail(f: Function, lanes: Lanes, value: Value, row: Value, first: Value, size: Value) -> None:
    """A vector to `first` of a row of exactly `size` numbers: whole where it fits, lane by lane at the end."""
    left = f.sub(size, first)
    whole, part, done = f.fresh("whole"), f.fresh("tail"), f.fresh("stored")
    f.do(f"br {f.compare('sge', left, Value('i64', str(lanes.width)))}, label %{whole}, label %{part}")
    f.label(whole)
    f.store(value, f.at(row, lanes.dtype, first), lanes.bytes)
    f.do(f"br label %{done}")
    f.label(part)
    with f.loop(Value("i64", "0"), left) as k:
        item = f.make(lanes.dtype, f"extractelement {value}, {k}")
        f.store(item, f.at(row, lanes.dtype, f.add(first, k)), lanes.bytes)
    f.do(f"br label %{done}")
    f.label(done)
