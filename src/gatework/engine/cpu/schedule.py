"""When which step is computed, by which part, in which lane.

Entries number the steps in the order in which they are computed, tick by tick; everything that a kernel reads or writes per step
is in that order.
A part (the share of one thread) has lanes; a lane computes one sequence after the other. At each tick a part computes its live
lanes, which
are its first ones, since lanes are sorted by how long they run.
"""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chunk:
    """The ticks [first, last), their entries [first_entry, last_entry), and where each part's events in them are: (parts, 2)."""

    first: int
    last: int
    first_entry: int
    last_entry: int
    begins_range: Int64
    ends_range: Int64

    @cached_property
    def slots(self) -> dict[str, int]:
        """As numbers and addresses by the name of their slot."""
        return {
            "first_tick": self.first,
            "last_tick": self.last,
            "first_entry": self.first_entry,
            "entries": self.entries,
            "begins_range": self.begins_range.ctypes.data,
            "ends_range": self.ends_range.ctypes.data,
        }

    @property
    def entries(self) -> int:
        """How many."""
        return self.last_entry - self.first_entry


@dataclass(frozen=True, eq=False)
class Schedule:
    """start, count: (parts, max_ticks), first entry and live lanes of each tick. ticks: (parts,).

    begins, ends: (n, 3) (tick, lane, sequence) by part then tick; begins_range, ends_range: (parts, 2), where a part's events
    are.
    rows: (total_steps,) the row of the caller's values that each entry is; None where it is the entry itself.
    is_team: all threads compute the only part together, each some of the units.
    """

    parts: int
    lanes: int
    max_ticks: int
    ticks: Int64
    start: Int64
    count: Int64
    begins: Int64
    begins_range: Int64
    ends: Int64
    ends_range: Int64
    rows: Int64 | None
    is_team: bool = False
    _chunks: dict[int, tuple["Chunk", ...]] = field(default_factory=dict)

    @cached_property
    def addresses(self) -> dict[str, int]:
        """Of the arrays, and the numbers, by the name of their slot; computed once, since a schedule serves many calls."""
        arrays = {name: getattr(self, name).ctypes.data for name in ("ticks", "start", "count", "begins", "ends")}
        return arrays | {"parts": self.parts, "lanes": self.lanes, "max_ticks": self.max_ticks}

    @cached_property
    def whole(self) -> "Chunk":
        """All ticks."""
        return Chunk(0, self.max_ticks, 0, int(self.count.sum()), self.begins_range, self.ends_range)

    def chunks(self, entries: int) -> tuple["Chunk", ...]:
        """The ticks in equal chunks of at most about so many entries, first to last."""
        if entries not in self._chunks:
            # by the steps of the busiest tick, not by the lanes: the number of threads changes no chunk of a dense batch
            ticks = max(1, entries // max(1, int(self.count.sum(0).max(initial=0))))
            number = -(-self.max_ticks // ticks)
            bounds = [(self.max_ticks * k // number, self.max_ticks * (k + 1) // number) for k in range(number)]
            self._chunks[entries] = tuple(
                Chunk(
                    *bound,
                    *self.entries_between(*bound),
                    self.events_between(self.begins, self.begins_range, *bound),
                    self.events_between(self.ends, self.ends_range, *bound),
                )
                for bound in bounds
            )
        return self._chunks[entries]

    def events_between(self, events: Int64, ranges: Int64, first: int, last: int) -> Int64:
        """(parts, 2): where each part's events of the ticks [first, last) are."""
        bounds = np.empty_like(ranges)
        for part, (low, high) in enumerate(ranges.tolist()):
            bounds[part] = low + np.searchsorted(events[low:high, 0], (first, last))
        return bounds

    def entries_between(self, first: int, last: int) -> tuple[int, int]:
        """The entries computed in the ticks [first, last): they are consecutive, whatever the direction."""
        starts, counts = self.start[:, first:last], self.count[:, first:last]
        is_live = counts > 0
        return int(starts[is_live].min()), int((starts + counts)[is_live].max())


@lru_cache(maxsize=64)
def dense_schedule(steps: int, num_sequences: int, threads: int, backwards: bool, is_team: bool = False) -> Schedule:
    """Equally long sequences in time-major order: entries are rows."""
    steps = steps if num_sequences else 0
    parts = 1 if is_team else max(1, min(threads, num_sequences))
    bounds = np.linspace(0, num_sequences, parts + 1).astype(np.int64)
    tick = np.arange(steps, dtype=np.int64)
    if backwards:
        tick = tick[::-1]
    start = tick[None, :] * num_sequences + bounds[:-1, None]
    lanes = np.diff(bounds)
    count = np.repeat(lanes[:, None], steps, axis=1)
    lane = np.concatenate([np.arange(n) for n in lanes]).astype(np.int64)
    sequence = np.arange(num_sequences, dtype=np.int64)
    begins = np.stack([np.zeros_like(lane), lane, sequence], axis=1)
    ends = np.stack([np.full_like(lane, steps - 1), lane, sequence], axis=1)
    ticks = np.full(parts, steps, dtype=np.int64)
    ranges = np.stack([bounds[:-1], bounds[1:]], axis=1)
    start, count = np.ascontiguousarray(start), np.ascontiguousarray(count)
    return Schedule(parts, int(lanes.max(initial=0)), steps, ticks, start, count, begins, ranges, ends, ranges, None, is_team)


def ragged_schedule(offsets: Int64, threads: int, backwards: bool, multiple: int, is_team: bool = False) -> Schedule:
    """Sequences of any lengths, one below the other: lanes are refilled as sequences end."""
    threads = 1 if is_team else threads
    lengths = np.diff(offsets)
    live = np.flatnonzero(lengths)
    total = int(lengths.sum())
    if total == 0:
        none = np.zeros((1, 0), dtype=np.int64)
        events, ranges = np.zeros((0, 3), dtype=np.int64), np.zeros((1, 2), dtype=np.int64)
        return Schedule(1, 1, 0, np.zeros(1, dtype=np.int64), none, none, events, ranges, events, ranges, none[0])
    longest = int(lengths.max())
    parts = max(1, min(threads, len(live)))
    wanted = -(-total // (longest * parts))
    lanes_each = max(1, min(-(-len(live) // parts), -(-wanted // multiple) * multiple))
    num_lanes = parts * lanes_each
    lane_of, begin_of = _pack(lengths, live, num_lanes)
    used = np.zeros(num_lanes, dtype=np.int64)
    np.maximum.at(used, lane_of[live], begin_of[live] + lengths[live])
    # lanes to parts in turn, longest first, so that parts are balanced
    order = np.argsort(-used, kind="stable")
    part_of_lane, place = np.empty(num_lanes, np.int64), np.empty(num_lanes, np.int64)
    rank = np.arange(num_lanes)
    snake = np.where((rank // parts) % 2 == 0, rank % parts, parts - 1 - rank % parts)
    part_of_lane[order] = snake
    place[order] = rank // parts
    max_ticks = int(used.max())
    count = np.zeros((parts, max_ticks), np.int64)
    for part in range(parts):
        ends = np.bincount(used[part_of_lane == part], minlength=max_ticks + 1)
        count[part] = (part_of_lane == part).sum() - np.cumsum(ends)[:max_ticks]
    flat = count.T.ravel()
    start = np.ascontiguousarray((np.cumsum(flat) - flat).reshape(max_ticks, parts).T)
    # one row per step
    owner = np.repeat(live, lengths[live])
    within = np.arange(total) - np.repeat(np.cumsum(lengths[live]) - lengths[live], lengths[live])
    lane = lane_of[owner]
    entry = start[part_of_lane[lane], begin_of[owner] + within] + place[lane]
    rows = np.empty(total, np.int64)
    rows[entry] = offsets[owner] + (lengths[owner] - 1 - within if backwards else within)
    begins, begins_range = _events(begin_of[live], part_of_lane[lane_of[live]], place[lane_of[live]], live, parts)
    identity = np.array_equal(rows, np.arange(total))
    ends_at = begin_of[live] + lengths[live] - 1
    ends, ends_range = _events(ends_at, part_of_lane[lane_of[live]], place[lane_of[live]], live, parts)
    return Schedule(
        parts,
        lanes_each,
        max_ticks,
        used[order[:parts]].copy(),
        start,
        count,
        begins,
        begins_range,
        ends,
        ends_range,
        None if identity else rows,
        is_team,
    )


def _pack(lengths: Int64, live: Int64, num_lanes: int) -> tuple[Int64, Int64]:
    """Longest sequence first into the lane that is free first: (lane, tick of its first step) of each sequence."""
    import heapq

    lane_of, begin_of = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.int64)
    heap = [(0, lane) for lane in range(num_lanes)]
    for sequence in live[np.argsort(-lengths[live], kind="stable")].tolist():
        free, lane = heap[0]
        lane_of[sequence], begin_of[sequence] = lane, free
        heapq.heapreplace(heap, (free + int(lengths[sequence]), lane))
    return lane_of, begin_of


def _events(tick: Int64, part: Int64, lane: Int64, sequence: Int64, parts: int) -> tuple[Int64, Int64]:
    order = np.lexsort((lane, tick, part))
    table = np.stack([tick, lane, sequence], axis=1)[order]
    bounds = np.searchsorted(part[order], np.arange(parts + 1)).astype(np.int64)
    return np.ascontiguousarray(table), np.stack([bounds[:-1], bounds[1:]], axis=1)
