"""Softmax, and cross-entropy with its gradient, on logits of any size."""

from __future__ import annotations

from typing import Any

from .. import library

Array = Any


def log_softmax(z: Array) -> Array:
    """z - log Σ_k e^{z_k} over the last axis; the maximum is taken out first, so that any size of logit is safe."""
    xp = library(z)
    z = z - z.max(axis=-1, keepdims=True)
    return z - xp.log(xp.exp(z).sum(axis=-1, keepdims=True))


def softmax(z: Array) -> Array:
    """e^{z_k} / Σ_j e^{z_j} over the last axis."""
    p = library(z).exp(z - z.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


def cross_entropy(z: Array, labels: Array) -> Array:
    """-log p_label for each row of logits: z (..., K), labels (...) integer -> (...)."""
    xp = library(z)
    return -xp.take_along_axis(log_softmax(z), labels[..., None], axis=-1)[..., 0]


def cross_entropy_gradient(z: Array, labels: Array) -> Array:
    """∂(-log p_label)/∂z = p - onehot(label): (..., K).

    The entry of the label, p_label - 1, is computed as -Σ_{j≠label} p_j.  For a confident network p_label is 1
    to the last bit, and the difference would be zero or rounding noise: exactly where FGSM wants its sign.
    """
    xp = library(z)
    onehot = xp.arange(z.shape[-1]) == labels[..., None]
    others = xp.where(onehot, 0, softmax(z))
    return xp.where(onehot, -others.sum(axis=-1, keepdims=True), others)
