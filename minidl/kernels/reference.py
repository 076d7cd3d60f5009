"""The kernels as plain array code: what each computes, for any array library.  *The specification.*

Everything here takes and returns plain arrays, counts axes from the end, and finds its library from its
arguments.  The updates of the optimisers work in place; all else returns new arrays.
"""

from __future__ import annotations

import functools
from typing import Any

Array = Any


def _library(x: Array) -> Any:
    from ..backend import namespace  # which imports this file

    return namespace(x)


# --- activations -----------------------------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    """1/(1 + e^-x), as e^x/(1 + e^x) for x < 0: no exponential overflows, and small values keep their digits."""
    xp = _library(x)
    small = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1, small) / (1 + small)


def softplus(x: Array) -> Array:
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), which neither overflows nor loses small values."""
    xp = _library(x)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


def log_softmax(z: Array) -> Array:
    """z - log Σ_k e^{z_k} over the last axis; the maximum is taken out first, so that any size of logit is safe."""
    xp = _library(z)
    z = z - z.max(axis=-1, keepdims=True)
    return z - xp.log(xp.exp(z).sum(axis=-1, keepdims=True))


def softmax(z: Array) -> Array:
    """e^{z_k} / Σ_j e^{z_j} over the last axis."""
    p = _library(z).exp(z - z.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


def cross_entropy(z: Array, labels: Array) -> Array:
    """-log p_label for each row of logits: z (..., K), labels (...) integer -> (...)."""
    xp = _library(z)
    return -xp.take_along_axis(log_softmax(z), labels[..., None], axis=-1)[..., 0]


def cross_entropy_slope(z: Array, labels: Array) -> Array:
    """∂(-log p_label)/∂z = p - onehot(label): (..., K).

    The entry of the label, p_label - 1, is computed as -Σ_{j≠label} p_j.  For a confident network p_label is 1
    to the last bit, and the difference would be zero or rounding noise: exactly where FGSM wants its sign.
    """
    xp = _library(z)
    onehot = xp.arange(z.shape[-1]) == labels[..., None]
    others = xp.where(onehot, 0, softmax(z))
    return xp.where(onehot, -others.sum(axis=-1, keepdims=True), others)


# --- convolution and pooling -----------------------------------------------------------------------------
# A window has h·w pixels.  All below visit those in turn, and each time handle that pixel of all windows at once.
# In memory the examples lie innermost, (C, H, W, N): so that what is visited lies in long rows.


def convolve_by_definition(x: Array, w: Array, stride: int, padding: int) -> Array:
    """The convolution of x (N, C, H, W) with w (O, C, h, w) as one reads it: each window times each filter.

    The specification of `conv2d`, and slower; nothing but the laws calls it.
    """
    xp, x = _library(x), _padded(x, padding)
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
    y = w.reshape(len(w), -1) @ columns
    return y.reshape(len(w), *counts, len(x)).transpose(3, 0, 1, 2)


def conv2d_input(y: Array, w: Array, stride: int, padding: int, size: tuple[int, int]) -> Array:
    """The transpose of conv2d in x: y (N, O, H', W'), w (O, C, h, w) -> (N, C, *size)."""
    counts = y.shape[2:]
    columns = w.reshape(len(w), -1).T @ _rows(y)
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
    return functools.reduce(_library(x).maximum, pixels)


def winners(x: Array, y: Array, size: tuple[int, int], stride: int) -> Array:
    """Which pixel u·width + v of each window of x is the y found by `max_windows`; the first in row-major order."""
    xp = _library(x)
    places, found = xp.zeros_like(y, dtype="int16"), xp.zeros_like(y, dtype=bool)
    for u, v, there in _offsets(size, stride, y.shape[-2:]):
        first = (x[there] == y) & ~found
        places += first * xp.int16(u * size[1] + v)
        found |= first
    return places


def pick(x: Array, places: Array, size: tuple[int, int], stride: int) -> Array:
    """From each window of x (..., H, W) the pixel u·width + v that `places` says."""
    offsets = _offsets(size, stride, places.shape[-2:])
    return sum((places == u * size[1] + v) * x[there] for u, v, there in offsets)


def unpick(y: Array, places: Array, size: tuple[int, int], stride: int, image: tuple[int, int]) -> Array:
    """The transpose of `pick`: each y (..., H', W') added where it was picked from, in a (..., *image) of zeros."""
    x, y = _zeros(y, (*y.shape[:-2], *image)), _laid_out(y)
    for u, v, there in _offsets(size, stride, y.shape[-2:]):
        x[there] += (places == u * size[1] + v) * y
    return x


def sum_windows(x: Array, size: tuple[int, int], stride: int) -> Array:
    """The sum of each window of x (..., H, W)."""
    return sum(x[there] for _, _, there in _offsets(size, stride, _counts(x, size, stride)))


def spread(y: Array, size: tuple[int, int], stride: int, image: tuple[int, int]) -> Array:
    """The transpose of `sum_windows`: each y (..., H', W') added to all pixels of its window, in a (..., *image)."""
    x, y = _zeros(y, (*y.shape[:-2], *image)), _laid_out(y)
    for _, _, there in _offsets(size, stride, y.shape[-2:]):
        x[there] += y
    return x


def _counts(x: Array, size: tuple[int, int], stride: int) -> tuple[int, int]:
    """How many windows there are, down and across."""
    return (x.shape[-2] - size[0]) // stride + 1, (x.shape[-1] - size[1]) // stride + 1


def _offsets(size: tuple[int, int], stride: int, counts: tuple[int, int]) -> Any:
    """Each pixel (u, v) of a window, in row-major order, and where all windows have it, as an index into images."""
    for u in range(size[0]):
        for v in range(size[1]):
            down = slice(u, u + stride * (counts[0] - 1) + 1, stride)
            across = slice(v, v + stride * (counts[1] - 1) + 1, stride)
            yield u, v, (..., down, across)


def _padded(x: Array, padding: int) -> Array:
    return _library(x).pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding))) if padding else x


def _zeros(like: Array, shape: tuple[int, ...]) -> Array:
    """Zeros for images (..., N, C, H, W), in memory (C, H, W, ..., N)."""
    zeros = _library(like).zeros(shape[-3:] + shape[:-3], dtype=like.dtype)
    return zeros.transpose(*range(3, len(shape)), 0, 1, 2) if len(shape) > 3 else zeros


def _laid_out(y: Array) -> Array:
    """The same array, in memory as `_zeros` has it."""
    if y.ndim < 4:
        return y
    image_first = (*range(y.ndim - 3, y.ndim), *range(y.ndim - 3))
    return _library(y).ascontiguousarray(y.transpose(image_first)).transpose(*range(3, y.ndim), 0, 1, 2)


def _rows(y: Array) -> Array:
    """(N, O, H', W') as a matrix (O, H'·W'·N)."""
    return y.transpose(1, 2, 3, 0).reshape(y.shape[1], -1)


def _columns(x: Array, size: tuple[int, int], stride: int, padding: int) -> tuple[Array, tuple[int, int]]:
    """Every window of x as a column: (C·h·w, H'·W'·N), and (H', W').  The field calls this im2col."""
    x = _padded(x, padding)
    counts = _counts(x, size, stride)
    columns = _library(x).empty((x.shape[1], *size, *counts, len(x)), dtype=x.dtype)
    images = columns.transpose(1, 2, 5, 0, 3, 4)  # h, w, N, C, H', W'
    for u, v, there in _offsets(size, stride, counts):
        images[u, v] = x[there]
    return columns.reshape(x.shape[1] * size[0] * size[1], -1), counts


# --- random draws ----------------------------------------------------------------------------------------


def random_bits(key: int, like: Array, first: int = 0) -> Array:
    """64 random bits for each element of `like`, as uint64: draws number first, first + 1, … of stream `key`.

    SplitMix64 (Steele, Lea and Flood 2014) in its counter form: the i-th draw is a hash of key + i·γ.  No
    state is carried along, so draws depend on nothing but (key, i): not on batches, threads or libraries.
    """
    xp = _library(like)
    counter = xp.arange(first + 1, first + 1 + like.size, dtype="uint64").reshape(like.shape)
    z = counter * 0x9E3779B97F4A7C15 + (key & 0xFFFFFFFFFFFFFFFF)
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    return z ^ (z >> 31)


def dropout_mask(key: int, like: Array, rate: float) -> Array:
    """Inverted dropout: 0 with probability `rate`, else 1/(1 - rate), in the shape and dtype of `like`."""
    kept = random_bits(key, like) >= int(rate * 2**64)
    return kept.astype(like.dtype) * (1.0 / (1.0 - rate))


def random_signs(key: int, like: Array, first: int = 0) -> Array:
    """-1 or +1 with probability ½ each, in the shape and dtype of `like`."""
    return 1 - 2 * (random_bits(key, like, first) >> 63).astype(like.dtype)


# --- updates, in place -----------------------------------------------------------------------------------


def sgd(w: Array, g: Array, velocity: Array, lr: float, momentum: float, nesterov: bool) -> None:
    """v ← μv - ηg;  w ← w + v, or with Nesterov's look-ahead w ← w + μv - ηg."""
    velocity *= momentum
    velocity -= lr * g
    w += momentum * velocity - lr * g if nesterov else velocity


