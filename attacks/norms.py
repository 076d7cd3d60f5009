"""The norms in which perturbations are measured, each with what an attack needs of it, side by side.

Perturbations d are (N, ...); `length` gives (N,).  `steepest(g)` is the perturbation of length 1 that a
linear function of slope g rises most along: argmax ⟨g, d⟩ over ‖d‖ ≤ 1.  `move(x, g, step, bounds)` is
x + step·steepest(g), within the bounds unless they are None.  `project(d, epsilon)` is the nearest point to d of
length at most ε (in L2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from minidl.backend import kernels, namespace
from minidl.core import Array
from minidl.errors import RangeError


@dataclass(frozen=True)
class Norm:
    """A norm by name, with its functions."""

    name: str
    length: Callable[[Array], Array]
    steepest: Callable[[Array], Array]
    move: Callable[[Array, Array, float, tuple[float, float] | None], Array]
    project: Callable[[Array, float], Array]


def _along(steepest: Callable[[Array], Array]) -> Callable[..., Array]:
    """The move along a steepest direction."""

    def move(x: Array, g: Array, step: float, bounds: tuple[float, float] | None) -> Array:
        moved = x + step * steepest(g)
        return moved if bounds is None else namespace(x).clip(moved, *bounds)

    return move


def _rows(d: Array) -> Array:
    return d.reshape(len(d), -1) if d.size else d.reshape(len(d), 0)


def _per_example(values: Array, d: Array) -> Array:
    """(N,) shaped to multiply d (N, ...)."""
    return values.reshape(-1, *(1,) * (d.ndim - 1))


def l0_length(d: Array) -> Array:
    """How many entries differ from zero: (N,) int.  Not a norm, but what JSMA counts."""
    return (_rows(d) != 0).sum(axis=-1)


# --- L∞: every pixel by up to ε --------------------------------------------------------------------------


def linf_length(d: Array) -> Array:
    """max |d_i|."""
    return abs(_rows(d)).max(axis=-1, initial=0)


def linf_steepest(g: Array) -> Array:
    """sign(g): all of it in every pixel.  Pixels without slope stay where they are."""
    return namespace(g).sign(g)


def linf_move(x: Array, g: Array, step: float, bounds: tuple[float, float] | None) -> Array:
    """x + step·sign(g) within the bounds, in one pass."""
    return kernels(x).sign_step(x, g, step, bounds)


def linf_project(d: Array, epsilon: float) -> Array:
    """Each entry cut to ±ε."""
    return namespace(d).clip(d, -epsilon, epsilon)


# --- L2: a Euclidean length of up to ε -------------------------------------------------------------------


def l2_length(d: Array) -> Array:
    """√Σd_i², scaled by the largest entry so that tiny gradients do not vanish when squared."""
    xp, largest = namespace(d), linf_length(d)
    scale = xp.where(largest > 0, largest, 1)
    return scale * ((_rows(d) / scale[:, None]) ** 2).sum(axis=-1) ** 0.5


def l2_steepest(g: Array) -> Array:
    """g/‖g‖₂; zero where g is zero."""
    length = l2_length(g)
    return g / _per_example(namespace(g).where(length > 0, length, 1), g)


def l2_project(d: Array, epsilon: float) -> Array:
    """d shortened to length ε where it is longer."""
    xp, length = namespace(d), l2_length(d)
    factor = xp.where(length > epsilon, epsilon / xp.where(length > 0, length, 1), 1)
    return d * _per_example(factor, d)


# --- L1: a sum of absolute changes of up to ε ------------------------------------------------------------


def l1_length(d: Array) -> Array:
    """Σ|d_i|."""
    return abs(_rows(d)).sum(axis=-1)


def l1_steepest(g: Array) -> Array:
    """The sign of the steepest pixel in that pixel (the first of equals), zero elsewhere."""
    xp, rows = namespace(g), _rows(g)
    steepest = abs(rows).argmax(axis=-1) if rows.shape[1] else xp.zeros(len(g), dtype="int64")
    chosen = xp.arange(rows.shape[1]) == steepest[:, None]
    return xp.where(chosen, xp.sign(rows), 0).reshape(g.shape)


def l1_project(d: Array, epsilon: float) -> Array:
    """Every |d_i| lowered by the one θ ≥ 0 that makes their sum ε (Duchi et al. 2008, Figure 1)."""
    xp, rows = namespace(d), _rows(d)
    if not d.size:
        return d
    falling = -xp.sort(-abs(rows), axis=-1)
    excess = (xp.cumsum(falling, axis=-1) - epsilon) / xp.arange(1, rows.shape[1] + 1, dtype=d.dtype)
    count = (falling > excess).sum(axis=-1)
    theta = xp.take_along_axis(excess, xp.maximum(count - 1, 0)[:, None], axis=-1)
    lowered = xp.sign(rows) * xp.maximum(abs(rows) - xp.maximum(theta, 0), 0)
    return xp.where(l1_length(d)[:, None] > epsilon, lowered, rows).reshape(d.shape)


NORMS = {
    "linf": Norm("linf", linf_length, linf_steepest, linf_move, linf_project),
    "l2": Norm("l2", l2_length, l2_steepest, _along(l2_steepest), l2_project),
    "l1": Norm("l1", l1_length, l1_steepest, _along(l1_steepest), l1_project),
}


def norm_named(attack: str, name: str) -> Norm:
    """The norm of that name.  Raises `RangeError` for an unknown one."""
    if name not in NORMS:
        raise RangeError(attack, f"a norm of {sorted(NORMS)}", repr(name))
    return NORMS[name]
