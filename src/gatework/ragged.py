"""Ragged: sequences of any lengths in one tensor, without padding.

The type that flows through gatework. `values` holds the steps of all sequences one below the other; `offsets` says where each
sequence starts. Sequences of length zero are legal everywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import SupportsIndex

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatework.errors import ShapeError

Indices = SupportsIndex | Sequence[int] | Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Ragged:
    """Sequences of any lengths, one below the other; checks itself once, when it is made.

    values: (total_steps, *features), any dtype and device.
    offsets: (num_sequences + 1,) int64 on the CPU; sequence i is `values[offsets[i]:offsets[i + 1]]`. Starts at 0, never
        falls, ends at total_steps.
    Raises ShapeError when the two do not fit.

    >>> r = Ragged.from_list([torch.tensor([1.0, 2.0]), torch.tensor([]), torch.tensor([3.0])])
    >>> r.lengths.tolist(), r[2].tolist()
    ([2, 0, 1], [3.0])
    """

    values: Tensor
    offsets: Tensor

    def __post_init__(self) -> None:
        if self.values.dim() == 0:
            raise ShapeError(
                "Ragged values have no axis; expected (total_steps, *features). Give one row per step: values.reshape(-1, 1)."
            )
        offsets = self.offsets
        if offsets.dtype != torch.int64 or offsets.dim() != 1 or len(offsets) == 0 or offsets.device.type != "cpu":
            raise ShapeError(
                f"Ragged offsets are {offsets.dtype} of shape {tuple(offsets.shape)} on {offsets.device}; expected int64 of "
                f"shape (num_sequences + 1,) on the CPU. Convert them with offsets.to('cpu', torch.int64)."
            )
        if torch.compiler.is_compiling():
            return  # numbers are not known while a graph is traced
        if int(offsets[0]) != 0 or int(offsets[-1]) != len(self.values) or bool((offsets[1:] < offsets[:-1]).any()):
            raise ShapeError(
                f"Ragged offsets run from {int(offsets[0])} to {int(offsets[-1])} for {len(self.values)} steps; expected numbers "
                f"that start at 0, never fall and end at the number of steps. Build them from lengths with Ragged.from_lengths."
            )

    @classmethod
    def from_lengths(cls, values: Tensor, lengths: Tensor | Sequence[int]) -> "Ragged":
        """The rows of `values`, cut into sequences of these lengths.

        values: (total_steps, *features). lengths: (num_sequences,), their sum is total_steps.
        """
        counts = torch.as_tensor(lengths, dtype=torch.int64, device="cpu").reshape(-1)
        return cls(values, torch.cat([counts.new_zeros(1), counts.cumsum(0)]))

    @classmethod
    def from_list(cls, sequences: Sequence[Tensor]) -> "Ragged":
        """One sequence per tensor.

        sequences: each (length, *features), all with the same features, dtype and device; at least one.
        """
        if len(sequences) == 0:
            raise ShapeError(
                "Ragged.from_list got an empty list; expected at least one tensor, from which features and dtype are taken. "
                "For no sequences write Ragged.from_lengths(torch.empty(0, input_size), [])."
            )
        first = sequences[0]
        for i, sequence in enumerate(sequences):
            if sequence.dim() == 0 or sequence.shape[1:] != first.shape[1:] or sequence.dtype != first.dtype:
                raise ShapeError(
                    f"Sequence {i} is {sequence.dtype} of shape {tuple(sequence.shape)}, sequence 0 is {first.dtype} of shape "
                    f"{tuple(first.shape)}; expected (length, *features) with one dtype and the same features throughout. "
                    f"Convert sequence {i} or leave it out."
                )
        return cls.from_lengths(torch.cat(list(sequences)), [len(sequence) for sequence in sequences])

    @classmethod
    def dense(cls, sequences: Tensor) -> "Ragged":
        """Sequences of one length: (num_sequences, length, *features)."""
        count, length = sequences.shape[:2]
        return cls(sequences.flatten(0, 1), torch.arange(count + 1, dtype=torch.int64) * length)

    @classmethod
    def one(cls, sequence: Tensor) -> "Ragged":
        """A batch of one sequence: (length, *features)."""
        return cls.from_list([sequence])

    @classmethod
    def from_padded(cls, padded: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = True) -> "Ragged":
        """The steps that are no padding.

        padded: (num_sequences, longest, *features), or (longest, num_sequences, *features) with batch_first=False.
        lengths: (num_sequences,), each in 0 … longest.
        """
        if padded.dim() < 2:
            raise ShapeError(
                f"The padded tensor has shape {tuple(padded.shape)}; expected (num_sequences, longest, *features). "
                f"Add the missing axis, e.g. padded.unsqueeze(0) for one sequence."
            )
        counts = torch.as_tensor(lengths, dtype=torch.int64, device="cpu").reshape(-1)
        num_sequences, longest = (padded.shape[0], padded.shape[1]) if batch_first else (padded.shape[1], padded.shape[0])
        if len(counts) != num_sequences or (num_sequences and not 0 <= int(counts.min()) <= int(counts.max()) <= longest):
            raise ShapeError(
                f"Padded shape {tuple(padded.shape)} with lengths {_few(counts)}; expected {num_sequences} lengths between 0 and "
                f"{longest}. Check batch_first (now {batch_first}) and the lengths."
            )
        sequence, step = _places(counts)
        rows = sequence * longest + step if batch_first else step * num_sequences + sequence
        return cls.from_lengths(padded.flatten(0, 1).index_select(0, rows.to(padded.device)), counts)

    @classmethod
    def from_packed(cls, packed: PackedSequence) -> "Ragged":
        """The sequences of torch's PackedSequence, in their original order."""
        lengths, rows = packed_rows(packed.batch_sizes, packed.sorted_indices)
        return cls.from_lengths(packed.data.index_select(0, rows.to(packed.data.device)), lengths)

    @classmethod
    def from_nested(cls, nested: Tensor) -> "Ragged":
        """The sequences of torch's jagged nested tensor (layout torch.jagged, ragged along axis 1)."""
        if not nested.is_nested or nested.layout != torch.jagged or getattr(nested, "_ragged_idx", 1) != 1:
            raise ShapeError(
                f"Got a tensor of layout {nested.layout}, nested: {nested.is_nested}; expected a nested tensor of layout "
                f"torch.jagged that is ragged along axis 1. Make it with torch.nested.nested_tensor(list, layout=torch.jagged)."
            )
        if nested.lengths() is not None:  # type: ignore[attr-defined]  # a view with holes (narrow): take the rows one by one
            return cls.from_list(list(nested.unbind()))
        return cls(nested.values(), nested.offsets().to("cpu", torch.int64))  # type: ignore[attr-defined]

    @property
    def lengths(self) -> Tensor:
        """Steps of each sequence: (num_sequences,) int64 on the CPU."""
        return self.offsets.diff()

    @property
    def num_sequences(self) -> int:
        """How many sequences, those of length zero included."""
        return len(self.offsets) - 1

    @property
    def total_steps(self) -> int:
        """How many steps all sequences have together."""
        return len(self.values)

    @property
    def is_uniform(self) -> bool:
        """True when all sequences have one length (also when there is none)."""
        lengths = self.lengths
        return bool((lengths == lengths[:1]).all())

    @property
    def sequence_index(self) -> Tensor:
        """For each step, the sequence that it belongs to: (total_steps,) int64 on the CPU."""
        return torch.repeat_interleave(self.lengths)

    @property
    def step_index(self) -> Tensor:
        """For each step, its place in its sequence, from 0: (total_steps,) int64 on the CPU."""
        return _places(self.lengths)[1]

    def __len__(self) -> int:
        return self.num_sequences

    def __getitem__(self, index: SupportsIndex) -> Tensor:
        """Sequence `index` alone, (length, *features), a view; negative counts from the end."""
        try:
            i = range(self.num_sequences)[index.__index__()]
        except (AttributeError, TypeError) as error:
            raise ShapeError(
                f"A Ragged was indexed with {index!r}; expected the number of one sequence. For several use ragged.only([0, 2])."
            ) from error
        except IndexError as error:
            raise IndexError(
                f"There is no sequence {index}; the batch has {self.num_sequences}, numbered from 0. Check with len(ragged)."
            ) from error
        return self.values[int(self.offsets[i]) : int(self.offsets[i + 1])]

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.to_list())

    def __repr__(self) -> str:
        features = "".join(f", {size}" for size in self.values.shape[1:])
        return (
            f"Ragged({self.num_sequences} sequences, lengths {_few(self.lengths)}, values ({self.total_steps}{features}) "
            f"{str(self.values.dtype).removeprefix('torch.')} on {self.values.device})"
        )

    def with_values(self, values: Tensor) -> "Ragged":
        """The same lengths around other values: (total_steps, *other_features)."""
        if torch.compiler.is_compiling() or values.dim() == 0 or values.shape[0] != self.values.shape[0]:
            return Ragged(values, self.offsets)
        fits = object.__new__(Ragged)  # these offsets were looked at when this one was made
        object.__setattr__(fits, "values", values)
        object.__setattr__(fits, "offsets", self.offsets)
        return fits

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Ragged":
        """The same sequences with the values on another device or of another dtype; offsets stay on the CPU."""
        return self.with_values(self.values.to(device=device, dtype=dtype))

    def only(self, indices: Indices) -> "Ragged":
        """The sequences of these numbers, in this order; a number may come twice.

        indices: one number, a list of numbers, an int64 tensor, or a bool tensor (num_sequences,).
        """
        chosen = torch.as_tensor(indices, device="cpu")
        chosen = chosen.nonzero()[:, 0] if chosen.dtype == torch.bool else chosen.to(torch.int64).reshape(-1)
        if len(chosen) and not -self.num_sequences <= int(chosen.min()) <= int(chosen.max()) < self.num_sequences:
            raise IndexError(
                f"Sequences {_few(chosen)} were asked for; the batch has {self.num_sequences}, numbered from 0. "
                f"Check with len(ragged)."
            )
        chosen = chosen.remainder(max(self.num_sequences, 1))
        lengths = self.lengths[chosen]
        sequence, step = _places(lengths)
        rows = self.offsets[chosen][sequence] + step
        return Ragged.from_lengths(self.values.index_select(0, rows.to(self.values.device)), lengths)

    def last(self) -> Tensor:
        """The values at the last step of each sequence: (num_sequences, *features); zeros for a sequence of length zero."""
        has_steps = self.lengths > 0
        if bool(has_steps.all()):
            return self.values.index_select(0, (self.offsets[1:] - 1).to(self.values.device))
        rows = (self.offsets[1:] - 1)[has_steps].to(self.values.device)
        empty = self.values.new_zeros((self.num_sequences, *self.values.shape[1:]))
        return empty.index_copy(0, has_steps.nonzero()[:, 0].to(rows.device), self.values.index_select(0, rows))

    def to_list(self) -> list[Tensor]:
        """One tensor (length, *features) per sequence; views."""
        return list(self.values.split(self.lengths.tolist())) if self.num_sequences else []  # type: ignore[no-untyped-call]

    def to_padded(self, value: float = 0.0) -> tuple[Tensor, Tensor]:
        """(num_sequences, longest, *features) with `value` after the end of each sequence, and the lengths (num_sequences,)."""
        lengths = self.lengths
        longest = int(lengths.max()) if len(lengths) else 0
        features = self.values.shape[1:]
        if self.is_uniform:
            return self.values.reshape(self.num_sequences, longest, *features), lengths
        sequence, step = _places(lengths)
        padded = self.values.new_full((self.num_sequences * longest, *features), value)
        padded = padded.index_copy(0, (sequence * longest + step).to(self.values.device), self.values)
        return padded.reshape(self.num_sequences, longest, *features), lengths

    def to_packed(self) -> PackedSequence:
        """A PackedSequence of torch, which knows no sequences of length zero: ShapeError when there is one."""
        lengths = self.lengths
        if len(lengths) == 0 or int(lengths.min()) == 0:
            raise ShapeError(
                f"The batch has {int((lengths == 0).sum())} sequences of length zero among {len(lengths)}; a PackedSequence must "
                f"have at least one sequence and none of length zero. Leave them out with ragged.only(ragged.lengths > 0)."
            )
        order = lengths.argsort(descending=True, stable=True)
        batch_sizes = live_sequences(lengths)
        _, rows = packed_rows(batch_sizes, order)
        device = self.values.device
        data = self.values.index_select(0, rows.argsort().to(device))
        return PackedSequence(data, batch_sizes, order.to(device), order.argsort().to(device))

    def to_nested(self) -> Tensor:
        """A nested tensor of torch, of layout torch.jagged, over the same values."""
        nested: Tensor = torch.nested.nested_tensor_from_jagged(self.values, self.offsets.to(self.values.device))
        return nested


