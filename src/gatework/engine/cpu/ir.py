"""LLVM's text, written with names instead of strings: values, loops, branches. No optimisation here; mem2reg cleans up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Value:
    """An SSA value or constant and its LLVM type."""

    type: str
    text: str

    def __str__(self) -> str:
        return f"{self.type} {self.text}"


def integer(value: int) -> Value:
    """A 64-bit constant: every index is 64 bits wide."""
    return Value("i64", str(value))


class Function:
    """One function under construction; its text is `str(function)`."""

    def __init__(self, name: str, parameters: list[tuple[str, str]], attributes: str = "", linkage: str = "internal"):
        self.name = name
        self.signature = (
            f"{linkage} void @{name}({', '.join(f'{kind} %{word}' for kind, word in parameters)}) {attributes}".strip()
        )
        self.parameters = {word: Value(kind, f"%{word}") for kind, word in parameters}
        self._allocas: list[str] = []
        self._once: dict[str, Value] = {}
        self._lines: list[str] = []
        self._count = 0

    def __str__(self) -> str:
        body = "\n".join(["prologue:", *self._allocas, "  br label %body0", "body0:", *self._lines, "  ret void"])
        return f"define {self.signature} {{\n{body}\n}}\n"

    def __getitem__(self, parameter: str) -> Value:
        return self.parameters[parameter]

    def fresh(self, prefix: str = "v") -> str:
        """A name that is not used yet."""
        self._count += 1
        return f"{prefix}{self._count}"

    def do(self, text: str) -> None:
        """An instruction without a result."""
        self._lines.append(f"  {text}")

    def make(self, kind: str, text: str) -> Value:
        """An instruction with a result of this type."""
        name = f"%{self.fresh()}"
        self._lines.append(f"  {name} = {text}")
        return Value(kind, name)

    # --- arithmetic

    def binary(self, operation: str, a: Value, b: Value) -> Value:
        """add, sub, mul, udiv, urem, and, shl, fadd, fsub, fmul, fdiv, …"""
        return self.make(a.type, f"{operation} {a}, {b.text}")

    def add(self, a: Value, b: Value) -> Value:
        return self.binary("add", a, b)

    def sub(self, a: Value, b: Value) -> Value:
        return self.binary("sub", a, b)

    def mul(self, a: Value, b: Value) -> Value:
        return self.binary("mul", a, b)

    def compare(self, how: str, a: Value, b: Value) -> Value:
        """icmp: eq, ne, slt, sle, sgt, sge."""
        return self.make("i1", f"icmp {how} {a}, {b.text}")

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        return self.make(a.type, f"select {condition}, {a}, {b}")

    def splat(self, width: int, a: Value) -> Value:
        """A scalar in every lane."""
        kind = f"<{width} x {a.type}>"
        one = self.make(kind, f"insertelement {kind} poison, {a}, i64 0")
        return self.make(kind, f"shufflevector {one}, {kind} poison, <{width} x i32> zeroinitializer")

    def select_lanes(self, width: int, count: Value, a: Value, b: Value) -> Value:
        """a in the first `count` lanes, b in the others; count may be larger than the width."""
        numbers = ", ".join(f"i64 {i}" for i in range(width))
        limit = self.splat(width, count)
        mask = self.make(f"<{width} x i1>", f"icmp slt <{width} x i64> <{numbers}>, {limit.text}")
        return self.make(a.type, f"select {mask}, {a}, {b}")

    # --- memory

    def once(self, key: str, kind: str, make: Callable[["Function"], str]) -> Value:
        """A value that is computed at the beginning of the function, once however often it is asked for; make: its
        instruction.
        """
        if key not in self._once:
            inner = self._lines
            self._lines = self._allocas
            self._once[key] = self.make(kind, make(self))
            self._lines = inner
        return self._once[key]

    def variable(self, kind: str, initial: Value | None = None) -> Value:
        """A local that can be assigned; mem2reg turns it into registers."""
        name = f"%{self.fresh('var')}"
        self._allocas.append(f"  {name} = alloca {kind}")
        pointer = Value("ptr", name)
        if initial is not None:
            self.do(f"store {initial}, {pointer}")
        return pointer

    def get(self, kind: str, variable: Value) -> Value:
        return self.make(kind, f"load {kind}, {variable}")

    def set(self, variable: Value, value: Value) -> None:
        self.do(f"store {value}, {variable}")

    def at(self, pointer: Value, element: str, index: Value) -> Value:
        """The address of an element."""
        return self.make("ptr", f"getelementptr inbounds {element}, {pointer}, {index}")

    def load(self, kind: str, pointer: Value, align: int) -> Value:
        return self.make(kind, f"load {kind}, {pointer}, align {align}")

    def store(self, value: Value, pointer: Value, align: int) -> None:
        self.do(f"store {value}, {pointer}, align {align}")

    # --- control

    def call(self, name: str, arguments: list[Value]) -> None:
        self.do(f"call void @{name}({', '.join(str(argument) for argument in arguments)})")

    def label(self, name: str) -> None:
        self._lines.append(f"{name}:")

    @contextmanager
    def loop(self, start: Value, stop: Value, step: "int | Value" = 1) -> Iterator[Value]:
        """for index in range(start, stop, step); zero trips when start >= stop. step: positive, or −1 for while index > stop."""
        counter = self.variable("i64", start)
        head, body, done = (self.fresh(word) for word in ("head", "body", "done"))
        self.do(f"br label %{head}")
        self.label(head)
        index = self.get("i64", counter)
        inside = self.compare("sgt" if step == -1 else "slt", index, stop)
        self.do(f"br {inside}, label %{body}, label %{done}")
        self.label(body)
        yield index
        self.set(counter, self.add(index, step if isinstance(step, Value) else integer(step)))
        self.do(f"br label %{head}")
        self.label(done)

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """if condition: …"""
        then, done = self.fresh("then"), self.fresh("endif")
        self.do(f"br {condition}, label %{then}, label %{done}")
        self.label(then)
        yield
        self.do(f"br label %{done}")
        self.label(done)
