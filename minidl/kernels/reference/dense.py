"""Dense layers: a matrix product, and then bias, activation and dropout in one pass."""

from __future__ import annotations

from typing import Any

from .. import library, slopes
from .draws import dropout_mask

Array = Any


def matmul(a: Array, b: Array) -> Array:
    """a @ b, for matrices or stacks of them."""
    return a @ b


def sigmoid(x: Array) -> Array:
    """1/(1 + e^-x), as e^x/(1 + e^x) for x < 0: no exponential overflows, and small values keep their digits."""
    xp = library(x)
    small = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1, small) / (1 + small)


def softplus(x: Array) -> Array:
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), which neither overflows nor loses small values."""
    xp = library(x)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


def activate(z: Array, bias: Any, activation: str, key: int | None, rate: float) -> Array:
    """dropout(φ(z + bias)): z (..., U), bias (U) or the number 0, φ one of `ACTIVATIONS`; no dropout if key is None."""
    y = ACTIVATIONS[activation](z + bias if hasattr(bias, "shape") else z)
    return y if key is None else y * dropout_mask(key, y, rate)


def activate_vjp(g: Array, y: Array, activation: str, key: int | None, rate: float) -> Array:
    """g times ∂y/∂z, which is diagonal, from y = activate(z, …) alone: g (..., *y.shape)."""
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
