"""How every attack begins and ends: `begin` checks and predicts, `AttackResult` is what comes back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from minidl.backend import asarray, namespace
from minidl.core import Array
from minidl.errors import DataError, DTypeError, RangeError, ShapeError
from minidl.inputs import warn_if_wider
from minidl.losses import as_labels
from minidl.npz import read_archive, write_archive

from . import norms
from .active_set import ActiveSet
from .checks import check_counts, check_seed
from .goal import Goal, Targeted, Untargeted, as_goal
from .objectives import Objective
from .precision import check_dtype, given_back, in_single
from .victim import Victim, as_victim

#: The goals that a file can name.
GOALS: dict[str, type[Goal]] = {"Untargeted": Untargeted, "Targeted": Targeted}


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What an attack ended with, example by example; failures too.

    x, x_adv (N, ...): before and after.  success (N,) bool: recomputed from x_adv as it stands here, by
    ``goal.achieved(adv_pred)``.  clean_pred, adv_pred (N,): the classes predicted for x and x_adv.
    iterations (N,): steps taken.  forwards, backwards: examples run through the network and pulled back
    through it, the predictions before and after included.  params: the attack's name and its parameters.
    seconds: how long it took by the clock, from its first look at the images; nan if an older file does not say.
    x and the labels are the caller's own arrays, not copies: change them, and the result no longer fits.
    """

    x: Array
    x_adv: Array
    success: Array
    goal: Goal
    clean_pred: Array
    adv_pred: Array
    iterations: Array
    forwards: int
    backwards: int
    seed: int
    params: dict[str, Any]
    seconds: float = float("nan")

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        told = f"{self.params.get('attack', 'attack')}, {type(self.goal).__name__.lower()}"
        return f"AttackResult({told}: {int(self.success.sum())} of {len(self)} examples successful)"

    @property
    def perturbation(self) -> Array:
        """x_adv - x (N, ...), in float32 at least."""
        return in_single(self.x_adv) - in_single(self.x)

    @cached_property
    def l0(self) -> Array:
        """How many entries of each example were changed: (N,)."""
        return norms.l0_length(self.perturbation)

    @cached_property
    def distortion(self) -> Array:
        """The fraction of its entries that was changed in each example: (N,), from 0 to 1."""
        return self.l0 / max(self.features, 1)

    @property
    def features(self) -> int:
        """M, the number of entries of one example."""
        return prod(self.x.shape[1:])

    @cached_property
    def l1(self) -> Array:
        """Σ|x_adv - x| of each example: (N,)."""
        return norms.l1_length(self.perturbation)

    @cached_property
    def l2(self) -> Array:
        """√Σ(x_adv - x)² of each example: (N,)."""
        return norms.l2_length(self.perturbation)

    @cached_property
    def rms(self) -> Array:
        """√(Σ(x_adv - x)²/M), the distortion of Szegedy et al. 2013: (N,)."""
        return self.l2 / max(self.features, 1) ** 0.5

    @cached_property
    def linf(self) -> Array:
        """max |x_adv - x| of each example: (N,)."""
        return norms.linf_length(self.perturbation)

    def summary(self) -> str:
        """A few lines for the terminal: what was done, how often it worked, how far it went, what it cost."""
        name = self.params.get("attack", "attack")
        given = ", ".join(f"{key}={value}" for key, value in self.params.items() if key != "attack")
        lines = [f"{name}({given}) on {len(self)} examples, {type(self.goal).__name__.lower()}"]
        if len(self):
            changed = float((self.clean_pred != self.adv_pred).mean())
            lines.append(f"  success {float(self.success.mean()):.4f}, prediction changed {changed:.4f}")
            lengths = [f"{key} {float(getattr(self, key).mean()):.4g}" for key in ("l0", "l1", "l2", "linf")]
            lines.append(f"  mean distance: {', '.join(lengths)}")
            there = int(self.goal.achieved(self.clean_pred).sum())
            lines += [f"  {there} of them {self.goal.there} from the start"] if there else []
        lines.append(f"  {self.forwards} forward, {self.backwards} backward")
        return "\n".join(lines)

    def save(self, path: str | Path) -> None:
        """Write everything to an .npz file, atomically; `AttackResult.load` reads it back.

        Raises `DTypeError` for a goal of a class of your own, which `load` could not make again.
        """
        if GOALS.get(type(self.goal).__name__) is not type(self.goal):
            raise DTypeError("save", f"a goal of {sorted(GOALS)}", f"one of {type(self.goal).__module__}")
        names = ("x", "x_adv", "success", "clean_pred", "adv_pred", "iterations")
        arrays = {name: getattr(self, name) for name in names} | {"labels": self.goal.labels}
        header = {"goal": type(self.goal).__name__, "forwards": self.forwards, "backwards": self.backwards,
                  "seed": self.seed, "params": self.params, "seconds": self.seconds}  # fmt: skip
        write_archive(path, "attack", header, arrays)

    @staticmethod
    def load(path: str | Path) -> AttackResult:
        """The result in a file written by `save`.  Raises `DataError` for any other file."""
        header, arrays = read_archive(path, "attack")
        try:
            goal = GOALS[header.pop("goal")](asarray(arrays.pop("labels")))
            known = {name: header[name] for name in ("forwards", "backwards", "seed", "params")}
            known["seconds"] = header.get("seconds", float("nan"))
            fields: dict[str, Any] = {name: asarray(value) for name, value in arrays.items()} | known
            result = AttackResult(goal=goal, **fields)
            _check_sound(result)
        except (KeyError, TypeError, ValueError) as error:  # which minidl's own are, too
            raise DataError("load", f"{path} to hold an attack's result", repr(error)) from error
        return result


def _check_sound(result: AttackResult) -> None:
    """Refuse fields that no attack has left, with `TypeError` or `ValueError`."""
    if result.x.ndim < 2 or result.x.shape != result.x_adv.shape or result.x.dtype != result.x_adv.dtype:
        raise ValueError(f"images {result.x.dtype} {result.x.shape}, and {result.x_adv.dtype} {result.x_adv.shape}")
    check_dtype("load", result.x)
    numbers = (result.goal.labels, result.clean_pred, result.adv_pred, result.iterations)
    if any(a.shape != (len(result),) for a in (*numbers, result.success)):
        raise ValueError("arrays of different lengths")
    if any(a.dtype.kind not in "iu" for a in numbers) or result.success.dtype != bool:
        raise TypeError("classes and steps that are no whole numbers, or success that is no truth value")
    if (result.success != result.goal.achieved(result.adv_pred)).any():
        raise ValueError("success that the predictions do not bear out")
    check_counts("load", least=0, forwards=result.forwards, backwards=result.backwards)
    check_seed("load", result.seed)
    if not isinstance(result.params, dict) or not isinstance(result.seconds, Real):
        raise TypeError("parameters that are no names and values, or seconds that are no number")


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
