"""What a broken law says: by how much, where, with both values, of which function, and from what it may come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def close(law: str, actual: Any, expected: Any, tolerance: float) -> None:
    """Raise `AssertionError` unless two arrays have one shape, and all their entries are as good as equal.

    tolerance: for the greatest difference, as a part of 1 + the greatest of |expected|.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        raise AssertionError(f"{law}: shape {actual.shape}, expected {expected.shape}")
    scale = 1 + (np.abs(expected).max() if expected.size else 0.0)
    worst = np.abs(actual - expected).max() / scale if expected.size else 0.0
    if not worst <= tolerance:
        at = np.unravel_index(np.abs(actual - expected).argmax(), actual.shape)
        place = f"{list(map(int, at))} of shape {actual.shape}"
        entry = f"worst at {place}: {actual[at]:.10g}, expected {expected[at]:.10g}"
        raise AssertionError(f"{law}: off by {worst:.3g} relative to {scale:.3g}; allowed {tolerance:g}; {entry}")


def called(f: Any) -> str:
    """What a function is called in a message."""
    return getattr(f, "__name__", None) or repr(f)


def explain(error: Exception, law: str, of: str, law_says: str, causes: Mapping[str, str]) -> None:
    """Add a note to the error: which law, of what, what it says, and what a broken one most likely comes from."""
    note = f"Law {law!r} of {of}: {law_says}\nLikely causes, in order: {causes[law]}."
    error.add_note(note)
