"""Many steps along the gradient, each projected back onto the ball of radius ε: `bim`, `least_likely`, `pgd`.

One loop serves them all, `projected_gradient_steps`: run the network, step in the direction in which the objective
grows fastest, project back onto the ball, clip to the bounds.  FGSM is one such step, of size ε.  The three differ in
where they start, what they maximise, and how large their steps are.

    bim            Kurakin, Goodfellow and Bengio 2016: from the image itself, away from the label
    least_likely   the same, towards the class that the network finds least likely
    pgd            Madry et al. 2018: from random points of the ball, with restarts

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
from ..common.norms import NORMS, Ball, as_radii, in_order, norm_named, scaled, takes_several
from ..common.objectives import objective_named
from ..common.result import AttackResult
from ..common.run import Run, begin
from ..common.victim import Victim


def projected_gradient_steps(
    victim: Victim, active: ActiveSet, goal: Goal, ball: Ball, schedule: Schedule, run: Run | None = None
) -> Iterator[None]:
    """The loop:  x ← Π(x + α·steepest(∇ₓ objective)), for all active examples at once.  It yields after each step.

    victim: the network under attack.
    active: the examples, with their points x (n, ...), which move, and `origin` (n, ...), the centres of their balls.
    goal: what the steps lead to, for the whole batch.
    ball: where the points stay.
    schedule: the objective, how many steps, and their size.
    run: if given, the network sees each point as the attack would return it (`run.as_returned`), and with early stop a
    point that achieves `run.goal` leaves `active`.
    """
    objective, size = objective_named(schedule.name, schedule.objective), schedule.step_at(ball.radius)
    for _ in range(schedule.steps):
        if not len(active):
            return
        points = active.x if run is None else run.as_returned(active.x, active.origin)
        logits, gradient = victim.logits_and_gradient(points, goal.take(active.rows), objective)
        active.gradient = schedule.with_momentum(gradient, getattr(active, "gradient", None))
        if run is not None and schedule.early_stop:
            active.drop(run.goal.take(active.rows).achieved(logits.argmax(axis=-1)))
        active.x = ball.step(active.x, active.gradient, size, active.origin)  # step, project, clip
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
    momentum: float = 0.0,
    early_stop: bool = False,
    clip: bool = True,
    seed: int = 0,
    progress: bool = False,
) -> Any:
    """The basic iterative method:  X₀ = X,  X_{N+1} = Clip_{X,ε}{X_N + α·sign(∇ₓJ(X_N, y))}.

    With momentum it is MI-FGSM, whose images are more often misclassified by other networks, too: the steps follow
    g_{N+1} = μ·g_N + ∇ₓJ(X_N, y)/‖∇ₓJ(X_N, y)‖₁  instead of ∇ₓJ.  Read `plain.bim` first.

    victim: a network, a function to logits, or a `Victim`.
    x: images (N, ...), floating point, within the victim's bounds.
    goal: labels (N,), `Untargeted(y)` or `Targeted(t)`.
    epsilon: the radius of the ball, at least 0.  A sequence of radii returns a list of results.
    norm: "linf", as in the paper; "l2" or "l1" have their own steepest directions and projections (see `norms`).
    steps: how many, at least 1.  With one step it is FGSM.
    step: the step size α, at least 0.  None is ε/steps, so that the last step just reaches the surface of the ball.
    The paper takes α = 1 of 255, and `kurakin_steps` of them.
    objective: what is maximised: "cross_entropy", "margin" or "dlr" (see `objectives`).
    momentum: μ, at least 0.  0 is BIM; Dong et al. take 1.
    early_stop: whether an example leaves as soon as it is successful.  That costs less and moves it less.  The paper
    takes all steps: its images are misclassified with more confidence, and survive more transformations.
    clip: whether to keep the images within the bounds.
    seed: not used: nothing here is random.
    progress: whether to show a bar over the steps.

    Returns: an `AttackResult`; `iterations` (N,) counts the steps of each example.  After Ctrl-C it holds what was
    reached by then, with ``params["interrupted"]`` set.
    Raises: as `run.begin` does, and `RangeError` for a parameter out of range, before any work.
    Source: Kurakin, Goodfellow and Bengio 2016, §2.2; momentum: Dong et al. 2018, Algorithm 1.

    >>> import numpy as np
    >>> from attacks import bim
    >>> from minidl import models
    >>> x = np.full((2, 784), 0.5, dtype=np.float32)
    >>> result = bim(models.mlp(seed=0), x, np.array([3, 5]), epsilon=0.1, steps=2)
    >>> [f"{distance:.2f}" for distance in result.linf]
    ['0.10', '0.10']
    """
    schedule = Schedule("bim", norm, steps, step, 1.0, objective, early_stop, clip, momentum=momentum)
    radii = as_radii("bim", epsilon)
    run = begin("bim", victim, x, goal, seed)
    return _at_each_radius(run, run.goal, schedule, radii, epsilon, progress)


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

    y_LL is the class of the smallest logit for the image as it is.  Read `plain.least_likely` first.

    victim: a network, a function to logits, or a `Victim`.
    x: images (N, ...), floating point, within the victim's bounds.
    goal: labels (N,) or `Untargeted(y)`: as in the paper, any prediction but y is a success.  The targets are chosen
    here, so that `Targeted` raises `DTypeError`.
    epsilon: the radius of the ball, at least 0.  A sequence of radii returns a list of results.
    norm: "linf", as in the paper, "l2" or "l1".
    steps: how many, at least 1.
    step: the step size α, at least 0; None is ε/steps.
    clip: whether to keep the images within the bounds.
    seed: not used: nothing here is random.
    progress: whether to show a bar over the steps.

    Returns: an `AttackResult`; `iterations` (N,) counts the steps of each example.  After Ctrl-C it holds what was
    reached by then, with ``params["interrupted"]`` set.
    Raises: as `run.begin` does, and `RangeError` for a parameter out of range, before any work.
    Source: Kurakin, Goodfellow and Bengio 2016, §2.3.

    >>> import numpy as np
    >>> from attacks import least_likely
    >>> from minidl import models
    >>> x = np.full((2, 784), 0.5, dtype=np.float32)
    >>> least_likely(models.mlp(seed=0), x, np.array([3, 5]), epsilon=0.1, steps=2).iterations.tolist()
    [2, 2]
    """
    schedule = Schedule("least_likely", norm, steps, step, 1.0, "cross_entropy", False, clip)
    radii = as_radii("least_likely", epsilon)
    if isinstance(goal, Targeted):
        raise DTypeError("least_likely", "labels, or Untargeted(y)", "Targeted", "bim(victim, x, Targeted(t))")
    run = begin("least_likely", victim, x, goal, seed)
    return _at_each_radius(run, Targeted(run.clean_logits.argmin(axis=-1)), schedule, radii, epsilon, progress)


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
    """Projected gradient descent from a random point x⁰ of the ball:  xᵗ⁺¹ = Π_{x+S}(xᵗ + α·sign(∇ₓL(θ, xᵗ, y))).

    Read `plain.pgd` first.

    victim: a network, a function to logits, or a `Victim`.
    x: images (N, ...), floating point, within the victim's bounds.
    goal: labels (N,), `Untargeted(y)` or `Targeted(t)`.
    epsilon: the radius of the ball, at least 0.  A sequence of radii returns a list of results.  With early stop they
    share their work: from the smallest radius to the largest, an example that is successful stays successful, and only
    the others are attacked again.  So at each radius more examples are successful than without sharing, never fewer.
    norm: "linf", "l2" or "l1".
    steps: how many, at least 1.
    step: the step size α, at least 0.  None is 2.5·ε/steps, Madry's rule: from any point of the ball, the steps can
    reach any other.
    restarts: how many random starts an example has, at least 1.  Only examples that are not yet successful start again.
    random_start: whether to start at a point drawn uniformly from the ball, a function of (seed, index of the example
    in x, restart) alone.  False starts at x itself, where more restarts bring nothing new.
    objective: what is maximised: "cross_entropy", "margin" or "dlr" (see `objectives`).
    early_stop: whether an example leaves as soon as it is successful.
    clip: whether to keep the images within the bounds.
    seed: a whole number, of which the random starts are a function.
    progress: whether to show a bar over the steps.

    Returns: an `AttackResult`; `iterations` (N,) counts the steps of each example.  After Ctrl-C it holds what was
    reached by then, with ``params["interrupted"]`` set.
    Raises: as `run.begin` does, and `RangeError` for a parameter out of range, before any work.
    Source: Madry, Makelov, Schmidt, Tsipras and Vladu 2018, §2.1.

    >>> import numpy as np
    >>> from attacks import pgd
    >>> from minidl import models
    >>> x = np.full((2, 784), 0.5, dtype=np.float32)
    >>> small, large = pgd(models.mlp(seed=0), x, np.array([3, 5]), epsilon=[0.01, 0.1], steps=5)
    >>> bool((small.linf <= 0.011).all()), bool((large.success >= small.success).all())
    (True, True)
    """
    schedule = Schedule("pgd", norm, steps, step, 2.5, objective, early_stop, clip, restarts, random_start)
    radii = as_radii("pgd", epsilon)
    run = begin("pgd", victim, x, goal, seed)
    return _at_each_radius(run, run.goal, schedule, radii, epsilon, progress)


