"""`Patch`: set attributes within a block, and restore them however it ends, without pytest."""

from __future__ import annotations

import inspect
from typing import Any

_ABSENT = object()


class Patch:
    """A context manager that sets attributes and restores them, in reverse order, when its block ends or fails.

    For attributes of modules, classes, functions and objects.

    >>> import types
    >>> from minidl import testing
    >>> thing = types.SimpleNamespace(value=1)
    >>> with testing.Patch() as patch:
    ...     patch.setattr(thing, "value", 2)
    ...     print(thing.value)
    2
    >>> thing.value
    1
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
