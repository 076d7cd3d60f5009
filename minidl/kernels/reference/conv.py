"""Convolution and pooling as plain array code, for any array library.

A window has h·w pixels.  All functions visit those in turn, and each time handle that pixel of all windows at
once.  In memory the examples lie innermost, (C, H, W, N), so that what is visited lies in long rows.
"""

from __future__ import annotations

import functools
from math import prod
from typing import Any

from .. import library

Array = Any


def convolve_by_definition(x: Array, w: Array, stride: int, padding: int) -> Array:
    """The convolution of x (N, C, H, W) with w (O, C, h, w) by its definition: each window times each filter.

    The specification of `conv2d`, and slower: only the laws call it.
    """
    xp, x = library(x), _padded(x, padding)
    h, width = w.shape[2:]
    down, across = _counts(x, (h, width), stride)
    y = xp.zeros((len(x), len(w), down, across), dtype=x.dtype)
    for i in range(down):
        for j in range(across):
            window = x[:, :, i * stride : i * stride + h, j * stride : j * stride + width]
            y[:, :, i, j] = xp.tensordot(window, w, axes=([1, 2, 3], [1, 2, 3]))
    return y


def conv2d(x: Array, w: Array, stride: int, padding: int) -> Array:
    """x (N, C, H, W) ⋆ w (O, C, h, w) -> (N, O, H', W'): all windows as columns of a matrix, then one product."""
    columns, counts = _columns(x, w.shape[2:], stride, padding)
    y = _filters(w) @ columns
    return y.reshape(len(w), *counts, len(x)).transpose(3, 0, 1, 2)


def conv2d_input(y: Array, w: Array, stride: int, padding: int, size: tuple[int, int]) -> Array:
    """The transpose of conv2d in x: y (N, O, H', W'), w (O, C, h, w) -> (N, C, *size)."""
    counts = y.shape[2:]
    columns = _filters(w).T @ _rows(y)
    columns = columns.reshape(*w.shape[1:], *counts, len(y)).transpose(1, 2, 5, 0, 3, 4)  # h, w, N, C, H', W'
    x = _zeros(y, (len(y), w.shape[1], size[0] + 2 * padding, size[1] + 2 * padding))
    for u, v, there in _offsets(w.shape[2:], stride, counts):
        x[there] += columns[u, v]
    return x[:, :, padding : padding + size[0], padding : padding + size[1]]


def conv2d_weights(x: Array, y: Array, stride: int, padding: int, size: tuple[int, int]) -> Array:
    """The transpose of conv2d in w: x (N, C, H, W), y (N, O, H', W') -> (O, C, *size)."""
    columns, _ = _columns(x, size, stride, padding)
    return (_rows(y) @ columns.T).reshape(y.shape[1], x.shape[1], *size)


def max_windows(x: Array, size: tuple[int, int], stride: int) -> Array:
    """The greatest pixel of each window of x (..., H, W)."""
    pixels = (x[there] for _, _, there in _offsets(size, stride, _counts(x, size, stride)))
    return functools.reduce(library(x).maximum, pixels)


def argmax_windows(x: Array, y: Array, size: tuple[int, int], stride: int) -> Array:
    """Which pixel u·width + v of each window of x is the y of `max_windows`; the first in row-major order."""
    xp, small = library(x), place_dtype(size)
    places, has_maximum = xp.zeros_like(y, dtype=small), xp.zeros_like(y, dtype=bool)
    for u, v, there in _offsets(size, stride, y.shape[-2:]):
        first = (x[there] == y) & ~has_maximum
        places += first.astype(small) * (u * size[1] + v)
        has_maximum |= first
    return places


def place_dtype(size: tuple[int, int]) -> str:
    """The dtype of the places in a window: one byte each if that is enough."""
    return "uint8" if size[0] * size[1] <= 256 else "int32"


def take_from_windows(x: Array, places: Array, size: tuple[int, int], stride: int) -> Array:
    """From each window of x (..., H, W) the pixel u·width + v of `places`."""
    offsets = _offsets(size, stride, places.shape[-2:])
    return sum((places == u * size[1] + v) * x[there] for u, v, there in offsets)


def put_into_windows(y: Array, places: Array, size: tuple[int, int], stride: int, image: tuple[int, int]) -> Array:
    """The transpose of `take_from_windows`: each y (..., H', W') added to the pixel it was
    taken from, in a (..., *image) of zeros."""
    x, y = _zeros(y, (*y.shape[:-2], *image)), _laid_out(y)
    for u, v, there in _offsets(size, stride, y.shape[-2:]):
        x[there] += (places == u * size[1] + v) * y
    return x


def sum_windows(x: Array, size: tuple[int, int], stride: int) -> Array:
    """The sum of each window of x (..., H, W)."""
    return sum(x[there] for _, _, there in _offsets(size, stride, _counts(x, size, stride)))


