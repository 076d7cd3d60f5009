"""Bias, activation and dropout in one pass.  Matrix products are left to `@`, that is, to cuBLAS."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import slopes
from .draws import dropout_numbers
from .launch import contiguous, empty, run, twin

Array = Any


CODES = {name: np.int32(code) for code, name in enumerate(slopes.SLOPES)}


@twin
def activate(z: Array, bias: Any, activation: str, key: int | None, rate: float) -> Array:
    """All in one pass.  The mask is drawn in the same pass, and never stored."""
    z, y = contiguous(z), empty(z.shape, z)
    bias = contiguous(bias, z.shape[-1:]) if hasattr(bias, "shape") else None
    run(
        "activate",
        z,
        z.size,
        z,
        bias,
        y,
        np.int32(prod(z.shape[-1:])),
        CODES[activation],
        *dropout_numbers(z, key, rate),
    )
    return y


@twin
def activate_vjp(g: Array, y: Array, activation: str, key: int | None, rate: float) -> Array:
    """All in one pass, which draws the mask again."""
    g, y, out = contiguous(g), contiguous(y), empty(g.shape, g)
    kept = y.dtype.type(1 if key is None else 1 - rate)
    run(
        "activate_vjp",
        g,
        g.size,
        g,
        y,
        out,
        np.int64(y.size),
        CODES[activation],
        *dropout_numbers(y, key, rate),
        kept,
    )
    return out
