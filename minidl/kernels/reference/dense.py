"""The kernels as plain array code: what each computes, for any array library.  *The specification.*

Everything here takes and returns plain arrays, counts axes from the end, and finds its library from its
arguments.  The updates of the optimisers work in place; all else leaves its arguments alone.  Random draws,
convolution, JSMA's search, Adam behind a tanh and evolution have files of their own, and are imported here, so that
this module has every kernel by name.  `cpu` and `cuda` have the same names with the same signatures; what they leave
out they take from here.
"""

from __future__ import annotations

from typing import Any

from .. import library, slopes
from .conv import (  # noqa: F401
    channel_sums,
    conv2d,
    conv2d_input,
    conv2d_max,
    conv2d_max_input,
    conv2d_max_weights,
    conv2d_weights,
    convolve_by_definition,
    max_windows,
    pick,
    spread,
    sum_windows,
    unpick,
    winners,
)
from .steps import tanh_adam  # noqa: F401
from .draws import dropout_mask, random_bits, random_signs, random_uniform  # noqa: F401
from .evolution import FUNCTIONS, cppn, polynomial_mutation  # noqa: F401
from .pairs import best_features, best_pairs, best_pairs_by_definition, saliency  # noqa: F401

Array = Any


# --- products --------------------------------------------------------------------------------------------


def matmul(a: Array, b: Array) -> Array:
    """a @ b, for matrices or stacks of them."""
    return a @ b


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


# --- a unit's way from the sum of its inputs to its output ------------------------------------------------


def unit(z: Array, bias: Any, activation: str, key: int | None, rate: float) -> Array:
    """dropout(φ(z + bias)): z (..., U), bias (U) or the number 0, φ one of `ACTIVATIONS`; no dropout if key is None."""
    y = ACTIVATIONS[activation](z + bias if hasattr(bias, "shape") else z)
    return y if key is None else y * dropout_mask(key, y, rate)


def unit_slope(g: Array, y: Array, activation: str, key: int | None, rate: float) -> Array:
    """g times ∂y/∂z, which is diagonal, from y = unit(z, …) alone: g (..., *y.shape)."""
    if key is None:
        return g * slopes.SLOPES[activation](y)
    return g * (slopes.SLOPES[activation](y * (1 - rate)) * dropout_mask(key, y, rate))


#: Activations φ by name, all of them increasing.  Their slopes are in `slopes`.
ACTIVATIONS = {
    "identity": lambda z: z,
    "relu": lambda z: library(z).maximum(z, 0),
    "tanh": lambda z: library(z).tanh(z),
    "sigmoid": sigmoid,
}


# --- updates, in place -----------------------------------------------------------------------------------
# g is the gradient of the loss; that of the penalty λ₁Σ|w| + λ₂Σw² is added on the way.


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


# --- batches and attacks ---------------------------------------------------------------------------------


def gather(x: Array, rows: Array) -> Array:
    """x[rows], for the numbers of some rows: a batch, or the examples that an attack still works on."""
    return x[rows]


def sign_step(x: Array, g: Array, step: float, bounds: tuple[float, float] | None, origin: Any = None,
              epsilon: float = 0.0) -> Array:  # fmt: skip
    """x + step·sign(g), no further than ε from `origin` if there is one, and within the bounds unless None."""
    xp = library(x)
    moved = x + step * xp.sign(g)
    if origin is not None:
        moved = xp.clip(moved, origin - epsilon, origin + epsilon)
    return moved if bounds is None else xp.clip(moved, *bounds)
