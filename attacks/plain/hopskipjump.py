"""HopSkipJump: along the decision boundary to its nearest point, by labels alone (Chen, Jordan and Wainwright 2020)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.core import Array

from .notation import Network


def hopskipjump(f: Network, x: Array, y: int, T: int = 10, B0: int = 100, rng: Any = None) -> Array:
    """Algorithm 2, in L2: away from the label y.  Of the logits, only the place of the largest is used.

    f, x, y: the network, an image and its label.
    T: the number of rounds.
    B0: probes in the first round.
    rng: where random numbers come from, ``np.random.default_rng(0)`` if None.

    >>> import numpy as np
    >>> from attacks import plain
    >>> f = lambda x: np.array([2 - x.sum(), x.sum() - 2])  # a plane, at a distance of 1 from the image 0
    >>> X = plain.hopskipjump(f, np.zeros(4), 0, T=20)
    >>> bool(f(X).argmax() == 1), float(np.linalg.norm(X).round(1))
    (True, 1.0)
    """
    rng, d = rng or np.random.default_rng(0), x.size
    phi = lambda X: 1.0 if f(X).argmax() != y else -1.0  # φ(x'): whether x' is successful
    X = rng.uniform(0, 1, x.shape)  # 1. x̃₀: an image of noise that is successful
    while phi(X) < 0:
        X = rng.uniform(0, 1, x.shape)
    X = boundary(phi, x, X)  # 2. x_0: on the boundary
    for t in range(1, T + 1):
        distance = np.linalg.norm(X - x)
        delta = 0.1 if t == 1 else distance / d  # 3. δ_t, the size of the probes
        u = rng.normal(size=(int(B0 * t**0.5), *x.shape))  # 4. B_t = B₀·√t random directions u_b, of length 1
        u /= np.linalg.norm(u.reshape(len(u), -1), axis=1).reshape(-1, *[1] * x.ndim)
        probes = np.clip(X + delta * u, 0, 1)
        weights = np.array([phi(probe) for probe in probes])
        if abs(weights.mean()) < 1:
            weights -= weights.mean()
        v = np.tensordot(weights, probes - X, axes=1)  # 5. v_t, along Σ(φ(x_t + δ·u_b) - mean φ)·u_b
        v /= np.linalg.norm(v)
        xi = distance / t**0.5  # 6. ξ_t, halved until the step is successful
        while phi(np.clip(X + xi * v, 0, 1)) < 0:
            xi /= 2
        X = boundary(phi, x, np.clip(X + xi * v, 0, 1))  # 7. x_t: back to the boundary
    return X


def boundary(phi: Callable[[Array], float], x: Array, far: Array) -> Array:
    """Binary search on the line from x to a successful image, until the interval is d^-1.5 of it (Algorithm 1)."""
    low, high = 0.0, 1.0
    while high - low > min(x.size**-1.5, 1 / 16):  # 1/16: of few pixels, d^-1.5 would be no search at all
        middle = (low + high) / 2
        if phi(x + middle * (far - x)) > 0:
            high = middle
        else:
            low = middle
    return x + high * (far - x)
