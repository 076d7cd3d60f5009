"""Adversaries for training: `FGSMAdversary` (Goodfellow et al. 2014) and `PGDAdversary` (Madry et al. 2018).

`minidl.train.fit(net, data, adversary=...)` calls one for every batch, and trains on

    α·J(θ, x, y) + (1-α)·J(θ, x', y),    ‖x' - x‖ ≤ ε

with the images x' that it returns.  They are made against the network as it is at that step, without dropout, and are
constants in the training gradient.  Any function of (net, x, y, moment) with an attribute `alpha` can be an adversary.
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
    """An adversary with perturbations in a ball: what `FGSMAdversary` and `PGDAdversary` share.

    epsilon: the radius ε of the ball, at least 0.
    alpha: α, the weight of the clean images, from 0 to 1.
    norm: "linf", "l2" or "l1".
    warm_up: over how many epochs ε grows evenly from 0, at least 0.
    bounds: the least and the greatest value of a pixel.
    clip: whether to keep x' within the bounds.

    A subclass has a method `images`.
    Raises: `RangeError` for a parameter out of range; when called, as `Victim.check_images` does.
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
        Victim(lambda x: x, self.bounds)  # raises for bounds out of range

    def radius(self, moment: TrainingStep) -> float:
        """ε at that step of training."""
        return self.epsilon * min(1.0, moment.epochs / self.warm_up) if self.warm_up else self.epsilon

    def __call__(self, net: Sequential, x: Array, y: Array, moment: TrainingStep) -> Array:
        """x' (n, ...) for the images x (n, ...) with labels y (n,), in their dtype."""
        victim = Victim(net, self.bounds, max(len(x), 1))
        victim.check_images(type(self).__name__, x)
        bounds = self.bounds if self.clip else None
        images = self.images(victim, in_single(x), Untargeted(y), self.radius(moment), bounds, moment.key)
        return in_dtype_of(images, x)

    def images(self, victim: Victim, x: Array, goal: Goal, radius: float, bounds: Bounds, key: int) -> Array:
        """x' within the radius and the bounds; its random numbers are a function of the key."""
        raise NotImplementedError


@dataclass(frozen=True)
class FGSMAdversary(BoundedAdversary):
    """x' = x + ε·sign(∇ₓJ(θ, x, y)), and clean images beside them.

    epsilon: the radius ε of the ball, at least 0.
    alpha: α, the weight of the clean images, from 0 to 1.
    norm: "linf", "l2" or "l1".
    warm_up: over how many epochs ε grows evenly from 0, at least 0.
    bounds: the least and the greatest value of a pixel.
    clip: whether to keep x' within the bounds.

    Raises: `RangeError` for a parameter out of range.
    Source: Goodfellow, Shlens and Szegedy 2014, §6, with ε = .25 and α = .5.  The paper does not say that it clips.

    >>> import numpy as np
    >>> from attacks import FGSMAdversary
    >>> from minidl import Dataset, fit, models
    >>> data = Dataset(np.zeros((4, 1, 28, 28), np.float32), np.array([0, 1, 2, 3]))
    >>> len(fit(models.softmax_regression(), data, epochs=1, adversary=FGSMAdversary(0.1), progress=False))
    1
    """

    epsilon: float = 0.25
    alpha: float = 0.5

    def images(self, victim: Victim, x: Array, goal: Goal, radius: float, bounds: Bounds, key: int) -> Array:
        return norm_named("FGSMAdversary", self.norm).move(x, victim.gradient(x, goal), radius, bounds)


@dataclass(frozen=True)
class PGDAdversary(BoundedAdversary):
    """x' from projected gradient descent: min_θ E[max_{‖δ‖≤ε} J(θ, x + δ, y)].

    epsilon: the radius ε of the ball, at least 0.
    alpha: α, the weight of the clean images, from 0 to 1.
    norm: "linf", "l2" or "l1".
    warm_up: over how many epochs ε grows evenly from 0, at least 0.
    bounds: the least and the greatest value of a pixel.
    clip: whether to keep x' within the bounds.
    steps: how many, at least 1.
    step: the step size, at least 0; None is 2.5·ε/steps.
    random_start: whether to start at a random point of the ball.

    x' is the last point of `pgd` without early stop.  With the whole ε from the start, training may fail: all classes
    become equally likely for every image.  Warming up helps.  ``PGDAdversary(steps=1, step=1.25 * epsilon)`` is the
    fast method of Wong, Rice and Kolter 2020.  As they say, it may
    fail: watch the accuracy under `pgd`, which may be 0 while that under one step is near 1.

    Raises: `RangeError` for a parameter out of range.
    Source:  Madry et al. 2018, eq. 2.1.  They train with ``PGDAdversary(0.3, steps=40, step=0.01)``; the defaults here
    are fewer and larger steps.

    >>> import numpy as np
    >>> from attacks import PGDAdversary
    >>> from minidl import Dataset, fit, models
    >>> data = Dataset(np.zeros((4, 1, 28, 28), np.float32), np.array([0, 1, 2, 3]))
    >>> len(fit(models.softmax_regression(), data, epochs=1, adversary=PGDAdversary(0.1), progress=False))
    1
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
