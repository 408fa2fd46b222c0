"""Dense batches of every shape: inference against everybody, training against torch and JAX."""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from equality import refuse_unless_equal
from lstm_pair import gflops, same_layers, trainer
from rivals import Rival, is_there, onnxruntime_inference, openvino_inference
from rivals_jax import jax_inference, jax_training
from timing import Row, Run, Yardstick, against

Shape = tuple[int, int, int, int]
"""total_steps, num_sequences, input_size, hidden_size."""

SHAPES: list[Shape] = [
    (50, 12, 32, 32), (100, 24, 64, 64), (100, 32, 64, 64), (100, 36, 96, 96), (100, 24, 128, 128), (100, 64, 128, 128),
    (50, 48, 256, 256), (35, 20, 200, 200), (100, 64, 512, 512), (784, 48, 1, 128), (1000, 12, 1, 64), (168, 36, 7, 64),
    (200, 17, 33, 100),
]  # fmt: skip

INFERENCE: dict[str, Callable[[nn.LSTM, Tensor, int], Rival]] = {
    "ONNX Runtime": onnxruntime_inference,
    "OpenVINO": openvino_inference,
    "JAX": lambda layer, x, _threads: jax_inference(layer, x),
}
TO_BEAT = ("torch", "ONNX Runtime", "OpenVINO")
"""The fastest of these is what inference is held against; JAX's scan is made for other machines."""


def dense_inference(shape: Shape, threads: int, seconds: float) -> Row:
    """One shape, without gradients, against everybody."""
    total_steps, num_sequences, input_size, hidden_size = shape
    ours, theirs = same_layers(input_size, hidden_size)
    x = torch.randn(total_steps, num_sequences, input_size)
    runs: dict[str, Run] = {"torch": partial(theirs, x)}
    with torch.inference_mode():
        truth = theirs(x)[0]
        refuse_unless_equal(f"gatework on {shape}", [ours(x)[0]], [truth])
        for name, make in INFERENCE.items():
            if is_there(name):
                rival = make(theirs, x, threads)
                rival.run()
                refuse_unless_equal(f"{name} on {shape}", rival.results(), [truth])
                runs[name] = rival.run
        found = against(partial(ours, x), runs, seconds)
    fastest = min((name for name in TO_BEAT if name in found), key=lambda name: found[name]["ratio"])
    return {
        "against": found,
        "fastest": fastest,
        "ratio": found[fastest]["ratio"],
        "gflops": gflops(total_steps * num_sequences, theirs, found["torch"]["ours_ms"], passes=1),
    }


def dense_training(shape: Shape, seconds: float) -> Row:
    """One shape, forward and every gradient, against torch and JAX."""
    total_steps, num_sequences, input_size, hidden_size = shape
    ours, theirs = same_layers(input_size, hidden_size)
    x = torch.randn(total_steps, num_sequences, input_size, requires_grad=True)
    gradient = torch.randn(total_steps, num_sequences, hidden_size)
    run = trainer(ours, x, gradient)
    runs: dict[str, Run] = {"torch": trainer(theirs, x, gradient)}
    truth = trainer(theirs, x, gradient)()
    refuse_unless_equal(f"gatework's gradients on {shape}", run(), truth)
    if is_there("JAX"):
        rival = jax_training(theirs, x, gradient)
        # JAX has one bias, which is the sum of torch's two: its gradient is that of each
        refuse_unless_equal(f"JAX's gradients on {shape}", rival.results(), truth[:4])
        runs["JAX"] = rival.run
    found = against(run, runs, seconds)
    return {
        "against": found,
        "ratio": found["torch"]["ratio"],
        "gflops": gflops(total_steps * num_sequences, theirs, found["torch"]["ours_ms"], passes=3),
    }


def dense(shapes: Iterable[Shape], threads: int, seconds: float, yardstick: Yardstick) -> list[Row]:
    """Every shape; the yardstick is measured again after each."""
    rows: list[Row] = []
    for shape in shapes:
        inference, training = dense_inference(shape, threads, seconds), dense_training(shape, seconds)
        rows.append({"shape": shape, "inference": inference, "training": training})
        yardstick.measure()
        print(
            "×".join(map(str, shape)),
            f"inference {inference['ratio']:.2f} ({inference['fastest']}), training {training['ratio']:.2f}, "
            f"{inference['gflops']:.0f} and {training['gflops']:.0f} GFLOP/s, sgemm {yardstick.gflops[-1]:.0f}",
            flush=True,
        )
    return rows
