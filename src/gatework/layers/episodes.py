"""Episodes in a stream: where a flag says that a new one begins, the sequence is cut, and nothing crosses the cut.

An episode is a sequence of its own, so the engine needs nothing new: more sequences of fewer steps, over the same values.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatework.engine import DirectionTrace
from gatework.engine.untraced import untraced
from gatework.errors import ShapeError
from gatework.layers.inputs import Input, to_rows
from gatework.ragged import Ragged


@dataclass(frozen=True, eq=False)
class Episodes:
    """Which episodes the sequences of a batch are made of; all on the CPU.

    offsets: (num_episodes + 1,) int64; episode i is the steps offsets[i] to offsets[i + 1]. A sequence of length zero is one.
    first, last: (num_sequences,) int64, each sequence's first and last episode.
    keeps_initial: (num_sequences,) bool; False where the first step has a flag, so that the state before it is dropped.
    """

    offsets: Tensor
    first: Tensor
    last: Tensor
    keeps_initial: Tensor

    @classmethod
    def of(cls, offsets: Tensor, flags: Tensor) -> "Episodes":
        """The sequences of these offsets, cut where a flag stands.

        offsets: (num_sequences + 1,) int64. flags: (total_steps,) bool, one sequence below the other.
        """
        begins = torch.zeros(len(flags) + 1, dtype=torch.bool)
        begins[offsets] = True
        cuts = (flags & ~begins[:-1]).nonzero()[:, 0]
        bounds = torch.arange(len(offsets)) + torch.searchsorted(cuts, offsets)
        filled = (offsets.diff() > 0).nonzero()[:, 0]
        keeps_initial = torch.ones(len(offsets) - 1, dtype=torch.bool)
        keeps_initial[filled] = ~flags[offsets[filled]]
        return cls(torch.cat([offsets, cuts]).sort().values, bounds[:-1], bounds[1:] - 1, keeps_initial)

    def initial(self, states: dict[str, Tensor], num_directions: int) -> dict[str, Tensor]:
        """The initial states of the episodes: those given at the ends of the sequences, zeros at the cuts.

        states: (num_layers * num_directions, num_sequences, size) each. Returns (…, num_episodes, size) each.
        """
        kept = self.keeps_initial.nonzero()[:, 0]
        backwards = torch.arange(len(self.last))
        entered = [(kept, self.first[kept]), (backwards, self.last)][:num_directions]
        return {name: self._spread(state, entered) for name, state in states.items()}

    def _spread(self, state: Tensor, entered: list[tuple[Tensor, Tensor]]) -> Tensor:
        """entered: of each direction, sequences and the episodes which their states enter."""
        parts = []
        for direction, (sequences, episodes) in enumerate(entered):
            own = state[direction :: len(entered)].index_select(1, sequences.to(state.device))
            zeros = state.new_zeros((len(own), len(self.offsets) - 1, state.shape[-1]))
            parts.append(zeros.index_copy(1, episodes.to(state.device), own))
        return torch.stack(parts, dim=1).flatten(0, 1)

    def final(self, states: dict[str, Tensor], num_directions: int) -> dict[str, Tensor]:
        """The final states of the sequences, from those of the episodes: after the last step of each direction.

        states: (num_layers * num_directions, num_episodes, size) each. Returns (…, num_sequences, size) each.
        """
        left = [self.last, self.first][:num_directions]
        return {
            name: torch.stack(
                [state[i::num_directions].index_select(1, own.to(state.device)) for i, own in enumerate(left)], dim=1
            ).flatten(0, 1)
            for name, state in states.items()
        }


@untraced  # where to cut depends on numbers, which no graph knows
def find_episodes(resets: object, x: Input, sequences: Ragged, batch_first: bool) -> Episodes | None:
    """The episodes that the flags cut; None where no flag is set.

    resets: bool, one flag per step in the form of the input `x`. sequences: the steps of `x`.
    Raises ShapeError for flags of another form, shape or type.
    """
    given = as_one_feature(resets, x)
    flags = None if given is None else to_rows(given, batch_first).ragged().sequences
    if (
        flags is None
        or flags.values.dtype != torch.bool
        or flags.values.shape[1] != 1
        or not torch.equal(flags.offsets, sequences.offsets)
    ):
        wanted, cure = flags_in_words(x)
        raise ShapeError(
            f"resets is {in_words(resets)}; expected one flag per step, in the form of the input: {wanted}. "
            f"Convert it with .bool(), or lay it out like the input: {cure}."
        )
    on_cpu = flags.values[:, 0].cpu()
    return Episodes.of(sequences.offsets, on_cpu) if bool(on_cpu.any()) else None


def as_one_feature(resets: object, x: Input) -> Input | None:
    """The flags as an input of one feature; None when they are not of the form of `x`."""
    if isinstance(resets, Tensor) and isinstance(x, Tensor):
        return resets.unsqueeze(-1) if resets.dim() == x.dim() - 1 else None
    if isinstance(resets, Ragged) and isinstance(x, Ragged) and resets.values.dim() in (1, 2):
        return resets.with_values(resets.values.reshape(len(resets.values), *resets.values.shape[1:] or (1,)))
    if isinstance(resets, PackedSequence) and isinstance(x, PackedSequence) and resets.data.dim() in (1, 2):
        data = resets.data.reshape(len(resets.data), *resets.data.shape[1:] or (1,))
        return PackedSequence(data, resets.batch_sizes, resets.sorted_indices, resets.unsorted_indices)
    return None


def flags_in_words(x: Input) -> tuple[str, str]:
    """What the flags of an input must be, and how to make them."""
    if isinstance(x, Tensor):
        return f"torch.bool of shape {tuple(x.shape[:-1])}", "torch.zeros(x.shape[:-1], dtype=torch.bool)"
    if isinstance(x, Ragged):
        return f"a Ragged of the same lengths with torch.bool values of shape ({x.total_steps},)", "x.with_values(flags)"
    return (
        f"a PackedSequence of the same lengths with torch.bool data of shape ({len(x.data)},)",
        "pack the flags as the input was packed",
    )


def in_words(given: object) -> str:
    """What was given instead of flags."""
    if isinstance(given, Tensor):
        return f"{given.dtype} of shape {tuple(given.shape)}"
    if isinstance(given, PackedSequence):
        return f"a PackedSequence with {given.data.dtype} data of shape {tuple(given.data.shape)}"
    return repr(given) if isinstance(given, Ragged) else f"a {type(given).__name__}"


def rejoined(trace: DirectionTrace, x: Ragged) -> DirectionTrace:
    """A trace of episodes as one of the sequences that they were cut from."""
    whole: dict[str, Any] = {}  # whatever a trace holds by name; the rest has no offsets
    for field in fields(trace):
        parts = getattr(trace, field.name)
        if isinstance(parts, dict):
            whole[field.name] = {name: x.with_values(part.values) for name, part in parts.items()}
    return replace(trace, **whole)
