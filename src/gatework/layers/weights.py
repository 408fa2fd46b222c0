"""The parameters of one direction of one layer: names, shapes, and how they become the weights that an engine takes.

Mostly a parameter is the weight. But a gate that the cells of a block share has one row for each block, a gate without a
recurrent product has no rows in `weight_hh`, and of a block-diagonal matrix there are the blocks alone. These are made whole
before an engine sees them, by operations that autograd goes back through: the gradient of a shared row is the sum over its cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gatework.cells import Cell
from gatework.engine import LayerWeights

Shapes = dict[str, tuple[str, tuple[int, ...]]]
"""Name and shape of each parameter by the field of LayerWeights; `unit NAME` and `matrix NAME` for those of a dictionary."""


@dataclass(frozen=True)
class WeightForm:
    """output_size: units of `h`. cells_per_block: cells that share the cell's shared gates. recurrent_blocks: blocks on the
    diagonal of each recurrent matrix; units of different blocks do not see each other through it.
    """

    cell: Cell
    hidden_size: int
    output_size: int
    cells_per_block: int = 1
    recurrent_blocks: int = 1

    def input_rows(self) -> dict[str, int]:
        """Rows of each gate in `weight_ih` and `bias_ih`."""
        per_block = self.hidden_size // self.cells_per_block
        return {gate: per_block if gate in self.cell.shared_gates else self.hidden_size for gate in self.cell.gates}

    def recurrent_rows(self) -> dict[str, int]:
        """Rows of each gate in `weight_hh` and `bias_hh`."""
        return {gate: rows if gate in self.cell.recurrent_gates else 0 for gate, rows in self.input_rows().items()}

    @cached_property
    def is_plain(self) -> bool:
        """Whether every parameter is an engine's weight as it is."""
        full = len(self.cell.gates) * self.hidden_size
        return self.recurrent_blocks == 1 and sum(self.recurrent_rows().values()) == full

    def shapes(self, input_size: int, bias: bool) -> Shapes:
        """The parameters, in torch's order where torch has them. input_size: columns that go into the gates."""
        of_x, of_h = sum(self.input_rows().values()), sum(self.recurrent_rows().values())
        shapes: Shapes = {
            "input": ("weight_ih", (of_x, input_size)),
            "recurrent": ("weight_hh", (of_h, self.output_size // self.recurrent_blocks)),
        }
        if bias:
            shapes |= {"input_bias": ("bias_ih", (of_x,)), "recurrent_bias": ("bias_hh", (of_h,))}
        if self.output_size != self.hidden_size:
            shapes["projection"] = ("weight_hr", (self.output_size, self.hidden_size))
        for name in self.cell.unit_weights:
            shapes[f"unit {name}"] = (f"unit_{name}", (self.hidden_size,))
        for name in self.cell.matrices:
            shapes[f"matrix {name}"] = (f"weight_{name}", (self.hidden_size, self.hidden_size // self.recurrent_blocks))
        return shapes

    def whole(self, parameters: Mapping[str, Tensor]) -> LayerWeights:
        """An engine's weights from the parameters by field."""
        plain = dict(parameters)
        unit = {name: plain.pop(f"unit {name}") for name in self.cell.unit_weights}
        matrices = {name: plain.pop(f"matrix {name}") for name in self.cell.matrices}
        if not self.is_plain:
            self._fill(plain)
            matrices = {name: self._joined(matrix) for name, matrix in matrices.items()}
        return LayerWeights(**plain, unit=unit, matrices=matrices)

    def _fill(self, weights: dict[str, Tensor]) -> None:
        """Every unit's own row in each of the weights of gates."""
        for field, rows in (("input", self.input_rows()), ("recurrent", self.recurrent_rows())):
            for name in (field, f"{field}_bias"):
                if name in weights:
                    weights[name] = every_unit(weights[name], list(rows.values()), self.hidden_size)
        weights["recurrent"] = self._joined(weights["recurrent"])

    def _joined(self, matrix: Tensor) -> Tensor:
        return matrix if self.recurrent_blocks == 1 else block_diagonal(matrix, self.hidden_size, self.recurrent_blocks)

    def start(self, parameters: Mapping[str, Tensor]) -> None:
        """Sets in place what the cell starts in a way of its own: unit weights, the biases of gates. Call without gradients."""
        for name, value in self.cell.unit_start.items():
            if isinstance(value, tuple):
                parameters[f"unit {name}"].uniform_(*value)
            else:
                parameters[f"unit {name}"].fill_(value)
        for field, rows in (("input_bias", self.input_rows()), ("recurrent_bias", self.recurrent_rows())):
            if field not in parameters:
                continue
            by_gate = dict(zip(rows, torch.split(parameters[field], list(rows.values())), strict=True))
            for gate, value in self.cell.initial_bias.items():
                by_gate[gate].fill_(value if field == "input_bias" else 0.0)


def every_unit(weight: Tensor, rows: list[int], hidden_size: int) -> Tensor:
    """The rows of each gate (sum of rows, …) as (num_gates * hidden_size, …): a shared row stands once for each of its units,
    a gate without rows is zero.
    """
    parts = []
    for part, count in zip(torch.split(weight, rows), rows, strict=True):
        if count == hidden_size:
            parts.append(part)
        elif count == 0:
            parts.append(part.new_zeros(hidden_size, *part.shape[1:]))
        else:
            parts.append(part.repeat_interleave(hidden_size // count, dim=0))
    return torch.cat(parts)


def block_diagonal(weight: Tensor, hidden_size: int, count: int) -> Tensor:
    """Each gate's blocks put on its diagonal, zeros elsewhere: (num_gates * hidden_size, columns / count) → (…, columns)."""
    blocks = weight.reshape(-1, count, hidden_size // count, 1, weight.shape[1])
    is_own = torch.eye(count, dtype=torch.bool, device=weight.device).view(1, count, 1, count, 1)
    # chosen, not multiplied by 0: a weight that is not finite must not make others NaN
    return torch.where(is_own, blocks, blocks.new_zeros(())).reshape(weight.shape[0], -1)
