"""Many small minimisations in a box, side by side: L-BFGS (Nocedal 1980) with projected steps (Bertsekas 1982).

L-BFGS keeps the last few steps s and the changes of the gradient along them, y = Δ∇f.  With them, it multiplies a
gradient by an estimate of the inverse Hessian (Nocedal's two loops), for a step close to Newton's.  In a box, entries
at a bound that would go beyond it are left out of that product, and the step is clipped to the bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from minidl.backend import kernels, namespace
from minidl.core import Array

from ..common.active_set import ActiveSet

#: f(points (k, M), which (k,)) -> values (k,), gradients (k, M): the functions of the rows with these numbers.
Functions = Callable[[Array, Array], tuple[Array, Array]]

MEMORY = 10  # pairs (s, y) that are kept
HALVINGS = 20  # of a step, before it counts as useless
SUFFICIENT = 1e-4  # the share of the decrease of the linear model that a step must reach (Armijo)
LEAST_GAIN = 1e-6  # of a step, relative to the value: less is within the rounding of float32


class Pair(NamedTuple):
    """Steps s and changes of the gradient y, of n rows; rho is 1/⟨s, y⟩, or 0 for a pair that is not used."""

    s: Array  # (n, M)
    y: Array  # (n, M)
    rho: Array  # (n,)


def minimise(f: Functions, x: Array, bounds: tuple[float, float], steps: int) -> Array:
    """The points (n, M) at which the function of each row of x (n, M) is nearly minimal, within the bounds.

    Each row starts at x, which is within the bounds, and takes at most `steps` steps.  It ends if no step of any size
    decreases its function, or if one gains less than a millionth of the value.
    """
    xp, best = namespace(x), x.copy()
    pairs: list[Pair] = []
    active = ActiveSet(xp.arange(len(x)), x=x)
    active.value, active.g = f(x, active.rows)
    for _ in range(steps):
        x, g, value = active.x, active.g, active.value
        free = ~((x <= bounds[0]) & (g > 0) | (x >= bounds[1]) & (g < 0))
        d = xp.where(free, -_newton(xp.where(free, g, 0), pairs), 0)
        active.x, active.value, active.g = _downhill(f, active, d, bounds)
        active.scatter(best, active.x)
        pairs = [*pairs, _pair(active.x - x, active.g - g)][-MEMORY:]
        done = ~(value - active.value > LEAST_GAIN * abs(value))
        active.drop(done)
        if not len(active):
            break
        if done.any():
            pairs = [Pair(*(kernels(x).gather(a, xp.nonzero(~done)[0]) for a in pair)) for pair in pairs]
    return best


def _newton(g: Array, pairs: list[Pair]) -> Array:
    """H·g for an estimate H of the inverse Hessian, which is positive definite: the two loops of Nocedal 1980."""
    if not pairs:
        return g / _column((g * g).sum(axis=-1) ** 0.5)
    xp, weights = namespace(g), []
    for s, y, rho in reversed(pairs):
        weights.append(rho * (s * g).sum(axis=-1))
        g = g - weights[-1][:, None] * y
    s, y, rho = pairs[-1]
    square = (y * y).sum(axis=-1)
    g = g * _column(xp.where(rho > 0, rho * square, 1)) ** -1
    for (s, y, rho), weight in zip(pairs, reversed(weights)):
        g = g + (weight - rho * (y * g).sum(axis=-1))[:, None] * s
    return g


def _pair(s: Array, y: Array) -> Pair:
    """The pair, not to be used where the function is not convex along s."""
    xp, product = namespace(s), (s * y).sum(axis=-1)
    useful = product > 1e-7 * (y * y).sum(axis=-1)
    return Pair(s, y, xp.where(useful, 1 / xp.where(useful, product, 1), 0))


def _downhill(f: Functions, active: ActiveSet, d: Array, bounds: tuple[float, float]) -> tuple[Array, Array, Array]:
    """The points x + t·d within the bounds, for the first t of 1, ½, ¼, … that gains enough; values and gradients.

    A row for which no t does stays where it is.
    """
    xp, t, new, value, gradient = namespace(d), 1.0, active.x.copy(), active.value.copy(), active.g.copy()
    left = ActiveSet(xp.arange(len(d)), which=active.rows, x=active.x, value=active.value, g=active.g, d=d)
    for _ in range(HALVINGS):
        point = xp.clip(left.x + t * left.d, *bounds)
        new_value, new_gradient = f(point, left.which)
        enough = new_value <= left.value + SUFFICIENT * (left.g * (point - left.x)).sum(axis=-1)
        for array, values in ((new, point), (value, new_value), (gradient, new_gradient)):
            left.scatter(array, values, enough)
        left.drop(enough)
        t = t / 2
        if not len(left):
            break
    return new, value, gradient


def _column(lengths: Array) -> Array:
    """(n,) as (n, 1), with 1 instead of 0, to divide by."""
    return namespace(lengths).where(lengths > 0, lengths, 1)[:, None]
