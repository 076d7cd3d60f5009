"""`Described`: layers and initialisers as plain data, so that a network can be saved and loaded without pickling."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, ClassVar

from .errors import DataError, DTypeError


class Described:
    """An object that a file can describe: a frozen dataclass, by its kind and its fields.

    The kind of a class of minidl is its name, "Dense"; of any other it begins with the module, "mine.Dense".  So two
    classes called `Dense` are never confused.

    >>> from minidl.described import Described
    >>> from minidl.layers import Dense
    >>> Described.rebuild(Dense(10).describe()) == Dense(10)
    True
    """

    known: ClassVar[dict[str, type]] = {}

    def __init_subclass__(cls) -> None:
        Described.known[kind_of(cls)] = cls

    def describe(self) -> dict[str, Any]:
        """Kind and fields, as plain data.  Raises `DTypeError` for an object of a class that is not a dataclass."""
        if not is_dataclass(self):
            fix = f"decorate class {type(self).__name__} with @dataclass(frozen=True)"
            raise DTypeError("save", "layers that are frozen dataclasses", type(self).__name__, fix)
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"kind": kind_of(type(self))} | {name: _described(value) for name, value in values.items()}

    @staticmethod
    def rebuild(description: dict[str, Any], older: bool = False) -> Any:
        """The object of a description; older: by a version that wrote the bare names of classes.

        Raises `DataError` for a class that is not defined in this process, or for a bare name that two classes have;
        `KeyError`, `TypeError` or a `MinidlError` for data that are not a description.
        """
        arguments = {name: _rebuilt(value, older) for name, value in description.items() if name != "kind"}
        return Described._named(description["kind"], older)(**arguments)

    @staticmethod
    def _named(kind: str, older: bool) -> type:
        if older:
            alike = [name for name, known in Described.known.items() if known.__name__ == kind]
            if len(alike) > 1:
                fix = "load it where only one of them is defined, and save it again"
                raise DataError("load", f"one class called {kind}, as older files name them", f"{alike}", fix)
            kind = alike[0] if alike else kind
        if kind not in Described.known:
            fix = "import the module that defines it"
            raise DataError("load", f"layers that are defined here, {kind!r} among them", "no such class", fix)
        return Described.known[kind]


def _described(value: Any) -> Any:
    """A field as plain data: a description, or a list of them, for what can be described; else the value itself."""
    if isinstance(value, tuple) and any(isinstance(each, Described) for each in value):
        return [_described(each) for each in value]
    return value.describe() if isinstance(value, Described) else value


def _rebuilt(value: Any, older: bool) -> Any:
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return tuple(_rebuilt(each, older) for each in value)
    return Described.rebuild(value, older) if isinstance(value, dict) else value


def kind_of(cls: type) -> str:
    """The name of a class in files.

    cls: a subclass of `Described`.

    >>> from minidl.described import kind_of
    >>> from minidl.layers import Dense
    >>> kind_of(Dense)
    'Dense'
    """
    ours = cls.__module__.startswith("minidl.")
    return cls.__qualname__ if ours else f"{cls.__module__}.{cls.__qualname__}"
