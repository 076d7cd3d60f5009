"""A student's folder: the files of the hand-out, and what is remembered beside them in progress.json.

Files are only ever added, never overwritten: `new` run twice leaves what was written in between.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import atomically, check_writable, regular_file
from .running import Result
from .task import Task, every_task

PROGRESS = "progress.json"
README = """# Coursework in minidl

One file for each task: a short text, and functions to write.  Open a file, read the text, replace the lines
`raise NotImplementedError(…)`, and check:

    python -m minidl.coursework check 01            # or --watch: again whenever the file is saved
    python -m minidl.coursework hint 01             # one hint more than last time
    python -m minidl.coursework demo 01             # a picture of what your solution does, in 01_….png
    python -m minidl.coursework list                # what is done

Run these in this folder.  A check takes seconds.  It says which law your solution breaks, on which smallest case, and
how to repeat it.  Tasks are independent: a task that you have not solved uses the engine's own rules.  Solve them in
any order, but read the text of those that a task names.

Your functions run in the real engine.  What is installed may be read, and imported where the text says so.  A solution
that calls what it should replace is refused.  Keep the names, and the lines that begin with @solve.

**Words.**  At a point, a function has a Jacobian J, the matrix of its derivatives.  A *tangent* t says how the input
moves; *pushed forward*, J·t, it says how the output moves.  A *cotangent* g says how much each output matters; *pulled
back*, Jᵀ·g, it says how much each input matters.  A *rule* is a formula for one of the two.  Several tangents or
cotangents at once, a stack, have extra axes in front of the array's own.  (..., n) is an array with any number of axes
before one of length n.  A *law* is an equation that holds for all inputs.  The first screen of minidl/core.py has an
example, worked out.

| task | kind | minutes | points | what it teaches |
|---|---|---|---|---|
"""


def new(folder: Path) -> tuple[list[str], list[str]]:
    """Write the hand-out into a folder.  Returns the names of the files written, and of those that were there already.

    folder: is made if it is not there.

    Raises: `DataError` if nothing can be written there.
    """
    rows = [
        f"| {t.number} {t.title} | {t.kind}{', practice' * t.practice} | {t.minutes} | {t.points:g} | {t.teaches} |\n"
        for t in every_task()
    ]
    texts = {task.file: task.handout() for task in every_task()} | {"README.md": README + "".join(rows)}
    if folder.exists() and not folder.is_dir():
        raise DataError("new", f"{folder} to be a folder", "a file", "name another")
    check_writable("new", folder / PROGRESS)
    kept = [name for name in texts if (folder / name).exists()]
    written = [name for name in texts if name not in kept]
    for name in written:
        with atomically(folder / name) as file:
            file.write(texts[name].encode("utf-8"))
    return written, kept


def file_of(folder: Path, task: Task) -> Path:
    """The student's file of a task; `DataError` if it is not there."""
    path = folder / task.file
    if not path.exists():
        fix = "change to the folder of the hand-out, or write it: python -m minidl.coursework new ."
        raise DataError("coursework", f"{task.file} in {folder.resolve()}", "no such file", fix)
    return path


def is_handout(folder: Path) -> bool:
    """Whether a folder has a file of any task."""
    return any((folder / task.file).exists() for task in every_task())


class Progress:
    """What is remembered of a student's work: the latest result of each task, and how many hints were read.

    folder: where progress.json stands.

    Raises: `DataError` for a file that is no such record; nothing is lost, because it is not overwritten then.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / PROGRESS
        self.results: dict[str, dict[str, Any]] = {}
        self.hints: dict[str, int] = {}
        if self.path.exists():
            regular_file("coursework", self.path, 10_000_000)
            try:
                record = json.loads(self.path.read_text(encoding="utf-8"))
                self.results, self.hints = dict(record["results"]), {n: int(k) for n, k in record["hints"].items()}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                fix = f"remove or rename {self.path.name}: it only counts hints and lists what is done"
                raise DataError("coursework", f"a record in {self.path}", repr(error), fix) from error

    def note(self, result: Result) -> None:
        """Remember the result of a task."""
        self.results[result.task] = {"points": result.points, "most": result.most, "seed": result.seed}
        self._write()

    def next_hint(self, task: Task) -> Sequence[str]:
        """The hints of a task so far, one more than last time, if there is one."""
        self.hints[task.number] = min(self.hints.get(task.number, 0) + 1, len(task.hints))
        self._write()
        return task.hints[: self.hints[task.number]]

    def _write(self) -> None:
        with atomically(self.path) as file:
            text = json.dumps({"results": self.results, "hints": self.hints}, indent=1, ensure_ascii=False)
            file.write(text.encode("utf-8"))
