"""The updates of the optimisers, in place, in one pass over all of their arrays.

Loops begin with a slice of their own part: an index that counts from 0 is not negative, so that the compiler checks
none and handles several at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import reference, threads
from .compiled import compiled, flattened, twin

Array = Any


@compiled()
def _penalty(w, l1, l2):
    total, squares = 0.0, 0.0
    for i in range(len(w)):
        total += abs(w[i])
        squares += w[i] * w[i]
    return l1 * total + l2 * squares


@twin
def penalty(w: Array, l1: float, l2: float) -> Array:
    return np.asarray(_penalty(flattened(w)[0], l1, l2), w.dtype)


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
    """Run an update over arrays in C order.  False if they are not, and nothing was done."""
    if not all(a.flags.c_contiguous and a.dtype == w.dtype for a in (w, *states)):
        return False
    numbers = [o if isinstance(o, bool) else w.dtype.type(o) for o in options]
    threads.share(loop, w.size, 4 * w.size, *flattened(w, g, *states), *numbers)
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
