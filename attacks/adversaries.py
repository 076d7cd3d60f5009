"""Adversaries to train against: `FGSMAdversary` (Goodfellow et al. 2014) and `PGDAdversary` (Madry et al. 2018).

`minidl.train.fit(net, data, adversary=...)` calls one with every batch, and trains on

    α·J(θ, x, y) + (1-α)·J(θ, x', y),    ‖x' - x‖ ≤ ε

with the images x' that it returns.  They are made against the network as it is just then, without dropout, and are
constants to the training gradient: nothing is differentiated through the making of them.
Any function of (net, x, y, moment) that has an `alpha` will do in their place.
"""

from __future__ import annotations

from dataclasses import dataclass

from minidl.backend import namespace
from minidl.core import Array
from minidl.models import Sequential
from minidl.train import TrainingStep

from .bounded.pgd import Schedule, projected_gradient_steps
from .common.active_set import ActiveSet
from .common.checks import check_number
from .common.goal import Goal, Untargeted
from .common.norms import Ball, Bounds, norm_named
from .common.precision import in_dtype_of, in_single
from .common.victim import Victim


@dataclass(frozen=True)
class BoundedAdversary:
    """What the two have in common: a ball to stay in, that may grow, and bounds to keep.

    epsilon: its radius, at least 0; norm: "linf", "l2" or "l1".  alpha (α): what the clean images count, 0 to 1.
    warm_up: over so many epochs ε grows evenly from 0.  bounds: the least and greatest value of a pixel; clip: keep
    x' within them.
    Raises `RangeError` for parameters out of range; when called, as `Victim.check_images` does.
    """

    epsilon: float = 0.3
    alpha: float = 0.0
    norm: str = "linf"
    warm_up: float = 0.0
    bounds: tuple[float, float] = (0.0, 1.0)
    clip: bool = True

    def __post_init__(self) -> None:
        name = type(self).__name__
        check_number(name, "epsilon of at least 0, finite", self.epsilon)
        check_number(name, "warm_up of at least 0, finite", self.warm_up)
        check_number(name, "alpha from 0 to 1", self.alpha, most=1)
        norm_named(name, self.norm)
        Victim(lambda x: x, self.bounds)  # refuses bounds that are none

    def radius(self, moment: TrainingStep) -> float:
        """ε at that moment."""
        return self.epsilon * min(1.0, moment.epochs / self.warm_up) if self.warm_up else self.epsilon

    def __call__(self, net: Sequential, x: Array, y: Array, moment: TrainingStep) -> Array:
        """x' (n, ...) for the images x (n, ...) with labels y (n,), in their dtype."""
        victim = Victim(net, self.bounds, max(len(x), 1))
        victim.check_images(type(self).__name__, x)
        bounds = self.bounds if self.clip else None
        images = self.images(victim, in_single(x), Untargeted(y), self.radius(moment), bounds, moment.key)
        return in_dtype_of(images, x)

    def images(self, victim: Victim, x: Array, goal: Goal, radius: float, bounds: Bounds, key: int) -> Array:
        """x' within the radius and the bounds; what is random in it comes from the key."""
        raise NotImplementedError


@dataclass(frozen=True)
class FGSMAdversary(BoundedAdversary):
    """x' = x + ε·sign(∇ₓJ(θ, x, y)), and clean images beside them   (Goodfellow, Shlens and Szegedy 2014, §6).

    The defaults are the paper's ε = .25 and α = .5; parameters are those of `BoundedAdversary`.  The paper does not
    say that it clips; ``clip=False`` is its letter.
    """

    epsilon: float = 0.25
    alpha: float = 0.5

    def images(self, victim: Victim, x: Array, goal: Goal, radius: float, bounds: Bounds, key: int) -> Array:
        return norm_named("FGSMAdversary", self.norm).move(x, victim.gradient(x, goal), radius, bounds)


@dataclass(frozen=True)
class PGDAdversary(BoundedAdversary):
    """x' from projected gradient descent, alone: min_θ E[max_{‖δ‖≤ε} J(θ, x + δ, y)]   (Madry et al. 2018, eq. 2.1).

    x' is where `pgd` without early stop ends.  steps, step and random_start are its parameters, the others those of
    `BoundedAdversary`; a step of None is 2.5·ε/steps, and grows with ε while that is warming up.  The paper trains
    with ``PGDAdversary(0.3, steps=40, step=0.01)``, from which ours differs in its few, long steps.

    With ε whole from the start, training may begin by giving up: all classes equally likely, whatever the image.
    Warming up helps.  ``steps=1, step=1.25 * epsilon`` is the fast method of Wong, Rice and Kolter 2020, and as
    treacherous as they say: watch the accuracy under `pgd`, which may be 0 while that under one step nears 1.
    """

    steps: int = 7
    step: float | None = None
    random_start: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.schedule()

    def schedule(self) -> Schedule:
        """The steps that `pgd` would take."""
        return Schedule("PGDAdversary", self.norm, self.steps, self.step, 2.5, "cross_entropy", False, self.clip, 1,
                    self.random_start)  # fmt: skip

    def images(self, victim: Victim, x: Array, goal: Goal, radius: float, bounds: Bounds, key: int) -> Array:
        schedule, ball = self.schedule(), Ball(norm_named("PGDAdversary", self.norm), radius, bounds)
        active = ActiveSet(namespace(x).arange(len(x)), x=schedule.start(ball, key, x), origin=x)
        for _ in projected_gradient_steps(victim, active, goal, ball, schedule):
            pass
        return active.x
