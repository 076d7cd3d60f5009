"""The outcome of each attacked image: the four outcomes of Billovits, Eric and Agarwala 2016 ("Hitting depth").

Not every changed prediction is a success for the attacker: the new prediction may be right, or name another object in
the picture, or a similar class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.backend import to_numpy
from minidl.core import Array
from minidl.errors import RangeError, ShapeError

from ..common.goal import Untargeted
from ..common.result import AttackResult
from .tables import Table, Tabled

#: Their names; the last is everything else.
OUTCOMES = ("true adversarial", "re-focused", "conatural", "benign adversarial", "none")


@dataclass(frozen=True, eq=False)
class Outcomes(Tabled):
    """The outcome of each image.  ``str()`` returns the table of counts.

    which: (N,), places in `OUTCOMES`.

    >>> import numpy as np
    >>> from attacks.report.outcomes import Outcomes
    >>> Outcomes(np.array([0, 0, 3]))
    Outcomes(2 true adversarial, 0 re-focused, 0 conatural, 1 benign adversarial, 0 none)
    """

    which: np.ndarray

    @property
    def names(self) -> list[str]:
        """The outcome of each image, by name."""
        return [OUTCOMES[i] for i in self.which]

    @property
    def counts(self) -> dict[str, int]:
        """How many images there are of each outcome; their sum is N."""
        return dict(zip(OUTCOMES, np.bincount(self.which, minlength=len(OUTCOMES)).tolist()))

    def __repr__(self) -> str:
        return f"Outcomes({', '.join(f'{n} {name}' for name, n in self.counts.items())})"

    def _tables(self) -> list[Table]:
        rows = [[name, n, n / len(self.which) if len(self.which) else float("nan")] for name, n in self.counts.items()]
        return [("What became of the images", ["outcome", "images", "share"], rows)]


def outcomes(result: AttackResult, y: Array, *, groups: Any = None, also: Any = None) -> Outcomes:
    """The outcome of each image, one of four or none.

    With p the prediction before, q the prediction after, and y the labels:

    - *benign adversarial*: p ≠ y = q.  The prediction was wrong, and is right now.
    - *re-focused*: p = y ≠ q, and an object of class q is in the picture too.
    - *conatural*: p = y ≠ q, and q is of the same group as y: one bird predicted for another.
    - *true adversarial*: p = y ≠ q, and neither of these.
    - *none*: p = q, or wrong before and wrong after.

    The names are theirs.  The exact definitions, that the four exclude each other, and that re-focused goes before
    conatural, are our reading.

    result: of any attack.
    y: labels (N,).
    groups: the group of each class (K,); None: no image is conatural.
    also: (N, K) bool, the classes in each picture besides y; None: no image is re-focused.

    Raises: `ShapeError` for labels, groups or `also` that do not fit; `DTypeError` or `RangeError` for labels that are
    not classes.

    >>> import numpy as np
    >>> from minidl import models
    >>> from attacks import fgsm
    >>> from attacks.report.outcomes import outcomes
    >>> net, x, y = models.mlp((4,), 3, seed=0), np.full((2, 4), 0.5, dtype=np.float32), np.array([0, 2])
    >>> result = fgsm(net, x, y, epsilon=0.1)
    >>> sum(outcomes(result, y).counts.values())
    2
    """
    y, p, q = to_numpy(Untargeted(y).labels), to_numpy(result.clean_pred), to_numpy(result.adv_pred)
    if y.shape != p.shape:
        raise ShapeError("outcomes", f"one label per image {p.shape}", f"{y.shape}")
    if y.size and y.min() < 0:
        raise RangeError("outcomes", "labels of at least 0", f"{y.min()}")
    groups, also = (None if given is None else to_numpy(given) for given in (groups, also))
    largest = max((int(some.max()) for some in (y, p, q) if some.size), default=-1)
    if groups is not None and (groups.ndim != 1 or len(groups) <= largest):
        raise ShapeError("outcomes", f"a group for each class, 0 ... {max(largest, 0)}", f"groups {groups.shape}")
    if also is not None and (also.ndim != 2 or len(also) != len(y) or also.shape[1] <= largest or also.dtype != bool):
        got = f"{also.dtype} {also.shape}"
        raise ShapeError("outcomes", f"also, bool (N, K), with N = {len(y)} and K > {largest}", got)
    fooled = (p == y) & (q != y)
    which = np.where(fooled, 0, np.where((p != y) & (q == y), 3, 4))
    if groups is not None:
        which[fooled & (groups[y] == groups[q])] = 2
    if also is not None:
        which[fooled & also[np.arange(len(q)), q]] = 1
    return Outcomes(which)
