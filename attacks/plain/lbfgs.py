"""The box-constrained L-BFGS attack: the smallest r for which f predicts t, with a penalty (Szegedy et al. 2013).

`lbfgs` searches the weight of the penalty; `minimise` is L-BFGS in a box, and `newton` its memory (Nocedal 1980).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minidl import ops, value_and_grad
from minidl.core import Array

from .notation import J, Network

Pair = tuple[Array, Array, float]  # s, y, ρ = 1/⟨s, y⟩, or 0 where F is not convex along s


def lbfgs(f: Network, x: Array, t: int, c: float = 1.0, searches: int = 10, steps: int = 50) -> Array:
    """Minimise c·‖r‖² + loss(x + r, t) with x + r in [0, 1]^m, for the greatest c whose minimiser succeeds.

    §4.1.  The paper writes c·|r|, and "minimum c": `attacks.lbfgs` explains the difference.

    f, x, t: the network, an image and the target.
    c: the first weight of the penalty.
    searches: how many values of c are tried.
    steps: the number of L-BFGS iterations for each c, at most.

    >>> import numpy as np
    >>> from attacks import plain
    >>> from minidl import models
    >>> f, x = plain.one(models.mlp(seed=0, dtype="float64")), np.full(784, 0.5)
    >>> int(f(plain.lbfgs(f, x, 3)).argmax())
    3
    """
    succeeds, fails, best, shortest = 0.0, np.inf, x, np.inf

    def penalised(X: Array) -> Array:
        return c * ops.sum((X - x) ** 2) + J(f(X), t)

    for _ in range(searches):
        X = minimise(penalised, x, steps)  # 1. x + r, for this c
        length = ((X - x) ** 2).sum()
        if f(X).argmax() == t:
            succeeds = c
            best, shortest = (X, length) if length < shortest else (best, shortest)  # 2. keep the closest success
        else:
            fails = c
        if succeeds == 0 or fails == np.inf:
            c = c * 10 if succeeds else c / 10  # 3. line search for c: tenfold, until it has both failed and succeeded;
        else:
            c = (succeeds * fails) ** 0.5  # then between the greatest that succeeds and the least that fails
    return best


def minimise(F: Callable[[Array], Array], x: Array, steps: int) -> Array:
    """A minimiser of F within [0, 1], nearly, starting from x."""
    memory: list[Pair] = []
    value, g = value_and_grad(F, x)
    for _ in range(steps):
        free = ~((x <= 0) & (g > 0) | (x >= 1) & (g < 0))  # 1. the entries that no bound blocks
        d = -newton(free * g, memory) * free  # 2. -H·∇F, as Newton would step
        for n in range(20):  # 3. the whole step, or ½, ¼, … of it, until F decreases enough (Armijo)
            X = np.clip(x + 0.5**n * d, 0, 1)
            new_value, new_g = value_and_grad(F, X)
            if new_value <= value + 1e-4 * (g * (X - x)).sum():
                break
        if value - new_value <= 1e-6 * abs(value):  # 4. no step decreases F
            return X if new_value < value else x
        s, y = X - x, new_g - g  # 5. remember the last ten steps s, and the change y of the gradient along them
        convex = (s * y).sum() > 1e-7 * (y * y).sum()
        memory = [*memory, (s, y, 1 / (s * y).sum() if convex else 0.0)][-10:]
        x, value, g = X, new_value, new_g
    return x


def newton(g: Array, memory: list[Pair]) -> Array:
    """H·g, for H ≈ (∇²F)⁻¹, built of the pairs in memory: H·y = s for the last of them."""
    if not memory:
        return g / max(np.sqrt((g * g).sum()), 1e-30)
    weights: list[Array] = []
    for s, y, rho in reversed(memory):  # 1. the first loop: newest to oldest
        weights.append(rho * (s * g).sum())
        g = g - weights[-1] * y
    s, y, rho = memory[-1]
    g = g / (rho * (y * y).sum()) if rho else g  # 2. H₀ = ⟨s, y⟩/⟨y, y⟩
    for (s, y, rho), weight in zip(memory, reversed(weights)):  # 3. the second loop: oldest to newest
        g = g + (weight - rho * (y * g).sum()) * s
    return g
