"""HOW a cell is computed. The seam: everything above calls these functions and does not know which backend runs.

`run_layer` computes one layer, all its directions, on sequences of any lengths; `run_rows` is the same for a batch in any of the
three memory orders of `rows.py` (the layers use it, so that dense and packed input is never gathered); `trace_layer` gives every
state and every gate sum at every step.
"""

from torch import Tensor, stack

from gatework.cells import Cell
from gatework.engine.choose import BACKENDS, Backend, Choice, choose, warn_if_slow
from gatework.engine.cpu.backend import why_not_compiled
from gatework.engine.cpu.ready import ReadyLayer
from gatework.engine.cpu.stream import LayerStream
from gatework.engine.fused import lay_out
from gatework.engine.records import DirectionTrace, LayerResult, LayerWeights, RowsResult
from gatework.engine.rows import DenseRows, PackedRows, RaggedRows, Rows, Schedule
from gatework.engine.trace import trace_layer
from gatework.ragged import Ragged


def run_layer(cell: Cell, x: Ragged, weights: tuple[LayerWeights, ...], initial: tuple[dict[str, Tensor], ...]) -> LayerResult:
    """One layer on sequences of any lengths.

    x: values (total_steps, input_size). weights: one per direction, the second runs backwards.
    initial: per direction, each state (num_sequences, size).
    """
    stacked = {name: stack([direction[name] for direction in initial]) for name in cell.states}
    result = run_rows(cell, RaggedRows(x), weights, stacked)
    finals = tuple({name: final[i] for name, final in result.finals.items()} for i in range(len(weights)))
    return LayerResult(result.outputs.ragged().sequences, finals)


def run_rows(cell: Cell, rows: Rows, weights: tuple[LayerWeights, ...], initial: dict[str, Tensor]) -> RowsResult:
    """One layer on a batch in any memory order; the outputs may come in another one (`rows.like(outputs)` brings them back).

    initial: per state (num_directions, num_sequences, size).
    """
    choice = choose(cell, rows, weights)
    warn_if_slow(choice)
    return choice.backend.run(cell, rows, weights, initial)


__all__ = [
    "BACKENDS", "Backend", "Choice", "DenseRows", "DirectionTrace", "LayerResult", "LayerStream", "LayerWeights",
    "PackedRows", "RaggedRows", "ReadyLayer", "Rows", "RowsResult", "Schedule", "choose", "lay_out", "run_layer", "run_rows",
    "trace_layer", "why_not_compiled",
]  # fmt: skip
