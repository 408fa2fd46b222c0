"""What goes into one layer and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from gatework.engine.rows import Rows
from gatework.ragged import Ragged


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """The weights of one direction of one layer; blocks in the order of the cell's gates.

    input: (num_gates * hidden_size, input_size), without columns for the cell's inputs that bypass the gates.
    recurrent: (num_gates * hidden_size, output_size).
    input_bias, recurrent_bias: (num_gates * hidden_size,) each, or both None.
    projection: (output_size, hidden_size), or None where output_size is hidden_size.
    unit: (hidden_size,) for each of the cell's unit weights. matrices: (hidden_size, hidden_size) for each of its matrices.
    """

    input: Tensor
    recurrent: Tensor
    input_bias: Tensor | None = None
    recurrent_bias: Tensor | None = None
    projection: Tensor | None = None
    unit: Mapping[str, Tensor] = field(default_factory=dict)
    matrices: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def output_size(self) -> int:
        """Units of `h`: hidden_size, or less with a projection."""
        return self.recurrent.shape[1]

    def tensors(self) -> list[Tensor]:
        """Those that are there, in the order in which torch's kernels take them; then unit weights, then matrices."""
        named = (self.input, self.recurrent, self.input_bias, self.recurrent_bias, self.projection)
        return [*(tensor for tensor in named if tensor is not None), *self.unit.values(), *self.matrices.values()]


@dataclass(frozen=True, eq=False)
class LayerResult:
    """What one layer gives.

    outputs: values (total_steps, num_directions * output_size), directions side by side.
    finals: per direction, each state after the last step of its direction, (num_sequences, size); the initial state for a
        sequence of length zero.
    """

    outputs: Ragged
    finals: tuple[dict[str, Tensor], ...]


@dataclass(frozen=True, eq=False)
class RowsResult:
    """What a backend gives: the same as LayerResult in the memory order of the rows.

    finals: per state (num_directions, num_sequences, size).
    """

    outputs: Rows
    finals: dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class DirectionTrace:
    """Everything that one direction computed; each Ragged has values (total_steps, size), in the steps' own order.

    states: each state after each step, `h` after the projection where there is one.
    input_sums, recurrent_sums: per gate, what the input and the recurrence add before the nonlinearity, biases included.
    gates, preacts: per gate, after and before its nonlinearity; two different things under two names. Empty where the reference
    traced.
    sigmoids: every sigmoid of the equations, (total_steps, hidden_size).
    States, gates and (as NAME_preact) preactivations are attributes, too: `trace.layer(0).forget`, `.forget_preact`, `.c`.
    """

    states: dict[str, Ragged]
    input_sums: dict[str, Ragged]
    recurrent_sums: dict[str, Ragged]
    gates: dict[str, Ragged] = field(default_factory=dict)
    preacts: dict[str, Ragged] = field(default_factory=dict)
    sigmoids: tuple[Tensor, ...] = ()

    def __getattr__(self, name: str) -> Ragged:
        """Called only for a name that is no field."""
        named = {**self.states, **self.gates, **{f"{gate}_preact": value for gate, value in self.preacts.items()}}
        if name not in named:
            raise AttributeError(f"The trace has no '{name}'; it has {', '.join(named)}. Correct the name.")
        return named[name]
