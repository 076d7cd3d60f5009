"""DeepFool (Moosavi-Dezfooli, Fawzi and Frossard 2016): walk to the nearest boundary of a network taken for linear.

Where a network is linear, the set of images for which classes k and y tie is a plane, |f_k|/‖w_k‖ away, with
f_k = Z_k - Z_y and w_k = ∇f_k.  Networks are not linear, so the walk to the nearest plane is repeated from where it led
until the answer has changed.  The result is small, close to the least perturbation that fools the network, and has no
ε to choose.

Read `plain/deepfool.py` first: the same for one image, in plain loops.
"""

from __future__ import annotations

import math
from typing import Any

from minidl.backend import namespace
from minidl.core import Array
from minidl.errors import RangeError
from minidl.progress import bar

from ..common.checks import check_counts, check_number
from ..common.goal import Goal
from ..common.norms import NORMS, per_example
from ..common.objectives import is_label
from ..common.result import AttackResult
from ..common.run import begin
from ..common.victim import Victim

#: The norm in which a slope is measured, for each in which the way to a plane is: ‖w‖_q with 1/p + 1/q = 1.
DUAL = {"l2": "l2", "linf": "l1"}
#: The answer has changed when some f_k is greater than this part of the spread that the logits had at x, and |f_k|
#: counts as at least as much: rounding would else end the walk on the boundary itself, where it decides the answer.
LEAST_GAP = 1e-5


def deepfool(
    victim: Any,
    x: Array,
    goal: Any,
    *,
    norm: str = "l2",
    steps: int = 50,
    overshoot: float = 0.02,
    candidates: int | None = None,
    clip: bool = True,
    seed: int = 0,
    progress: bool = False,
) -> AttackResult:
    """The least perturbation, nearly, that changes the answer: Algorithm 2, and its form for other norms.

    Read `plain.deepfool` first.

        l̂ = argmin_{k≠y} |f_k|/‖w_k‖_q,   r_i = |f_l̂|/‖w_l̂‖_q · argmax_{‖d‖_p ≤ 1} ⟨w_l̂, d⟩,
        x_{i+1} = x_0 + (1 + η)·Σr_i

    victim: a network, a function to logits, or a `Victim`.  x (N, ...) within its bounds.  goal: labels (N,),
    `Untargeted(y)` or `Targeted(t)`.  The paper leaves the class that the network answers; we leave y, so that an image
    which is misread from the start is given back as it is.  Targets are ours: each step leads to the boundary
    between t and the likeliest other class at that point.
    norm: p, "l2" or "linf".  steps: how many at most, at least 1; the paper has no such bound, its authors' code 50.
    overshoot (η): how far beyond the boundary, at least 0, as a part of the way.  As in the authors' code, and unlike
    Algorithm 2, which goes beyond at the end only, each x_i is what would be returned.
    candidates: how many classes to consider, the likeliest but y at each point; all if None.  A step costs one run of
    the network, and that many pull-backs, in one walk.  Towards a target there is nothing to choose: one pull-back.
    clip: keep the images within the bounds, of which the paper says nothing.  What a step loses to them, the next ones
    make up for: that takes more steps than without them, and shorter ways than if it looked for room beforehand.
    The seed is accepted, as by every attack, but nothing here is random.

    result.iterations counts each example's steps.  One that does not succeed ends where its last step led, or where no
    boundary has a slope.  Ctrl-C ends the attack early and returns what there is, with ``params["interrupted"]`` set.
    Raises as `run.begin` does, and `RangeError` for parameters out of range, before any work.
    """
    if norm not in DUAL:
        raise RangeError("deepfool", f"a norm of {sorted(DUAL)}", repr(norm))
    check_counts("deepfool", steps=steps, candidates=1 if candidates is None else candidates)
    further = 1 + check_number("deepfool", "an overshoot of at least 0", overshoot)
    run = begin("deepfool", victim, x, goal, seed)
    xp, bounds = namespace(x), run.victim.bounds if clip else (-math.inf, math.inf)
    count = min(candidates or run.classes, run.classes - 1)
    (x_adv, iterations), active = run.started(), run.not_yet_successful()
    active.least = active.gather(LEAST_GAP * (run.clean_logits.max(axis=-1) - run.clean_logits.min(axis=-1)))
    active.x, active.origin = active.gather(run.x), active.gather(run.x)
    shown = bar(range(steps), "DeepFool", progress, unit="step")
    with run.interruptible(), shown:
        for _ in shown:
            if not len(active):
                break
            shown.set_postfix(active=len(active), refresh=False)
            seen = run.as_returned(active.x, active.origin)
            f, w = _planes(run.victim, seen, run.goal.take(active.rows), count)
            active.way, found = _to_the_nearest(xp.maximum(abs(f), active.least), w, norm)
            active.drop(~(found & (f.max(axis=0) <= active.least)))
            so_far = (active.x - active.origin) / further  # Σr_i, less what the bounds have cut off
            active.x = xp.clip(active.origin + further * (so_far + active.way), *bounds)
            active.scatter(x_adv, active.x)
            active.count(iterations)
    params = {"norm": norm, "steps": steps, "overshoot": overshoot, "candidates": candidates, "clip": clip}
    return run.end(x_adv, iterations, **params)


def _planes(victim: Victim, x: Array, goal: Goal, count: int) -> tuple[Array, Array]:
    """f_k (C, N) and w_k (C, N, ...) at x, for `count` classes k: one run of the network, C pull-backs in one walk."""
    f, w = [], []
    for part in victim.parts(x):
        lin = victim.linearize(x[part])
        differences = _differences(goal.take(part), lin.value, count)
        f.append((differences * lin.value).sum(axis=-1))
        w.append(lin.vjp(differences))
    return namespace(x).concatenate(f, axis=1), namespace(x).concatenate(w, axis=1)


def _differences(goal: Goal, logits: Array, count: int) -> Array:
    """e_k - e_y for `count` classes k, the likeliest others first: (C, N, K).  Towards a target, e_t - e_j alone.

    Their products with the logits are the f_k, and what they pull back is w_k.
    """
    xp, classes = namespace(logits), namespace(logits).arange(logits.shape[1])
    own = is_label(goal, logits)
    others = xp.where(own, -xp.inf, logits)
    likeliest = others.argsort(axis=-1)[:, ::-1][:, : count if goal.direction > 0 else 1].T
    onehot = (classes == likeliest[..., None]).astype(logits.dtype)
    return goal.direction * (onehot - own.astype(logits.dtype))


def _to_the_nearest(gap: Array, w: Array, norm: str) -> tuple[Array, Array]:
    """The way to the nearest of the planes where ⟨w, d⟩ = gap, and for which examples there is one.

    gap (C, N), w (C, N, ...); gives (N, ...) and (N,) bool.
    """
    xp, rows = namespace(w), namespace(w).arange(gap.shape[1])
    slope = NORMS[DUAL[norm]].length(w.reshape(-1, *w.shape[2:])).reshape(gap.shape)
    distance = xp.where(slope > 0, gap / xp.where(slope > 0, slope, 1), xp.inf)
    nearest = distance.argmin(axis=0)
    found = xp.isfinite(distance[nearest, rows])
    length, steepest = xp.where(found, distance[nearest, rows], 0), NORMS[norm].steepest(w[nearest, rows])
    return per_example(length, steepest) * steepest, found
