"""A custom cell without our compiler: torch operations step by step, eager and through torch.compile. One training step each."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from gatework.cells import Cell, Names
from gatework.engine.choose import BACKENDS
from gatework.engine.rows import DenseRows
from gatework.layers.stack import RecurrentStack
from lstm_pair import Gradients

Steps = Callable[..., tuple[Tensor, dict[str, Tensor]]]
"""Some steps of a cell: outputs, and the states after them."""

COMPILED_STEPS = 10
"""Steps that torch.compile sees at once; a loop in Python goes over such chunks.

One step at a time took 1.7 times as long; the whole sequence at once compiles for minutes.
"""


def eager_trainer(layer: RecurrentStack, x: Tensor, gradient: Tensor) -> Gradients:
    """The cell's equations on tensors, autograd; the gradients of the input and of every parameter."""
    parameters = list(layer.parameters())

    def run() -> tuple[Tensor, ...]:
        initial = {name: torch.zeros(1, x.shape[1], layer.hidden_size) for name in layer.cell.states}
        outputs = BACKENDS[-1].run(layer.cell, DenseRows(x), layer._weights(0), initial).outputs.values
        return torch.autograd.grad(outputs, [x, *parameters], gradient)

    return run


def compiled_steps(cell: Cell) -> Steps:
    """COMPILED_STEPS steps of a cell through torch.compile; compiled at the first call. Forgets those of the cell before."""
    # compiled code is kept by the line that it was written in, for a few cells only; then torch refuses to go on
    torch.compiler.reset()
    compiled: Steps = torch.compile(unrolled(cell), fullgraph=True, dynamic=False)
    return compiled


def torch_compiled_trainer(few_steps: Steps, layer: RecurrentStack, x: Tensor, gradient: Tensor) -> Gradients:
    """The same with compiled steps; the input's product of all steps comes first, in one piece."""
    parameters, cell = list(layer.parameters()), layer.cell

    def run() -> tuple[Tensor, ...]:
        weights = layer._weights(0)[0]
        states = {name: torch.zeros(x.shape[1], layer.hidden_size) for name in cell.states}
        outputs = []
        for input_sums in torch.split(linear(x, weights.input, weights.input_bias), COMPILED_STEPS):
            output, states = few_steps(input_sums, states, weights.recurrent, weights.recurrent_bias, weights.unit)
            outputs.append(output)
        return torch.autograd.grad(torch.cat(outputs), [x, *parameters], gradient)

    return run


def unrolled(cell: Cell) -> Steps:
    """A function of some steps of a cell: outputs (steps, num_sequences, hidden_size), and the states after them."""

    def by_gate(sums: Tensor) -> Names:
        return Names("gate", dict(zip(cell.gates, sums.chunk(len(cell.gates), dim=-1), strict=True)))

    def few_steps(
        input_sums: Tensor, states: dict[str, Tensor], recurrent: Tensor, bias: Tensor | None, unit: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        outputs = []
        for x in input_sums:
            r = linear(states["h"], recurrent, bias)
            new: Mapping[str, Any] = cell.step(by_gate(x), by_gate(r), Names("state", states), Names("unit weight", unit))
            states = dict(new)
            outputs.append(states["h"])
        return torch.stack(outputs), states

    return few_steps
