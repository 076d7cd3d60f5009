"""JSMA's search for the best feature, or pair of features, a thread for each image."""

from __future__ import annotations

from typing import Any

import numpy as np

from .launch import contiguous, empty, run, twin

Array = Any


def _features_first(*arrays: Array) -> tuple[Array, ...]:
    """(N, M) as (M, N): threads that start together, one for each row, then read what lies side by side."""
    return tuple(contiguous(a.T) for a in arrays)


@twin
def best_features(a: Array, b: Array, domain: Array) -> Array:
    """One thread for each row."""
    out = empty((len(a), 1), a, "int64")
    run("best_features", a, len(a), *_features_first(a, b, domain), out, np.int32(a.shape[1]))
    return out


@twin
def best_pairs(a: Array, b: Array, domain: Array) -> Array:
    """One thread for each row.  Without sorting: see `kernels.cu`."""
    out, lists = empty((len(a), 2), a, "int64"), empty(a.shape[::-1], a, "int32")
    run("best_pairs", a, len(a), *_features_first(a, b, domain), lists, out, np.int32(a.shape[1]))
    return out
