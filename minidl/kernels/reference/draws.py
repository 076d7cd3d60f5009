"""Random draws as plain array code: functions of a key and a position."""

from __future__ import annotations

from typing import Any

from .. import library

Array = Any


def random_bits(key: int, like: Array, first: int = 0) -> Array:
    """64 random bits for each element of `like`, as uint64: draws number first, first + 1, … of stream `key`.

    SplitMix64 (Steele, Lea and Flood 2014) in its counter form: the i-th draw is a hash of key + i·γ.  There
    is no state, so that draws depend on (key, i) alone: not on batches, threads or libraries.
    """
    xp = library(like)
    counter = xp.arange(first + 1, first + 1 + like.size, dtype="uint64").reshape(like.shape)
    z = counter * 0x9E3779B97F4A7C15 + (key & 0xFFFFFFFFFFFFFFFF)
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    return z ^ (z >> 31)


def dropout_mask(key: int, like: Array, rate: float) -> Array:
    """Inverted dropout: 0 with probability `rate`, else 1/(1 - rate), in the shape and dtype of `like`."""
    kept = random_bits(key, like) >= int(rate * 2**64)
    return kept.astype(like.dtype) * (1.0 / (1.0 - rate))


def random_signs(key: int, like: Array, first: int = 0) -> Array:
    """-1 or +1 with probability ½ each, in the shape and dtype of `like`."""
    return 1 - 2 * (random_bits(key, like, first) >> 63).astype(like.dtype)


def random_uniform(key: int, like: Array, first: int = 0) -> Array:
    """Numbers strictly between 0 and 1, in the shape and dtype of `like`: (k + ½)/2ⁿ, k < 2ⁿ, exactly.

    n = 10, 23 or 52, for the 2, 4 or 8 bytes of a number: as many bits as leave room for the ½.
    """
    bits = {2: 10, 4: 23, 8: 52}[like.dtype.itemsize]
    return ((random_bits(key, like, first) >> (64 - bits)).astype(like.dtype) + 0.5) * 2.0**-bits
