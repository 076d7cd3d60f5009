"""Random draws, compiled.  `reference/draws.py` defines them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import threads
from .compiled import compiled, twin

Array = Any


@compiled(relaxed=False)
def draw(key, i):
    """Draw number i of the stream `key`: see `reference.random_bits`."""
    z = key + (np.uint64(i) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled(relaxed=False)
def uniform(key, i, shift, part):
    """(k + ½)/2ⁿ of the first n bits of draw number i: in float64, where it is exact for every dtype."""
    return (np.float64(draw(key, i) >> shift) + 0.5) * part


def stream(key: int) -> Any:
    """The key in the form for `draw`."""
    return np.uint64(key & 0xFFFFFFFFFFFFFFFF)


def parts(dtype: Any) -> tuple[Any, float]:
    """For `uniform`, by dtype: how far to shift, and 2⁻ⁿ."""
    bits = {4: 23, 8: 52}[dtype.itemsize]
    return np.uint64(64 - bits), 2.0**-bits


def dropout(key: int | None, rate: float, dtype: Any) -> tuple[bool, Any, Any, Any]:
    """Whether there is dropout, the key, which draws to keep (those of at least), and the factor of what is kept."""
    if key is None:
        return False, np.uint64(0), np.uint64(0), dtype.type(1)
    return True, stream(key), np.uint64(int(rate * 2**64)), dtype.type(1.0 / (1.0 - rate))


@compiled(relaxed=False)
def _mask(first, last, key, least, factor, out):
    out = out[first:last]
    for i in range(len(out)):
        out[i] = factor if draw(key, first + i) >= least else factor - factor


@twin
def dropout_mask(key: int, like: Array, rate: float) -> Array:
    out = np.empty(like.shape, like.dtype)
    threads.share(_mask, like.size, 4 * like.size, *dropout(key, rate, like.dtype)[1:], out.reshape(like.size))
    return out


@compiled(relaxed=False)
def _uniform(first, last, key, offset, shift, part, out):
    out = out[first:last]
    for i in range(len(out)):
        out[i] = uniform(key, offset + first + i, shift, part)


@twin
def random_uniform(key: int, like: Array, first: int = 0) -> Array:
    out, numbers = np.empty(like.shape, like.dtype), (stream(key), first, *parts(like.dtype))
    threads.share(_uniform, like.size, 4 * like.size, *numbers, out.reshape(like.size))
    return out
