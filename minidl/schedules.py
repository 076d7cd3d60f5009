"""Schedules: learning rates and momenta that change during training.

A schedule is a function of the epochs so far, a number that grows with every batch: 1.5 is in the middle of the second
epoch.  ``SGD(lr=Cosine(0.1, epochs=20))`` has one instead of a number, and so may the momentum.  Any function can be a
schedule.  Those here are frozen descriptions, so that a checkpoint can distinguish them.
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
    """The number itself, or the number that a schedule returns.

    value: a number or a schedule.
    epochs: how many so far.

    >>> from minidl.schedules import StepDecay, value_at
    >>> value_at(0.1, 5), value_at(StepDecay(1.0, every=2), 5)
    (0.1, 0.010000000000000002)
    """
    return value(epochs) if callable(value) else value


@dataclass(frozen=True)
class StepDecay:
    """start·factor^⌊t/every⌋, after t epochs.

    start: the first value, at least 0.
    every: after how many epochs it is multiplied by the factor, above 0.
    factor: at least 0.

    Raises: `RangeError` for numbers out of range.

    >>> from minidl.schedules import StepDecay
    >>> [StepDecay(1.0, every=10, factor=0.5)(t) for t in (0, 9.9, 10, 20)]
    [1.0, 1.0, 0.5, 0.25]
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
class Exponential:
    """max(end, start·factor^t) after t epochs, for t that grows with every batch.

    start: the first value, at least 0.
    factor: for each epoch, at least 0.  A rate that is divided by c after every batch has the factor c^-(batches in
    an epoch).
    end: the least value, at least 0.

    Raises: `RangeError` for numbers out of range.

    >>> from minidl.schedules import Exponential
    >>> [Exponential(1.0, factor=0.25, end=0.1)(t) for t in (0, 0.5, 1, 2)]
    [1.0, 0.5, 0.25, 0.1]
    """

    start: float
    factor: float
    end: float = 0.0

    def __post_init__(self) -> None:
        _check("Exponential", "of at least 0", start=self.start, factor=self.factor, end=self.end)

    def __call__(self, epochs: float) -> float:
        return max(self.end, self.start * self.factor**epochs)


@dataclass(frozen=True)
class Linear:
    """start + (end - start)·t/epochs after t epochs, and `end` afterwards.

    start: the first value, at least 0.
    epochs: after how many `end` is reached, above 0.
    end: the last value, at least 0.

    Raises: `RangeError` for numbers out of range.

    >>> from minidl.schedules import Linear
    >>> [Linear(0.5, epochs=10, end=1.0)(t) for t in (0, 5, 10, 11)]
    [0.5, 0.75, 1.0, 1.0]
    """

    start: float
    epochs: float
    end: float = 0.0

    def __post_init__(self) -> None:
        _check("Linear", "of at least 0", start=self.start, end=self.end)
        _check("Linear", "above 0", epochs=self.epochs)

    def __call__(self, epochs: float) -> float:
        return self.start + (self.end - self.start) * min(epochs / self.epochs, 1.0)


@dataclass(frozen=True)
class Cosine:
    """end + (start - end)·(1 + cos(π t/epochs))/2 after t epochs: half a cosine, and `end` afterwards.

    start: the first value, at least 0.
    epochs: after how many `end` is reached, above 0.
    end: the last value, at least 0.

    Raises: `RangeError` for numbers out of range.
    Source: Loshchilov and Hutter 2017, eq. 5, without restarts.

    >>> from minidl.schedules import Cosine
    >>> [round(Cosine(1.0, epochs=10)(t), 4) for t in (0, 5, 10, 11)]
    [1.0, 0.5, 0.0, 0.0]
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
    """min(1, t/epochs)·then(t) after t epochs: it grows evenly from 0 to `then`.

    then: a number of at least 0, or another schedule, which also starts at t = 0.
    epochs: how long it grows, above 0.

    Raises: `RangeError` for numbers out of range.
    Source: Goyal et al. 2017, §2.2.

    >>> from minidl.schedules import WarmUp
    >>> [WarmUp(0.1, epochs=2)(t) for t in (0, 1, 2, 3)]
    [0.0, 0.05, 0.1, 0.1]
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
    """Whether a value is a finite number of at least 0.

    value: anything.

    >>> from minidl.schedules import is_number
    >>> is_number(0.5), is_number(-1), is_number("1")
    (True, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) < math.inf


def _check(schedule: str, wanted: str, **numbers: Any) -> None:
    """Raise `RangeError` for a value that is not a finite number "of at least 0", or "above 0"."""
    for name, value in numbers.items():
        if not is_number(value) or (wanted == "above 0" and value == 0):
            raise RangeError(schedule, f"{name} {wanted}, finite", repr(value))
