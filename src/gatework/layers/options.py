"""The options of a recurrent stack, and what they may be."""

from dataclasses import dataclass
from typing import Any

import torch

from gatework.cells import Cell, Names
from gatework.cells.equations import canonical_text
from gatework.cells.matrix import Matrix, MatrixError
from gatework.errors import ConfigError


@dataclass(frozen=True)
class StackOptions:
    """torch's constructor arguments, in torch's order; then those of our own.

    cells_per_block: cells that have the cell's shared gates in common (Hochreiter and Schmidhuber 1997); divides hidden_size.
    recurrent_blocks: blocks on the diagonal of the recurrent matrices, which are zero elsewhere; divides hidden_size.
    zoneout: how often a unit keeps a state instead of renewing it, in training; see `cells.zoneout`.
    """

    input_size: int
    hidden_size: int
    num_layers: int = 1
    bias: bool = True
    batch_first: bool = False
    dropout: float = 0.0
    bidirectional: bool = False
    proj_size: int = 0
    device: torch.device | str | None = None
    dtype: torch.dtype | None = None
    cells_per_block: int = 1
    recurrent_blocks: int = 1
    zoneout: float = 0.0


def check_options(cell: Cell, options: StackOptions) -> None:
    """ConfigError, with the argument named, for options that no stack can have."""
    for name in ("input_size", "hidden_size", "num_layers", "cells_per_block", "recurrent_blocks"):
        value = getattr(options, name)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise ConfigError(f"{name}={value!r} was given; expected a whole number above zero. Write e.g. {name}=64.")
    for name in ("bias", "batch_first", "bidirectional"):
        value = getattr(options, name)
        if not isinstance(value, bool):
            raise ConfigError(
                f"{name}={value!r} was given; expected True or False. Check the order of the arguments or write {name}=True."
            )
    zoneout = options.zoneout
    if not isinstance(zoneout, int | float) or isinstance(zoneout, bool) or not 0 <= zoneout < 1:
        raise ConfigError(f"zoneout={zoneout!r} was given; expected a share from 0 to below 1. Write e.g. zoneout=0.1.")
    if zoneout and options.proj_size:
        raise ConfigError(
            f"zoneout={zoneout} was given with proj_size={options.proj_size}; expected one of them: what a unit would keep is "
            f"its state before the projection, which is gone. Leave one of them out."
        )
    dropout = options.dropout
    if not isinstance(dropout, int | float) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
        raise ConfigError(f"dropout={dropout!r} was given; expected a probability between 0 and 1. Write e.g. dropout=0.2.")
    projected = options.proj_size
    if not isinstance(projected, int) or isinstance(projected, bool) or not 0 <= projected < options.hidden_size:
        raise ConfigError(
            f"proj_size={projected!r} was given with hidden_size={options.hidden_size}; expected a whole number below it, "
            f"0 for no projection. Lower proj_size or raise hidden_size."
        )
    if projected and reads_output(cell):
        raise ConfigError(
            f"proj_size={projected} was given for the cell '{cell.name}', whose equations read h unit by unit; a projection "
            f"needs a cell that reads h through the recurrent product only, such as 'lstm'. Leave proj_size out."
        )
    check_columns(cell, options)
    check_blocks(cell, options)
    check_products(cell)


def check_columns(cell: Cell, options: StackOptions) -> None:
    """ConfigError unless a column is left for the gates."""
    bypassing = cell.bypassing(options.hidden_size)
    if options.input_size <= bypassing:
        raise ConfigError(
            f"input_size={options.input_size} was given for the cell '{cell.name}', whose last columns are the inputs "
            f"{', '.join((*cell.inputs, *cell.unit_inputs))}; expected at least one column more, for the gates. Count them in: "
            f"input_size={bypassing + 1} or more."
        )


def check_blocks(cell: Cell, options: StackOptions) -> None:
    """ConfigError where the units cannot be divided into these blocks, or nothing is shared in them."""
    cells, blocks, units = options.cells_per_block, options.recurrent_blocks, options.hidden_size
    if cells > 1 and not cell.shared_gates:
        raise ConfigError(
            f"cells_per_block={cells} was given for the cell '{cell.name}', which has no shared gates; expected a cell that says "
            f"which gates a block shares. Declare it with shared_gates=(…), or leave cells_per_block out."
        )
    for name, count, whole in (
        ("cells_per_block", cells, {"hidden_size": units}),
        ("recurrent_blocks", blocks, {"hidden_size": units, "proj_size": options.proj_size}),
    ):
        for size_name, size in whole.items():
            if size % count:
                raise ConfigError(
                    f"{name}={count} was given with {size_name}={size}; expected a divisor of {size}. Change one of the two."
                )
    if (units // blocks) % cells:
        raise ConfigError(
            f"recurrent_blocks={blocks} leaves {units // blocks} units in a block, cells_per_block={cells} does not divide them; "
            f"expected cells that share gates to be in one block. Change one of the two."
        )


def check_products(cell: Cell) -> None:
    """ConfigError for equations that misuse `@`: on tensors some of them would compute something else than is meant."""
    try:
        canonical_text(cell)
    except ConfigError as error:
        # a cell that cannot be traced for another reason runs step by step
        if isinstance(error.__cause__, MatrixError):
            raise


def reads_output(cell: Cell) -> bool:
    """True when the equations read `s.h` itself: tried out with numbers and without an `h`."""
    number = torch.zeros(1)
    x = Names("gate", dict.fromkeys((*cell.gates, *cell.inputs, *cell.unit_inputs), number))
    r = Names("gate", dict.fromkeys(cell.recurrent_gates, number))
    matrices: dict[str, Any] = {name: Matrix(name, lambda a: a * number) for name in cell.matrices}
    others = Names("state", {name: number for name in cell.states if name != "h"})
    try:
        cell.step(x, r, others, Names("weight", dict.fromkeys(cell.unit_weights, number) | matrices))
    except AttributeError:
        return True
    return False
