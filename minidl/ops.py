"""The operations, by family: elementwise, linear, general.  *Read after core.py.*

Each primitive is one paragraph: its function and its two rules on one screen.  Most need one line, because their family
defines the rest.  Broadcasting is undone in one place: `broadcast_to` is a linear primitive whose transpose sums, and
`broadcasting` applies it to arguments that differ in shape.  All operations accept arrays, numbers and boxes, and
return arrays, or boxes if they were given one.

Operations composed of these have no rules of their own, and stand in other files, but can be used from here:
`shaping` (swapaxes, flip, pad, …), `reductions` (min, prod, std, logsumexp, softmax, …) and `products` (dot, einsum).
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

from .backend import kernels, namespace
from .core import Array, Box, Primitive, elementwise, linear, settle, unbox
from .errors import DTypeError, RangeError, ShapeError
from .kernels import slopes

Axes = int | Sequence[int] | None


# --- elementwise, of one array: y as a function of x, then ∂y/∂x as one of y and x, or as a constant ---------
# Derivatives are written in these operations, so that they have derivatives.  Those of the activations are functions in
# `kernels/slopes.py`, because compiled kernels are made of them, too.

exp = elementwise("exp", lambda x: namespace(x).exp(x), lambda y, x: y)
log = elementwise("log", lambda x: namespace(x).log(x), lambda y, x: 1 / x)
sqrt = elementwise("sqrt", lambda x: namespace(x).sqrt(x), lambda y, x: 0.5 / y)
sin: Primitive = elementwise("sin", lambda x: namespace(x).sin(x), lambda y, x: cos(x))
cos: Primitive = elementwise("cos", lambda x: namespace(x).cos(x), lambda y, x: -sin(x))
sign = elementwise("sign", lambda x: namespace(x).sign(x), 0)
absolute = elementwise("absolute", lambda x: namespace(x).abs(x), lambda y, x: sign(x))  # 0 at 0
negative = elementwise("negative", operator.neg, -1)
relu = elementwise("relu", lambda x: namespace(x).maximum(x, 0), lambda y, x: slopes.relu(y))  # 0 at 0
tanh = elementwise("tanh", lambda x: namespace(x).tanh(x), lambda y, x: slopes.tanh(y))
sigmoid = elementwise("sigmoid", lambda x: kernels(x).sigmoid(x), lambda y, x: slopes.sigmoid(y))
softplus = elementwise("softplus", lambda x: kernels(x).softplus(x), lambda y, x: sigmoid(x))


# --- elementwise, of two arrays: the function, then ∂y/∂a and ∂y/∂b ------------------------------------------


def broadcasting(operation: Callable[..., Array], axes: int = 0) -> Callable[..., Array]:
    """The operation, with its boxed arguments first broadcast to their common shape.

    operation: a function of arrays.
    axes: how many of the last axes are not broadcast.

    >>> import numpy as np
    >>> from minidl import grad, ops
    >>> grad(lambda b: ops.sum(ops.add(np.ones((3, 2)), b)), np.zeros(2))
    array([3., 3.])
    """

    def repeated(*arguments: Array) -> Array:
        shapes = [getattr(a, "shape", ()) for a in arguments]
        if not any(isinstance(a, Box) for a in arguments) or len(set(shapes)) == 1:
            return operation(*arguments)
        outer = [shape[: len(shape) - axes] for shape in shapes]
        common = _common_shape(name, outer)
        return operation(*(broadcast_to(a, common + a.shape[a.ndim - axes :]) if isinstance(a, Box) else a
                           for a in arguments))  # fmt: skip

    name = getattr(operation, "name", "minidl")
    repeated.__name__ = name
    repeated.__doc__ = f"The primitive `{name}`, its boxed arguments broadcast to one shape first."
    repeated.__wrapped__ = operation  # type: ignore[attr-defined]
    return repeated


def _common_shape(name: str, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    rank = builtins.max(len(shape) for shape in shapes)
    common = []
    for lengths in zip(*((1,) * (rank - len(shape)) + shape for shape in shapes)):
        longer = {n for n in lengths if n != 1}
        if len(longer) > 1:
            raise ShapeError(name, "shapes that broadcast together", " and ".join(map(str, shapes)))
        common.append(longer.pop() if longer else 1)
    return tuple(common)


add = broadcasting(elementwise("add", operator.add, 1, 1))
subtract = broadcasting(elementwise("subtract", operator.sub, 1, -1))
multiply = broadcasting(elementwise("multiply", operator.mul, lambda y, a, b: b, lambda y, a, b: a))
divide = broadcasting(elementwise("divide", operator.truediv, lambda y, a, b: 1 / b, lambda y, a, b: -y / b))
# a mod b = a - b·⌊a/b⌋, where ⌊a/b⌋ counts as a constant: it is constant except where b divides a.
mod = broadcasting(elementwise("mod", operator.mod, 1, lambda y, a, b: -(unbox(a) // unbox(b))))
# Where both are equal the first argument is the maximum, and the minimum.
maximum = broadcasting(
    elementwise("maximum", lambda a, b: namespace(a, b).maximum(a, b), lambda y, a, b: a >= b, lambda y, a, b: a < b)
)
minimum = broadcasting(
    elementwise("minimum", lambda a, b: namespace(a, b).minimum(a, b), lambda y, a, b: a <= b, lambda y, a, b: a > b)
)
# ∂aᵇ/∂a is 0 for b = 0, also at a = 0; ∂aᵇ/∂b is set to 0 for a ≤ 0, where aᵇ is real for some b only.
power = broadcasting(
    elementwise(
        "power", operator.pow, lambda y, a, b: b * a ** _one_less(a, b), lambda y, a, b: _slope_in_exponent(y, a)
    )
)


def clip(x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    """min(max(x, low), high), with slope 1 between the bounds and at them, and 0 outside.

    x: floating point, of any shape.
    low, high: numbers, or arrays that broadcast with x; None for no bound.  `RangeError` for numbers low > high.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.clip(np.array([-1.0, 0.5, 2.0]), 0, 1)
    array([0. , 0.5, 1. ])
    """
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and not low <= high:
        raise RangeError("clip", "low of at most high", f"low={low}, high={high}")
    x = x if low is None else maximum(x, low)
    return x if high is None else minimum(x, high)


def _one_less(a: Array, b: Array) -> Array:
    """b - 1; but 1 where a = b = 0, so that the derivative is 0 there, because of the factor b, and not 0/0."""
    if isinstance(b, (int, float)):  # a Python number takes the dtype of the base
        return b - 1 if b else 1
    return where((b == 0) & (a == 0), 1, b - 1)


def _slope_in_exponent(y: Array, a: Array) -> Array:
    """y·log a, and 0 for a ≤ 0.  There y is replaced, too: it is infinite for a = 0 and b < 0, and ∞·0 is NaN."""
    if isinstance(a, (int, float)):
        return y * math.log(a) if a > 0 else 0
    positive = a > 0
    return where(positive, y, 0) * log(where(positive, a, 1))


def stop_gradient(x: Array) -> Array:
    """The value of x as a plain array: a constant for every derivative, nested ones included.

    x: floating point, of any shape.

    >>> import numpy as np
    >>> from minidl import grad, ops
    >>> float(grad(lambda x: x * ops.stop_gradient(x), np.array(3.0)))
    3.0
    """
    return unbox(x)


_where = broadcasting(
    Primitive(
        "where",
        lambda condition, a, b: namespace(condition, a, b).where(condition, a, b),
        push=(None, lambda t, y, c, a, b: where(c, t, 0), lambda t, y, c, a, b: where(c, 0, t)),
        pull=(None, lambda g, y, c, a, b: where(c, g, 0), lambda g, y, c, a, b: where(c, 0, g)),
    )
)


def where(condition: Array, a: Array, b: Array) -> Array:
    """a where the condition holds, b elsewhere.  Entries that are not chosen get a cotangent of 0.

    condition: boolean.
    a, b: arrays or numbers that broadcast with it.

    Values that are not chosen have no influence, not even NaN.  But their derivatives are computed, and 0·∞ is NaN: the
    gradient of ``where(x > 0, sqrt(x), 0)`` is NaN for x ≤ 0.  Choose first, then compute:
    ``where(x > 0, sqrt(where(x > 0, x, 1)), 0)``.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.where(np.array([True, False]), np.array([1.0, 2.0]), 0)
    array([1., 0.])
    """
    return _where(unbox(condition), a, b)


# --- linear: changes of shape ----------------------------------------------------------------------------
# The functions act on the last `ndim` axes only, so that each pushes tangents forward by itself.

_reshape: Primitive = linear(
    "reshape",
    lambda x, shape, ndim: x.reshape(x.shape[: x.ndim - ndim] + shape),
    transpose=lambda g, x, shape, ndim: _reshape(g, shape=_last(x, ndim), ndim=len(shape)),
)


def _several(numbers: Any) -> tuple[int, ...]:
    """One whole number, of any library, or several of them, as a tuple."""
    return (int(numbers),) if isinstance(numbers, Integral) else tuple(numbers)


def _last(x: Array, ndim: int) -> tuple[int, ...]:
    """The shape without stacked axes: x may be a stack of tangents, when a derivative is differentiated."""
    return x.shape[x.ndim - ndim :]


def reshape(x: Array, shape: int | Sequence[int]) -> Array:
    """The elements of x, in row-major order, in another shape.

    x: floating point, of any shape.
    shape: one length or several; one may be -1, and is computed from the others.  `ShapeError` for another size.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.reshape(np.zeros((2, 3)), (3, -1)).shape
    (3, 2)
    """
    wanted = _several(shape)
    known = math.prod(n for n in wanted if n != -1)
    shape = tuple(x.size // known if n == -1 and known else n for n in wanted)
    if math.prod(shape) != x.size or wanted.count(-1) > 1 or builtins.min(shape, default=0) < 0:
        raise ShapeError("reshape", f"a shape of {x.size} elements, for x {x.shape}", f"{wanted}")
    return _reshape(x, shape=shape, ndim=x.ndim)


_transpose: Primitive = linear(
    "transpose",
    lambda x, axes: x.transpose(*range(x.ndim - len(axes)), *(x.ndim - len(axes) + a for a in axes)),
    transpose=lambda g, x, axes: _transpose(g, axes=tuple(axes.index(a) for a in range(len(axes)))),
)


def transpose(x: Array, axes: Sequence[int] | None = None) -> Array:
    """x with its axes in another order.

    x: floating point, of any shape.
    axes: each axis once, in the new order; None reverses them.  `ShapeError` for other axes.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.transpose(np.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    axes = range(x.ndim)[::-1] if axes is None else [a + x.ndim if a < 0 else a for a in axes]
    if sorted(axes) != list(range(x.ndim)):
        raise ShapeError("transpose", f"each of {x.ndim} axes once", f"{tuple(axes)}")
    return _transpose(x, axes=tuple(axes))


def _swap_last(x: Array) -> Array:
    """Xᵀ for a stack of matrices."""
    return _transpose(x, axes=(1, 0))


def _broadcast_forward(x: Array, shape: tuple[int, ...], ndim: int) -> Array:
    lead, own = x.shape[: x.ndim - ndim], x.shape[x.ndim - ndim :]
    aligned = x.reshape(lead + (1,) * (len(shape) - ndim) + own)
    return namespace(x).broadcast_to(aligned, lead + shape)


def _broadcast_transpose(g: Array, x: Array, shape: tuple[int, ...], ndim: int) -> Array:
    own = _last(x, ndim)
    aligned = (1,) * (len(shape) - ndim) + own
    stretched = tuple(i - len(shape) for i, (n, m) in enumerate(zip(aligned, shape)) if n != m)
    total = sum(g, axis=stretched, keepdims=True) if stretched else g
    return _reshape(total, shape=own, ndim=len(shape))


_broadcast_to = linear("broadcast_to", _broadcast_forward, _broadcast_transpose)


def broadcast_to(x: Array, shape: Sequence[int]) -> Array:
    """x repeated along new axes in front, and along axes of length 1.

    x: floating point, of any shape.
    shape: of the result; `ShapeError` if x cannot be repeated to it.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.broadcast_to(np.array([1.0, 2.0]), (2, 2))
    array([[1., 2.],
           [1., 2.]])
    """
    shape, own = tuple(shape), x.shape
    if len(own) > len(shape) or any(n not in (1, m) for n, m in zip(own[::-1], shape[::-1])):
        raise ShapeError("broadcast_to", f"a shape that {own} can be repeated to", f"{shape}")
    return x if own == shape else _broadcast_to(x, shape=shape, ndim=len(own))


def _sum_transpose(g: Array, x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    kept = tuple(1 if i - x.ndim in axis else n for i, n in enumerate(x.shape))
    ndim = x.ndim if keepdims else x.ndim - len(axis)
    return _broadcast_to(_reshape(g, shape=kept, ndim=ndim), shape=x.shape, ndim=x.ndim)


_sum = linear("sum", lambda x, axis, keepdims: x.sum(axis=axis, keepdims=keepdims), _sum_transpose)


def _from_the_end(name: str, x: Array, axis: Axes) -> tuple[int, ...]:
    """The axes counted from the end (-1 is the last), all of them for None."""
    given = tuple(range(x.ndim)) if axis is None else _several(axis)
    if any(not -x.ndim <= a < x.ndim for a in given) or len({a % x.ndim for a in given}) < len(given):
        raise ShapeError(name, f"different axes of {x.ndim}", f"axis={axis}")
    return tuple(a - x.ndim if a >= 0 else a for a in given)


def sum(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """Σx over the given axes.

    x: floating point, of any shape.
    axis: one axis or several, counted from either end; None for all.
    keepdims: whether these axes stay, with length 1.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.sum(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    array([4., 6.])
    """
    return _sum(x, axis=_from_the_end("sum", x, axis), keepdims=keepdims)


# --- linear: indexing and joining -------------------------------------------------------------------------


def _place(g: Array, shape: tuple[int, ...], flat: Array, ndim: int) -> Array:
    """The transpose of `index`: add each g to the position it was read from, positions read twice included."""
    lead, xp = g.shape[: g.ndim - ndim], namespace(g)
    out = xp.zeros((math.prod(lead), math.prod(shape)), dtype=g.dtype)
    xp.add.at(out, (slice(None), flat.reshape(-1)), g.reshape(out.shape[0], flat.size))
    return out.reshape(lead + shape)


_index: Primitive = linear(
    "index",
    lambda x, shape, flat, ndim: x.reshape(*x.shape[: x.ndim - len(shape)], math.prod(shape))[..., flat],
    transpose=lambda g, x, shape, flat, ndim: _scatter(g, shape=shape, flat=flat, ndim=ndim),
)
_scatter: Primitive = linear(
    "scatter", _place, lambda g, x, shape, flat, ndim: _index(g, shape=shape, flat=flat, ndim=ndim)
)


def index(x: Array, where: Any) -> Array:
    """x[where], as NumPy defines it.

    x: floating point, of any shape.
    where: numbers, slices, None, ..., integer arrays and boolean masks.

    Indexing reads some positions of x.  They are determined once, by indexing the numbers 0, 1, 2, … instead of x.
    Then J reads these positions, and Jᵀ adds to them.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.index(np.array([1.0, 2.0, 3.0]), [2, 0])
    array([3., 1.])
    """
    if not isinstance(x, Box):
        return x[where]
    positions = namespace(unbox(x)).arange(x.size).reshape(x.shape)
    flat = positions[where]
    return _index(x, shape=x.shape, flat=flat, ndim=flat.ndim)


class _EachArgument:
    """Rules for a primitive of any number of arguments: ``rule(i, …)`` is the rule of argument i."""

    def __init__(self, rule: Callable[..., Array]) -> None:
        self.rule = rule

    def __getitem__(self, i: int) -> Callable[..., Array]:
        return lambda *arguments, **options: self.rule(i, *arguments, **options)


def _concatenate_push(i: int, t: Array, y: Array, *parts: Array, axis: int) -> Array:
    lead, xp = t.shape[: t.ndim - y.ndim], namespace(unbox(t))
    rest = [xp.zeros(lead + p.shape, dtype=y.dtype) for p in parts]
    return _concatenate(*rest[:i], t, *rest[i + 1 :], axis=axis)


def _concatenate_pull(i: int, g: Array, y: Array, *parts: Array, axis: int) -> Array:
    start = builtins.sum(part.shape[axis] for part in parts[:i])
    return index(g, (..., slice(start, start + parts[i].shape[axis])) + (slice(None),) * (-1 - axis))


_concatenate = Primitive(
    "concatenate",
    lambda *parts, axis: namespace(*parts).concatenate(parts, axis=axis),
    push=_EachArgument(_concatenate_push),
    pull=_EachArgument(_concatenate_pull),
)


def concatenate(parts: Sequence[Array], axis: int = 0) -> Array:
    """The arrays joined along one of their axes.

    parts: one or more arrays of the same rank, at least 1, with the same lengths along all other axes; else
    `ShapeError`.
    axis: counted from either end.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.concatenate([np.zeros(2), np.ones(1)])
    array([0., 0., 1.])
    """
    if len(parts) == 0 or len({getattr(part, "ndim", 0) for part in parts}) > 1 or getattr(parts[0], "ndim", 0) == 0:
        got = f"{[getattr(part, 'shape', part) for part in parts]}"
        flat = all(getattr(part, "ndim", 0) == 0 for part in parts)
        fix = "use ops.stack" if flat else "give all of them the same axes, by x[None] or np.asarray(x)"
        if len(parts) == 0:
            fix = ""
        raise ShapeError("concatenate", "one or more arrays of the same rank, at least 1", got, fix)
    (axis,) = _from_the_end("concatenate", parts[0], axis)
    others = [p.shape[:axis] + p.shape[p.ndim + axis + 1 :] for p in parts]
    if len(set(others)) > 1:
        raise ShapeError("concatenate", f"the same lengths but along axis {axis}", f"{[p.shape for p in parts]}")
    return _concatenate(*parts, axis=axis)


def stack(parts: Sequence[Array], axis: int = 0) -> Array:
    """Arrays of one shape, joined along a new axis.

    parts: one or more; numbers among them count as arrays of shape ().  `ShapeError` for different shapes.
    axis: the place of the new axis in the result, counted from either end.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.stack([np.zeros(2), np.ones(2)], axis=1)
    array([[0., 1.],
           [0., 1.]])
    """
    like = next((part for part in parts if hasattr(part, "dtype")), None)
    parts = [_like(part, like) for part in parts]
    if like is None or len({getattr(part, "shape", None) for part in parts}) > 1:
        got = f"{[getattr(part, 'shape', part) for part in parts]}"
        raise ShapeError(
            "stack", "one or more arrays of one shape", got, "np.array(parts)" if parts and like is None else ""
        )
    (place,) = (a + parts[0].ndim + 1 for a in _from_the_end("stack", reshape(parts[0], (1, *parts[0].shape)), axis))
    shape = (*parts[0].shape[:place], 1, *parts[0].shape[place:])
    return concatenate([reshape(part, shape) for part in parts], axis=place)


def _like(part: Any, like: Array) -> Any:
    """A number as an array of shape (), of the library and dtype of another array; anything else unchanged."""
    number = like is not None and isinstance(part, (int, float))
    return namespace(unbox(like)).asarray(part, dtype=like.dtype) if number else part


# --- linear: another precision ----------------------------------------------------------------------------

_astype: Primitive = linear(
    "astype",
    lambda x, dtype: x.astype(dtype, copy=False),
    transpose=lambda g, x, dtype: _astype(g, dtype=x.dtype),
)


def astype(x: Array, dtype: Any, copy: bool = True) -> Array:
    """x in another dtype; cotangents are pulled back in that of x.

    x: floating point, of any shape.
    dtype: of the result.  In a recorded function it must be floating point, else `DTypeError`.
    copy: as for NumPy's astype, for plain arrays.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.astype(np.array([1.0]), "float32").dtype
    dtype('float32')
    """
    x = settle(x)
    if not isinstance(x, Box):
        return x.astype(dtype, copy=copy)
    try:
        wanted = namespace(unbox(x)).zeros((), dtype=dtype).dtype
    except TypeError as error:
        raise DTypeError("astype", "a floating-point dtype", repr(dtype)) from error
    if wanted.kind != "f":
        fix = f"ops.stop_gradient(x).astype({str(wanted)!r}) for numbers without a derivative"
        raise DTypeError("astype", "a floating-point dtype", str(wanted), fix)
    return _astype(x, dtype=wanted)


# --- general: give both rules ----------------------------------------------------------------------------

_matmul = Primitive(
    "matmul",
    lambda a, b: kernels(a, b).matmul(a, b),
    push=(lambda t, y, a, b: matmul(t, b), lambda t, y, a, b: matmul(a, t)),
    pull=(lambda g, y, a, b: matmul(g, _swap_last(b)), lambda g, y, a, b: matmul(_swap_last(a), g)),
)
_matmul_of_stacks = broadcasting(_matmul, axes=2)


def _fitting(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    """The product that is probably meant where a @ b does not fit, for the message."""
    if () in (a, b):
        return "a * b"
    if len(a) == len(b) == 2 and a[1] == b[1]:
        return "a @ b.T"
    if len(a) == len(b) == 2 and a[0] == b[0]:
        return "a.T @ b"
    return "make the last axis of the first as long as the last but one of the second"


def matmul(a: Array, b: Array) -> Array:
    """The matrix product a @ b over the last two axes, as NumPy defines it: vectors are allowed, stacks are broadcast.

    a: (..., n, k) or (k).
    b: (..., k, m) or (k).  `ShapeError` for lengths that do not fit.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.matmul(np.ones((2, 3)), np.ones(3))
    array([3., 3.])
    """
    shapes: list[tuple[int, ...]] = [getattr(x, "shape", ()) for x in (a, b)]
    if () in shapes or shapes[0][-1] != shapes[1][-2:][0]:
        fix = _fitting(*shapes)
        raise ShapeError("matmul", "matrices that fit", f"{shapes[0]} @ {shapes[1]}", fix)
    if not isinstance(a, Box) and not isinstance(b, Box):
        return _matmul(a, b)
    row, column = a.ndim == 1, b.ndim == 1
    a = reshape(a, (1, *a.shape)) if row else a
    b = reshape(b, (*b.shape, 1)) if column else b
    y = _matmul_of_stacks(a, b)
    kept = y.shape[:-2] + (() if row else y.shape[-2:-1]) + (() if column else y.shape[-1:])
    return reshape(y, kept) if row or column else y


# --- composed of the above, and imported last because they import it ------------------------------------

from .products import dot, einsum  # noqa: E402, F401
from .reductions import log_softmax, logsumexp, max, mean, min, norm, prod, softmax, std, var  # noqa: E402, F401
from .shaping import expand_dims, flip, pad, ravel, repeat, squeeze, swapaxes  # noqa: E402, F401

# --- operators on boxes ----------------------------------------------------------------------------------


def _flipped(operation: Callable[..., Array]) -> Callable[..., Array]:
    return lambda a, b: operation(b, a)


def _compared(comparison: Callable[..., Array]) -> Callable[..., Array]:
    return lambda a, b: comparison(unbox(a), unbox(b))


def _each(x: Array) -> Any:
    if x.ndim == 0:
        raise DTypeError("iteration", "an array with an axis", "a Box of rank 0")
    return (x[i] for i in range(len(x)))


_ARITHMETIC = {"add": add, "sub": subtract, "mul": multiply, "truediv": divide, "mod": mod, "pow": power,
               "matmul": matmul}  # fmt: skip
_METHODS = {"__neg__": lambda x: negative(x), "__abs__": lambda x: absolute(x), "__getitem__": index, "__iter__": _each,
            "T": property(transpose), "astype": astype, "clip": clip, "dot": dot, "flatten": ravel, "max": max,
            "mean": mean, "min": min, "prod": prod, "ravel": ravel, "repeat": repeat, "squeeze": squeeze, "std": std,
            "sum": sum, "swapaxes": swapaxes, "var": var}  # fmt: skip
for _name, _operation in _ARITHMETIC.items():
    setattr(Box, f"__{_name}__", lambda a, b, _operation=_operation: _operation(a, b))
    setattr(Box, f"__r{_name}__", _flipped(_operation))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Box, f"__{_name}__", _compared(getattr(operator, _name)))
for _name, _method in _METHODS.items():
    setattr(Box, _name, _method)
setattr(Box, "reshape", lambda x, *shape: reshape(x, shape[0] if len(shape) == 1 else shape))
setattr(Box, "transpose", lambda x, *axes: transpose(x, axes[0] if len(axes) == 1 else axes or None))
