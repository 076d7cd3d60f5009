"""Mutation of genomes, and the images of CPPNs, as plain array code."""

from __future__ import annotations

from typing import Any

from .. import library
from .draws import random_uniform

Array = Any

#: What a neuron of `cppn` may compute of its sum z: sin z; 2/(1 + e^-z) - 1; e^{-z²}; z kept within ±3, divided by 3.
FUNCTIONS = ("sine", "sigmoid", "gaussian", "linear")


def polynomial_mutation(key: int, x: Array, rate: float, strength: float, bounds: tuple[float, float]) -> Array:
    """x, which is within the bounds, with each entry moved with probability `rate` by δ·(high - low), and kept within.

    δ = (2r)^{1/(η+1)} - 1 if r < ½, else 1 - (2(1-r))^{1/(η+1)}, for r uniform and η the strength: the greater, the
    nearer (Deb 2001, p. 124).  Entry i has draws number 2i, is it moved, and 2i + 1, r, of stream `key`.
    """
    xp = library(x)
    low, high = bounds
    draws = random_uniform(key, xp.empty((*x.shape, 2), dtype=x.dtype))
    moves, r = draws[..., 0] < rate, draws[..., 1]
    power = 1 / (strength + 1)
    delta = xp.where(r < 0.5, (2 * r) ** power - 1, 1 - (2 * (1 - r)) ** power)
    return xp.where(moves, xp.clip(x + delta * (high - low), low, high), x)


def cppn(weights: Array, functions: Array, inputs: Array, outputs: int) -> Array:
    """What compositional pattern-producing networks (Stanley 2007) make of every pixel: (N, outputs, P).

    weights (N, V, V): [n, i, j] from neuron i to neuron j of network n, 0 for no connection; only i < j count.
    functions (N, V) integer: what each neuron computes, by its number in FUNCTIONS.  inputs (I, P), in the weights'
    dtype: values of the first I neurons at P pixels, whatever leads to these.  The last `outputs` neurons are returned.

    Neuron j is φ_j(Σ_i w_ij v_i), added up in the order of i, which every twin keeps: sums agree to the bit.
    """
    neurons = weights.shape[1]
    values = library(weights).zeros((len(weights), neurons, inputs.shape[1]), dtype=weights.dtype)
    for i in range(neurons):  # until it is its turn, a neuron holds the sum of what has come in
        values[:, i] = inputs[i] if i < len(inputs) else _computed(values[:, i], functions[:, i, None])
        values[:, i + 1 :] += weights[:, i, i + 1 :, None] * values[:, i, None]
    return values[:, neurons - outputs :]


def _computed(z: Array, function: Array) -> Array:
    """φ(z): z (N, P), function (N, 1) by number.  2/(1 + e^-z) - 1 is tanh(z/2), which cannot overflow."""
    xp = library(z)
    curved = xp.where(function == 1, xp.tanh(z / 2), xp.exp(-z * z))
    straight = xp.where(function == 0, xp.sin(z), xp.clip(z, -3, 3) / 3)
    return xp.where((function == 1) | (function == 2), curved, straight)
