"""Carlini and Wagner 2017, "Towards evaluating the robustness of neural networks": the closest adversarial examples.

They do not attack the loss but the logits Z, by the hinge (their f₆)

    f(x') = max(max_{i≠t} Z(x')_i - Z(x')_t, -κ)  towards a target t
    f(x') = max(Z(x')_y - max_{i≠y} Z(x')_i, -κ)  away from a label y

f ≤ -κ says that the goal is achieved with a margin of κ.  The attacks minimise  D(δ) + c·f(x + δ)  by Adam over w, with

    x + δ = ½(tanh w + 1)·(high - low) + low

which keeps every pixel within the bounds.  One inner loop serves all three attacks (see `descent`); they differ in D,
and in what an example tries after a trial.

What we do differently, and why.
- Pixels at the bounds have an infinite w.  The authors' program moves them inside by a millionth, which leaves them at
  |w| = 7, where tanh is flat and Adam needs 500 steps to leave.  We stretch the range of tanh by a tenth and clip:
  such pixels start at |w| = 1.5, and keep their exact value until they move.
- A new c starts where the last trial ended, with Adam's averages reset, but not w.  The distances are no larger, with a
  third of the steps.
- A trial ends for each example alone, when its loss has decreased by less than a thousandth over 50 steps.  Theirs ends
  for a whole batch, when the loss has not decreased by a ten-thousandth over a tenth of all steps.
- c was large enough if the goal was reached since the loss last decreased: where the trial ended, not where it began.
- L0 fixes a share of the pixels at a time, half as many if that is too much, and in the end one by one.  Its g is the
  gradient of the cross-entropy: that of f involves one other class only, and near the goal there are several.
- L∞ lowers τ to nine tenths of the present ‖δ‖∞ at once, if that is less than the present τ.
- Distances, c and τ are in units of the bounds: on [0, 1] as in the paper, and elsewhere the same.
- A success must exceed κ by 64 rounding errors of the largest logit, so that it is one in batches of other sizes, too.

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
    """The smallest ‖δ‖₂: minimise ‖δ‖₂² + c·f(x + δ), for the smallest c that is successful.

    Read `plain.cw_l2` first.

    victim: a network, a function to logits, or a `Victim`.
    x: images (N, ...), floating point, within the victim's bounds.
    goal: labels (N,), `Untargeted(y)` or `Targeted(t)`.
    confidence: κ, the margin that the logits must have, at least 0.
    binary_search_steps: how many c are tried, at least 1.  c grows tenfold until one succeeds; then it is the middle of
    the largest that failed and the smallest that succeeded.
    steps: of Adam for each c, at least 1.
    lr: the size of Adam's steps, above 0.
    initial_c: the first c, above 0.
    abort_early: whether a trial ends when its loss stalls; False takes all steps.
    seed: not used: nothing here is random.
    progress: whether to show a bar.

    The closest of all iterates that succeed with margin κ is returned; if there is none, the one with the smallest f.
    Examples that have achieved the goal with margin κ from the start are returned unchanged.

    Returns: an `AttackResult`; `iterations` (N,) counts the steps of all trials.  `success` says whether the goal is
    achieved; with κ > 0 that may be without the margin.  After Ctrl-C it holds what was reached by then, with
    ``params["interrupted"]`` set.
    Raises: as `run.begin` does, and `RangeError` for a parameter out of range, before any work.
    Source: Carlini and Wagner 2017, §VI.A.  The head of this file lists what is different.

    >>> import numpy as np
    >>> from attacks import cw_l2
    >>> from minidl import models
    >>> x = np.full((2, 784), 0.5, dtype=np.float32)
    >>> cw_l2(models.mlp(seed=0), x, np.array([3, 5]), steps=5, binary_search_steps=2).x_adv.shape
    (2, 784)
    """
    _check("cw_l2", confidence, steps, lr, initial_c, binary_search_steps=binary_search_steps)
    run = begin("cw_l2", victim, x, goal, seed)
    descent = Descent(run, None, confidence, steps, lr, initial_c, abort_early)
    xp, active = namespace(x), descent.active
    too_little, enough = xp.zeros_like(descent.cost), xp.full_like(descent.cost, xp.inf)
    tried = xp.zeros(len(x), dtype="int64")
    trials_bar = bar(range(len(active) * binary_search_steps), "C&W L2", progress, unit="trial", miniters=0)
    with run.interruptible(), trials_bar:
        for over in descent.trials(trials_bar):
            rows, c, reached = active.rows[over], active.c[over], active.reached[over]
            too_little[rows] = xp.where(reached, too_little[rows], c)
            enough[rows] = xp.where(reached, c, enough[rows])
            known = ~xp.isinf(enough[rows])
            active.c[over] = xp.where(known, (too_little[rows] + xp.where(known, enough[rows], 0)) / 2, 10 * c)
            tried[rows] += 1
            descent.begin(over)
            active.drop(active.gather(tried) >= binary_search_steps)
            trials_bar.update(len(over))
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
    """The fewest changed pixels: solve L2, fix the pixels with the smallest g_i·δ_i, and repeat until L2 fails.

    Read `plain.cw_l0` first.

    victim: a network, a function to logits, or a `Victim`.
    x: images (N, ...), floating point, within the victim's bounds.
    goal: labels (N,), `Untargeted(y)` or `Targeted(t)`.
    confidence: κ, the margin that the logits must have, at least 0.
    steps: of Adam for each c, at least 1.
    lr: the size of Adam's steps, above 0.
    initial_c: the first c, above 0.
    largest_c: the largest c, at least initial_c.
    abort_early: whether a trial ends when its loss stalls; False takes all steps.
    seed: not used: nothing here is random.
    progress: whether to show a bar.

    Each time δ starts where it was, except for the fixed pixels, which are exactly those of x.  While L2 fails, c grows
    tenfold, up to `largest_c`; then half as many pixels are fixed at once, down to one.  Every entry of an example
    counts, each colour of a pixel separately.  Of the successes, the one with the fewest changes is returned, of equal
    ones the closest in L2.

    Returns: an `AttackResult`; `iterations` (N,) counts the steps of all trials.  `success` says whether the goal is
    achieved; with κ > 0 that may be without the margin.  After Ctrl-C it holds what was reached by then, with
    ``params["interrupted"]`` set.
    Raises: as `run.begin` does, and `RangeError` for a parameter out of range, before any work.
    Source: Carlini and Wagner 2017, §VI.B.  The head of this file lists what is different.

    >>> import numpy as np
    >>> from attacks import cw_l0
    >>> from minidl import models
    >>> x = np.full((2, 784), 0.5, dtype=np.float32)
    >>> cw_l0(models.mlp(seed=0), x, np.array([3, 5]), steps=5).x_adv.shape
    (2, 784)
    """
    _check("cw_l0", confidence, steps, lr, initial_c, largest_c)
    run = begin("cw_l0", victim, x, goal, seed)
    descent = Descent(run, _fewest, confidence, steps, lr, initial_c, abort_early, masked=True)
    share, active = namespace(x).full(len(x), FIXED_AT_ONCE), descent.active
    trials_bar = bar(range(len(active)), "C&W L0", progress, unit="example", miniters=0)
    with run.interruptible(), trials_bar:
        for over in descent.trials(trials_bar):
            gone = _fix_pixels(descent, over, share, largest_c)
            active.drop(gone)
            trials_bar.update(int(gone.sum()))
    return _end(run, descent, confidence=confidence, steps=steps, lr=lr, initial_c=initial_c, largest_c=largest_c,
                abort_early=abort_early)  # fmt: skip


FIXED_AT_ONCE = 0.3  # of the changed pixels


def _fewest(d: Array) -> Array:
    """How many entries of each row differ from zero, plus a number below 1 that grows with their L2 norm."""
    square = (d * d).sum(axis=-1)
    return l0_length(d) + square / (1 + square)


def _fix_pixels(descent: Descent, over: Array, share: Array, largest_c: float) -> Array:
    """Begin new trials for the examples at these places, whose trials are over.  Returns which are finished: (n,) bool.

    share (N,): the share of the changed pixels that is fixed at once.
    """
    xp, run, active = namespace(share), descent.run, descent.active
    rows = active.rows[over]
    solved = descent.reached_goal[rows] & (descent.cost[rows] < active.free[over].sum(axis=-1) + 1)
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
    gone[over] = ~descent.reached_goal[rows] | (~solved[turn] & one_was_too_many[turn]) | ~free.any(axis=-1)
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
    """The smallest ‖δ‖∞: minimise  Σ_i (|δ_i| - τ)⁺ + c·f(x + δ)  for smaller and smaller τ.

    Read `plain.cw_linf` first.

    victim: a network, a function to logits, or a `Victim`.
    x: images (N, ...), floating point, within the victim's bounds.
    goal: labels (N,), `Untargeted(y)` or `Targeted(t)`.
    confidence: κ, the margin that the logits must have, at least 0.
    steps: of Adam for each c, at least 1.
    lr: the size of Adam's steps, above 0.
    initial_c: the first c, above 0.
    largest_c: the largest c, at least initial_c.
    abort_early: whether a trial ends when its loss stalls; False takes all steps.
    seed: not used: nothing here is random.
    progress: whether to show a bar.

    τ starts at 1, the width of the bounds.  As soon as an iterate succeeds within τ, τ becomes .9·‖δ‖∞, and δ
    continues.  Until one does, c grows tenfold with every trial that stalls, up to `largest_c`; then the example is
    finished.

    Returns: an `AttackResult`; `iterations` (N,) counts the steps of all trials.  `success` says whether the goal is
    achieved; with κ > 0 that may be without the margin.  After Ctrl-C it holds what was reached by then, with
    ``params["interrupted"]`` set.
    Raises: as `run.begin` does, and `RangeError` for a parameter out of range, before any work.
    Source: Carlini and Wagner 2017, §VI.C.  The head of this file lists what is different.

    >>> import numpy as np
    >>> from attacks import cw_linf
    >>> from minidl import models
    >>> x = np.full((2, 784), 0.5, dtype=np.float32)
    >>> cw_linf(models.mlp(seed=0), x, np.array([3, 5]), steps=5).x_adv.shape
    (2, 784)
    """
    _check("cw_linf", confidence, steps, lr, initial_c, largest_c)
    run = begin("cw_linf", victim, x, goal, seed)
    descent = Descent(run, NORMS["linf"].length, confidence, steps, lr, initial_c, abort_early, tau=1.0)
    xp, active = namespace(x), descent.active
    trials_bar = bar(range(len(active)), "C&W L∞", progress, unit="example", miniters=0)
    with run.interruptible(), trials_bar:
        for over in descent.trials(trials_bar):
            solved = descent.within()
            gone = active.stalled & ~solved & (active.c >= largest_c)
            active.tau[over] = xp.where(solved, 0.9 * active.gather(descent.cost), active.tau)[over]
            active.c[over] = active.c[over] * xp.where(solved, 1, 10)[over]
            descent.begin(over)
            active.drop(gone)
            trials_bar.update(int(gone.sum()))
    return _end(run, descent, confidence=confidence, steps=steps, lr=lr, initial_c=initial_c, largest_c=largest_c,
                abort_early=abort_early)  # fmt: skip


def _check(
    attack: str, confidence: Any, steps: Any, lr: Any, initial_c: Any, largest_c: Any = None, **counts: Any
) -> None:
    """Raise `RangeError` for parameters out of range.  largest_c: None for cw_l2, which has none."""
    check_counts(attack, steps=steps, **counts)
    largest_c = initial_c if largest_c is None else largest_c
    check_number(attack, "confidence of at least 0", confidence)
    for name, value in (("lr", lr), ("initial_c", initial_c), ("largest_c", largest_c)):
        check_number(attack, f"{name} above 0", value, but=0)
    if largest_c < initial_c:
        raise RangeError(attack, f"largest_c of at least initial_c, {initial_c:g}", repr(largest_c))


def _end(run: Run, descent: Descent, **params: Any) -> AttackResult:
    """The result, of the best images; unchanged where the goal was achieved from the start."""
    x_adv = descent.units.images(descent.best, namespace(run.x).arange(len(run.x)))
    return run.end(x_adv, descent.iterations, **params)
