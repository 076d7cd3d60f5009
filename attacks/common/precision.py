"""Images in half precision are attacked in single precision, and returned in half precision.

In half precision a gradient below 6e-8 is 0, and so is its sign; the square of 300 is infinite.  A confident network
would look robust for that reason alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.backend import namespace, to_numpy
from minidl.core import Array
from minidl.errors import DTypeError

#: What to write for images of another kind, by the kind of their dtype.
_FIXES = {"u": "x.astype(np.float32) / 255 for bytes", "i": "x.astype(np.float32) / 255 for bytes",
          "b": "x.astype(np.float32)", "list": "np.asarray(x, np.float32)"}  # fmt: skip


def check_dtype(operation: str, x: Any) -> None:
    """Raise `DTypeError` unless x is an array of floating-point numbers of 16, 32 or 64 bits."""
    dtype = getattr(x, "dtype", None)
    if getattr(dtype, "kind", "?") != "f":
        got = str(getattr(x, "dtype", type(x).__name__))
        raise DTypeError(
            operation, "floating-point images", got, _FIXES.get("list" if dtype is None else dtype.kind, "")
        )
    if x.dtype.itemsize > 8:
        raise DTypeError(operation, "images of at most 64 bits a number", str(x.dtype), "x.astype(np.float64)")


def in_single(x: Array) -> Array:
    """x in float32 if it is in half precision, else x itself."""
    return x.astype("float32") if x.dtype.itemsize < 4 else x


def in_dtype_of(moved: Array, x: Array) -> Array:
    """Images that were made from x, in the dtype of x.

    If that is a coarser one, each pixel is rounded towards its value in x.  So no image is farther from x than before,
    in any norm, and no pixel leaves the bounds.
    """
    if moved.dtype == x.dtype:
        return moved
    exact, start = to_numpy(moved), to_numpy(x)
    rounded, origin = exact.astype(start.dtype), start.astype(exact.dtype)
    too_far = abs(rounded.astype(exact.dtype) - origin) > abs(exact - origin)
    return namespace(x).asarray(np.where(too_far, np.nextafter(rounded, start), rounded))
