"""Random draws: functions of a key and a position, as in `reference`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .launch import empty, run, twin

Array = Any


def dropout_numbers(like: Array, key: int | None, rate: float) -> tuple[Any, ...]:
    """The key, the least draw for which an element is kept, and the factor of kept elements."""
    if key is None:
        return np.uint64(0), np.uint64(0), like.dtype.type(1)
    return np.uint64(key & (2**64 - 1)), np.uint64(int(rate * 2**64)), like.dtype.type(1.0 / (1.0 - rate))


@twin
def dropout_mask(key: int, like: Array, rate: float) -> Array:
    """One thread for each element."""
    mask = empty(like.shape, like)
    run("dropout_mask", like, like.size, mask, *dropout_numbers(like, key, rate))
    return mask
