"""Training on ragged batches against packed and padded torch.nn.LSTM."""

import statistics

import torch
from torch import Tensor, nn

import gatework
from equality import refuse_unless_equal
from lstm_pair import gflops, same_layers, trainer
from timing import Row, against


def ragged(name: str, lengths: list[int], seconds: float) -> Row:
    """Training on sequences of unequal lengths, against packed and padded torch.nn.LSTM, which compute the same gradients."""
    input_size, hidden_size = 64, 128
    ours, theirs = same_layers(input_size, hidden_size)
    sequences = [torch.randn(length, input_size) for length in lengths]
    gradients = [torch.randn(length, hidden_size) for length in lengths]
    batch = gatework.Ragged.from_list(sequences)
    batch = batch.with_values(batch.values.clone().requires_grad_())
    packed = nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False)
    packed = packed._replace(data=packed.data.clone().requires_grad_())
    packed_gradient = nn.utils.rnn.pack_sequence(gradients, enforce_sorted=False).data
    padded = nn.utils.rnn.pad_sequence(sequences).requires_grad_()
    gradient, padded_gradient = torch.cat(gradients), nn.utils.rnn.pad_sequence(gradients)

    def run() -> tuple[Tensor, ...]:
        return torch.autograd.grad(ours(batch)[0].values, [batch.values, *ours.parameters()], gradient)

    def run_packed() -> tuple[Tensor, ...]:
        return torch.autograd.grad(theirs(packed)[0].data, [packed.data, *theirs.parameters()], packed_gradient)

    run_padded = trainer(theirs, padded, padded_gradient)
    refuse_unless_equal("gatework's gradients on ragged sequences", run()[1:], run_packed()[1:])
    refuse_unless_equal("torch's gradients on padded sequences", run_padded()[1:], run_packed()[1:])
    found = against(run, {"packed": run_packed, "padded": run_padded}, 2 * seconds)
    row: Row = {
        "lengths": name,
        "least": min(lengths),
        "mean": statistics.fmean(lengths),
        "most": max(lengths),
        "against": found,
        "gflops": gflops(sum(lengths), theirs, found["packed"]["ours_ms"], passes=3),
    }
    print(row, flush=True)
    return row
