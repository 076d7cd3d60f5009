"""Many small minimisations in a box, side by side: L-BFGS (Nocedal 1980) with projected steps (Bertsekas 1982).

L-BFGS remembers the last few steps s and how the slope changed along them, y = Δ∇f.  That is enough to multiply a slope
by an estimate of the inverse Hessian (Nocedal's two loops), and so to step almost as Newton would.  In a box, entries
that stand at a bound and would go beyond it are left out of that product, and the step is cut off at the bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from minidl.backend import kernels, namespace
from minidl.core import Array

from ..common.active_set import ActiveSet

#: f(points (k, M), which (k,)) -> values (k,), slopes (k, M): the functions of some of the rows, by their numbers.
Functions = Callable[[Array, Array], tuple[Array, Array]]

MEMORY = 10  # pairs (s, y) that are remembered
HALVINGS = 20  # of a step, until it is given up
SUFFICIENT = 1e-4  # the part of the decrease that the slope promises which a step must bring (Armijo)
LEAST_GAIN = 1e-6  # of a step, as a part of the value: below it float32 has little to say


class Pair(NamedTuple):
    """Steps and the changes of slope along them, of n rows; rho is 1/⟨s, y⟩, or 0 for a pair that is not to be used."""

    s: Array  # (n, M)
    y: Array  # (n, M)
    rho: Array  # (n,)


def minimise(f: Functions, x: Array, bounds: tuple[float, float], steps: int) -> Array:
    """Where the function of each row of x (n, M) is least, nearly, with all entries within the bounds: (n, M).

    Each row goes its own way from x, which is within the bounds, for `steps` steps at most.  It ends where no step of
    any length helps, or one gains less than a millionth of the value: where no entry that is free to move has a slope.
    """
    xp, found = namespace(x), x.copy()
    pairs: list[Pair] = []
    active = ActiveSet(xp.arange(len(x)), x=x)
    active.value, active.g = f(x, active.rows)
    for _ in range(steps):
        x, g, value = active.x, active.g, active.value
        free = ~((x <= bounds[0]) & (g > 0) | (x >= bounds[1]) & (g < 0))
        d = xp.where(free, -_newton(xp.where(free, g, 0), pairs), 0)
        active.x, active.value, active.g = _downhill(f, active, d, bounds)
        active.scatter(found, active.x)
        pairs = [*pairs, _pair(active.x - x, active.g - g)][-MEMORY:]
        done = ~(value - active.value > LEAST_GAIN * abs(value))
        active.drop(done)
        if not len(active):
            break
        if done.any():
            pairs = [Pair(*(kernels(x).gather(a, xp.nonzero(~done)[0]) for a in pair)) for pair in pairs]
    return found


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
    """The points x + t·d within the bounds, for the first t of 1, ½, ¼, … that brings enough; values and slopes there.

    A row for which none does stays where it is.
    """
    xp, t, new, value, slope = namespace(d), 1.0, active.x.copy(), active.value.copy(), active.g.copy()
    left = ActiveSet(xp.arange(len(d)), which=active.rows, x=active.x, value=active.value, g=active.g, d=d)
    for _ in range(HALVINGS):
        point = xp.clip(left.x + t * left.d, *bounds)
        found, slope_there = f(point, left.which)
        enough = found <= left.value + SUFFICIENT * (left.g * (point - left.x)).sum(axis=-1)
        for array, there in ((new, point), (value, found), (slope, slope_there)):
            left.scatter(array, there, enough)
        left.drop(enough)
        t = t / 2
        if not len(left):
            break
    return new, value, slope


def _column(lengths: Array) -> Array:
    """(n,) as (n, 1), with 1 in place of 0, to divide by."""
    return namespace(lengths).where(lengths > 0, lengths, 1)[:, None]
