"""The box-constrained L-BFGS attack of Szegedy et al. 2013, "Intriguing properties of neural networks": the first.

It asks for the least distortion that changes the answer, by way of a penalty: minimise c|r| + loss(x + r, l), and look
for the c at which the least r still suffices.

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
    """Minimise  c·‖r‖₂² + loss(x + r, l)  over r with x + r within the bounds, for the greatest c that succeeds.

    Read `plain.lbfgs` first.

    ‖r‖ is in units of the bounds, so that c means the same for any.

    Szegedy et al. 2013, §4.1.  victim: a network, a function to logits, or a `Victim`.  x (N, ...) within its bounds.
    goal: `Targeted(l)` as in the paper, or labels (N,), `Untargeted(y)`.  The loss is -log P(goal): -log p_l for a
    target, -log(1 - p_y) away from a label.
    search_steps: how many c each example tries, at least 1.  steps: of L-BFGS for each, at most.  initial_c: the first.

    What we search, and how.  The paper writes c|r| and looks for "the minimum c > 0 for which the minimizer r satisfies
    f(x + r) = l".  A penalty that is multiplied by c grows with c, so the least r belongs to the greatest such c (the
    minimum, were c before the loss, where most programs have it).  We take the square of |r|, as they do: |r| alone has
    no slope at r = 0, where we begin.  Where c|r| + loss has no slope, c'|r|² + loss has none, with c' = c/(2|r|).
    c grows tenfold as long as the minimiser succeeds, and falls tenfold as long as it fails; once it has done both, the
    geometric mean of the greatest success and the least failure is next.  Each minimisation begins at x.

    Of all minimisers that succeed the closest in L2 is kept; if none does, the one that came closest to the goal (the
    greatest margin).  ``result.rms`` is the paper's distortion √(Σ(x' - x)²/n).  result.iterations counts an example's
    searches.  Ctrl-C ends the attack early and returns what there is, with ``params["interrupted"]`` set.
    The L-BFGS is ours (see `minimise`): SciPy's works on one example at a time.  The seed is accepted, as by every
    attack, but nothing here is random.  Raises as `run.begin` does, and `RangeError` for parameters out of range,
    before any work.
    """
    check_counts("lbfgs", search_steps=search_steps, steps=steps)
    check_number("lbfgs", "an initial_c above 0", initial_c, but=0)
    run = begin("lbfgs", victim, x, goal, seed)
    xp, units, (x_adv, iterations), active = namespace(x), Units(run), run.started(), run.not_yet_successful()
    start, aim, n = active.gather(units.start), run.goal.take(active.rows), len(active)
    c, shortest, closest, succeeds, fails = (  # the last two are the greatest and the least such c
        xp.full(n, number, dtype=start.dtype) for number in (float(initial_c), math.inf, -math.inf, 0, math.inf)
    )
    shown = bar(range(search_steps if n else 0), "L-BFGS", progress, unit="search")
    with run.interruptible(), shown:
        for _ in shown:
            found = _minimiser(units, active, aim, c, steps)
            images = units.images(found, active.rows)
            logits = run.victim.logits(images)
            length, reached = l2_length(found - start), margin(aim, logits)
            done = aim.achieved(logits.argmax(axis=-1)) & (reached >= rounding_tolerance(logits))
            better = xp.where(done, length < shortest, xp.isinf(shortest) & (reached > closest))
            active.scatter(x_adv, images, better)
            shortest, closest = xp.where(done & better, length, shortest), xp.maximum(closest, reached)
            active.count(iterations)
            succeeds, fails = xp.where(done, c, succeeds), xp.where(done, fails, c)
            c = xp.where(succeeds == 0, c / 10, xp.where(xp.isinf(fails), c * 10, (succeeds * fails) ** 0.5))
            shown.set_postfix(found=int((shortest < math.inf).sum()), refresh=False)
    return run.end(x_adv, iterations, search_steps=search_steps, steps=steps, initial_c=initial_c)


def _minimiser(units: Units, active: ActiveSet, aim: Goal, c: Array, steps: int) -> Array:
    """x + r for the r that minimises c·‖r‖² + loss(x + r, l), of each active example for its own c; all in units."""
    victim, gather, rows = units.run.victim, kernels(c).gather, active.gather(units.start)

    def penalised(points: Array, which: Array) -> tuple[Array, Array]:
        some, r, weight = aim.take(which), points - gather(rows, which), c[which]
        logits, slope = victim.logits_and_gradient(units.images(points, active.rows[which]), some, log_likelihood)
        value = weight * (r * r).sum(axis=-1) - log_likelihood(some, logits)
        return value, 2 * weight[:, None] * r - units.width * slope.reshape(points.shape)

    return minimise(penalised, rows, (0.0, 1.0), steps)


def log_likelihood(goal: Goal, logits: Array) -> Array:
    """log P(goal): log p_t for a target, log(1 - p_y) away from a label: (N,).  For any logits, however far apart."""
    wanted = is_label(goal, logits) == (goal.direction < 0)
    return _log_sum_exp(ops.where(wanted, logits, -namespace(wanted).inf)) - _log_sum_exp(logits)


def _log_sum_exp(z: Array) -> Array:
    """log Σ e^z along the last axis; the greatest z is taken out first, so that nothing overflows."""
    greatest = unbox(z).max(axis=-1)
    return ops.log(ops.sum(ops.exp(z - greatest[:, None]), axis=-1)) + greatest
