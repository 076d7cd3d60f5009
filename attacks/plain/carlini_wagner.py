"""Carlini and Wagner 2017: the closest image for which t is predicted, in L2, in L0, and in L∞.

Z is the network, and f the loss to minimise.  All three attacks call `descend`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minidl import grad, ops
from minidl.core import Array

from .notation import Network, margin

Length = Callable[[Array], Array]
ALMOST = 0.999999  # black and white pixels would have a w of ±∞


def f(z: Array, t: int, kappa: float) -> Array:
    """max(max_{i≠t} Z_i - Z_t, -κ), their f₆: it is -κ if t is predicted with a margin of κ or more."""
    return ops.maximum(margin(z, t), -kappa)


def squares(delta: Array) -> Array:
    """Σδ_i²."""
    return ops.sum(delta * delta)


def descend(Z: Network, x: Array, t: int, D: Length, c: float, start: Array, free: Array | bool = True,
            kappa: float = 0.0, steps: int = 1000, lr: float = 1e-2) -> Array | None:  # fmt: skip
    """Adam on D(δ) + c·f(x + δ): the successful image with the least D(δ) among those on the way, or None.

    D: the distance.  start: the first image.  free: the pixels that may change.
    """
    image = lambda w: ops.where(free, (ops.tanh(w) + 1) / 2, x)  # 1. x + δ = ½(tanh(w) + 1), always within the bounds
    loss = lambda w: D(image(w) - x) + c * f(Z(image(w)), t, kappa)  # 2. the loss to minimise
    w = np.arctanh((2 * start - 1) * ALMOST)
    m, v, best = 0 * w, 0 * w, None
    for k in range(1, steps + 1):
        X = image(w)
        if f(Z(X), t, kappa) <= -kappa and (best is None or D(X - x) < D(best - x)):  # 3. keep the closest success
            best = X
        g = grad(loss, w)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g  # 4. a step of Adam
        w = w - lr * (m / (1 - 0.9**k)) / (np.sqrt(v / (1 - 0.999**k)) + 1e-8)
    return best


def cw_l2(Z: Network, x: Array, t: int, kappa: float = 0.0, c: float = 1e-3, searches: int = 9,
          steps: int = 1000, lr: float = 1e-2) -> Array:  # fmt: skip
    """Minimise ‖δ‖₂² + c·f(x + δ), for the smallest c that succeeds   (§VI.A).

    Z, x, t: the network, an image and the target.
    kappa: κ, the margin by which t has to lead.
    c: the first weight of the loss f.
    searches: how many values of c are tried.
    steps, lr: number and learning rate of the steps of Adam.

    >>> import numpy as np
    >>> from attacks import plain
    >>> from minidl import models
    >>> f, x = plain.one(models.mlp(seed=0, dtype="float64")), np.full(784, 0.5)
    >>> X = plain.cw_l2(f, x, 3, c=1000.0, searches=1, steps=50)
    >>> int(f(X).argmax())
    3
    """
    too_little, enough, best = 0.0, np.inf, x
    for _ in range(searches):
        X = descend(Z, x, t, squares, c, start=x, kappa=kappa, steps=steps, lr=lr)  # 1. solve, for this c
        if X is None:
            too_little = c
        else:
            enough = c
            best = X if best is x or squares(X - x) < squares(best - x) else best
        c = 10 * c if enough == np.inf else (too_little + enough) / 2  # 2. binary search for c
    return best


def cw_l0(Z: Network, x: Array, t: int, kappa: float = 0.0, c: float = 1e-3, largest_c: float = 1e3,
          steps: int = 1000, lr: float = 1e-2) -> Array:  # fmt: skip
    """The fewest pixels: solve L2, fix the pixel that δ needs least, and again, until L2 fails   (§VI.B).

    Z, x, t: the network, an image and the target.
    kappa: κ, the margin by which t has to lead.
    c, largest_c: the first weight of the loss f, and the largest.
    steps, lr: number and learning rate of the steps of Adam.

    >>> import numpy as np
    >>> from attacks import plain
    >>> from minidl import models
    >>> f, x = plain.one(models.mlp(4, 3, hidden=(), seed=0, dtype="float64")), np.full(4, 0.5)
    >>> t = int(f(x).argsort()[-2])  # the second class
    >>> X = plain.cw_l0(f, x, t, c=10.0, largest_c=10.0, steps=100)
    >>> int(f(X).argmax()) == t, int((X != x).sum())
    (True, 1)
    """
    free, best = np.ones(x.shape, bool), x
    while c <= largest_c and free.any():
        X = descend(Z, x, t, squares, c, best, free, kappa, steps, lr)  # 1. solve L2 with the pixels that are left
        if X is None:
            c = 2 * c  # 2. where that fails, c was too small
            continue
        best, delta = X, X - x
        g = grad(lambda X: margin(Z(X), t), X)  # 3. g = ∇f(x + δ)
        useful = np.where(free & (delta != 0), -g * delta, np.inf)  # how much δ_i has decreased f
        free = (delta != 0) & (useful > useful.min())  # 4. fix i = argmin_i of that
    return best


def cw_linf(Z: Network, x: Array, t: int, kappa: float = 0.0, c: float = 1e-3, largest_c: float = 1e3,
            steps: int = 1000, lr: float = 1e-2) -> Array:  # fmt: skip
    """Minimise Σ_i (|δ_i| - τ)⁺ + c·f(x + δ), for smaller and smaller τ   (§VI.C).

    Z, x, t: the network, an image and the target.
    kappa: κ, the margin by which t has to lead.
    c, largest_c: the first weight of the loss f, and the largest.
    steps, lr: number and learning rate of the steps of Adam.

    >>> import numpy as np
    >>> from attacks import plain
    >>> from minidl import models
    >>> f, x = plain.one(models.mlp(seed=0, dtype="float64")), np.full(784, 0.5)
    >>> X = plain.cw_linf(f, x, 3, c=1.0, largest_c=1.0, steps=50)
    >>> int(f(X).argmax())
    3
    """
    tau, best = 1.0, x
    while c <= largest_c:
        beyond = lambda delta, tau=tau: ops.sum(ops.maximum(ops.absolute(delta) - tau, 0))  # 1. Σ(|δ_i| - τ)⁺
        X = descend(Z, x, t, beyond, c, best, True, kappa, steps, lr)  # 2. solve
        if X is not None and abs(X - x).max() < tau:
            best, tau = X, 0.9 * tau  # 3. all |δ_i| < τ: τ by a tenth less
        else:
            c = 2 * c  # 4. where that fails, c was too small
    return best
