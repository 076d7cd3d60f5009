"""HopSkipJump (Chen, Jordan and Wainwright 2020): along the decision boundary to its nearest point, by labels alone.

It starts at any image that is successful, far away from x.  Between the two, a binary search finds the boundary.
There, random probes say in which direction the boundary faces: those that are successful lie on one side of it.  A
step in that direction, and the next binary search ends closer to x.  Neither gradients nor confidences are needed.

Read `plain/hopskipjump.py` first: the same for one image, in plain loops.
"""

from __future__ import annotations

from itertools import count
from math import ceil, log2, prod
from typing import Any

from minidl.backend import kernels, namespace
from minidl.core import Array
from minidl.draws import normal
from minidl.errors import RangeError, ShapeError
from minidl.progress import bar

from ..common.active_set import ActiveSet
from ..common.checks import check_counts
from ..common.goal import Targeted
from ..common.norms import NORMS, Norm, per_example
from ..common.result import AttackResult
from ..common.run import Run, begin
from ..common.victim import as_victim
from .oracle import Oracle

#: How many random images are tried as a start, before an example is given up.
STARTS = 100
#: How often a step is halved, before the example stays where it is for one round.
HALVINGS = 20
MOST_PROBES = 10_000  # of one round
#: The widest interval at which a binary search ends; of few pixels, d^-1.5 would be no search at all.
COARSEST = 1 / 16


def hopskipjump(
    victim: Any,
    x: Array,
    goal: Any,
    *,
    norm: str = "l2",
    queries: int = 5000,
    probes: int = 100,
    start: Array | None = None,
    seed: int = 0,
    progress: bool = False,
) -> AttackResult:
    """Nearly the smallest perturbation that is successful, found with labels only: no gradients, no confidences.

        φ(x') = 1 if x' is successful, else -1,   ∇S ≈ 1/(B-1)·Σ_b (φ(x_t + δ_t·u_b) - mean φ)·u_b,
        x̃ = x_t + ξ_t·v(∇S),   x_{t+1} = the boundary between x and x̃

    Read `plain.hopskipjump` first.

    victim: an `Oracle`, a network, any function to logits (here it need not be made of minidl operations), or a
    `Victim`.  Of networks, too, it uses the predicted classes only.
    x: images (N, ...), floating point, within the victim's bounds; they stay there.
    goal: labels (N,), `Untargeted(y)` or `Targeted(t)`.
    norm: which perturbation is to be small: "l2", with v(g) = g/‖g‖₂, or "linf", with v(g) = sign(g).
    queries: the most images that the victim is asked about for each of x, beside x itself and x_adv, at least 1.
    probes: B₀.  Round t takes B₀·√t probes u_b, of length 1, at most 10,000, and no more than the queries allow.
    start: successful images to start from, like x.  None are images of noise, drawn uniformly from the bounds until one
    is successful, up to 100 times; with `Targeted` they have to be given, such as images of the target class.
    seed: a whole number.  All draws are a function of (seed, index of the example in x, round) alone.
    progress: whether to show a bar over the queries.

    Returns: an `AttackResult`; `iterations` (N,) counts the queries of each example.  Where no start is successful,
    x is returned.  After Ctrl-C it holds what was reached by then, with ``params["interrupted"]`` set.
    Raises: as `run.begin` does, and what the victim raises, which loses what was reached: a function that asks a server
    should try again by itself.  Before any work `RangeError` for a parameter out of range, `ShapeError` for starts
    unlike x, and `BudgetError` if an oracle has fewer than N·(queries + 3) queries left: three predictions more, of
    which the last is made only if Ctrl-C is pressed during the second.
    Source: Chen, Jordan and Wainwright 2020, Algorithms 1 and 2, and their estimate with a baseline, mean φ.  As in the
    authors' code, δ_t is a tenth of the bounds in the first round, ξ_t = ‖x_t - x‖/√t is halved until x̃ is successful,
    and a binary search ends at d^-1.5 (L∞: d^-2) of the way.  Later, δ_t is ‖x_t - x‖/d here, and there ‖x̃ - x‖/d of
    the image before the search; probes are normal directions in L∞, too, where theirs are uniform.  They count rounds,
    we count queries.  They return the image of the last round, we the closest of all.

    >>> import numpy as np
    >>> from attacks import Oracle, hopskipjump
    >>> oracle = Oracle(lambda x: (x.sum(axis=1) > 2).astype(int), classes=2)  # a plane
    >>> x = np.zeros((1, 4))  # at a distance of 1 from it
    >>> result = hopskipjump(oracle, x, np.array([0]), queries=2000)
    >>> bool(result.success.all()), float(result.l2.round(1)[0])
    (True, 1.0)
    """
    check_counts("hopskipjump", queries=queries, probes=probes)
    if norm not in ("l2", "linf"):
        raise RangeError("hopskipjump", "a norm of ['l2', 'linf']", repr(norm))
    _check_start(victim, x, goal, start, queries)
    run = begin("hopskipjump", victim, x, goal, seed)
    x_adv, used = run.started()
    active = run.not_yet_successful()
    boundary = Boundary(run, NORMS[norm], used, int(queries))
    with run.interruptible(), bar(range(queries), "HopSkipJump", progress, unit="query") as queries_bar:
        boundary.start(active, None if start is None else start.astype(run.x.dtype), x_adv)
        for t in count(1):
            active.drop(boundary.left(active.rows) <= boundary.search_length)
            if not len(active):
                break
            queries_bar.update(int(used.max()) - queries_bar.n)
            queries_bar.set_postfix(active=len(active), refresh=False)
            boundary.move(active, t, min(int(probes * t**0.5), MOST_PROBES))
            closer = active.distance < active.least
            active.scatter(x_adv, active.x, closer)
            active.least = namespace(closer).where(closer, active.distance, active.least)
    return run.end(x_adv, used, norm=norm, queries=int(queries), probes=int(probes), start=start is not None)


