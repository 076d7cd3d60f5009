"""JSMA: change two pixels at a time, the most salient pair for the target (Papernot et al. 2016).

`jsma` is Algorithm 2, `most_salient` Algorithm 3.  With one feature at a time they are Algorithm 1 and equation 8.
"""

from __future__ import annotations

from itertools import combinations

from minidl import linearize
from minidl.core import Array

from .notation import Network


def jsma(f: Network, x: Array, t: int, theta: float = 1.0, upsilon: float = 0.145, features: int = 2) -> Array:
    """Change pixels of x by θ until f predicts t, at most the fraction Υ of all pixels.

    In the comments, F is f, X* the changed image, s its predicted class, and max_iter the number of rounds.

    f, x, t: the network (to logits), an image and the target.
    theta: θ, the change of a chosen pixel.  θ < 0 makes pixels darker.
    upsilon: Υ, the largest fraction of pixels to change.
    features: how many pixels to choose at a time.

    >>> import numpy as np
    >>> from attacks import plain
    >>> from minidl import models
    >>> f, x = plain.one(models.mlp(seed=0, dtype="float64")), np.full(784, 0.5)
    >>> X = plain.jsma(f, np.zeros(784), 3, upsilon=0.01)
    >>> int((X != 0).sum()) <= 7
    True
    """
    X, end = x.copy(), 1 if theta > 0 else 0  # 1. X* ← X; where a pixel can move no further
    pixels = X.reshape(-1)  # the same memory
    Gamma = {p for p in range(x.size) if pixels[p] != end}  # 2. Γ, all pixels that can move
    for _ in range(int(x.size * upsilon / features)):  # 3. while s ≠ t and iter < max_iter and Γ ≠ ∅
        if f(X).argmax() == t:
            break
        dF = linearize(f, X).jacobian("forward").reshape(-1, x.size)  # 4. the forward derivative ∇F(X*)
        chosen = most_salient(dF if theta > 0 else -dF, Gamma, t, features)  # 5. p₁, p₂ = saliency_map(∇F(X*), Γ, t)
        if not chosen:
            break
        for p in chosen:
            pixels[p] = min(max(pixels[p] + theta, 0), 1)  # 6. modify p₁ and p₂ by θ
            if pixels[p] == end:
                Gamma.remove(p)  # 7. remove from Γ what is saturated
    return X


def most_salient(dF: Array, Gamma: set[int], t: int, features: int = 2) -> tuple[int, ...]:
    """The pair in Γ with the largest -α·β that increases F_t (α > 0) and decreases the others' sum (β < 0), or ().

    dF (K, M): ∂F_j/∂X_i of K logits in M pixels.
    """
    chosen: tuple[int, ...] = ()
    largest, others = 0.0, dF.sum(axis=0) - dF[t]  # Σ_{j≠t} ∂F_j/∂X_i
    for pair in combinations(sorted(Gamma), features):  # 1. for each pair (p, q) ∈ Γ
        alpha = sum(dF[t][i] for i in pair)  # 2. α = Σ_{i=p,q} ∂F_t/∂X_i
        beta = sum(others[i] for i in pair)  # 3. β = Σ_{i=p,q} Σ_{j≠t} ∂F_j/∂X_i
        if alpha > 0 and beta < 0 and -alpha * beta > largest:  # 4. if α > 0 and β < 0 and -α·β > max
            chosen, largest = pair, -alpha * beta  # 5. p₁, p₂ ← p, q;  max ← -α·β
    return chosen
