"""The same LSTM as a `jax.lax.scan`, compiled by XLA for the CPU in float32."""

import os
from typing import Any

import numpy as np
from torch import Tensor, nn

from rivals import Rival


def limit_threads(threads: int) -> None:
    """How many threads JAX may use; to be called before it is imported."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["PJRT_NPROC"] = os.environ["NPROC"] = str(threads)


def scan_lstm(x: Any, weights: tuple[Any, Any, Any]) -> Any:
    """Outputs (total_steps, num_sequences, hidden_size) from zero states.

    weights: of the input (4 * hidden_size, input_size), recurrent (4 * hidden_size, hidden_size), the sum of both biases.
    """
    import jax
    from jax import numpy as jnp

    of_input, recurrent, bias = weights
    zeros = jnp.zeros((x.shape[1], recurrent.shape[1]), jnp.float32)

    def step(state: tuple[Any, Any], input_sums: Any) -> tuple[tuple[Any, Any], Any]:
        h, c = state
        write, keep, candidate, show = jnp.split(input_sums + h @ recurrent.T, 4, axis=-1)
        c = jax.nn.sigmoid(keep) * c + jax.nn.sigmoid(write) * jnp.tanh(candidate)
        h = jax.nn.sigmoid(show) * jnp.tanh(c)
        return (h, c), h

    # the product of all steps with the input's weights at once: faster than inside the scan
    return jax.lax.scan(step, (zeros, zeros), x @ of_input.T + bias)[1]


def jax_weights(layer: nn.LSTM) -> tuple[Any, Any, Any]:
    """The weights of a torch layer as `scan_lstm` takes them."""
    from jax import numpy as jnp

    of_input, recurrent, *biases = (jnp.asarray(weights.detach().numpy()) for weights in layer.parameters())
    return of_input, recurrent, biases[0] + biases[1]


def jax_inference(layer: nn.LSTM, x: Tensor) -> Rival:
    """Outputs of a dense batch."""
    import jax
    from jax import numpy as jnp

    forward, given, weights = jax.jit(scan_lstm), jnp.asarray(x.numpy()), jax_weights(layer)
    return Rival(
        lambda: forward(given, weights).block_until_ready(),
        lambda: [np.asarray(forward(given, weights))],
    )


def jax_training(layer: nn.LSTM, x: Tensor, gradient: Tensor) -> Rival:
    """Forward and every gradient; results: those with respect to input, input weights, recurrent weights, and either bias."""
    import jax
    from jax import numpy as jnp

    given, weights, incoming = jnp.asarray(x.detach().numpy()), jax_weights(layer), jnp.asarray(gradient.numpy())

    def loss(x: Any, weights: tuple[Any, Any, Any], gradient: Any) -> Any:
        return (scan_lstm(x, weights) * gradient).sum()

    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))

    def results() -> list[np.ndarray]:
        of_x, of_weights = step(given, weights, incoming)[1]
        return [np.asarray(array) for array in (of_x, *of_weights)]

    return Rival(lambda: jax.block_until_ready(step(given, weights, incoming)), results)
