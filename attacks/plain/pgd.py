"""BIM, least likely, PGD: the step of FGSM, many times and small, and back to within ε of the image each time.

Kurakin, Goodfellow and Bengio 2016; Madry et al. 2018.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl import grad
from minidl.core import Array

from .notation import J, Network


def clip(X: Array, x: Array, epsilon: float) -> Array:
    """Clip_{x,ε}{X} = min(1, x + ε, max(0, x - ε, X)), pixel by pixel: within ε of x, and within the bounds."""
    return np.minimum(np.minimum(1, x + epsilon), np.maximum(np.maximum(0, x - epsilon), X))


def bim(f: Network, x: Array, y: int, epsilon: float = 0.3, alpha: float = 0.03, steps: int = 10) -> Array:
    """The basic iterative method (Kurakin et al., §2.2): away from the label y."""
    X = x  # 1. X₀ = X: the paper's X is x here, and its X_N is X
    for _ in range(steps):
        g = grad(lambda X: J(f(X), y), X)  # 2. ∇ₓJ(X_N, y), where J is the loss
        X = clip(X + alpha * np.sign(g), x, epsilon)  # 3. X_{N+1} = Clip_{X,ε}{X_N + α·sign(∇ₓJ(X_N, y))}
    return X


def least_likely(f: Network, x: Array, epsilon: float = 0.3, alpha: float = 0.03, steps: int = 10) -> Array:
    """The iterative least-likely class method (Kurakin et al., §2.3): towards the class that f believes in least."""
    X, y_ll = x, int(f(x).argmin())  # 1. X₀ = X,  y_LL = argmin_y p(y | X)
    for _ in range(steps):
        g = grad(lambda X: J(f(X), y_ll), X)  # 2. ∇ₓJ(X_N, y_LL)
        X = clip(X - alpha * np.sign(g), x, epsilon)  # 3. X_{N+1} = Clip_{X,ε}{X_N - α·sign(∇ₓJ(X_N, y_LL))}
    return X


def pgd(f: Network, x: Array, y: int, epsilon: float = 0.3, alpha: float = 0.01, steps: int = 40, restarts: int = 1,
        rng: Any = None) -> Array:  # fmt: skip
    """Projected gradient descent (Madry et al., §2.1): BIM from a random point, until one of `restarts` tries succeeds.

    In the paper's letters, L is the loss J, θ the weights of f, S the changes of at most ε, and Π_{x+S} is `clip`.

    rng: where random numbers come from, ``np.random.default_rng(0)`` if None.
    """
    rng = rng or np.random.default_rng(0)
    for _ in range(restarts):
        X = clip(x + rng.uniform(-epsilon, epsilon, x.shape), x, epsilon)  # 1. x⁰, anywhere in x + S
        for _ in range(steps):
            g = grad(lambda X: J(f(X), y), X)  # 2. ∇ₓL(θ, xᵗ, y)
            X = clip(X + alpha * np.sign(g), x, epsilon)  # 3. xᵗ⁺¹ = Π_{x+S}(xᵗ + α·sign(∇ₓL(θ, xᵗ, y)))
        if f(X).argmax() != y:
            break
    return X
