"""Steps of attacks, each in one pass over the images."""

from __future__ import annotations

from math import inf, prod
from typing import Any

import numpy as np

from .. import reference
from ..reference.steps import BETA1, BETA2, EPSILON, adam_rates
from .launch import contiguous, empty, reals, run, twin, update

Array = Any


@twin
def gather(x: Array, rows: Array) -> Array:
    """One thread for each element.  As in CuPy, numbers out of range wrap around; masks are left to `reference`."""
    if rows.dtype.kind not in "iu":
        return reference.gather(x, rows)
    x, y = contiguous(x), empty((*rows.shape, *x.shape[1:]), x)
    numbers = contiguous(rows.astype("int64", copy=False))
    run("gather", x, y.size, x, numbers, y, np.int64(len(x)), np.int64(prod(x.shape[1:])))
    return y


@twin
def sign_step(x: Array, g: Array, step: float, bounds: tuple[float, float] | None, origin: Any = None,
              epsilon: float = 0.0) -> Array:  # fmt: skip
    """Step, ball and bounds in one pass."""
    x, g, moved = contiguous(x), contiguous(g, x.shape), empty(x.shape, x)
    origin = None if origin is None else contiguous(origin, x.shape)
    low, high = (-inf, inf) if bounds is None else bounds
    run("sign_step", x, x.size, x, g, origin, moved, *reals(x, step, epsilon, low, high))
    return moved


@twin
def tanh_adam(w: Array, mean: Array, mean_square: Array, x_adv: Array, g: Array, x: Array, step: Array, lr: float,
              bounds: tuple[float, float], half: float, limit: float, free: Any = None,
              tau: Any = None) -> Array:  # fmt: skip
    """One thread for each element, and one sum."""
    terms, rates = empty(w.shape, w), map(contiguous, adam_rates(step, lr, w.dtype))
    rows = (contiguous(x), *rates, *(None if a is None else contiguous(a) for a in (free, tau)), terms)
    numbers = reals(w, sum(bounds) / 2, half, limit, *bounds, BETA1, 1 - BETA1, BETA2, 1 - BETA2, EPSILON)
    update("tanh_adam", w, g, (mean, mean_square, x_adv), *rows, np.int64(w.shape[1]), *numbers)
    return terms.sum(axis=-1)
