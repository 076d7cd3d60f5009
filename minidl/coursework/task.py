"""`Task`: what a student reads, the parts of its check, hints and a picture, in one file for each task.

The file of a task is read from the top.  What stands above the line `CUT` is the hand-out: the text, the imports and
the stubs, as students get them.  Below it are the check, the hints and the demo, which end in ``TASK = Task(…)``.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import MissingPackageError, RangeError
from .solving import Solution, stubs

#: Ends the part of a task's file that is handed out.
CUT = "# --- Below: how it is checked.  Not handed out. "

#: Begins the note of an error that names the drawn case.
SMALLEST = "The smallest case that fails: "

KINDS = ("rule", "law", "attack", "defence")


@dataclass(frozen=True)
class Score:
    """What a part of a check returns, if it is not all or nothing.

    share: of the points, from 0 to 1.
    sentence: for the student: what was reached, and what is asked.
    value: for the leaderboard, if the task has one.

    >>> from minidl.coursework.task import Score
    >>> Score(0.5, "4 of 8 wrong programs were caught").share
    0.5
    """

    share: float
    sentence: str
    value: float | None = None


@dataclass(frozen=True)
class Part:
    """One part of a check.

    name: what it looks at, for the student.
    points: for all of it.
    check: of the solution and a seed: raises an error with a message if it fails, returns None for all points, or a
    `Score`.

    >>> from minidl.coursework.task import Part
    >>> Part("its value", 1, lambda solution, seed: None).points
    1
    """

    name: str
    points: float
    check: Callable[[Solution, int], Score | None]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task of the coursework.

    module: the `__name__` of its file, t06_roll or the like, from which the number comes.
    kind: "rule", "law", "attack" or "defence".
    minutes: that it takes, about.
    teaches: in one line, for `list`.
    parts: of the check.
    hints: each says a little more than the one before.
    reading: where to read about it: files of this project, papers.
    needs: the numbers of tasks that explain what this one uses.
    demo: of the solution and a path: draws a picture there.
    forbidden: installed functions, primitives, and modules by name, that a solution may not call.
    practice: whether it is an override of a rule that the sources have, so that it has few points.
    board: what the leaderboard compares, "" for none; best: "high" or "low".
    seconds: that a check may take before it is stopped.
    backend: whose kernels run.

    >>> from minidl.coursework import find
    >>> find("01").title, find("01").file
    ('softsign', '01_softsign.py')
    """

    module: str
    kind: str
    minutes: int
    teaches: str
    parts: tuple[Part, ...]
    hints: tuple[str, ...]
    reading: str
    demo: Callable[[Solution, Path], None]
    needs: tuple[str, ...] = ()
    forbidden: tuple[Any, ...] = ()
    practice: bool = False
    board: str = ""
    best: str = "high"
    seconds: float = 30.0
    backend: str = "numpy"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise RangeError("Task", f"a kind among {KINDS}", repr(self.kind))

    @property
    def number(self) -> str:
        return self.module.rpartition(".")[2][1:3]

    @property
    def file(self) -> str:
        return self.module.rpartition(".")[2][1:] + ".py"

    @property
    def title(self) -> str:
        return self.file[3:-3].replace("_", " ")

    @property
    def points(self) -> float:
        return sum(part.points for part in self.parts)

    @property
    def names(self) -> tuple[str, ...]:
        """What is to be solved: the names of the stubs."""
        return tuple(stubs(sys.modules[self.module]))

    def handout(self) -> str:
        """The text of the student's file: the task's own, down to `CUT`, with what to know beside it."""
        source = inspect.getsource(sys.modules[self.module])
        above = source.partition(CUT)[0].rstrip() + "\n"
        opening, text, rest = above.split('"""', 2)
        needs = f"Read first: task {', '.join(self.needs)}.  " if self.needs else ""
        about = f"About {self.minutes} minutes, {self.points:g} points.  {needs}Reading: {self.reading}."
        beside = (
            textwrap.fill(about, 120, break_on_hyphens=False) + "\n\n"
            f"    python -m minidl.coursework check {self.number}     # and: hint {self.number}, demo {self.number}\n"
        )
        return f'{opening}"""{text.rstrip()}\n\n{beside}"""{rest}'


@cache
def every_task() -> tuple[Task, ...]:
    """All tasks, in order."""
    return tuple(find(number) for number in numbers())


def numbers() -> list[str]:
    """The numbers of all tasks, without importing them."""
    return sorted(_modules())


def find(number: str) -> Task:
    """The task of that number, such as "06" or "6"; `RangeError` if there is none.

    Raises `MissingPackageError` without Hypothesis, which draws the cases.
    """
    if importlib.util.find_spec("hypothesis") is None:
        fix = 'run pip install "minidl[coursework]"'
        raise MissingPackageError("coursework", "Hypothesis, which draws the cases", "no such package", fix)
    modules = _modules()
    key = str(number).zfill(2)
    if key not in modules:
        raise RangeError("coursework", f"the number of a task, {min(modules)} to {max(modules)}", repr(number),
                         "run python -m minidl.coursework list")  # fmt: skip
    return importlib.import_module(f"{__package__}.tasks.{modules[key]}").TASK


@cache
def _modules() -> dict[str, str]:
    return {path.stem[1:3]: path.stem for path in (Path(__file__).parent / "tasks").glob("t[0-9][0-9]_*.py")}
