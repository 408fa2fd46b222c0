"""The vector unit that kernels are made for: this machine's, or a lesser one asked for by `GATEWORK_TARGET`.

GATEWORK_TARGET=generic   16-byte vectors, no fused multiply-add: runs on every 64-bit processor of this kind
GATEWORK_TARGET=avx2      32-byte vectors, where the machine has them
GATEWORK_TARGET=avx512    64-byte vectors, where the machine has them
"""

import os
from dataclasses import dataclass
from functools import lru_cache

import llvmlite.binding as llvm

from gatework.errors import ConfigError

VARIABLE = "GATEWORK_TARGET"
TARGETS = ("generic", "avx2", "avx512")


@dataclass(frozen=True)
class Machine:
    """name: for people. cpu, features: LLVM's words. vector_bytes, num_registers: of the vector unit.

    has_fma: fused multiply-add. pause: the instruction that a waiting thread spins on, or nothing.
    """

    name: str
    cpu: str
    features: str
    vector_bytes: int
    num_registers: int
    has_fma: bool
    pause: str = "call void @llvm.x86.sse2.pause()"


def machine(target: str | None = None) -> Machine:
    """What to compile for; `GATEWORK_TARGET` is read at each call without a target."""
    return _machine(os.environ.get(VARIABLE, "") if target is None else target)


@lru_cache
def _machine(wanted: str) -> Machine:
    if wanted not in ("", *TARGETS):
        raise ConfigError(
            f"GATEWORK_TARGET is '{wanted}'; expected {', '.join(TARGETS)} or nothing. Correct or unset the variable."
        )
    features = llvm.get_host_cpu_features()
    has_avx2 = bool(features.get("avx2") and features.get("fma"))
    has_avx512 = has_avx2 and all(features.get(name) for name in ("avx512f", "avx512bw", "avx512dq", "avx512vl"))
    best = "avx512" if has_avx512 else "avx2" if has_avx2 else "generic"
    name = wanted or best
    if TARGETS.index(name) > TARGETS.index(best):
        raise ConfigError(
            f"GATEWORK_TARGET is '{name}', which this processor does not have; its best is '{best}'. Unset the variable."
        )
    cpu = llvm.get_host_cpu_name()
    if name == "avx512":
        # without this LLVM may split 64-byte vectors in two on processors that clock down
        return Machine(name, cpu, features.flatten() + ",-prefer-256-bit", 64, 32, True)
    if name == "avx2":
        return Machine(name, cpu, without(features.flatten(), ("avx512",)), 32, 16, True)
    if features.get("sse2"):
        return Machine(name, "x86-64", "", 16, 16, False)
    # arm64: 32 registers and fused multiply-add in every processor
    is_arm = bool(features.get("neon") or features.get("asimd")) or "apple" in cpu
    return Machine(name, cpu, features.flatten(), 16, 32 if is_arm else 16, is_arm, pause="")


def without(flat: str, prefixes: tuple[str, ...]) -> str:
    """Feature flags with some families switched off."""
    return ",".join("-" + flag[1:] if flag[1:].startswith(prefixes) else flag for flag in flat.split(","))
