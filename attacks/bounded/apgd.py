"""Auto-PGD (Croce and Hein 2020): projected gradient ascent that finds its own step sizes, from several sides.

`pgd` wants a step size, and a poor one makes a network look robust that is not.  Here each example starts with steps of
2ε and halves them, going back to the best point so far, whenever a part of the way has brought little (Algorithm 1).
A network can also look robust because one objective is flat where it stands: so several are tried in turn, each on what
the others have left; or because all of them are, and then random squares, which need no slope, may still find a way.
What withstands them too is the robust accuracy to report.

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
from ..common.norms import Ball, Norm, in_order, ladder, norm_named, per_example, takes_several
from ..common.objectives import OBJECTIVES, Objective, margin, positive, ranked
from ..common.result import AttackResult
from ..common.run import Run, begin
from .square import INITIAL_SHARE, search

#: α, how much of a step is new, the rest being the last step again; ρ, how often a step must be uphill (§3.2).
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
    """The strongest of our attacks within a given ε, and the measure of robust accuracy:  1 - result.success.mean().

    Read `plain.apgd` first.

    victim: a network, a function to logits, or a `Victim`.  x (N, ...) within its bounds, where the images are kept.
    goal: labels (N,), `Untargeted(y)` or `Targeted(t)`.  epsilon: the radius of the ball, at least 0; for a list of
    them a list of results comes back, and an example that fell at a smaller ε stays fallen.  norm: "linf" or "l2".
    steps: N_iter, at least 1.
    objective: one or several of "cross_entropy", "margin", "dlr" and "targeted_dlr", tried in this order, each only on
    what still stands; if None, cross_entropy, dlr and targeted_dlr where there are enough classes for the ratios (see
    `usual_objectives`).  "targeted_dlr" leads away from y to each of the `targets` likeliest other classes in turn, the
    likeliest first (their APGD-T, eq. 7); towards a target it says nothing new and is left out.
    restarts: how often all of that is done.  Each attempt begins at a point of its own (see `drawn`), a function of
    (seed, index of the example in x, number of the attempt) alone.
    queries: last, the Square attack with so many, once, on what still stands; 0 leaves it out.  It does not believe in
    slopes: attacks that do overestimate the robustness of networks that hide theirs, such as by thresholds, most of
    all.  It is left out, too, in L2, and for x other than images (N, C, H, W).

    Of one attempt's points an example keeps the first that succeeds, and leaves; or else the one of the highest
    objective.  Of several failed attempts it keeps the one that came closest to the goal (the greatest margin).
    result.iterations counts the steps of all its attempts, and its queries.  Ctrl-C ends the attack early and returns
    what there is, with ``params["interrupted"]`` set.

    This is theirs: momentum, checkpoints, both conditions for halving.  In L∞ we begin at corners of the ball, they at
    uniform draws that are stretched to its surface.  Of the authors' ensemble, AutoAttack, only FAB is left out.
    Raises as `run.begin` does, `RangeError` for parameters out of range, before any work, and `ShapeError` for a
    ratio of more logits than there are classes.
    """
    one = isinstance(objective, str) or not isinstance(objective, Sequence)
    named: tuple[Any, ...] = (objective,) if one else tuple(objective)  # type: ignore[arg-type]
    _check(norm, ("margin",) if objective is None else named, steps=steps, restarts=restarts, targets=targets)
    check_counts("apgd", least=0, queries=queries)
    lengths = ladder("apgd", epsilon)
    run = begin("apgd", victim, x, goal, seed)
    named = usual_objectives(run.classes, run.goal) if objective is None else named
    attempts = [attempt for name in named for attempt in _attempts(run, name, targets)] * restarts
    if not attempts:
        raise RangeError("apgd", "an objective for targets", f"{list(named)}", 'objective="dlr"')
    found: dict[float, AttackResult] = {}
    queries = int(queries) if norm == "linf" and x.ndim == 4 else 0
    params = {"norm": norm, "steps": steps, "restarts": restarts, "objective": list(named), "targets": targets,
              "queries": queries}  # fmt: skip
    (x_adv, iterations), active = run.started(), run.standing()
    shown = bar(range(len(set(lengths)) * (len(attempts) * steps + queries)), "APGD", progress, unit="step")
    with run.interruptible(), shown:
        for radius in sorted(set(lengths)):
            ball = Ball(norm_named("apgd", norm), radius, run.victim.bounds)
            _attack(run, active, x_adv, iterations, attempts, ball, steps, queries, shown)
            found[radius] = run.end(x_adv.copy(), iterations, epsilon=radius, **params)
            active = ActiveSet.standing(found[radius].success)
    for radius in sorted(set(lengths) - set(found)):  # which Ctrl-C has kept it from
        found[radius] = run.end(x_adv.copy(), iterations, epsilon=radius, **params)
    return in_order(epsilon, lengths, found)


def _check(norm: Any, named: tuple[Any, ...], **numbers: Any) -> None:
    known = [*OBJECTIVES, "targeted_dlr"]
    if norm not in NORM_NAMES:
        raise RangeError("apgd", f"a norm of {list(NORM_NAMES)}", repr(norm))
    if not named or any(name not in known for name in named):
        raise RangeError("apgd", f"one or more objectives of {known}", f"{list(named)}")
    check_counts("apgd", **numbers)


# --- from which sides ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Toward(Untargeted):
    """Any class but y, by way of one in particular: targets (N,)."""

    targets: Array

    def take(self, which: Any) -> Goal:
        return Toward(self.labels[which], self.targets[which])


def targeted_dlr(goal: Any, logits: Array) -> Array:
    """(Z_t - Z_y)/(Z_π1 - ½(Z_π3 + Z_π4)), with π the order of the logits from the greatest.  Croce and Hein, eq. 7."""
    rows = namespace(goal.labels).arange(len(goal.labels))
    z_t, z_y = (ops.index(logits, (rows, classes)) for classes in (goal.targets, goal.labels))
    first, third, fourth = (ranked(logits, place) for place in (0, 2, 3))
    return (z_t - z_y) / positive(first - 0.5 * (third + fourth))


def usual_objectives(classes: int, goal: Goal) -> tuple[str, ...]:
    """The paper's three objectives; with fewer classes those that there are, and the margin in place of its ratio."""
    needed = 3 if goal.direction > 0 else 4
    return ("cross_entropy", "dlr" if classes >= needed else "margin", *["targeted_dlr"] * (classes >= 4))


