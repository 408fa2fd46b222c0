"""RecurrentStack: layers of one cell, in one or two directions, with torch's parameter names and initialisation."""

import math
import warnings
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from gatework.cells import Cell
from gatework.cells.zoneout import with_expectation, with_masks
from gatework.engine import (
    DirectionTrace,
    LayerWeights,
    RaggedRows,
    Rows,
    RowsResult,
    lay_out,
    run_rows,
    trace_layer,
    why_not_compiled,
)
from gatework.errors import ConfigError, ShapeError
from gatework.layers.episodes import find_episodes, rejoined
from gatework.layers.inputs import Input, States, check_states, check_values, from_rows, to_rows
from gatework.layers.options import StackOptions, check_options
from gatework.layers.ready import ready_results
from gatework.layers.stream import Stream
from gatework.layers.weights import WeightForm
from gatework.ragged import Ragged


@dataclass(frozen=True, eq=False)
class Trace:
    """What a stack computed at every step, by layer and direction."""

    directions: tuple[tuple[DirectionTrace, ...], ...]

    def layer(self, index: int, direction: int = 0) -> DirectionTrace:
        """One direction of one layer; direction 1 runs backwards."""
        return self.directions[index][direction]


class RecurrentStack(nn.Module):
    """Recurrent layers of any cell; LSTM, GRU, RNN and Recurrent are this with their constructors.

    Input: (steps, batch, input_size), (batch, steps, input_size) with batch_first, (steps, input_size), a PackedSequence or a
    Ragged; the output comes in the same form. States: (num_layers * num_directions, batch, size); for a Ragged, the batch are its
    sequences, each with its own initial and final state.
    """

    def __init__(self, cell: Cell, options: StackOptions) -> None:
        super().__init__()
        check_options(cell, options)
        self.cell = cell
        self.input_size, self.hidden_size, self.num_layers = options.input_size, options.hidden_size, options.num_layers
        self.bias, self.batch_first, self.bidirectional = options.bias, options.batch_first, options.bidirectional
        self.dropout, self.proj_size = float(options.dropout), options.proj_size
        if self.dropout > 0 and self.num_layers == 1:
            warnings.warn(
                f"dropout={options.dropout} works between layers and num_layers is 1, so nothing is dropped. "
                f"Use num_layers of 2 or more, or nn.Dropout after this layer.",
                stacklevel=3,
            )
        self.cells_per_block, self.recurrent_blocks = options.cells_per_block, options.recurrent_blocks
        self.zoneout = float(options.zoneout)
        self._form = WeightForm(cell, self.hidden_size, self.output_size, self.cells_per_block, self.recurrent_blocks)
        self._weight_names: list[list[dict[str, str]]] = []
        for layer in range(self.num_layers):
            self._weight_names.append([self._register(layer, i, options) for i in range(self.num_directions)])
        self.reset_parameters()
        self.flatten_parameters()

    @property
    def num_directions(self) -> int:
        """2 when bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Units of `h` in one direction."""
        return self.proj_size or self.hidden_size

    @property
    def expected_cell(self) -> Cell:
        """What is computed outside of training: the cell, with zoneout its expectation."""
        return with_expectation(self.cell, self.zoneout) if self.zoneout else self.cell

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters of each layer and direction, as torch lists them."""
        return [[getattr(self, name) for name in names.values()] for layer in self._weight_names for names in layer]

    def _register(self, layer: int, direction: int, options: StackOptions) -> dict[str, str]:
        """Makes the parameters of one direction of one layer; their names by the fields of LayerWeights."""
        of_first = self.input_size - self.cell.bypassing(self.hidden_size)
        input_size = of_first if layer == 0 else self.output_size * self.num_directions
        shapes = self._form.shapes(input_size, self.bias)
        suffix = f"_l{layer}{'_reverse' if direction == 1 else ''}"
        for name, shape in shapes.values():
            self.register_parameter(name + suffix, nn.Parameter(torch.empty(shape, device=options.device, dtype=options.dtype)))
        return {field: name + suffix for field, (name, _) in shapes.items()}

    def reset_parameters(self) -> None:
        """Draws every parameter from U(-1/√hidden_size, 1/√hidden_size), in torch's order; then the cell's initial biases."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)
        with torch.no_grad():
            for names in (names for layer in self._weight_names for names in layer):
                self._form.start({field: getattr(self, name) for field, name in names.items()})

    def flatten_parameters(self) -> None:
        """Lays the weights out as cuDNN wants them; nothing on the CPU. Called after every move of the module."""
        if self._form.is_plain:
            for layer in range(self.num_layers):
                lay_out(self.cell, self._weights(layer))

    def _apply(self, fn, recurse: bool = True):  # type: ignore[no-untyped-def]
        moved = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.flatten_parameters()
        return moved

    def _weights(self, layer: int) -> tuple[LayerWeights, ...]:
        """The weights of one layer, read anew at each call, so that parametrizations and functional_call are seen."""
        return tuple(self._direction_weights(names) for names in self._weight_names[layer])

    def _direction_weights(self, names: dict[str, str]) -> LayerWeights:
        # A parametrized weight is a property and not in _parameters; the dictionary is the quick way for all others.
        own = self._parameters
        found: dict[str, Tensor] = {}
        for field, name in names.items():
            weight = own.get(name)
            found[field] = getattr(self, name) if weight is None else weight
        return self._form.whole(found)

    def forward(self, x: Input, hx: States | None = None, *, resets: Input | None = None) -> tuple[Input, States]:
        """Outputs of the last layer in the form of the input, and the final states as torch returns them.

        hx: initial states, h_0 or (h_0, c_0), each (num_layers * num_directions, batch, size); zeros when left out.
        resets: bool, one per step in the form of the input without its last axis. Where True, a new episode begins: the states
            before this step are zeros, and backwards those after it; no value and no gradient crosses.
        Raises ShapeError for an input, states or flags of another shape, type or device.
        """
        if hx is None and resets is None and not torch.compiler.is_compiling():
            found = ready_results(self, x)
            if found is not None:
                return found[0], found[1] if len(found[1]) > 1 else found[1][0]
        rows = to_rows(x, self.batch_first)
        is_batched = not (isinstance(x, Tensor) and x.dim() == 2)
        states = self._initial(rows, hx, is_batched)
        run = self._run if resets is None else partial(self._run_episodes, resets, x)
        outputs, finals = run(rows, states)
        if not is_batched:
            finals = {name: state.squeeze(1) for name, state in finals.items()}
        returned = tuple(finals[name] for name in self.cell.states)
        return from_rows(rows.like(outputs), x, self.batch_first), returned if len(returned) > 1 else returned[0]

    def _initial(self, rows: Rows, hx: object, is_batched: bool) -> dict[str, Tensor]:
        """The checked initial states, (num_layers * num_directions, num_sequences, size) each; also checks the input."""
        values = rows.values
        first = self._weight_names[0][0]["input"]
        weight = self._parameters.get(first)
        check_values(values, self.input_size, getattr(self, first) if weight is None else weight)
        count, num_sequences = self.num_layers * self.num_directions, rows.num_sequences
        sizes = [self.output_size if name == "h" else self.hidden_size for name in self.cell.states]
        if hx is None:
            zeros = {
                size: values.new_zeros((count, num_sequences, size)) for size in set(sizes)
            }  # read only: states may share them
            return {name: zeros[size] for name, size in zip(self.cell.states, sizes, strict=True)}
        shapes = [(count, num_sequences, size) if is_batched else (count, size) for size in sizes]
        states = check_states(hx, self.cell.states, shapes, values)
        return states if is_batched else {name: state.unsqueeze(1) for name, state in states.items()}

    def _run(self, rows: Rows, states: dict[str, Tensor]) -> tuple[Rows, dict[str, Tensor]]:
        """All layers, one after the other."""
        if self.num_layers == 1:
            result = self._run_layer(0, rows, states)
            return result.outputs, result.finals
        finals, given = [], rows
        for layer in range(self.num_layers):
            own = {name: state[layer * self.num_directions :][: self.num_directions] for name, state in states.items()}
            result = self._run_layer(layer, rows, own)
            finals.append(result.finals)
            if self.training and self.dropout > 0 and layer < self.num_layers - 1:
                # The same call on the same shape and in the same order as torch's own layers make: one seed, one mask.
                outputs = rows.like(result.outputs)
                rows = outputs.with_values(torch.dropout(outputs.values, self.dropout, True))
            else:
                rows = result.outputs
            if layer < self.num_layers - 1:
                rows = self._with_inputs(rows, given)
        return rows, {name: torch.cat([final[name] for final in finals]) for name in states}

    def _run_layer(self, layer: int, rows: Rows, states: dict[str, Tensor]) -> RowsResult:
        """One layer. In training with zoneout every unit, step and state has a mask of its own, which both directions share."""
        if not (self.training and self.zoneout):
            return run_rows(self.expected_cell, rows, self._weights(layer), states)
        masks = rows.values.new_empty(*rows.values.shape[:-1], len(states) * self.hidden_size).bernoulli_(self.zoneout)
        masked = rows.with_values(torch.cat([rows.values, masks], dim=-1))
        return run_rows(with_masks(self.cell), masked, self._weights(layer), states)

    def _with_inputs(self, outputs: Rows, given: Rows) -> Rows:
        """What the next layer reads: the outputs of a layer, with the inputs that bypass the gates behind them as in `given`."""
        count = self.cell.bypassing(self.hidden_size)
        if not count:
            return outputs
        bypassing = given.values[..., given.values.shape[-1] - count :]
        return given.with_values(torch.cat([given.like(outputs).values, bypassing], dim=-1))

    def _run_episodes(self, resets: Input, x: Input, rows: Rows, states: dict[str, Tensor]) -> tuple[Rows, dict[str, Tensor]]:
        """All layers on the episodes that the flags cut; every layer begins anew at the same steps."""
        steps = rows.ragged()
        episodes = find_episodes(resets, x, steps.sequences, self.batch_first)
        if episodes is None:
            return self._run(rows, states)
        cut = RaggedRows(Ragged(steps.values, episodes.offsets))
        outputs, finals = self._run(cut, episodes.initial(states, self.num_directions))
        return steps.with_values(outputs.ragged().values), episodes.final(finals, self.num_directions)

    def trace(self, x: Ragged, hx: States | None = None, *, resets: Ragged | None = None) -> Trace:
        """Every state and gate sum at every step of every layer, without dropout.

        x: values (total_steps, input_size). hx, resets: as in forward.
        """
        if not isinstance(x, Ragged):
            raise ShapeError(f"trace got a {type(x).__name__}; expected a Ragged. Wrap one sequence with Ragged.one(x).")
        states = self._initial(to_rows(x, self.batch_first), hx, is_batched=True)
        whole, episodes = x, None if resets is None else find_episodes(resets, x, x, self.batch_first)
        if episodes is not None:
            x, states = Ragged(x.values, episodes.offsets), episodes.initial(states, self.num_directions)
        traced = []
        for layer in range(self.num_layers):
            first = layer * self.num_directions
            initial = tuple({name: state[first + i] for name, state in states.items()} for i in range(self.num_directions))
            directions = trace_layer(self.expected_cell, x, self._weights(layer), initial)
            outputs = RaggedRows(x.with_values(torch.cat([direction.states["h"].values for direction in directions], dim=-1)))
            x = self._with_inputs(outputs, RaggedRows(x)).ragged().sequences
            traced.append(directions if episodes is None else tuple(rejoined(direction, whole) for direction in directions))
        return Trace(tuple(traced))

    def stream(self, batch: int | None = None) -> Stream:
        """The layer one step at a time, from zero states, with its weights as they are now; see Stream.

        batch: sequences that go on together; None: one, and steps without a batch axis.
        Raises ConfigError where the future would have to be known (bidirectional) or there is no compiled kernel.
        """
        if self.bidirectional:
            raise ConfigError(
                "A bidirectional layer cannot be streamed: its second direction begins at the end of the sequence. "
                "Expected one direction. Make the layer with bidirectional=False."
            )
        weights = [self._weights(layer)[0] for layer in range(self.num_layers)]
        reason = why_not_compiled(self.expected_cell, weights[0])
        if reason is not None:
            raise ConfigError(f"This layer cannot be streamed: {reason}. Expected a layer that the compiled engine computes.")
        return Stream(self.expected_cell, weights, batch)

    def extra_repr(self) -> str:
        """The arguments that differ from their defaults, as torch writes them."""
        text = f"{self.input_size}, {self.hidden_size}"
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        defaults |= {"cells_per_block": 1, "recurrent_blocks": 1, "zoneout": 0.0}
        for name, default in defaults.items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text
