"""Arithmetic on one vector of units: the machine's vector type, and every function of the cell language on it.

No fast-math flags: NaN and infinity go where the equations send them. Errors in units in the last place, measured over the whole
range: see
`tests/test_cpu_functions.py`.
"""

import math
import struct
from dataclasses import dataclass

from gatework.engine.cpu.ir import Function, Value
from gatework.engine.cpu.machine import Machine


@dataclass(frozen=True)
class Lanes:
    """A vector of `width` numbers of one type on a machine."""

    machine: Machine
    dtype: str

    @property
    def bytes(self) -> int:
        """Of one number."""
        return 4 if self.dtype == "float" else 8

    @property
    def width(self) -> int:
        return self.machine.vector_bytes // self.bytes

    @property
    def type(self) -> str:
        return f"<{self.width} x {self.dtype}>"

    @property
    def int_type(self) -> str:
        return f"<{self.width} x i{8 * self.bytes}>"

    def literal(self, value: float) -> str:
        """A number of this type as LLVM writes it: the bits of a double, rounded to float first where needed."""
        if self.dtype == "float":
            value = struct.unpack("f", struct.pack("f", value))[0]
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"

    def constant(self, value: float) -> Value:
        """The same number in every lane."""
        return Value(self.type, f"splat ({self.dtype} {self.literal(value)})")

    def int_constant(self, value: int) -> Value:
        return Value(self.int_type, f"splat (i{8 * self.bytes} {value})")


