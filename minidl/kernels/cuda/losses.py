"""Cross-entropy and its gradient, a thread for each row of logits."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .launch import contiguous, empty, run, twin

Array = Any


@twin
def cross_entropy(z: Array, labels: Array) -> Array:
    """One thread for each row."""
    loss = empty(z.shape[:-1], z)
    run("cross_entropy", z, loss.size, contiguous(z), _labels(z, labels), loss, np.int32(z.shape[-1]))
    return loss


@twin
def cross_entropy_gradient(z: Array, labels: Array) -> Array:
    """One thread for each row."""
    gradient, rows, classes = empty(z.shape, z), prod(z.shape[:-1]), np.int32(z.shape[-1])
    run("cross_entropy_gradient", z, rows, contiguous(z), _labels(z, labels), gradient, classes)
    return gradient


def _labels(z: Array, labels: Array) -> Array:
    return contiguous(labels.astype("int64", copy=False), z.shape[:-1])
