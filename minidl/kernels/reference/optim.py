"""The updates of the optimisers, in place, with the penalty λ₁Σ|w| + λ₂Σw² on the way.

g is the gradient of the loss; that of the penalty is added to it.
"""

from __future__ import annotations

from typing import Any

from .. import library

Array = Any


def penalised(g: Array, w: Array, l1: float, l2: float) -> Array:
    """g + λ₁ sign(w) + 2λ₂w, with sign(0) = 0."""
    g = g + l1 * library(w).sign(w) if l1 else g
    return g + 2 * l2 * w if l2 else g


def penalty(w: Array, l1: float, l2: float) -> Array:
    """λ₁Σ|w| + λ₂Σw², of rank 0."""
    return l1 * abs(w).sum() + l2 * (w * w).sum()


def sgd(w: Array, g: Array, velocity: Array, lr: float, momentum: float, nesterov: bool, l1: float = 0.0,
        l2: float = 0.0) -> None:  # fmt: skip
    """v ← μv - ηg;  w ← w + v, or with Nesterov's look-ahead w ← w + μv - ηg."""
    g = penalised(g, w, l1, l2)
    velocity *= momentum
    velocity -= lr * g
    w += momentum * velocity - lr * g if nesterov else velocity


def rmsprop(w: Array, g: Array, mean_square: Array, lr: float, rho: float, epsilon: float, inside: bool,
            l1: float = 0.0, l2: float = 0.0) -> None:  # fmt: skip
    """s ← ρs + (1-ρ)g²;  w ← w - ηg/√(s + ε), or η g/(√s + ε) with ε outside the root."""
    g = penalised(g, w, l1, l2)
    mean_square *= rho
    mean_square += (1 - rho) * (g * g)
    w -= lr * g / ((mean_square + epsilon) ** 0.5 if inside else mean_square**0.5 + epsilon)


def adam(w: Array, g: Array, mean: Array, mean_square: Array, step: int, lr: float, beta1: float, beta2: float,
         epsilon: float, l1: float = 0.0, l2: float = 0.0) -> None:  # fmt: skip
    """m ← β₁m + (1-β₁)g;  s ← β₂s + (1-β₂)g²;  w ← w - η·m̂/(√ŝ + ε), with m̂ = m/(1-β₁ᵗ), ŝ = s/(1-β₂ᵗ)."""
    g = penalised(g, w, l1, l2)
    mean *= beta1
    mean += (1 - beta1) * g
    mean_square *= beta2
    mean_square += (1 - beta2) * (g * g)
    w -= (lr / (1 - beta1**step)) * mean / ((mean_square / (1 - beta2**step)) ** 0.5 + epsilon)
