"""How the kernels of `kernels.cu` are compiled and run, and how their arguments are laid out.

They are compiled for the GPU at hand when they are first needed.  Nothing here waits for the device, and CuPy itself is
never imported: it is the library of the arrays.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .. import library, reference, slopes

Array = Any


#: What "SLOPES;" stands for in the source: one line for each activation.
CASES = "\n    ".join(f"case {name.upper()}: return {slopes.in_c(name)};" for name in slopes.SLOPES)
SOURCE = Path(__file__).with_name("kernels.cu").read_text(encoding="utf-8").replace("SLOPES;", CASES)
OPTIONS = ("--std=c++17", "--fmad=false")  # products are rounded before they are added to, as in `reference`
REALS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
BLOCK = 128  # threads that start together


def twin(kernel: Callable) -> Callable:
    """A kernel with a twin in `reference`, which serves empty arrays, and all but float32 or float64 throughout."""
    plain = getattr(reference, kernel.__name__)

    @functools.wraps(kernel)
    def dispatched(*arguments: Any, **options: Any) -> Any:
        arrays = [a for a in (*arguments, *options.values()) if hasattr(a, "dtype")]
        kinds = {a.dtype for a in arrays if a.dtype.kind == "f"}
        serves = len(kinds) == 1 and kinds <= REALS.keys() and all(a.size for a in arrays)
        return (kernel if serves else plain)(*arguments, **options)

    return dispatched


@functools.cache
def _module(xp: ModuleType, dtype: Any, source: str) -> Any:
    """The kernels for one dtype."""
    return xp.RawModule(code=source, options=(*OPTIONS, f"-Dreal={REALS[dtype]}"))


@functools.cache
def _kernel(xp: ModuleType, dtype: Any, source: str, name: str) -> Any:
    return _module(xp, dtype, source).get_function(name)


def run(name: str, like: Array, count: int, *arguments: Any) -> None:
    """Run a kernel, in the dtype of `like`, with a thread for each of `count` results.

    arguments: arrays in C order, or None for one left out; NumPy scalars of the types that the kernel declares.
    """
    blocks = min(-(-count // BLOCK), 2**31 - 1)
    _kernel(library(like), like.dtype, SOURCE, name)((blocks,), (BLOCK,), (np.int64(count), *arguments))


def update(name: str, w: Array, g: Array, states: tuple[Array, ...], *options: Any) -> None:
    """Run an update in one pass over all of its arrays.  What is not in C order is copied there and back."""
    ordered = [contiguous(a) for a in (w, *states)]
    run(name, w, w.size, ordered[0], contiguous(g, w.shape), *ordered[1:], *options)
    for there, here in zip((w, *states), ordered):
        if there is not here:
            there[...] = here


def contiguous(x: Array, shape: tuple[int, ...] | None = None) -> Array:
    """The array in C order, repeated to a shape if one is given."""
    if shape is not None and x.shape != shape:
        x = library(x).broadcast_to(x, shape)
    return x if x.flags.c_contiguous else library(x).ascontiguousarray(x)


def empty(shape: tuple[int, ...], like: Array, dtype: Any = None) -> Array:
    """An array for the kernel to write into, of the dtype of `like` unless one is given."""
    return library(like).empty(shape, dtype=like.dtype if dtype is None else dtype)


def ints(*numbers: int) -> tuple[Any, ...]:
    """Numbers as the kernels' 32-bit integers."""
    return tuple(map(np.int32, numbers))


def reals(like: Array, *numbers: float) -> tuple[Any, ...]:
    """Numbers in the dtype of `like`."""
    return tuple(map(like.dtype.type, numbers))
