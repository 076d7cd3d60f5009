"""Reductions: means, products, extremes, deviations, log Σe^x; and the softmax beside it.

All but the softmax have the parameters `axis` and `keepdims`.  They have no rules of their own: they are written in the
operations of `ops`, and can be used from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from . import ops
from .backend import kernels, namespace
from .core import Array, Box, Primitive, unbox
from .errors import ShapeError
from .shaping import one_axis, swapaxes


def _count(operation: str, x: Array, axis: ops.Axes) -> int:
    """How many entries are reduced to one; `ShapeError` if there are none."""
    count = math.prod(x.shape[a] for a in ops._from_the_end(operation, x, axis))
    if count == 0:
        raise ShapeError(operation, "at least one element along the axes", f"x of shape {x.shape}, axis={axis}")
    return count


def mean(x: Array, axis: ops.Axes = None, keepdims: bool = False) -> Array:
    """Σx/n over the given axes.  Raises `ShapeError` if there is nothing to average.

    x: floating point, of any shape.
    axis: one axis or several, counted from either end; None for all.
    keepdims: whether these axes stay, with length 1.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.mean(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    array([2., 3.])
    """
    count = _count("mean", x, axis)
    return ops.sum(x, axis, keepdims) / count


# --- deviations ------------------------------------------------------------------------------------------


def _deviations(operation: str, x: Array, axis: ops.Axes, ddof: int) -> tuple[Array, int]:
    """x minus its mean, and the divisor.  The largest is subtracted first, so that equal entries deviate by 0."""
    count = _count(operation, x, axis)
    if not count > ddof:
        expected = f"more than ddof={ddof} elements along the axes"
        raise ShapeError(operation, expected, f"x of shape {x.shape}, axis={axis}")
    over = ops._from_the_end(operation, x, axis)
    near = x - unbox(x).max(axis=over, keepdims=True) if x.size else x
    return near - mean(near, axis, keepdims=True), count - ddof


def var(x: Array, axis: ops.Axes = None, keepdims: bool = False, *, ddof: int = 0) -> Array:
    """The variance, Σ(x - mean(x))²/(n - ddof), over the given axes.

    x: floating point, of any shape.
    axis: one axis or several, counted from either end; None for all.
    keepdims: whether these axes stay, with length 1.
    ddof: 0, or 1 for the unbiased estimate from a sample.  `ShapeError` unless n > ddof and n > 0.

    >>> import numpy as np
    >>> from minidl import ops
    >>> float(ops.var(np.array([1.0, 3.0])))
    1.0
    """
    away, count = _deviations("var", x, axis, ddof)
    return ops.sum(away * away, axis, keepdims) / count


def std(x: Array, axis: ops.Axes = None, keepdims: bool = False, *, ddof: int = 0) -> Array:
    """The standard deviation, √var(x).  Where all entries are equal, its gradient is set to 0.

    x: floating point, of any shape.
    axis: one axis or several, counted from either end; None for all.
    keepdims: whether these axes stay, with length 1.
    ddof: 0, or 1 for the estimate from a sample.  `ShapeError` unless n > ddof and n > 0.

    >>> import numpy as np
    >>> from minidl import ops
    >>> float(ops.std(np.array([1.0, 3.0])))
    1.0
    """
    away, count = _deviations("std", x, axis, ddof)
    return norm(away, axis, keepdims) / math.sqrt(count)


def norm(x: Array, axis: ops.Axes = None, keepdims: bool = False) -> Array:
    """‖x‖₂ = √Σx² over the given axes.  Where all entries are 0, its gradient is set to 0.

    x: floating point, of any shape.
    axis: one axis or several, counted from either end; None for all.
    keepdims: whether these axes stay, with length 1.

    Entries are divided by the largest of them first, so that no square overflows or is rounded to 0.  The largest
    counts as a constant in the derivative: c·‖x/c‖ does not depend on c.

    >>> import numpy as np
    >>> from minidl import ops
    >>> float(ops.norm(np.array([3.0, 4.0])))
    5.0
    """
    over, xp, plain = ops._from_the_end("norm", x, axis), namespace(unbox(x)), unbox(x)
    scale: Array = 1
    if plain.size:  # of nothing there is no largest, and CuPy's max has no `initial`
        largest = xp.abs(plain).max(axis=over, keepdims=True)
        scale = xp.where((largest > 0) & xp.isfinite(largest), largest, 1)
    ratio = x / scale
    square = ops.sum(ratio * ratio, over, keepdims=True)
    nonzero = square != 0  # NaN is among them
    length = ops.where(nonzero, ops.sqrt(ops.where(nonzero, square, 1)), 0) * scale
    kept = tuple(n for i, n in enumerate(x.shape) if i - x.ndim not in over)
    return length if keepdims else ops.reshape(length, kept)


# --- extremes and products -------------------------------------------------------------------------------


def max(x: Array, axis: ops.Axes = None, keepdims: bool = False) -> Array:
    """The largest entry over the given axes.  Of equal ones, only the first in row-major order has a derivative.

    x: floating point, of any shape.
    axis: one axis or several, counted from either end; None for all.
    keepdims: whether these axes stay, with length 1.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.max(np.array([[1.0, 4.0], [3.0, 2.0]]), axis=0)
    array([3., 4.])
    """
    _count("max", x, axis)
    if not isinstance(x, Box):
        return x.max(axis=ops._from_the_end("max", x, axis), keepdims=keepdims)
    rows, kept = _as_rows("max", x, axis, keepdims)
    rows = ops.reshape(rows, (math.prod(rows.shape[:-1]), rows.shape[-1]))
    first = unbox(rows).argmax(axis=-1)
    return ops.reshape(ops.index(rows, (namespace(first).arange(len(first)), first)), kept)


def min(x: Array, axis: ops.Axes = None, keepdims: bool = False) -> Array:
    """The smallest entry over the given axes.  Of equal ones, only the first in row-major order has a derivative.

    x: floating point, of any shape.
    axis: one axis or several, counted from either end; None for all.
    keepdims: whether these axes stay, with length 1.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.min(np.array([[1.0, 4.0], [3.0, 2.0]]), axis=0)
    array([1., 2.])
    """
    _count("min", x, axis)
    if not isinstance(x, Box):
        return x.min(axis=ops._from_the_end("min", x, axis), keepdims=keepdims)
    return ops.negative(max(ops.negative(x), axis, keepdims))


def prod(x: Array, axis: ops.Axes = None, keepdims: bool = False) -> Array:
    """Πx over the given axes; the product of no entries is 1.

    x: floating point, of any shape.
    axis: one axis or several, counted from either end; None for all.
    keepdims: whether these axes stay, with length 1.

    Neighbours are multiplied until one entry is left, log₂ n times.  So the derivative is that of multiply: it never
    divides, and is right where entries are 0, to any order.

    >>> import numpy as np
    >>> from minidl import ops
    >>> float(ops.prod(np.array([2.0, 3.0, 4.0])))
    24.0
    """
    if unbox(x).dtype.kind != "f":
        return x.prod(axis=axis, keepdims=keepdims)
    rows, kept = _as_rows("prod", x, axis, keepdims)
    if rows.shape[-1] == 0:
        return ops.sum(x, axis, keepdims) + 1
    while (n := rows.shape[-1]) > 1:
        pairs = rows[..., 0 : n - 1 : 2] * rows[..., 1:n:2]
        rows = ops.concatenate([pairs, rows[..., n - 1 :]], axis=-1) if n % 2 else pairs
    return ops.reshape(rows, kept)


def _as_rows(operation: str, x: Array, axis: ops.Axes, keepdims: bool) -> tuple[Array, tuple[int, ...]]:
    """x with the reduced axes as one last axis (..., n), and the shape of the result."""
    reduced = ops._from_the_end(operation, x, axis)
    kept = [a for a in range(-x.ndim, 0) if a not in reduced]
    lengths = tuple(x.shape[a] for a in kept)
    rows = ops.transpose(x, [*kept, *sorted(reduced)]) if kept and reduced else x
    rows = ops.reshape(rows, (*lengths, math.prod(x.shape[a] for a in reduced)))
    return rows, tuple(1 if a in reduced else x.shape[a] for a in range(-x.ndim, 0)) if keepdims else lengths


# --- exponentials, scaled by the largest so that none overflows ---------------------------------------------


def logsumexp(x: Array, axis: ops.Axes = None, keepdims: bool = False) -> Array:
    """log Σe^x over the given axes, for x of any size.  Its gradient is the softmax.

    x: floating point, of any shape.
    axis: one axis or several, counted from either end; None for all.
    keepdims: whether these axes stay, with length 1.

    Where all entries are -∞ it is -∞, with gradient 0.  Raises `ShapeError` if there are no entries.

    >>> import numpy as np
    >>> from minidl import ops
    >>> float(ops.logsumexp(np.array([1000.0, 1000.0])).round(4))
    1000.6931
    """
    _count("logsumexp", x, axis)
    xp, plain = namespace(unbox(x)), unbox(x)
    if not x.size:
        return ops.sum(x, axis, keepdims)
    greatest = plain.max(axis=ops._from_the_end("logsumexp", x, axis), keepdims=True)
    scale = xp.where(xp.isfinite(greatest), greatest, 0)
    total = ops.sum(ops.exp(x - scale), axis, keepdims=True)
    nothing = total == 0
    result = ops.log(ops.where(nothing, 1, total)) + xp.where(nothing, -xp.inf, scale)
    return ops.sum(result, axis, keepdims)  # of one number each: it only takes the axes away


def _along_rows(g: Array) -> Array:
    return ops.sum(g, axis=-1, keepdims=True)


def over_classes(name: str) -> Callable[..., Array]:
    """The kernel of that name, for logits (..., K) with at least one class; `ShapeError` for any others.

    name: of a kernel, such as "softmax".

    >>> import numpy as np
    >>> from minidl.reductions import over_classes
    >>> over_classes("softmax")(np.zeros((1, 2)))
    array([[0.5, 0.5]])
    """

    def kernel(z: Array, *labels: Array) -> Array:
        if z.ndim == 0 or z.shape[-1] == 0:
            raise ShapeError(name, "logits (..., K) of at least one class", f"shape {z.shape}")
        return getattr(kernels(z), name)(z, *labels)

    return kernel


# y = z - log Σ e^z:  J = I - 1·pᵀ
_log_softmax: Primitive = Primitive(
    "log_softmax",
    over_classes("log_softmax"),
    push=[lambda t, y, z: t - _along_rows(_softmax(z) * t)],
    pull=[lambda g, y, z: g - _softmax(z) * _along_rows(g)],
)

# p = softmax(z):  J = diag(p) - p·pᵀ, which is symmetric
_softmax: Primitive = Primitive(
    "softmax",
    over_classes("softmax"),
    push=[lambda t, p, z: p * (t - _along_rows(p * t))],
    pull=[lambda g, p, z: p * (g - _along_rows(p * g))],
)


def softmax(x: Array, axis: int = -1) -> Array:
    """p_k = e^{x_k}/Σ_j e^{x_j} along one axis: numbers above 0 that sum to 1, in x's shape.

    x: floating point, of any shape.
    axis: counted from either end.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.softmax(np.array([0.0, 0.0]))
    array([0.5, 0.5])
    """
    return _along("softmax", _softmax, x, axis)


def log_softmax(x: Array, axis: int = -1) -> Array:
    """log softmax(x) = x - log Σ_j e^{x_j} along one axis.  It is finite also where the softmax is rounded to 0.

    x: floating point, of any shape.
    axis: counted from either end.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    return _along("log_softmax", _log_softmax, x, axis)


def _along(operation: str, primitive: Primitive, x: Array, axis: int) -> Array:
    """A primitive of the last axis, along any."""
    if axis == -1 or (place := one_axis(operation, x, axis)) == -1:
        return primitive(x)
    return swapaxes(primitive(swapaxes(x, place, -1)), place, -1)
