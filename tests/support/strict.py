"""A stand-in for CuPy on machines without a GPU: NumPy arrays inside a strict array type.

The arrays raise errors where CuPy's do: for implicit conversion to NumPy, and for mixing with NumPy arrays.  Reductions
return arrays of rank 0.  Every conversion to a Python number is counted, because on a GPU each one waits for the device.
The module is the namespace: ``strict.exp``.  CUDA kernels are emulated: ``strict.RawModule``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from tests.support.emulated_cuda import JUNK, RawModule  # noqa: F401

float32, float64, int16, int64, uint64 = np.float32, np.float64, np.int16, np.int64, np.uint64
finfo = np.finfo
inf, nan = np.inf, np.nan
__version__ = f"strict, NumPy {np.__version__}"
synchronisations = 0


class ndarray:
    """An array on an imaginary device."""

    __array_ufunc__ = None

    def __init__(self, held: Any) -> None:
        self._held = np.asarray(held)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return sys.modules[__name__]

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("implicit conversion to a NumPy array is not allowed; use .get()")

    def get(self) -> np.ndarray:
        """The values on the host."""
        _synchronise()
        return self._held.copy()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in _ATTRIBUTES | set(_METHODS):
            raise AttributeError(f"the strict stand-in has no {name!r}")
        attribute = getattr(self._held, name)
        return _wrapped(attribute) if name in _ATTRIBUTES else _method(name, attribute)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._held[_inner(key)] = _inner(value)

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"strict({self._held!r})"

    def __format__(self, spec: str) -> str:
        _synchronise()
        return format(self._held[()], spec)


_ATTRIBUTES = {"shape", "ndim", "size", "dtype", "T", "base", "flags"}
#: The methods with the options that CuPy's have; NumPy's have more, such as `initial` and `where`.
_METHODS = {
    "reshape": {"order"}, "transpose": set(), "astype": {"dtype", "order", "copy"}, "copy": {"order"},
    "sum": {"axis", "dtype", "keepdims"}, "mean": {"axis", "dtype", "keepdims"}, "cumsum": {"axis", "dtype"},
    "prod": {"axis", "dtype", "keepdims"},
    "max": {"axis", "keepdims"}, "min": {"axis", "keepdims"}, "all": {"axis", "keepdims"}, "any": {"axis", "keepdims"},
    "argmax": {"axis", "keepdims"}, "argmin": {"axis", "keepdims"}, "argsort": {"axis", "kind"},
}  # fmt: skip


def _method(name: str, method: Any) -> Any:
    def call(*arguments: Any, **options: Any) -> Any:
        if unknown := set(options) - _METHODS[name]:
            raise TypeError(f"{name}() got an unexpected keyword argument {unknown}")
        return _wrapped(method(*map(_inner, arguments), **options))

    return call


def _synchronise() -> None:
    global synchronisations
    synchronisations += 1


def _inner(x: Any) -> Any:
    """The NumPy array inside; raises `TypeError` for NumPy's own arrays."""
    if isinstance(x, tuple):
        return tuple(_inner(item) for item in x)
    if isinstance(x, list):
        return [_inner(item) for item in x]
    if isinstance(x, np.ndarray | np.generic):
        raise TypeError(f"unsupported type {type(x)} for an array of the device")
    return x._held if isinstance(x, ndarray) else x


def _wrapped(x: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(map(_wrapped, x))
    return ndarray(x) if isinstance(x, np.ndarray | np.generic) else x


def _operator(name: str) -> Any:
    def apply(self: ndarray, *others: Any) -> Any:
        if any(
            not isinstance(other, ndarray | int | float | np.ndarray | np.generic) and name != "__getitem__"
            for other in others
        ):
            return NotImplemented
        return _wrapped(getattr(self._held, name)(*map(_inner, others)))

    return apply


def _number(name: str) -> Any:
    def convert(self: ndarray) -> Any:
        _synchronise()
        return getattr(self._held, name)()

    return convert


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "rshift", "xor", "and", "or"):
    for _side in ("", "r"):
        setattr(ndarray, f"__{_side}{_name}__", _operator(f"__{_side}{_name}__"))
for _name in ("neg", "abs", "invert", "lt", "le", "gt", "ge", "eq", "ne", "getitem"):
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))
for _name in ("float", "int", "bool", "index"):
    setattr(ndarray, f"__{_name}__", _number(f"__{_name}__"))
for _name in ("iadd", "isub", "imul", "ior", "iand"):

    def _in_place(self: ndarray, other: Any, _name: str = _name) -> ndarray:
        getattr(self._held, f"__{_name}__")(_inner(other))
        return self

    setattr(ndarray, f"__{_name}__", _in_place)


class _Add:
    """`add`, with `add.at`: with CuPy, the only defined way to write to repeated indices."""

    def __call__(self, a: Any, b: Any) -> Any:
        return _wrapped(np.add(_inner(a), _inner(b)))

    def at(self, a: ndarray, key: Any, values: Any) -> None:
        np.add.at(a._held, _inner(key), _inner(values))


add = _Add()


def asarray(x: Any, dtype: Any = None) -> ndarray:
    """Copy an array to the device."""
    return ndarray(np.asarray(x._held if isinstance(x, ndarray) else x, dtype=dtype))


def empty(shape: Any, dtype: Any = float) -> ndarray:
    """An array full of junk, so that values that a program forgets to write are visible."""
    made = np.empty(shape, dtype)
    made.reshape(-1).view(np.uint8)[:] = JUNK
    return ndarray(made)


def take_along_axis(x: Any, key: Any, axis: int) -> ndarray:
    return _wrapped(np.take_along_axis(_inner(x), _inner(key), axis))


def _function(name: str) -> Any:
    return lambda *arguments, **options: _wrapped(getattr(np, name)(*map(_inner, arguments), **options))


for _name in ("exp", "log", "log1p", "sqrt", "tanh", "sign", "abs", "maximum", "minimum", "where", "zeros", "ones", "eye",
              "arange", "full", "zeros_like", "ones_like", "broadcast_to", "concatenate", "clip", "isfinite", "nonzero",
              "sort", "cumsum", "pad", "full_like", "moveaxis", "ascontiguousarray", "stack", "tensordot",
              "ldexp", "frexp", "isinf", "cos", "sin"):  # fmt: skip
    globals()[_name] = _function(_name)
