"""Which array library, and which kernels: the one file that knows there is more than one of each.

An operation never asks what is in use; it asks the arrays it was given: `namespace(x)` is the library that
made x, and `kernels(x)` the kernels that run on it.  `use(name)` decides where *new* arrays are made (data,
parameters, random draws), and which kernels serve the arrays of that library:

    "numpy"   NumPy arrays, the readable kernels of `kernels.reference`; networks run layer by layer
    "numba"   NumPy arrays, the same kernels compiled (`kernels.cpu`): the default
    "cupy"    CuPy arrays on an NVIDIA GPU, with CUDA kernels (`kernels.cuda`)

A call of it holds for the process, a ``with`` block for its own thread or task.
The environment variable MINIDL_BACKEND names another default.  Numba is imported by the first kernel that runs.
Where that fails, the readable kernels run, and `describe` says so.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from .errors import BackendError, DTypeError
from .kernels import library, reference, threads
from .kernels.memory import keep_freed_memory


@dataclass(frozen=True)
class Backend:
    """An array library and the kernels that run on its arrays, which are loaded when first asked for.

    note: a function that says what else is worth knowing, for `describe`.
    """

    name: str
    namespace: ModuleType
    load_kernels: Callable[[], ModuleType]
    note: Callable[[], str] = lambda: ""

    @property
    def kernels(self) -> ModuleType:
        return self.load_kernels()


@cache
def _readable() -> ModuleType:
    """The readable kernels, for which freed memory is kept: they make many arrays, and those of layers one by one."""
    keep_freed_memory()
    return reference


@cache
def _compiled() -> tuple[ModuleType, str]:
    """The Numba kernels; or the readable ones, and why."""
    try:
        return importlib.import_module("minidl.kernels.cpu"), ""
    except Exception as error:  # with a NumPy that it does not know, Numba fails in more ways than ImportError
        return _readable(), f"; Numba cannot be imported: {error!r}"


def _numba_note() -> str:
    kernels, failure = _compiled()
    return failure or f", Numba {kernels.numba.__version__}, {threads.count()} threads"


def _cupy() -> Backend:
    fix = 'run pip install "minidl[cuda12]" (or cuda13, as your driver says) on a machine with an NVIDIA GPU'
    try:
        cupy = importlib.import_module("cupy")
        devices = cupy.cuda.runtime.getDeviceCount()
    except ImportError as error:
        raise BackendError("backend.use('cupy')", "CuPy and a GPU", str(error), fix) from error
    except RuntimeError as error:  # CuPy's CUDARuntimeError: no driver, or no device
        raise BackendError("backend.use('cupy')", "a GPU", str(error), fix) from error
    if devices == 0:
        raise BackendError("backend.use('cupy')", "a GPU", "none", fix)

    def device() -> str:
        here = cupy.cuda.runtime.getDevice()
        return f", device {here}: {cupy.cuda.runtime.getDeviceProperties(here)['name'].decode()}"

    return Backend("cupy", cupy, lambda: importlib.import_module("minidl.kernels.cuda"), device)


#: How to set up each backend.
BACKENDS: dict[str, Callable[[], Backend]] = {
    "numpy": lambda: Backend("numpy", np, _readable),
    "numba": lambda: Backend("numba", np, lambda: _compiled()[0], _numba_note),
    "cupy": _cupy,
}


def _named(operation: str, name: str) -> Backend:
    if name not in BACKENDS:
        raise BackendError(operation, f"one of {sorted(BACKENDS)}", repr(name))
    return BACKENDS[name]()


@cache
def _default() -> Backend:
    return _named("MINIDL_BACKEND", os.environ.get("MINIDL_BACKEND") or "numba")


_within: ContextVar[Backend | None] = ContextVar("minidl_backend", default=None)  # the choice of a with block
_calls: list[use] = []  # that no block was made of; the last is the choice of the process


class use:
    """Make new arrays with backend `name`: ``use("numpy")`` from here on, ``with use("numpy"):`` for a block.

    name: "numpy", "numba" or "cupy".  A call is the choice of the whole process, of all its threads and of every later
    cell of a notebook.  A block is the choice of its own thread (or asyncio task, and those that are started within)
    and goes before the process's.  Arrays made before keep their library.
    Raises `BackendError` for an unknown name, or a library that cannot run here.
    """

    def __init__(self, name: str) -> None:
        self.backend = _named("backend.use", name)
        self._before: list[Token[Backend | None]] = []
        _calls.append(self)
        del _calls[:-1000]  # of which none can still become a block

    def __enter__(self) -> Backend:
        """It was no call, but the beginning of a block."""
        if self in _calls:
            _calls.remove(self)
        self._before.append(_within.set(self.backend))
        return self.backend

    def __exit__(self, *_: object) -> None:
        _within.reset(self._before.pop())


def current() -> Backend:
    """The backend in use: of the innermost block, else of the last call, else MINIDL_BACKEND, else "numba".

    Raises `BackendError` if MINIDL_BACKEND names none that can run here.
    """
    return _within.get() or (_calls[-1].backend if _calls else _default())


def describe() -> str:
    """One line for reports: the backend in use, its library's version, its kernels, their threads or device."""
    backend = current()
    version = getattr(backend.namespace, "__version__", "unknown")
    library_name = backend.namespace.__name__.rpartition(".")[2]
    which = backend.kernels.__name__.rpartition(".")[2]
    return f"{backend.name}: {library_name} {version}, {which} kernels{backend.note()}"


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
