"""Operations that change the shape: axes swapped, added and removed, entries flipped, repeated, padded.

None has a rule of its own: each is written in the operations of `ops`, and can be used from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from . import ops
from .backend import namespace
from .core import Array, unbox
from .errors import DTypeError, RangeError, ShapeError


def swapaxes(x: Array, first: int, second: int) -> Array:
    """x with two axes exchanged: for 0 and 2, (A, B, C) -> (C, B, A).

    x: floating point, of any shape.
    first, second: counted from either end.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.swapaxes(np.zeros((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    a, b = one_axis("swapaxes", x, first), one_axis("swapaxes", x, second)
    order = list(range(-x.ndim, 0))
    order[a], order[b] = b, a
    return ops.transpose(x, order)


def one_axis(operation: str, x: Array, axis: int) -> int:
    """An axis counted from the end, -1 for the last.

    operation: for the error.
    x: the array.
    axis: one of its axes, counted from either end; else `ShapeError`.

    >>> import numpy as np
    >>> from minidl.shaping import one_axis
    >>> one_axis("flip", np.zeros((2, 3)), 0)
    -2
    """
    if not isinstance(axis, Integral) or not -x.ndim <= axis < x.ndim:
        raise ShapeError(operation, f"one of {x.ndim} axes", f"axis={axis!r}")
    return int(axis) - x.ndim if axis >= 0 else int(axis)


def squeeze(x: Array, axis: ops.Axes = None) -> Array:
    """x without axes of length 1: (A, 1, B) -> (A, B).

    x: floating point, of any shape.
    axis: one axis or several, all of length 1, else `ShapeError`; None for every axis of length 1.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.squeeze(np.zeros((2, 1, 3))).shape
    (2, 3)
    """
    given = [i - x.ndim for i, n in enumerate(x.shape) if n == 1] if axis is None else axis
    gone = ops._from_the_end("squeeze", x, given)
    if any(x.shape[a] != 1 for a in gone):
        raise ShapeError("squeeze", "axes of length 1", f"axis={axis} of {x.shape}")
    return ops.reshape(x, tuple(n for i, n in enumerate(x.shape) if i - x.ndim not in gone))


def expand_dims(x: Array, axis: int | Sequence[int]) -> Array:
    """x with new axes of length 1: for -1, (A, B) -> (A, B, 1).

    x: floating point, of any shape.
    axis: the places of the new axes in the result; `ShapeError` for places that it does not have.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.expand_dims(np.zeros((2, 3)), 0).shape
    (1, 2, 3)
    """
    places = ops._several(axis)
    rank = x.ndim + len(places)
    new = {a % rank for a in places if isinstance(a, Integral) and -rank <= a < rank}
    if len(new) < len(places):
        raise ShapeError("expand_dims", f"different axes of the {rank} there will be", f"axis={axis}")
    lengths = iter(x.shape)
    return ops.reshape(x, tuple(1 if i in new else next(lengths) for i in range(rank)))


def ravel(x: Array) -> Array:
    """The elements of x in row-major order, as one row: (A, B) -> (A·B).

    x: floating point, of any shape.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.ravel(np.zeros((2, 3))).shape
    (6,)
    """
    return ops.reshape(x, x.size)


def flip(x: Array, axis: ops.Axes = None) -> Array:
    """x in reverse order along the given axes.

    x: floating point, of any shape.
    axis: one axis or several; None for all.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.flip(np.array([1.0, 2.0]))
    array([2., 1.])
    """
    turned = ops._from_the_end("flip", x, axis)
    return ops.index(x, tuple(slice(None, None, -1 if i - x.ndim in turned else 1) for i in range(x.ndim)))


def repeat(x: Array, repeats: int | Sequence[int], axis: int | None = None) -> Array:
    """Each entry of an axis several times in a row: [a, b] -> [a, a, b, b].

    x: floating point, of any shape.
    repeats: one whole number, or one for each entry of the axis, at least 0; else `RangeError` or `ShapeError`.
    axis: counted from either end; None for that of ``ravel(x)``.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.repeat(np.array([1.0, 2.0]), [2, 1])
    array([1., 1., 2.])
    """
    x, axis = (ravel(x), -1) if axis is None else (x, one_axis("repeat", x, axis))
    counts = tuple(repeats) if hasattr(repeats, "__iter__") else (repeats,)
    length, before, after = x.shape[axis], x.shape[:axis], x.shape[x.ndim + axis + 1 :]
    if not all(isinstance(n, Integral) and int(n) >= 0 for n in counts):
        raise RangeError("repeat", "whole numbers of times, at least 0", f"repeats={repeats}")
    if isinstance(repeats, Integral):  # rows of equal entries, without a list of positions
        rows = ops.broadcast_to(expand_dims(x, x.ndim + axis + 1), (*before, length, *counts, *after))
        return ops.reshape(rows, (*before, length * counts[0], *after))
    if len(counts) != length:
        raise ShapeError("repeat", f"one number of times, or one for each of {length} entries", f"{len(counts)}")
    places = [i for i, n in enumerate(counts) for _ in range(n)]
    key = namespace(unbox(x)).asarray(places, dtype="int64")
    return ops.index(x, (..., key) + (slice(None),) * len(after))


def pad(x: Array, width: Any, value: float = 0.0) -> Array:
    """x with a margin of one number around it: (H, W) -> (before + H + after, …).

    x: floating point, of any shape.
    width: of the margin, in entries, at least 0: one number for all sides, (before, after) for every axis, or such a
    pair for each axis.  `ShapeError` or `RangeError` for others.
    value: the number in the margin, which may be infinite; `DTypeError` for anything but a number.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.pad(np.array([1.0, 2.0]), (1, 2))
    array([0., 1., 2., 0., 0.])
    """
    if not isinstance(value, Real):
        raise DTypeError("pad", "one number as the value", type(value).__name__, "join arrays by ops.concatenate")
    for axis, ends in enumerate(_ends(x, width)):
        if any(ends):
            shapes = [(*x.shape[:axis], n, *x.shape[axis + 1 :]) for n in ends]
            before, after = (namespace(unbox(x)).full(shape, value, dtype=x.dtype) for shape in shapes)
            x = ops.concatenate([before, x, after], axis)
    return x


def _ends(x: Array, width: Any) -> list[tuple[int, int]]:
    """How many entries to add before and after, for each axis."""
    each: list[Any] = list(width) if isinstance(width, list | tuple) else [width]
    if all(isinstance(n, Integral) for n in each) and len(each) in (1, 2):
        each = [(each[0], each[-1])] * x.ndim
    if len(each) != x.ndim or not all(_is_pair(ends) for ends in each):
        expected = f"a width, (before, after), or {x.ndim} such pairs"
        raise ShapeError("pad", expected, f"width={width} for x of shape {x.shape}")
    if any(n < 0 for ends in each for n in ends):
        raise RangeError("pad", "widths of at least 0", f"width={width}", "x[1:-1] for one entry less at each end")
    return [(int(before), int(after)) for before, after in each]


def _is_pair(ends: Any) -> bool:
    return isinstance(ends, list | tuple) and len(ends) == 2 and all(isinstance(n, Integral) for n in ends)
