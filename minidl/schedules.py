"""Schedules: learning rates, and momenta, that change as training goes on.

A schedule is a function of the epochs that are behind, a number that grows with every batch: 1.5 is in the middle of
the second epoch.  ``SGD(lr=Cosine(0.1, epochs=20))`` takes one in place of a number, and so does its momentum; any
function will do.  Those here are frozen descriptions, so that a checkpoint can tell them apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

from .errors import RangeError

Schedule = Callable[[float], float]


def value_at(value: float | Schedule, epochs: float) -> float:
    """The number itself, or what a schedule gives after so many epochs."""
    return value(epochs) if callable(value) else value


@dataclass(frozen=True)
class StepDecay:
    """`start`, times `factor` after each `every` epochs: start·factor^⌊t/every⌋.

    Raises `RangeError` unless `every` is above 0 and the others are at least 0.
    """

    start: float
    every: float
    factor: float = 0.1

    def __post_init__(self) -> None:
        _check("StepDecay", "of at least 0", start=self.start, factor=self.factor)
        _check("StepDecay", "above 0", every=self.every)

    def __call__(self, epochs: float) -> float:
        return self.start * self.factor ** (epochs // self.every)


@dataclass(frozen=True)
class Cosine:
    """From `start` to `end` within so many epochs, along half a cosine, and `end` from then on.

    end + (start - end)·(1 + cos(π t/epochs))/2   (Loshchilov and Hutter 2017, eq. 5, without restarts).
    Raises `RangeError` unless `epochs` is above 0 and the others are at least 0.
    """

    start: float
    epochs: float
    end: float = 0.0

    def __post_init__(self) -> None:
        _check("Cosine", "of at least 0", start=self.start, end=self.end)
        _check("Cosine", "above 0", epochs=self.epochs)

    def __call__(self, epochs: float) -> float:
        passed = min(epochs / self.epochs, 1.0)
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * passed)) / 2


@dataclass(frozen=True)
class WarmUp:
    """`then`, a number or another schedule, after growing evenly from 0 to it within so many epochs.

    min(1, t/epochs)·then(t)   (Goyal et al. 2017, §2.2); the clock of `then` starts with training, too.
    Raises `RangeError` unless `epochs` is above 0 and `then` a schedule or a number of at least 0.
    """

    then: float | Schedule
    epochs: float

    def __post_init__(self) -> None:
        if not callable(self.then):
            _check("WarmUp", "of at least 0", then=self.then)
        _check("WarmUp", "above 0", epochs=self.epochs)

    def __call__(self, epochs: float) -> float:
        return min(epochs / self.epochs, 1.0) * value_at(self.then, epochs)


def is_number(value: Any) -> bool:
    """Whether it is a finite number of at least 0."""
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) < math.inf


def _check(schedule: str, wanted: str, **numbers: Any) -> None:
    """Refuse what is no finite number, or not as wanted: "of at least 0" or "above 0"."""
    for name, value in numbers.items():
        if not is_number(value) or (wanted == "above 0" and value == 0):
            raise RangeError(schedule, f"{name} {wanted}, finite", repr(value))
