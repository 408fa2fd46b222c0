"""How the benchmarks measure: two sides in turn, bursts of calls, medians of the ratios pair by pair; and the sgemm yardstick.

A pool of threads that has just worked spins for a while in the hope of more (ONNX Runtime's for about 50 ms, OpenMP's for 10 ms)
and would slow down whoever is measured next on the same cores. So each burst begins when this process is idle, its first call
wakes its own threads up and is not counted, and only one rival at a time is held against ours.

When another program takes a core, threads that wait for each other at every step lose tenfold and more, others little: such a
pair says nothing about either side. It shows in how often the system took a core away from this process, and is left out.
"""

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

Run = Callable[[], object]

Row = dict[str, Any]
"""A part of the results, as it is written to the JSON file."""

BURST_S = 0.02
LEAST_PAIRS = 5
WARM_UP_CALLS = 2
PREEMPTIONS_PER_S = 100
"""More than that and a burst of ours was disturbed; alone on the machine it is under 60, with a busy neighbour 300."""
QUIET_S = 0.012
"""Longer than three ticks of the system's clock, at which the time that running threads have used is brought up to date."""
WAIT_S = 0.3
PATIENCE = 4
"""How many times as long as asked for to wait for calm pairs."""


@dataclass(frozen=True)
class Burst:
    """call_s: the median time of a call. preemptions_per_s: how often the system took a core away from this process."""

    call_s: float
    preemptions_per_s: float


Pair = tuple[Burst, Burst]
"""Ours, theirs."""


@dataclass(frozen=True)
class Paired:
    """Ours and theirs, measured in turn.

    ours_ms, theirs_ms: medians. ratio: median of theirs / ours pair by pair, above 1 where ours is faster.
    low, high: quartiles of these ratios. pairs: how many are counted. disturbed: how many were not calm; they are left out,
    unless fewer than LEAST_PAIRS were calm, when all are counted and is_calm is False.
    """

    ours_ms: float
    theirs_ms: float
    ratio: float
    low: float
    high: float
    pairs: int
    disturbed: int
    is_calm: bool


def paired(ours: Run, theirs: Run, seconds: float) -> Paired:
    """Bursts of both sides in turn for about so many seconds, up to PATIENCE times as long on a busy machine."""
    for run in (ours, theirs):
        for _ in range(WARM_UP_CALLS):
            run()
    every: list[Pair] = []
    begin = time.perf_counter()
    while not is_enough(time.perf_counter() - begin, seconds, every):
        every.append(one_pair(ours, theirs, ours_first=len(every) % 2 == 0))
    calm = calm_pairs(every)
    is_calm = len(calm) >= LEAST_PAIRS
    of_ours, of_theirs = np.array([[burst.call_s for burst in pair] for pair in (calm if is_calm else every)]).T
    low, middle, high = (float(value) for value in np.quantile(of_theirs / of_ours, (0.25, 0.5, 0.75)))
    times_ms = (1e3 * float(np.median(of_ours)), 1e3 * float(np.median(of_theirs)))
    return Paired(*times_ms, middle, low, high, len(of_ours), len(every) - len(calm), is_calm)


def is_enough(elapsed_s: float, seconds: float, every: list[Pair]) -> bool:
    """Whether these pairs will do."""
    if elapsed_s < seconds or len(every) < LEAST_PAIRS:
        return False
    return elapsed_s > PATIENCE * seconds or len(calm_pairs(every)) >= LEAST_PAIRS


def calm_pairs(every: list[Pair]) -> list[Pair]:
    """Those in which no other program took the cores.

    A rival with more threads than cores preempts itself: twice what it does in its calmest quarter of the pairs is allowed to it.
    """
    if not every:
        return []
    of_itself = float(np.quantile([theirs.preemptions_per_s for _, theirs in every], 0.25))
    allowed = max(PREEMPTIONS_PER_S, 2 * of_itself)
    return [pair for pair in every if pair[0].preemptions_per_s <= PREEMPTIONS_PER_S and pair[1].preemptions_per_s <= allowed]


def one_pair(ours: Run, theirs: Run, ours_first: bool) -> Pair:
    """A burst of each; who begins should alternate, so that a drift of the machine favours nobody."""
    if ours_first:
        first = burst(ours)
        return first, burst(theirs)
    first = burst(theirs)
    return burst(ours), first


def against(ours: Run, rivals: dict[str, Run], seconds: float) -> dict[str, dict[str, float]]:
    """Ours against one rival after the other, each for so many seconds."""
    return {name: asdict(paired(ours, run, seconds)) for name, run in rivals.items()}


def burst(run: Run) -> Burst:
    """Calls one after the other for BURST_S; a call longer than that is timed alone."""
    wait_until_idle()
    times_s: list[float] = []
    preempted, begin = preemptions(), time.perf_counter()
    while not times_s or time.perf_counter() - begin < BURST_S:
        call = time.perf_counter()
        run()
        times_s.append(time.perf_counter() - call)
    # one is forgiven: in 20 ms it would be 50 a second
    preempted = max(0, preemptions() - preempted - 1)
    return Burst(statistics.median(times_s[1:] or times_s), preempted / (time.perf_counter() - begin))


def preemptions() -> int:
    """How often the system has taken a core away from a thread of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def wait_until_idle() -> None:
    """Until no thread of this process has computed for QUIET_S, spinning included; WAIT_S at most."""
    quiet_since = begin = time.perf_counter()
    while time.perf_counter() - quiet_since < QUIET_S and time.perf_counter() - begin < WAIT_S:
        wall, used = time.perf_counter(), time.process_time()
        time.sleep(0.001)
        if time.process_time() - used > 0.3 * (time.perf_counter() - wall):
            quiet_since = time.perf_counter()


@dataclass
class Yardstick:
    """A 2048³ float32 product of torch, measured now and then during a run; the machine may be busy at times."""

    gflops: list[float] = field(default_factory=list)

    def measure(self, calls: int = 3) -> None:
        """One more figure, from the median of so many products after one that is not counted."""
        a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
        wait_until_idle()
        times_s = []
        for _ in range(calls + 1):
            begin = time.perf_counter()
            a @ b
            times_s.append(time.perf_counter() - begin)
        self.gflops.append(2 * 2048**3 / statistics.median(times_s[1:]) / 1e9)

    def median_gflops(self) -> float:
        """Of all figures so far."""
        return statistics.median(self.gflops)
