"""The same training steps in JAX, compiled; the weights are NumPy arrays with minidl's names."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Weights = dict[str, np.ndarray]


def mlp(w: Any, x: Any, key: Any) -> Any:
    """784-625-625-10 without biases, dropout 0.2 on the input and 0.5 on each hidden layer."""
    keys = jax.random.split(key, 3)
    h = _dropout(keys[0], x.reshape(len(x), -1), 0.8)
    h = _dropout(keys[1], jax.nn.relu(h @ w["dense1.W"]), 0.5)
    h = _dropout(keys[2], jax.nn.relu(h @ w["dense2.W"]), 0.5)
    return h @ w["dense3.W"]


def lenet(w: Any, x: Any, key: Any) -> Any:
    """20@5×5, pooling, 50@5×5, pooling, 500 units, 10 logits; channels last, which is faster in JAX."""
    h = x.reshape(len(x), 28, 28, 1)
    for name in ("conv1", "conv2"):
        h = lax.conv_general_dilated(h, w[f"{name}.W"], (1, 1), "VALID", dimension_numbers=("NHWC", "OIHW", "NHWC"))
        h = jax.nn.relu(h + w[f"{name}.b"])
        h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    h = jax.nn.relu(h.transpose(0, 3, 1, 2).reshape(len(x), 800) @ w["dense1.W"] + w["dense1.b"])
    return h @ w["dense2.W"] + w["dense2.b"]


def _dropout(key: Any, h: Any, keep: float) -> Any:
    return jnp.where(jax.random.bernoulli(key, keep, h.shape), h / keep, 0)


class Jax:
    """JAX's side of the contests, on its default device."""

    mlp, lenet = staticmethod(mlp), staticmethod(lenet)

    def __str__(self) -> str:
        return f"{jax.__version__}, {jax.default_backend()}"

    def training_step(
        self, net: Callable, weights: Weights, batches: Sequence[tuple[np.ndarray, np.ndarray]], donated: bool = False
    ) -> Callable[[], None]:
        """A call that takes one step.  donated: the new weights reuse the memory of the old ones, JAX's fastest way."""

        def loss(w: Any, x: Any, y: Any, key: Any) -> Any:
            return -jnp.mean(jax.nn.log_softmax(net(w, x, key))[jnp.arange(len(y)), y])

        @functools.partial(jax.jit, donate_argnums=(0, 1) if donated else ())
        def step(w: Any, s: Any, x: Any, y: Any, number: Any) -> Any:
            g = jax.grad(loss)(w, x, y, jax.random.fold_in(jax.random.key(0), number))
            s = jax.tree.map(lambda s, g: 0.9 * s + 0.1 * g * g, s, g)
            return jax.tree.map(lambda w, g, s: w - 1e-3 * g / jnp.sqrt(s + 1e-6), w, g, s), s

        params = {name: jnp.array(w) for name, w in weights.items()}
        state = [params, jax.tree.map(jnp.zeros_like, params)]
        turns = itertools.cycle([(jnp.asarray(x), jnp.asarray(y)) for x, y in batches])
        steps = itertools.count()

        def call() -> None:
            state[:] = jax.block_until_ready(step(*state, *next(turns), next(steps)))

        return call
