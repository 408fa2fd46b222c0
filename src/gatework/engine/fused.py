"""torch's own kernels, where they compute what the cell declares: oneDNN or plain operations on the CPU, cuDNN on the GPU."""

import warnings
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gatework.cells import Cell, gru, lstm, rnn, rnn_relu
from gatework.engine.chunks import has_long_chunks, run_chunks
from gatework.engine.records import LayerWeights, RowsResult
from gatework.engine.rows import DenseRows, PackedRows, RaggedRows, Rows

KERNELS = {lstm: torch.lstm, gru: torch.gru, rnn: torch.rnn_tanh, rnn_relu: torch.rnn_relu}
"""Keyed by the whole declaration, not by its name: a user's cell that is also called 'lstm' is not computed by this one."""


def why_not(cell: Cell, rows: Rows, weights: tuple[LayerWeights, ...]) -> str | None:
    """The reason why torch's kernels cannot run this layer, or None when they can."""
    if cell not in KERNELS:
        return f"torch has no kernel for the cell '{cell.name}'"
    if weights[0].projection is not None and cell != lstm:
        return f"torch has no kernel for the cell '{cell.name}' with a projection"
    if not rows.values.dtype.is_floating_point:
        return f"torch has no recurrent kernel for {rows.values.dtype}"
    if torch.is_autocast_enabled("cpu") and rows.values.device.type == "cpu" and cell == lstm:
        return "torch's LSTM fails under autocast on the CPU"  # oneDNN is handed two dtypes; drop when torch casts its states
    return None


def run(cell: Cell, rows: Rows, weights: tuple[LayerWeights, ...], initial: dict[str, Tensor]) -> RowsResult:
    """One layer, all its directions (backwards is the second).

    initial: per state (num_directions, num_sequences, size). Returns outputs in an order of memory that suits the kernel.
    """
    if rows.values.shape[:-1].numel() == 0:  # torch refuses a batch without steps
        outputs = rows.values.new_zeros((*rows.values.shape[:-1], len(weights) * weights[0].output_size))
        return RowsResult(rows.with_values(outputs), {name: state.clone() for name, state in initial.items()})
    if isinstance(rows, RaggedRows) and rows.sequences.is_uniform:
        rows = rows.dense()
    if weights[0].projection is None:
        return _run_kernel(cell, rows, weights, initial)
    with warnings.catch_warnings():
        # torch says once that its projections do not use oneDNN: nothing that the user could change.
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
        return _run_kernel(cell, rows, weights, initial)


def _run_kernel(cell: Cell, rows: Rows, weights: tuple[LayerWeights, ...], initial: dict[str, Tensor]) -> RowsResult:
    kernel = Kernel(cell, weights, _needs_gradient(rows.values, weights, initial))
    if isinstance(rows, DenseRows):
        outputs, finals = kernel(rows.values, tuple(initial[name].contiguous() for name in cell.states))
        return RowsResult(DenseRows(outputs), dict(zip(cell.states, finals, strict=True)))
    packed = rows.packed()
    order = packed.schedule.order.to(packed.values.device)
    states = tuple(initial[name].index_select(1, order) for name in cell.states)
    # cuDNN takes a packed batch whole; torch's CPU kernel goes through it tick by tick.
    in_chunks = packed.values.device.type == "cpu" and has_long_chunks(packed.schedule)
    outputs, finals = run_packed_in_chunks(kernel, packed, states) if in_chunks else kernel.packed(packed, states)
    # A sequence of length zero is not in the schedule: its final state is its initial state.
    by_name = {name: initial[name].to(final).index_copy(1, order, final) for name, final in zip(cell.states, finals, strict=True)}
    return RowsResult(packed.with_values(outputs), by_name)


