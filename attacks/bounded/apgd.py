"""Auto-PGD (Croce and Hein 2020): projected gradient ascent that chooses its own step sizes, on several objectives.

`pgd` needs a step size, and a bad one makes a network look more robust than it is.  Here each example starts with steps
of 2ε.  At checkpoints, if the steps have brought little, they are halved, and the example returns to its best point so
far (Algorithm 1).

A network can also look robust because one objective is flat at the image.  So several are tried in turn, each on the
examples that are not yet successful.  And because all gradients may vanish, the last attempt is `square`, which needs
none.  The share of examples that no attempt changes is the robust accuracy to report.

Read `plain/apgd.py` first: the same for one image, in plain loops.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from minidl import ops
from minidl.backend import kernels, namespace
from minidl.core import Array
from minidl.errors import RangeError, ShapeError
from minidl.progress import bar

from ..common.active_set import ActiveSet
from ..common.checks import check_counts
from ..common.goal import Goal, Targeted, Untargeted
from ..common.norms import Ball, Norm, as_radii, in_order, norm_named, per_example, takes_several
from ..common.objectives import OBJECTIVES, Objective, margin, positive, ranked
from ..common.result import AttackResult
from ..common.run import Run, begin
from .square import INITIAL_SHARE, search

#: α, the share of a step that is new, beside the last step again; ρ, the share of steps that must be uphill (§3.2).
ALPHA, RHO = 0.75, 0.75
NORM_NAMES = ("linf", "l2")


@takes_several
def apgd(
    victim: Any,
    x: Array,
    goal: Any,
    *,
    epsilon: float | Sequence[float] = 0.3,
    norm: str = "linf",
    steps: int = 100,
    restarts: int = 1,
    objective: str | Sequence[str] | None = None,
    targets: int = 9,
    queries: int = 5000,
    seed: int = 0,
    progress: bool = False,
) -> Any:
    """The strongest attack here within a radius ε, and the measure of robust accuracy:  1 - result.success.mean().

    Read `plain.apgd` first.

    victim: a network, a function to logits, or a `Victim`.
    x: images (N, ...), floating point, within the victim's bounds; they stay there.
    goal: labels (N,), `Untargeted(y)` or `Targeted(t)`.
    epsilon: the radius of the ball, at least 0.  A sequence of radii returns a list of results; an example that is
    successful at a smaller radius stays successful.
    norm: "linf" or "l2".
    steps: N_iter, how many steps an attempt has, at least 1.
    restarts: how often all objectives are tried, at least 1.  Each attempt starts at a point of its own (see `drawn`).
    objective: one or several of "cross_entropy", "margin", "dlr" and "targeted_dlr", tried in this order, each on the
    examples that are not yet successful.  "targeted_dlr" leads away from y to each of the likeliest other classes in
    turn (APGD-T, eq. 7); with `Targeted` it is left out.  None is `usual_objectives`: cross_entropy, dlr and
    targeted_dlr, where there are enough classes.
    targets: to how many classes "targeted_dlr" leads, at least 1.
    queries: how many queries the Square attack has, at the end, on the examples that are not yet successful; at least
    0.  It finds errors where gradients are hidden, such as by thresholds.  In L2, and for x of other shapes than
    (N, C, H, W), it is left out.
    seed: a whole number.  Starts are a function of (seed, index of the example in x, number of the attempt) alone.
    progress: whether to show a bar over the steps and queries.

    Of one attempt, an example keeps the first point that is successful, or else the one of the largest objective.  Of
    several failed attempts it keeps the one with the largest margin.

    Returns: an `AttackResult`; `iterations` (N,) counts the steps of all attempts, and the queries.  After Ctrl-C it
    holds what was reached by then, with ``params["interrupted"]`` set.
    Raises: as `run.begin` does, `RangeError` for a parameter out of range, before any work, and `ShapeError` for an
    objective of more logits than there are classes.
    Source: Croce and Hein 2020, Algorithm 1, with momentum, checkpoints and both conditions for halving.  In L∞ we
    start at corners of the ball, they at uniform draws stretched to its surface.  FAB, the fourth attack of their
    ensemble AutoAttack, is left out.

    >>> import numpy as np
    >>> from attacks import apgd
    >>> from minidl import models
    >>> x = np.full((2, 1, 28, 28), 0.5, dtype=np.float32)
    >>> result = apgd(models.lenet(seed=0), x, np.array([3, 5]), epsilon=0.1, steps=5, queries=10)
    >>> bool((result.linf < 0.101).all()), result.params["objective"]
    (True, ['cross_entropy', 'dlr', 'targeted_dlr'])
    """
    one = isinstance(objective, str) or not isinstance(objective, Sequence)
    named: tuple[Any, ...] = (objective,) if one else tuple(objective)  # type: ignore[arg-type]
    _check(norm, ("margin",) if objective is None else named, steps=steps, restarts=restarts, targets=targets)
    check_counts("apgd", least=0, queries=queries)
    radii = as_radii("apgd", epsilon)
    run = begin("apgd", victim, x, goal, seed)
    named = usual_objectives(run.classes, run.goal) if objective is None else named
    attempts = [attempt for name in named for attempt in _attempts(run, name, targets)] * restarts
    if not attempts:
        raise RangeError("apgd", "an objective for targets", f"{list(named)}", 'objective="dlr"')
    results: dict[float, AttackResult] = {}
    queries = int(queries) if norm == "linf" and x.ndim == 4 else 0
    params = {"norm": norm, "steps": steps, "restarts": restarts, "objective": list(named), "targets": targets,
              "queries": queries}  # fmt: skip
    (x_adv, iterations), active = run.started(), run.not_yet_successful()
    steps_bar = bar(range(len(set(radii)) * (len(attempts) * steps + queries)), "APGD", progress, unit="step")
    with run.interruptible(), steps_bar:
        for radius in sorted(set(radii)):
            ball = Ball(norm_named("apgd", norm), radius, run.victim.bounds)
            _attack(run, active, x_adv, iterations, attempts, ball, steps, queries, steps_bar)
            results[radius] = run.end(x_adv.copy(), iterations, epsilon=radius, **params)
            active = ActiveSet.without(results[radius].success)
    for radius in sorted(set(radii) - set(results)):  # after Ctrl-C, the radii that were not reached
        results[radius] = run.end(x_adv.copy(), iterations, epsilon=radius, **params)
    return in_order(epsilon, radii, results)


def _check(norm: Any, named: tuple[Any, ...], **numbers: Any) -> None:
    known = [*OBJECTIVES, "targeted_dlr"]
    if norm not in NORM_NAMES:
        raise RangeError("apgd", f"a norm of {list(NORM_NAMES)}", repr(norm))
    if not named or any(name not in known for name in named):
        raise RangeError("apgd", f"one or more objectives of {known}", f"{list(named)}")
    check_counts("apgd", **numbers)


# --- the attempts ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class UntargetedVia(Untargeted):
    """Any class but y is a success; the steps lead to targets (N,)."""

    targets: Array

    def take(self, which: Any) -> Goal:
        return UntargetedVia(self.labels[which], self.targets[which])


def targeted_dlr(goal: Any, logits: Array) -> Array:
    """(Z_t - Z_y)/(Z_π1 - ½(Z_π3 + Z_π4)), with π the order of the logits from the greatest.  Croce and Hein, eq. 7."""
    rows = namespace(goal.labels).arange(len(goal.labels))
    z_t, z_y = (ops.index(logits, (rows, classes)) for classes in (goal.targets, goal.labels))
    first, third, fourth = (ranked(logits, place) for place in (0, 2, 3))
    return (z_t - z_y) / positive(first - 0.5 * (third + fourth))


def usual_objectives(classes: int, goal: Goal) -> tuple[str, ...]:
    """The paper's three objectives.  With fewer than 4 classes some are not defined: the margin replaces "dlr" then."""
    needed = 3 if goal.direction > 0 else 4
    return ("cross_entropy", "dlr" if classes >= needed else "margin", *["targeted_dlr"] * (classes >= 4))


