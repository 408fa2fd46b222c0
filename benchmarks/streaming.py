"""One step at a time: the latency of a single sequence."""

import statistics
from functools import partial

import torch
from torch import nn

from equality import refuse_unless_equal
from lstm_pair import same_layers
from rivals import is_there, onnxruntime_stream
from timing import Row, Run, against


def streaming(seconds: float) -> Row:
    """One step of 64 units, one sequence, in µs."""
    ours, layer = same_layers(64, 64)
    cell = nn.LSTMCell(64, 64)
    stream, out, x = ours.stream(), torch.empty(64), torch.randn(64)
    zeros, flat = (torch.zeros(1, 1, 64), torch.zeros(1, 1, 64)), (torch.zeros(1, 64), torch.zeros(1, 64))
    runs: dict[str, Run] = {
        "torch.nn.LSTM": partial(layer, x.view(1, 1, 64), zeros),
        "torch.nn.LSTMCell": partial(cell, x.view(1, 64), flat),
    }
    with torch.inference_mode():
        truth = layer(x.expand(2, 1, 64))[0][-1, 0]
        stream.step(x)
        refuse_unless_equal("gatework's second step", [stream.step(x)], [truth])
        if is_there("ONNX Runtime"):
            rival = onnxruntime_stream(layer, x)
            refuse_unless_equal("ONNX Runtime's second step", rival.results(), [truth])
            runs["ONNX Runtime"] = rival.run
        found = against(partial(stream.step, x, out), runs, seconds)
    row: Row = {"ours_us": 1e3 * statistics.median(side["ours_ms"] for side in found.values()), "against": found}
    print(row, flush=True)
    return row
