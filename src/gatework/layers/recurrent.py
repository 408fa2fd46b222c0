"""The recurrent layers that users make: LSTM, GRU, RNN with torch's constructors, and Recurrent for any cell."""

from typing import Literal

import torch

from gatework.cells import Cell, find_cell, gru, lstm, rnn, rnn_relu
from gatework.errors import ConfigError
from gatework.layers.options import StackOptions
from gatework.layers.stack import RecurrentStack

Device = torch.device | str | None


class LSTM(RecurrentStack):
    """Drop-in for torch.nn.LSTM: same arguments, initialisation, `state_dict` and results; takes a Ragged, too.

    >>> layer = LSTM(3, 4)
    >>> outputs, (h_n, c_n) = layer(torch.zeros(5, 2, 3))
    >>> outputs.shape, h_n.shape
    (torch.Size([5, 2, 4]), torch.Size([1, 2, 4]))
    """

    def __init__(  # noqa: PLR0913, PLR0917 (torch's signature)
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            lstm,
            StackOptions(
                input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype
            ),
        )


class GRU(RecurrentStack):
    """Drop-in for torch.nn.GRU: same arguments, initialisation, `state_dict` and results; takes a Ragged, too."""

    def __init__(  # noqa: PLR0913, PLR0917 (torch's signature)
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            gru, StackOptions(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype)
        )


class RNN(RecurrentStack):
    """Drop-in for torch.nn.RNN: same arguments, initialisation, `state_dict` and results; takes a Ragged, too."""

    def __init__(  # noqa: PLR0913, PLR0917 (torch's signature)
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ConfigError(f"nonlinearity={nonlinearity!r} was given; expected 'tanh' or 'relu'. Write nonlinearity='tanh'.")
        super().__init__(
            rnn if nonlinearity == "tanh" else rnn_relu,
            StackOptions(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype),
        )
        self.nonlinearity = nonlinearity


class Recurrent(RecurrentStack):
    """Layers of any cell: the name of a built-in one, or a Cell that you declare.

    The other arguments are those of torch.nn.LSTM.
    input_size: all columns, with those of a cell's inputs that bypass the gates.
    cells_per_block: cells that have the cell's shared gates in common (Hochreiter and Schmidhuber 1997): these gates have
        hidden_size / cells_per_block rows in each weight; divides hidden_size.
    recurrent_blocks: blocks on the diagonal of the recurrent matrices, which are (…, hidden_size / recurrent_blocks) then;
        divides hidden_size.
    zoneout: how often a unit keeps each of its states instead of renewing it, in training; elsewhere the expectation is taken
        (Krueger et al. 2017).

    >>> Recurrent("gru", 3, 4, bidirectional=True)
    Recurrent('gru', 3, 4, bidirectional=True)
    """

    def __init__(  # noqa: PLR0913, PLR0917 (torch's signature)
        self,
        cell: str | Cell,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        cells_per_block: int = 1,
        recurrent_blocks: int = 1,
        zoneout: float = 0.0,
    ) -> None:
        super().__init__(
            find_cell(cell),
            StackOptions(
                input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype,
                cells_per_block, recurrent_blocks, zoneout,
            ),
        )  # fmt: skip

    def extra_repr(self) -> str:
        """The cell's name, then the arguments as torch writes them."""
        return f"'{self.cell.name}', {super().extra_repr()}"
