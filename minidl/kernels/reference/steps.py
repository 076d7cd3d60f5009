"""Steps of attacks: rows of a batch, the signed step of FGSM and PGD, and the step of Adam behind a tanh of C&W."""

from __future__ import annotations

from typing import Any

from .. import library

Array = Any

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # of Adam, as its authors propose them


def gather(x: Array, rows: Array) -> Array:
    """x[rows], for the numbers of some rows: a batch, or the examples that an attack still works on."""
    return x[rows]


def sign_step(x: Array, g: Array, step: float, bounds: tuple[float, float] | None, origin: Any = None,
              epsilon: float = 0.0) -> Array:  # fmt: skip
    """x + step·sign(g), no further than ε from `origin` if there is one, and within the bounds unless None."""
    xp = library(x)
    moved = x + step * xp.sign(g)
    if origin is not None:
        moved = xp.clip(moved, origin - epsilon, origin + epsilon)
    return moved if bounds is None else xp.clip(moved, *bounds)


def tanh_adam(w: Array, mean: Array, mean_square: Array, x_adv: Array, g: Array, x: Array, step: Array, lr: float,
              bounds: tuple[float, float], half: float, limit: float, free: Any = None,
              tau: Any = None) -> Array:  # fmt: skip
    """A step of Adam, in place, on w of D(x') + G(x'), with x' = centre + half·tanh(w), and D at the new x': (N,).

    D is Σ(x' - x)², or Σ(|x' - x| - τ)⁺ if there is a tau (N,).  g (N, M) is the slope of G.  step (N,) counts the
    steps, this one included, of each row.  free (N, M) bool: pixels that are not stay at x.  w is kept within ±limit,
    x_adv within the bounds.  w, mean, mean_square, x_adv (N, M) are changed; g and x are left alone.
    """
    xp, centre = library(w), (bounds[0] + bounds[1]) / 2
    d, u = x_adv - x, (x_adv - centre) / half
    pull = 2 * d if tau is None else xp.sign(d) * (abs(d) > tau[:, None])
    slope = (g + pull) * (half * (1 - u * u))
    slope = slope if free is None else slope * free
    mean *= BETA1
    mean += (1 - BETA1) * slope
    mean_square *= BETA2
    mean_square += (1 - BETA2) * (slope * slope)
    rate, correction = adam_rates(step[:, None], lr, w.dtype)
    w -= rate * mean / ((mean_square / correction) ** 0.5 + EPSILON)
    w[...] = xp.clip(w, -limit, limit)
    moved = xp.clip(centre + half * xp.tanh(w), *bounds)
    x_adv[...] = moved if free is None else xp.where(free, moved, x)
    distance = abs(x_adv - x)
    terms = distance * distance if tau is None else xp.maximum(distance - tau[:, None], 0)
    return terms.sum(axis=-1)


def adam_rates(step: Array, lr: float, dtype: Any) -> tuple[Array, Array]:
    """η/(1 - β₁ᵗ) and 1 - β₂ᵗ: what makes up for averages that began at 0."""
    return ((lr / (1 - BETA1**step)).astype(dtype), (1 - BETA2**step).astype(dtype))
