"""One thread for work that is too small to be shared.

Threads that wait for each other lose a whole time slice whenever another program runs on one of their cores, and torch wakes all
of them even for a few hundred numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SHARED_FROM = 2**22
"""Steps times squared hidden size from which a second thread helps (docs/benchmarks-time.md, Speed)."""


@contextmanager
def threads_for(work: int) -> Iterator[None]:
    """One thread inside when there is little work, else as many as there are; afterwards as before.

    work: steps of all sequences times the square of the hidden size. A thread of Python that first computes with torch while
    another one is inside begins with one thread, too (torch hands its last setting on): call torch.set_num_threads there.
    """
    before = torch.get_num_threads()
    if work >= SHARED_FROM or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
