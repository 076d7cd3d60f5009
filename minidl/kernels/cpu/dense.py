"""Dense layers: matrix products shared among threads, and then bias, activation and dropout in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import reference, slopes, threads
from .compiled import compiled, flattened, twin
from .draws import draw, dropout

Array = Any


WORTH_SHARING = 5 * 10**6  # multiplications in a matrix product


@twin
def matmul(a: Array, b: Array) -> Array:
    # Small ones, too: BLAS's threads would be in the way of ours for long afterwards.
    return threads.on_one_blas_thread(lambda: _product(a, b))


def _product(a: Array, b: Array) -> Array:
    if b.ndim != 2 or a.ndim < 2 or a.size * b.shape[1] < WORTH_SHARING:
        return a @ b
    rows = a.reshape(a.size // a.shape[-1], a.shape[-1])
    out = np.empty((len(rows), b.shape[1]), a.dtype)

    def by_rows(first: int, last: int) -> None:
        np.matmul(rows[first:last], b, out=out[first:last])

    def by_columns(first: int, last: int) -> None:
        np.matmul(rows, b[:, first:last], out=out[:, first:last])

    longer = by_rows if len(rows) >= b.shape[1] else by_columns
    threads.share(longer, max(out.shape), rows.size * b.shape[1])
    return out if a.ndim == 2 else out.reshape(*a.shape[:-1], b.shape[1])


KINDS = {name: kind for kind, name in enumerate(slopes.SLOPES)}
IDENTITY, RELU, TANH, SIGMOID = KINDS.values()
_, relu_slope, tanh_slope, sigmoid_slope = map(compiled(relaxed=False), slopes.SLOPES.values())


@compiled(relaxed=False)
def _activate(first, last, z, bias, rectify, drop, key, least, factor, y):
    """dropout(z + bias), with or without max(·, 0) in between, of rows first … last."""
    zero, units = factor - factor, len(bias)
    for n in range(first, last):
        sums, outputs = z[n], y[n]
        for k in range(units):
            value = sums[k] + bias[k]
            if rectify:
                value = zero if value < zero else value
            if drop:
                value = value * factor if draw(key, n * units + k) >= least else zero
            outputs[k] = value


@twin
def activate(z: Array, bias: Any, activation: str, key: int | None, rate: float) -> Array:
    biased = hasattr(bias, "shape")
    if biased and bias.shape != z.shape[-1:]:
        return reference.activate(z, bias, activation, key, rate)
    if activation not in ("identity", "relu"):  # NumPy's own tanh and exp use wider instructions than ours would
        z, bias, biased = reference.ACTIVATIONS[activation](z + bias if biased else z), 0, False
    if not biased and key is None:
        return reference.ACTIVATIONS[activation](z) if activation == "relu" else z
    units = z.shape[-1]
    rows = np.ascontiguousarray(z).reshape(z.size // units, units)
    y = np.empty(rows.shape, z.dtype)
    added = np.ascontiguousarray(bias) if biased else np.zeros(units, z.dtype)
    threads.share(_activate, len(rows), 5 * z.size, rows, added, activation == "relu", *dropout(key, rate, z.dtype), y)
    return y.reshape(z.shape)


@compiled(relaxed=False)
def _activate_vjp(first, last, g, y, kind, drop, key, least, factor, kept, out):
    """g (S, M) times the slope at y (M), at positions first … last; kept is 1 - rate, so that φ = kept·y."""
    one, zero = factor / factor, factor - factor
    y = y[first:last]
    for s in range(g.shape[0]):
        cotangents, products = g[s, first:last], out[s, first:last]
        for i in range(len(y)):
            phi, slope = kept * y[i], factor
            if kind == RELU:  # what was dropped is 0, too
                slope = factor if relu_slope(y[i], one) else zero
            elif drop and draw(key, first + i) < least:
                slope = zero
            elif kind == TANH:
                slope = factor * tanh_slope(phi, one)
            elif kind == SIGMOID:
                slope = factor * sigmoid_slope(phi, one)
            products[i] = cotangents[i] * slope


@twin
def activate_vjp(g: Array, y: Array, activation: str, key: int | None, rate: float) -> Array:
    if key is None:  # then positions have no numbers, and any order will do: that of y's memory
        lead = g.ndim - y.ndim
        order = np.argsort([-abs(s) for s in y.strides], kind="stable")
        there = (*range(lead), *(lead + order))
        back = np.argsort(there)
        y, g = y.transpose(order), g.transpose(there)
    flat, stacked = flattened(y)[0], np.ascontiguousarray(g).reshape(g.size // y.size, y.size)
    out = np.empty(stacked.shape, y.dtype)
    kept = y.dtype.type(1 - rate if key is not None else 1)
    mask = dropout(key, rate, y.dtype)
    threads.share(_activate_vjp, y.size, 4 * g.size, stacked, flat, KINDS[activation], *mask, kept, out)
    out = out.reshape(g.shape)
    return out if key is not None else out.transpose(back)
