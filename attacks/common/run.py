"""How every attack begins and ends: `begin` checks and predicts, `Run.end` makes the result."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from minidl.backend import namespace
from minidl.core import Array
from minidl.errors import RangeError, ShapeError
from minidl.inputs import warn_if_wider
from minidl.losses import as_labels

from . import norms
from .active_set import ActiveSet
from .checks import check_seed
from .goal import Goal, Targeted, as_goal
from .objectives import Objective
from .precision import in_dtype_of, in_single
from .result import AttackResult
from .victim import Victim, as_victim


class Run:
    """An attack between `begin` and `end`: its victim, images and goal, all checked.

    x: the images to work on (N, ...), in float32 at least.
    given: the caller's images (N, ...); x itself unless they are in half precision.
    clean_logits, clean_pred: logits (N, K) and predicted classes (N,) of x.
    gradient: that of the objective at x, like x, if `begin` was given an objective; from the same run of the network.
    attack, victim, goal, seed, objective: as given to `begin`.

    >>> import numpy as np
    >>> from attacks.common.run import begin
    >>> from minidl import models
    >>> run = begin("mine", models.mlp(seed=0), np.zeros((2, 784), dtype=np.float32), np.array([3, 5]), seed=0)
    >>> run.classes, run.end(run.x + 0.5, iterations=1).l0.tolist()
    (10, [784, 784])
    """

    def __init__(
        self, attack: str, victim: Victim, given: Array, goal: Goal, seed: int, objective: Objective | None = None
    ) -> None:
        self.attack, self.victim, self.goal, self.seed = attack, victim, goal, seed
        self.given, self.x = given, in_single(given)
        self.interrupted: bool | None = None  # None: the attack has no loop that Ctrl-C could interrupt
        self._start = victim.forwards, victim.backwards
        self._clock = time.perf_counter()
        self._checking = 0  # forward runs for the predictions of earlier results
        self.gradient: Array = None
        _check_classes(attack, victim, goal)
        if objective is None:
            self.clean_logits = victim.logits(self.x)
            _check_classes(attack, victim, goal, self.clean_logits)
        else:

            def checked(goal: Goal, logits: Array) -> Array:  # before the objective uses labels as indices
                _check_classes(attack, victim, goal, logits)
                return objective(goal, logits)

            self.clean_logits, self.gradient = victim.logits_and_gradient(self.x, goal, checked)
        self.clean_pred = self.clean_logits.argmax(axis=-1)
        self.classes: int = self.clean_logits.shape[1]

    def started(self) -> tuple[Array, Array]:
        """What an attack starts from and fills in: a copy of the images (N, ...), and 0 iterations for each (N,)."""
        return self.x.copy(), namespace(self.x).zeros(len(self.x), dtype="int64")

    def not_yet_successful(self) -> ActiveSet:
        """The examples that do not achieve the goal as they are.  Most attacks leave the others unchanged."""
        return ActiveSet.without(self.goal.achieved(self.clean_pred))

    def as_returned(self, images: Array, origin: Array) -> Array:
        """Images made from those at `origin`, both (n, ...), as the attack would return them: in their dtype.

        A success at these images is then a success of the result.
        """
        if self.given.dtype == self.x.dtype:
            return images
        return in_dtype_of(images, origin.astype(self.given.dtype)).astype(images.dtype)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Around the loop of an attack: Ctrl-C ends the loop, and the attack returns what it has reached by then.

        ``params["interrupted"]`` of the result says so.
        """
        self.interrupted = bool(self.interrupted)
        try:
            yield
        except KeyboardInterrupt:
            self.interrupted = True

    def key(self, *numbers: int) -> int:
        """The key of a stream of random numbers, a function of the seed and of these numbers, such as a restart."""
        return stream(self.seed, *numbers)

    @property
    def seconds(self) -> float:
        """The run time until now."""
        return time.perf_counter() - self._clock

    def end(self, x_adv: Array, iterations: Any = 1, **params: Any) -> AttackResult:
        """The result, with x_adv in the dtype of the caller's images, and success recomputed from it in that dtype.

        iterations: of each example (N,), or one number for all.
        Examples that were at their target from the start are returned unchanged, after 0 iterations.
        An attack may end several times, once for each ε.  Each result counts the shared work and its own, and its
        seconds are the run time until then.
        """
        forwards, backwards = self.victim.forwards, self.victim.backwards
        xp, x_adv = namespace(x_adv), in_dtype_of(x_adv, self.given)
        iterations = iterations + xp.zeros(len(x_adv), dtype="int64")
        if isinstance(self.goal, Targeted):
            unchanged = self.goal.achieved(self.clean_pred)
            x_adv = xp.where(norms.per_example(unchanged, x_adv), self.given, x_adv)
            iterations = xp.where(unchanged, 0, iterations)
        try:
            adv_pred = self.victim.predict(x_adv)
        except KeyboardInterrupt:  # during the last prediction: the images would be lost
            if self.interrupted is None:
                raise
            self.interrupted, adv_pred = True, self.victim.predict(x_adv)
        shared = forwards - self._start[0] - self._checking
        self._checking += self.victim.forwards - forwards
        if self.interrupted is not None:
            params["interrupted"] = self.interrupted
        return AttackResult(
            self.given, x_adv, self.goal.achieved(adv_pred), self.goal, self.clean_pred, adv_pred,
            iterations, shared + self.victim.forwards - forwards,
            backwards - self._start[1], self.seed, {"attack": self.attack, **params}, self.seconds,
        )  # fmt: skip


