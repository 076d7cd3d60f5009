"""Which primitive stands behind an operation, and so has rules that can be exchanged."""

from __future__ import annotations

import inspect
import re
from typing import Any

from .. import ops
from ..core import Primitive
from ..errors import DTypeError
from .messages import called


def behind(operation: Any) -> Primitive | None:
    """The primitive that this is, that broadcasting was put in front of, or whose arguments this function checks.

    The last is known by its name: `matmul` checks, and `_matmul`, in the same file, is the primitive.
    """
    candidate = getattr(operation, "__wrapped__", operation)
    if inspect.isfunction(candidate):
        candidate = candidate.__globals__.get(f"_{candidate.__name__}")
        candidate = getattr(candidate, "__wrapped__", candidate)
    return candidate if isinstance(candidate, Primitive) else None


def primitive_of(operation: Any, caller: str) -> Primitive:
    """The primitive behind an operation.  Raises `DTypeError`, in the caller's name, if it has none."""
    if (primitive := behind(operation)) is not None:
        return primitive
    name = called(operation)
    composed = inspect.isfunction(operation) and operation.__module__.startswith("minidl.")
    got = f"{name}, which has none" if composed else name
    fix = _instead_of(operation) if composed else f"take ops.{_of_that_name(operation)}"
    raise DTypeError(
        caller, "an operation with rules of its own, such as ops.tanh, ops.matmul or conv.conv2d", got, fix
    )


def _instead_of(function: Any) -> str:
    names = (name for name in re.findall(r"\bops\.(\w+)", inspect.getsource(function)) if _has_rules(name))
    part = next(names, "")
    return f"take what it is composed of, ops.{part} for one" if part else "take what it is composed of"


def _of_that_name(thing: Any) -> str:
    """The operation of a layer's name, or of a NumPy function's; else one that most functions are made of."""
    kind = thing if isinstance(thing, type) else type(thing)
    return next((name for name in (called(thing).lower(), kind.__name__.lower()) if _has_rules(name)), "matmul")


def _has_rules(name: str) -> bool:
    return behind(getattr(ops, name, None)) is not None
