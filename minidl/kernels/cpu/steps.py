"""Steps of attacks: the signed step of FGSM and PGD, and the step of Adam behind a tanh of C&W."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import reference, threads
from ..reference.steps import BETA1, BETA2, EPSILON, adam_rates
from .compiled import compiled, flattened, twin

Array = Any


@compiled(relaxed=False)
def _sign_step(first, last, x, g, step, low, high, origin, epsilon, out):
    """x ± step, within ε of the origin unless that is empty, and within low … high."""
    x, g, origin, out = x[first:last], g[first:last], origin[first:last], out[first:last]
    for i in range(len(x)):
        value = x[i] + (step if g[i] > 0 else -step if g[i] < 0 else g[i])  # which is 0, or NaN
        if len(origin):
            value = min(max(value, origin[i] - epsilon), origin[i] + epsilon)
        out[i] = min(max(value, low), high)


@twin(alike=True)
def sign_step(x: Array, g: Array, step: float, bounds: tuple[float, float] | None, origin: Any = None,
              epsilon: float = 0.0) -> Array:  # fmt: skip
    number, (low, high) = x.dtype.type, bounds or (-np.inf, np.inf)
    out = np.empty(x.shape, x.dtype)
    images, gradient, centre = flattened(x, g, x[:0] if origin is None else origin)
    numbers = number(step), number(low), number(high)
    entries = images, gradient, *numbers, centre, number(epsilon), out.reshape(x.size)
    threads.share(_sign_step, x.size, 4 * x.size, *entries)
    return out


@compiled(relaxed=False)
def _step(w, mean, mean_square, x_adv, g, x, rate, correction, free, tau, centre, half, limit, beta1, rest1, beta2,
          rest2, epsilon):  # fmt: skip
    """w, mean and mean_square a step further, row by row."""
    zero, one = half - half, half / half
    for n in range(len(w)):
        for i in range(w.shape[1]):
            d, u = x_adv[n, i] - x[n, i], (x_adv[n, i] - centre) / half
            pull = d + d
            if len(tau):
                pull = zero if abs(d) <= tau[n] else one if d > zero else -one
            slope = (g[n, i] + pull) * (half * (one - u * u))
            if len(free) and not free[n, i]:
                slope = zero
            mean[n, i] = beta1 * mean[n, i] + rest1 * slope
            mean_square[n, i] = beta2 * mean_square[n, i] + rest2 * (slope * slope)
            moved = w[n, i] - rate[n] * mean[n, i] / (np.sqrt(mean_square[n, i] / correction[n]) + epsilon)
            w[n, i] = min(max(moved, -limit), limit)


@compiled()
def _images(x_adv, x, free, tau, centre, half, low, high, out):
    """From tanh(w) to x', in place, and its distances from x."""
    zero = half - half
    for n in range(len(x_adv)):
        total, allowed = zero, tau[n] if len(tau) else zero
        for i in range(x_adv.shape[1]):
            value = min(max(centre + half * x_adv[n, i], low), high)
            if len(free) and not free[n, i]:
                value = x[n, i]
            x_adv[n, i] = value
            d = abs(value - x[n, i])
            total += max(d - allowed, zero) if len(tau) else d * d
        out[n] = total


@twin(integers=True)
def tanh_adam(w: Array, mean: Array, mean_square: Array, x_adv: Array, g: Array, x: Array, step: Array, lr: float,
              bounds: tuple[float, float], half: float, limit: float, free: Any = None,
              tau: Any = None) -> Array:  # fmt: skip
    state, number = (w, mean, mean_square, x_adv), w.dtype.type
    if not all(a.flags.c_contiguous for a in state):
        return reference.tanh_adam(*state, g, x, step, lr, bounds, half, limit, free, tau)
    rates = adam_rates(step, lr, w.dtype)
    g, x = np.ascontiguousarray(g), np.ascontiguousarray(x)
    free = np.empty((0, 0), bool) if free is None else np.ascontiguousarray(free)
    tau = np.empty(0, w.dtype) if tau is None else np.ascontiguousarray(tau)
    low, high, centre = number(bounds[0]), number(bounds[1]), number((bounds[0] + bounds[1]) / 2)
    adam = map(number, (BETA1, 1 - BETA1, BETA2, 1 - BETA2, EPSILON))
    numbers, out = (centre, number(half), number(limit), *adam), np.empty(len(w), w.dtype)

    def part(first: int, last: int) -> None:
        w_, mean_, square_, adv_, g_, x_, rate_, correction_, free_, tau_ = (
            a[first:last] for a in (*state, g, x, *rates, free, tau)
        )
        _step(w_, mean_, square_, adv_, g_, x_, rate_, correction_, free_, tau_, *numbers)
        np.tanh(w_, out=adv_)  # NumPy's own, which uses wider instructions than ours would
        _images(adv_, x_, free_, tau_, centre, number(half), low, high, out[first:last])

    threads.share(part, len(w), 20 * w.size)
    return out
