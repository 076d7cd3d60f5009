"""The goal of an attack: any prediction but the label (`Untargeted`), or one class in particular (`Targeted`).

A goal says when it is achieved.  How close a network is to it, and which direction leads there, `objectives` say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from minidl.core import Array
from minidl.errors import DTypeError
from minidl.losses import as_labels


@dataclass(frozen=True, eq=False)
class Goal:
    """Labels, and whether an attack leads away from them or towards them.

    labels: (N,), integer, one for each example.

    Each kind of goal has a `direction`, +1 away from the labels and -1 towards them; a `state`, what examples are
    called that achieve it; and a `letter`, the papers' name of the labels, y or t.
    Raises: `DTypeError` for labels that are not integers.

    >>> import numpy as np
    >>> from attacks import Goal, Targeted
    >>> isinstance(Targeted(np.array([3, 5])), Goal)
    True
    """

    labels: Array
    direction: ClassVar[int]
    state: ClassVar[str]
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
        """Whether predictions (N,) are a success, example by example: (N,) bool.  The only definition of success."""
        raise NotImplementedError

    def take(self, which: Any) -> Goal:
        """The goal for some of the examples."""
        return type(self)(self.labels[which])


class Untargeted(Goal):
    """Any class but the label y.

    labels: y (N,), integer.

    >>> import numpy as np
    >>> from attacks import Untargeted
    >>> Untargeted(np.array([3, 5])).achieved(np.array([3, 7]))
    array([False,  True])
    """

    direction = 1
    state = "misclassified"
    letter = "y"

    def achieved(self, predictions: Array) -> Array:
        return predictions != self.labels


class Targeted(Goal):
    """The class t.  An attack returns examples that are predicted as t from the start unchanged, as successes.

    labels: t (N,), integer.

    >>> import numpy as np
    >>> from attacks import Targeted
    >>> Targeted(np.array([3, 5])).achieved(np.array([3, 7]))
    array([ True, False])
    """

    direction = -1
    state = "at their target"
    letter = "t"

    def achieved(self, predictions: Array) -> Array:
        return predictions == self.labels


def as_goal(goal: Any) -> Goal:
    """The goal itself, or `Untargeted` for an array of labels.

    goal: a `Goal`, or labels (N,).

    >>> import numpy as np
    >>> from attacks.common.goal import as_goal
    >>> type(as_goal(np.array([3, 5]))).__name__
    'Untargeted'
    """
    return goal if isinstance(goal, Goal) else Untargeted(goal)
