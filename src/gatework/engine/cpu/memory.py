"""Memory that serves call after call: a fresh page costs more than the arithmetic on its numbers.

What forward leaves for backward is large and lives from call to call only. A piece is used again as soon as nothing refers to
its storage any more; the pieces together stay below a limit. New pieces ask for large pages where the system has them.
"""

import ctypes
import math
import mmap
import sys
import threading
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

LIMIT = 128 * 2**20
"""Bytes that wait for their next use at the most; larger memory comes from torch and goes back to it."""

MOST = 24
"""Storages that are looked through at the most."""

PIECE = 2**20
"""Pieces are multiples of so many bytes, so that batches of about the same size share them."""

LEAST = 2**16
"""Bytes below which torch's own memory is as quick."""

PAGE = 2 * 2**20
"""Bytes of a large page."""


class Pieces:
    """Storages that are used again; `most`: how many times larger than needed one may be."""

    def __init__(self, most: int):
        self.most = most
        self._lock = threading.Lock()
        self._storages: list[torch.UntypedStorage] = []

    def take(self, size: int) -> torch.UntypedStorage:
        """One of at least this size that nothing refers to."""
        with self._lock:
            for number in range(len(self._storages)):
                if size <= self._storages[number].nbytes() <= self.most * size and is_free(self._storages, number):
                    # the last one used is looked at first
                    self._storages.insert(0, self._storages.pop(number))
                    return self._storages[0]
            # what is still referred to and falls out here is only forgotten
            while len(self._storages) >= MOST or sum(storage.nbytes() for storage in self._storages) + size > LIMIT:
                self._storages.pop()
            fresh = with_large_pages(torch.empty(size, dtype=torch.uint8)).untyped_storage()
            self._storages.insert(0, fresh)
            return fresh


def is_free(storages: list[torch.UntypedStorage], number: int) -> bool:
    """Whether nobody but this list has the storage: no tensor, no Python object, and no other process that it was sent to."""
    if torch._C._storage_Use_Count(storages[number]._cdata) > 1 or sys.getrefcount(storages[number]) > _alone():
        return False
    return not storages[number].is_shared()


@lru_cache
def _alone() -> int:
    """What Python counts for a storage that is in one list only; versions of Python differ."""
    storages = [torch.empty(1, dtype=torch.uint8).untyped_storage()]
    return sys.getrefcount(storages[0])


_rooms, _results = Pieces(4), Pieces(1)


def empty(like: Tensor, *shape: int) -> Tensor:
    """Uninitialised memory of `like`'s type, nobody else's for as long as something refers to it."""
    size = like.element_size() * math.prod(shape)
    if not LEAST <= size <= LIMIT or not _can_count():
        return with_large_pages(like.new_empty(shape))
    return over(like, _rooms.take(-(-size // PIECE) * PIECE if size > PIECE else size), shape)


def output(like: Tensor, *shape: int) -> Tensor:
    """The same for a result: of exactly this size, since a tensor is saved and sent with all of its storage."""
    size = like.element_size() * math.prod(shape)
    if not LEAST <= size <= LIMIT or not _can_count():
        return with_large_pages(like.new_empty(shape))
    return over(like, _results.take(size), shape)


def over(like: Tensor, storage: torch.UntypedStorage, shape: tuple[int, ...]) -> Tensor:
    """A contiguous tensor of `like`'s type at the beginning of a storage; no view of anything."""
    strides = [1]
    for length in reversed(shape[1:]):
        strides.insert(0, strides[0] * length)
    return like.new_empty(0).set_(storage, 0, shape, strides)


@lru_cache
def _can_count() -> bool:
    """Whether torch says how many refer to a storage."""
    return hasattr(torch._C, "_storage_Use_Count")


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
