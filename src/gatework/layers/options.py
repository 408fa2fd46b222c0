"""The options of a recurrent stack, and what they may be."""

from dataclasses import dataclass

import torch

from gatework.cells import Cell, Names
from gatework.errors import ConfigError


@dataclass(frozen=True)
class StackOptions:
    """torch's constructor arguments, in torch's order."""

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


def check_options(cell: Cell, options: StackOptions) -> None:
    """ConfigError, with the argument named, for options that no stack can have."""
    for name in ("input_size", "hidden_size", "num_layers"):
        value = getattr(options, name)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise ConfigError(f"{name}={value!r} was given; expected a whole number above zero. Write e.g. {name}=64.")
    for name in ("bias", "batch_first", "bidirectional"):
        value = getattr(options, name)
        if not isinstance(value, bool):
            raise ConfigError(
                f"{name}={value!r} was given; expected True or False. Check the order of the arguments or write {name}=True."
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


def reads_output(cell: Cell) -> bool:
    """True when the equations read `s.h` itself: tried out with numbers and without an `h`."""
    number = torch.zeros(1)
    gates = Names("gate", dict.fromkeys(cell.gates, number))
    others = Names("state", {name: number for name in cell.states if name != "h"})
    try:
        cell.step(gates, gates, others, Names("unit weight", dict.fromkeys(cell.unit_weights, number)))
    except AttributeError:
        return True
    return False
