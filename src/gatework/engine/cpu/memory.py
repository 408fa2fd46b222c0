"""Memory that serves call after call: a fresh page costs more than the arithmetic on its numbers.

What forward leaves for backward is large and lives from call to call only. A piece is used again as soon as nothing refers to
its storage any more; the pieces together stay below a limit. New pieces ask for large pages where the system has them.
"""

import ctypes
import mmap
import threading
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

LIMIT = 128 * 2**20
"""Bytes that wait for their next use at the most; larger memory comes from torch and goes back to it."""

PIECE = 2**20
"""Pieces are multiples of so many bytes, so that batches of about the same size share them."""

PAGE = 2 * 2**20
"""Bytes of a large page."""

_lock = threading.Lock()
_pieces: list[torch.UntypedStorage] = []


def empty(like: Tensor, *shape: int) -> Tensor:
    """Uninitialised memory of `like`'s type, nobody else's for as long as something refers to it."""
    size = like.element_size()
    for length in shape:
        size *= length
    if size < PIECE:
        return like.new_empty(shape)
    tensor = like.new_empty(0)
    if size > LIMIT or type(tensor) is not Tensor or not hasattr(torch._C, "_storage_Use_Count"):
        return output(like, *shape)
    strides = [1]
    for length in reversed(shape[1:]):
        strides.insert(0, strides[0] * length)
    with _lock:
        return tensor.set_(_piece(size), 0, shape, strides)


def output(like: Tensor, *shape: int) -> Tensor:
    """Uninitialised memory for a result: of exactly this size, since a tensor is saved and sent with all of its storage."""
    return with_large_pages(like.new_empty(shape))


def _piece(size: int) -> torch.UntypedStorage:
    """A free piece of at least this size; the lock is held."""
    for number, piece in enumerate(_pieces):
        is_free = torch._C._storage_Use_Count(piece._cdata) == 1
        if is_free and size <= piece.nbytes() <= 4 * size:
            # the last one used is looked at first
            _pieces.insert(0, _pieces.pop(number))
            return piece
    wanted = -(-size // PIECE) * PIECE
    while _pieces and sum(piece.nbytes() for piece in _pieces) + wanted > LIMIT:
        _pieces.pop()
    piece = with_large_pages(torch.empty(wanted, dtype=torch.uint8)).untyped_storage()
    _pieces.insert(0, piece)
    return piece


def with_large_pages(tensor: Tensor) -> Tensor:
    """The same, after asking for large pages."""
    size = tensor.numel() * tensor.element_size()
    advise = _advise()
    if size >= 2 * PAGE and advise is not None and type(tensor) is Tensor:
        first = -(-tensor.data_ptr() // PAGE) * PAGE
        last = (tensor.data_ptr() + size) // PAGE * PAGE
        advise(first, last - first, mmap.MADV_HUGEPAGE)
    return tensor


@lru_cache
def _advise() -> Callable[[int, int, int], int] | None:
    """The system's madvise, or None where there is none for large pages."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return None
    function = ctypes.CDLL(None).madvise
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    function.restype = ctypes.c_int
    found: Callable[[int, int, int], int] = function
    return found
