"""One check, in a process of its own: ``python -m minidl.coursework.child``, which only `running` starts.

It reads what to do from its standard input, keeps its standard output for results, and sends whatever the solution
prints to standard error.  Each result is a line that begins with a word that the solution is not told.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import backend
from ..errors import DataError
from . import guarding, laws, solving
from .task import SMALLEST, Part, Task, find

Send = Callable[..., None]

#: Characters of an error's message that are kept.
LONGEST = 4000


def main() -> None:
    """Run one check or one demo, as the parent asks."""
    request = json.loads(sys.stdin.readline())
    os.environ.pop("PYTHONSTARTUP", None)
    send = _channel(request.pop("word"))
    send(begun=True, limited=guarding.limit_memory(request.pop("memory")))
    task = find(request["task"])
    backend.use(task.backend)
    path = Path(request["file"])
    try:
        for program in request.get("chaffs", ()):
            laws.PRIVATE.update(_private(Path(program)))
    except Exception as error:
        send(failed=message(error, path), ended=True)
        return
    if "picture" in request:
        _draw(task, path, Path(request["picture"]), send)
    else:
        _check(task, path, int(request["seed"]), send)
    send(ended=True)


def _channel(word: str) -> Send:
    """A function that sends a result to the parent, on the output that prints no longer reach."""
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdin.close()

    def send(**fields: Any) -> None:
        results.write(word + json.dumps(fields) + "\n")
        results.flush()

    return send


def _check(task: Task, path: Path, seed: int, send: Send) -> None:
    before = guarding.state()
    try:
        solution = solving.read(path, task.names, task.forbidden)
    except BaseException as error:
        send(failed=message(error, path))
        return
    for i, part in enumerate(task.parts):
        start = time.perf_counter()
        if not (outcome := _tampered(before)):
            outcome = outcome_of(part, solution, seed + i, path)
            outcome = _tampered(before) or outcome  # once more: what a solution did while it ran counts as well
        send(part=i, **outcome, seconds=round(time.perf_counter() - start, 3))


def outcome_of(part: Part, solution: solving.Solution, seed: int, path: Path) -> dict[str, Any]:
    """The share of the points and a sentence, and a value for the leaderboard, whatever the solution raises."""
    called = solution.calls.total()
    try:
        score = part.check(solution, seed)
    except BaseException as error:
        return {"share": 0.0, "sentence": message(error, path)}
    if solution.calls.total() == called:
        return {"share": 0.0, "sentence": "no function of yours was called"}
    if score is None:
        return {"share": 1.0, "sentence": ""}
    return {"share": max(0.0, min(1.0, float(score.share))), "sentence": score.sentence, "value": score.value}


def _tampered(before: dict[str, Any]) -> dict[str, Any] | None:
    changed = guarding.changes(before)
    if not changed:
        return None
    names = ", ".join(changed[:3]) + (" and others" if len(changed) > 3 else "")
    return {"share": 0.0, "sentence": f"your file changed {names}.  A solution is judged by the engine as it is "
            "installed, so nothing counts.  Fix: override through @solve only"}  # fmt: skip


def _draw(task: Task, path: Path, picture: Path, send: Send) -> None:
    try:
        task.demo(solving.read(path, task.names), picture)
        send(picture=str(picture))
    except BaseException as error:
        send(failed=message(error, path))


def message(error: BaseException, path: Path) -> str:
    """What a student reads of an error: the stub's sentence, a law's message and notes, or the place in the file.

    error: raised by a part of a check.
    path: of the student's file, whose last line in the trace is named.
    """
    if isinstance(error, NotImplementedError):
        return f"not written yet: {error or 'a stub that says nothing'}"
    if isinstance(error, MemoryError):
        return "it needs more memory than a check may have.  Likely cause: an array with one axis too many"
    if isinstance(error, SystemExit):
        return "your file ends the process (exit), so nothing was checked.  Fix: return instead"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, ValueError) and "read-only" in str(error):
        error = guarding.InPlaceError("an argument was changed in place (x += …, x[…] = …).  Fix: work on a copy"
                                      ).with_traceback(error.__traceback__)  # fmt: skip
    text = str(error) if isinstance(error, AssertionError | DataError | guarding.OwnWorkError) and str(error) else (
        f"{type(error).__name__}: {error}".rstrip(": "))  # fmt: skip
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if lines and not isinstance(error, guarding.OwnWorkError):
        text += f"\n(in {path.name}, line {lines[-1]})"
    notes = [note for note in getattr(error, "__notes__", []) if note.startswith(("Law ", SMALLEST))]
    return "\n".join([text, *notes])[:LONGEST]


def _private(path: Path) -> dict[str, Any]:
    """The wrong programs of an instructor's file, which has a dict CHAFFS: by the name of the stub, lists."""
    scope: dict[str, Any] = {"__name__": "private_chaffs", "__file__": str(path)}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), scope)
    if not isinstance(scope.get("CHAFFS"), dict):
        raise DataError(
            "grade", f"a dict CHAFFS in {path.name}", "none", 'define CHAFFS = {"law.adjoint": [Program(…)]}'
        )
    return scope["CHAFFS"]


if __name__ == "__main__":
    main()
