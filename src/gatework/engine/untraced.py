"""Functions that torch.compile does not look into. torch's own marks load its compiler at once, 2.6 s before the first line."""

import functools
import sys
from collections.abc import Callable
from typing import TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., object])

_disabled = functools.cache(torch.compiler.disable)


def untraced(function: Function) -> Function:
    """`torch.compiler.disable`, from the moment on at which somebody compiles."""

    @functools.wraps(function)
    def call(*args: object, **options: object) -> object:
        if "torch._dynamo" in sys.modules:
            return _disabled(function)(*args, **options)
        return function(*args, **options)

    return call  # type: ignore[return-value]


def read_while_tracing(function: Function) -> Function:
    """`torch.compiler.assume_constant_result`, which sets this mark and nothing else."""
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function
