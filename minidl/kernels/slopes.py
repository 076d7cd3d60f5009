"""The slopes of the activations: φ'(z) in terms of y = φ(z).  *Written only here.*

    φ           φ'(z), with y = φ(z)
    identity    1
    relu        1 where y > 0, else 0 (at z = 0, too)
    tanh        1 - y²
    sigmoid     y·(1 - y)

`ops` makes its rules of these functions, and `reference` applies them to arrays as they are; `cpu` compiles them, and
`cuda` pastes what they return into its CUDA C++.  So each returns one expression that Python and C read alike, in which
`one` is the number 1: in the precision of y where that must be said, as Numba's compiler would go on in double.
"""

from __future__ import annotations

import inspect
from typing import Any

Array = Any


def identity(y: Array, one: Any = 1) -> Array:
    """1, as φ(z) = z."""
    return one


def relu(y: Array, one: Any = 1) -> Array:
    """1, as a boolean, where φ(z) = max(z, 0) is above 0."""
    return y > 0


def tanh(y: Array, one: Any = 1) -> Array:
    """1 - tanh² z."""
    return one - y * y


def sigmoid(y: Array, one: Any = 1) -> Array:
    """σ(z)·(1 - σ(z)) for σ(z) = 1/(1 + e^-z)."""
    return y * (one - y)


#: By name, in the order by which compiled kernels number them.
SLOPES = {slope.__name__: slope for slope in (identity, relu, tanh, sigmoid)}


def in_c(name: str) -> str:
    """The expression of y and `one` that a slope returns."""
    return inspect.getsource(SLOPES[name]).rpartition("return ")[2].strip()
