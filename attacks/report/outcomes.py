"""What became of each image under attack: the four outcomes of Billovits, Eric and Agarwala 2016 ("Hitting depth").

Not every answer that changes is a success for the attacker: the network may have been put right, look at something
else in the picture, or take one bird for another.
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
    """What became of each image: which (N,), places in `OUTCOMES`.  ``str()`` gives the counts."""

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
    """Which of the four outcomes each image had.

    With p the answer before and q the answer after, and y (N,) the true labels:

    - *benign adversarial*: p ≠ y = q.  The network was wrong, and the change put it right.
    - *re-focused*: p = y ≠ q, and q is in the picture too.  Only its attention moved.
    - *conatural*: p = y ≠ q, and q is of the same group as y: one bird taken for another.
    - *true adversarial*: p = y ≠ q, and neither excuses the network.
    - *none*: p = q, or wrong before and wrong after.

    The names are theirs; what they mean exactly, that the four exclude each other, and that re-focused goes before
    conatural, is our reading.

    groups (K,): the group of each class; without it nothing is conatural.
    also (N, K) bool: which classes are in each picture besides y; without it nothing is re-focused.
    Raises `ShapeError` for labels, groups or `also` that do not fit, `DTypeError` or `RangeError` for labels that are
    no classes.
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
