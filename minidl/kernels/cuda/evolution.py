"""Mutation of genomes, and the images of CPPNs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .launch import contiguous, empty, ints, reals, run, twin

Array = Any


@twin
def polynomial_mutation(key: int, x: Array, rate: float, strength: float, bounds: tuple[float, float]) -> Array:
    """One thread for each entry."""
    x, y = contiguous(x), empty(x.shape, x)
    numbers = reals(x, rate, 1 / (strength + 1), *bounds)
    run("polynomial_mutation", x, x.size, x, y, np.uint64(key & (2**64 - 1)), *numbers)
    return y


@twin
def cppn(weights: Array, functions: Array, inputs: Array, outputs: int) -> Array:
    """One thread for each pixel of each network."""
    (count, neurons), pixels = functions.shape, inputs.shape[1]
    values, kinds = empty((count, neurons, pixels), weights), contiguous(functions.astype("int32", copy=False))
    numbers = *ints(neurons, len(inputs)), np.int64(pixels)
    run("cppn", weights, count * pixels, contiguous(weights), kinds, contiguous(inputs), values, *numbers)
    return values[:, neurons - outputs :]
