"""One step along the gradient: `fgsm` (Goodfellow, Shlens and Szegedy 2014), and its random control `sign_noise`.

Why one step is enough: for a linear model w·x, moving every pixel by ±ε in the direction of sign(w) changes the output
by ε‖w‖₁.  That grows with the number of pixels, while no pixel moves by more than ε.  Networks of ReLUs are linear
enough for the same step to work on them.

Read `plain/fgsm.py` first: the same for one image, in plain loops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minidl.backend import kernels
from minidl.core import Array

from ..common.norms import NORMS, as_radii, in_order, norm_named, takes_several
from ..common.objectives import cross_entropy
from ..common.run import Run, begin


@takes_several
def fgsm(
    victim: Any,
    x: Array,
    goal: Any,
    *,
    epsilon: float | Sequence[float] = 0.25,
    norm: str = "linf",
    clip: bool = True,
    seed: int = 0,
    progress: bool = False,
) -> Any:
    """The fast gradient sign method:  x' = x + ε·sign(∇ₓJ(θ, x, y)).

    Towards a target t, it is  x' = x - ε·sign(∇ₓJ(θ, x, t)).  Read `plain.fgsm` first.

    victim: a network, a function to logits, or a `Victim`.
    x: images (N, ...), floating point, within the victim's bounds.
    goal: labels (N,), `Untargeted(y)` or `Targeted(t)`.
    epsilon: the radius ε, at least 0.  A sequence of radii returns a list of results, from one gradient.
    norm: "linf", as in the paper; or "l2" or "l1", where the sign is replaced by the step of length ε along which a
    linear model changes most: ε·g/‖g‖₂, or ε in the pixel of the largest gradient.
    clip: whether to keep the images within the bounds.  The paper does not say that it does.
    seed: not used: nothing here is random.
    progress: not used: one step needs no bar.

    Returns: an `AttackResult`.  A pixel whose gradient is exactly 0 is not moved.  Each image costs two runs of the
    network: one for its prediction and the gradient, one for the prediction of x'.
    Raises: as `run.begin` does, and `RangeError` for a negative ε or an unknown norm, before any work.
    Source: Goodfellow, Shlens and Szegedy 2014, §4.

    >>> import numpy as np
    >>> from attacks import fgsm
    >>> from minidl import models
    >>> x = np.full((2, 784), 0.5, dtype=np.float32)
    >>> result = fgsm(models.mlp(seed=0), x, np.array([3, 5]), epsilon=0.1)
    >>> [f"{distance:.2f}" for distance in result.linf]
    ['0.10', '0.10']
    """
    radii, move = as_radii("fgsm", epsilon), norm_named("fgsm", norm).move
    run = begin("fgsm", victim, x, goal, seed, cross_entropy)
    return at_each_radius(run, move, run.gradient, radii, epsilon, clip, norm=norm)


@takes_several
def sign_noise(
    victim: Any,
    x: Array,
    goal: Any,
    *,
    epsilon: float | Sequence[float] = 0.25,
    clip: bool = True,
    seed: int = 0,
    progress: bool = False,
) -> Any:
    """Random noise as large as a step of FGSM:  x' = x ± ε, with a random sign for each pixel.  Most often harmless.

    victim: a network, a function to logits, or a `Victim`.
    x: images (N, ...), floating point, within the victim's bounds.
    goal: labels (N,), `Untargeted(y)` or `Targeted(t)`, by which success is counted.
    epsilon: the size ε, at least 0.  A sequence returns a list of results, from the same signs.
    clip: whether to keep the images within the bounds.
    seed: a whole number.  The signs are a function of (seed, index of the example in x, pixel) alone.
    progress: not used: one step needs no bar.

    Returns: an `AttackResult`.
    Raises: as `run.begin` does, and `RangeError` for a negative ε, before any work.

    >>> import numpy as np
    >>> from attacks import sign_noise
    >>> from minidl import models
    >>> x = np.full((2, 784), 0.5, dtype=np.float32)
    >>> result = sign_noise(models.mlp(seed=0), x, np.array([3, 5]), epsilon=0.1)
    >>> [f"{distance:.2f}" for distance in result.linf]
    ['0.10', '0.10']
    """
    radii = as_radii("sign_noise", epsilon)
    run = begin("sign_noise", victim, x, goal, seed)
    return at_each_radius(run, NORMS["linf"].move, kernels(run.x).random_signs(seed, run.x), radii, epsilon, clip)


def at_each_radius(
    run: Run, move: Callable[..., Array], g: Array, radii: list[float], epsilon: Any, clip: bool, **params: Any
) -> Any:
    """The results of moving along one direction g by each ε: a list of them if a sequence was asked for."""
    bounds, results = run.victim.bounds if clip else None, {}
    for radius in radii:
        results[radius] = run.end(move(run.x, g, radius, bounds), epsilon=radius, clip=clip, **params)
    return in_order(epsilon, radii, results)
