"""Which array library, and which kernels: the one file that knows there is more than one of each.

An operation never asks what is in use; it asks the arrays it was given: `namespace(x)` is the library that
made x, and `kernels(x)` the kernels that run on it.  `use(name)` decides where *new* arrays are made (data,
parameters, random draws), and which kernels serve the arrays of that library.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from .errors import BackendError, DTypeError
from .kernels import library, reference


@dataclass(frozen=True)
class Backend:
    """An array library and the kernels that run on its arrays."""

    name: str
    namespace: ModuleType
    kernels: ModuleType


def _cupy() -> Backend:
    fix = 'pip install "minidl[cuda12]" (or cuda13, as your driver says) on a machine with an NVIDIA GPU'
    try:
        cupy = importlib.import_module("cupy")
        devices = cupy.cuda.runtime.getDeviceCount()
    except ImportError as error:
        raise BackendError("backend.use('cupy')", "CuPy and a GPU", str(error), fix) from error
    except RuntimeError as error:  # CuPy's CUDARuntimeError: no driver, or no device
        raise BackendError("backend.use('cupy')", "a GPU", str(error), fix) from error
    if devices == 0:
        raise BackendError("backend.use('cupy')", "a GPU", "none", fix)
    return Backend("cupy", cupy, reference)


#: How to set up each backend.  The plain array kernels serve every library until fused ones join them.
BACKENDS: dict[str, Callable[[], Backend]] = {
    "numpy": lambda: Backend("numpy", np, reference),
    "cupy": _cupy,
}

_NUMPY = BACKENDS["numpy"]()
_current: ContextVar[Backend] = ContextVar("minidl_backend", default=_NUMPY)


class use:
    """Make new arrays with backend `name`: ``use("numpy")`` from here on, ``with use("numpy"):`` for a block.

    The choice holds for the current thread (or asyncio task).  Arrays made before keep their library.
    Raises `BackendError` for an unknown name, or a library that cannot run here.
    """

    def __init__(self, name: str) -> None:
        if name not in BACKENDS:
            raise BackendError("backend.use", f"one of {sorted(BACKENDS)}", repr(name))
        self._before: Token[Backend] = _current.set(BACKENDS[name]())

    def __enter__(self) -> Backend:
        return _current.get()

    def __exit__(self, *_: object) -> None:
        _current.reset(self._before)


def current() -> Backend:
    """The backend in use."""
    return _current.get()


def describe() -> str:
    """One line for reports: the backend in use, its library's version, and its kernels."""
    backend = current()
    version = getattr(backend.namespace, "__version__", "unknown")
    return f"{backend.name} {version}, {backend.kernels.__name__.rpartition('.')[2]} kernels"


def namespace(*arrays: Any) -> ModuleType:
    """The library that made the arrays; numbers belong to any.  Raises `DTypeError` for anything else."""
    for array in arrays:
        if hasattr(array, "dtype"):
            return library(array)
        if not isinstance(array, (int, float)):
            raise DTypeError("minidl", "arrays or numbers", type(array).__name__, "wrap it in numpy.asarray")
    return current().namespace


def kernels(*arrays: Any) -> ModuleType:
    """The kernels for these arrays: the current backend's for its own library, the plain ones for others."""
    backend = current()
    return backend.kernels if namespace(*arrays) is backend.namespace else reference


def asarray(x: Any, dtype: Any = None) -> Any:
    """x as an array of the library in use, on its device; no copy where none is needed."""
    return current().namespace.asarray(x, dtype=dtype)


def to_numpy(x: Any) -> np.ndarray:
    """x as a NumPy array on the host."""
    return x.get() if hasattr(x, "get") else np.asarray(x)
