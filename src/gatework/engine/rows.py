"""The steps of a batch in one of three memory orders, so that no backend forces a copy on the others.

    DenseRows    all sequences equally long: (steps, num_sequences, size), any strides
    RaggedRows   one sequence below the other, as in Ragged
    PackedRows   tick by tick, the longest sequence first, as in torch's PackedSequence

A backend asks for the order that it computes in and answers in that order; the next layer finds it there.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatework.ragged import Ragged, live_sequences, packed_rows


@dataclass(frozen=True, eq=False)
class Schedule:
    """When which sequence is computed.

    offsets: (num_sequences + 1,) int64 on the CPU.
    order: (num_live,) int64 on the CPU, the sequences that have a step, longest first.
    batch_sizes: (longest,) int64 on the CPU, live sequences at each tick.
    to_packed, to_ragged: (total_steps,) int64 beside the values, the ragged row of each packed row and the reverse.
    """

    offsets: Tensor
    order: Tensor
    batch_sizes: Tensor
    to_packed: Tensor
    to_ragged: Tensor

    @classmethod
    def of(cls, offsets: Tensor, device: torch.device) -> "Schedule":
        """The schedule of sequences that stand one below the other."""
        lengths = offsets.diff()
        order = lengths.argsort(descending=True, stable=True)
        order = order[: int((lengths > 0).sum())]
        batch_sizes = live_sequences(lengths[order])
        among_live = order.argsort().argsort()
        _, rows = packed_rows(batch_sizes, among_live)
        return cls(offsets, order, batch_sizes, rows.argsort().to(device), rows.to(device))

    @classmethod
    def of_packed(cls, packed: PackedSequence) -> "Schedule":
        """The schedule that a PackedSequence is already in."""
        lengths, rows = packed_rows(packed.batch_sizes, packed.sorted_indices)
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        order = torch.arange(len(lengths)) if packed.sorted_indices is None else packed.sorted_indices.cpu()
        device = packed.data.device
        return cls(offsets, order, packed.batch_sizes, rows.argsort().to(device), rows.to(device))

    @property
    def num_sequences(self) -> int:
        """How many sequences, those of length zero included."""
        return len(self.offsets) - 1

    @cached_property
    def reverse(self) -> Tensor:
        """The packed rows with each sequence turned round: (total_steps,) int64 beside the values; twice changes nothing."""
        tick_start = self.batch_sizes.cumsum(0) - self.batch_sizes
        tick = torch.repeat_interleave(self.batch_sizes)
        place = torch.arange(len(tick)) - tick_start[tick]
        lengths = self.offsets.diff()[self.order]
        return (tick_start[lengths[place] - 1 - tick] + place).to(self.to_packed.device)


@dataclass(frozen=True, eq=False)
class DenseRows:
    """values: (steps, num_sequences, size), any strides."""

    values: Tensor

    @property
    def num_sequences(self) -> int:
        """How many sequences."""
        return self.values.shape[1]

    def with_values(self, values: Tensor) -> "DenseRows":
        """Other values at the same places."""
        return DenseRows(values)

    def ragged(self) -> "RaggedRows":
        """The same steps, one sequence below the other."""
        steps, num_sequences, size = self.values.shape
        offsets = torch.arange(num_sequences + 1) * steps
        return RaggedRows(Ragged(self.values.transpose(0, 1).reshape(num_sequences * steps, size), offsets))

    def like(self, rows: "Rows") -> "DenseRows":
        """The steps of `rows`, which holds sequences of these lengths, in this order."""
        if isinstance(rows, DenseRows):
            return rows
        steps, num_sequences = self.values.shape[:2]
        values = rows.ragged().values
        return DenseRows(values.reshape(num_sequences, steps, values.shape[-1]).transpose(0, 1))


@dataclass(frozen=True, eq=False)
class RaggedRows:
    """sequences: the steps. schedule: of a batch that came packed, so that it goes back into the same order."""

    sequences: Ragged
    schedule: Schedule | None = None

    @property
    def values(self) -> Tensor:
        """(total_steps, size)."""
        return self.sequences.values

    @property
    def num_sequences(self) -> int:
        """How many sequences, those of length zero included."""
        return self.sequences.num_sequences

    def with_values(self, values: Tensor) -> "RaggedRows":
        """Other values at the same places."""
        return replace(self, sequences=self.sequences.with_values(values))

    def ragged(self) -> "RaggedRows":
        """Itself."""
        return self

    def dense(self) -> DenseRows:
        """The same steps as (steps, num_sequences, size); only where all sequences are equally long and there is one."""
        num_sequences = self.num_sequences
        steps = self.sequences.total_steps // num_sequences
        return DenseRows(self.values.reshape(num_sequences, steps, self.values.shape[-1]).transpose(0, 1))

    def packed(self) -> "PackedRows":
        """The same steps tick by tick."""
        schedule = self.schedule or Schedule.of(self.sequences.offsets, self.values.device)
        return PackedRows(self.values.index_select(0, schedule.to_packed), schedule)

    def like(self, rows: "Rows") -> "RaggedRows":
        """The steps of `rows`, which holds sequences of these lengths, in this order."""
        return self.with_values(rows.ragged().values)


@dataclass(frozen=True, eq=False)
class PackedRows:
    """values: (total_steps, size), tick by tick. schedule: where each sequence is."""

    values: Tensor
    schedule: Schedule

    @property
    def num_sequences(self) -> int:
        """How many sequences, those of length zero included."""
        return self.schedule.num_sequences

    def with_values(self, values: Tensor) -> "PackedRows":
        """Other values at the same places."""
        return replace(self, values=values)

    def ragged(self) -> RaggedRows:
        """The same steps, one sequence below the other."""
        values = self.values.index_select(0, self.schedule.to_ragged)
        return RaggedRows(Ragged(values, self.schedule.offsets), self.schedule)

    def packed(self) -> "PackedRows":
        """Itself."""
        return self

    def like(self, rows: "Rows") -> "PackedRows":
        """The steps of `rows`, which holds sequences of these lengths, in this order."""
        if isinstance(rows, PackedRows):
            return rows
        return PackedRows(rows.ragged().values.index_select(0, self.schedule.to_packed), self.schedule)


Rows = DenseRows | RaggedRows | PackedRows
