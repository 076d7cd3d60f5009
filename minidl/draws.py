"""Normally distributed random numbers, as a function of a key: made of the kernels' uniform ones."""

from __future__ import annotations

import math

from .backend import kernels, namespace
from .core import Array

__all__ = ["box_muller", "normal"]


def normal(key: int, like: Array) -> Array:
    """Normally distributed numbers of variance 1, in the shape and dtype of `like`.

    key: a whole number; draws from streams key and key + 1.
    like: a floating-point array.

    >>> import numpy as np
    >>> from minidl.draws import normal
    >>> normal(0, np.zeros((2, 3), dtype=np.float32)).shape
    (2, 3)
    """
    uniform = kernels(like).random_uniform
    return box_muller(uniform(key, like), uniform(key + 1, like))


def box_muller(u: Array, v: Array) -> Array:
    """A normally distributed number of variance 1 from each two that are uniform in (0, 1) (Box and Muller 1958).

    u: uniform in (0, 1), of any shape.
    v: likewise, independent of u.

    >>> import numpy as np
    >>> from minidl.draws import box_muller
    >>> box_muller(np.array([np.exp(-0.5)]), np.array([0.5]))
    array([-1.])
    """
    xp = namespace(u)
    return xp.sqrt(-2 * xp.log(u)) * xp.cos(2 * math.pi * v)
