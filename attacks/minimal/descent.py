"""The inner loop of Carlini and Wagner's attacks: Adam over w, with images that are a tanh of w.

A *trial* minimises  D(δ) + c·f(x + δ)  of one example for one c, from where the last trial ended.  It ends when the
loss has stalled, or after the last step; then the attack says what the example tries next.  Trials of one batch begin
and end at different steps, so that the batch stays full.

Pixels and distances are in units of the bounds (see `units`), so that c and all constants mean the same for any bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import atanh
from typing import Any

import numpy as np

from minidl import ops
from minidl.backend import kernels, namespace
from minidl.core import Array
from minidl.derivatives import grad

from ..common.active_set import ActiveSet
from ..common.goal import Goal
from ..common.objectives import margin, rounding_tolerance
from ..common.run import Run
from ..common.units import Units

STRETCH = 1.1  # the range of tanh ÷ that of the pixels: at a bound, |w| is 1.5, and not infinite
HALF, LIMIT = STRETCH / 2, atanh(1 / STRETCH)  # half of that range; the w of a pixel at a bound
STALL = 1e-3, 50  # a trial has stalled if its loss decreased by no more than this share over so many steps

Lengths = Callable[[Array], Array]


class Descent:
    """Examples under attack, and the best image of each so far.  All images (n, M) are in units of the bounds.

    active: the examples that are still attacked, with an entry for each:
      x, x_adv: images (n, M).  w: where tanh takes their values.  mean, mean_square: Adam's averages.
      distance: D.  c: the weight of f.  tau: τ, or None.  With τ, D is Σ(|δ_i| - τ)⁺; without, Σδ_i².
      free: (n, M) bool, the pixels that may change, or None for all.
      step: how many this trial has taken.  since: how many since the loss last decreased, to `lowest`.
      stalled, reached: whether the trial has stalled, and whether it has reached the goal.
    moves: how many steps there were, in all trials.
    best, cost, reached_goal: of all N examples.  If reached_goal, `best` is the closest image that has reached the goal
    with confidence κ, and `cost` its distance.  If not, it is the image with the largest margin, and `cost` the margin
    that it lacks.
    """

    def __init__(self, run: Run, length: Lengths | None, confidence: float, steps: int, lr: float, initial_c: float,
                 abort_early: bool, tau: float | None = None, masked: bool = False) -> None:  # fmt: skip
        self.run, self.length, self.confidence, self.steps, self.lr = run, length, confidence, steps, lr
        self.patience, self.moves = min(STALL[1], steps) if abort_early else steps, 0
        xp, self.units = namespace(run.x), Units(run)
        flat = self.units.start
        self.best, self.iterations = flat.copy(), xp.zeros(len(flat), dtype="int64")
        # In float64, so that 700.6071 differs from 700.6072.
        self.cost, self.reached_goal = xp.full(len(flat), xp.inf), self._reaches(run.clean_logits, run.goal)
        active = self.active = ActiveSet.without(self.reached_goal)
        n, x = len(active), active.gather(flat)
        active.x, active.x_adv, active.w = x, x.copy(), self.at(x)
        active.mean, active.mean_square = xp.zeros_like(active.w), xp.zeros_like(active.w)
        active.distance, active.c = xp.zeros(n, dtype=flat.dtype), xp.full(n, initial_c, dtype=flat.dtype)
        active.tau = None if tau is None else xp.full(n, tau, dtype=flat.dtype)
        active.free = xp.ones(x.shape, dtype=bool) if masked else None
        active.step, active.since = xp.zeros(n, dtype="int64"), xp.zeros(n, dtype="int64")
        active.lowest, active.reached = xp.full(n, xp.inf), xp.zeros(n, dtype=bool)
        active.stalled = xp.zeros(n, dtype=bool)

    def at(self, x: Array) -> Array:
        """w for images (n, M): where the stretched tanh takes their values."""
        u = (x - 0.5) / HALF
        xp = namespace(x)
        return 0.5 * (xp.log1p(u) - xp.log1p(-u))

    def move(self) -> None:
        """One step of all active examples; the best images are kept."""
        active, xp = self.active, namespace(self.best)
        goal, images = self.run.goal.take(active.rows), self.units.images(active.x_adv, active.rows)
        weight, power = xp.frexp(active.c)  # c = weight·2^power, with a weight from ½ to 1
        logits, up = self._linearized(images, goal, weight)
        lacks = xp.maximum(self.confidence - margin(goal, logits.astype("float64")), 0)
        reaches = self._reaches(logits, goal)
        self._keep(reaches, lacks)
        self._stall(reaches, active.distance + active.c * lacks)
        active.step += 1
        self.moves += 1
        active.count(self.iterations)
        active.distance = kernels(active.x).tanh_adam(
            active.w, active.mean, active.mean_square, active.x_adv, -self._in_units(up, power), active.x, active.step,
            self.lr, (0.0, 1.0), HALF, LIMIT, active.free, active.tau)  # fmt: skip

    def _linearized(self, images: Array, goal: Goal, weight: Array) -> tuple[Array, Array]:
        """The logits at the images, and the gradient of -weight·f, for the hinge f = max(-margin, -κ)."""
        victim, logits, gradients = self.run.victim, [], []
        for part in victim.parts(images):
            lin, aim, c = victim.linearize(images[part]), goal.take(part), weight[part]
            wide = lin.value.astype("float64")  # so that no margin overflows
            g = grad(lambda z, aim=aim, c=c: ops.sum(c * ops.minimum(margin(aim, z), self.confidence)), wide)
            logits.append(lin.value)
            gradients.append(lin.vjp(g.astype(lin.value.dtype)))
        xp = namespace(images)
        return xp.concatenate(logits), xp.concatenate(gradients)

    def _in_units(self, up: Array, power: Array) -> Array:
        """The gradient of -c·f in units of the bounds (n, M), from that of -c·f/2^power in pixels.

        So a large c does not overflow in the network.  Where its square would overflow, the gradient is clipped, which
        makes no difference to Adam.
        """
        xp, most = namespace(up), float(namespace(up).finfo(up.dtype).max) ** 0.5 / 16
        with np.errstate(over="ignore"):
            whole = xp.ldexp(up.reshape(len(up), -1) * self.units.width, power[:, None])
        return xp.clip(whole, -most, most)

    def trials(self, trials_bar: Any) -> Iterator[Array]:
        """Step until no example is active.  Whenever some trials are over, yield the places of their examples.

        The bar is updated at each step, because the first trial ends only after many.
        """
        while len(self.active):
            self.move()
            trials_bar.set_postfix_str(f"{len(self.active)} at step {self.moves}", refresh=False)
            trials_bar.update(0)
            over = self.active.stalled if self.active.tau is None else self.active.stalled | self.within()
            over = namespace(over).nonzero(over)[0]
            if len(over):
                yield over

    def within(self) -> Array:
        """Which examples have reached the goal within τ, (n,) bool; that ends a trial, too."""
        return self.active.gather(self.reached_goal) & (self.active.gather(self.cost) <= self.active.tau)

    def begin(self, which: Array) -> None:
        """Begin new trials for the examples at these places, at their present images, with Adam's averages reset."""
        active = self.active
        for state in (active.mean, active.mean_square, active.step, active.since):
            state[which] = 0
        active.lowest[which], active.reached[which], active.stalled[which] = namespace(self.best).inf, False, False

    def put(self, which: Array, x_adv: Array) -> None:
        """Continue with the examples at these places from these images (n, M)."""
        self.active.x_adv[which], self.active.w[which] = x_adv, self.at(x_adv)

    def _reaches(self, logits: Array, goal: Any) -> Array:
        """Whether the goal is achieved with confidence κ, and by more than rounding differs in other batches."""
        enough = margin(goal, logits.astype("float64")) >= self.confidence + rounding_tolerance(logits)
        return goal.achieved(logits.argmax(axis=-1)) & enough

    def _keep(self, reaches: Array, lacks: Array) -> None:
        """Keep the present images of examples that have no better one."""
        xp, active = namespace(self.best), self.active
        reached, cost = active.gather(self.reached_goal), active.gather(self.cost)
        lengths = active.distance.astype("float64")
        if self.length is not None:
            lengths = xp.zeros(len(active))
            lengths[reaches] = self.length(active.x_adv[reaches] - active.x[reaches])
        better = xp.where(reaches, ~reached | (lengths < cost), ~reached & (lacks < cost))
        active.scatter(self.best, active.x_adv, better)
        active.scatter(self.reached_goal, reaches, better)
        active.scatter(self.cost, xp.where(reaches, lengths, lacks), better)

    def _stall(self, reaches: Array, loss: Array) -> None:
        """Which trials have stalled, and which have reached the goal at any step since the loss last decreased."""
        xp, active = namespace(self.best), self.active
        decreased = loss < active.lowest * (1 - STALL[0])
        active.reached = reaches | (active.reached & ~decreased)
        active.since = xp.where(decreased, 0, active.since + 1)
        active.lowest = xp.where(decreased, loss, active.lowest)
        active.stalled = (active.since >= self.patience) | (active.step + 1 >= self.steps)
