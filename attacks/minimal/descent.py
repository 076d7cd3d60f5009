"""The inner loop of Carlini and Wagner's attacks: Adam behind a tanh, each example at a pace of its own.

A *trial* lowers  D(δ) + c·f(x + δ)  of one example for one c, from where the last trial left it.  It ends when the loss
has stalled, or after the last step; then the attack says what the example tries next.  Nobody waits for the others: in
one batch the trials of some examples begin while those of others end, and the batch stays full.

Pixels, and so distances, are in units of the bounds (see `units`): c, and what is kept of two, mean the same for all.
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

STRETCH = 1.1  # the tanh's range over that of the pixels: at a bound, where w would be infinite, it is 1.5
HALF, LIMIT = STRETCH / 2, atanh(1 / STRETCH)  # half of that range; the w of a pixel at a bound
STALL = 1e-3, 50  # a trial has stalled if its loss fell by no more than this part of it over so many steps

Lengths = Callable[[Array], Array]


class Descent:
    """Examples on their way down, side by side, and the best of what each has passed.

    active: which examples of the run they are (`rows`), and of each: x and x_adv (n, M), and w, where the tanh takes
    its values; mean, mean_square, Adam's; distance D; c, the weight of f; tau, τ, or None: with it D is Σ(|δ_i| - τ)⁺,
    without it Σδ_i²; free (n, M) bool, the pixels that may change, or None for all; step, how many this trial has
    taken; since, how many since the loss last fell, to `lowest`; stalled, reached: what the last step has shown.
    moves: how many steps there were, in all trials.
    best (N, M), cost (N,), found (N,) bool: of all examples the closest that has reached the goal with confidence κ
    and its length; or, where none has, the one that came nearest to it, and how much its margin lacks.  All images
    (n, M) are in units of the bounds.
    """

    def __init__(self, run: Run, length: Lengths | None, confidence: float, steps: int, lr: float, initial_c: float,
                 abort_early: bool, tau: float | None = None, masked: bool = False) -> None:  # fmt: skip
        self.run, self.length, self.confidence, self.steps, self.lr = run, length, confidence, steps, lr
        self.patience, self.moves = min(STALL[1], steps) if abort_early else steps, 0
        xp, self.units = namespace(run.x), Units(run)
        flat = self.units.start
        self.best, self.iterations = flat.copy(), xp.zeros(len(flat), dtype="int64")
        # In float64, where "700 changed, and .6071" is told from ".6072".
        self.cost, self.found = xp.full(len(flat), xp.inf), self._reaches(run.clean_logits, run.goal)
        active = self.active = ActiveSet.without(self.found)
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
        """One step for everyone; what was passed on the way is judged and kept."""
        active, xp = self.active, namespace(self.best)
        goal, images = self.run.goal.take(active.rows), self.units.images(active.x_adv, active.rows)
        weight, power = xp.frexp(active.c)  # c = weight·2^power, with a weight from ½ to 1
        logits, up = self._linearized(images, goal, weight)
        lacks = xp.maximum(self.confidence - margin(goal, logits.astype("float64")), 0)
        reaches = self._reaches(logits, goal)
        self._keep(reaches, lacks)
        self._judge(reaches, active.distance + active.c * lacks)
        active.step += 1
        self.moves += 1
        active.count(self.iterations)
        active.distance = kernels(active.x).tanh_adam(
            active.w, active.mean, active.mean_square, active.x_adv, -self._in_units(up, power), active.x, active.step,
            self.lr, (0.0, 1.0), HALF, LIMIT, active.free, active.tau)  # fmt: skip

    def _linearized(self, images: Array, goal: Goal, weight: Array) -> tuple[Array, Array]:
        """The logits at the images, and the slope of -weight·f there, for the hinge f = max(-margin, -κ)."""
        victim, logits, slopes = self.run.victim, [], []
        for part in victim.parts(images):
            lin, aim, c = victim.linearize(images[part]), goal.take(part), weight[part]
            wide = lin.value.astype("float64")  # where no margin overflows
            g = grad(lambda z, aim=aim, c=c: ops.sum(c * ops.minimum(margin(aim, z), self.confidence)), wide)
            logits.append(lin.value)
            slopes.append(lin.vjp(g.astype(lin.value.dtype)))
        xp = namespace(images)
        return xp.concatenate(logits), xp.concatenate(slopes)

    def _in_units(self, up: Array, power: Array) -> Array:
        """The slope of -c·f in units of the bounds (n, M), from that of -c·f/2^power in pixels.

        So a large c does not overflow on the way through the network.  Where its square would, the slope is cut off,
        which to Adam makes no difference.
        """
        xp, most = namespace(up), float(namespace(up).finfo(up.dtype).max) ** 0.5 / 16
        with np.errstate(over="ignore"):
            whole = xp.ldexp(up.reshape(len(up), -1) * self.units.width, power[:, None])
        return xp.clip(whole, -most, most)

    def trials(self, shown: Any) -> Iterator[Array]:
        """Steps, until nobody is left; whenever some trials are over, the places of their examples.

        The bar is told of each step: it would else stand still until the first has come to an end.
        """
        while len(self.active):
            self.move()
            shown.set_postfix_str(f"{len(self.active)} at step {self.moves}", refresh=False)
            shown.update(0)
            over = self.active.stalled if self.active.tau is None else self.active.stalled | self.within()
            over = namespace(over).nonzero(over)[0]
            if len(over):
                yield over

    def within(self) -> Array:
        """Who has reached the goal within τ, (n,) bool, which ends a trial, too."""
        return self.active.gather(self.found) & (self.active.gather(self.cost) <= self.active.tau)

    def begin(self, which: Array) -> None:
        """New trials for the examples at these places, from where they are; Adam forgets the last ones."""
        active = self.active
        for state in (active.mean, active.mean_square, active.step, active.since):
            state[which] = 0
        active.lowest[which], active.reached[which], active.stalled[which] = namespace(self.best).inf, False, False

    def put(self, which: Array, x_adv: Array) -> None:
        """Let the examples at these places go on from these images (n, M)."""
        self.active.x_adv[which], self.active.w[which] = x_adv, self.at(x_adv)

    def _reaches(self, logits: Array, goal: Any) -> Array:
        """Whether the goal is achieved with confidence κ, and a hair more, since other batches round otherwise."""
        enough = margin(goal, logits.astype("float64")) >= self.confidence + rounding_tolerance(logits)
        return goal.achieved(logits.argmax(axis=-1)) & enough

    def _keep(self, reaches: Array, lacks: Array) -> None:
        """Remember where the examples are, if they were never better."""
        xp, active = namespace(self.best), self.active
        found, cost = active.gather(self.found), active.gather(self.cost)
        lengths = active.distance.astype("float64")
        if self.length is not None:
            lengths = xp.zeros(len(active))
            lengths[reaches] = self.length(active.x_adv[reaches] - active.x[reaches])
        better = xp.where(reaches, ~found | (lengths < cost), ~found & (lacks < cost))
        active.scatter(self.best, active.x_adv, better)
        active.scatter(self.found, reaches, better)
        active.scatter(self.cost, xp.where(reaches, lengths, lacks), better)

    def _judge(self, reaches: Array, loss: Array) -> None:
        """Which trials have stalled, and which of them where the goal is reached: at any step since the loss fell."""
        xp, active = namespace(self.best), self.active
        fell = loss < active.lowest * (1 - STALL[0])
        active.reached = reaches | (active.reached & ~fell)
        active.since = xp.where(fell, 0, active.since + 1)
        active.lowest = xp.where(fell, loss, active.lowest)
        active.stalled = (active.since >= self.patience) | (active.step + 1 >= self.steps)
