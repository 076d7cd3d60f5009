"""Carlini and Wagner 2017, "Towards evaluating the robustness of neural networks": the closest adversarial examples.

Not the loss is attacked but the logits, by the hinge  f(x') = max(max_{i≠t} Z(x')_i - Z(x')_t, -κ)  for a target t, or
max(Z(x')_y - max_{i≠y} Z(x')_i, -κ)  to get away from a label y (their f₆); f ≤ -κ says that the goal is achieved with
a margin of κ.  The attacks minimise  D(δ) + c·f(x + δ)  over w, with x + δ a tanh of w, which keeps to the bounds by
itself.  One inner loop serves all three (see `descent`); what differs is what an example tries next.

What we do differently, and why.
- Pixels at the bounds have an infinite w.  The authors' program pulls them in by a millionth, which leaves them at
  |w| = 7, where tanh is flat and Adam needs 500 steps to come back.  We stretch the tanh's range by a tenth instead and
  clip: such pixels start at |w| = 1.5, and are exactly where they were until they move.
- A new c begins where the last trial ended, with Adam's averages reset, but not w.  The distances are no
  greater, and take a third of the steps.
- A trial ends for each example alone, when its loss has fallen by less than a thousandth over 50 steps: theirs ends for
  a whole batch, when it has not fallen by a ten-thousandth over a tenth of all steps.
- c was large enough if the goal was reached since the loss last fell: where the trial ended, not where it began.
- L0 fixes a share of the pixels at a time, half as many where that is too much, and at last one by one.  Its g is the
  slope of the cross-entropy: that of f knows one rival class only, and near the goal there are several.
- L∞ lowers τ to nine tenths of the present ‖δ‖∞ at once, where that is less than the τ that was asked for.
- Distances, and with them c and τ, are in units of the bounds: on [0, 1] as in the paper, and elsewhere the same.
- A success must clear κ by 64 roundings of the greatest logit, so that it is one in batches of other sizes, too.

Read `plain/carlini_wagner.py` first: the same for one image, in plain loops.
"""

from __future__ import annotations

from typing import Any

from minidl.backend import namespace
from minidl.core import Array
from minidl.errors import RangeError
from minidl.progress import bar

from ..common.checks import check_counts, check_number
from ..common.norms import NORMS, l0_length
from ..common.result import AttackResult
from ..common.run import Run, begin
from .descent import Descent


def cw_l2(
    victim: Any,
    x: Array,
    goal: Any,
    *,
    confidence: float = 0.0,
    binary_search_steps: int = 9,
    steps: int = 1000,
    lr: float = 1e-2,
    initial_c: float = 1e-3,
    abort_early: bool = True,
    seed: int = 0,
    progress: bool = False,
) -> AttackResult:
    """The least ‖δ‖₂: minimise ‖δ‖₂² + c·f(x + δ), for the smallest c that will do   (§VI.A).

    Read `plain.cw_l2` first.

    victim: a network, a function to logits, or a `Victim`.  x (N, ...) within its bounds.  goal: labels (N,),
    `Untargeted(y)` or `Targeted(t)`.
    confidence (κ): the margin that the logits must have, at least 0.  binary_search_steps: how many c are tried;
    from `initial_c` ten times as much each time until one succeeds, then the middle of what is known to be too little
    and enough.  steps: of Adam for each c at most, each of size `lr`.  abort_early: False takes them all.

    The closest of all iterates that succeed with margin κ comes back; where none does, the one with the least f.
    result.success says, as everywhere, whether the goal is achieved: with κ > 0 that may be so without the margin.
    Examples that have achieved the goal already, with margin κ, come back as they were.  More searches never end
    farther away.  result.iterations counts each example's steps, of all c together.  Ctrl-C ends the attack early
    and returns what there is, with ``params["interrupted"]`` set.  The seed is accepted, as by every attack, but
    nothing here is random.

    Raises as `run.begin` does, and `RangeError` for parameters out of range, all before any work.
    """
    _check("cw_l2", confidence, steps, lr, initial_c, binary_search_steps=binary_search_steps)
    run = begin("cw_l2", victim, x, goal, seed)
    descent = Descent(run, None, confidence, steps, lr, initial_c, abort_early)
    xp, active = namespace(x), descent.active
    too_little, enough = xp.zeros_like(descent.cost), xp.full_like(descent.cost, xp.inf)
    tried = xp.zeros(len(x), dtype="int64")
    shown = bar(range(len(active) * binary_search_steps), "C&W L2", progress, unit="trial", miniters=0)
    with run.interruptible(), shown:
        for over in descent.trials(shown):
            rows, c, reached = active.rows[over], active.c[over], active.reached[over]
            too_little[rows] = xp.where(reached, too_little[rows], c)
            enough[rows] = xp.where(reached, c, enough[rows])
            known = ~xp.isinf(enough[rows])
            active.c[over] = xp.where(known, (too_little[rows] + xp.where(known, enough[rows], 0)) / 2, 10 * c)
            tried[rows] += 1
            descent.begin(over)
            active.drop(active.gather(tried) >= binary_search_steps)
            shown.update(len(over))
    return _end(run, descent, confidence=confidence, binary_search_steps=binary_search_steps, steps=steps, lr=lr,
                initial_c=initial_c, abort_early=abort_early)  # fmt: skip


