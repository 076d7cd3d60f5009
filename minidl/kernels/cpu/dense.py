"""The kernels for NumPy arrays, compiled by Numba: fewer passes over memory than `reference` needs.

Each public function has the name and signature of its reference twin, which says what it computes; the loop that
it calls stands above it.  A loop gets the range of rows that is its own (see `threads`), and computes every row in
one way, whatever the range.  What NumPy does well enough is taken from `reference`.
"""

from __future__ import annotations

from typing import Any

import numba  # noqa: F401
import numpy as np

from .. import reference, slopes, threads
from .compiled import compiled, twin
from .conv import (  # noqa: F401
    channel_sums,
    conv2d,
    conv2d_input,
    conv2d_max,
    conv2d_max_input,
    conv2d_max_weights,
    conv2d_weights,
    max_windows,
    unpick,
    winners,
)
from .steps import tanh_adam  # noqa: F401
from .draws import draw, dropout, dropout_mask, random_uniform  # noqa: F401
from .evolution import cppn, polynomial_mutation  # noqa: F401
from .pairs import best_features, best_pairs  # noqa: F401
from ..memory import keep_freed_memory
from ..reference import (  # noqa: F401
    best_pairs_by_definition,
    convolve_by_definition,
    gather,
    log_softmax,
    penalised,
    pick,
    random_bits,
    random_signs,
    saliency,
    sigmoid,
    softmax,
    softplus,
    spread,
    sum_windows,
)

Array = Any

keep_freed_memory()


def _flat(*arrays: Array) -> list[Array]:
    """The elements of each, in row-major order; views of those that lie so in memory."""
    return [np.ascontiguousarray(a).reshape(a.size) for a in arrays]


# --- products --------------------------------------------------------------------------------------------


WORTH_SHARING = 5 * 10**6  # multiplications in a matrix product


@twin
def matmul(a: Array, b: Array) -> Array:
    # Small ones, too: BLAS's threads would be in the way of ours for long afterwards.
    return threads.on_one_blas_thread(lambda: _product(a, b))


