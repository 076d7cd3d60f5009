"""`solve`: which stub of a task a function fills; and the functions of a student's file.

A student's file is run as a module of its own.  Its functions are collected by the names that they solve, checked to
be written in that file, and watched while they run: `guarding` says for what.
"""

from __future__ import annotations

import inspect
import linecache
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from ..errors import DataError
from ..files import regular_file
from .guarding import Forbidden, OwnWorkError, watched, watching

F = TypeVar("F", bound=Callable[..., Any])

#: Bytes of a student's file, at most: far more than anybody writes by hand.
LONGEST = 1_000_000


def solve(name: str) -> Callable[[F], F]:
    """Decorator: this function fills the stub of that name.

    name: as it stands in the hand-out, such as "softsign.slope".

    >>> from minidl.coursework import solve
    >>> @solve("softsign.forward")
    ... def forward(x):
    ...     return x / (1 + abs(x))
    >>> forward.solves
    'softsign.forward'
    """

    def mark(function: F) -> F:
        function.solves = name  # type: ignore[attr-defined]
        return function

    return mark


class Solution(Mapping[str, Callable[..., Any]]):
    """The functions of a student's file, by the name that they solve.

    functions: by name.
    forbidden: the installed functions that they may not call; see `guarding.Forbidden`.

    ``calls`` counts the calls of each.

    >>> from minidl.coursework.solving import Solution
    >>> solution = Solution({"double": lambda x: 2 * x})
    >>> solution["double"](21), solution.calls["double"]
    (42, 1)
    """

    def __init__(self, functions: Mapping[str, Callable[..., Any]], forbidden: Iterable[Any] = ()) -> None:
        self.calls: Counter[str] = Counter()
        codes = Forbidden(forbidden)
        self._functions = {name: watched(f, name, self.calls, codes) for name, f in functions.items()}

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return self._functions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)


def stubs(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """The functions of a module that are marked by `solve`, by the name that they solve, in the order of the file."""
    return {value.solves: value for value in vars(module).values() if hasattr(value, "solves")}


def read(path: str | Path, wanted: Iterable[str], forbidden: Iterable[Any] = ()) -> Solution:
    """Run a student's file and collect its functions.

    path: of the file.
    wanted: the names to be solved.
    forbidden: the installed functions that they may not call; what stands for a package may not run in the file either.

    Raises: `DataError` for a file that is missing, cannot be run, or lacks a function; `OwnWorkError` for a function
    that was written elsewhere.
    """
    path, forbidden = Path(path), list(forbidden)
    regular_file("check", path, LONGEST)
    source = path.read_bytes()
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        text = source.decode("utf-8-sig")
        linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
        program = compile(text, str(path), "exec")
        # Trying an operation out in the file is fine; having a whole package solve the task before it begins is not.
        with watching(path.name, str(path), Forbidden(thing for thing in forbidden if isinstance(thing, str))):
            exec(program, vars(module))
    except (NotImplementedError, OwnWorkError):
        raise
    except Exception as error:
        fix = f"run python {path.name}, and mend what it reports"
        raise DataError("check", f"{path.name} to run as it stands", _located(error, path), fix) from error
    functions = stubs(module)
    if missing := [name for name in wanted if name not in functions]:
        fix = f"keep the stub and its line @solve({missing[0]!r})"
        raise DataError("check", f"a function for {missing[0]!r} in {path.name}", "none", fix)
    return Solution({name: _written_here(functions[name], name, path) for name in wanted}, forbidden)


def _written_here(function: Any, name: str, path: Path) -> Callable[..., Any]:
    if not inspect.isfunction(function) or function.__code__.co_filename != str(path):
        where = getattr(getattr(function, "__code__", None), "co_filename", type(function).__name__)
        raise OwnWorkError(name, f"a function that is written in {path.name}", f"one from {Path(where).name}",
                           "write the function out, with def")  # fmt: skip
    return function


def _located(error: BaseException, path: Path) -> str:
    """What went wrong, with the line of the student's file."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    at = f" in line {line}" if line else ""
    return f"{type(error).__name__}{at}: {error}"
