"""What a solution may not do: call the installed rule, or change the engine that judges it.

`watched` runs a student's function and notices calls of forbidden functions, by whatever path they were imported.
`state` and `changes` compare what the names of the engine stand for, before and after a student's code has run.
`digest` does the same for the files on disk.  All of this catches mistakes and plain cheating.  Code that shares a
process with its judge can do anything, so for marks that count, read what was handed in as well.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import inspect
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from ..core import Primitive, unbox
from ..errors import MinidlError


class OwnWorkError(MinidlError, ValueError):
    """A solution is not the student's own: it calls what it should replace, or changes what judges it."""


class InPlaceError(AssertionError):
    """A solution has changed an array that it was given."""


class Forbidden:
    """The code that a solution may not run.

    things: functions, primitives (all their rules), and names of modules or packages, such as "minidl.testing".

    >>> from minidl.coursework.guarding import Forbidden
    >>> from attacks import fgsm
    >>> fgsm.__code__ in Forbidden(["attacks"]), fgsm.__code__ in Forbidden([])
    (True, False)
    """

    def __init__(self, things: Iterable[Any]) -> None:
        things = list(things)
        self.folders = tuple(_folder(thing) for thing in things if isinstance(thing, str))
        functions = [f for thing in things for f in ([] if isinstance(thing, str) else _functions(thing))]
        self.codes = {id(f.__code__): f.__code__ for f in functions}
        named = [*functions, *(f for thing in things if isinstance(thing, str) for f in _of_package(thing))]
        # A copy of an installed function's text is the installed function; a lambda of one line may well be the same.
        self.texts = {_text(f.__code__) for f in named if f.__name__ != "<lambda>"}
        self.names = {name for name, *_ in self.texts}

    def __contains__(self, code: CodeType) -> bool:
        if id(code) in self.codes or (self.folders and code.co_filename.startswith(self.folders)):
            return True
        return code.co_name in self.names and _text(code) in self.texts


def _text(code: CodeType) -> tuple[Any, ...]:
    return code.co_name, code.co_code, code.co_names, code.co_varnames


def _folder(name: str) -> str:
    """Where a module or package stands on disk, ending so that no other begins alike."""
    __import__(name)
    file = sys.modules[name].__file__ or ""
    return os.path.join(os.path.dirname(file), "") if os.path.basename(file) == "__init__.py" else file


def _functions(thing: Any) -> list[FunctionType]:
    """The Python functions behind a thing: itself, or the rules of a primitive."""
    thing = getattr(thing, "__wrapped__", thing)
    if isinstance(thing, Primitive):
        rules = [thing.forward, *_each(thing.push), *_each(thing.pull)]
        return [rule for rule in rules if isinstance(rule, FunctionType)]
    return [thing] if isinstance(thing, FunctionType) else []


def _each(rules: Any) -> list[Any]:
    return list(rules) if isinstance(rules, tuple | list) else [rules]


def _of_package(name: str) -> list[FunctionType]:
    modules = [module for key, module in sys.modules.items() if key == name or key.startswith(f"{name}.")]
    functions = [f for module in modules for f in vars(module).values() if isinstance(f, FunctionType)]
    return [f for f in functions if f.__code__.co_filename.startswith(_folder(name))]  # and not imported there


def watched(function: Callable[..., Any], name: str, calls: Counter[str], forbidden: Forbidden) -> Callable[..., Any]:
    """The function, counted, and refused if it runs forbidden code.

    function: the student's.
    name: the stub that it fills, for the message.
    calls: the counter.
    forbidden: what it may not run.

    Raises: when it returns, `OwnWorkError`, or `InPlaceError` if it changed an array that it was given.
    """

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        calls[name] += 1
        copies = [(i, x, x.copy()) for i, x in enumerate(map(unbox, arguments)) if isinstance(x, np.ndarray)]
        with watching(name, function.__code__.co_filename, forbidden):
            result = function(*arguments, **options)
        for i, x, copy in copies:
            if not np.array_equal(x, copy, equal_nan=x.dtype.kind == "f"):
                raise InPlaceError(f"{name}: its argument number {i} was changed in place (x += …, x[…] = …, out=x). "
                                     "Fix: work on a copy, or write x = x + …")  # fmt: skip
        return result

    return run