def kurakin_steps(epsilon: float) -> int:
    """min(ε + 4, 1.25·ε), rounded up: how many steps of α = 1 to take, for pixels from 0 to 255.

    epsilon: the radius, in units of 255, at least 0.

    Returns: a whole number.
    Source: Kurakin, Goodfellow and Bengio 2016, §2.2.

    >>> from attacks import kurakin_steps
    >>> kurakin_steps(8), kurakin_steps(32)
    (10, 36)
    """
    return math.ceil(min(epsilon + 4, 1.25 * epsilon) - 1e-9)


# --- the parameters of the loop --------------------------------------------------------------------------


@dataclass(frozen=True)
class Schedule:
    """How many steps to take, of which size, and within which ball.  It is checked when it is made.

    name: of the attack, for its errors.
    crossings: if `step` is None, all steps together are this many radii long.
    The other fields are the parameters of `bim` and `pgd`.
    """

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
    momentum: float = 0.0

    def __post_init__(self) -> None:
        norm_named(self.name, self.norm)
        objective_named(self.name, self.objective)
        check_counts(self.name, steps=self.steps, restarts=self.restarts)
        check_number(self.name, "a momentum of at least 0", self.momentum)
        if self.step is not None:
            check_number(self.name, "a step of at least 0, or None", self.step)

    def step_at(self, epsilon: float) -> float:
        """The step size within a ball of radius ε."""
        return self.crossings * epsilon / self.steps if self.step is None else float(self.step)

    def ball(self, epsilon: float, bounds: tuple[float, float]) -> Ball:
        """The ball of radius ε, and within the bounds if the images are clipped."""
        return Ball(norm_named(self.name, self.norm), epsilon, bounds if self.clip else None)

    def start(self, ball: Ball, key: int, origin: Array) -> Array:
        """The points at which the examples start: `origin` itself, or drawn from the ball by the key."""
        return ball.drawn(key, origin) if self.random_start else origin

    def with_momentum(self, gradient: Array, previous: Array | None) -> Array:
        """The direction of a step: the gradient (n, ...), or with momentum μ·previous + gradient/‖gradient‖₁."""
        if not self.momentum:
            return gradient
        direction = scaled(gradient, NORMS["l1"].length(gradient))
        return direction if previous is None else self.momentum * previous + direction

    def params(self) -> dict[str, Any]:
        """The parameters that a result lists."""
        names = ("norm", "steps", "objective", "early_stop", "clip") + ("momentum",) * (self.momentum > 0)
        return {name: getattr(self, name) for name in names + ("restarts", "random_start") * self.random_start}


