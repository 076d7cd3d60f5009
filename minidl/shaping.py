"""Operations that change the shape: axes swapped, added and taken away, entries turned round, repeated, framed.

None has a rule of its own: each is written in the operations of `ops`, where its users find it.
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
    """x with two axes in each other's place: for 0 and 2, (A, B, C) -> (C, B, A)."""
    a, b = one_axis("swapaxes", x, first), one_axis("swapaxes", x, second)
    order = list(range(-x.ndim, 0))
    order[a], order[b] = b, a
    return ops.transpose(x, order)


def one_axis(operation: str, x: Array, axis: int) -> int:
    """An axis counted from the end, -1 for the last.  Raises `ShapeError` for anything but one of the axes of x."""
    if not isinstance(axis, Integral) or not -x.ndim <= axis < x.ndim:
        raise ShapeError(operation, f"one of {x.ndim} axes", f"axis={axis!r}")
    return int(axis) - x.ndim if axis >= 0 else int(axis)


def squeeze(x: Array, axis: ops.Axes = None) -> Array:
    """x without the given axes, all of length 1: (A, 1, B) -> (A, B); without every such axis for None.

    Raises `ShapeError` for an axis of another length.
    """
    given = [i - x.ndim for i, n in enumerate(x.shape) if n == 1] if axis is None else axis
    gone = ops._from_the_end("squeeze", x, given)
    if any(x.shape[a] != 1 for a in gone):
        raise ShapeError("squeeze", "axes of length 1", f"axis={axis} of {x.shape}")
    return ops.reshape(x, tuple(n for i, n in enumerate(x.shape) if i - x.ndim not in gone))


def expand_dims(x: Array, axis: int | Sequence[int]) -> Array:
    """x with new axes of length 1, at these places of the result: for -1, (A, B) -> (A, B, 1)."""
    places = ops._several(axis)
    rank = x.ndim + len(places)
    new = {a % rank for a in places if isinstance(a, Integral) and -rank <= a < rank}
    if len(new) < len(places):
        raise ShapeError("expand_dims", f"different axes of the {rank} there will be", f"axis={axis}")
    lengths = iter(x.shape)
    return ops.reshape(x, tuple(1 if i in new else next(lengths) for i in range(rank)))


def ravel(x: Array) -> Array:
    """The elements of x in row-major order, as one row: (A, B) -> (A·B)."""
    return ops.reshape(x, x.size)


def flip(x: Array, axis: ops.Axes = None) -> Array:
    """x back to front along the given axes, along all if None; the shape stays."""
    turned = ops._from_the_end("flip", x, axis)
    return ops.index(x, tuple(slice(None, None, -1 if i - x.ndim in turned else 1) for i in range(x.ndim)))


def repeat(x: Array, repeats: int | Sequence[int], axis: int | None = None) -> Array:
    """Every entry of an axis so many times in a row, [a, b] -> [a, a, b, b]; of `ravel(x)` if no axis is given.

    repeats: one whole number, or one for each entry of the axis, from 0.
    Raises `ShapeError` for another count of them, `RangeError` for numbers that are not such.
    """
    x, axis = (ravel(x), -1) if axis is None else (x, one_axis("repeat", x, axis))
    counts = tuple(repeats) if hasattr(repeats, "__iter__") else (repeats,)
    length, before, after = x.shape[axis], x.shape[:axis], x.shape[x.ndim + axis + 1 :]
    if not all(isinstance(n, Integral) and int(n) >= 0 for n in counts):
        raise RangeError("repeat", "whole numbers of times, at least 0", f"repeats={repeats}")
    if isinstance(repeats, Integral):  # rows of equal entries, and no list of places to read from
        rows = ops.broadcast_to(expand_dims(x, x.ndim + axis + 1), (*before, length, *counts, *after))
        return ops.reshape(rows, (*before, length * counts[0], *after))
    if len(counts) != length:
        raise ShapeError("repeat", f"one number of times, or one for each of {length} entries", f"{len(counts)}")
    places = [i for i, n in enumerate(counts) for _ in range(n)]
    key = namespace(unbox(x)).asarray(places, dtype="int64")
    return ops.index(x, (..., key) + (slice(None),) * len(after))


def pad(x: Array, width: Any, value: float = 0.0) -> Array:
    """x in a frame of one number: (H, W) -> (before + H + after, …).

    width: of the frame, in entries: one number for all sides, (before, after) for every axis, or such a pair for each
    axis.  value: what the frame is made of; infinity will do.
    Raises `ShapeError` for widths that are none of these, `RangeError` for negative ones, `DTypeError` for a value
    that is no number.
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
