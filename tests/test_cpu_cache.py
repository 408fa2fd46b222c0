"""Kernels on disk: found by the next process, compiled again where damaged, kept only where nobody else can write."""

import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import llvmlite.binding as llvm
import pytest
import torch
from torch import Tensor

from engine_cases import compiled_results, make_case
from gatework.cells import CELLS
from gatework.cells.equations import canonical_text
from gatework.engine.cpu import compile as compiler
from gatework.engine.cpu import plan as plan_module
from gatework.engine.cpu.machine import Machine, machine
from gatework.engine.cpu.module import module_text
from gatework.errors import ConfigError

CASE = make_case(CELLS["rnn"], lengths=[2, 1], dtype=torch.float32, input_size=2, hidden_size=3)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of its own, and a process that has compiled nothing yet."""
    monkeypatch.setenv("GATEWORK_CACHE", str(tmp_path / "kernels"))
    another_process(monkeypatch)
    yield tmp_path / "kernels"
    assert not list(tmp_path.rglob(".*")), "no temporary file is left"


def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the kernels in memory."""
    monkeypatch.setattr(compiler, "_kernels", {})
    monkeypatch.setattr(compiler, "_products", {})
    plan_module._plan.cache_clear()


def may_not_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise AssertionError("compiled again")

    monkeypatch.setattr(compiler, "_compile", refuse)


@torch.no_grad()
def outputs() -> Tensor:
    return compiled_results(CASE)[0]


RUN = """
import sys, torch
from gatework.layers import RNN
from gatework.engine.cpu import compile as compiler
if sys.argv[1] == "second":
    compiler._compile = None  # a call would fail
torch.manual_seed(0)
print(RNN(2, 3)(torch.ones(2, 1, 2))[0].sum().item())
"""


def test_a_second_process_finds_what_the_first_one_compiled(tmp_path: Path) -> None:
    said = []
    for turn in ("first", "second"):
        environment = os.environ | {"GATEWORK_CACHE": str(tmp_path / "kernels")}
        done = subprocess.run([sys.executable, "-c", RUN, turn], capture_output=True, text=True, env=environment, timeout=60)
        assert done.returncode == 0, done.stderr
        said.append((done.stdout, {path: path.stat().st_mtime_ns for path in tmp_path.glob("kernels/*.kernel")}))
    assert said[0] == said[1]
    assert said[0][1]
    assert (tmp_path / "kernels").stat().st_mode & 0o077 == 0, "a new folder is its owner's alone"


def test_only_what_is_new_is_compiled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = outputs()
    another_process(monkeypatch)
    may_not_compile(monkeypatch)
    assert torch.equal(outputs(), expected)
    with pytest.raises(AssertionError, match="compiled again"):
        compiled_results(CASE)  # a training kernel is another one


def damage_cut(path: Path, other: bytes) -> None:
    path.write_bytes(path.read_bytes()[:100])


def damage_empty(path: Path, other: bytes) -> None:
    path.write_bytes(b"")


def damage_one_byte(path: Path, other: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def damage_swapped(path: Path, other: bytes) -> None:
    path.write_bytes(other)


def damage_folder_in_its_place(path: Path, other: bytes) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = [damage_cut, damage_empty, damage_one_byte, damage_swapped, damage_folder_in_its_place]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_entry_is_compiled_again_and_replaced(damage: object, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = outputs()
    (entry,) = folder.glob("*.kernel")
    whole = entry.read_bytes()
    compiled_results(CASE)
    (other,) = (path for path in folder.glob("*.kernel") if path != entry)
    damage(entry, other.read_bytes())  # type: ignore[operator]
    another_process(monkeypatch)
    assert torch.equal(outputs(), expected)
    if entry.is_file():
        assert entry.read_bytes() == whole


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="this system has no file owners")
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o720, 0o1777])
def test_a_folder_that_others_can_write_is_not_used(mode: int, folder: Path) -> None:
    folder.mkdir()
    folder.chmod(mode)
    assert compiler.cache_folder() is None
    outputs()
    assert not list(folder.iterdir())
    folder.chmod(0o700)
    assert compiler.cache_folder() == folder


def test_an_empty_variable_switches_the_cache_off(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GATEWORK_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert compiler.cache_folder() is None
    outputs()
    assert not list(tmp_path.iterdir())


def test_without_the_variable_the_users_own_cache_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWORK_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiler.cache_folder() == tmp_path / "gatework" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert compiler.cache_folder() == tmp_path / "me" / ".cache" / "gatework" / "kernels"


def no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_where_nothing_can_be_written_kernels_are_compiled_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = outputs()
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GATEWORK_CACHE", str(tmp_path / "file"))
    another_process(monkeypatch)
    assert torch.equal(outputs(), expected)
    monkeypatch.setenv("GATEWORK_CACHE", str(folder))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        patch.setattr(compiler, "_kernels", {})
        for path in folder.glob("*.kernel"):
            path.unlink()
        assert torch.equal(outputs(), expected)
    monkeypatch.delenv("GATEWORK_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert compiler.cache_folder() is None


def test_kernels_of_another_type_kind_machine_or_cell_have_other_names() -> None:
    mine = machine()
    lesser = Machine("lesser", mine.cpu, mine.features, 16, 16, False)
    texts = [canonical_text(CELLS[name]) for name in ("rnn", "gru")]
    keys = {
        compiler._cache_key(text, dtype, kind, target)  # type: ignore[arg-type]
        for text in texts
        for dtype in ("float", "double")
        for kind in ("inference", "training", "backward")
        for target in (mine, lesser)
    }
    assert len(keys) == 24
    assert compiler._cache_key(texts[0], "float", "inference", mine) in keys


def test_one_kernel_is_compiled_once_however_many_threads_ask(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, real = [], compiler._compile

    def counted(*arguments: object) -> bytes:
        compiled.append(arguments)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(compiler, "_compile", counted)
    threads = [threading.Thread(target=outputs) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(compiled) == 1


# --- for which machine


def test_an_unknown_target_and_one_that_this_machine_lacks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWORK_TARGET", "avx3")
    with pytest.raises(ConfigError, match=r"GATEWORK_TARGET is 'avx3'; expected generic, avx2, avx512 or nothing. Correct"):
        machine()
    monkeypatch.setenv("GATEWORK_TARGET", "")
    if machine().name != "avx512":
        monkeypatch.setenv("GATEWORK_TARGET", "avx512")
        with pytest.raises(ConfigError, match="'avx512', which this processor does not have; its best is"):
            machine()


@pytest.mark.parametrize("kind", ["inference", "training", "backward"])
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="LLVM here makes no code for x86-64")
def test_code_for_64_byte_vectors_is_made_where_it_cannot_run(kind: str) -> None:
    compiler.openmp_is_there()
    wide = Machine("avx512", "x86-64-v4", "", 64, 32, True)
    target = llvm.Target.from_default_triple().create_target_machine(cpu=wide.cpu, opt=3, codemodel="jitdefault", jit=True)
    for name in ("lstm", "layernorm"):
        text = module_text(canonical_text(CELLS[name]), wide, "float", kind)  # type: ignore[arg-type]
        assert len(compiler._compile(text, target)) > 1000
        assert "<16 x float>" in text