def _attempts(run: Run, name: str, targets: int) -> list[tuple[Goal, Objective]]:
    """The goal and the objective of each of the attempts by that name."""
    needed = {"dlr": 3 if run.goal.direction > 0 else 4, "targeted_dlr": 4}
    if run.classes < needed.get(name, 2):
        fits = "dlr" if run.classes >= needed["dlr"] else "margin"
        fix = f'objective=("cross_entropy", "{fits}")'
        raise ShapeError("apgd", f"at least {needed[name]} classes for {name}", f"{run.classes}", fix)
    if name != "targeted_dlr":
        return [(run.goal, OBJECTIVES[name])]
    if isinstance(run.goal, Targeted):
        return []
    xp, y = namespace(run.x), run.goal.labels
    others = xp.where(xp.arange(run.classes) == y[:, None], -xp.inf, run.clean_logits)
    likeliest = others.argsort(axis=-1)[:, ::-1]
    return [(UntargetedVia(y, likeliest[:, i]), targeted_dlr) for i in range(min(targets, run.classes - 1))]


def drawn(norm: Norm, key: int, x: Array, radius: float) -> Array:
    """The perturbation at which an attempt starts: in L∞ a corner of the ball, every pixel at ±ε; in L2 any point.

    Networks that are trained against L∞ attacks on digits learn thresholds, and have no gradient between them.  At a
    corner each pixel is far from its threshold.
    """
    return radius * kernels(x).random_signs(key, x) if norm.name == "linf" else norm.random(key, x, radius)


