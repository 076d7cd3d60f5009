"""The inner loop of Carlini and Wagner's attacks: Adam behind a tanh, each example at a pace of its own.

A *trial* lowers  D(δ) + c·f(x + δ)  of one example for one c, from where the last trial left it.  It ends when the loss
has stalled, or after the last step; then the attack says what the example tries next.  Nobody waits for the others: in
one batch the trials of some examples begin while those of others end, and the batch stays full.

Pixels, and so distances, are in units of the bounds (see `units`): c, and what is kept of two, mean the same for all.
"""

from __future__ import annotations

from collections.abc import Callable
from math import atanh
from typing import Any

import numpy as np

from minidl import ops
from minidl.backend import kernels, namespace
from minidl.core import Array
from minidl.derivatives import grad

from .objectives import margin, rounding_hair
from .result import Run
from .units import Units

STRETCH = 1.1  # the tanh's range over that of the pixels: at a bound, where w would be infinite, it is 1.5
HALF, LIMIT = STRETCH / 2, atanh(1 / STRETCH)  # half of that range; the w of a pixel at a bound
STALL = 1e-3, 50  # a trial has stalled if its loss fell by no more than this part of it over so many steps

#: What a `Descent` holds of each example on its way.
ROWS = ("rows", "x", "x_adv", "w", "mean", "mean_square", "distance", "c", "tau", "free", "step", "since", "lowest",
        "stalled", "reached")  # fmt: skip

Lengths = Callable[[Array], Array]


class Descent:
    """Examples on their way down, side by side, and the best of what each has passed.

    rows (n,): which examples of the run they are; all arrays that are (n, ...) go with them.  c (n,): the weight
    of f.  tau (n,) or None: with it D is Σ(|δ_i| - τ)⁺, without it Σδ_i².  free (n, M) bool or None: the pixels
    that may change.  moves: how many steps there were, in all trials.  stalled, reached (n,) bool: what the last step
    has shown of each trial.
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
        rows = self.rows = xp.nonzero(~self.found)[0]
        self.x = kernels(flat).gather(flat, rows)
        self.x_adv, self.w = self.x.copy(), self.at(self.x)
        self.mean, self.mean_square = xp.zeros_like(self.w), xp.zeros_like(self.w)
        self.distance, self.c = xp.zeros(len(rows), dtype=flat.dtype), xp.full(len(rows), initial_c, dtype=flat.dtype)
        self.tau: Array = None if tau is None else xp.full(len(rows), tau, dtype=flat.dtype)
        self.free: Array = xp.ones(self.w.shape, dtype=bool) if masked else None
        self.step, self.since = xp.zeros(len(rows), dtype="int64"), xp.zeros(len(rows), dtype="int64")
        self.lowest, self.reached = xp.full(len(rows), xp.inf), xp.zeros(len(rows), dtype=bool)
        self.stalled = xp.zeros(len(rows), dtype=bool)

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, x: Array) -> Array:
        """w for images (n, M): where the stretched tanh takes their values."""
        u = (x - 0.5) / HALF
        xp = namespace(x)
        return 0.5 * (xp.log1p(u) - xp.log1p(-u))

    def move(self) -> None:
        """One step for everyone; what was passed on the way is judged and kept."""
        xp, goal = namespace(self.x), self.run.goal.take(self.rows)
        weight, power = xp.frexp(self.c)  # c = weight·2^power, with a weight from ½ to 1

        def slope(logits: Array, part: slice) -> Array:
            """Of -c·f/2^power in the logits, for the hinge f = max(-margin, -κ): in float64, where none overflows."""
            aim, c = goal.take(part), weight[part]
            wide = logits.astype("float64")
            return grad(lambda z: ops.sum(c * ops.minimum(margin(aim, z), self.confidence)), wide).astype(logits.dtype)

        logits, up = self.run.victim.pull_back(self.units.images(self.x_adv, self.rows), slope)
        lacks = xp.maximum(self.confidence - margin(goal, logits.astype("float64")), 0)
        reaches = self._reaches(logits, goal)
        self._keep(reaches, lacks)
        self._judge(reaches, self.distance + self.c * lacks)
        self.step += 1
        self.moves += 1
        self.iterations[self.rows] += 1
        self.distance = kernels(self.x).tanh_adam(
            self.w, self.mean, self.mean_square, self.x_adv, -self._in_units(up, power), self.x, self.step, self.lr,
            (0.0, 1.0), HALF, LIMIT, self.free, self.tau)  # fmt: skip

    def _in_units(self, up: Array, power: Array) -> Array:
        """The slope of -c·f in units of the bounds (n, M), from that of -c·f/2^power in pixels.

        So a large c does not overflow on the way through the network.  Where its square would, the slope is cut off,
        which to Adam makes no difference.
        """
        xp, most = namespace(up), float(namespace(up).finfo(up.dtype).max) ** 0.5 / 16
        with np.errstate(over="ignore"):
            whole = xp.ldexp(up.reshape(self.x.shape) * self.units.width, power[:, None])
        return xp.clip(whole, -most, most)

    def begin(self, which: Array) -> None:
        """New trials for the examples at these places, from where they are; Adam forgets the last ones."""
        for state in (self.mean, self.mean_square, self.step, self.since):
            state[which] = 0
        self.lowest[which], self.reached[which], self.stalled[which] = namespace(self.x).inf, False, False

    def put(self, which: Array, x_adv: Array) -> None:
        """Let the examples at these places go on from these images (n, M)."""
        self.x_adv[which], self.w[which] = x_adv, self.at(x_adv)

    def leave(self, which: Array) -> None:
        """The examples where `which` (n,) is true are finished."""
        staying = namespace(which).nonzero(~which)[0]
        for name in ROWS:
            value = getattr(self, name)
            setattr(self, name, None if value is None else kernels(self.x).gather(value, staying))

    def _reaches(self, logits: Array, goal: Any) -> Array:
        """Whether the goal is achieved with confidence κ, and a hair more, since other batches round otherwise."""
        enough = margin(goal, logits.astype("float64")) >= self.confidence + rounding_hair(logits)
        return goal.achieved(logits.argmax(axis=-1)) & enough

    def _keep(self, reaches: Array, lacks: Array) -> None:
        """Remember where the examples are, if they were never better."""
        xp, found, cost = namespace(self.x), self.found[self.rows], self.cost[self.rows]
        lengths = self.distance.astype("float64")
        if self.length is not None:
            here = xp.nonzero(reaches)[0]
            lengths = xp.zeros(len(self))
            lengths[here] = self.length(self.x_adv[here] - self.x[here])
        better = xp.where(reaches, ~found | (lengths < cost), ~found & (lacks < cost))
        here = xp.nonzero(better)[0]
        rows = self.rows[here]
        self.best[rows], self.found[rows] = kernels(self.x).gather(self.x_adv, here), reaches[here]
        self.cost[rows] = xp.where(reaches, lengths, lacks)[here]

    def _judge(self, reaches: Array, loss: Array) -> None:
        """Which trials have stalled, and which of them where the goal is reached: at any step since the loss fell."""
        xp = namespace(self.x)
        fell = loss < self.lowest * (1 - STALL[0])
        self.reached = reaches | (self.reached & ~fell)
        self.since = xp.where(fell, 0, self.since + 1)
        self.lowest = xp.where(fell, loss, self.lowest)
        self.stalled = (self.since >= self.patience) | (self.step + 1 >= self.steps)
