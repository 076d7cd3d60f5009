"""Checks of tangents and cotangents before the walks, and what to type if a shape does not fit."""

from __future__ import annotations

from typing import Any

from .errors import DTypeError, ShapeError

#: The letter of the tangent of one walk, and of the cotangent of the other, for messages.
DIRECTIONS = {"jvp": "t", "vjp": "g"}


def stacked_axes(walk: str, direction: Any, base: Any) -> tuple[int, ...]:
    """The extra leading axes of a tangent ("jvp") or cotangent ("vjp") at `base`, an array.

    Raises `DTypeError` for anything but an array, `ShapeError` unless its last axes have the shape of the base.
    """
    if not hasattr(direction, "dtype"):
        got, fix = type(direction).__name__, f"np.asarray({DIRECTIONS[walk]})"
        raise DTypeError(walk, f"an array whose last axes are {base.shape}", got, fix)
    shape, count = direction.shape, direction.ndim - base.ndim
    if count < 0 or shape[count:] != base.shape:
        last = ", ".join(["..."] + [str(n) for n in base.shape])
        raise ShapeError(walk, f"shape ({last})", f"{shape}", _reshaped(DIRECTIONS[walk], shape, base.shape))
    return shape[:count]


def _reshaped(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """The code that gives a direction the shape (..., *wanted), if that can be meant; else ""."""
    batch = next((i for i, n in enumerate(wanted) if n != 1), len(wanted))  # axes of length 1 that were left out
    stacked = len(shape) - len(wanted[batch:])
    if stacked >= 0 and shape[stacked:] == wanted[batch:]:
        return f"{name}.reshape({(*shape[:stacked], *wanted)})"
    fits = len(shape) <= len(wanted) and all(n in (1, m) for n, m in zip(shape[::-1], wanted[::-1]))
    return f"np.broadcast_to({name}, {wanted})" if fits else "put extra axes in front" if stacked > 0 else ""
