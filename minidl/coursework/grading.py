"""Grading one hand-out, or those of a whole class, so that a crash loses nothing and a second run goes on.

The results of a student are one JSON file, written anew after each task.  It keeps the seed and a digest of the file
that was checked.  A task whose file, seed and kit are the same as before is not checked again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import atomically, check_writable
from . import guarding
from .folder import is_handout
from .running import PartResult, Result, check
from .task import Task, every_task, find

Watch = Callable[[Result], None]


def seed_of(secret: str, student: str, task: str) -> int:
    """The seed for a student's task: an HMAC, so that it can be repeated by those who know the course's secret.

    secret: of the course.
    student: by name.
    task: by number.

    >>> from minidl.coursework.grading import seed_of
    >>> seed_of("autumn", "ada", "01") == seed_of("autumn", "ada", "01") != seed_of("autumn", "alan", "01")
    True
    """
    code = hmac.new(secret.encode(), f"{student}/{task}".encode(), hashlib.sha256).digest()
    return int.from_bytes(code[:4], "big") >> 1


def grade(folder: str | Path, results: str | Path, *, student: str | None = None, secret: str | None = None,
          chaffs: Sequence[str | Path] = (), only: Iterable[str] = (), workers: int = 2,
          watch: Watch = lambda result: None) -> list[Result]:  # fmt: skip
    """Check all tasks of a hand-out.

    folder: of the student.
    results: the JSON file for the results, which a second run goes on from.
    student: the name; None is the folder's.
    secret: of the course, for the seeds; None draws a new one for each run, so that nothing can be prepared.
    chaffs: files with wrong programs of your own, for the laws; see demos/coursework.md.
    only: the numbers of tasks; all by default.
    workers: how many checks run at once.
    watch: is called with each `Result`, as it comes.

    Returns: the results, in the order of the tasks; also for files that are missing, with no points.
    Raises: `DataError` for a folder without a file of any task, and if the results cannot be written.
    """
    folder, results = Path(folder), Path(results)
    if not folder.is_dir() or not is_handout(folder):
        raise DataError("grade", f"a folder with files of tasks, such as {find('01').file}", str(folder),
                        "name the folder that was handed in")  # fmt: skip
    check_writable("grade", results)
    name = student or folder.resolve().name
    secret = secrets.token_hex(16) if secret is None else secret
    wanted = [find(number) for number in only] or list(every_task())
    kit = guarding.digest() + "".join(_digest(Path(path)) for path in chaffs)
    record = _read(results)
    with ThreadPoolExecutor(workers) as pool:  # of threads that wait for processes
        waiting: dict[Future[Result], tuple[Task, str]] = {}
        for task in wanted:
            seed, digest = seed_of(secret, name, task.number), _digest(folder / task.file, kit)
            before = record.get(task.number)
            if before and before["digest"] == digest and before["result"]["seed"] == seed:
                watch(Result.from_dict(before["result"]))
                continue
            paths = tuple(Path(path) for path in chaffs)
            waiting[pool.submit(_checked, task, folder / task.file, seed, paths)] = task, digest
        try:
            for done in as_completed(waiting):
                task, digest = waiting[done]
                record[task.number] = {"digest": digest, "result": done.result().as_dict()}
                _write(results, name, record)
                watch(done.result())
        except BaseException:
            for each in waiting:
                each.cancel()  # Ctrl-C: what runs is waited for, what does not is not begun
            raise
    _write(results, name, record)
    return [Result.from_dict(record[task.number]["result"]) for task in wanted]


def grade_class(folders: Iterable[str | Path], results: str | Path, executor: Executor,
                **options: Any) -> Iterator[tuple[str, list[Result]]]:  # fmt: skip
    """Grade the hand-outs of a class, on any executor of `concurrent.futures`: threads, processes, or a cluster's.

    folders: of the students, each named after one.
    results: the folder for their result files, which a second run goes on from.
    executor: what runs the submissions.  Each is one unit of work, and starts a process for each of its checks.
    options: of `grade`.

    Yields: names and results, in the order in which they are ready.
    Raises: `DataError` if two folders have one name.  An error of one submission is raised after all others are done.
    """
    given = [Path(folder) for folder in folders]
    paths = {folder.resolve().name: folder for folder in given}
    if len(paths) < len(given):
        raise DataError("grade", "folders with different names", f"{len(given) - len(paths)} of them twice",
                        "name each folder after its student")  # fmt: skip
    running = {executor.submit(grade, path, Path(results) / f"{name}.json", **options | {"workers": 1}): name
               for name, path in paths.items()}  # fmt: skip
    failed: list[BaseException] = []
    for done in as_completed(running):
        if (error := done.exception()) is not None:
            failed.append(error)
        else:
            yield running[done], done.result()
    if failed:
        raise failed[0]


def leaderboard(results: dict[str, Sequence[Result]]) -> dict[str, list[tuple[str, float]]]:
    """For each task that has one: the students and what they reached, the best first.

    results: of each student, by name.
    """
    boards: dict[str, list[tuple[str, float]]] = {}
    for task in every_task():
        if task.board:
            rows = [(name, r.value) for name, each in results.items() for r in each
                    if r.task == task.number and r.value is not None]  # fmt: skip
            boards[task.number] = sorted(rows, key=lambda row: row[1], reverse=task.best == "high")
    return boards


def _checked(task: Task, path: Path, seed: int, chaffs: tuple[Path, ...]) -> Result:
    if path.exists():
        return check(task, path, seed, chaffs=chaffs)
    parts = [PartResult(part.name, 0.0, part.points, f"{path.name} was not handed in") for part in task.parts]
    return Result(task.number, task.title, seed, parts, written=False)


def _digest(path: Path, kit: str = "") -> str:
    content = path.read_bytes() if path.is_file() else b""
    return hashlib.sha256(kit.encode() + content).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    """The tasks of a result file; none if there is none, or one that is damaged: then all is checked again."""
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))["tasks"]
        return {number: entry for number, entry in tasks.items() if Result.from_dict(entry["result"]).parts}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write(path: Path, student: str, record: dict[str, Any]) -> None:
    points = sum(entry["result"]["points"] for entry in record.values())
    most = sum(entry["result"]["most"] for entry in record.values())
    whole = {"student": student, "points": round(points, 4), "most": most, "tasks": dict(sorted(record.items()))}
    with atomically(path) as file:
        file.write(json.dumps(whole, indent=1, ensure_ascii=False).encode("utf-8"))
