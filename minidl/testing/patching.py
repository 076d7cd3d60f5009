"""Attributes set for a while, and put back whatever happens: what tests elsewhere borrow from pytest."""

from __future__ import annotations

import inspect
from typing import Any

_ABSENT = object()


class Patch:
    """A context manager: what is set through it is put back, last things first, when the block ends or fails.

    For modules, classes, functions and objects:

        with Patch() as patch:
            patch.setattr(ops.tanh, "pull", wrong)
    """

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> Patch:
        return self

    def __exit__(self, *_: object) -> None:
        while self._before:
            owner, name, value = self._before[-1]
            if value is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
            self._before.pop()

    def setattr(self, owner: Any, name: str, value: Any, raising: bool = True) -> None:
        """Set an attribute of a module, class, function or object.

        raising: refuse, with `AttributeError`, names that are not there yet.
        """
        before = getattr(owner, name, _ABSENT)
        if before is _ABSENT and raising:
            raise AttributeError(f"{owner!r} has no attribute {name!r}")
        if inspect.isclass(owner):  # a class method as it stands there, and nothing that is inherited
            before = vars(owner).get(name, _ABSENT)
        self._before.append((owner, name, before))
        setattr(owner, name, value)
