"""Convolution and pooling for NumPy arrays.  Its loops are in `conv_loops`.

In memory the channels lie innermost, (N, H, W, C), so that a line of a window is one run of numbers; outside, images
are N, C, H, W as everywhere, as views.  A convolution goes block by block: the windows of a block, spelled out
as the rows of a matrix, stay in the cache until the matrix product has read them.

The walk back from a max-pooling meets one cotangent for each window at most.  There are three ways to take it
through the convolution.  In general the cotangents that are not 0 are listed, and the rows that they stand for added
up, four at a time: a quarter of the matrix product's work, and below a ReLU an eighth.  Filters of a few weights are
not worth a list; there cotangents go back to the pixels they came from, in a plane for each channel, and each weight
meets one long run of numbers.  And where windows overlap so much that there are as many as pixels, it is the matrix
product.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from .. import reference, threads
from ..reference.conv import place_dtype
from . import conv_loops as loops
from .compiled import twin

Array = Any
Size = tuple[int, int]

BLOCK = 2**20  # bytes of windows at a time, which fit the second cache
PARTS = 8  # of a batch, each with a sum of its own: a fixed number, so that threads do not change the order of sums
SMALL = 64  # weights in a filter
_memory = threading.local()


def _workspace(name: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """Memory to write to, reused by this thread: new pages would take as long as the work."""
    name, size = f"{name} {dtype}", prod(shape)
    kept = getattr(_memory, name, None)
    if kept is None or kept.size < size:
        kept = np.empty(size, dtype)
        setattr(_memory, name, kept)
    return kept[:size].reshape(shape)


# --- layout ----------------------------------------------------------------------------------------------


def _channels_last(x: Array, padding: int = 0) -> Array:
    """(..., C, H, W) as contiguous (..., H, W, C), with a margin of zeros."""
    x = np.moveaxis(x, -3, -1)
    if not padding:
        return np.ascontiguousarray(x)
    *lead, height, width, channels = x.shape
    padded = np.zeros((*lead, height + 2 * padding, width + 2 * padding, channels), x.dtype)
    padded[..., padding : padding + height, padding : padding + width, :] = x
    return padded


def _channels_first(x: Array, padding: int = 0) -> Array:
    """The inverse, as a view."""
    height, width = x.shape[-3:-1]
    return np.moveaxis(x[..., padding : height - padding, padding : width - padding, :], -1, -3)


def _filters(w: Array) -> Array:
    """(O, C, h, w) as contiguous rows (O, h·w·C)."""
    return np.ascontiguousarray(w.transpose(0, 2, 3, 1)).reshape(len(w), prod(w.shape[1:]))


def _counts(x: Array, size: Size, stride: int) -> Size:
    """The number of windows of x (N, H, W, C), down and across."""
    return (x.shape[1] - size[0]) // stride + 1, (x.shape[2] - size[1]) // stride + 1


# --- convolution, by windows spelled out as rows -----------------------------------------------------------


def _lines(x: Array) -> Array:
    """(N, H, W, C) as (N, H, W·C)."""
    return x.reshape(*x.shape[:2], x.shape[2] * x.shape[3])


def _in_blocks(kernel: Callable[[int, int], None], images: int, image_bytes: int, work: float) -> None:
    """Call ``kernel(first, last)`` for all images, a block at a time, and the blocks on several threads.

    image_bytes: of all windows of one image.  The blocks do not depend on how many threads there are, and so neither
    do the products in them, of which BLAS may compute the last bit in one way or another.
    """
    blocks = max(1, -(-images * image_bytes // BLOCK), min(PARTS, images, int(work / 2_000_000)))
    bounds = [images * i // blocks for i in range(blocks + 1)]

    def part(first: int, last: int) -> None:
        for block in range(first, last):
            kernel(bounds[block], bounds[block + 1])

    threads.on_one_blas_thread(lambda: threads.share(part, blocks, work))


def _windows(x: Array, size: Size, stride: int) -> Array:
    """All windows of x (N, H, W, C) as rows (N·H'·W', h·w·C), in a workspace."""
    counts, channels = _counts(x, size, stride), x.shape[3]
    rows = _workspace("windows", (len(x) * prod(counts), prod(size) * channels), x.dtype)
    loops.read_windows(0, len(x), _lines(x), channels, *size, stride, *counts, rows)
    return rows


@twin
def conv2d(x: Array, w: Array, stride: int, padding: int) -> Array:
    x, filters, size = _channels_last(x, padding), _filters(w), w.shape[2:]
    counts = _counts(x, size, stride)
    y = np.empty((len(x), *counts, len(w)), x.dtype)

    def convolve(i: int, j: int) -> None:
        np.matmul(_windows(x[i:j], size, stride), filters.T, out=y[i:j].reshape(-1, len(w)))

    _in_blocks(convolve, len(x), prod(counts) * filters[0].nbytes, y.size * filters.shape[1])
    return _channels_first(y)


@twin
def conv2d_input(y: Array, w: Array, stride: int, padding: int, size: Size) -> Array:
    y, filters = _channels_last(y), _filters(w)
    channels, counts = w.shape[1], y.shape[1:3]
    x = np.zeros((len(y), size[0] + 2 * padding, size[1] + 2 * padding, channels), y.dtype)

    def pull(i: int, j: int) -> None:
        rows = _workspace("windows", ((j - i) * prod(counts), filters.shape[1]), y.dtype)
        np.matmul(y[i:j].reshape(-1, len(w)), filters, out=rows)
        loops.add_windows(0, j - i, rows, channels, *w.shape[2:], stride, *counts, _lines(x[i:j]))

    _in_blocks(pull, len(y), prod(counts) * filters[0].nbytes, y.size * filters.shape[1])
    return _channels_first(x, padding)


@twin
def conv2d_weights(x: Array, y: Array, stride: int, padding: int, size: Size) -> Array:
    x, y = _channels_last(x, padding), _channels_last(y)
    (n, *_, channels), outputs = x.shape, y.shape[3]
    out = np.zeros((PARTS, outputs, prod(size) * channels), x.dtype)
    step = max(1, BLOCK // (prod(y.shape[1:3]) * out[0, 0].nbytes))

    def pull(first: int, last: int) -> None:
        for part in range(first, last):
            end = n * (part + 1) // PARTS
            for i in range(n * part // PARTS, end, step):
                j = min(i + step, end)
                out[part] += y[i:j].reshape(-1, outputs).T @ _windows(x[i:j], size, stride)

    threads.on_one_blas_thread(lambda: threads.share(pull, PARTS, y.size * out.shape[2]))
    return out.sum(axis=0).reshape(outputs, *size, channels).transpose(0, 3, 1, 2)


# --- max-pooling -----------------------------------------------------------------------------------------


def _pool_shape(z_shape: tuple[int, ...], size: Size, step: int) -> tuple[int, ...]:
    n, height, width, channels = z_shape
    return n, (height - size[0]) // step + 1, (width - size[1]) // step + 1, channels


def _max_and_places(x: Array, size: Size, stride: int) -> tuple[Array, Array]:
    z = _channels_last(x)
    shape = _pool_shape(z.shape, size, stride)
    y, places = np.empty(shape, x.dtype), np.empty(shape, place_dtype(size))
    threads.share(loops.pool, len(z), z.size, z, np.zeros(shape[3], x.dtype), *size, stride, y, places)
    return _channels_first(y), _channels_first(places)


@twin
def max_windows(x: Array, size: Size, stride: int) -> Array:
    return _max_and_places(x, size, stride)[0] if x.ndim == 4 else reference.max_windows(x, size, stride)


@twin
def argmax_windows(x: Array, y: Array, size: Size, stride: int) -> Array:
    return _max_and_places(x, size, stride)[1] if x.ndim == 4 else reference.argmax_windows(x, y, size, stride)


@twin(integers=True)
def put_into_windows(y: Array, places: Array, size: Size, stride: int, image: Size) -> Array:
    if y.ndim < 4 or places.ndim != 4:
        return reference.put_into_windows(y, places, size, stride, image)
    g, places = _channels_last(y), _channels_last(places)
    x = np.zeros((*g.shape[:-3], *image, g.shape[-1]), g.dtype)
    flat, g = x.reshape(-1, *x.shape[-3:]), g.reshape(-1, *g.shape[-3:])
    threads.share(loops.unpool, len(g), g.size, g, places, size[1], stride, flat)
    return _channels_first(x)


# --- convolution, bias and max-pooling -------------------------------------------------------------------


@twin
def conv2d_max(x: Array, w: Array, bias: Any, stride: int, padding: int, size: Size, step: int) -> tuple[Array, Array]:
    if hasattr(bias, "shape") and bias.shape != (len(w),):
        return reference.conv2d_max(x, w, bias, stride, padding, size, step)
    x, filters = _channels_last(x, padding), _filters(w)
    counts = _counts(x, w.shape[2:], stride)
    shape = _pool_shape((len(x), *counts, len(w)), size, step)
    y, places = np.empty(shape, x.dtype), np.empty(shape, place_dtype(size))
    added = bias if hasattr(bias, "shape") else np.zeros(len(w), x.dtype)

    def convolve(i: int, j: int) -> None:
        z = _workspace("products", (j - i, *counts, len(w)), x.dtype)
        np.matmul(_windows(x[i:j], w.shape[2:], stride), filters.T, out=z.reshape(-1, len(w)))
        loops.pool(0, j - i, z, added, *size, step, y[i:j], places[i:j])

    _in_blocks(convolve, len(x), prod(counts) * filters[0].nbytes, len(x) * prod(counts) * filters.size)
    return _channels_first(y), _channels_first(places)


@twin
def channel_sums(g: Array) -> Array:
    rows = _channels_last(g).reshape(*g.shape[:-4], prod(g.shape[-4:]) // g.shape[-3], g.shape[-3])
    # A product with ones, which BLAS is better at than NumPy at sums of short rows.
    return threads.on_one_blas_thread(lambda: np.ones(rows.shape[-2], g.dtype) @ rows)


def _shifts(width: int, filters: Size, size: Size, between: Size) -> tuple[Array, Array, int]:
    """For planes with rows as wide as the image's: how far each weight of a filter moves them, how far each pixel of
    a pooling window is from its first, and how long they are."""
    moves = [np.add.outer(np.arange(h) * width, np.arange(w)).reshape(h * w) for h, w in (filters, size)]
    return moves[0], moves[1], (between[0] - 1) * width + between[1]


def _small(w_shape: tuple[int, ...], stride: int) -> bool:
    return stride == 1 and prod(w_shape[1:]) <= SMALL


@twin(integers=True)
def conv2d_max_input(g: Array, places: Array, w: Array, stride: int, padding: int, size: Size, step: int,
                     between: Size, image: Size) -> Array:  # fmt: skip
    if step == 1:
        z = put_into_windows(g, places, size, step, between)
        x = conv2d_input(z.reshape(prod(z.shape[:-3]), *z.shape[-3:]), w, stride, padding, image)
        return x.reshape(*z.shape[:-3], *x.shape[1:])
    lead, (outputs, channels, *filters) = g.shape[:-3], w.shape
    height, width = image[0] + 2 * padding, image[1] + 2 * padding
    places, g = _channels_last(places), _channels_last(g)
    g, work = g.reshape(prod(lead), *g.shape[-3:]), g.size * prod(w.shape[1:])
    if _small(w.shape, stride):
        x = np.zeros((len(g), channels, height * width), g.dtype)
        shifts, behind, run = _shifts(width, filters, size, between)
        weights = np.ascontiguousarray(w).reshape(outputs, channels, len(shifts))
        threads.share(loops.pull_input_planes, len(x), work, g, places, weights, shifts, behind, step, width, run, x)
        x = x.reshape(*lead, channels, height, width)
        return x[..., padding : padding + image[0], padding : padding + image[1]]
    x = np.zeros((len(g), height, width, channels), g.dtype)
    sizes = (channels, filters[0], stride, size, step)
    threads.share(loops.pull_input, len(x), work, g, places, _filters(w), *sizes, _lines(x))
    return _channels_first(x.reshape(*lead, *x.shape[1:]), padding)


@twin(integers=True)
def conv2d_max_weights(x: Array, g: Array, places: Array, stride: int, padding: int, size: Size, step: int,
                       between: Size, filters: Size) -> Array:  # fmt: skip
    if step == 1:
        return conv2d_weights(x, put_into_windows(g, places, size, step, between), stride, padding, filters)
    x, g, places = _channels_last(x, padding), _channels_last(g), _channels_last(places)
    (n, height, width, channels), outputs, taps = x.shape, g.shape[3], prod(filters)
    work = g.size * channels * taps
    if _small((outputs, channels, *filters), stride):
        out = np.empty((PARTS, outputs, channels, taps), g.dtype)
        images = np.ascontiguousarray(_channels_first(x)).reshape(n, channels, height * width)
        shifts, behind, run = _shifts(width, filters, size, between)
        threads.share(loops.pull_weights_planes, PARTS, work, images, g, places, shifts, behind, step, width, run, out)
        return out.sum(axis=0).reshape(outputs, channels, *filters)
    out = np.empty((PARTS, outputs, taps * channels), g.dtype)
    sizes = (channels, *filters, stride, size, step, *between)
    threads.share(loops.pull_weights, PARTS, work, _lines(x), g, places, *sizes, out)
    return out.sum(axis=0).reshape(outputs, *filters, channels).transpose(0, 3, 1, 2)