@dataclass(frozen=True)
class Kernel:
    """torch's function for one layer. keep: True when a backward pass can follow, so that the gates are kept."""

    cell: Cell
    weights: tuple[LayerWeights, ...]
    keep: bool

    def __call__(self, values: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor]]:
        """A dense batch: values (steps, num_sequences, size), states (num_directions, num_sequences, …)."""
        hidden = states if len(states) > 1 else states[0]
        outputs, *finals = KERNELS[self.cell](values, hidden, _flat(self.weights), *self._options(), False)  # type: ignore[operator]
        return outputs, finals

    def packed(self, rows: PackedRows, states: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor]]:
        """A packed batch; states in packed places."""
        hidden = states if len(states) > 1 else states[0]
        sizes, weights = rows.schedule.batch_sizes, _flat(self.weights)
        outputs, *finals = KERNELS[self.cell](rows.values, sizes, hidden, weights, *self._options())  # type: ignore[operator]
        return outputs, finals

    def _options(self) -> tuple[bool, int, float, bool, bool]:
        """Bias, layers, dropout, training, bidirectional."""
        return self.weights[0].input_bias is not None, 1, 0.0, self.keep, len(self.weights) == 2


def run_packed_in_chunks(kernel: Kernel, rows: PackedRows, states: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor]]:
    """A packed batch in dense pieces, one direction after the other."""
    outputs, finals = [], []
    for direction, weights in enumerate(kernel.weights):
        one, start = replace(kernel, weights=(weights,)), tuple(state[direction : direction + 1] for state in states)
        values = rows.values.index_select(0, rows.schedule.reverse) if direction == 1 else rows.values
        output, final = run_chunks(values, rows.schedule, start, one)
        outputs.append(output.index_select(0, rows.schedule.reverse) if direction == 1 else output)
        finals.append(final)
    if len(outputs) == 1:
        return outputs[0], finals[0]
    return torch.cat(outputs, dim=-1), [torch.cat(both) for both in zip(*finals, strict=True)]


def _flat(weights: tuple[LayerWeights, ...]) -> list[Tensor]:
    """The weights of all directions, in torch's order."""
    return [tensor for direction in weights for tensor in direction.tensors()]


def _needs_gradient(values: Tensor, weights: tuple[LayerWeights, ...], initial: dict[str, Tensor]) -> bool:
    """True when a backward pass can follow, so that the kernel must keep its gates."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (values, *_flat(weights), *initial.values()))


def lay_out(cell: Cell, weights: tuple[LayerWeights, ...]) -> None:
    """Lays the weights of one layer out in one piece, as cuDNN wants them; nothing where cuDNN does not run.

    The parameters keep their values and identity, only their memory moves; as torch.nn.LSTM.flatten_parameters does.
    """
    tensors = _flat(weights)
    first = tensors[0]
    if cell not in KERNELS or not first.is_cuda or not torch.backends.cudnn.is_acceptable(first):  # type: ignore[no-untyped-call]
        return
    if len({(tensor.dtype, tensor.device) for tensor in tensors}) > 1 or not torch._use_cudnn_rnn_flatten_weight():
        return
    if len({tensor.data_ptr() for tensor in tensors}) < len(tensors):
        return  # shared memory cannot be laid out twice
    modes = {lstm: "LSTM", gru: "GRU", rnn: "RNN_TANH", rnn_relu: "RNN_RELU"}
    from torch.backends.cudnn import rnn as cudnn_rnn

    hidden_size = weights[0].recurrent.shape[0] // len(cell.gates)
    projected = 0 if weights[0].projection is None else weights[0].output_size
    with torch.cuda.device_of(first), torch.no_grad():  # type: ignore[no-untyped-call]
        torch._cudnn_rnn_flatten_weight(
            tensors,
            len(tensors) // len(weights),
            weights[0].input.shape[1],
            cudnn_rnn.get_cudnn_mode(modes[cell]),  # type: ignore[no-untyped-call]
            hidden_size,
            projected,
            1,
            False,
            len(weights) == 2,
        )
