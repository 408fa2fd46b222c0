"""From a module's text to machine code, once per process and once per machine.

Object code is kept on disk, keyed by everything that it depends on: the cell's text, number type, kind of kernel, processor,
LLVM, and the source of this
folder. The folder can be written by its owner only; anything else, or a damaged entry, and the kernel is compiled again.
"""

import contextlib
import ctypes
import hashlib
import os
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
import torch

from gatework.engine.cpu.frame import Frame
from gatework.engine.cpu.machine import Machine
from gatework.engine.cpu.module import OPENMP, Kind, make_frame, module_text, products_text
from gatework.engine.cpu.prepare import ENTRIES
from gatework.engine.cpu.products import Tiles
from gatework.engine.cpu.program import program_of

Start = Callable[[int, int], None]
Alone = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Entry:
    """An entry point. start(address of the arguments, threads): in torch's pool, None where there is none. alone(address): on the
    calling thread.
    """

    start: Start | None
    alone: Alone


@dataclass(frozen=True, eq=False)
class Code(Entry):
    """Compiled code; itself the entry point that computes all parts. once: the others by name, called once for all parts."""

    once: Mapping[str, Entry]
    engine: llvm.ExecutionEngine


@dataclass(frozen=True, eq=False)
class Kernel:
    """One kind of kernel of one cell."""

    frame: Frame
    code: Code


@dataclass(frozen=True, eq=False)
class Products:
    """The large products of the backward pass, the same for all cells."""

    tiles: Tiles
    code: Code


_lock = threading.Lock()
_kernels: dict[tuple[str, str, Kind, Machine], Kernel] = {}
_products: dict[tuple[str, Machine], Products] = {}


def kernel(text: str, dtype: torch.dtype, kind: Kind, machine: Machine) -> Kernel:
    """The kernel of a cell's canonical text; compiled at the first call. Safe to call from several threads."""
    key = (text, word(dtype), kind, machine)
    found = _kernels.get(key)
    if found is None:
        with _lock:
            found = _kernels.get(key)
            if found is None:
                found = _kernels[key] = _make(*key)
    return found


def products(dtype: torch.dtype, machine: Machine) -> Products:
    """The large products for a type of number; compiled at the first call. Safe to call from several threads."""
    key = (word(dtype), machine)
    found = _products.get(key)
    if found is None:
        with _lock:
            found = _products.get(key)
            if found is None:
                code = _build("", *key[:1], "products", machine, lambda: products_text(machine, key[0]), ())
                found = _products[key] = Products(Tiles.of(machine, key[0]), code)
    return found


def word(dtype: torch.dtype) -> str:
    """LLVM's word for a type of number."""
    return "float" if dtype == torch.float32 else "double"


def _make(text: str, dtype: str, kind: Kind, machine: Machine) -> Kernel:
    once = ENTRIES["backward" if kind == "backward" else "forward"]
    code = _build(text, dtype, kind, machine, lambda: module_text(text, machine, dtype, kind), once)
    return Kernel(make_frame(program_of(text), machine, dtype, kind), code)


def _build(text: str, dtype: str, kind: str, machine: Machine, source: Callable[[], str], once: tuple[str, ...]) -> Code:
    """From the disk, or compiled and written there. source: makes the module's text. once: further entry points."""
    has_pool = openmp_is_there()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=machine.cpu, features=machine.features, opt=3, codemodel="jitdefault", jit=True
    )
    name = _cache_key(text, dtype, kind, machine)
    code = _read_cache(name)
    if code is None:
        code = _compile(source(), target)
        _write_cache(name, code)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    others = {name: Entry(*entry_points(engine, f"_{name}", has_pool)) for name in once}
    return Code(*entry_points(engine, "", has_pool), others, engine)


def entry_points(engine: llvm.ExecutionEngine, suffix: str, has_pool: bool) -> tuple[Start | None, Alone]:
    """`start` and `alone` of a name."""
    start = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32)
    alone = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.get_function_address(f"alone{suffix}"))
    return start(engine.get_function_address(f"start{suffix}")) if has_pool else None, alone


def _compile(text: str, target: llvm.TargetMachine, as_text: bool = False) -> bytes:
    """An object file, or the assembly."""
    module = llvm.parse_assembly(text)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    # the code is vectors already; unrolling the k loop would spill accumulators out of the registers
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    builder = llvm.create_pass_builder(target, options)
    builder.getModulePassManager().run(module, builder)
    return target.emit_assembly(module).encode() if as_text else bytes(target.emit_object(module))


@lru_cache
def openmp_is_there() -> bool:
    """Make torch's OpenMP known to LLVM; False where torch is built without GNU OpenMP (macOS, Windows).

    The symbols are found through the handle of libtorch_cpu, so that kernels run in the pool that torch's own operations run in.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    path = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        library = ctypes.CDLL(str(path))
        addresses = {name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in OPENMP}
    except (OSError, AttributeError):
        nowhere = ctypes.cast(_no_pool, ctypes.c_void_p).value
        addresses = dict.fromkeys(OPENMP, nowhere)
        found = False
    else:
        found = True
    # where nothing gives the processor away, a waiting thread just spins
    addresses["sched_yield"] = ctypes.cast(getattr(ctypes.CDLL(None), "sched_yield", _no_pool), ctypes.c_void_p).value
    for name, address in addresses.items():
        llvm.add_symbol(name, address)
    return found


def _nothing() -> None:
    """Stands where OpenMP would be; `start` is never called there."""


_no_pool = ctypes.CFUNCTYPE(None)(_nothing)


@lru_cache
def _source_hash() -> str:
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in [*sorted(here.glob("*.py")), *sorted((here.parent.parent / "cells").glob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _cache_key(text: str, dtype: str, kind: str, machine: Machine) -> str:
    versions = (llvmlite.__version__, str(llvm.llvm_version_info), _source_hash())
    return hashlib.sha256("\0".join((text, dtype, kind, repr(machine), *versions)).encode()).hexdigest()


def cache_folder() -> Path | None:
    """Where kernels are kept, `GATEWORK_CACHE` or the user's cache folder; None when it is switched off
    (`GATEWORK_CACHE=`) or unsafe.
    """
    wanted = os.environ.get("GATEWORK_CACHE")
    if wanted == "":
        return None
    try:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        folder = Path(wanted) if wanted else Path(base) / "gatework" / "kernels"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = folder.stat()
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return None
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        return None
    return folder


def _read_cache(name: str) -> bytes | None:
    folder = cache_folder()
    if folder is None:
        return None
    try:
        data = (folder / f"{name}.kernel").read_bytes()
    except OSError:
        return None
    digest, code = data[:32], data[32:]
    return code if _digest(name, code) == digest else None


def _digest(name: str, code: bytes) -> bytes:
    """Of an entry, its name included: another kernel's code under this name is damage, too."""
    return hashlib.sha256(name.encode() + code).digest()


def _write_cache(name: str, code: bytes) -> None:
    folder = cache_folder()
    if folder is None:
        return
    temporary = folder / f".{name}.{os.getpid()}.{threading.get_ident()}"
    try:
        temporary.write_bytes(_digest(name, code) + code)
        temporary.replace(folder / f"{name}.kernel")
    except OSError:
        # a full disk or a read-only home costs half a second per process, not the result
        with contextlib.suppress(OSError):
            temporary.unlink()