def rmsprop(w: Array, g: Array, mean_square: Array, lr: float, rho: float, epsilon: float, inside: bool) -> None:
    """s ← ρs + (1-ρ)g²;  w ← w - ηg/√(s + ε), or η g/(√s + ε) with ε outside the root."""
    mean_square *= rho
    mean_square += (1 - rho) * (g * g)
    w -= lr * g / ((mean_square + epsilon) ** 0.5 if inside else mean_square**0.5 + epsilon)


def adam(w: Array, g: Array, mean: Array, mean_square: Array, step: int, lr: float, beta1: float, beta2: float,
         epsilon: float) -> None:  # fmt: skip
    """m ← β₁m + (1-β₁)g;  s ← β₂s + (1-β₂)g²;  w ← w - η·m̂/(√ŝ + ε), with m̂ = m/(1-β₁ᵗ), ŝ = s/(1-β₂ᵗ)."""
    mean *= beta1
    mean += (1 - beta1) * g
    mean_square *= beta2
    mean_square += (1 - beta2) * (g * g)
    w -= (lr / (1 - beta1**step)) * mean / ((mean_square / (1 - beta2**step)) ** 0.5 + epsilon)


# --- attacks ---------------------------------------------------------------------------------------------


def step_and_clip(x: Array, direction: Array, epsilon: float, bounds: tuple[float, float] | None) -> Array:
    """x + ε·direction, clipped to the bounds unless they are None."""
    moved = x + epsilon * direction
    return moved if bounds is None else _library(x).clip(moved, *bounds)