def _at_each_radius(
    run: Run, steps_goal: Goal, schedule: Schedule, radii: list[float], epsilon: Any, progress: bool
) -> Any:
    """The results at each ε, in the order asked for; one result if one was asked for.

    steps_goal: what the steps lead to.  For least_likely that is not the goal by which success is counted.
    """
    x_adv, iterations = run.started()
    active = run.not_yet_successful() if schedule.early_stop else ActiveSet(namespace(x_adv).arange(len(x_adv)))
    results: dict[float, AttackResult] = {}
    steps_bar = bar(range(len(set(radii)) * schedule.restarts * schedule.steps), schedule.name, progress, unit="step")
    with run.interruptible(), steps_bar:
        for radius in sorted(set(radii)):
            ball = schedule.ball(radius, run.victim.bounds)
            _within(run, steps_goal, schedule, ball, active, x_adv, iterations, steps_bar)
            results[radius] = _end(run, schedule, radius, x_adv, iterations)
            if schedule.early_stop:
                active = ActiveSet.without(results[radius].success)
    for radius in sorted(set(radii) - set(results)):  # after Ctrl-C, the radii that were not reached
        results[radius] = _end(run, schedule, radius, x_adv, iterations)
    return in_order(epsilon, radii, results)


def _within(
    run: Run, steps_goal: Goal, schedule: Schedule, ball: Ball, examples: ActiveSet, x_adv: Array, steps: Array,
    steps_bar: Any,
) -> None:  # fmt: skip
    """All restarts within one ball, into x_adv; the steps (N,) of each example are counted."""
    remaining = ActiveSet(examples.rows, origin=examples.gather(run.x))  # a copy: the next radius needs the original
    steps[remaining.rows] = 0
    for restart in range(schedule.restarts):
        if restart:  # only those that are not yet successful
            points = run.as_returned(remaining.gather(x_adv), remaining.origin)
            remaining.drop(run.goal.take(remaining.rows).achieved(run.victim.predict(points)))
        start = remaining.gather(schedule.start(ball, run.key(restart), run.x))
        active = ActiveSet(remaining.rows, origin=remaining.origin, x=start)
        active.scatter(x_adv, active.x)
        for _ in projected_gradient_steps(run.victim, active, steps_goal, ball, schedule, run):
            active.scatter(x_adv, active.x)
            active.count(steps)
            steps_bar.update()
            steps_bar.set_postfix(active=len(active), refresh=False)


def _end(run: Run, schedule: Schedule, radius: float, x_adv: Array, iterations: Array) -> AttackResult:
    return run.end(x_adv.copy(), iterations, epsilon=radius, step=schedule.step_at(radius), **schedule.params())
