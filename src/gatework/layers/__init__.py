"""torch modules: recurrent stacks over any cell, drop-ins for torch's own."""

from gatework.layers.attention import AttentionPooling
from gatework.layers.decay import Decay
from gatework.layers.dropout import LockedDropout
from gatework.layers.recurrent import GRU, LSTM, RNN, Recurrent
from gatework.layers.stack import RecurrentStack, Trace

__all__ = ["GRU", "LSTM", "RNN", "AttentionPooling", "Decay", "LockedDropout", "Recurrent", "RecurrentStack", "Trace"]
