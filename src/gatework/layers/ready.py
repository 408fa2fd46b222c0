"""A stack's call made ready when the same shape comes again: dense batches, one direction, no gradients, zero states.

The usual way asks at each call what may have changed: weights, types, transforms, threads. Here it is asked in one glance, and
anything unusual takes the usual way. The kernels and their results are the same, bit for bit.
"""

import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from gatework.engine import BACKENDS, ReadyLayer, why_not_compiled

if TYPE_CHECKING:
    from gatework.layers.stack import RecurrentStack


class Ready:
    """The layers of a stack on batches of one shape, (steps, num_sequences, input_size) in memory.

    Weights are told by the parameters themselves, where they lie and of which shape they are: numbers may change in them.
    """

    def __init__(self, stack: "RecurrentStack", values: Tensor):
        self.shape, self.dtype, self.first = values.shape, values.dtype, BACKENDS[0]
        self.names = [list(names[0].values()) for names in stack._weight_names]
        self.weights: list[list[nn.Parameter]] = [[getattr(stack, name) for name in names] for names in self.names]
        self.seen = [[(weight.data_ptr(), weight.shape) for weight in layer] for layer in self.weights]
        self.layers: list[ReadyLayer] = []
        self.lock = threading.Lock()
        x = values
        for weights in self.weights:
            self.layers.append(ReadyLayer(stack.expected_cell, x, [*weights]))
            x = values.new_empty((values.shape[0], values.shape[1], stack.hidden_size))

    def fits(self, stack: "RecurrentStack", values: Tensor) -> bool:
        """Whether these values and the stack's weights as they are now are what this was made for."""
        if values.shape != self.shape or values.dtype != self.dtype or drops(stack) or BACKENDS[0] is not self.first:
            return False
        own = stack._parameters
        for names, weights, seen in zip(self.names, self.weights, self.seen, strict=True):
            for name, weight, (place, shape) in zip(names, weights, seen, strict=True):
                is_same = name in own and own[name] is weight and weight.data_ptr() == place and weight.shape == shape
                if not is_same or not weight.is_contiguous() or weight.dtype != self.dtype:
                    return False
        return self.layers[0].fits_machine()

    def run(self, stack: "RecurrentStack", values: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Outputs and final states."""
        count, num_sequences, units = len(self.layers), values.shape[1], stack.hidden_size
        finals = tuple(values.new_empty((count, num_sequences, units)) for _ in stack.cell.states)
        addresses = [final.data_ptr() for final in finals]
        step = num_sequences * units * values.element_size()
        for number, layer in enumerate(self.layers):
            values = layer.run(values, [address + number * step for address in addresses])
        return values, finals


_ready: "WeakKeyDictionary[nn.Module, Ready | torch.Size]" = WeakKeyDictionary()
"""By stack: what is ready, or the shape that came last."""


def ready_results(stack: "RecurrentStack", x: object) -> tuple[Tensor, tuple[Tensor, ...]] | None:
    """Outputs and final states of a call without initial states and gradients, or None: take the usual way.

    The second call with one shape makes it ready.
    """
    if type(x) is not Tensor or not is_quiet(x):
        return None
    values = x.transpose(0, 1).contiguous() if stack.batch_first else x
    if not values.is_contiguous():
        return None
    ready = _ready.get(stack)
    if isinstance(ready, Ready) and ready.fits(stack, values):
        if not ready.lock.acquire(blocking=False):
            return None  # another thread is in it
        try:
            y, finals = ready.run(stack, values)
        finally:
            ready.lock.release()
        return (y.transpose(0, 1) if stack.batch_first else y), finals
    if ready == values.shape and can_be_ready(stack, values):
        made = Ready(stack, values)
        if not any(layer.is_large for layer in made.layers):
            _ready[stack] = made
    else:
        _ready[stack] = values.shape
    return None


def is_quiet(x: Tensor) -> bool:
    """Whether x is a plain dense batch on the CPU that nothing follows: no gradient, tracer, transform, mode or autocast."""
    return (
        not torch.is_grad_enabled()
        and x.layout is torch.strided
        and x.dim() == 3
        and x.is_cpu
        and x.numel() > 0
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._get_tracing_state() is None
        and torch._C._functorch.peek_interpreter_stack() is None
        and forward_ad._current_level < 0
        and not torch.is_autocast_enabled("cpu")
    )


def drops(stack: "RecurrentStack") -> bool:
    """Whether something is drawn in this call."""
    return stack.training and (stack.dropout > 0 or stack.zoneout > 0)


def can_be_ready(stack: "RecurrentStack", values: Tensor) -> bool:
    """Whether the compiled engine would compute the stack, with its parameters as they are, on these values."""
    if stack.bidirectional or not stack._form.is_plain or (stack.cell.bypassing(1) and stack.num_layers > 1):
        return False
    if drops(stack) or values.shape[-1] != stack.input_size or BACKENDS[0].name != "compiled":
        return False
    for weight in (stack._parameters.get(name) for names in stack._weight_names for name in names[0].values()):
        if type(weight) is not nn.Parameter or not weight.is_cpu or weight.dtype != values.dtype or not weight.is_contiguous():
            return False
    return all(why_not_compiled(stack.expected_cell, stack._weights(layer)[0]) is None for layer in range(stack.num_layers))
