"""The images that evolution makes: their shape, bounds and dtype, which must fit the network."""

from __future__ import annotations

from math import prod
from numbers import Integral
from typing import Any

import numpy as np

from minidl.errors import DTypeError, RangeError, ShapeError

from ..common.victim import Victim, are_bounds


def canvas(attack: str, victim: Victim, shape: Any) -> dict[str, Any]:
    """The shape, bounds and dtype of the images, for an encoding: from the network, or `shape`."""
    known = getattr(victim.net, "input_shape", None)
    if known is not None and len(known) != 3:
        fix = f"fool lambda x: net(ops.reshape(x, (-1, {prod(known)}))), and say shape=(C, H, W)"
        raise ShapeError(attack, "a network of images (C, H, W)", f"one of inputs {known}", fix)
    shape = known if shape is None else shape
    if shape is None:
        raise ShapeError(attack, "to know the shape of an image", "a function that does not say", "shape=(1, 28, 28)")
    dtype = str(np.promote_types(getattr(victim.net, "dtype", "float32"), np.float32))  # never half precision
    check_canvas(attack, shape, victim.bounds, dtype)
    return {"shape": tuple(shape), "bounds": victim.bounds, "dtype": dtype}


def check_canvas(encoding: str, shape: Any, bounds: Any, dtype: Any) -> None:
    """Raise `ShapeError`, `RangeError` or `DTypeError` for a shape, bounds or dtype that images cannot have."""
    lengths = isinstance(shape, tuple | list) and all(isinstance(n, Integral) and int(n) > 0 for n in shape)
    if not lengths or len(shape) != 3:
        raise ShapeError(encoding, "the shape (C, H, W) of an image", f"{shape}", "shape=(1, 28, 28) for digits")
    if not are_bounds(bounds):
        raise RangeError(encoding, "bounds (low, high), two finite numbers with low < high", f"{bounds}")
    if np.dtype(dtype).kind != "f" or np.dtype(dtype).itemsize > 8:
        raise DTypeError(encoding, "a floating-point dtype of at most 64 bits", f"{dtype}", 'dtype="float32"')
