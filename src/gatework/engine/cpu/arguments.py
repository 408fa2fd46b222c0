"""The array of 64-bit slots that a kernel is called with, filled by name."""

import ctypes
import os
import threading
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from gatework.engine.cpu.compile import Entry
from gatework.engine.cpu.schedule import Chunk, Schedule

_forked = threading.Event()

# a forked child has no OpenMP threads, and entering a region there waits for them forever
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked.set)


@lru_cache(maxsize=256)
def _array(size: int) -> type[ctypes.Array[ctypes.c_int64]]:
    return ctypes.c_int64 * size


class Arguments:
    """Slots by name; keeps everything alive that a slot points to.

    places: of the slots in the array. array: zero and null to begin with, or a copy of a template.
    """

    def __init__(self, places: dict[str, int], template: "Arguments | None" = None):
        self.places = places
        kind = _array(len(places))
        self.array: ctypes.Array[ctypes.c_int64] = kind() if template is None else kind.from_buffer_copy(template.array)
        self.address = ctypes.addressof(self.array)
        self._alive: list[object] = []

    def copy(self) -> "Arguments":
        """The same numbers in an array of its own."""
        return Arguments(self.places, self)

    def put(self, **values: "Tensor | int | None") -> None:
        """A number as it is, a tensor by its address, None as the null pointer."""
        array, places = self.array, self.places
        for name, value in values.items():
            if isinstance(value, int):
                array[places[name]] = value
            elif value is None:
                array[places[name]] = 0
            else:
                self._alive.append(value)
                array[places[name]] = value.data_ptr()

    def keep(self, value: object) -> None:
        """Keep alive what slots point into."""
        self._alive.append(value)

    def put_all(self, names: tuple[str, ...], tensors: "Sequence[Tensor | None]") -> None:
        """Tensors in the order of the names."""
        array, places = self.array, self.places
        self._alive.append(tensors)
        for name, tensor in zip(names, tensors, strict=True):
            array[places[name]] = 0 if tensor is None else tensor.data_ptr()

    def put_from(self, name: str, value: Tensor, first_row: int) -> None:
        """An array whose first row stands for row `first_row`: kernels count rows from 0."""
        self.keep(value)
        self.array[self.places[name]] = value.data_ptr() - first_row * value.stride(0) * value.element_size()

    def number(self, name: str) -> int:
        """The number in a slot."""
        return int(self.array[self.places[name]])

    def put_schedule(self, schedule: Schedule) -> None:
        """Everything of a schedule, all its ticks."""
        self.keep(schedule)
        self.put(**schedule.addresses)
        self.put_ticks(schedule.whole)

    def put_ticks(self, chunk: Chunk) -> None:
        """Only the ticks of a chunk, and the events in them."""
        self.put(**chunk.slots)

    def run(self, code: Entry, is_small: bool = False) -> None:
        """Call the kernel: in torch's pool with torch's own number of threads; on this thread where there is no pool, and what is
        too small to share.
        """
        threads = torch.get_num_threads()
        if is_small or code.start is None or threads == 1 or _forked.is_set():
            code.alone(self.address)
        else:
            # never fewer threads than torch has: a smaller team would shrink libgomp's pool
            code.start(self.address, threads)
