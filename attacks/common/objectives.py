"""What an attack raises, example by example: cross-entropy, margin, difference of logits ratio.

Each takes a goal and logits (N, K) and gives (N,), the greater the closer to the goal.  They are built of minidl
operations, so that an attack can differentiate them.  `Goal.direction` turns the same formula into the one for labels
to get away from (y) and the one for targets (t).
"""

from __future__ import annotations

from collections.abc import Callable

from minidl import losses, ops
from minidl.backend import namespace
from minidl.core import Array, unbox
from minidl.errors import RangeError, ShapeError

from .goal import Goal

Objective = Callable[[Goal, Array], Array]

HAIR = 64  # roundings, of the greatest logit


def cross_entropy(goal: Goal, logits: Array) -> Array:
    """J(x, y) = -log p_y, or -J(x, t): what networks are trained on, and what FGSM raises."""
    return goal.direction * losses.cross_entropy(logits, goal.labels, "none", check=False)


def margin(goal: Goal, logits: Array) -> Array:
    """max_{j≠y} Z_j - Z_y, or Z_t - max_{j≠t} Z_j: above 0 exactly when the goal is achieved, but for ties.

    The hinge of Carlini and Wagner 2017 (their f₆) is max(-margin, -κ).  Unlike cross-entropy it does not flatten out
    where the network is sure of its answer.
    """
    labels = is_label(goal, logits)
    others = ops.max(ops.where(labels, -namespace(labels).inf, logits), axis=-1)
    return goal.direction * (others - ops.sum(ops.where(labels, logits, 0), axis=-1))


def dlr(goal: Goal, logits: Array) -> Array:
    """margin/(Z_π1 - Z_π3), with π the order of the logits from the greatest: the difference of logits ratio.

    Croce and Hein 2020, eq. 6.  Shifting or scaling all logits does not change it, so that no network escapes by
    being very sure.  Towards a target the denominator is Z_π1 - ½(Z_π3 + Z_π4), as in their eq. 7; the numerator there
    is Z_t - Z_y, for which a goal has no y: here it is the margin of t.
    Raises `ShapeError` for fewer than 3 classes, or 4 with targets.
    """
    needed = 3 if goal.direction > 0 else 4
    if logits.shape[-1] < needed:
        raise ShapeError("dlr", f"at least {needed} classes", f"{logits.shape[-1]}", 'objective="margin"')
    first, third, fourth = (ranked(logits, i) for i in (0, 2, needed - 1))
    return margin(goal, logits) / positive(first - 0.5 * (third + fourth))


def positive(difference: Array) -> Array:
    """A difference that is 0 only where all logits are equal, and so the margin is 0 too: to divide by."""
    return ops.maximum(difference, float(namespace(unbox(difference)).finfo(unbox(difference).dtype).tiny))


def rounding_hair(logits: Array) -> Array:
    """The margin that a success should have to be one in batches of other sizes, too, which round otherwise: (N,)."""
    return HAIR * float(namespace(logits).finfo(logits.dtype).eps) * abs(logits).max(axis=-1)


def ranked(logits: Array, place: int) -> Array:
    """The logit at that place of each row, counted from the greatest at 0: (N,)."""
    order = unbox(logits).argsort(axis=-1)[:, -1 - place]
    return ops.index(logits, (namespace(order).arange(len(order)), order))


def is_label(goal: Goal, logits: Array) -> Array:
    """onehot(labels): (N, K) bool."""
    return namespace(goal.labels).arange(logits.shape[-1]) == goal.labels[:, None]


OBJECTIVES: dict[str, Objective] = {"cross_entropy": cross_entropy, "margin": margin, "dlr": dlr}


def objective_named(attack: str, name: str) -> Objective:
    """The objective of that name.  Raises `RangeError` for an unknown one."""
    if not isinstance(name, str) or name not in OBJECTIVES:
        raise RangeError(attack, f"an objective of {sorted(OBJECTIVES)}", repr(name))
    return OBJECTIVES[name]