def spread_into_windows(y: Array, size: tuple[int, int], stride: int, image: tuple[int, int]) -> Array:
    """The transpose of `sum_windows`: each y (..., H', W') added to all pixels of its window, in a (..., *image)."""
    x, y = _zeros(y, (*y.shape[:-2], *image)), _laid_out(y)
    for _, _, there in _offsets(size, stride, y.shape[-2:]):
        x[there] += y
    return x


# --- convolution, bias and max-pooling in one --------------------------------------------------------------
# stride and padding are of the convolution, size and step of the pooling windows, between: the height and width
# of what is pooled.  Of each window only one pixel gets a cotangent, which is often 0: a kernel may skip the rest.


def conv2d_max(x: Array, w: Array, bias: Any, stride: int, padding: int, size: tuple[int, int], step: int) -> Any:
    """y (N, O, I, J), the greatest pixel of each window of x ⋆ w + bias, and the places: which pixel that is.

    bias: (O), or the number 0.
    """
    z = conv2d(x, w, stride, padding)
    z = z + bias.reshape(len(w), 1, 1) if hasattr(bias, "shape") else z
    y = max_windows(z, size, step)
    return y, argmax_windows(z, y, size, step)


def conv2d_max_input(g: Array, places: Array, w: Array, stride: int, padding: int, size: tuple[int, int], step: int,
                     between: tuple[int, int], image: tuple[int, int]) -> Array:  # fmt: skip
    """The transpose in x, for a stack of cotangents: g (..., N, O, I, J) -> (..., N, C, *image)."""
    g = put_into_windows(g, places, size, step, between)
    x = conv2d_input(g.reshape(prod(g.shape[:-3]), *g.shape[-3:]), w, stride, padding, image)
    return x.reshape(*g.shape[:-3], *x.shape[1:])


def conv2d_max_weights(x: Array, g: Array, places: Array, stride: int, padding: int, size: tuple[int, int], step: int,
                       between: tuple[int, int], filters: tuple[int, int]) -> Array:  # fmt: skip
    """The transpose in w: x (N, C, H, W), g and places (N, O, I, J) -> (O, C, *filters)."""
    return conv2d_weights(x, put_into_windows(g, places, size, step, between), stride, padding, filters)


def channel_sums(g: Array) -> Array:
    """The cotangent of each channel's bias: g (..., N, O, I, J) -> (..., O), summed over all other axes of the four."""
    return g.sum(axis=(-4, -2, -1))


def _counts(x: Array, size: tuple[int, int], stride: int) -> tuple[int, int]:
    """The number of windows, down and across."""
    return (x.shape[-2] - size[0]) // stride + 1, (x.shape[-1] - size[1]) // stride + 1


def _offsets(size: tuple[int, int], stride: int, counts: tuple[int, int]) -> Any:
    """Each pixel (u, v) of a window, in row-major order, and where all windows have it, as an index into images."""
    for u in range(size[0]):
        for v in range(size[1]):
            down = slice(u, u + stride * (counts[0] - 1) + 1, stride)
            across = slice(v, v + stride * (counts[1] - 1) + 1, stride)
            yield u, v, (..., down, across)


def _padded(x: Array, padding: int) -> Array:
    return library(x).pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding))) if padding else x


def _zeros(like: Array, shape: tuple[int, ...]) -> Array:
    """Zeros for images (..., N, C, H, W), in memory (C, H, W, ..., N)."""
    zeros = library(like).zeros(shape[-3:] + shape[:-3], dtype=like.dtype)
    return zeros.transpose(*range(3, len(shape)), 0, 1, 2) if len(shape) > 3 else zeros


def _laid_out(y: Array) -> Array:
    """The same array, in memory as `_zeros` has it."""
    if y.ndim < 4:
        return y
    image_first = (*range(y.ndim - 3, y.ndim), *range(y.ndim - 3))
    return library(y).ascontiguousarray(y.transpose(image_first)).transpose(*range(3, y.ndim), 0, 1, 2)


def _rows(y: Array) -> Array:
    """(N, O, H', W') as a matrix (O, H'·W'·N)."""
    n, o, down, across = y.shape
    return y.transpose(1, 2, 3, 0).reshape(o, down * across * n)


def _filters(w: Array) -> Array:
    """(O, C, h, w) as a matrix (O, C·h·w)."""
    return w.reshape(len(w), w.shape[1] * w.shape[2] * w.shape[3])


def _columns(x: Array, size: tuple[int, int], stride: int, padding: int) -> tuple[Array, tuple[int, int]]:
    """Every window of x as a column: (C·h·w, H'·W'·N), and (H', W').  The field calls this im2col."""
    x = _padded(x, padding)
    counts = _counts(x, size, stride)
    columns = library(x).empty((x.shape[1], *size, *counts, len(x)), dtype=x.dtype)
    images = columns.transpose(1, 2, 5, 0, 3, 4)  # h, w, N, C, H', W'
    for u, v, there in _offsets(size, stride, counts):
        images[u, v] = x[there]
    return columns.reshape(x.shape[1] * size[0] * size[1], counts[0] * counts[1] * len(x)), counts
