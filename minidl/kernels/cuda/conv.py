"""Convolution and max-pooling, by way of matrices with the channels first, (C, N·H·W): one product each."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import library, reference
from .launch import contiguous, empty, ints, run, twin

Array = Any


@twin
def conv2d(x: Array, w: Array, stride: int, padding: int) -> Array:
    """`im2col`, then one product."""
    return _convolved(x, w, stride, padding).transpose(1, 0, 2, 3)


def _convolved(x: Array, w: Array, stride: int, padding: int) -> Array:
    """(O, N, H', W')."""
    columns, counts = _columns(x, w.shape[2:], stride, padding)
    return (_filters(w) @ columns).reshape(len(w), len(x), *counts)


def _columns(x: Array, size: tuple[int, int], stride: int, padding: int) -> tuple[Array, tuple[int, int]]:
    """Every window as a column, (C·h·w, N·H'·W'), and (H', W')."""
    n, channels, height, width = x.shape
    counts = _counts((height + 2 * padding, width + 2 * padding), size, stride)
    columns = empty((channels * size[0] * size[1], n * counts[0] * counts[1]), x)
    numbers = ints(*x.shape, *size, stride, padding, *counts)
    run("im2col", x, channels * columns.shape[1], contiguous(x), columns, *numbers)
    return columns, counts


def _counts(image: Any, size: tuple[int, int], stride: int) -> tuple[int, int]:
    """The number of windows of an image, down and across."""
    return (image[0] - size[0]) // stride + 1, (image[1] - size[1]) // stride + 1


def _filters(w: Array) -> Array:
    """(O, C, h, w) as a matrix (O, C·h·w)."""
    return w.reshape(len(w), prod(w.shape[1:]))


def _channels_first(y: Array) -> Array:
    """(N, O, H', W') as (O, N, H', W'), in memory too."""
    return contiguous(y.transpose(1, 0, 2, 3))


@twin
def conv2d_input(y: Array, w: Array, stride: int, padding: int, size: tuple[int, int]) -> Array:
    """One product, then `col2im`."""
    return _images(_channels_first(y), w, stride, padding, size)


def _images(y: Array, w: Array, stride: int, padding: int, size: tuple[int, int]) -> Array:
    """(N, C, *size), from y (O, N, H', W')."""
    columns = _filters(w).T @ y.reshape(len(y), prod(y.shape[1:]))
    x = empty((y.shape[1], w.shape[1], *size), y)
    run("col2im", x, x.size, contiguous(columns), x, *ints(*x.shape, *w.shape[2:], stride, padding, *y.shape[2:]))
    return x


@twin
def conv2d_weights(x: Array, y: Array, stride: int, padding: int, size: tuple[int, int]) -> Array:
    """`im2col`, then one product."""
    return _weights(x, _channels_first(y), stride, padding, size)


def _weights(x: Array, y: Array, stride: int, padding: int, size: tuple[int, int]) -> Array:
    """(O, C, *size), from y (O, N, H', W')."""
    columns, _ = _columns(x, size, stride, padding)
    return (y.reshape(len(y), prod(y.shape[1:])) @ columns.T).reshape(len(y), x.shape[1], *size)


@twin
def max_windows(x: Array, size: tuple[int, int], stride: int) -> Array:
    """One thread for each window."""
    return _pooled(x, size, stride)[0] if _fits(size) else reference.max_windows(x, size, stride)


@twin
def argmax_windows(x: Array, y: Array, size: tuple[int, int], stride: int) -> Array:
    """One thread for each window, which computes the maximum again."""
    return _pooled(x, size, stride)[1] if _fits(size) else reference.argmax_windows(x, y, size, stride)


def _fits(size: tuple[int, int]) -> bool:
    """Whether a byte is enough for the places in a window.  Larger ones are left to `reference`."""
    return size[0] * size[1] <= 256


def _pooled(x: Array, size: tuple[int, int], stride: int) -> tuple[Array, Array]:
    """The maxima of x (..., H, W), and their places."""
    y, places = _maxima(x.reshape(1, prod(x.shape[:-2]), *x.shape[-2:]), None, size, stride)
    shape = (*x.shape[:-2], *y.shape[-2:])
    return y.reshape(shape), places.reshape(shape)


def _maxima(z: Array, bias: Any, size: tuple[int, int], stride: int) -> tuple[Array, Array]:
    """The maxima of z (O, N, H, W) + bias, and their places: (N, O, H', W')."""
    channels, n, *image = z.shape
    counts = _counts(image, size, stride)
    y = empty((n, channels, *counts), z)
    places = empty(y.shape, z, "uint8")
    numbers = ints(n, channels, *image, *size, stride, *counts)
    run("max_windows", z, y.size, contiguous(z), bias, y, places, *numbers)
    return y, places


@twin
def put_into_windows(y: Array, places: Array, size: tuple[int, int], stride: int, image: tuple[int, int]) -> Array:
    """One thread for each pixel of the image."""
    if not _fits(size):
        return reference.put_into_windows(y, places, size, stride, image)
    x, counts = empty((*y.shape[:-2], *image), y), y.shape[-2:]
    places, planes = contiguous(places.astype("uint8", copy=False)), np.int64(prod(places.shape[:-2]))
    run("put_into_windows", x, x.size, contiguous(y), places, x, planes, *ints(*image, *size, stride, *counts))
    return x


@twin
def conv2d_max(x: Array, w: Array, bias: Any, stride: int, padding: int, size: tuple[int, int], step: int) -> Any:
    """`im2col`, one product, and bias and maximum in one pass."""
    if not _fits(size):
        return reference.conv2d_max(x, w, bias, stride, padding, size, step)
    bias = contiguous(bias, w.shape[:1]) if hasattr(bias, "shape") else None
    return _maxima(_convolved(x, w, stride, padding), bias, size, step)


@twin
def conv2d_max_input(g: Array, places: Array, w: Array, stride: int, padding: int, size: tuple[int, int], step: int,
                     between: tuple[int, int], image: tuple[int, int]) -> Array:  # fmt: skip
    """`put_into_windows`, one product, and `col2im`."""
    folded = (prod(g.shape[:-3]), *g.shape[-3:])
    places = library(g).broadcast_to(places, g.shape).reshape(folded)
    x = _images(_unpicked(g.reshape(folded), places, size, step, between), w, stride, padding, image)
    return x.reshape(*g.shape[:-3], *x.shape[1:])


@twin
def conv2d_max_weights(x: Array, g: Array, places: Array, stride: int, padding: int, size: tuple[int, int], step: int,
                       between: tuple[int, int], filters: tuple[int, int]) -> Array:  # fmt: skip
    """`put_into_windows`, `im2col`, and one product."""
    return _weights(x, _unpicked(g, places, size, step, between), stride, padding, filters)


def _unpicked(g: Array, places: Array, size: tuple[int, int], step: int, between: tuple[int, int]) -> Array:
    """(O, N, *between), from g and places (N, O, I, J)."""
    return contiguous(put_into_windows(_channels_first(g), _channels_first(places), size, step, between))
