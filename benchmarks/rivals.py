"""Other programs that run the same LSTM: ONNX Runtime and OpenVINO, each as fast as its own options make it.

They are not needed: `missing` names those that cannot be imported, and the benchmarks leave them out. JAX is in rivals_jax.py.
"""

import importlib.util
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

MODULES = {"ONNX Runtime": ("onnx", "onnxruntime"), "OpenVINO": ("onnx", "openvino"), "JAX": ("jax",)}
"""What each rival imports."""

HOW_TO_INSTALL = "They are in an environment of their own: `make bench-rivals` makes it and runs this benchmark in it."

# operators and file format that both readers have had for years; nothing newer is needed for one LSTM
OPSET, IR_VERSION = 17, 8


@dataclass(frozen=True)
class Rival:
    """run: computes once. results: what it computed, as torch lays it out."""

    run: Callable[[], object]
    results: Callable[[], list[np.ndarray]]


def is_there(name: str) -> bool:
    """Whether a rival of MODULES can be imported."""
    return all(importlib.util.find_spec(module) is not None for module in MODULES[name])


def missing() -> list[str]:
    """The rivals that are not installed here."""
    return [name for name in MODULES if not is_there(name)]


def onnx_gates(weights: Tensor) -> np.ndarray:
    """A weight or bias of torch, whose gates are input, forget, candidate, output, as ONNX orders it: i, o, f, c."""
    of_input, forget, candidate, output = np.split(weights.detach().numpy(), 4)
    return np.concatenate([of_input, output, forget, candidate])


def onnx_model(layer: nn.LSTM, total_steps: int, num_sequences: int, has_states: bool) -> bytes:
    """One LSTM node with the weights of a torch layer of one direction, shapes fixed.

    Reads X (total_steps, num_sequences, input_size); writes Y (total_steps, 1, num_sequences, hidden_size). With has_states it
    reads h, c (1, num_sequences, hidden_size), too, and writes next_h, next_c.
    """
    from onnx import TensorProto, helper, numpy_helper

    units = layer.hidden_size
    of_input, recurrent, *biases = (onnx_gates(weights) for weights in layer.parameters())
    weights = {"W": of_input[None], "R": recurrent[None], "B": np.concatenate(biases)[None]}
    # the empty name: no lengths of sequences
    reads = ["X", "W", "R", "B", "", "h", "c"] if has_states else ["X", "W", "R", "B"]
    writes = ["Y", "next_h", "next_c"] if has_states else ["Y"]

    def tensor(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    def states(prefix: str) -> list[Any]:
        return [tensor(f"{prefix}{name}", 1, num_sequences, units) for name in ("h", "c")] if has_states else []

    graph = helper.make_graph(
        [helper.make_node("LSTM", reads, writes, hidden_size=units)],
        "lstm",
        [tensor("X", total_steps, num_sequences, layer.input_size), *states("")],
        [tensor("Y", total_steps, 1, num_sequences, units), *states("next_")],
        [numpy_helper.from_array(np.ascontiguousarray(values), name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return bytes(model.SerializeToString())


def onnxruntime_session(model: bytes, threads: int) -> Any:
    """A sequential session with ONNX Runtime's defaults otherwise: its threads spin, as its users' do."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Bound:
    """A session that reads and writes arrays of ours, so that a call copies nothing; they live as long as this does."""

    def __init__(self, session: Any, inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray]):
        self.session, self.arrays, self.binding = session, (inputs, outputs), session.io_binding()
        for bind, arrays in ((self.binding.bind_input, inputs), (self.binding.bind_output, outputs)):
            for name, values in arrays.items():
                bind(name, "cpu", 0, np.float32, values.shape, values.ctypes.data)

    def run(self) -> None:
        self.session.run_with_iobinding(self.binding)


def onnxruntime_inference(layer: nn.LSTM, x: Tensor, threads: int) -> Rival:
    """ONNX Runtime on a dense batch."""
    total_steps, num_sequences, _ = x.shape
    session = onnxruntime_session(onnx_model(layer, total_steps, num_sequences, has_states=False), threads)
    outputs = np.empty((total_steps, 1, num_sequences, layer.hidden_size), np.float32)
    return Rival(Bound(session, {"X": x.numpy()}, {"Y": outputs}).run, lambda: [outputs[:, 0]])


def openvino_inference(layer: nn.LSTM, x: Tensor, threads: int) -> Rival:
    """OpenVINO on a dense batch, in float32, for latency."""
    import openvino

    total_steps, num_sequences, _ = x.shape
    core = openvino.Core()
    options = {
        "INFERENCE_PRECISION_HINT": "f32",  # its default may be bfloat16
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "ENABLE_HYPER_THREADING": True,  # otherwise fewer threads than asked for where cores are shared
        "ENABLE_CPU_PINNING": False,  # a pinned thread waits for whatever else runs on its core
    }
    model = core.read_model(onnx_model(layer, total_steps, num_sequences, has_states=False))
    request = core.compile_model(model, "CPU", options).create_infer_request()
    request.set_input_tensor(openvino.Tensor(x.numpy(), shared_memory=True))
    return Rival(request.infer, lambda: [request.get_output_tensor().data[:, 0].copy()])


def onnxruntime_stream(layer: nn.LSTM, x: Tensor) -> Rival:
    """ONNX Runtime one step at a time on one thread, which is its fastest for one step; the states go on from call to call.

    x: (input_size,). results: the output after two steps from zero states; to be asked for before the first run.
    """
    session = onnxruntime_session(onnx_model(layer, 1, 1, has_states=True), threads=1)
    given, output = x.numpy().reshape(1, 1, -1), np.empty((1, 1, 1, layer.hidden_size), np.float32)
    h, c, next_h, next_c = (np.zeros((1, 1, layer.hidden_size), np.float32) for _ in range(4))
    turns = itertools.cycle(
        [
            Bound(session, {"X": given, "h": h, "c": c}, {"Y": output, "next_h": next_h, "next_c": next_c}),
            Bound(session, {"X": given, "h": next_h, "c": next_c}, {"Y": output, "next_h": h, "next_c": c}),
        ]
    )

    def run() -> None:
        next(turns).run()

    def results() -> list[np.ndarray]:
        run()
        run()
        return [output.reshape(-1)]

    return Rival(run, results)