def saliency(a: Array, b: Array, domain: Array) -> Array:
    """Papernot et al. 2016, eq. 8, for a = ∂Z_t/∂x and b = -Σ_{j≠t} ∂Z_j/∂x, (..., M): a·b where both are
    positive and the feature is in the domain, else 0."""
    return a * b * ((a > 0) & (b > 0) & domain)


def best_features(a: Array, b: Array, domain: Array) -> Array:
    """The most salient feature of each row, of equal ones the first: (N, 1), -1 where no saliency is positive."""
    s = saliency(a, b, domain)
    return _library(a).where(s.max(axis=1, keepdims=True) > 0, s.argmax(axis=1)[:, None], -1)


def best_pairs_by_definition(a: Array, b: Array, domain: Array) -> Array:
    """Of all pairs p, q of features with a_p + a_q > 0 and b_p + b_q > 0, the one with the greatest product of the two.

    a, b (N, M), domain (N, M) bool: which features may be chosen -> (N, 2), or (-1, -1) where no pair is valid.
    Features are ranked by a, then by b, then by their number; of equal pairs the one with the best features in
    that order is taken, (first, second) lexicographically.  The specification of `best_pairs`, O(M²).
    """
    xp, order = _library(a), _ranked(a, b)
    a, b = (xp.take_along_axis(v, order, axis=1) for v in (a, b))
    domain = xp.take_along_axis(domain, order, axis=1)
    sum_a, sum_b = a[:, :, None] + a[:, None, :], b[:, :, None] + b[:, None, :]
    later = xp.arange(a.shape[1])[:, None] < xp.arange(a.shape[1])
    valid = later & domain[:, :, None] & domain[:, None, :] & (sum_a > 0) & (sum_b > 0)
    products = xp.where(valid, sum_a * sum_b, -1).reshape(len(a), -1)
    best = products.argmax(axis=1)[:, None]
    places = xp.concatenate([best // a.shape[1], best % a.shape[1]], axis=1)
    return xp.where(xp.take_along_axis(products, best, axis=1) < 0, -1, xp.take_along_axis(order, places, axis=1))


def best_pairs(a: Array, b: Array, domain: Array) -> Array:
    """As `best_pairs_by_definition`, bit for bit, in O(M log M).

    A feature is *dominated* by an earlier one in the ranking that has b at least as large (its a is at least as
    large already).  If two features dominate p, one of them is not p's partner and can take its place: the pair
    is no worse and comes earlier.  So both features of the best pair are dominated by at most one other, and
    only such candidates, typically a few dozen, are compared in pairs.
    """
    xp, infinity = _library(a), float("inf")
    a, b = xp.where(domain, a, -infinity), xp.where(domain, b, -infinity)
    order = _ranked(a, b)
    a, b = xp.take_along_axis(a, order, axis=1), xp.take_along_axis(b, order, axis=1)
    largest = _running_max(b)
    runner_up = _running_max(xp.minimum(b[:, 1:], largest[:, :-1]))  # the second largest so far
    candidate = b > -infinity
    candidate[:, 2:] &= b[:, 2:] > runner_up[:, :-1]
    found = xp.full((len(a), 2), -1)
    counts = candidate.sum(axis=1)
    for rows in _alike(counts):
        width = int(counts[rows].max())
        places = xp.argsort(~candidate[rows], axis=1, kind="stable")[:, :width]  # the candidates, in their order
        known = xp.take_along_axis(candidate[rows], places, axis=1)
        some_a, some_b = (xp.where(known, xp.take_along_axis(v[rows], places, axis=1), -infinity) for v in (a, b))
        pairs = _best_of_candidates(some_a, some_b)
        chosen = xp.take_along_axis(order[rows], xp.take_along_axis(places, pairs, axis=1), axis=1)
        found[rows] = xp.where(pairs < 0, -1, chosen)
    return found


def _ranked(a: Array, b: Array) -> Array:
    """The features of each row by a, greatest first; of equal a by b, greatest first; then by their number."""
    xp, by_b = _library(a), (-b).argsort(axis=1, kind="stable")
    by_a = xp.take_along_axis(-a, by_b, axis=1).argsort(axis=1, kind="stable")
    return xp.take_along_axis(by_b, by_a, axis=1)


def _running_max(v: Array) -> Array:
    """max(v[:, 0], …, v[:, i]) for every i, by steps of 1, 2, 4, …"""
    v, step = v.copy(), 1
    while step < v.shape[1]:
        v[:, step:] = _library(v).maximum(v[:, step:], v[:, :-step])
        step *= 2
    return v


def _alike(counts: Array) -> Any:
    """The numbers of the rows, in groups of which no count is more than twice another."""
    xp, least = _library(counts), 1
    while counts.size and least <= int(counts.max()):
        rows = xp.nonzero((counts >= least) & (counts < 2 * least))[0]
        if len(rows):
            yield rows
        least *= 2


def _best_of_candidates(a: Array, b: Array, budget: int = 2**20) -> Array:
    """The best pair of each row of ranked candidates (N, C), or (-1, -1).  About `budget` pairs at a time."""
    xp, (n, width) = _library(a), a.shape
    best, pairs = xp.full(n, -1, dtype=a.dtype), xp.full((n, 2), -1)
    rows = max(1, budget // width**2)
    height = max(1, min(width, budget // (rows * width)))
    for r in range(0, n, rows):
        for p in range(0, width, height):
            sum_a = a[r : r + rows, p : p + height, None] + a[r : r + rows, None, p:]
            sum_b = b[r : r + rows, p : p + height, None] + b[r : r + rows, None, p:]
            later = xp.arange(sum_a.shape[1])[:, None] < xp.arange(sum_a.shape[2])
            products = xp.where(later & (sum_a > 0) & (sum_b > 0), sum_a * sum_b, -1).reshape(len(sum_a), -1)
            winner = products.argmax(axis=1)
            product = xp.take_along_axis(products, winner[:, None], axis=1)[:, 0]
            better = product > best[r : r + rows]
            place = xp.stack([p + winner // sum_a.shape[2], p + winner % sum_a.shape[2]], axis=1)
            best[r : r + rows] = xp.where(better, product, best[r : r + rows])
            pairs[r : r + rows] = xp.where(better[:, None], place, pairs[r : r + rows])
    return pairs
