"""The inner loops, three times: as plain array code, compiled for the CPU, and in CUDA.

A kernel and its twins have one name, in files of one name: `reference/conv.py`, `cpu/conv.py`, `cuda/conv.py`.  A law
holds them together.

Reading order:
    slopes       the derivatives of the activations, written once
    reference    the specification
    memory       freed memory is kept for the next step
    threads      how loops and matrix products are shared among threads
    cpu          compiled by Numba
    cuda         compiled for a GPU
"""

import functools
import sys
from types import ModuleType
from typing import Any

from ..errors import DTypeError


def library(array: Any) -> ModuleType:
    """The library that made the array.  Raises `DTypeError` for one of a library that minidl does not know."""
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    return _by_type(type(array))  # type: ignore[arg-type]


@functools.cache
def _by_type(kind: Any) -> ModuleType:
    """For arrays that do not name their library themselves: CuPy's, and NumPy's scalars."""
    root = kind.__module__.partition(".")[0]
    if root not in ("numpy", "cupy"):
        fix = "convert it with numpy.asarray"
        raise DTypeError("minidl", "NumPy or CuPy arrays", f"{kind.__module__}.{kind.__name__}", fix)
    return sys.modules[root]
