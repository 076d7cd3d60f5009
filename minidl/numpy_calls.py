"""NumPy's and Python's functions of a box: those that have a derivative here, and an error for all others.

In a recorded function an array is a `Box`.  For ``array * box`` NumPy calls ``numpy.multiply``, which calls the box:
the operators arrive here, and become the operations of `ops`.  All other functions of NumPy and Python would use the
value and silently lose the derivative.  They raise an error, which says what to write instead.  A box whose record is
closed counts as its value here, too.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from . import ops
from .core import Box, settle, unbox
from .errors import DTypeError, MissingAttributeError

OPERATORS = {"add": ops.add, "subtract": ops.subtract, "multiply": ops.multiply, "divide": ops.divide,
             "power": ops.power, "remainder": ops.mod, "matmul": ops.matmul}  # fmt: skip
METHODS = {"add.reduce": "sum", "maximum.reduce": "max", "minimum.reduce": "min", "multiply.reduce": "prod"}
COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")

#: What to write for functions and methods that `ops` does not have.
INSTEAD = {
    "square": "x * x", "outer": "a.reshape(-1, 1) * b.reshape(1, -1)", "log1p": "ops.log(1 + x)",
    "expm1": "ops.exp(x) - 1", "exp2": "2**x", "flatten": "ops.ravel(x)",
}  # fmt: skip

_VALUE_ALONE = "minidl.core.unbox(x) for its value alone, without a derivative"


def instead_of(name: str) -> str:
    """What to write instead of NumPy's function or method of that name."""
    if str(getattr(getattr(ops, name, None), "__module__", "")).startswith("minidl."):
        return f"use minidl.ops.{name}"
    return INSTEAD.get(name, f"compose it of minidl.ops, or take {_VALUE_ALONE}")


def _refused(operation: str, expected: str, fix: str, error: type[DTypeError] = DTypeError) -> DTypeError:
    return error(operation, expected, "a Box, an array inside a recorded function", fix)


def _plain(operation: str, given: Any, fix: str) -> Any:
    """An argument for NumPy, with boxes of closed records as their values.  Raises `DTypeError` for other boxes."""
    if isinstance(given, list | tuple):
        return type(given)([_plain(operation, each, fix) for each in given])
    given = settle(given)
    if isinstance(given, Box):
        raise _refused(operation, "arrays", fix)
    return given


def _on_values(call: Any, operation: str, fix: str, arguments: Any, options: dict[str, Any]) -> Any:
    """NumPy's function, of boxes that count as their values.  Raises `DTypeError` for other boxes."""
    plain = [_plain(operation, given, fix) for given in arguments]
    return call(*plain, **{name: _plain(operation, given, fix) for name, given in options.items()})


def _ufunc(box: Box, function: Any, method: str, *arguments: Any, **options: Any) -> Any:
    name = function.__name__
    if method == "__call__" and not options and name in OPERATORS:
        return OPERATORS[name](*arguments)
    if method == "__call__" and not options and name in COMPARISONS:
        return function(*map(unbox, arguments))
    fix = instead_of(name if method == "__call__" else METHODS.get(f"{name}.{method}", ""))
    if "out" in options:
        fix = "write a = a + b for a += b: no derivative goes through an array that is changed"
    return _on_values(getattr(function, method), f"numpy.{name}", fix, arguments, options)


def _function(box: Box, function: Any, _: Any, arguments: Any, options: Any) -> Any:
    operation = f"{function.__module__}.{function.__name__}"
    return _on_values(function, operation, instead_of(function.__name__), arguments, options)


def _array(box: Box, *arguments: Any, **options: Any) -> Any:
    fix = f"use minidl.ops in place of NumPy, ops.stack(parts) for np.array(parts), or {_VALUE_ALONE}"
    return _plain("numpy.asarray", box, fix).__array__(*arguments, **options)


def _number(name: str) -> Any:
    """Python's conversion of that name.  The functions of `math` call one first, and so does ``array[i] = x``."""
    fix = f"use ops.exp for math.exp, ops.stack to fill an array, {name}(minidl.core.unbox(x)) for the value alone"

    def convert(box: Box, *digits: int) -> Any:
        value = settle(box)
        if isinstance(value, Box):
            raise _refused(name, "a number", fix)
        return getattr(builtins, name)(value[()], *digits)

    return convert


def _format(box: Box, spec: str) -> str:
    value = settle(box)
    if spec and isinstance(value, Box):
        raise _refused("format", "a number", f'f"{{minidl.core.unbox(x):{spec}}}"')
    return format(value, spec) if spec else str(box)


def _set_item(box: Box, where: Any, new: Any) -> None:
    raise _refused("x[i] = new", "an array that may be changed", "use ops.where(mask, new, x), or ops.stack(parts)")


def _attribute(box: Box, name: str) -> Any:
    """Called for attributes that boxes do not have.  A box of a closed record has those of its value."""
    if name.startswith("_") or not hasattr(np.ndarray, name):
        raise AttributeError(f"'Box' object has no attribute {name!r}", name=name, obj=box)
    value = settle(box)
    if isinstance(value, Box):
        raise _refused(f"x.{name}", "an array", instead_of(name), MissingAttributeError)
    return getattr(value, name)


for _name, _method in {
    "__array_ufunc__": _ufunc, "__array_function__": _function, "__array__": _array, "__format__": _format,
    "__float__": _number("float"), "__int__": _number("int"), "__round__": _number("round"),
    "__setitem__": _set_item, "__getattr__": _attribute,
}.items():  # fmt: skip
    setattr(Box, _name, _method)
