"""How the kernels of this folder are compiled: `compiled`, for loops, and `twin`, for the functions that call them."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache, IndexDataCacheFile

from .. import reference

#: What the compiler may do to sums: reorder, contract, ignore the sign of zero.  Not assume that there are no NaNs, and
#: not put approximations for divisions and roots: those differ between the middle of a loop and its end.
RELAXED = {"reassoc", "contract", "nsz"}

Array = Any
WORKING = (np.dtype(np.float32), np.dtype(np.float64))


def compiled(relaxed: bool = True) -> Callable[[Callable], Callable]:
    """Compile a loop when it is first called, keep the result on disk, and release Python's lock while it runs.

    relaxed: allow what `RELAXED` says; False keeps every rounding as written, for kernels that must agree with the
    reference to the bit.
    Division by zero gives infinities, as in NumPy; the check for it would keep loops from being vectorised.
    The disk is left out where no folder can be written.
    """

    def decorate(loop: Callable) -> Callable:
        options: dict[str, Any] = {"nogil": True, "fastmath": RELAXED if relaxed else False, "error_model": "numpy"}
        dispatcher = numba.njit(**options)(loop)
        if hasattr(dispatcher, "enable_caching"):  # with NUMBA_DISABLE_JIT it is the loop itself
            with contextlib.suppress(RuntimeError):  # "cannot cache function: no locator available"
                dispatcher._cache = ForgivingCache(loop)
        return dispatcher

    return decorate


@functools.cache
def sources() -> str:
    """SHA-256 of all the texts that a compiled loop may have been made of: the files of all kernels."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


class ForgivingCache(FunctionCache):
    """Numba's cache on disk; what is damaged in it is compiled anew, and what cannot be written is left out.

    Numba's own would end every later run with EOFError once a process was killed while it wrote there.  And it knows a
    loop by the date of its own file alone: it would go on with an old `slopes.tanh` in it, or old options of this file.
    """

    def __init__(self, loop: Callable) -> None:
        super().__init__(loop)
        self._cache_file = IndexDataCacheFile(self._cache_path, self._impl.filename_base, sources())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # unpickling what is left of a file raises anything
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception:  # a full disk, a folder that was taken away, an index that is damaged and cannot be written
            self.disable()


def twin(kernel: Callable | None = None, *, integers: bool = False, alike: bool = False) -> Callable:
    """A kernel with a twin in `reference`, which is called for arrays that unchecked loops cannot handle.

    That is: arrays that are empty, or of other dtypes than float32 or float64, or of both.  integers: whether the
    kernel takes arrays of integers or booleans beside those.  alike: whether all arrays must have one shape.
    """
    if kernel is None:
        return functools.partial(twin, integers=integers, alike=alike)
    plain = getattr(reference, kernel.__name__)

    @functools.wraps(kernel)
    def dispatched(*arguments: Any, **options: Any) -> Any:
        arrays = [a for a in (*arguments, *options.values()) if isinstance(a, np.ndarray)]
        kinds = {a.dtype for a in arrays if a.dtype.kind == "f" or not integers}
        serves = len(kinds) == 1 and kinds.pop() in WORKING and all(a.size for a in arrays)
        serves = serves and not (alike and len({a.shape for a in arrays}) > 1)
        return (kernel if serves else plain)(*arguments, **options)

    dispatched.__doc__ = plain.__doc__
    return dispatched


def flattened(*arrays: Array) -> list[Array]:
    """The elements of each, in row-major order; views of those that lie so in memory."""
    return [np.ascontiguousarray(a).reshape(a.size) for a in arrays]
