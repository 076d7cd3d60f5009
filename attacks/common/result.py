"""`AttackResult`: what every attack returns, and the file that it can be saved to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from numbers import Real
from pathlib import Path
from typing import Any

from minidl.backend import asarray
from minidl.core import Array
from minidl.errors import DataError, DTypeError
from minidl.npz import read_archive, write_archive

from . import norms
from .checks import check_counts, check_seed
from .goal import Goal, Targeted, Untargeted
from .precision import check_dtype, in_single

#: The goals that a file can name.
GOALS: dict[str, type[Goal]] = {"Untargeted": Untargeted, "Targeted": Targeted}


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What an attack ended with, example by example, failures included.

    x: the images before (N, ...), the caller's own array, not a copy.
    x_adv: the images after (N, ...), in x's dtype.
    success: (N,) bool, recomputed from x_adv as it is here: ``goal.achieved(adv_pred)``.
    goal: `Untargeted` or `Targeted`, with the caller's labels.
    clean_pred: the predicted classes of x (N,).
    adv_pred: the predicted classes of x_adv (N,).
    iterations: steps of each example (N,).
    forwards: how many examples were run through the network, the predictions before and after included.
    backwards: how many cotangents were pulled back through it.
    seed: as given.
    params: the attack's name and its parameters.
    seconds: the run time of the attack; nan if it is not known, as in older files.

    >>> import numpy as np
    >>> from attacks import fgsm
    >>> from minidl import models
    >>> x = np.full((2, 784), 0.5, dtype=np.float32)
    >>> result = fgsm(models.mlp(seed=0), x, np.array([3, 5]), epsilon=0.1)
    >>> result.success.shape, result.l0.tolist(), result.forwards, result.backwards
    ((2,), [784, 784], 4, 2)
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
        attack = f"{self.params.get('attack', 'attack')}, {type(self.goal).__name__.lower()}"
        return f"AttackResult({attack}: {int(self.success.sum())} of {len(self)} examples successful)"

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
        """A few lines for the terminal: the attack, its success, its mean distances, and its cost."""
        name = self.params.get("attack", "attack")
        given = ", ".join(f"{key}={value}" for key, value in self.params.items() if key != "attack")
        lines = [f"{name}({given}) on {len(self)} examples, {type(self.goal).__name__.lower()}"]
        if len(self):
            changed = float((self.clean_pred != self.adv_pred).mean())
            lines.append(f"  success {float(self.success.mean()):.4f}, prediction changed {changed:.4f}")
            lengths = [f"{key} {float(getattr(self, key).mean()):.4g}" for key in ("l0", "l1", "l2", "linf")]
            lines.append(f"  mean distance: {', '.join(lengths)}")
            before = int(self.goal.achieved(self.clean_pred).sum())
            lines += [f"  {before} of them {self.goal.state} from the start"] if before else []
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
    """Raise `TypeError` or `ValueError` for fields that no attack has written."""
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
