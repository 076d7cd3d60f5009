"""How a checkpoint recognises objects: by their content, never by their address in memory or a shortened text.

Two networks with different mean images are different, though both print as ``array([[0., 0., ...``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any

from .backend import to_numpy
from .errors import DTypeError
from .sequential import Sequential


def digest(*arrays: Any) -> str:
    """SHA-256 of the arrays' dtypes, shapes and values."""
    total = hashlib.sha256()
    for array in map(to_numpy, arrays):
        total.update(f"{array.dtype.str} {array.shape}".encode() + array.tobytes())
    return total.hexdigest()


def identity(operation: str, given: Any) -> Any:
    """What distinguishes an object from others of its kind, as plain data for a file's header.

    Numbers and texts are themselves, arrays their digest, networks their layers, dataclasses their fields, functions
    and classes their module and name.  Other objects are their repr if their class has one of its own, and else their
    class and what they hold.
    Raises `DTypeError`, in the name of the operation, for an object that has none of these: a lambda, or a function or
    class that is defined in a function.
    """
    if given is None or isinstance(given, bool | str):
        return given
    if isinstance(given, Integral | Real):
        return int(given) if isinstance(given, Integral) else float(given)
    if hasattr(given, "dtype") and hasattr(given, "ndim"):
        return {"array": digest(given)}
    if isinstance(given, Mapping):
        return {str(key): identity(operation, value) for key, value in given.items()}
    if isinstance(given, list | tuple):
        return [identity(operation, each) for each in given]
    if isinstance(given, Sequential):
        layers = [identity(operation, layer) for layer in given.layers.values()]
        return {"layers": layers, "input_shape": list(given.input_shape), "dtype": given.dtype}
    if isinstance(given, partial):
        return {"of": identity(operation, given.func), "with": identity(operation, [*given.args, given.keywords])}
    if is_dataclass(given) and not isinstance(given, type):
        content = {f.name: getattr(given, f.name) for f in fields(given)}
    elif type(given).__repr__ is object.__repr__ and hasattr(given, "__dict__"):
        content = vars(given)
    else:
        return _name(operation, given)
    return {"kind": _name(operation, type(given)), **identity(operation, content)}


def _name(operation: str, given: Any) -> str:
    """Module and name of a function or class, or the repr of an object, if that distinguishes it."""
    named = hasattr(given, "__qualname__")
    name = f"{given.__module__}.{given.__qualname__}" if named else repr(given)
    if any(mark in name for mark in ("<lambda>", "<locals>", " at 0x")):
        fix = "define it at the top level of a module; a class, as a dataclass"
        raise DTypeError(operation, "what a checkpoint can tell from others of its kind", name, fix)
    return name
