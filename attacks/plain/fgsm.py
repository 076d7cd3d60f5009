"""FGSM: one step of ε in every pixel, to increase the loss (Goodfellow, Shlens and Szegedy 2014)."""

from __future__ import annotations

import numpy as np

from minidl import grad
from minidl.core import Array

from .notation import J, Network


def fgsm(f: Network, x: Array, y: int, epsilon: float = 0.25) -> Array:
    """x' = x + ε·sign(∇ₓJ(θ, x, y))   (§4), clipped to the bounds 0 and 1, which the paper does not mention.

    f, x, y: the network, an image and its label.
    epsilon: how far each pixel moves, at least 0.

    >>> import numpy as np
    >>> from attacks import plain
    >>> from minidl import models
    >>> f, x = plain.one(models.mlp(seed=0, dtype="float64")), np.full(784, 0.5)
    >>> float(abs(plain.fgsm(f, x, 3, epsilon=0.1) - x).max().round(3))
    0.1
    """
    g = grad(lambda x: J(f(x), y), x)  # ∇ₓJ(θ, x, y)
    return np.clip(x + epsilon * np.sign(g), 0, 1)
