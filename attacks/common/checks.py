"""Checks of parameters.  Each raises `RangeError` for a value out of range, before any work."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from minidl.errors import RangeError


def check_number(
    attack: str, expected: str, value: Any, least: float = 0.0, most: float = math.inf, but: float | None = None
) -> float:
    """The value as a float, if it is a finite number from `least` to `most`, and not `but`; else `RangeError`.

    "A step of at least 0" is ``check_number("pgd", "a step of at least 0", step)``, "a rate above 0" has ``but=0``.
    """
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not least <= float(value) <= most or value == but:
        raise RangeError(attack, expected, repr(value))
    return float(value)


def check_counts(attack: str, least: int = 1, **numbers: Any) -> None:
    """Raise `RangeError` for a value that is not a whole number of at least `least`."""
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise RangeError(attack, f"a whole number of {name}, at least {least}", repr(value))


def check_seed(attack: str, seed: Any) -> None:
    """Raise `RangeError` for a seed that is not a whole number of at least 0."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise RangeError(attack, "a seed that is a whole number, at least 0", repr(seed))