def stream(*numbers: int) -> int:
    """The key of a stream of random numbers: a hash of these whole numbers.  Zeros at the end do not change it.

    numbers: for example a seed and the number of a restart.

    >>> from attacks.common.run import stream
    >>> stream(0, 1) == stream(0, 2), stream(0, 1) == stream(0, 1)
    (False, True)
    """
    return int(np.random.SeedSequence(tuple(map(int, numbers))).generate_state(1, np.uint64)[0])


def _check_classes(attack: str, victim: Victim, goal: Goal, logits: Array | None = None) -> None:
    """Raise `RangeError` for labels that are not classes: before any work if the network has an output_shape."""
    known: Any = getattr(victim.net, "output_shape", None)
    if (known is None) == (logits is None):
        return
    labels, classes = goal.labels, (known if logits is None else logits.shape)[-1]
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise RangeError(attack, f"labels in 0 ... {classes - 1}", f"labels from {labels.min()} to {labels.max()}")


def begin(attack: str, victim: Any, x: Any, goal: Any, seed: int, objective: Objective | None = None) -> Run:
    """Check the arguments that every attack has, then predict the images as they are.

    attack: its name, for errors and for the result.
    victim: a network, a function to logits, or a `Victim`.
    x: images (N, ...), floating point, within the victim's bounds.  Warns if their dtype is wider than the network's.
    goal: labels (N,), `Untargeted(y)` or `Targeted(t)`.
    seed: a whole number, at least 0.
    objective: of an attack that starts from its gradient at x.  One run of the network then serves for both.

    Returns: a `Run`.
    Raises: `DTypeError`, `ShapeError` or `RangeError`, for arguments that are not as said here, and for outputs of the
    victim that are not logits.

    >>> import numpy as np
    >>> from attacks.common.run import begin
    >>> from minidl import models
    >>> begin("mine", models.mlp(seed=0), np.zeros((2, 784), dtype=np.float32), np.array([3, 50]), seed=0)
    Traceback (most recent call last):
    minidl.errors.RangeError: mine: expected labels in 0 ... 9, got labels from 3 to 50
    """
    victim, goal = as_victim(victim), as_goal(goal)
    victim.check_images(attack, x)
    warn_if_wider(attack, x, victim.net, stacklevel=3)
    if goal.labels.shape != (len(x),):
        fix = as_labels(goal.labels, goal.letter) if goal.labels.ndim == 2 else ""
        raise ShapeError(attack, f"one label per image ({len(x)},)", f"{goal.labels.shape}", fix)
    check_seed(attack, seed)
    return Run(attack, victim, x, goal, seed, objective)
