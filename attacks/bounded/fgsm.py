"""One step along the gradient: `fgsm` (Goodfellow, Shlens and Szegedy 2014), and its random control `sign_noise`.

Why one step is enough: for a linear model w·x, moving every pixel by ±ε in the direction of sign(w) shifts
the output by ε‖w‖₁, which grows with the number of pixels while no pixel moves by more than ε.  Networks of
ReLUs are linear enough for the same to work on them.

Read `plain/fgsm.py` first: the same for one image, in plain loops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minidl.backend import kernels
from minidl.core import Array

from ..common.norms import NORMS, in_order, ladder, norm_named, takes_several
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
    """The fast gradient sign method:  x' = x + ε·sign(∇ₓJ(θ, x, y))   (Goodfellow et al. 2014, §4).

    Read `plain.fgsm` first.

    victim: a network, a function to logits, or a `Victim`.  x (N, ...) within its bounds.  goal: labels (N,),
    `Untargeted(y)` or `Targeted(t)`; towards a target the step is x - ε·sign(∇ₓJ(θ, x, t)).
    epsilon: how far, at least 0; for a list of them the gradient is computed once and a list of results comes
    back.  norm: "linf" as in the paper, or "l2" or "l1", for which the step of length ε that a linear model
    yields to most replaces the sign: g/‖g‖₂, or the one steepest pixel.  clip: keep the images within the
    bounds; the paper does not say that it does, so ``clip=False`` is its letter.
    seed and progress are accepted, as by every attack, but nothing here is random or long.

    Two runs of the network for each image: one for its prediction and the gradient, one for the prediction after.
    A pixel whose gradient is exactly 0 is not moved.  Raises as `run.begin` does, and `RangeError` for a
    negative ε or an unknown norm, all before any work.
    """
    lengths, move = ladder("fgsm", epsilon), norm_named("fgsm", norm).move
    run = begin("fgsm", victim, x, goal, seed, cross_entropy)
    return _climb(run, move, run.slope, lengths, epsilon, clip, norm=norm)


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
    """Every pixel moved by +ε or -ε at random: as large as an FGSM step, and as a rule harmless.  Its control.

    The signs are a function of (seed, index of the example in x, pixel) alone.  Parameters, list of ε, result
    and errors are those of `fgsm`.
    """
    lengths = ladder("sign_noise", epsilon)
    run = begin("sign_noise", victim, x, goal, seed)
    return _climb(run, NORMS["linf"].move, kernels(run.x).random_signs(seed, run.x), lengths, epsilon, clip)


def _climb(
    run: Run, move: Callable[..., Array], g: Array, lengths: list[float], epsilon: Any, clip: bool, **params: Any
) -> Any:
    """The results of moving along one slope g by each ε: a list of them if a list was asked for."""
    bounds, found = run.victim.bounds if clip else None, {}
    for length in lengths:
        found[length] = run.end(move(run.x, g, length, bounds), epsilon=length, clip=clip, **params)
    return in_order(epsilon, lengths, found)