def _product(a: Array, b: Array) -> Array:
    if b.ndim != 2 or a.ndim < 2 or a.size * b.shape[1] < WORTH_SHARING:
        return a @ b
    rows = a.reshape(a.size // a.shape[-1], a.shape[-1])
    found = np.empty((len(rows), b.shape[1]), a.dtype)

    def by_rows(first: int, last: int) -> None:
        np.matmul(rows[first:last], b, out=found[first:last])

    def by_columns(first: int, last: int) -> None:
        np.matmul(rows, b[:, first:last], out=found[:, first:last])

    longer = by_rows if len(rows) >= b.shape[1] else by_columns
    threads.share(longer, max(found.shape), rows.size * b.shape[1])
    return found if a.ndim == 2 else found.reshape(*a.shape[:-1], b.shape[1])


# --- cross-entropy ---------------------------------------------------------------------------------------
# Not relaxed: a compiler that may reorder sums would take the maximum out of the exponents and put it back too early.


@compiled(relaxed=False)
def _cross_entropy(first, last, z, labels, found):
    """-log p_label of rows first … last."""
    for n in range(first, last):
        top, total = z[n].max(), z.dtype.type(0)
        for k in range(z.shape[1]):
            total += np.exp(z[n, k] - top)
        found[n] = np.log(total) - (z[n, labels[n]] - top)


@compiled(relaxed=False)
def _cross_entropy_slope(first, last, z, labels, found):
    """p - onehot of rows first … last, with -Σ_{j≠label} p_j in the place of the label."""
    for n in range(first, last):
        top, total, others = z[n].max(), z.dtype.type(0), z.dtype.type(0)
        for k in range(z.shape[1]):
            found[n, k] = np.exp(z[n, k] - top)
            total += found[n, k]
        for k in range(z.shape[1]):
            found[n, k] /= total
            others += found[n, k] if k != labels[n] else z.dtype.type(0)
        found[n, labels[n]] = -others


def _name_classes(labels: Array, z: Array) -> bool:
    """Whether the loops may use the labels as they are: as indices, unchecked."""
    return labels.shape == z.shape[:-1] and 0 <= labels.min() <= labels.max() < z.shape[-1]


def _logits_and_labels(z: Array, labels: Array) -> tuple[Array, Array]:
    rows = np.ascontiguousarray(z).reshape(labels.size, z.shape[-1])
    return rows, np.ascontiguousarray(labels, dtype=np.int64).reshape(labels.size)


@twin(integers=True)
def cross_entropy(z: Array, labels: Array) -> Array:
    if not _name_classes(labels, z):
        return reference.cross_entropy(z, labels)
    found = np.empty(labels.shape, z.dtype)
    threads.share(_cross_entropy, labels.size, 10 * z.size, *_logits_and_labels(z, labels), found.reshape(labels.size))
    return found


@twin(integers=True)
def cross_entropy_slope(z: Array, labels: Array) -> Array:
    if not _name_classes(labels, z):
        return reference.cross_entropy_slope(z, labels)
    rows, flat = _logits_and_labels(z, labels)
    found = np.empty(rows.shape, z.dtype)
    threads.share(_cross_entropy_slope, labels.size, 10 * z.size, rows, flat, found)
    return found.reshape(z.shape)


# --- a unit's way from the sum of its inputs to its output ------------------------------------------------

KINDS = {name: kind for kind, name in enumerate(slopes.SLOPES)}
IDENTITY, RELU, TANH, SIGMOID = KINDS.values()
_, relu_slope, tanh_slope, sigmoid_slope = map(compiled(relaxed=False), slopes.SLOPES.values())


@compiled(relaxed=False)
def _unit(first, last, z, bias, rectify, drop, key, least, factor, y):
    """dropout(z + bias), with max(·, 0) in between or not, of rows first … last."""
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
def unit(z: Array, bias: Any, activation: str, key: int | None, rate: float) -> Array:
    biased = hasattr(bias, "shape")
    if biased and bias.shape != z.shape[-1:]:
        return reference.unit(z, bias, activation, key, rate)
    if activation not in ("identity", "relu"):  # NumPy's own tanh and exp use wider instructions than ours would
        z, bias, biased = reference.ACTIVATIONS[activation](z + bias if biased else z), 0, False
    if not biased and key is None:
        return reference.ACTIVATIONS[activation](z) if activation == "relu" else z
    units = z.shape[-1]
    rows = np.ascontiguousarray(z).reshape(z.size // units, units)
    y = np.empty(rows.shape, z.dtype)
    added = np.ascontiguousarray(bias) if biased else np.zeros(units, z.dtype)
    threads.share(_unit, len(rows), 5 * z.size, rows, added, activation == "relu", *dropout(key, rate, z.dtype), y)
    return y.reshape(z.shape)


@compiled(relaxed=False)
def _unit_slope(first, last, g, y, kind, drop, key, least, factor, kept, found):
    """g (S, M) times the slope at y (M), at positions first … last; kept is 1 - rate, so that φ = kept·y."""
    one, zero = factor / factor, factor - factor
    y = y[first:last]
    for s in range(g.shape[0]):
        cotangents, products = g[s, first:last], found[s, first:last]
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
def unit_slope(g: Array, y: Array, activation: str, key: int | None, rate: float) -> Array:
    if key is None:  # then positions have no numbers, and any order will do: that of y's memory
        lead = g.ndim - y.ndim
        order = np.argsort([-abs(s) for s in y.strides], kind="stable")
        there = (*range(lead), *(lead + order))
        back = np.argsort(there)
        y, g = y.transpose(order), g.transpose(there)
    flat, stacked = _flat(y)[0], np.ascontiguousarray(g).reshape(g.size // y.size, y.size)
    found = np.empty(stacked.shape, y.dtype)
    kept = y.dtype.type(1 - rate if key is not None else 1)
    mask = dropout(key, rate, y.dtype)
    threads.share(_unit_slope, y.size, 4 * g.size, stacked, flat, KINDS[activation], *mask, kept, found)
    found = found.reshape(g.shape)
    return found if key is not None else found.transpose(back)


# --- updates, in place -----------------------------------------------------------------------------------
# Loops begin by cutting out their own part: an index that counts from 0 is known not to be negative, without which
# the compiler would have to check each one, and could not handle several at a time.


@compiled()
def _penalty(w, l1, l2):
    total, squares = 0.0, 0.0
    for i in range(len(w)):
        total += abs(w[i])
        squares += w[i] * w[i]
    return l1 * total + l2 * squares


@twin
def penalty(w: Array, l1: float, l2: float) -> Array:
    return np.asarray(_penalty(_flat(w)[0], l1, l2), w.dtype)


@compiled()
def _penalised(g, w, l1, l2):
    """g + λ₁ sign(w) + 2λ₂w."""
    sign = l1 if w > 0 else -l1 if w < 0 else l1 - l1
    return g + sign + (l2 + l2) * w


@compiled()
def _sgd(first, last, w, g, velocity, lr, momentum, nesterov, l1, l2):
    w, g, velocity = w[first:last], g[first:last], velocity[first:last]
    for i in range(len(w)):
        slope = _penalised(g[i], w[i], l1, l2)
        velocity[i] = momentum * velocity[i] - lr * slope
        w[i] += momentum * velocity[i] - lr * slope if nesterov else velocity[i]


@compiled()
def _rmsprop(first, last, w, g, mean_square, lr, rho, rest, epsilon, inside, l1, l2):
    w, g, mean_square = w[first:last], g[first:last], mean_square[first:last]
    for i in range(len(w)):
        slope = _penalised(g[i], w[i], l1, l2)
        mean_square[i] = rho * mean_square[i] + rest * (slope * slope)
        root = np.sqrt(mean_square[i] + epsilon) if inside else np.sqrt(mean_square[i]) + epsilon
        w[i] -= lr * slope / root


@compiled()
def _adam(first, last, w, g, mean, mean_square, rate, beta1, rest1, beta2, rest2, correction, epsilon, l1, l2):
    w, g, mean, mean_square = w[first:last], g[first:last], mean[first:last], mean_square[first:last]
    for i in range(len(w)):
        slope = _penalised(g[i], w[i], l1, l2)
        mean[i] = beta1 * mean[i] + rest1 * slope
        mean_square[i] = beta2 * mean_square[i] + rest2 * (slope * slope)
        w[i] -= rate * mean[i] / (np.sqrt(mean_square[i] / correction) + epsilon)


def _update(loop: Any, w: Array, g: Array, states: list[Array], options: list[Any]) -> bool:
    """Run an update over arrays that lie in memory as rows do; False if they don't, and nothing was done."""
    if not all(a.flags.c_contiguous and a.dtype == w.dtype for a in (w, *states)):
        return False
    numbers = [o if isinstance(o, bool) else w.dtype.type(o) for o in options]
    threads.share(loop, w.size, 4 * w.size, *_flat(w, g, *states), *numbers)
    return True


@twin(alike=True)
def sgd(w: Array, g: Array, velocity: Array, lr: float, momentum: float, nesterov: bool, l1: float = 0.0,
        l2: float = 0.0) -> None:  # fmt: skip
    if not _update(_sgd, w, g, [velocity], [lr, momentum, nesterov, l1, l2]):
        reference.sgd(w, g, velocity, lr, momentum, nesterov, l1, l2)


@twin(alike=True)
def rmsprop(w: Array, g: Array, mean_square: Array, lr: float, rho: float, epsilon: float, inside: bool,
            l1: float = 0.0, l2: float = 0.0) -> None:  # fmt: skip
    if not _update(_rmsprop, w, g, [mean_square], [lr, rho, 1 - rho, epsilon, inside, l1, l2]):
        reference.rmsprop(w, g, mean_square, lr, rho, epsilon, inside, l1, l2)


@twin(alike=True)
def adam(w: Array, g: Array, mean: Array, mean_square: Array, step: int, lr: float, beta1: float, beta2: float,
         epsilon: float, l1: float = 0.0, l2: float = 0.0) -> None:  # fmt: skip
    numbers = [lr / (1 - beta1**step), beta1, 1 - beta1, beta2, 1 - beta2, 1 - beta2**step, epsilon, l1, l2]
    if not _update(_adam, w, g, [mean, mean_square], numbers):
        reference.adam(w, g, mean, mean_square, step, lr, beta1, beta2, epsilon, l1, l2)


# --- attacks ---------------------------------------------------------------------------------------------


@compiled(relaxed=False)
def _sign_step(first, last, x, g, step, low, high, origin, epsilon, found):
    """x ± step, within ε of the origin unless that is empty, and within low … high."""
    x, g, origin, found = x[first:last], g[first:last], origin[first:last], found[first:last]
    for i in range(len(x)):
        value = x[i] + (step if g[i] > 0 else -step if g[i] < 0 else g[i])  # which is 0, or NaN
        if len(origin):
            value = min(max(value, origin[i] - epsilon), origin[i] + epsilon)
        found[i] = min(max(value, low), high)


@twin(alike=True)
def sign_step(x: Array, g: Array, step: float, bounds: tuple[float, float] | None, origin: Any = None,
              epsilon: float = 0.0) -> Array:  # fmt: skip
    number, (low, high) = x.dtype.type, bounds or (-np.inf, np.inf)
    found = np.empty(x.shape, x.dtype)
    images, slopes, centre = _flat(x, g, x[:0] if origin is None else origin)
    numbers = number(step), number(low), number(high)
    threads.share(
        _sign_step, x.size, 4 * x.size, images, slopes, *numbers, centre, number(epsilon), found.reshape(x.size)
    )
    return found
