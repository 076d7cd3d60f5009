"""FGSM: one step, every pixel by ε, in the direction in which the loss rises (Goodfellow, Shlens and Szegedy 2014)."""

from __future__ import annotations

import numpy as np

from minidl import grad
from minidl.core import Array

from .notation import J, Network


def fgsm(f: Network, x: Array, y: int, epsilon: float = 0.25) -> Array:
    """x' = x + ε·sign(∇ₓJ(θ, x, y))   (§4), cut off at the bounds, of which the paper says nothing."""
    g = grad(lambda x: J(f(x), y), x)  # ∇ₓJ(θ, x, y)
    return np.clip(x + epsilon * np.sign(g), 0, 1)
