"""Auto-PGD: gradient ascent that sets its own step sizes, on several objectives in turn (Croce and Hein 2020).

g is the network, f the objective to maximise.  `ascend` is Algorithm 1; `apgd` is an ensemble of it and of `square`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import ceil, inf
from typing import Any

import numpy as np

from minidl import grad
from minidl.core import Array, unbox

from .notation import J, Network, margin
from .pgd import clip
from .square import square

Function = Callable[[Array], Any]  # of an image


def apgd(g: Network, x: Array, y: int, epsilon: float = 0.3, steps: int = 100, targets: int = 9,
         queries: int = 5000, rng: Any = None) -> Array:  # fmt: skip
    """Algorithm 1 on cross-entropy, on DLR, on targeted DLR for each of the likeliest classes; then Square.

    It returns the first success, or else the image with the largest margin.

    g, x, y: the network, an image (c, h, w) and its label.
    epsilon, steps: radius of the ball, and the number of steps for each objective.
    targets: how many classes targeted DLR aims at.
    queries: of Square.
    rng: where random numbers come from, ``np.random.default_rng(0)`` if None.

    >>> import numpy as np
    >>> from attacks import plain
    >>> from minidl import models
    >>> f, x = plain.one(models.lenet(seed=0, dtype="float64")), np.full((1, 28, 28), 0.5)
    >>> X = plain.apgd(f, x, int(f(x).argmax()), epsilon=0.5, steps=10)
    >>> bool(f(X).argmax() != f(x).argmax())
    True
    """
    rng, P = rng or np.random.default_rng(0), partial(clip, x=x, epsilon=epsilon)
    misclassified = lambda X: g(X).argmax() != y
    likeliest = [t for t in g(x).argsort()[::-1] if t != y][:targets]
    tried = []
    for L in [J, dlr, *(partial(targeted_dlr, t=t) for t in likeliest)]:
        start = P(x + rng.choice([epsilon, -epsilon], x.shape))  # a corner of the ball
        f = lambda X, L=L: L(g(X), y)
        tried.append(ascend(f, P, start, 2 * epsilon, steps, misclassified))
        if misclassified(tried[-1]):
            return tried[-1]
    tried.append(square(g, x, y, epsilon, queries, rng=rng))
    return max(tried, key=lambda X: margin(g(X), y))


def ascend(f: Function, P: Function, x: Array, eta: float, N: int, done: Function,
           steepest: Function = np.sign) -> Array:  # fmt: skip
    """Algorithm 1: from x⁽⁰⁾ = x by N steps that increase f, first of size η, each projected by P; it returns x_max.

    done: whether an image is a success; the first success ends the ascent.  steepest: a gradient's steepest direction.
    """
    x_max, before, f_max, f_x = x, x, f(x), f(x)
    W, last, rises, halved, f_then = checkpoints(N), 0, 0, False, -inf
    for k in range(N):
        if done(x):
            return x
        z = P(x + eta * steepest(grad(f, x)))  # 1. z⁽ᵏ⁺¹⁾ ← P(x⁽ᵏ⁾ + η∇f(x⁽ᵏ⁾))
        alpha = 0.75 if k else 1.0  # the first step has none before it
        x, before = P(x + alpha * (z - x) + (1 - alpha) * (x - before)), x  # 2. x⁽ᵏ⁺¹⁾, with momentum
        increased, f_x = f(x) > f_x, f(x)
        if f_x > f_max or done(x):
            x_max, f_max = x, f_x  # 3. x_max ← x⁽ᵏ⁺¹⁾ and f_max ← f(x⁽ᵏ⁺¹⁾)
        if k in W:  # 4. at a checkpoint, has f increased too little since the last?
            few = rises < 0.75 * (k - last)  # condition 1: too few steps increased f
            stuck = not halved and f_max == f_then  # condition 2: neither η nor f_max has changed
            halved = few or stuck
            if halved:
                eta, x, f_x = eta / 2, x_max, f_max  # 5. then η ← η/2 and x⁽ᵏ⁺¹⁾ ← x_max
            last, rises, f_then = k, 0, f_max
        rises += increased
    return x_max


def checkpoints(N: int) -> set[int]:
    """W: w_j = ⌈p_j·N⌉ with p_0 = 0, p_1 = .22 and p_{j+1} = p_j + max(p_j - p_{j-1} - .03, .06)   (§3.2)."""
    p = [0, 0.22]
    while p[-1] < 1:
        p.append(p[-1] + max(p[-1] - p[-2] - 0.03, 0.06))
    return {ceil(round(p_j * N, 9)) for p_j in p}


def dlr(z: Array, y: int) -> Array:
    """-(z_y - max_{i≠y} z_i)/(z_π1 - z_π3), with π the order of the logits from the greatest   (eq. 6)."""
    pi = unbox(z).argsort()[::-1]
    return margin(z, y) / (z[pi[0]] - z[pi[2]])


def targeted_dlr(z: Array, y: int, t: int) -> Array:
    """-(z_y - z_t)/(z_π1 - ½(z_π3 + z_π4))   (eq. 7)."""
    pi = unbox(z).argsort()[::-1]
    return (z[t] - z[y]) / (z[pi[0]] - (z[pi[2]] + z[pi[3]]) / 2)
