"""Fused operations: neighbouring operations as one, which a `Sequential` uses where its `plan` joins layers.

A fused operation is a primitive whose function is a kernel.  Its rules are those of the operations that it replaces.
They call a kernel, too, without the arrays in between.  Only where a derivative is itself differentiated are they
written in primitives, as all other rules are.
"""

from __future__ import annotations

from typing import Any

from . import conv, ops
from .backend import kernels
from .core import Array, Box, Primitive, unbox
from .kernels.slopes import SLOPES

Size = tuple[int, int]


def _nested(*arrays: Array) -> bool:
    return any(isinstance(a, Box) for a in arrays)


# --- dropout(φ(z + bias)) --------------------------------------------------------------------------------


def activate(z: Array, bias: Array | None, activation: str, key: int | None = None, rate: float = 0.0) -> Array:
    """dropout(φ(z + bias)), for the products z of a dense layer.

    z: (..., U).
    bias: (U), or None.
    activation: φ, "identity", "relu", "tanh" or "sigmoid".
    key: of the dropout mask, as `layers.Dropout` draws it; None for no dropout.
    rate: of dropout.
    """
    return _activate(z, 0 if bias is None else bias, activation=activation, key=key, rate=rate)


def _through(t: Array, y: Array, activation: str, key: int | None, rate: float) -> Array:
    """t times ∂y/∂z, which is diagonal: both rules of z."""
    if not _nested(t, y):
        return kernels(y).activate_vjp(t, y, activation, key, rate)
    if key is None:
        return t * SLOPES[activation](y)
    mask = kernels(unbox(y)).dropout_mask(key, unbox(y), rate)
    return t * SLOPES[activation](y * (1 - rate)) * mask


def _to_rows(t: Array, y: Array) -> Array:
    """A tangent of the bias (..., U), repeated for each row of y (*rows, U)."""
    stack, units = t.shape[:-1], t.shape[-1:]
    return ops.broadcast_to(ops.reshape(t, stack + (1,) * (y.ndim - 1) + units), stack + y.shape)


_activate = Primitive(
    "activate",
    lambda z, bias, **o: kernels(z).activate(z, bias, **o),
    push=(
        lambda t, y, z, bias, **o: _through(t, y, **o),
        lambda t, y, z, bias, **o: _through(_to_rows(t, y), y, **o),
    ),
    pull=(
        lambda g, y, z, bias, **o: _through(g, y, **o),
        lambda g, y, z, bias, **o: ops.sum(_through(g, y, **o), axis=range(-y.ndim, -1)),
    ),
)


# --- max-pooling(x ⋆ w + bias) ---------------------------------------------------------------------------


def conv2d_max(x: Array, w: Array, bias: Array | None, stride: int, padding: int, size: Size, step: int) -> Array:
    """max_pool2d(conv2d(x, w, stride, padding) + bias, size, step), with a bias (O) or None.

    Only the pooled pixels are kept, each with its place in its window.  So at most one cotangent for each window is
    pulled back through the convolution, and a kernel may skip those that are 0.
    """
    conv.check_filters(x, w)
    between = conv.windows("conv2d", x.shape[2:], w.shape[2:], stride, padding)
    conv.windows("max_pool2d", between, size, step)
    bias = 0 if bias is None else bias
    of_both = {"stride": stride, "padding": padding, "size": size, "step": step}
    maxima, places = kernels(unbox(x)).conv2d_max(unbox(x), unbox(w), unbox(bias), **of_both)
    return _conv2d_max(x, w, bias, maxima=maxima, places=places, between=between, **of_both)


def _maxima(x: Array, w: Array, bias: Array, maxima: Array, **_: Any) -> Array:
    """The function of the primitive.  Its kernel has run already: it also returns the places, which the rules need."""
    return maxima


def _pooled(z: Array, places: Array, size: Size, step: int, **_: Any) -> Array:
    return conv._take(z, places=places, size=size, stride=step)


def _unpooled(g: Array, places: Array, size: Size, step: int, between: Size, **_: Any) -> Array:
    return conv._put(g, places=places, size=size, stride=step, image=between)


def _pull_input(g: Array, y: Array, x: Array, w: Array, bias: Array, maxima: Array, places: Array, **o: Any) -> Array:
    if not _nested(g, w):
        return kernels(g).conv2d_max_input(g, places, w, image=x.shape[2:], **o)
    return conv._input.stacked(_unpooled(g, places, **o), w, size=x.shape[2:], **_of_conv(**o))


def _pull_weights(g: Array, y: Array, x: Array, w: Array, bias: Array, maxima: Array, places: Array, **o: Any) -> Array:
    if not _nested(g, x) and g.ndim == 4:
        return kernels(g).conv2d_max_weights(x, g, places, filters=w.shape[2:], **o)
    return conv._weights.stacked(x, _unpooled(g, places, **o), size=w.shape[2:], **_of_conv(**o))


def _pull_bias(g: Array) -> Array:
    return ops.sum(g, axis=(-4, -2, -1)) if _nested(g) else kernels(g).channel_sums(g)


def _of_conv(stride: int, padding: int, **_: Any) -> dict[str, int]:
    return {"stride": stride, "padding": padding}


def _to_channels(t: Array, y: Array) -> Array:
    """A tangent of the bias (..., O), repeated for each pixel of y (N, O, I, J)."""
    return ops.broadcast_to(ops.reshape(t, (*t.shape[:-1], 1, t.shape[-1], 1, 1)), t.shape[:-1] + y.shape)


_conv2d_max = Primitive(
    "conv2d_max",
    _maxima,
    push=(
        lambda t, y, x, w, bias, **o: _pooled(conv._conv2d.stacked(t, w, **_of_conv(**o)), **o),
        lambda t, y, x, w, bias, **o: _pooled(conv._conv2d.stacked(x, t, **_of_conv(**o)), **o),
        lambda t, y, x, w, bias, **o: _to_channels(t, y),
    ),
    pull=(_pull_input, _pull_weights, lambda g, y, x, w, bias, **o: _pull_bias(g)),
)