def _attempts(run: Run, name: str, targets: int) -> list[tuple[Goal, Objective]]:
    """What is raised, and for which goal, in each of the attempts by that name."""
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
    return [(Toward(y, likeliest[:, i]), targeted_dlr) for i in range(min(targets, run.classes - 1))]


def drawn(norm: Norm, key: int, x: Array, radius: float) -> Array:
    """Where an attempt begins: in L∞ at a corner of the ball, every pixel at ±ε; in L2 anywhere in it.

    Networks that were trained to withstand L∞ attacks on digits learn thresholds, and between them there is no slope:
    at a corner each pixel stands clear of its threshold.
    """
    return radius * kernels(x).random_signs(key, x) if norm.name == "linf" else norm.random(key, x, radius)


def _attack(
    run: Run, active: ActiveSet, x_adv: Array, iterations: Array, attempts: list[tuple[Goal, Objective]], ball: Ball,
    steps: int, queries: int, shown: Any,
) -> None:  # fmt: skip
    """All attempts within one radius, each on what still stands, in place."""
    active.closest = namespace(x_adv).full(len(active), -math.inf, dtype=x_adv.dtype)
    iterations[active.rows] = 0

    def attempt(climb: Callable[..., None], *arguments: Any) -> None:
        """One more, from which what is better is kept, also when Ctrl-C has ended it; who has fallen leaves."""
        found = run.x.copy()
        try:
            climb(run, ActiveSet(active.rows), found, iterations, *arguments, shown)
        finally:
            found, aim = active.gather(found), run.goal.take(active.rows)
            logits = run.victim.logits(run.as_returned(found, active.gather(run.x)))
            achieved, reached = aim.achieved(logits.argmax(axis=-1)), margin(aim, logits)
            better = achieved | (reached > active.closest)
            active.scatter(x_adv, found, better)
            active.closest[better] = reached[better]
            active.drop(achieved)

    for number, (goal, objective) in enumerate(attempts):
        if len(active):
            start = run.x + drawn(ball.norm, run.key(number), run.x, ball.radius)
            attempt(climb, goal, objective, ball, start, steps)
    if queries and len(active):
        attempt(search, ball.radius, queries, INITIAL_SHARE)


# --- Algorithm 1 -----------------------------------------------------------------------------------------