def live_sequences(lengths: Tensor) -> Tensor:
    """At each tick from 0 to the longest, how many sequences still have a step: (longest,) int64."""
    if len(lengths) == 0:
        return lengths
    ended = torch.bincount(lengths)
    return len(lengths) - ended.cumsum(0)[:-1]


def packed_rows(batch_sizes: Tensor, order: Tensor | None) -> tuple[Tensor, Tensor]:
    """Where a packed batch keeps each step.

    batch_sizes: (longest,) int64, live sequences at each tick. order: (num_sequences,), the sequence at each packed place; None
        when they stand in their own order.
    Returns the lengths of the sequences in their own order, and for each step of the sequences one below the other the packed
    row, (total_steps,) int64.
    """
    batch_sizes = batch_sizes.cpu()
    num_sequences = int(batch_sizes[0]) if len(batch_sizes) else 0
    lengths = (batch_sizes[:, None] > torch.arange(num_sequences)).sum(0)
    place = torch.arange(num_sequences) if order is None else order.cpu().argsort()
    lengths = lengths[place]
    sequence, step = _places(lengths)
    tick_start = batch_sizes.cumsum(0) - batch_sizes
    return lengths, tick_start[step] + place[sequence]


def _places(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """For each step of sequences one below the other: its sequence and its place in that sequence."""
    sequence = torch.repeat_interleave(lengths)
    starts = lengths.cumsum(0) - lengths
    return sequence, torch.arange(len(sequence)) - starts[sequence]


def _few(numbers: Tensor) -> str:
    """Up to eight numbers for a message."""
    shown = ", ".join(str(number) for number in numbers[:8].tolist())
    return f"[{shown}, …]" if len(numbers) > 8 else f"[{shown}]"
