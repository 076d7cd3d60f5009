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
- A success must clear κ by 64 roundings of the greatest logit, so that it is one in batches of other sizes, too.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from minidl.backend import namespace
from minidl.core import Array
from minidl.errors import RangeError
from minidl.progress import bar

from .descent import Descent
from .result import AttackResult, Run, begin


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

    victim: a network, a function to logits, or a `Victim`.  x (N, ...) within its bounds.  goal: labels (N,),
    `Untargeted(y)` or `Targeted(t)`.
    confidence (κ): the margin that the logits must have, at least 0.  binary_search_steps: how many c are tried;
    from `initial_c` ten times as much each time until one succeeds, then the middle of what is known to be too little
    and enough.  steps: of Adam for each c at most, each of size `lr`.  abort_early: False takes them all.

    The closest of all successful iterates comes back; where none was, the one with the least f, which is marked as a
    failure.  Examples that have achieved the goal already, with margin κ, come back as they were.  More searches never
    end farther away.  result.iterations counts each example's steps, of all c together.  Ctrl-C ends the attack early
    and returns what there is, with ``params["interrupted"]`` set.  The seed is accepted, as by every attack, but
    nothing here is random.

    Raises as `result.begin` does, and `RangeError` for parameters out of range, all before any work.
    """
    _check("cw_l2", confidence, steps, lr, initial_c, binary_search_steps=binary_search_steps)
    run = begin("cw_l2", victim, x, goal, seed)
    descent = Descent(run, None, confidence, steps, lr, initial_c, abort_early)
    xp = namespace(x)
    too_little, enough = xp.zeros_like(descent.cost), xp.full_like(descent.cost, xp.inf)
    tried = xp.zeros(len(x), dtype="int64")
    shown = bar(range(len(descent) * binary_search_steps), "C&W L2", progress, unit="trial")
    with run.interruptible(), shown:
        while len(descent):
            descent.move()
            over = xp.nonzero(descent.stalled)[0]
            if not len(over):
                continue
            rows, c, reached = descent.rows[over], descent.c[over], descent.reached[over]
            too_little[rows] = xp.where(reached, too_little[rows], c)
            enough[rows] = xp.where(reached, c, enough[rows])
            known = ~xp.isinf(enough[rows])
            descent.c[over] = xp.where(known, (too_little[rows] + xp.where(known, enough[rows], 0)) / 2, 10 * c)
            tried[rows] += 1
            descent.begin(over)
            descent.leave(tried[descent.rows] >= binary_search_steps)
            shown.update(len(over))
    return _end(run, descent, confidence=confidence, binary_search_steps=binary_search_steps, steps=steps, lr=lr,
                initial_c=initial_c, abort_early=abort_early)  # fmt: skip


def _check(attack: str, confidence: Any, steps: Any, lr: Any, initial_c: Any, **counts: Any) -> None:
    for name, value in {"steps": steps, **counts}.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise RangeError(attack, f"a whole number of {name}, at least 1", repr(value))
    for name, value, least in (("confidence", confidence, 0), ("lr", lr, None), ("initial_c", initial_c, None)):
        number = isinstance(value, Real) and not isinstance(value, bool) and float(value) < float("inf")
        if not number or not (value >= 0 if least == 0 else value > 0):
            raise RangeError(attack, f"{name} {'of at least' if least == 0 else 'above'} 0", repr(value))


def _end(run: Run, descent: Descent, **params: Any) -> AttackResult:
    """The best that was found; the images themselves where nothing was needed."""
    x_adv = descent.images(descent.best).astype(run.x.dtype, copy=False)
    return run.end(x_adv, descent.iterations, **params)
