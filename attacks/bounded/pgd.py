"""Many small steps along the gradient, never far from the start: `bim`, `least_likely`, `pgd`.

One loop serves them all, `climb`: run the network, step along the steepest direction of the objective, project back
onto the ball of radius ε, clip to the bounds.  FGSM is one such step, of length ε.  What differs is where it
starts, what it raises, and how long its steps are.

    bim            Kurakin, Goodfellow and Bengio 2016: from the image itself, away from the label
    least_likely   the same, towards the class that the network thinks least likely
    pgd            Madry et al. 2018: from random points of the ball, again and again

Read `plain/pgd.py` first: the same for one image, in plain loops.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from minidl.backend import namespace
from minidl.core import Array
from minidl.errors import DTypeError
from minidl.progress import bar

from ..common.active_set import ActiveSet
from ..common.checks import check_counts, check_number
from ..common.goal import Goal, Targeted
from ..common.norms import Ball, in_order, ladder, norm_named, takes_several
from ..common.objectives import objective_named
from ..common.result import AttackResult
from ..common.run import Run, begin
from ..common.victim import Victim


def climb(
    victim: Victim, active: ActiveSet, goal: Goal, ball: Ball, schedule: Schedule, run: Run | None = None
) -> Iterator[None]:
    """The steps of projected gradient descent:  x ← Π(x + α·steepest(∇ₓ objective)), for all that are active at once.

    active: has their points x (n, ...), which move, and `origin` (n, ...), the middle of their balls.  goal: where the
    steps lead.  run: if given, the network sees each point as the attack would return it (`run.as_returned`), and with
    early stop a point that achieves `run.goal` leaves `active`.  It yields after each step.
    """
    objective, length = objective_named(schedule.name, schedule.objective), schedule.step_at(ball.radius)
    for _ in range(schedule.steps):
        if not len(active):
            return
        seen = active.x if run is None else run.as_returned(active.x, active.origin)
        logits, active.slope = victim.ascent(seen, goal.take(active.rows), objective)
        if run is not None and schedule.early_stop:
            active.drop(run.goal.take(active.rows).achieved(logits.argmax(axis=-1)))
        active.x = ball.step(active.x, active.slope, length, active.origin)  # step, project, clip
        yield


# --- three ways to use it --------------------------------------------------------------------------------


@takes_several
def bim(
    victim: Any,
    x: Array,
    goal: Any,
    *,
    epsilon: float | Sequence[float] = 0.3,
    norm: str = "linf",
    steps: int = 10,
    step: float | None = None,
    objective: str = "cross_entropy",
    early_stop: bool = False,
    clip: bool = True,
    seed: int = 0,
    progress: bool = False,
) -> Any:
    """The basic iterative method:  X₀ = X,  X_{N+1} = Clip_{X,ε}{X_N + α·sign(∇ₓJ(X_N, y))}   (Kurakin et al., §2.2).

    Read `plain.bim` first.

    victim: a network, a function to logits, or a `Victim`.  x (N, ...) within its bounds.  goal: labels (N,),
    `Untargeted(y)` or `Targeted(t)`.
    epsilon: the radius of the ball, at least 0; for a list of them a list of results comes back.  norm: "linf" as in
    the paper, "l2" or "l1", with their own steepest directions and projections (see `norms`).
    steps: how many, at least 1.  step (α): how long each is, ε/steps if None, so that the last just reaches the surface
    of the ball, and ``steps=1`` is FGSM.  The paper takes α = 1 of 255 and `kurakin_steps` of them.
    objective: what is raised, "cross_entropy", "margin" or "dlr" (see `objectives`).
    early_stop: take examples out as soon as they succeed, which costs less and moves them less.  The paper goes on to
    the last step: the images are then misread with more confidence, and survive more.
    clip: keep the images within the bounds.  The seed is accepted, as by every attack, but nothing here is random.

    result.iterations counts each example's steps.  Ctrl-C ends the attack early and returns what there is, with
    ``params["interrupted"]`` set.  Raises as `run.begin` does, and `RangeError` for parameters out of range,
    all before any work.
    """
    schedule = Schedule("bim", norm, steps, step, 1.0, objective, early_stop, clip)
    lengths = ladder("bim", epsilon)
    run = begin("bim", victim, x, goal, seed)
    return _at_each_radius(run, run.goal, schedule, lengths, epsilon, progress)


@takes_several
def least_likely(
    victim: Any,
    x: Array,
    goal: Any,
    *,
    epsilon: float | Sequence[float] = 0.3,
    norm: str = "linf",
    steps: int = 10,
    step: float | None = None,
    clip: bool = True,
    seed: int = 0,
    progress: bool = False,
) -> Any:
    """The iterative least-likely class method:  X_{N+1} = Clip_{X,ε}{X_N - α·sign(∇ₓJ(X_N, y_LL))}.

    Read `plain.least_likely` first.

    Kurakin et al., §2.3.  y_LL is the class that the network thinks least likely for the image as it is.
    goal: labels (N,) or `Untargeted(y)`: success is, as in the paper, any answer but y; `DTypeError` for targets,
    which are chosen here.  All else is as for `bim`.
    """
    schedule = Schedule("least_likely", norm, steps, step, 1.0, "cross_entropy", False, clip)
    lengths = ladder("least_likely", epsilon)
    if isinstance(goal, Targeted):
        raise DTypeError("least_likely", "labels, or Untargeted(y)", "Targeted", "bim(victim, x, Targeted(t))")
    run = begin("least_likely", victim, x, goal, seed)
    return _at_each_radius(run, Targeted(run.clean_logits.argmin(axis=-1)), schedule, lengths, epsilon, progress)


@takes_several
def pgd(
    victim: Any,
    x: Array,
    goal: Any,
    *,
    epsilon: float | Sequence[float] = 0.3,
    norm: str = "linf",
    steps: int = 40,
    step: float | None = None,
    restarts: int = 1,
    random_start: bool = True,
    objective: str = "cross_entropy",
    early_stop: bool = True,
    clip: bool = True,
    seed: int = 0,
    progress: bool = False,
) -> Any:
    """Projected gradient descent from a random x⁰:  xᵗ⁺¹ = Π_{x+S}(xᵗ + α·sign(∇ₓL(θ, xᵗ, y))).

    Read `plain.pgd` first.

    Madry et al. 2018, §2.1.
    step (α): 2.5·ε/steps if None, Madry's rule, by which any point of the ball can be reached from any other.
    restarts: how often an example is tried; only those that still stand are tried again.  random_start: begin at a
    point drawn uniformly from the ball, a function of (seed, index of the example in x, restart) alone;
    False begins at x itself, for which more restarts say nothing new.
    early_stop: take examples out as soon as they succeed.  With it, several ε share their work: from the smallest
    to the greatest, an example that fell stays fallen, and only the others are attacked again.  (So at each ε more
    succeed than would alone, never fewer than at a smaller one.)
    All else is as for `bim`.
    """
    schedule = Schedule("pgd", norm, steps, step, 2.5, objective, early_stop, clip, restarts, random_start)
    lengths = ladder("pgd", epsilon)
    run = begin("pgd", victim, x, goal, seed)
    return _at_each_radius(run, run.goal, schedule, lengths, epsilon, progress)


def kurakin_steps(epsilon: float) -> int:
    """min(ε + 4, 1.25·ε), rounded up: how many steps of α = 1 to take, for ε in units of 255 (Kurakin et al., §2.2)."""
    return math.ceil(min(epsilon + 4, 1.25 * epsilon) - 1e-9)


# --- how to climb, and within what -----------------------------------------------------------------------


@dataclass(frozen=True)
class Schedule:
    """How to climb: checked when it is made.  crossings: how often `steps` steps reach through the radius ε, if
    `step` does not say how long they are."""

    name: str
    norm: str
    steps: int
    step: float | None
    crossings: float
    objective: str
    early_stop: bool
    clip: bool
    restarts: int = 1
    random_start: bool = False

    def __post_init__(self) -> None:
        norm_named(self.name, self.norm)
        objective_named(self.name, self.objective)
        check_counts(self.name, steps=self.steps, restarts=self.restarts)
        if self.step is not None:
            check_number(self.name, "a step of at least 0, or None", self.step)

    def step_at(self, epsilon: float) -> float:
        """The length of a step within a ball of radius ε."""
        return self.crossings * epsilon / self.steps if self.step is None else float(self.step)

    def ball(self, epsilon: float, bounds: tuple[float, float]) -> Ball:
        """Where to stay."""
        return Ball(norm_named(self.name, self.norm), epsilon, bounds if self.clip else None)

    def start(self, ball: Ball, key: int, origin: Array) -> Array:
        """Where all examples begin."""
        return ball.drawn(key, origin) if self.random_start else origin

    def params(self) -> dict[str, Any]:
        """The parameters that a result tells."""
        told = ("norm", "steps", "objective", "early_stop", "clip")
        return {name: getattr(self, name) for name in told + ("restarts", "random_start") * self.random_start}


def _at_each_radius(run: Run, aim: Goal, schedule: Schedule, lengths: list[float], epsilon: Any, progress: bool) -> Any:
    """The results at each ε, in the order asked for; one result if one was asked for.

    aim: where the steps lead, which for least_likely is not the goal by which success is judged.
    """
    x_adv, iterations = run.started()
    standing = run.standing() if schedule.early_stop else ActiveSet(namespace(x_adv).arange(len(x_adv)))
    found: dict[float, AttackResult] = {}
    shown = bar(range(len(set(lengths)) * schedule.restarts * schedule.steps), schedule.name, progress, unit="step")
    with run.interruptible(), shown:
        for radius in sorted(set(lengths)):
            _within(run, aim, schedule, schedule.ball(radius, run.victim.bounds), standing, x_adv, iterations, shown)
            found[radius] = _end(run, schedule, radius, x_adv, iterations)
            if schedule.early_stop:
                standing = ActiveSet.standing(found[radius].success)
    for radius in sorted(set(lengths) - set(found)):  # which Ctrl-C has kept it from
        found[radius] = _end(run, schedule, radius, x_adv, iterations)
    return in_order(epsilon, lengths, found)


def _within(
    run: Run, aim: Goal, schedule: Schedule, ball: Ball, standing: ActiveSet, x_adv: Array, steps: Array, shown: Any
) -> None:
    """All restarts within one ball, of the examples that stand, into x_adv; their steps (N,) are counted."""
    standing = ActiveSet(standing.rows, origin=standing.gather(run.x))  # of our own: the next radius has its own, too
    steps[standing.rows] = 0
    for restart in range(schedule.restarts):
        if restart:  # only those that the last one did not get
            seen = run.as_returned(standing.gather(x_adv), standing.origin)
            standing.drop(run.goal.take(standing.rows).achieved(run.victim.predict(seen)))
        start = standing.gather(schedule.start(ball, run.key(restart), run.x))
        active = ActiveSet(standing.rows, origin=standing.origin, x=start)
        active.scatter(x_adv, active.x)
        for _ in climb(run.victim, active, aim, ball, schedule, run):
            active.scatter(x_adv, active.x)
            active.count(steps)
            shown.update()
            shown.set_postfix(active=len(active), refresh=False)


def _end(run: Run, schedule: Schedule, radius: float, x_adv: Array, iterations: Array) -> AttackResult:
    return run.end(x_adv.copy(), iterations, epsilon=radius, step=schedule.step_at(radius), **schedule.params())