def _check_start(victim: Any, x: Any, goal: Any, start: Any, queries: int) -> None:
    """Raise the matching error for starts that do not fit, and for a budget that is too small."""
    if isinstance(goal, Targeted) and start is None:
        fix = "say start=..., with images that are predicted as their targets"
        raise RangeError("hopskipjump", "successful images to start from, for targets", "start=None", fix)
    for images in (x,) if start is None else (x, start):
        as_victim(victim).check_images("hopskipjump", images)
    if start is not None and start.shape != x.shape:
        raise ShapeError("hopskipjump", f"a start for each image, {x.shape}", f"{start.shape}")
    if isinstance(victim, Oracle):
        victim.check_budget("hopskipjump", len(x) * (queries + 3))


class Boundary:
    """The decision boundary as an attack learns of it: whether images are successful, and how many were asked about.

    used: (N,), how many queries each example has made; each makes at most `queries`.
    An active set has for each example: origin, the image itself; x (n, ...), its point at the boundary, on the
    successful side; distance (n,), from the origin; and least (n,), the smallest of all rounds.
    """

    def __init__(self, run: Run, norm: Norm, used: Array, queries: int) -> None:
        self.run, self.norm, self.used, self.queries = run, norm, used, queries
        self.low, self.high = run.victim.bounds
        self.d = max(prod(run.x.shape[1:]), 1)
        #: The interval at which a binary search ends, as a share of the way.
        self.tolerance = min(self.d ** (-1.5 if norm.name == "l2" else -2.0), COARSEST)
        #: How many queries a binary search takes.
        self.search_length = ceil(log2(1 / self.tolerance))

    def left(self, rows: Array) -> Array:
        """How many queries the examples of these rows have left."""
        return self.queries - self.used[rows]

    def successful(self, rows: Array, images: Array) -> Array:
        """Whether each image (k, ...) achieves the goal of the example of its row (k,): one query each."""
        return self.run.goal.take(rows).achieved(self.run.victim.predict(images))

    def start(self, active: ActiveSet, images: Array | None, x_adv: Array) -> None:
        """Starts for the active examples, moved to the boundary; examples without one leave."""
        xp, x = namespace(self.run.x), self.run.x
        active.origin = active.gather(x)
        active.x, active.started = active.origin.copy(), xp.zeros(len(active), dtype=bool)
        for trial in range(min(STARTS if images is None else 1, self.queries)):
            todo = xp.nonzero(~active.started)[0]
            if not len(todo):
                break
            tried = active.gather(self._noise(trial) if images is None else images)[todo]
            tried = self.run.as_returned(tried, active.origin[todo])
            done = self.successful(active.rows[todo], tried)
            self.used[active.rows[todo]] += 1
            active.x[todo[done]], active.started[todo[done]] = tried[done], True
            active.scatter(x_adv, active.x)
        active.drop(~active.started)
        active.x = self.nearest(active, active.x)
        active.distance = active.least = self.norm.length(active.x - active.origin)
        active.scatter(x_adv, active.x)

    def _noise(self, trial: int) -> Array:
        x = self.run.x
        return self.low + (self.high - self.low) * kernels(x).random_uniform(self.run.key(0, trial), x)

    def nearest(self, active: ActiveSet, far: Array) -> Array:
        """The point on the boundary between the origins and successful images `far` (n, ...), by binary search.

        It is successful.  In L2 the way is a line; in L∞ it is `far` with every pixel cut to within a radius of x's.
        """
        xp = namespace(far)
        low, high, best = xp.zeros(len(far)), xp.ones(len(far)), far.copy()  # shares of the way
        while True:
            todo = xp.nonzero((high - low > self.tolerance) & (self.left(active.rows) > 0))[0]
            if not len(todo):
                return best
            middle = (low[todo] + high[todo]) / 2
            tried = self._between(active.origin[todo], far[todo], middle.astype(far.dtype))
            done = self.successful(active.rows[todo], tried)
            self.used[active.rows[todo]] += 1
            high[todo[done]], best[todo[done]] = middle[done], tried[done]
            low[todo[~done]] = middle[~done]

    def _between(self, origin: Array, far: Array, share: Array) -> Array:
        """The image at that share of the way from the origin to `far`."""
        moved = far - origin
        if self.norm.name == "linf":
            moved = self.norm.project(moved, share * self.norm.length(moved))
        else:
            moved = per_example(share, moved) * moved
        return self.run.as_returned(namespace(far).clip(origin + moved, self.low, self.high), origin)

    def move(self, active: ActiveSet, t: int, probes: int) -> None:
        """One round: a step along the estimated gradient, and back to the boundary."""
        xp = namespace(active.x)
        direction = self._directions(active, t, probes)
        size = active.distance / t**0.5
        stepped, waiting = active.x.copy(), xp.arange(len(active))
        for _ in range(HALVINGS):
            waiting = waiting[self.left(active.rows[waiting]) > 0]
            if not len(waiting):
                break
            tried = active.x[waiting] + per_example(size[waiting], direction) * direction[waiting]
            tried = self.run.as_returned(xp.clip(tried, self.low, self.high), active.origin[waiting])
            done = self.successful(active.rows[waiting], tried)
            self.used[active.rows[waiting]] += 1
            stepped[waiting[done]], waiting = tried[done], waiting[~done]
            size[waiting] = size[waiting] / 2
        active.x = self.nearest(active, stepped)
        active.distance = self.norm.length(active.x - active.origin)

    def _directions(self, active: ActiveSet, t: int, probes: int) -> Array:
        """v(∇S) at the points of the active examples (n, ...): about as many are asked at once as fit into a batch."""
        xp, directions, size = namespace(active.x), [], max(1, self.run.victim.batch_size // probes)
        for first in range(0, len(active), size):
            group = range(first, min(first + size, len(active)))
            asked = [self._probes(active, i, t, probes) for i in group]
            rows = [xp.full(len(each), active.rows[i]) for i, each in zip(group, asked)]
            successful = self.successful(xp.concatenate(rows), xp.concatenate(asked))
            for i, each in zip(group, asked):
                directions.append(gradient(active.x[i], each, successful[: len(each)]))
                successful = successful[len(each) :]
                self.used[active.rows[i]] += len(each)
        return self.norm.steepest(xp.stack(directions))

    def _probes(self, active: ActiveSet, i: int, t: int, probes: int) -> Array:
        """x_t + δ_t·u_b of the i-th active example: `probes` of them, or as many as its queries allow."""
        xp, row, x = namespace(active.x), int(active.rows[i]), active.x[i]
        probes = min(probes, max(int(self.left(row)) - self.search_length, 1))
        delta = 0.1 * (self.high - self.low) if t == 1 else float(active.distance[i]) / self.d
        u = normal(self.run.key(1, t, row), xp.zeros((probes, *x.shape), dtype=x.dtype))
        return xp.clip(x + u * per_example(delta / NORMS["l2"].length(u), u), self.low, self.high)


def gradient(x: Array, asked: Array, successful: Array) -> Array:
    """Σ_b (φ_b - mean φ)·(asked_b - x), like x: along the gradient at x, of probes (B, ...) around it.

    successful: which of them are (B,), bool.  If all or none are, it is ±Σ_b (asked_b - x).
    """
    phi = namespace(x).where(successful, 1.0, -1.0).astype(x.dtype)
    mean = phi.mean()
    weights = phi if abs(mean) == 1 else phi - mean
    return (weights @ (asked - x).reshape(len(asked), -1)).reshape(x.shape)
