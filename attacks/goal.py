"""What an attack is after: any answer but the right one (`Untargeted`), or one answer in particular (`Targeted`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minidl import losses
from minidl.core import Array
from minidl.errors import DTypeError


@dataclass(frozen=True, eq=False)
class Goal:
    """One label per example, (N,) integer, and what they mean to the attack."""

    labels: Array

    def __post_init__(self) -> None:
        if getattr(getattr(self.labels, "dtype", None), "kind", "?") not in "iu":
            got = str(getattr(self.labels, "dtype", type(self.labels).__name__))
            raise DTypeError(type(self).__name__, "labels of an integer dtype", got, "y.astype(np.int64)")

    def objective(self, logits: Array) -> Array:
        """What the attack raises: a scalar, the sum over the examples, so that none weighs on another's gradient."""
        raise NotImplementedError

    def achieved(self, predictions: Array) -> Array:
        """Success, example by example: (N,) bool.  The only definition of it."""
        raise NotImplementedError

    def take(self, which: Any) -> Goal:
        """The goal for some of the examples."""
        return type(self)(self.labels[which])


class Untargeted(Goal):
    """Any class but y.  Raises J(x, y), the cross-entropy of the true label."""

    def objective(self, logits: Array) -> Array:
        return losses.cross_entropy(logits, self.labels, "sum")

    def achieved(self, predictions: Array) -> Array:
        return predictions != self.labels


class Targeted(Goal):
    """The class t, which must not be the one the network gives already.  Raises -J(x, t)."""

    def objective(self, logits: Array) -> Array:
        return -losses.cross_entropy(logits, self.labels, "sum")

    def achieved(self, predictions: Array) -> Array:
        return predictions == self.labels


def as_goal(goal: Any) -> Goal:
    """A goal as it is; an array of labels as `Untargeted`."""
    return goal if isinstance(goal, Goal) else Untargeted(goal)
