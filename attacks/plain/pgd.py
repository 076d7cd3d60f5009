"""BIM, least likely, PGD: many small steps of FGSM, each followed by a projection to within ε of the image.

Kurakin, Goodfellow and Bengio 2016; Madry et al. 2018; with momentum, Dong et al. 2018.
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


def bim(
    f: Network, x: Array, y: int, epsilon: float = 0.3, alpha: float = 0.03, steps: int = 10, mu: float = 0.0
) -> Array:
    """The basic iterative method (Kurakin et al., §2.2): away from the label y.

    f, x, y: the network, an image and its label.
    epsilon, alpha, steps: radius of the ball, step size, number of steps.
    mu: momentum, with which it is MI-FGSM (Dong et al. 2018, Algorithm 1).

    >>> import numpy as np
    >>> from attacks import plain
    >>> from minidl import models
    >>> f, x = plain.one(models.mlp(seed=0, dtype="float64")), np.full(784, 0.5)
    >>> float(abs(plain.bim(f, x, 3, epsilon=0.1) - x).max().round(3))
    0.1
    """
    X, m = x, 0 * x  # 1. X₀ = X: the paper's X is x here, and its X_N is X
    for _ in range(steps):
        g = grad(lambda X: J(f(X), y), X)  # 2. ∇ₓJ(X_N, y), where J is the loss
        if mu > 0:
            g = m = mu * m + g / (abs(g).sum() or 1)  # Dong et al. eq. 6: g_{N+1} = μ·g_N + ∇ₓJ/‖∇ₓJ‖₁
        X = clip(X + alpha * np.sign(g), x, epsilon)  # 3. X_{N+1} = Clip_{X,ε}{X_N + α·sign(∇ₓJ(X_N, y))}
    return X


def least_likely(f: Network, x: Array, epsilon: float = 0.3, alpha: float = 0.03, steps: int = 10) -> Array:
    """The iterative least-likely class method (Kurakin et al., §2.3): towards the class with the least logit.

    f, x: the network and an image.
    epsilon, alpha, steps: radius of the ball, step size, number of steps.

    >>> import numpy as np
    >>> from attacks import plain
    >>> from minidl import models
    >>> f, x = plain.one(models.mlp(seed=0, dtype="float64")), np.full(784, 0.5)
    >>> t, X = f(x).argmin(), plain.least_likely(f, x, epsilon=0.1)
    >>> bool(f(X)[t] > f(x)[t])
    True
    """
    X, y_ll = x, int(f(x).argmin())  # 1. X₀ = X,  y_LL = argmin_y p(y | X)
    for _ in range(steps):
        g = grad(lambda X: J(f(X), y_ll), X)  # 2. ∇ₓJ(X_N, y_LL)
        X = clip(X - alpha * np.sign(g), x, epsilon)  # 3. X_{N+1} = Clip_{X,ε}{X_N - α·sign(∇ₓJ(X_N, y_LL))}
    return X


def pgd(f: Network, x: Array, y: int, epsilon: float = 0.3, alpha: float = 0.01, steps: int = 40, restarts: int = 1,
        rng: Any = None) -> Array:  # fmt: skip
    """Projected gradient descent (Madry et al., §2.1): BIM from a random point, until one of `restarts` runs succeeds.

    In the paper's letters, L is the loss J, θ the weights, S the perturbations of at most ε, and Π_{x+S} is `clip`.

    f, x, y: the network, an image and its label.
    epsilon, alpha, steps: radius of the ball, step size, number of steps.
    restarts: the number of random starting points, at least 1.
    rng: where random numbers come from, ``np.random.default_rng(0)`` if None.

    >>> import numpy as np
    >>> from attacks import plain
    >>> from minidl import models
    >>> f, x = plain.one(models.mlp(seed=0, dtype="float64")), np.full(784, 0.5)
    >>> float(abs(plain.pgd(f, x, 3, epsilon=0.1) - x).max().round(3))
    0.1
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
