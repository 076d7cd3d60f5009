"""The kernels as plain array code: what each computes, for any array library.  *The specification.*

Everything here takes and returns plain arrays, counts axes from the end, and finds its library from its
arguments.  The updates of the optimisers work in place; all else returns new arrays.  Convolution and JSMA's
search have files of their own, and are imported here, so that this module has every kernel by name.
"""

from __future__ import annotations

from typing import Any

from . import library
from .reference_conv import (  # noqa: F401
    conv2d,
    conv2d_input,
    conv2d_weights,
    convolve_by_definition,
    max_windows,
    pick,
    spread,
    sum_windows,
    unpick,
    winners,
)
from .reference_pairs import best_features, best_pairs, best_pairs_by_definition, saliency  # noqa: F401

Array = Any


# --- activations -----------------------------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    """1/(1 + e^-x), as e^x/(1 + e^x) for x < 0: no exponential overflows, and small values keep their digits."""
    xp = library(x)
    small = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1, small) / (1 + small)


def softplus(x: Array) -> Array:
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), which neither overflows nor loses small values."""
    xp = library(x)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


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


def cross_entropy_slope(z: Array, labels: Array) -> Array:
    """∂(-log p_label)/∂z = p - onehot(label): (..., K).

    The entry of the label, p_label - 1, is computed as -Σ_{j≠label} p_j.  For a confident network p_label is 1
    to the last bit, and the difference would be zero or rounding noise: exactly where FGSM wants its sign.
    """
    xp = library(z)
    onehot = xp.arange(z.shape[-1]) == labels[..., None]
    others = xp.where(onehot, 0, softmax(z))
    return xp.where(onehot, -others.sum(axis=-1, keepdims=True), others)


# --- random draws ----------------------------------------------------------------------------------------


def random_bits(key: int, like: Array, first: int = 0) -> Array:
    """64 random bits for each element of `like`, as uint64: draws number first, first + 1, … of stream `key`.

    SplitMix64 (Steele, Lea and Flood 2014) in its counter form: the i-th draw is a hash of key + i·γ.  No
    state is carried along, so draws depend on nothing but (key, i): not on batches, threads or libraries.
    """
    xp = library(like)
    counter = xp.arange(first + 1, first + 1 + like.size, dtype="uint64").reshape(like.shape)
    z = counter * 0x9E3779B97F4A7C15 + (key & 0xFFFFFFFFFFFFFFFF)
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    return z ^ (z >> 31)


def dropout_mask(key: int, like: Array, rate: float) -> Array:
    """Inverted dropout: 0 with probability `rate`, else 1/(1 - rate), in the shape and dtype of `like`."""
    kept = random_bits(key, like) >= int(rate * 2**64)
    return kept.astype(like.dtype) * (1.0 / (1.0 - rate))


def random_signs(key: int, like: Array, first: int = 0) -> Array:
    """-1 or +1 with probability ½ each, in the shape and dtype of `like`."""
    return 1 - 2 * (random_bits(key, like, first) >> 63).astype(like.dtype)


# --- updates, in place -----------------------------------------------------------------------------------


def sgd(w: Array, g: Array, velocity: Array, lr: float, momentum: float, nesterov: bool) -> None:
    """v ← μv - ηg;  w ← w + v, or with Nesterov's look-ahead w ← w + μv - ηg."""
    velocity *= momentum
    velocity -= lr * g
    w += momentum * velocity - lr * g if nesterov else velocity


def rmsprop(w: Array, g: Array, mean_square: Array, lr: float, rho: float, epsilon: float, inside: bool) -> None:
    """s ← ρs + (1-ρ)g²;  w ← w - ηg/√(s + ε), or η g/(√s + ε) with ε outside the root."""
    mean_square *= rho
    mean_square += (1 - rho) * (g * g)
    w -= lr * g / ((mean_square + epsilon) ** 0.5 if inside else mean_square**0.5 + epsilon)


def adam(w: Array, g: Array, mean: Array, mean_square: Array, step: int, lr: float, beta1: float, beta2: float,
         epsilon: float) -> None:  # fmt: skip
    """m ← β₁m + (1-β₁)g;  s ← β₂s + (1-β₂)g²;  w ← w - η·m̂/(√ŝ + ε), with m̂ = m/(1-β₁ᵗ), ŝ = s/(1-β₂ᵗ)."""
    mean *= beta1
    mean += (1 - beta1) * g
    mean_square *= beta2
    mean_square += (1 - beta2) * (g * g)
    w -= (lr / (1 - beta1**step)) * mean / ((mean_square / (1 - beta2**step)) ** 0.5 + epsilon)


# --- attacks ---------------------------------------------------------------------------------------------


def step_and_clip(x: Array, direction: Array, epsilon: float, bounds: tuple[float, float] | None) -> Array:
    """x + ε·direction, clipped to the bounds unless they are None."""
    moved = x + epsilon * direction
    return moved if bounds is None else library(x).clip(moved, *bounds)