def cw_l0(
    victim: Any,
    x: Array,
    goal: Any,
    *,
    confidence: float = 0.0,
    steps: int = 1000,
    lr: float = 1e-2,
    initial_c: float = 1e-3,
    largest_c: float = 1e3,
    abort_early: bool = True,
    seed: int = 0,
    progress: bool = False,
) -> AttackResult:
    """The fewest changed pixels: solve L2, fix the pixels with the least g_i·δ_i, and again, until L2 fails   (§VI.B).

    Read `plain.cw_l0` first.

    Each time δ starts where it was, but for the pixels fixed, which are then exactly those of x.  c grows tenfold while
    L2 fails, up to `largest_c`; then half as many pixels are fixed, down to one.  All entries of an example count, each
    colour of a pixel for itself.

    All else is as for `cw_l2`; the result is the success with the fewest changes, of equal ones the closest in L2.
    """
    _check("cw_l0", confidence, steps, lr, initial_c, largest_c)
    run = begin("cw_l0", victim, x, goal, seed)
    descent = Descent(run, _fewest, confidence, steps, lr, initial_c, abort_early, masked=True)
    share, active = namespace(x).full(len(x), FIXED_AT_ONCE), descent.active
    shown = bar(range(len(active)), "C&W L0", progress, unit="example", miniters=0)
    with run.interruptible(), shown:
        for over in descent.trials(shown):
            gone = _fix_pixels(descent, over, share, largest_c)
            active.drop(gone)
            shown.update(int(gone.sum()))
    return _end(run, descent, confidence=confidence, steps=steps, lr=lr, initial_c=initial_c, largest_c=largest_c,
                abort_early=abort_early)  # fmt: skip


FIXED_AT_ONCE = 0.3  # of the changed pixels


def _fewest(d: Array) -> Array:
    """How many entries of each row differ from zero, and by less than 1 more the longer they are together."""
    square = (d * d).sum(axis=-1)
    return l0_length(d) + square / (1 + square)