def _attack(
    run: Run, active: ActiveSet, x_adv: Array, iterations: Array, attempts: list[tuple[Goal, Objective]], ball: Ball,
    steps: int, queries: int, steps_bar: Any,
) -> None:  # fmt: skip
    """All attempts within one radius, each on the examples that are not yet successful, in place."""
    active.closest = namespace(x_adv).full(len(active), -math.inf, dtype=x_adv.dtype)
    iterations[active.rows] = 0

    def attempt(search_ball: Callable[..., None], *arguments: Any) -> None:
        """One attempt.  Its better images are kept, also after Ctrl-C, and successful examples leave."""
        images = run.x.copy()
        try:
            search_ball(run, ActiveSet(active.rows), images, iterations, *arguments, steps_bar)
        finally:
            images, goal = active.gather(images), run.goal.take(active.rows)
            logits = run.victim.logits(run.as_returned(images, active.gather(run.x)))
            achieved, reached = goal.achieved(logits.argmax(axis=-1)), margin(goal, logits)
            better = achieved | (reached > active.closest)
            active.scatter(x_adv, images, better)
            active.closest[better] = reached[better]
            active.drop(achieved)

    for number, (goal, objective) in enumerate(attempts):
        if len(active):
            start = run.x + drawn(ball.norm, run.key(number), run.x, ball.radius)
            attempt(ascend, goal, objective, ball, start, steps)
    if queries and len(active):
        attempt(search, ball.radius, queries, INITIAL_SHARE)


# --- Algorithm 1 -----------------------------------------------------------------------------------------


def ascend(
    run: Run, walk: ActiveSet, images: Array, iterations: Array, goal: Goal, objective: Objective, ball: Ball,
    start: Array, steps: int, steps_bar: Any,
) -> None:  # fmt: skip
    """Algorithm 1, from `start` (N, ...), in place: the images that it ends with, and the steps (N,) of each example.

    A successful example leaves.  `walk` has, for each active example:

    x, before: x⁽ᵏ⁾ and x⁽ᵏ⁻¹⁾.  origin: the centre of its ball.
    gradient, f: ∇f(x⁽ᵏ⁾) and f(x⁽ᵏ⁾).  uphill: whether f(x⁽ᵏ⁾) > f(x⁽ᵏ⁻¹⁾).
    x_max, gradient_max, f_max: those at the largest f so far.
    eta: the step size η.
    rises: how many steps were uphill since the last checkpoint.  halved: whether η was halved there.  f_max_then: f_max
    there.
    """
    xp, n, walk.origin = namespace(start), len(walk), walk.gather(run.x)
    walk.x = walk.before = walk.gradient = ball.back(walk.gather(start), walk.origin)
    walk.x_max, walk.gradient_max = walk.x.copy(), walk.x.copy()
    walk.eta = xp.full(n, 2 * ball.radius, dtype=start.dtype)
    walk.f = walk.f_max_then = xp.full(n, -xp.inf, dtype=start.dtype)
    walk.f_max, walk.rises = walk.f.copy(), xp.zeros(n, dtype="int64")
    walk.uphill = walk.halved = xp.zeros(n, dtype=bool)
    marks, last = checkpoints(steps), 0
    try:
        _evaluate(run, walk, images, goal, objective)
        for k in range(steps):
            if not len(walk):
                break
            going = ActiveSet(walk.rows)
            _step(walk, ball, ALPHA if k else 1.0)
            _evaluate(run, walk, images, goal, objective)
            going.count(iterations)
            if k in marks:
                halve_where_stuck(walk, k - last)
                last = k
            steps_bar.update()
            steps_bar.set_postfix(active=len(walk), refresh=False)
    finally:
        walk.scatter(images, walk.x_max)


