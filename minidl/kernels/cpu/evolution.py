"""Mutation of genomes, and the images of CPPNs, compiled.  `reference/evolution.py` defines them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import threads
from .compiled import compiled, twin
from .draws import parts, stream, uniform

Array = Any


@compiled(relaxed=False)
def _mutate(first, last, x, key, shift, part, rate, power, low, high, out):
    """Entries first … last.  A list of those that mutate comes first, so that roots are taken for these alone."""
    x, out = x[first:last], out[first:last]
    moving, count = np.empty(len(x), np.int64), 0
    for k in range(len(x)):
        out[k], moving[count] = x[k], k
        count += uniform(key, 2 * (first + k), shift, part) < rate
    for k in moving[:count]:
        r = uniform(key, 2 * (first + k) + 1, shift, part)
        delta = (2 * r) ** power - 1 if r < 0.5 else 1 - (2 * (1 - r)) ** power
        out[k] = min(max(x[k] + delta * (high - low), low), high)


@twin
def polynomial_mutation(key: int, x: Array, rate: float, strength: float, bounds: tuple[float, float]) -> Array:
    out, entries = np.empty(x.shape, x.dtype), np.ascontiguousarray(x).reshape(x.size)
    rate, low, high = (float(x.dtype.type(number)) for number in (rate, *bounds))  # as the reference compares with them
    numbers = stream(key), *parts(x.dtype), rate, 1 / (strength + 1), low, high
    threads.share(_mutate, x.size, 10 * x.size, entries, *numbers, out.reshape(x.size))
    return out


@compiled(relaxed=False)
def _needed(w, outputs):
    """Which neurons the outputs depend on."""
    needed = np.arange(len(w)) >= len(w) - outputs
    for j in range(len(w) - 1, 0, -1):
        if needed[j]:
            for i in range(j):
                needed[i] |= w[i, j] != 0
    return needed


@compiled(relaxed=False)
def _compute(z, function, one):
    """φ(z), in place."""
    two, three = one + one, one + one + one
    if function == 0:
        for p in range(len(z)):
            z[p] = np.sin(z[p])
    elif function == 1:
        for p in range(len(z)):
            z[p] = two / (one + np.exp(-z[p])) - one  # at the cost of an overflow half the price of tanh(z/2)
    elif function == 2:
        for p in range(len(z)):
            z[p] = np.exp(-z[p] * z[p])
    else:
        for p in range(len(z)):
            z[p] = min(max(z[p], -three), three) / three


@compiled(relaxed=False)
def _cppn(first, last, weights, functions, inputs, one, out):
    """Networks first … last, one after the other."""
    neurons, outputs = weights.shape[1], out.shape[1]
    values = np.empty((neurons, inputs.shape[1]), weights.dtype)
    values[: len(inputs)] = inputs
    for n in range(first, last):
        w, needed = weights[n], _needed(weights[n], outputs)
        for j in range(len(inputs), neurons):
            if needed[j]:
                z = values[j]
                z[:] = 0
                for i in range(j):
                    if w[i, j] != 0:
                        weight, v = w[i, j], values[i]
                        for p in range(len(z)):
                            z[p] += weight * v[p]
                _compute(z, functions[n, j], one)
        out[n] = values[neurons - outputs :]


@twin(integers=True)
def cppn(weights: Array, functions: Array, inputs: Array, outputs: int) -> Array:
    out = np.empty((len(weights), outputs, inputs.shape[1]), weights.dtype)
    work = 10 * np.count_nonzero(weights) * inputs.shape[1]
    weights, inputs = np.array(weights, order="C"), np.array(inputs, order="C")  # copied: compiled once, not for each
    functions = np.array(functions, np.int64, order="C")  # mixture of arrays that may be written to and that may not
    threads.share(_cppn, len(weights), work, weights, functions, inputs, weights.dtype.type(1), out)
    return out
