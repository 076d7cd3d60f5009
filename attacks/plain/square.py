"""The Square attack: add a random square of ±ε, keep it if the loss decreases, repeat (Andriushchenko et al. 2020)."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.core import Array

from .notation import Network, margin
from .pgd import clip

HALVED = (10, 50, 200, 1000, 2000, 4000, 6000, 8000)  # after so many of 10 000 queries, p is halved (their §5)


def square(f: Network, x: Array, y: int, epsilon: float = 0.3, N: int = 5000, p: float = 0.8, rng: Any = None) -> Array:
    """Algorithm 1, in L∞: decrease the loss L = f_y - max_{k≠y} f_k by random squares, without gradients.

    f, x, y: the network, an image (c, h, w) and its label.
    epsilon: radius of the ball.
    N: the number of queries, at most.
    p: the fraction of the pixels in the first squares.
    rng: where random numbers come from, ``np.random.default_rng(0)`` if None.

    >>> import numpy as np
    >>> from attacks import plain
    >>> from minidl import models
    >>> f, x = plain.one(models.lenet(seed=0, dtype="float64")), np.full((1, 28, 28), 0.5)
    >>> float(abs(plain.square(f, x, 3, epsilon=0.1, N=20) - x).max().round(3))
    0.1
    """
    rng, (c, height, width) = rng or np.random.default_rng(0), x.shape
    X = clip(x + rng.choice([epsilon, -epsilon], (c, 1, width)), x, epsilon)  # 1. x̂ ← init(x): stripes
    least = -margin(f(X), y)  # l* ← L(f(x̂), y)
    for i in range(2, N + 1):
        if least < 0:  # 2. while i < N and x̂ is not adversarial
            break
        h = side(i / N, p, height, width)  # 3. h⁽ⁱ⁾, the side of the square
        delta = np.zeros_like(x)  # 4. δ ~ P(ε, h⁽ⁱ⁾), which is Algorithm 2:
        r, s = rng.integers(height - h + 1), rng.integers(width - h + 1)  # its corner
        delta[:, r : r + h, s : s + h] = rng.choice([2 * epsilon, -2 * epsilon], (c, 1, 1))  # one sign a channel
        X_new = clip(X + delta, x, epsilon)  # 5. x̂_new ← Project(x̂ + δ)
        new = -margin(f(X_new), y)  # 6. l_new ← L(f(x̂_new), y)
        if new < least:
            X, least = X_new, new  # 7. if l_new < l* then x̂ ← x̂_new, l* ← l_new
    return X


def side(part: float, p: float, height: int, width: int) -> int:
    """h after the fraction `part` of the queries: a square of the fraction p of all pixels; a schedule halves p."""
    p = p / 2 ** sum(10_000 * part > query for query in HALVED)
    return max(1, min(round((p * height * width) ** 0.5), height, width))