def _fix_pixels(descent: Descent, over: Array, share: Array, largest_c: float) -> Array:
    """What the examples at these places, whose trials are over, try next.  Returns who is finished: (n,) bool.

    share (N,): the part of the changed pixels that is fixed at once.
    """
    xp, run, active = namespace(share), descent.run, descent.active
    rows = active.rows[over]
    solved = descent.found[rows] & (descent.cost[rows] < active.free[over].sum(axis=-1) + 1)
    harder = ~solved & (active.c[over] < largest_c)
    active.c[over] = xp.where(harder, 10 * active.c[over], active.c[over])
    descent.begin(over)
    one_was_too_many = (share[rows] * descent.cost[rows]) < 2
    share[rows] = xp.where(solved | harder, share[rows], share[rows] / 2)

    turn = xp.nonzero(~harder)[0]
    over, rows = over[turn], rows[turn]
    x, best = active.x[over], descent.best[rows]
    g = run.victim.gradient(descent.units.images(best, rows), run.goal.take(rows)).reshape(best.shape)
    worth = xp.where(best != x, g * (best - x), xp.inf)
    fixed = xp.maximum((share[rows] * l0_length(best - x)).astype("int64"), 1)
    free = (best != x) & (worth.argsort(axis=-1).argsort(axis=-1) >= fixed[:, None])
    active.free[over] = free
    descent.put(over, xp.where(free, best, x))
    gone = xp.zeros(len(active), dtype=bool)
    gone[over] = ~descent.found[rows] | (~solved[turn] & one_was_too_many[turn]) | ~free.any(axis=-1)
    return gone


def cw_linf(
    victim: Any,
    x: Array,
    goal: Any,
    *,
    confidence: float = 0.0,
    steps: int = 1000,
    lr: float = 1e-2,
    initial_c: float = 1e-3,
    largest_c: float = 1e3,
    abort_early: bool = True,
    seed: int = 0,
    progress: bool = False,
) -> AttackResult:
    """The least ‖δ‖∞: minimise  Σ_i (|δ_i| - τ)⁺ + c·f(x + δ)  for smaller and smaller τ   (§VI.C).

    Read `plain.cw_linf` first.

    As soon as an iterate succeeds within τ, τ falls to .9·‖δ‖∞, and δ goes on from where it is.  Until one does,
    c grows tenfold with every trial that has stalled, up to `largest_c`; after that the example is finished.  τ starts
    at 1, the width of the bounds.  All else is as for `cw_l2`.
    """
    _check("cw_linf", confidence, steps, lr, initial_c, largest_c)
    run = begin("cw_linf", victim, x, goal, seed)
    descent = Descent(run, NORMS["linf"].length, confidence, steps, lr, initial_c, abort_early, tau=1.0)
    xp, active = namespace(x), descent.active
    shown = bar(range(len(active)), "C&W L∞", progress, unit="example", miniters=0)
    with run.interruptible(), shown:
        for over in descent.trials(shown):
            solved = descent.within()
            gone = active.stalled & ~solved & (active.c >= largest_c)
            active.tau[over] = xp.where(solved, 0.9 * active.gather(descent.cost), active.tau)[over]
            active.c[over] = active.c[over] * xp.where(solved, 1, 10)[over]
            descent.begin(over)
            active.drop(gone)
            shown.update(int(gone.sum()))
    return _end(run, descent, confidence=confidence, steps=steps, lr=lr, initial_c=initial_c, largest_c=largest_c,
                abort_early=abort_early)  # fmt: skip


def _check(
    attack: str, confidence: Any, steps: Any, lr: Any, initial_c: Any, largest_c: Any = None, **counts: Any
) -> None:
    """Refuse parameters out of range.  largest_c: None for cw_l2, which has none."""
    check_counts(attack, steps=steps, **counts)
    largest_c = initial_c if largest_c is None else largest_c
    check_number(attack, "confidence of at least 0", confidence)
    for name, value in (("lr", lr), ("initial_c", initial_c), ("largest_c", largest_c)):
        check_number(attack, f"{name} above 0", value, but=0)
    if largest_c < initial_c:
        raise RangeError(attack, f"largest_c of at least initial_c, {initial_c:g}", repr(largest_c))


def _end(run: Run, descent: Descent, **params: Any) -> AttackResult:
    """The best that was found; the images themselves where nothing was needed."""
    x_adv = descent.units.images(descent.best, namespace(run.x).arange(len(run.x)))
    return run.end(x_adv, descent.iterations, **params)
