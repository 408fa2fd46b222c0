"""The array of 64-bit slots that a kernel is called with."""

import os
import threading

import numpy as np
import torch
from torch import Tensor

from gatework.engine.cpu.compile import Kernel
from gatework.engine.cpu.frame import slots
from gatework.engine.cpu.schedule import Schedule

_forked = threading.Event()

# a forked child has no OpenMP threads, and entering a region there waits for them forever
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked.set)


class Arguments:
    """Slots by name; keeps every array alive that a slot points to."""

    def __init__(self, state_names: tuple[str, ...]):
        names = slots(state_names)
        self.array = np.zeros(len(names), dtype=np.int64)
        self._place = {name: number for number, name in enumerate(names)}
        self._alive: dict[str, object] = {}

    def put(self, **values: "Tensor | np.ndarray | int | None") -> None:
        """A number as it is, an array by its address, None as the null pointer."""
        for name, value in values.items():
            if isinstance(value, Tensor):
                self._alive[name] = value
                number = value.data_ptr()
            elif isinstance(value, np.ndarray):
                self._alive[name] = value
                number = value.ctypes.data
            else:
                number = value or 0
            self.array[self._place[name]] = number

    def put_shifted(self, name: str, value: Tensor, first_row: int) -> None:
        """An array whose first row stands for row `first_row`: kernels count rows from 0."""
        self._alive[name] = value
        self.array[self._place[name]] = value.data_ptr() - first_row * value.stride(0) * value.element_size()

    def tensor(self, name: str) -> Tensor:
        """The tensor that a slot points to."""
        value = self._alive[name]
        assert isinstance(value, Tensor)
        return value

    def place(self, name: str) -> int:
        """The index of a slot."""
        return self._place[name]

    def number(self, name: str) -> int:
        """The number in a slot."""
        return int(self.array[self._place[name]])

    def put_schedule(self, schedule: Schedule) -> None:
        """Everything of a schedule, all its ticks."""
        self.put(
            parts=schedule.parts, lanes=schedule.lanes, max_ticks=schedule.max_ticks, ticks=schedule.ticks, start=schedule.start,
            count=schedule.count, begins=schedule.begins, begins_range=schedule.begins_range, ends=schedule.ends,
            ends_range=schedule.ends_range, first_tick=0, last_tick=schedule.max_ticks,
        )  # fmt: skip

    def put_ticks(self, schedule: Schedule, first: int, last: int) -> None:
        """Only the ticks [first, last), and the events in them."""
        self.put(
            first_tick=first,
            last_tick=last,
            begins_range=schedule.events_between(schedule.begins, schedule.begins_range, first, last),
            ends_range=schedule.events_between(schedule.ends, schedule.ends_range, first, last),
        )

    def run(self, kernel: Kernel) -> None:
        """Call the kernel: in torch's pool with torch's own number of threads, or on this thread where there is no pool."""
        threads = torch.get_num_threads()
        if kernel.start is None or _forked.is_set() or threads == 1:
            kernel.alone(self.array.ctypes.data)
        else:
            # never fewer threads than torch has: a smaller team would shrink libgomp's pool
            kernel.start(self.array.ctypes.data, threads)
