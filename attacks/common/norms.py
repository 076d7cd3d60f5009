"""The norms of perturbations, each with what an attack needs of it, side by side.

Perturbations d are (N, ...).  For each norm there are

    length(d)                   ‖d‖ of each example: (N,)
    steepest(g)                 the perturbation of norm 1 along which a linear function of gradient g grows fastest:
                                argmax ⟨g, d⟩ over ‖d‖ ≤ 1
    move(x, g, step, bounds)    x + step·steepest(g), within the bounds unless they are None; with `origin` and
                                `epsilon` no farther than ε from the origin
    project(d, epsilon)         the nearest perturbation to d (in L2) of norm at most ε, one ε for all or one each (N,)
    random(key, x, epsilon)     a perturbation drawn uniformly from the ball of radius ε, a function of the key and of
                                the example's place in x alone

In L2 and L1, `move` returns images x + d within ε even after rounding.  In L∞ they are ``x + ε`` as written, and a
pixel may be off by half a unit in its last place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeVar

from minidl import ops
from minidl.backend import kernels, namespace
from minidl.core import Array
from minidl.draws import normal
from minidl.errors import RangeError

from .checks import check_number

Bounds = tuple[float, float] | None


@dataclass(frozen=True)
class Norm:
    """A norm by its name, with its functions; see above."""

    name: str
    length: Callable[[Array], Array]
    steepest: Callable[[Array], Array]
    move: Callable[..., Array]
    project: Callable[[Array, Any], Array]
    random: Callable[[int, Array, float], Array]


def _stay(
    x: Array, bounds: Bounds, origin: Array | None, epsilon: float, project: Callable[[Array, Any], Array], p: int
) -> Array:
    """x projected to within ε of the origin in the Lp norm, then clipped to the bounds, which never moves it away.

    Rounding may move a pixel by a quarter of the dtype's eps, times its size.  The size is at most the larger bound, or
    without bounds the image's largest pixel plus ε.  So the ball is made smaller by that much for all M pixels, and
    rounded images stay within ε; but no smaller than ½ε, for a coarse dtype.
    """
    if origin is not None:
        xp = namespace(x)
        size: Any = linf_length(origin) + epsilon if bounds is None else max(abs(bounds[0]), abs(bounds[1]))
        roundings = size * math.prod(x.shape[1:]) ** (1 / p) * float(xp.finfo(x.dtype).eps) / 4
        radius = xp.maximum(xp.zeros(len(x)) + (epsilon - roundings), epsilon / 2)
        inside = project((x - origin).astype("float64"), radius)
        x = (origin + inside).astype(x.dtype)
    return x if bounds is None else namespace(x).clip(x, *bounds)


def _rows(d: Array) -> Array:
    return d.reshape(len(d), -1) if d.size else d.reshape(len(d), 0)


def per_example(values: Array, d: Array) -> Array:
    """(N,) shaped to multiply d (N, ...)."""
    return values.reshape(-1, *(1,) * (d.ndim - 1))


def scaled(g: Array, length: Array) -> Array:
    """g (N, ...) divided by the length (N,) of each example; unchanged where it is 0, as g is then."""
    return g / per_example(namespace(g).where(length > 0, length, 1), g)


def l0_length(d: Array) -> Array:
    """How many entries differ from zero: (N,) int.  It is not a norm; JSMA counts it."""
    return (_rows(d) != 0).sum(axis=-1)


# --- L∞: every pixel by up to ε --------------------------------------------------------------------------


def linf_length(d: Array) -> Array:
    """max |d_i|; 0 for images without pixels."""
    rows = abs(_rows(d))
    return rows.max(axis=-1) if rows.size else namespace(d).zeros(len(d), dtype=d.dtype)


def linf_steepest(g: Array) -> Array:
    """sign(g): 1 in every pixel.  Pixels of gradient 0 stay where they are."""
    return namespace(g).sign(g)


def linf_move(
    x: Array, g: Array, step: float, bounds: Bounds, origin: Array | None = None, epsilon: float = 0.0
) -> Array:
    """x + step·sign(g), within ε of the origin and within the bounds, in one pass."""
    return kernels(x).sign_step(x, g, step, bounds, origin, epsilon)


def linf_project(d: Array, epsilon: Any) -> Array:
    """Each entry cut to ±ε."""
    epsilon = per_example(epsilon, d) if hasattr(epsilon, "shape") else epsilon
    return namespace(d).clip(d, -epsilon, epsilon)


def linf_random(key: int, x: Array, epsilon: float) -> Array:
    """Each entry from U(-ε, ε)."""
    return epsilon * (2 * kernels(x).random_uniform(key, x) - 1)


# --- L2: a Euclidean length of up to ε -------------------------------------------------------------------


def l2_length(d: Array) -> Array:
    """√Σd_i², without underflow for tiny entries (see `minidl.ops.norm`)."""
    return ops.norm(_rows(d), axis=-1)


def l2_steepest(g: Array) -> Array:
    """g/‖g‖₂; zero where g is zero."""
    return scaled(g, l2_length(g))


def l2_move(
    x: Array, g: Array, step: float, bounds: Bounds, origin: Array | None = None, epsilon: float = 0.0
) -> Array:
    """x + step·g/‖g‖₂, projected to within ε of the origin, then clipped to the bounds."""
    return _stay(x + step * l2_steepest(g), bounds, origin, epsilon, l2_project, 2)


def l2_project(d: Array, epsilon: Any) -> Array:
    """d scaled to norm ε where its norm is larger."""
    xp, length = namespace(d), l2_length(d)
    factor = xp.where(length > epsilon, epsilon / xp.where(length > 0, length, 1), 1)
    return d * per_example(factor, d)


def l2_random(key: int, x: Array, epsilon: float) -> Array:
    """z/√(Σz² + E), of normally distributed z with variance ½ and E from Exp(1), times ε (Barthe et al. 2005)."""
    z = normal(key, x) * 0.5**0.5
    return epsilon * z / per_example(((_rows(z) ** 2).sum(axis=-1) + _exponential(key + 2, x)) ** 0.5, z)


# --- L1: a sum of absolute changes of up to ε ------------------------------------------------------------


def l1_length(d: Array) -> Array:
    """Σ|d_i|."""
    return abs(_rows(d)).sum(axis=-1)


def l1_steepest(g: Array) -> Array:
    """The sign of the largest gradient in its pixel (the first of equal ones), zero elsewhere."""
    xp, rows = namespace(g), _rows(g)
    steepest = abs(rows).argmax(axis=-1) if rows.shape[1] else xp.zeros(len(g), dtype="int64")
    chosen = xp.arange(rows.shape[1]) == steepest[:, None]
    return xp.where(chosen, xp.sign(rows), 0).reshape(g.shape)


def l1_move(
    x: Array, g: Array, step: float, bounds: Bounds, origin: Array | None = None, epsilon: float = 0.0
) -> Array:
    """The pixel of the largest gradient moved by `step`, then projected to within ε of the origin.

    If the bounds stop that pixel early, the pixel of the next largest gradient moves by what is left of the step, and
    so on.  Within the bounds, a linear function grows fastest along this step.  Otherwise an attack would push a pixel
    at its bound again and again.
    """
    if bounds is None or not x.size:
        return _stay(x + step * l1_steepest(g), bounds, origin, epsilon, l1_project, 1)
    xp, gradients, rows = namespace(x), _rows(g), _rows(x)
    room = xp.where(gradients > 0, bounds[1] - rows, xp.where(gradients < 0, rows - bounds[0], 0))
    order = abs(gradients).argsort(axis=-1)[:, ::-1]
    falling = xp.take_along_axis(room, order, axis=-1)
    before = xp.cumsum(falling, axis=-1) - falling  # how much of the step pixels of larger gradients have used
    taken = xp.take_along_axis(xp.clip(step - before, 0, falling), order.argsort(axis=-1), axis=-1)
    moved = (rows + xp.sign(gradients) * taken).reshape(x.shape)
    return _stay(moved, bounds, origin, epsilon, l1_project, 1)


def l1_project(d: Array, epsilon: Any) -> Array:
    """Every |d_i| lowered by the one θ ≥ 0 that makes their sum ε (Duchi et al. 2008, Figure 1)."""
    xp, rows = namespace(d), _rows(d)
    if not d.size:
        return d
    epsilon = epsilon[:, None] if hasattr(epsilon, "shape") else epsilon
    falling = -xp.sort(-abs(rows), axis=-1)
    excess = (xp.cumsum(falling, axis=-1) - epsilon) / xp.arange(1, rows.shape[1] + 1, dtype=d.dtype)
    count = (falling > excess).sum(axis=-1)
    theta = xp.take_along_axis(excess, xp.maximum(count - 1, 0)[:, None], axis=-1)
    lowered = xp.sign(rows) * xp.maximum(abs(rows) - xp.maximum(theta, 0), 0)
    return xp.where(l1_length(d)[:, None] > epsilon, lowered, rows).reshape(d.shape)


def l1_random(key: int, x: Array, epsilon: float) -> Array:
    """z/(Σ|z| + E), of z with density ½e^-|z| and E from Exp(1), times ε (Barthe et al. 2005)."""
    xp, v = namespace(x), 2 * kernels(x).random_uniform(key, x) - 1
    z = -xp.sign(v) * xp.log1p(-abs(v))
    return epsilon * z / per_example(abs(_rows(z)).sum(axis=-1) + _exponential(key + 2, x), z)


def _exponential(key: int, x: Array) -> Array:
    """A draw from Exp(1) for each example: (N,)."""
    xp = namespace(x)
    return -xp.log(kernels(x).random_uniform(key, xp.zeros(len(x), dtype=x.dtype)))


NORMS = {
    "linf": Norm("linf", linf_length, linf_steepest, linf_move, linf_project, linf_random),
    "l2": Norm("l2", l2_length, l2_steepest, l2_move, l2_project, l2_random),
    "l1": Norm("l1", l1_length, l1_steepest, l1_move, l1_project, l1_random),
}


def norm_named(attack: str, name: str) -> Norm:
    """The norm of that name: "linf", "l2" or "l1".  Raises `RangeError` for an unknown one."""
    if not isinstance(name, str) or name not in NORMS:
        raise RangeError(attack, f"a norm of {sorted(NORMS)}", repr(name))
    return NORMS[name]


@dataclass(frozen=True)
class Ball:
    """Where images x (n, ...) made from `origin` (n, ...) may be: ‖x - origin‖ ≤ radius, and within the bounds.

    norm: a `Norm`.
    radius: ε, at least 0.
    bounds: the least and the greatest value of a pixel, or None.

    >>> import numpy as np
    >>> from attacks.common.norms import NORMS, Ball
    >>> ball = Ball(NORMS["linf"], 0.1, (0, 1))
    >>> ball.back(np.array([[0.9, 0.4]]), origin=np.array([[0.5, 0.5]]))
    array([[0.6, 0.4]])
    """

    norm: Norm
    radius: float
    bounds: Bounds

    def step(self, x: Array, gradient: Array, size: Any, origin: Array) -> Array:
        """A step along the gradient, of one size or one each (n,), projected onto the ball and clipped."""
        if hasattr(size, "shape"):
            return self.back(x + per_example(size, x) * self.norm.steepest(gradient), origin)
        return self.norm.move(x, gradient, size, self.bounds, origin, self.radius)

    def back(self, x: Array, origin: Array) -> Array:
        """Π: x projected onto the ball, and clipped to the bounds."""
        return self.norm.move(x, namespace(x).zeros_like(x), 0.0, self.bounds, origin, self.radius)

    def drawn(self, key: int, origin: Array) -> Array:
        """A random point of each ball, clipped to the bounds: a function of the key and the example's place alone."""
        x = origin + self.norm.random(key, origin, self.radius)
        return x if self.bounds is None else namespace(x).clip(x, *self.bounds)


# --- one ε, or several -----------------------------------------------------------------------------------


def as_radii(attack: str, epsilon: Any) -> list[float]:
    """One radius ε or several, as a list.  Raises `RangeError` unless each is a number of at least 0."""
    several = list(epsilon) if getattr(epsilon, "shape", ()) or isinstance(epsilon, Sequence) else [epsilon]
    return [check_number(attack, "epsilon of at least 0, a number or a list of them", each) for each in several]


def in_order(epsilon: Any, radii: list[float], results: dict[float, Any]) -> Any:
    """The results at each ε, in the order of the list that was asked for; one result if one ε was asked for."""
    return results[radii[0]] if isinstance(epsilon, Real) else [results[radius] for radius in radii]


Attack = TypeVar("Attack", bound=Callable[..., Any])


def takes_several(attack: Attack) -> Attack:
    """Mark an attack that accepts a list of ε, shares the work among them, and returns a list of results."""
    attack.takes_several = True  # type: ignore[attr-defined]
    return attack
