"""The text of one kernel's LLVM module: its functions, and the entry points that run all parts in parallel or one by one."""

from typing import Literal

from gatework.engine.cpu.arithmetic import Lanes
from gatework.engine.cpu.backward import backward_functions
from gatework.engine.cpu.forward import forward_functions
from gatework.engine.cpu.frame import Frame, barrier
from gatework.engine.cpu.ir import Function, Value, integer
from gatework.engine.cpu.machine import Machine
from gatework.engine.cpu.prepare import ENTRIES, prepare_functions
from gatework.engine.cpu.products import SLOTS, Tiles, products_functions
from gatework.engine.cpu.program import Program, program_of
from gatework.engine.cpu.tile import forward_rows

Kind = Literal["inference", "training", "backward"]

OPENMP = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")


def make_frame(program: Program, machine: Machine, dtype: str, kind: Kind) -> Frame:
    """The kernel's fixed choices."""
    # backward tiles hold two vectors of weights and pass the rows' factors through one register
    back_vectors, back_rows = 2, 10 if machine.num_registers >= 32 else 6
    rows = forward_rows(program, machine.num_registers)
    return Frame(program, Lanes(machine, dtype), kind == "training", rows, back_rows, back_vectors)


def entry_name(kind: Kind) -> str:
    """The function that computes one part."""
    return "backward" if kind == "backward" else "forward"


def module_text(text: str, machine: Machine, dtype: str, kind: Kind) -> str:
    """text: the cell's canonical text. dtype: `float` or `double`. Entry points: `start(args, threads)` and `alone(args)`."""
    frame = make_frame(program_of(text), machine, dtype, kind)
    is_backward = kind == "backward"
    functions = [*prepare_functions(frame, is_backward), *(backward_functions if is_backward else forward_functions)(frame)]
    once = ENTRIES["backward" if is_backward else "forward"]
    return whole_text(frame.lanes, [barrier(frame), *functions], entry_name(kind), parts=True, once=once)


def products_text(machine: Machine, dtype: str) -> str:
    """The module of the large products: the same entry points."""
    tiles = Tiles.of(machine, dtype)
    return whole_text(tiles.lanes, products_functions(tiles), "products", parts=False)


def whole_text(lanes: Lanes, functions: list[Function], entry: str, parts: bool, once: tuple[str, ...] = ()) -> str:
    """A module: what comes from outside, its functions, the entry points around `entry`. parts: whether it has parts, or all
    threads always share the work. once: functions that get entry points `start_NAME` and `alone_NAME`, too.
    """
    texts = [str(function) for function in functions]
    own = [region(entry, parts), start("start", "region"), alone(entry, parts)]
    return "\n".join([*declarations(lanes), *texts, *own, *(text for name in once for text in once_texts(name))])


def once_texts(name: str) -> list[str]:
    """Entry points around a function in which every thread has a share."""
    shared, single = Function(f"region_{name}", [("ptr", "args")]), Function(f"alone_{name}", [("ptr", "args")], linkage="")
    shared.call(name, [shared["args"], *who(shared)])
    single.call(name, [single["args"], integer(0), integer(1)])
    return [str(shared), start(f"start_{name}", f"region_{name}"), str(single)]


def who(f: Function) -> tuple[Value, Value]:
    """(Which thread it is, how many there are) in a parallel region."""
    calls = ("omp_get_thread_num", "omp_get_num_threads")
    thread, threads = (f.make("i64", f"sext {f.make('i32', f'call i32 @{call}()')} to i64") for call in calls)
    return thread, threads


def declarations(lanes: Lanes) -> list[str]:
    """What comes from outside: OpenMP, and LLVM's vector functions."""
    suffix, vector = f"v{lanes.width}f{8 * lanes.bytes}", lanes.type
    unary = [f"declare {vector} @llvm.{name}.{suffix}({vector})" for name in ("sqrt", "floor", "log")]
    return [
        "declare void @GOMP_parallel(ptr, ptr, i32, i32)",
        "declare i32 @omp_get_thread_num()",
        "declare i32 @omp_get_num_threads()",
        "declare i32 @sched_yield()",
        "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)",
        "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)",
        *([f"declare {lanes.machine.pause.removeprefix('call ')}"] if lanes.machine.pause else []),
        f"declare {lanes.dtype} @llvm.vector.reduce.fadd.{suffix}({lanes.dtype}, {vector})",
        f"declare {vector} @llvm.fma.{suffix}({vector}, {vector}, {vector})",
        *unary,
    ]


def region(entry: str, parts: bool) -> str:
    """What each thread of a parallel region does: every so many parts, or, of a team, its share of the only part. Right for any
    number of threads that OpenMP grants.
    """
    f = Function("region", [("ptr", "args")])
    thread, threads = who(f)
    if not parts:
        f.call(entry, [f["args"], integer(0), thread, threads])
        return str(f)
    count, is_team = (SLOTS.number(f, name) for name in ("parts", "is_team"))
    together = f.compare("ne", is_team, integer(0))
    with f.when(together):
        f.call(entry, [f["args"], integer(0), thread, threads])
    with f.loop(f.select(together, count, thread), count, step=threads) as part:
        f.call(entry, [f["args"], part, integer(0), integer(1)])
    return str(f)


def start(name: str, region: str) -> str:
    """A region in torch's own OpenMP pool."""
    f = Function(name, [("ptr", "args"), ("i32", "threads")], linkage="")
    f.do(f"call void @GOMP_parallel(ptr @{region}, ptr %args, i32 %threads, i32 0)")
    return str(f)


def alone(entry: str, parts: bool) -> str:
    """All parts one by one on the calling thread."""
    f = Function("alone", [("ptr", "args")], linkage="")
    with f.loop(integer(0), SLOTS.number(f, "parts") if parts else integer(1)) as part:
        f.call(entry, [f["args"], part, integer(0), integer(1)])
    return str(f)
