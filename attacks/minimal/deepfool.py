"""DeepFool (Moosavi-Dezfooli, Fawzi and Frossard 2016): step to the nearest decision boundary of a linear model.

If a network is linear, the images for which classes k and y tie form a plane, at a distance of |f_k|/‖w_k‖, with
f_k = Z_k - Z_y and w_k = ∇f_k.  Networks are not linear, so the step to the nearest plane is repeated until the
prediction has changed.  The perturbation is nearly the smallest one, and there is no ε to choose.

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

#: The dual norm q of the gradient w, for the norm p of a step: 1/p + 1/q = 1.
DUAL = {"l2": "l2", "linf": "l1"}
#: The prediction has changed if some f_k is larger than this share of the range of the logits at x.  |f_k| counts as at
#: least as much, so that steps do not end on the boundary itself, where rounding decides the prediction.
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
    """Nearly the smallest perturbation that changes the prediction: steps to the nearest decision boundary.

        l̂ = argmin_{k≠y} |f_k|/‖w_k‖_q,   r_i = |f_l̂|/‖w_l̂‖_q · argmax_{‖d‖_p ≤ 1} ⟨w_l̂, d⟩,
        x_{i+1} = x_0 + (1 + η)·Σr_i

    Read `plain.deepfool` first.

    victim: a network, a function to logits, or a `Victim`.
    x: images (N, ...), floating point, within the victim's bounds.
    goal: labels (N,), `Untargeted(y)`; or `Targeted(t)`, where each step leads to the boundary between t and the
    likeliest other class.
    norm: p, "l2" or "linf".
    steps: how many at most, at least 1.
    overshoot: η, at least 0: how far beyond the boundary, as a share of the step.
    candidates: how many classes to consider, the likeliest ones but y at each point; None for all.  A step costs one
    run of the network, and one pull-back for each.
    clip: whether to keep the images within the bounds.  What a step loses to them, the next steps make up for.
    seed: not used: nothing here is random.
    progress: whether to show a bar over the steps.

    Returns: an `AttackResult`; `iterations` (N,) counts the steps of each example.  An example that does not succeed
    ends after its last step, or where all gradients are 0.  After Ctrl-C it holds what was reached by then, with
    ``params["interrupted"]`` set.
    Raises: as `run.begin` does, and `RangeError` for a parameter out of range, before any work.
    Source: Moosavi-Dezfooli, Fawzi and Frossard 2016, Algorithm 2, and its form for other norms.  The paper leaves the
    predicted class; we leave y, so that an image that is misclassified from the start is returned unchanged.  As in the
    authors' code, each x_i has the overshoot, and steps are limited, to 50; targets and clipping are ours.

    >>> import numpy as np
    >>> from attacks import deepfool
    >>> from minidl import models
    >>> x = np.full((2, 784), 0.5, dtype=np.float32)
    >>> deepfool(models.mlp(seed=0), x, np.array([3, 5])).success.tolist()
    [True, True]
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
    steps_bar = bar(range(steps), "DeepFool", progress, unit="step")
    with run.interruptible(), steps_bar:
        for _ in steps_bar:
            if not len(active):
                break
            steps_bar.set_postfix(active=len(active), refresh=False)
            points = run.as_returned(active.x, active.origin)
            f, w = _planes(run.victim, points, run.goal.take(active.rows), count)
            active.way, exists = _to_the_nearest(xp.maximum(abs(f), active.least), w, norm)
            active.drop(~(exists & (f.max(axis=0) <= active.least)))
            so_far = (active.x - active.origin) / further  # Σr_i, after clipping to the bounds
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
    """e_k - e_y for `count` classes k, the likeliest first: (C, N, K).  Towards a target, only e_t - e_j.

    Their products with the logits are the f_k; pulled back, they are the w_k.
    """
    xp, classes = namespace(logits), namespace(logits).arange(logits.shape[1])
    labelled = is_label(goal, logits)
    others = xp.where(labelled, -xp.inf, logits)
    likeliest = others.argsort(axis=-1)[:, ::-1][:, : count if goal.direction > 0 else 1].T
    onehot = (classes == likeliest[..., None]).astype(logits.dtype)
    return goal.direction * (onehot - labelled.astype(logits.dtype))


def _to_the_nearest(gap: Array, w: Array, norm: str) -> tuple[Array, Array]:
    """The step to the nearest of the planes ⟨w, d⟩ = gap (N, ...), and whether there is one (N,), bool.

    gap (C, N), w (C, N, ...).
    """
    xp, rows = namespace(w), namespace(w).arange(gap.shape[1])
    size = NORMS[DUAL[norm]].length(w.reshape(-1, *w.shape[2:])).reshape(gap.shape)
    distance = xp.where(size > 0, gap / xp.where(size > 0, size, 1), xp.inf)
    nearest = distance.argmin(axis=0)
    exists = xp.isfinite(distance[nearest, rows])
    length, steepest = xp.where(exists, distance[nearest, rows], 0), NORMS[norm].steepest(w[nearest, rows])
    return per_example(length, steepest) * steepest, exists
