"""The inner loops stay in registers: a tile that puts vectors onto the stack is slower, and nothing else shows it."""

import platform
import re

import llvmlite.binding as llvm
import pytest

from gatework.cells import CELLS
from gatework.cells.equations import canonical_text
from gatework.engine.cpu import compile as compiler
from gatework.engine.cpu.machine import Machine
from gatework.engine.cpu.module import Kind, module_text, products_text

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="LLVM here makes no code for x86-64")

AVX2 = Machine("avx2", "x86-64-v3", "", 32, 16, True)
AVX512 = Machine("avx512", "skylake-avx512", "-prefer-256-bit", 64, 32, True)
ON_STACK = re.compile(r"mov\S+\s+(?:\S*\(%rsp\), %[yz]mm|%[yz]mm\d+, \S*\(%rsp\))")


def text_of(cell: str, kind: Kind, machine: Machine) -> str:
    return module_text(canonical_text(CELLS[cell]), machine, "float", kind) if cell else products_text(machine, "float")


def tiles(cell: str, kind: Kind, machine: Machine) -> dict[str, str]:
    """The assembly of each tile by name; no cell: of the large products."""
    compiler.openmp_is_there()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=machine.cpu, features=machine.features, opt=3, codemodel="jitdefault", jit=True
    )
    code = compiler._compile(text_of(cell, kind, machine), target, as_text=True)
    # inner tiles write the end of a row number by number, by way of the stack, after their loop
    functions = re.findall(r"^((?:forward|backward|outer)_tile_\d+):(.*?)^\.Lfunc_end", code.decode(), re.DOTALL | re.MULTILINE)
    return dict(functions)


@pytest.mark.parametrize("machine", [AVX2, AVX512], ids=lambda machine: machine.name)
@pytest.mark.parametrize(("cell", "kind"), [("lstm", "inference"), ("gru", "inference"), ("lstm", "backward"), ("", "backward")])
def test_no_vector_of_a_tile_goes_onto_the_stack(cell: str, kind: Kind, machine: Machine) -> None:
    found = tiles(cell, kind, machine)
    assert found
    assert all("vfmadd" in code for code in found.values())
    assert not {name: ON_STACK.findall(code) for name, code in found.items() if ON_STACK.search(code)}
