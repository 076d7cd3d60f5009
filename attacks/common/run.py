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
from .precision import given_back, in_single
from .result import AttackResult
from .victim import Victim, as_victim


class Run:
    """An attack under way: its victim, images and goal, checked; `end` turns what it found into a result.

    x (N, ...): the images to work on, in float32 at least.  given (N, ...): the caller's, x itself unless those are in
    half precision.  clean_logits (N, K), clean_pred (N,): what the network says of x.  slope, like x: that of the
    objective there, from the same run of the network, if `begin` was told one.
    """

    def __init__(
        self, attack: str, victim: Victim, given: Array, goal: Goal, seed: int, objective: Objective | None = None
    ) -> None:
        self.attack, self.victim, self.goal, self.seed = attack, victim, goal, seed
        self.given, self.x = given, in_single(given)
        self.interrupted: bool | None = None  # None: the attack is over too soon to be interrupted
        self._start = victim.forwards, victim.backwards
        self._clock = time.perf_counter()
        self._checking = 0  # forwards that were spent on the predictions of earlier results
        self.slope: Array = None
        _check_classes(attack, victim, goal)
        if objective is None:
            self.clean_logits = victim.logits(self.x)
            _check_classes(attack, victim, goal, self.clean_logits)
        else:

            def checked(goal: Goal, logits: Array) -> Array:  # it counts on labels that are classes
                _check_classes(attack, victim, goal, logits)
                return objective(goal, logits)

            self.clean_logits, self.slope = victim.ascent(self.x, goal, checked)
        self.clean_pred = self.clean_logits.argmax(axis=-1)
        self.classes: int = self.clean_logits.shape[1]

    def started(self) -> tuple[Array, Array]:
        """What an attack begins with and fills in: the images as they are (N, ...), and 0 iterations of each (N,)."""
        return self.x.copy(), namespace(self.x).zeros(len(self.x), dtype="int64")

    def standing(self) -> ActiveSet:
        """The examples that have not achieved the goal as they are: most attacks leave the others alone."""
        return ActiveSet.standing(self.goal.achieved(self.clean_pred))

    def as_returned(self, images: Array, origin: Array) -> Array:
        """Images made from those at `origin`, both (n, ...), as they would be given back: rounded if that is coarser.

        What an attack judges by these is then true of its result.
        """
        if self.given.dtype == self.x.dtype:
            return images
        return given_back(images, origin.astype(self.given.dtype)).astype(images.dtype)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Around the loop of an attack: Ctrl-C ends it early, and what it has found until then is kept.

        The result says so in ``params["interrupted"]``.
        """
        self.interrupted = bool(self.interrupted)
        try:
            yield
        except KeyboardInterrupt:
            self.interrupted = True

    def key(self, *numbers: int) -> int:
        """The key of a stream of random numbers: of the seed and of these numbers, such as that of a restart."""
        return stream(self.seed, *numbers)

    @property
    def seconds(self) -> float:
        """How long it has been under way."""
        return time.perf_counter() - self._clock

    def end(self, x_adv: Array, iterations: Any = 1, **params: Any) -> AttackResult:
        """The result, with x_adv in the dtype of the caller's images, and success recomputed from it as it is then.

        iterations: of each example (N,), or of all of them.  Examples that were at their target from the start come
        back as they are, after 0 iterations, whatever was done with them.
        An attack may end several times, once for each ε; each result counts the shared work, and its own.  Its
        seconds are those until it was there.
        """
        forwards, backwards = self.victim.forwards, self.victim.backwards
        xp, x_adv = namespace(x_adv), given_back(x_adv, self.given)
        iterations = iterations + xp.zeros(len(x_adv), dtype="int64")
        if isinstance(self.goal, Targeted):
            there = self.goal.achieved(self.clean_pred)
            x_adv = xp.where(norms.per_example(there, x_adv), self.given, x_adv)
            iterations = xp.where(there, 0, iterations)
        try:
            adv_pred = self.victim.predict(x_adv)
        except KeyboardInterrupt:  # while it is judged what was found: that would be lost
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
    """The key of a stream of random numbers: a hash of these whole numbers, of which zeros at the end do not count."""
    return int(np.random.SeedSequence(tuple(map(int, numbers))).generate_state(1, np.uint64)[0])


def _check_classes(attack: str, victim: Victim, goal: Goal, logits: Array | None = None) -> None:
    """Refuse labels that are no classes, once: before any work if the network tells how many it has, or by logits."""
    told: Any = getattr(victim.net, "output_shape", None)
    if (told is None) == (logits is None):
        return
    labels, classes = goal.labels, (told if logits is None else logits.shape)[-1]
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise RangeError(attack, f"labels in 0 ... {classes - 1}", f"labels from {labels.min()} to {labels.max()}")


def begin(attack: str, victim: Any, x: Any, goal: Any, seed: int, objective: Objective | None = None) -> Run:
    """Check everything that can be wrong with an attack's arguments, then predict the images as they are.

    objective: given by an attack that wants its slope there, too: one run of the network serves for both.
    Raises `DTypeError`, `ShapeError` or `RangeError`: for images that are not a floating-point batch within
    the victim's bounds, labels that are not one integer class per image, outputs that are not logits, or a seed that
    is not a whole number of at least 0.  Warns of images in a wider dtype than the network's.
    """
    victim, goal = as_victim(victim), as_goal(goal)
    victim.check_images(attack, x)
    warn_if_wider(attack, x, victim.net, stacklevel=3)
    if goal.labels.shape != (len(x),):
        fix = as_labels(goal.labels, goal.letter) if goal.labels.ndim == 2 else ""
        raise ShapeError(attack, f"one label per image ({len(x)},)", f"{goal.labels.shape}", fix)
    check_seed(attack, seed)
    return Run(attack, victim, x, goal, seed, objective)
