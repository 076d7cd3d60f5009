"""How the kernels of `cpu` are compiled: `compiled`, for loops, and `twin`, for the functions that call them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from . import reference

#: What the compiler may do to sums: reorder, contract, ignore the sign of zero.  Not assume that there are no NaNs, and
#: not put approximations for divisions and roots: those differ between the middle of a loop and its end.
RELAXED = {"reassoc", "contract", "nsz"}

WORKING = (np.dtype(np.float32), np.dtype(np.float64))


def compiled(relaxed: bool = True) -> Callable[[Callable], Callable]:
    """Compile a loop when it is first called, keep the result on disk, and let go of Python's lock while it runs.

    relaxed: allow what `RELAXED` says; False keeps every rounding as written, for kernels that must agree with the
    reference to the bit.
    Division by zero gives infinities, as in NumPy; the check for it would keep loops from being vectorised.
    The disk is left out where no folder can be written.
    """

    def decorate(loop: Callable) -> Callable:
        options: dict[str, Any] = {"nogil": True, "fastmath": RELAXED if relaxed else False, "error_model": "numpy"}
        try:
            return numba.njit(cache=True, **options)(loop)
        except RuntimeError:  # "cannot cache function: no locator available"
            return numba.njit(**options)(loop)

    return decorate


def twin(kernel: Callable | None = None, *, integers: bool = False, alike: bool = False) -> Callable:
    """A kernel with a twin in `reference`, which serves what compiled loops must not see, for they check nothing.

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
