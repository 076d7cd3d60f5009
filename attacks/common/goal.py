"""What an attack is after: any answer but the right one (`Untargeted`), or one answer in particular (`Targeted`).

A goal says when it is achieved; how far from it the network is, and which way leads there, say the `objectives`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from minidl.core import Array
from minidl.errors import DTypeError
from minidl.losses import as_labels


@dataclass(frozen=True, eq=False)
class Goal:
    """One label per example, (N,) integer, and what they mean to the attack.

    direction: +1 to get away from the labels, -1 to get to them.  there: what examples are called that achieve it.
    letter: what the labels are called, y or t.
    """

    labels: Array
    direction: ClassVar[int]
    there: ClassVar[str]
    letter: ClassVar[str]

    def __post_init__(self) -> None:
        if getattr(getattr(self.labels, "dtype", None), "kind", "?") not in "iu":
            got = str(getattr(self.labels, "dtype", type(self.labels).__name__))
            raise DTypeError(
                type(self).__name__, "labels of an integer dtype", got, as_labels(self.labels, self.letter)
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.labels)} labels)"

    def achieved(self, predictions: Array) -> Array:
        """Success, example by example: (N,) bool.  The only definition of it."""
        raise NotImplementedError

    def take(self, which: Any) -> Goal:
        """The goal for some of the examples."""
        return type(self)(self.labels[which])


class Untargeted(Goal):
    """Any class but y."""

    direction = 1
    there = "misread"
    letter = "y"

    def achieved(self, predictions: Array) -> Array:
        return predictions != self.labels


class Targeted(Goal):
    """The class t.  Examples that the network takes for it already come back as they are, as successes."""

    direction = -1
    there = "at their target"
    letter = "t"

    def achieved(self, predictions: Array) -> Array:
        return predictions == self.labels


def as_goal(goal: Any) -> Goal:
    """A goal as it is; an array of labels as `Untargeted`."""
    return goal if isinstance(goal, Goal) else Untargeted(goal)
