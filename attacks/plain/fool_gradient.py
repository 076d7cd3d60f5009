"""Gradient ascent on the probability of a class, from the mean image (Nguyen, Yosinski and Clune 2015, §3.4)."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl import ops, value_and_grad
from minidl.core import Array

from .notation import Network


def fool_gradient(f: Network, m: Array, k: int, decay: float = 0.01, steps: int = 300, rise: float = 0.03,
                  rng: Any = None) -> Array:  # fmt: skip
    """Maximise p_k, the probability of class k, near m, the mean of the training images.

    f, m, k: the network, the mean image and the class.
    decay: how much of the way back to m each step takes.
    steps: the number of steps.
    rise: the most that p_k is to increase in a step, if it were linear.
    rng: where random numbers come from, ``np.random.default_rng(0)`` if None.

    >>> import numpy as np
    >>> from attacks import plain
    >>> from minidl import models
    >>> f, m = plain.one(models.mlp(seed=0, dtype="float64")), np.full(784, 0.5)
    >>> bool(f(plain.fool_gradient(f, m, 3, steps=20))[3] > f(m)[3])
    True
    """
    rng = rng or np.random.default_rng(0)
    x = np.clip(m + rng.normal(0, 1 / 255, m.shape), 0, 1)  # 1. begin near the mean
    for _ in range(steps):
        p, g = value_and_grad(lambda x: ops.softmax(f(x))[k], x)  # 2. p_k, and ∇p_k
        q = min(rise, 0.1 * (1 - p))  # 3. how much p_k is to increase: less when it is close to 1
        x = x + q * g / (g**2).sum()  # 4. were p linear, it would now be p + q
        x = np.clip(m + (1 - decay) * (x - m), 0, 1)  # 5. decay towards the mean, and keep the bounds
    return x