@contextmanager
def watching(name: str, written: str, forbidden: Forbidden) -> Iterator[None]:
    """A block in which forbidden code may not run.

    name: of what runs in it, for the message.
    written: the student's file; what is written there is the student's own, whatever it resembles.
    forbidden: what may not run.

    Raises: at its end, `OwnWorkError`, also if the block failed or caught what it did.
    """
    seen: list[str] = []

    def profile(frame: Any, event: str, called: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename != written and code in forbidden:
            seen.append(f"{frame.f_globals.get('__name__', '')}.{code.co_qualname}")
        elif event == "c_call" and called in LOOKS_AROUND and code.co_filename in (written, inspect.__file__):
            seen.append(called.__qualname__)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        kept = sys.getprofile() is profile
        sys.setprofile(before)
        if seen:
            raise OwnWorkError(name, "a solution of your own", f"a call of the installed {seen[0]}",
                               "write the formula out: the text above the stub has it")  # fmt: skip
        if not kept:
            raise OwnWorkError(name, "sys.setprofile to be left alone", "a solution that calls it")


#: By these a function reads what its judge knows, such as the seed.
LOOKS_AROUND = (sys._getframe, gc.get_objects, gc.get_referrers, gc.get_referents)


# --- the engine as it is installed ------------------------------------------------------------------------

#: Packages whose names must stand for the same things after a solution has run as before.
OURS = ("minidl", "attacks")
ENGINE = (*OURS, "numpy", "builtins", "math", "time", "random", "hypothesis")


def state() -> dict[str, Any]:
    """What every name of the engine stands for: functions with their code, classes and primitives with their parts."""
    names: dict[str, Any] = {}
    for key, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and key.partition(".")[0] in ENGINE:
            for name, value in list(vars(module).items()):
                kept = key.startswith(OURS) or callable(value)  # other packages count their own things
                if kept and not isinstance(value, ModuleType) and not name.startswith("__"):
                    names[f"{key}.{name}"] = _fingerprint(value, name, key)
    return names


def changes(before: dict[str, Any]) -> list[str]:
    """The names that stand for something else than before, or are new in a module that was there before."""
    after = state()
    modules = {name.rpartition(".")[0] for name in before}
    changed = [name for name, value in before.items() if after.get(name) != value]
    return changed + [name for name in after if name not in before and name.rpartition(".")[0] in modules]


def _fingerprint(value: Any, name: str, module: str) -> Any:
    if isinstance(value, FunctionType):
        return id(value), id(value.__code__), value.__defaults__ and tuple(map(id, value.__defaults__))
    if isinstance(value, Primitive):
        return id(value), id(value.forward), *map(id, _each(value.push)), *map(id, _each(value.pull))
    ours = module.startswith(OURS)
    if inspect.isclass(value) and ours:
        parts = [(key, _part(each)) for key, each in vars(value).items() if not key.startswith("__") or callable(each)]
        return id(value), *parts
    if isinstance(value, dict) and ours and name.isupper():
        return id(value), *((id(key), id(each)) for key, each in value.items())
    return id(value)


def _part(value: Any) -> Any:
    function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
    return id(value), id(getattr(function, "__code__", None))


def digest() -> str:
    """Of the sources of minidl and attacks on disk."""
    import attacks
    import minidl

    total = hashlib.sha256()
    for package in (minidl, attacks):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*.py")):
            total.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return total.hexdigest()


def limit_memory(size: int) -> bool:
    """Limit this process to so many bytes, where the system can.  Returns whether it does."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    except (ImportError, ValueError, OSError):  # Windows has no such limits, macOS not this one
        return False
    return True


LARGEST_FILE = 64 * 2**20  # bytes that a solution may write into one file
