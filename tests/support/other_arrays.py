"""The same results on another array library: on the strict stand-in, or with CuPy on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minidl import backend
from minidl.backend import Backend
from minidl.kernels import reference
from tests.support import strict


def add_the_stand_in(monkeypatch: Any) -> None:
    """For one test, a backend "strict": the stand-in, with the readable kernels."""
    monkeypatch.setitem(backend.BACKENDS, "strict", lambda: Backend("strict", strict, lambda: reference))


def check_the_same_on(name: str, results: Callable[[], Sequence[np.ndarray]], **tolerance: float) -> None:
    """Run a function on the backend of that name and on "numpy": its arrays are equal, or close within the tolerance."""
    with backend.use(name):
        theirs = results()
    compare: Any = np.testing.assert_allclose if tolerance else np.testing.assert_array_equal
    with backend.use("numpy"):
        for their_array, our_array in zip(theirs, results(), strict=True):
            compare(their_array, our_array, **tolerance)