def climb(
    run: Run, walk: ActiveSet, found: Array, iterations: Array, goal: Goal, objective: Objective, ball: Ball,
    start: Array, steps: int, shown: Any,
) -> None:  # fmt: skip
    """Algorithm 1, from `start` (N, ...): what the walkers come to goes into `found`, and their steps are counted.

    Whoever succeeds leaves.  The walk has of each: x, x⁽ᵏ⁾; before, x⁽ᵏ⁻¹⁾; origin, the middle of its ball; slope,
    ∇f(x⁽ᵏ⁾); f, f(x⁽ᵏ⁾); uphill, whether f(x⁽ᵏ⁾) > f(x⁽ᵏ⁻¹⁾); x_max, slope_max and f_max, where f was greatest; eta, η,
    the length of a step; and of the time since the last checkpoint: rises, how many steps were uphill; halved, whether
    η was halved there; f_max_then, f_max there.
    """
    xp, n, walk.origin = namespace(start), len(walk), walk.gather(run.x)
    walk.x = walk.before = walk.slope = ball.back(walk.gather(start), walk.origin)
    walk.x_max, walk.slope_max, walk.eta = walk.x.copy(), walk.x.copy(), xp.full(n, 2 * ball.radius, dtype=start.dtype)
    walk.f = walk.f_max_then = xp.full(n, -xp.inf, dtype=start.dtype)
    walk.f_max, walk.rises = walk.f.copy(), xp.zeros(n, dtype="int64")
    walk.uphill = walk.halved = xp.zeros(n, dtype=bool)
    marks, last = checkpoints(steps), 0
    try:
        _look(run, walk, found, goal, objective)
        for k in range(steps):
            if not len(walk):
                break
            going = ActiveSet(walk.rows)
            _step(walk, ball, ALPHA if k else 1.0)
            _look(run, walk, found, goal, objective)
            going.count(iterations)
            if k in marks:
                judge(walk, k - last)
                last = k
            shown.update()
            shown.set_postfix(active=len(walk), refresh=False)
    finally:
        walk.scatter(found, walk.x_max)


def _step(walk: ActiveSet, ball: Ball, alpha: float) -> None:
    """x⁽ᵏ⁺¹⁾ = P(x⁽ᵏ⁾ + α(z - x⁽ᵏ⁾) + (1-α)(x⁽ᵏ⁾ - x⁽ᵏ⁻¹⁾)), with z = P(x⁽ᵏ⁾ + η·steepest(∇f)), a step of `pgd`."""
    z = ball.step(walk.x, walk.slope, walk.eta, walk.origin)
    x = walk.x + alpha * (z - walk.x) + (1 - alpha) * (walk.x - walk.before)
    walk.x, walk.before, walk.rises = ball.back(x, walk.origin), walk.x, walk.rises + walk.uphill


def _look(run: Run, walk: ActiveSet, found: Array, goal: Goal, objective: Objective) -> None:
    """The objective and its slope at x, and what follows: the best so far, and who is done."""
    aim, before = goal.take(walk.rows), walk.f
    logits, walk.slope = run.victim.ascent(run.as_returned(walk.x, walk.origin), aim, objective)
    walk.f = objective(aim, logits)
    walk.uphill, better = walk.f > before, walk.f > walk.f_max
    for best, now in ((walk.x_max, walk.x), (walk.slope_max, walk.slope), (walk.f_max, walk.f)):
        best[better] = now[better]
    done = aim.achieved(logits.argmax(axis=-1))
    walk.scatter(found, walk.x, done)
    walk.drop(done)


def judge(walk: ActiveSet, steps: int) -> None:
    """At a checkpoint, `steps` after the last: η is halved, and the walk back at x_max, if little was gained.

    Condition 1: fewer than ρ of the steps were uphill.  Condition 2: since the last checkpoint, where η was not
    halved, f_max has not grown.
    """
    xp = namespace(walk.x)
    back = (walk.rises < RHO * steps) | (~walk.halved & (walk.f_max == walk.f_max_then))
    far = per_example(back, walk.x)
    walk.x, walk.slope = xp.where(far, walk.x_max, walk.x), xp.where(far, walk.slope_max, walk.slope)
    walk.f, walk.eta = xp.where(back, walk.f_max, walk.f), xp.where(back, walk.eta / 2, walk.eta)
    walk.rises, walk.halved, walk.f_max_then = xp.zeros_like(walk.rises), back, walk.f_max.copy()


def checkpoints(steps: int) -> list[int]:
    """w_j = ⌈p_j·N⌉, with p_0 = 0, p_1 = .22 and p_{j+1} = p_j + max(p_j - p_{j-1} - .03, .06) (§3.2)."""
    percent = [0, 22]
    while percent[-1] < 100:
        percent.append(percent[-1] + max(percent[-1] - percent[-2] - 3, 6))
    return sorted({-(-p * steps // 100) for p in percent[:-1]})  # the last is beyond the end
