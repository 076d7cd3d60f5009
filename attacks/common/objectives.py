"""What an attack maximises, example by example: cross-entropy, margin, difference of logits ratio.

Each is a function of a goal and of logits (N, K), and returns (N,): the larger, the closer to the goal.  They are built
of minidl operations, so that an attack can differentiate them.  `Goal.direction` gives the formula its sign: + away
from a label y, - towards a target t.
"""

from __future__ import annotations

from collections.abc import Callable

from minidl import losses, ops
from minidl.backend import namespace
from minidl.core import Array, unbox
from minidl.errors import RangeError, ShapeError

from .goal import Goal

Objective = Callable[[Goal, Array], Array]

ROUNDING_ERRORS = 64  # in units of the last place of the largest logit


def cross_entropy(goal: Goal, logits: Array) -> Array:
    """J(x, y) = -log p_y, or -J(x, t) towards a target: the loss that networks are trained on, and FGSM's objective.

    goal: `Untargeted` or `Targeted`, with labels (N,).
    logits: (N, K).

    >>> import numpy as np
    >>> from attacks import Untargeted
    >>> from attacks.common.objectives import cross_entropy
    >>> cross_entropy(Untargeted(np.array([0])), np.array([[0.0, 0.0]])).round(4)
    array([0.6931])
    """
    return goal.direction * losses.cross_entropy(logits, goal.labels, "none", check=False)


def margin(goal: Goal, logits: Array) -> Array:
    """max_{j≠y} Z_j - Z_y, or Z_t - max_{j≠t} Z_j: above 0 exactly when the goal is achieved, except for ties.

    goal: `Untargeted` or `Targeted`, with labels (N,).
    logits: Z (N, K), K at least 2.

    The hinge of Carlini and Wagner 2017 (their f₆) is max(-margin, -κ).  Unlike cross-entropy, its gradient does not
    vanish where the network is confident.

    >>> import numpy as np
    >>> from attacks import Targeted, Untargeted
    >>> from attacks.common.objectives import margin
    >>> z = np.array([[3.0, 1.0, 2.0]])
    >>> margin(Untargeted(np.array([0])), z), margin(Targeted(np.array([1])), z)
    (array([-1.]), array([-2.]))
    """
    labels = is_label(goal, logits)
    others = ops.max(ops.where(labels, -namespace(labels).inf, logits), axis=-1)
    return goal.direction * (others - ops.sum(ops.where(labels, logits, 0), axis=-1))


def dlr(goal: Goal, logits: Array) -> Array:
    """The difference of logits ratio:  margin/(Z_π1 - Z_π3), with π the order of the logits from the largest.

    goal: `Untargeted` or `Targeted`, with labels (N,).
    logits: Z (N, K), K at least 3; with targets at least 4, else `ShapeError`.

    Shifting or scaling all logits does not change it, so that a network does not look robust because its logits are
    large.  Towards a target the denominator is Z_π1 - ½(Z_π3 + Z_π4).
    Source: Croce and Hein 2020, eqs. 6 and 7.  Their numerator in eq. 7 is Z_t - Z_y; a targeted goal has no y, so that
    it is the margin of t here.

    >>> import numpy as np
    >>> from attacks import Untargeted
    >>> from attacks.common.objectives import dlr
    >>> dlr(Untargeted(np.array([0])), np.array([[3.0, 1.0, 2.0]]))
    array([-0.5])
    """
    needed = 3 if goal.direction > 0 else 4
    if logits.shape[-1] < needed:
        raise ShapeError("dlr", f"at least {needed} classes", f"{logits.shape[-1]}", 'objective="margin"')
    first, third, fourth = (ranked(logits, i) for i in (0, 2, needed - 1))
    return margin(goal, logits) / positive(first - 0.5 * (third + fourth))


def positive(difference: Array) -> Array:
    """A difference to divide by: at least the least positive number.  It is 0 only where the margin is 0, too.

    difference: of two logits, at least 0, any shape.

    >>> import numpy as np
    >>> from attacks.common.objectives import positive
    >>> bool((positive(np.array([0.0, 2.0])) > 0).all())
    True
    """
    return ops.maximum(difference, float(namespace(unbox(difference)).finfo(unbox(difference).dtype).tiny))


def rounding_tolerance(logits: Array) -> Array:
    """The margin (N,) that a success needs to be one in batches of other sizes, too, where rounding differs.

    logits: (N, K).

    >>> import numpy as np
    >>> from attacks.common.objectives import rounding_tolerance
    >>> rounding_tolerance(np.ones((2, 10))).shape
    (2,)
    """
    return ROUNDING_ERRORS * float(namespace(logits).finfo(logits.dtype).eps) * abs(logits).max(axis=-1)


def ranked(logits: Array, place: int) -> Array:
    """The logit at that place of each row: (N,).

    logits: (N, K).
    place: 0 for the largest, 1 for the second, ….

    >>> import numpy as np
    >>> from attacks.common.objectives import ranked
    >>> ranked(np.array([[1.0, 3.0, 2.0]]), 1)
    array([2.])
    """
    order = unbox(logits).argsort(axis=-1)[:, -1 - place]
    return ops.index(logits, (namespace(order).arange(len(order)), order))


def is_label(goal: Goal, logits: Array) -> Array:
    """onehot(labels): (N, K) bool.

    goal: with labels (N,).
    logits: (N, K); only their shape is used.

    >>> import numpy as np
    >>> from attacks import Untargeted
    >>> from attacks.common.objectives import is_label
    >>> is_label(Untargeted(np.array([2])), np.zeros((1, 3)))
    array([[False, False,  True]])
    """
    return namespace(goal.labels).arange(logits.shape[-1]) == goal.labels[:, None]


OBJECTIVES: dict[str, Objective] = {"cross_entropy": cross_entropy, "margin": margin, "dlr": dlr}


def objective_named(attack: str, name: str) -> Objective:
    """The objective of that name: "cross_entropy", "margin" or "dlr".

    attack: for the error.
    name: of an objective; `RangeError` for an unknown one.

    >>> from attacks.common.objectives import objective_named
    >>> objective_named("pgd", "margin").__name__
    'margin'
    """
    if not isinstance(name, str) or name not in OBJECTIVES:
        raise RangeError(attack, f"an objective of {sorted(OBJECTIVES)}", repr(name))
    return OBJECTIVES[name]