def _step(walk: ActiveSet, ball: Ball, alpha: float) -> None:
    """x⁽ᵏ⁺¹⁾ = P(x⁽ᵏ⁾ + α(z - x⁽ᵏ⁾) + (1-α)(x⁽ᵏ⁾ - x⁽ᵏ⁻¹⁾)), with z = P(x⁽ᵏ⁾ + η·steepest(∇f)), a step of `pgd`."""
    z = ball.step(walk.x, walk.gradient, walk.eta, walk.origin)
    x = walk.x + alpha * (z - walk.x) + (1 - alpha) * (walk.x - walk.before)
    walk.x, walk.before, walk.rises = ball.back(x, walk.origin), walk.x, walk.rises + walk.uphill


def _evaluate(run: Run, walk: ActiveSet, images: Array, goal: Goal, objective: Objective) -> None:
    """The objective and its gradient at x; then the best point so far is updated, and successful examples leave."""
    aim, before = goal.take(walk.rows), walk.f
    points = run.as_returned(walk.x, walk.origin)
    logits, walk.gradient = run.victim.logits_and_gradient(points, aim, objective)
    walk.f = objective(aim, logits)
    walk.uphill, better = walk.f > before, walk.f > walk.f_max
    for best, now in ((walk.x_max, walk.x), (walk.gradient_max, walk.gradient), (walk.f_max, walk.f)):
        best[better] = now[better]
    done = aim.achieved(logits.argmax(axis=-1))
    walk.scatter(images, walk.x, done)
    walk.drop(done)


def halve_where_stuck(walk: ActiveSet, steps: int) -> None:
    """At a checkpoint, `steps` after the last: where little was gained, η is halved, and x returns to x_max.

    Condition 1: fewer than ρ of the steps were uphill.  Condition 2: η was not halved at the last checkpoint, and f_max
    has not grown since.
    """
    xp = namespace(walk.x)
    stuck = (walk.rises < RHO * steps) | (~walk.halved & (walk.f_max == walk.f_max_then))
    at_pixels = per_example(stuck, walk.x)
    walk.x, walk.gradient = (
        xp.where(at_pixels, walk.x_max, walk.x),
        xp.where(at_pixels, walk.gradient_max, walk.gradient),
    )
    walk.f, walk.eta = xp.where(stuck, walk.f_max, walk.f), xp.where(stuck, walk.eta / 2, walk.eta)
    walk.rises, walk.halved, walk.f_max_then = xp.zeros_like(walk.rises), stuck, walk.f_max.copy()


def checkpoints(steps: int) -> list[int]:
    """w_j = ⌈p_j·N⌉, with p_0 = 0, p_1 = .22 and p_{j+1} = p_j + max(p_j - p_{j-1} - .03, .06) (§3.2)."""
    percent = [0, 22]
    while percent[-1] < 100:
        percent.append(percent[-1] + max(percent[-1] - percent[-2] - 3, 6))
    return sorted({-(-p * steps // 100) for p in percent[:-1]})  # the last is beyond the end
