"""Backends: which array library is used, and which kernels.

An operation uses the library of its arguments: `namespace(x)` is the library that made x, and `kernels(x)` the kernels
that run on it.  `use(name)` decides where *new* arrays are made (data, parameters, random draws), and which kernels run
on the arrays of that library:

    "numpy"   NumPy arrays, the readable kernels of `kernels.reference`; networks run layer by layer
    "numba"   NumPy arrays, the same kernels compiled (`kernels.cpu`): the default
    "cupy"    CuPy arrays on an NVIDIA GPU, with CUDA kernels (`kernels.cuda`)

A call is for the whole process, a ``with`` block for its own thread or task.  The environment variable MINIDL_BACKEND
names another default.  Numba is imported by the first kernel that runs.  If that fails, the readable kernels run, and
`describe` says so.
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
    """An array library, and the kernels that run on its arrays.

    name: "numpy", "numba" or "cupy".
    namespace: the array library.
    load_kernels: returns the kernels; it is called when they are first used.
    note: returns more text for `describe`.

    >>> from minidl import backend
    >>> isinstance(backend.current(), backend.Backend)
    True
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
    """The readable kernels.  Freed memory is kept for them, because they make many arrays."""
    keep_freed_memory()
    return reference


@cache
def _compiled() -> tuple[ModuleType, str]:
    """The Numba kernels; or the readable ones, and why."""
    try:
        return importlib.import_module("minidl.kernels.cpu"), ""
    except Exception as error:  # with a NumPy that is too new for it, Numba raises other errors than ImportError
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
_calls: list[use] = []  # of `use` that did not start a block; the last is the choice of the process


class use:
    """Make new arrays with a backend: ``use("numpy")`` from here on, ``with use("numpy"):`` for a block.

    name: "numpy", "numba" or "cupy".

    A call is for the whole process: all its threads, and every later cell of a notebook.  A block is for its own thread
    (or asyncio task, and tasks that are started in it), and overrides the call.  Arrays made before keep their library.
    Raises: `BackendError` for an unknown name, or a library that cannot run here.

    >>> from minidl import backend
    >>> with backend.use("numpy"):
    ...     backend.current().name
    'numpy'
    """

    def __init__(self, name: str) -> None:
        self.backend = _named("backend.use", name)
        self._before: list[Token[Backend | None]] = []
        _calls.append(self)
        del _calls[:-1000]  # older ones can no longer start a block

    def __enter__(self) -> Backend:
        """Start a block: it was not a call for the whole process."""
        if self in _calls:
            _calls.remove(self)
        self._before.append(_within.set(self.backend))
        return self.backend

    def __exit__(self, *_: object) -> None:
        _within.reset(self._before.pop())


def current() -> Backend:
    """The backend in use: of the innermost block, else of the last call, else MINIDL_BACKEND, else "numba".

    Raises: `BackendError` if MINIDL_BACKEND names a backend that cannot run here.

    >>> from minidl import backend
    >>> backend.current().name in ("numpy", "numba", "cupy")
    True
    """
    return _within.get() or (_calls[-1].backend if _calls else _default())


def describe() -> str:
    """One line for reports: the backend in use, its library's version, its kernels, their threads or device.

    >>> from minidl import backend
    >>> with backend.use("numpy"):
    ...     print(backend.describe().split(":")[0])
    numpy
    """
    backend = current()
    version = getattr(backend.namespace, "__version__", "unknown")
    library_name = backend.namespace.__name__.rpartition(".")[2]
    which = backend.kernels.__name__.rpartition(".")[2]
    return f"{backend.name}: {library_name} {version}, {which} kernels{backend.note()}"


def namespace(*arrays: Any) -> ModuleType:
    """The library that made the arrays.

    arrays: of one library, numbers among them; `DTypeError` for anything else.

    >>> import numpy as np
    >>> from minidl import backend
    >>> backend.namespace(np.zeros(3)) is np
    True
    """
    for array in arrays:
        if hasattr(array, "dtype"):
            return library(array)
        if not isinstance(array, (int, float)):
            raise DTypeError("minidl", "arrays or numbers", type(array).__name__, "wrap it in numpy.asarray")
    return current().namespace


def kernels(*arrays: Any) -> ModuleType:
    """The kernels for these arrays: those of the backend in use for its own library, else the readable ones.

    arrays: of one library, numbers among them.

    >>> import numpy as np
    >>> from minidl import backend
    >>> backend.kernels(np.zeros(3)).softplus(np.zeros(1)).round(4)
    array([0.6931])
    """
    backend = current()
    return backend.kernels if namespace(*arrays) is backend.namespace else reference


def asarray(x: Any, dtype: Any = None) -> Any:
    """x as an array of the library in use, on its device; without a copy if possible.

    x: an array of any library, a number, or nested lists.
    dtype: of the result; None keeps that of x.

    >>> from minidl import backend
    >>> backend.asarray([1, 2], dtype="float32").dtype.name
    'float32'
    """
    return current().namespace.asarray(x, dtype=dtype)


def to_numpy(x: Any) -> np.ndarray:
    """x as a NumPy array on the host.

    x: an array of any library, a number, or nested lists.

    >>> from minidl import backend
    >>> backend.to_numpy(backend.asarray([1.0]))
    array([1.])
    """
    return x.get() if hasattr(x, "get") else np.asarray(x)