class Arithmetic:
    """The cell language's functions, emitted into one function."""

    def __init__(self, function: Function, lanes: Lanes):
        self.f = function
        self.lanes = lanes

    def op(self, operation: str, a: Value, b: Value) -> Value:
        return self.f.binary(operation, a, b)

    def add(self, a: Value, b: Value) -> Value:
        return self.op("fadd", a, b)

    def sub(self, a: Value, b: Value) -> Value:
        return self.op("fsub", a, b)

    def mul(self, a: Value, b: Value) -> Value:
        return self.op("fmul", a, b)

    def div(self, a: Value, b: Value) -> Value:
        return self.op("fdiv", a, b)

    def neg(self, a: Value) -> Value:
        return self.f.make(a.type, f"fneg {a}")

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """a · b + c, rounded once where the machine can; never left to the optimiser, so the same in every tile."""
        if not self.lanes.machine.has_fma:
            return self.add(self.mul(a, b), c)
        suffix = f"v{self.lanes.width}f{8 * self.lanes.bytes}"
        return self.f.make(a.type, f"call {a.type} @llvm.fma.{suffix}({a}, {b}, {c})")

    def less(self, a: Value, b: Value) -> Value:
        return self.f.make(f"<{self.lanes.width} x i1>", f"fcmp olt {a}, {b.text}")

    def equal(self, a: Value, b: Value) -> Value:
        return self.f.make(f"<{self.lanes.width} x i1>", f"fcmp oeq {a}, {b.text}")

    def where(self, condition: Value, a: Value, b: Value) -> Value:
        return self.f.make(a.type, f"select {condition}, {a}, {b}")

    def at_most(self, a: Value, bound: float) -> Value:
        """min(a, bound) that lets NaN through."""
        limit = self.lanes.constant(bound)
        return self.where(self.less(limit, a), limit, a)

    def at_least(self, a: Value, bound: float) -> Value:
        """max(a, bound) that lets NaN through."""
        limit = self.lanes.constant(bound)
        return self.where(self.less(a, limit), limit, a)

    def unary(self, name: str, a: Value) -> Value:
        suffix = f"v{self.lanes.width}f{8 * self.lanes.bytes}"
        return self.f.make(a.type, f"call {a.type} @llvm.{name}.{suffix}({a})")

    def sqrt(self, a: Value) -> Value:
        return self.unary("sqrt", a)

    def floor(self, a: Value) -> Value:
        return self.unary("floor", a)

    def minimum(self, a: Value, b: Value) -> Value:
        """NaN when either is, as torch.minimum."""
        smaller = self.where(self.less(a, b), a, b)
        return self.where(self._is_nan(a), a, smaller)

    def maximum(self, a: Value, b: Value) -> Value:
        """NaN when either is, as torch.maximum."""
        larger = self.where(self.less(b, a), a, b)
        return self.where(self._is_nan(a), a, larger)

    def _is_nan(self, a: Value) -> Value:
        return self.f.make(f"<{self.lanes.width} x i1>", f"fcmp uno {a}, {a.text}")

    def relu(self, a: Value) -> Value:
        return self.at_least(a, 0.0)

    def sigmoid(self, a: Value) -> Value:
        """1 / (1 + exp(-a)); below the normal numbers (a < -87 in float) it stays at the smallest instead of going on to 0."""
        one = self.lanes.constant(1.0)
        return self.div(one, self.add(one, self._normal_exp(self.neg(a))))

    def _normal_exp(self, a: Value) -> Value:
        """exp(a), held within the normal numbers."""
        low, high = (-87.0, 88.0) if self.lanes.dtype == "float" else (-708.0, 709.0)
        rest, power = self._reduced(self.at_least(self.at_most(a, high), low))
        scale = self._two_to(power)
        return self.fma(scale, self._expm1_near_zero(rest), scale)

    def exp(self, a: Value) -> Value:
        """exp(a), from 0 through the denormal numbers to infinity: the power of two is multiplied in in two halves."""
        low, high = (-104.0, 89.0) if self.lanes.dtype == "float" else (-746.0, 710.0)
        rest, power = self._reduced(self.at_least(self.at_most(a, high), low))
        shift = self.lanes.constant(self._shift)
        n = self.sub(power, shift)
        to_integer = self.lanes.constant(1.5 * 2.0**self._bits)
        half = self.sub(self.fma(n, self.lanes.constant(0.5), to_integer), to_integer)
        first, second = self._two_to(self.add(half, shift)), self._two_to(self.add(self.sub(n, half), shift))
        return self.mul(self.fma(first, self._expm1_near_zero(rest), first), second)

    def tanh(self, a: Value) -> Value:
        """(exp(2a) - 1) / (exp(2a) + 1) with exp(2a) - 1 computed as such, so that it is right near 0, too."""
        bound = 20.0 if self.lanes.dtype == "float" else 44.0
        doubled = self.add(a, a)
        rest, power = self._reduced(self.at_least(self.at_most(doubled, bound), -bound))
        scale = self._two_to(power)
        minus_one = self.fma(scale, self._expm1_near_zero(rest), self.sub(scale, self.lanes.constant(1.0)))
        return self.div(minus_one, self.add(minus_one, self.lanes.constant(2.0)))

    @property
    def _bits(self) -> int:
        """Of the fraction."""
        return 23 if self.lanes.dtype == "float" else 52

    @property
    def _shift(self) -> float:
        """A number so large that adding it rounds to an integer, which then stands in the low bits, plus the exponent's bias."""
        return 1.5 * 2.0**self._bits + (127 if self.lanes.dtype == "float" else 1023)

    def _reduced(self, a: Value) -> tuple[Value, Value]:
        """a = n · ln 2 + rest, n the nearest integer: (rest, n + shift)."""
        float32 = self.lanes.dtype == "float"
        shift = self.lanes.constant(self._shift)
        power = self.fma(a, self.lanes.constant(math.log2(math.e)), shift)
        n = self.sub(power, shift)
        # ln 2 in two parts: n · high is exact
        high = 0.693145751953125 if float32 else 0.6931471803691238
        low = 1.42860682030941723212e-6 if float32 else 1.9082149292705877e-10
        rest = self.fma(n, self.lanes.constant(-high), a)
        return self.fma(n, self.lanes.constant(-low), rest), power

    def _two_to(self, power: Value) -> Value:
        """2ⁿ from n + shift: the low bits become the exponent."""
        as_int = self.f.make(self.lanes.int_type, f"bitcast {power} to {self.lanes.int_type}")
        exponent = self.f.binary("shl", as_int, self.lanes.int_constant(self._bits))
        return self.f.make(self.lanes.type, f"bitcast {exponent} to {self.lanes.type}")

    def _expm1_near_zero(self, a: Value) -> Value:
        """exp(a) - 1 for |a| ≤ ln 2 / 2 by Taylor's series: its remainder is below a tenth of a unit in the last place."""
        terms = 7 if self.lanes.dtype == "float" else 13
        square = self.mul(a, a)
        # two terms at a time: half as long a chain of additions that wait for each other
        pairs = [
            self.fma(a, self.lanes.constant(1.0 / math.factorial(k + 1)), self.lanes.constant(1.0 / math.factorial(k)))
            for k in range(2, terms, 2)
        ]
        series = pairs.pop()
        while pairs:
            series = self.fma(series, square, pairs.pop())
        return self.fma(square, series, a)

    def log(self, a: Value) -> Value:
        """Through the intrinsic: rare in cells, exact everywhere."""
        return self.unary("log", a)

    def log1p(self, a: Value) -> Value:
        """log(1 + a), right near 0, too: log(u) · a / (u − 1) with u = 1 + a rounded undoes the rounding (Goldberg
        1991, theorem 4).
        """
        one = self.lanes.constant(1.0)
        u = self.add(one, a)
        quotient = self.div(self.mul(self.log(u), a), self.sub(u, one))
        is_tiny = self.f.make(f"<{self.lanes.width} x i1>", f"fcmp oeq {u}, {one.text}")
        is_infinite = self.f.make(f"<{self.lanes.width} x i1>", f"fcmp oeq {u}, {a.text}")
        return self.where(is_tiny, a, self.where(is_infinite, self.log(u), quotient))
