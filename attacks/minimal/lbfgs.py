"""The box-constrained L-BFGS attack of Szegedy et al. 2013, "Intriguing properties of neural networks": the first.

It searches for the smallest perturbation r that changes the prediction, with a penalty: minimise c·‖r‖² + loss(x + r,
l) by L-BFGS, and search for the c at which the smallest r is still successful.

Read `plain/lbfgs.py` first: the same for one image, in plain loops.
"""

from __future__ import annotations

import math
from typing import Any

from minidl import ops
from minidl.backend import kernels, namespace
from minidl.core import Array, unbox
from minidl.progress import bar

from ..common.active_set import ActiveSet
from ..common.checks import check_counts, check_number
from ..common.goal import Goal
from ..common.norms import l2_length
from ..common.objectives import is_label, margin, rounding_tolerance
from ..common.result import AttackResult
from ..common.run import begin
from ..common.units import Units
from .minimise import minimise


def lbfgs(
    victim: Any,
    x: Array,
    goal: Any,
    *,
    search_steps: int = 10,
    steps: int = 50,
    initial_c: float = 1.0,
    seed: int = 0,
    progress: bool = False,
) -> AttackResult:
    """Minimise  c·‖r‖₂² + loss(x + r, l)  over r with x + r within the bounds, for the largest c that is successful.

    The loss is -log P(goal): -log p_l for a target l, -log(1 - p_y) away from a label y.  Read `plain.lbfgs` first.

    victim: a network, a function to logits, or a `Victim`.
    x: images (N, ...), floating point, within the victim's bounds.
    goal: `Targeted(l)` as in the paper, or labels (N,), `Untargeted(y)`.
    search_steps: how many c are tried for each example, at least 1.
    steps: of L-BFGS for each c, at least 1.
    initial_c: the first c, above 0.
    seed: not used: nothing here is random.
    progress: whether to show a bar over the searches.

    c grows tenfold while the minimiser succeeds, and falls tenfold while it fails.  After both, the next c is the
    geometric mean of the largest success and the smallest failure.  Each minimisation starts at x.  Of all successful
    minimisers the closest in L2 is kept; if there is none, the one with the largest margin.

    Returns: an `AttackResult`; `iterations` (N,) counts the searches of each example, and `rms` is the paper's
    distortion √(Σ(x' - x)²/n).  After Ctrl-C it holds what was reached by then, with ``params["interrupted"]`` set.
    Raises: as `run.begin` does, and `RangeError` for a parameter out of range, before any work.
    Source:  Szegedy et al. 2013, §4.1.  The paper writes c|r|, and searches for the smallest c; the penalty grows with
    c, so that the smallest r belongs to the largest successful c.  We take the square of |r|: |r| alone has no gradient
    at r = 0, where we start, and minima of c|r| + loss are minima of c'|r|² + loss with c' = c/(2|r|).  ‖r‖ is in units
    of the bounds.  The L-BFGS is ours (see `minimise`):  SciPy's works on one example at a time.

    >>> import numpy as np
    >>> from attacks import lbfgs
    >>> from minidl import models
    >>> x = np.full((2, 784), 0.5, dtype=np.float32)
    >>> net = models.mlp(seed=0)
    >>> lbfgs(net, x, net(x).argmax(axis=1), search_steps=2, steps=5).iterations.tolist()
    [2, 2]
    """
    check_counts("lbfgs", search_steps=search_steps, steps=steps)
    check_number("lbfgs", "an initial_c above 0", initial_c, but=0)
    run = begin("lbfgs", victim, x, goal, seed)
    xp, units, (x_adv, iterations), active = namespace(x), Units(run), run.started(), run.not_yet_successful()
    start, aim, n = active.gather(units.start), run.goal.take(active.rows), len(active)
    c, shortest, closest, succeeds, fails = (  # the last two: the largest c that succeeds, and the smallest that fails
        xp.full(n, number, dtype=start.dtype) for number in (float(initial_c), math.inf, -math.inf, 0, math.inf)
    )
    searches_bar = bar(range(search_steps if n else 0), "L-BFGS", progress, unit="search")
    with run.interruptible(), searches_bar:
        for _ in searches_bar:
            minimisers = _minimiser(units, active, aim, c, steps)
            images = units.images(minimisers, active.rows)
            logits = run.victim.logits(images)
            length, reached = l2_length(minimisers - start), margin(aim, logits)
            done = aim.achieved(logits.argmax(axis=-1)) & (reached >= rounding_tolerance(logits))
            better = xp.where(done, length < shortest, xp.isinf(shortest) & (reached > closest))
            active.scatter(x_adv, images, better)
            shortest, closest = xp.where(done & better, length, shortest), xp.maximum(closest, reached)
            active.count(iterations)
            succeeds, fails = xp.where(done, c, succeeds), xp.where(done, fails, c)
            c = xp.where(succeeds == 0, c / 10, xp.where(xp.isinf(fails), c * 10, (succeeds * fails) ** 0.5))
            searches_bar.set_postfix(found=int((shortest < math.inf).sum()), refresh=False)
    return run.end(x_adv, iterations, search_steps=search_steps, steps=steps, initial_c=initial_c)


def _minimiser(units: Units, active: ActiveSet, aim: Goal, c: Array, steps: int) -> Array:
    """x + r for the r that minimises c·‖r‖² + loss(x + r, l), of each active example for its own c; all in units."""
    victim, gather, rows = units.run.victim, kernels(c).gather, active.gather(units.start)

    def penalised(points: Array, which: Array) -> tuple[Array, Array]:
        some, r, weight = aim.take(which), points - gather(rows, which), c[which]
        logits, gradient = victim.logits_and_gradient(units.images(points, active.rows[which]), some, log_likelihood)
        value = weight * (r * r).sum(axis=-1) - log_likelihood(some, logits)
        return value, 2 * weight[:, None] * r - units.width * gradient.reshape(points.shape)

    return minimise(penalised, rows, (0.0, 1.0), steps)


def log_likelihood(goal: Goal, logits: Array) -> Array:
    """log P(goal): log p_t for a target, log(1 - p_y) away from a label: (N,), for logits of any size."""
    wanted = is_label(goal, logits) == (goal.direction < 0)
    return _log_sum_exp(ops.where(wanted, logits, -namespace(wanted).inf)) - _log_sum_exp(logits)


def _log_sum_exp(z: Array) -> Array:
    """log Σ e^z along the last axis; the largest z is subtracted first, so that nothing overflows."""
    largest = unbox(z).max(axis=-1)
    return ops.log(ops.sum(ops.exp(z - largest[:, None]), axis=-1)) + largest
