"""DeepFool: step to the nearest decision boundary of the linearised network, until the prediction has changed.

Moosavi-Dezfooli, Fawzi and Frossard 2016.
"""

from __future__ import annotations

import numpy as np

from minidl import linearize
from minidl.core import Array

from .notation import Network


def deepfool(f: Network, x: Array, overshoot: float = 0.02, steps: int = 50, norm: str = "l2") -> Array:
    """Algorithm 2, the nearest boundary in L2; or with norm="linf", in L∞ (the paper's equation for ℓ_p).

    As in the authors' program, each x_i is beyond the boundary by the fraction η of the way: it can be returned.

    f, x: the network and an image.
    overshoot: η.
    steps: the number of iterations, at most.
    norm: "l2" or "linf".

    >>> import numpy as np
    >>> from attacks import plain
    >>> from minidl import models
    >>> f, x = plain.one(models.mlp(seed=0, dtype="float64")), np.full(784, 0.5)
    >>> bool(f(plain.deepfool(f, x)).argmax() != f(x).argmax())
    True
    """
    k_hat, total, X = int(f(x).argmax()), np.zeros_like(x), x  # 1. x₀ ← x, i ← 0
    for _ in range(steps):
        lin = linearize(f, X)
        if lin.value.argmax() != k_hat:  # 2. while k̂(x_i) = k̂(x₀)
            break
        z, dz, nearest, r = lin.value, lin.jacobian(), np.inf, 0.0
        for k in set(range(len(z))) - {k_hat}:  # 3. for k ≠ k̂(x₀)
            w_k = dz[k] - dz[k_hat]  # 4. w'_k ← ∇f_k(x_i) - ∇f_k̂(x_i)
            f_k = z[k] - z[k_hat]  # 5. f'_k ← f_k(x_i) - f_k̂(x_i)
            length = np.sqrt((w_k**2).sum()) if norm == "l2" else abs(w_k).sum()
            if abs(f_k) / length < nearest:  # 6. l̂ ← argmin_k |f'_k|/‖w'_k‖
                nearest = abs(f_k) / length
                r = nearest * (w_k / length if norm == "l2" else np.sign(w_k))  # 7. r_i ← |f'_l̂|/‖w'_l̂‖₂² · w'_l̂
        total = total + r
        X = x + (1 + overshoot) * total  # 8. x_{i+1} ← x_i + r_i
    return X
