"""What a recurrent layer may be given, brought into rows and checked; and the way back."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatework.engine import DenseRows, PackedRows, RaggedRows, Rows, Schedule
from gatework.errors import ShapeError
from gatework.ragged import Ragged

Input = Tensor | PackedSequence | Ragged
States = Tensor | tuple[Tensor, ...]


def to_rows(x: Input, batch_first: bool) -> Rows:
    """The input's steps where they lie in memory; nothing is copied."""
    if isinstance(x, Ragged):
        if x.values.dim() != 2:
            raise ShapeError(
                f"The Ragged input has values of shape {tuple(x.values.shape)}; expected (total_steps, input_size). "
                f"Flatten the features of each step, e.g. x.with_values(x.values.flatten(1))."
            )
        return RaggedRows(x)
    if isinstance(x, PackedSequence):
        if x.data.dim() != 2:
            raise ShapeError(
                f"The PackedSequence has data of shape {tuple(x.data.shape)}; expected (total_steps, input_size). "
                f"Flatten the features of each step before packing."
            )
        return PackedRows(x.data, Schedule.of_packed(x))
    if not isinstance(x, Tensor) or x.dim() not in (2, 3):
        given = f"a tensor of shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
        batch = "(batch, steps, size)" if batch_first else "(steps, batch, size)"
        raise ShapeError(
            f"The input is {given}; expected {batch}, (steps, size) for one sequence, a PackedSequence or a Ragged. "
            f"Add or remove an axis, or use Ragged.from_list."
        )
    if x.dim() == 2:
        return DenseRows(x.unsqueeze(1))
    return DenseRows(x.transpose(0, 1) if batch_first else x)


def from_rows(rows: Rows, x: Input, batch_first: bool) -> Input:
    """The outputs in the form of the input `x`; `rows` in its memory order."""
    if isinstance(rows, RaggedRows):
        return rows.sequences
    if isinstance(x, PackedSequence):
        return PackedSequence(rows.values, x.batch_sizes, x.sorted_indices, x.unsorted_indices)
    if isinstance(x, Tensor) and x.dim() == 2:
        return rows.values.squeeze(1)
    return rows.values.transpose(0, 1) if batch_first else rows.values


def check_values(values: Tensor, input_size: int, weight: Tensor) -> None:
    """ShapeError unless the input has the layer's size, dtype and device (under autocast the dtype may differ)."""
    if values.shape[-1] != input_size:
        raise ShapeError(
            f"The input has {values.shape[-1]} features at each step; this layer has input_size={input_size}. "
            f"Give {input_size} features or make the layer with input_size={values.shape[-1]}."
        )
    if values.dtype != weight.dtype and not torch.is_autocast_enabled(values.device.type):
        raise ShapeError(
            f"The input is {values.dtype}, the layer's weights are {weight.dtype}; expected one dtype. "
            f"Convert the input with .to({weight.dtype}) or the layer with .to({values.dtype})."
        )
    if values.device != weight.device:
        raise ShapeError(
            f"The input is on {values.device}, the layer's weights are on {weight.device}; expected one device. "
            f"Move the input with .to('{weight.device}') or the layer with .to('{values.device}')."
        )


def check_states(hx: object, names: Sequence[str], shapes: Sequence[tuple[int, ...]], values: Tensor) -> dict[str, Tensor]:
    """The initial states by name, each of its shape; ShapeError otherwise.

    hx: one tensor where the cell has one state, else a tuple of them. shapes: (num_layers * num_directions, batch, size), the
        batch axis missing for one sequence without batch.
    """
    given: tuple[object, ...] = tuple(hx) if isinstance(hx, tuple | list) else (hx,)
    if len(given) != len(names) or not all(isinstance(state, Tensor) for state in given):
        found = f"{len(given)} ({', '.join(type(state).__name__ for state in given)})"
        wanted = "one tensor" if len(names) == 1 else "a tuple of tensors"
        raise ShapeError(
            f"The initial state hx holds {found}; this cell has the states {', '.join(names)}. "
            f"Give {wanted}: hx={names[0] + '_0' if len(names) == 1 else '(' + ', '.join(name + '_0' for name in names) + ')'}."
        )
    states = {name: state for name, state in zip(names, given, strict=True) if isinstance(state, Tensor)}
    for (name, state), shape in zip(states.items(), shapes, strict=True):
        if tuple(state.shape) != shape:
            raise ShapeError(
                f"The initial state {name}_0 has shape {tuple(state.shape)}; expected {shape}: (num_layers * num_directions, "
                f"{'batch, ' if len(shape) == 3 else ''}size). Reshape it, or leave hx out to start from zeros."
            )
        if state.dtype != values.dtype and not torch.is_autocast_enabled(values.device.type):
            raise ShapeError(
                f"The initial state {name}_0 is {state.dtype}, the input is {values.dtype}; expected one dtype. "
                f"Convert it with .to({values.dtype})."
            )
        if state.device != values.device:
            raise ShapeError(
                f"The initial state {name}_0 is on {state.device}, the input is on {values.device}; expected one device. "
                f"Move it with .to('{values.device}')."
            )
    return states
