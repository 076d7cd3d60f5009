"""The command line: ``python -m minidl.coursework new | list | check | hint | demo | grade``."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import DataError, MinidlError, RangeError
from ..files import atomically
from ..progress import bar
from . import formats, grading, running
from .folder import Progress, file_of, is_handout, new
from .printing import COMMAND, graded, listed, reported
from .running import Result
from .task import Task, every_task, find, numbers

HERE = Path()


def main(given: Sequence[str] | None = None) -> int:
    """Run one command.  Returns 0, or 1 if a check did not pass or something is missing.

    given: the words after the name of the program; None takes them from the command line.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a console, or a pipe, of another encoding than UTF-8: Windows
            stream.reconfigure(encoding="utf-8", errors="replace")
    arguments = _parser().parse_args(given)
    try:
        return int(arguments.run(arguments))
    except MinidlError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=COMMAND, description="Tasks in which you write parts of minidl and attacks.")
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, run: object, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    command("new", _new, "write the hand-out into a folder").add_argument("folder", type=Path)
    command("list", _list, "the tasks, and what is done in this folder")
    one = command("check", _check, "check one task, in this folder")
    one.add_argument("task", help="its number, such as 06")
    one.add_argument("--seed", type=_seed, help="of everything that is drawn; another one each time by default")
    one.add_argument("--watch", action="store_true", help="check again whenever the file is saved, until Ctrl-C")
    command("hint", _hint, "one hint more than last time").add_argument("task")
    command("demo", _demo, "a picture of what your solution does").add_argument("task")
    whole = command("grade", _grade, "check a whole hand-out, or a folder of them")
    whole.add_argument("folder", type=Path, help="with the files of one student, or with a folder for each")
    whole.add_argument("--format", choices=formats.FORMATS, default="json", help="of the results (default: json)")
    whole.add_argument("--out", type=Path, help="file for the results; of a class, a folder (default: beside FOLDER)")
    whole.add_argument("--chaffs", type=Path, nargs="+", default=[], metavar="PRIVATE.py",
                       help="wrong programs of your own for the laws")  # fmt: skip
    whole.add_argument("--secret", help="of the course: seeds are an HMAC of it and the student's name")
    whole.add_argument("--student", help="the name for the seeds (default: the folder's)")
    whole.add_argument("--only", nargs="+", default=[], metavar="TASK", help="numbers of tasks")
    whole.add_argument("--workers", type=int, default=2, help="checks at once (default: 2)")
    return parser


def _seed(text: str) -> int:
    if not text.isdigit() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 2147483647, got {text!r}")
    return int(text)


def _new(arguments: argparse.Namespace) -> int:
    written, kept = new(arguments.folder)
    print(f"{len(written)} files written to {arguments.folder}" + (f", {len(kept)} left as they were" if kept else ""))
    inside = "" if arguments.folder.resolve() == Path.cwd() else f"cd {arguments.folder}, then "
    print(f"Next: {inside}read README.md and {find(numbers()[0]).file}, and run {COMMAND} check {numbers()[0]}")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    print(listed(every_task(), Progress(HERE).results))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    task = find(arguments.task)
    path = file_of(HERE, task)
    if not arguments.watch:
        return 0 if _checked(task, path, arguments.seed).passed else 1
    print(f"Watching {path}; Ctrl-C ends it")
    seen = None
    while True:
        stamp = path.stat().st_mtime_ns if path.exists() else None  # an editor may replace it
        if stamp is not None and stamp != seen:
            seen = stamp
            if _checked(task, path, arguments.seed).passed:
                return 0
        time.sleep(0.3)


def _checked(task: Task, path: Path, seed: int | None) -> Result:
    progress = Progress(HERE)
    seed = secrets.randbelow(2**31) if seed is None else seed
    with bar(range(len(task.parts)), f"{task.number} {task.title}", True, total=len(task.parts)) as shown:
        result = running.check(task, path, seed, watch=lambda done: shown.update(done - shown.n))
    progress.note(result)
    later = [find(number) for number in numbers() if number > task.number]
    print(reported(task, result, later[0] if later else None))
    return result


def _hint(arguments: argparse.Namespace) -> int:
    task = find(arguments.task)
    hints = Progress(HERE).next_hint(task)
    for i, hint in enumerate(hints, 1):
        print(f"{i}. {hint}")
    more = len(task.hints) - len(hints)
    print(f"{more} more" if more else f"That is all.  Next: {COMMAND} check {task.number}")
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    task = find(arguments.task)
    picture = HERE / f"{task.file[:-3]}.png"
    if reason := running.draw(task, file_of(HERE, task), picture):
        raise DataError(
            "demo", f"a solution in {task.file} that runs", reason.rstrip("."), f"run {COMMAND} check {task.number}"
        )
    print(f"wrote {picture}")
    return 0


def _grade(arguments: argparse.Namespace) -> int:
    if arguments.workers < 1:
        raise RangeError("grade", "at least 1 worker", str(arguments.workers))
    for path in arguments.chaffs:
        if not path.is_file():
            raise DataError("grade", f"a file {path} with wrong programs", "no such file", "check the path")
    options = {"secret": arguments.secret, "chaffs": arguments.chaffs, "only": arguments.only}
    folder, write = arguments.folder, formats.FORMATS[arguments.format]
    if folder.is_dir() and not is_handout(folder):
        return _grade_class(arguments, options)
    ending = "xml" if arguments.format == "junit" else "json"
    out = arguments.out or folder.resolve().with_name(f"{folder.resolve().name}-results.{ending}")
    kept = out.with_name(f".{arguments.student or folder.resolve().name}.graded.json")  # a second run goes on from it
    with bar(range(len(arguments.only) or len(numbers())), "grading", True) as shown:
        results = grading.grade(folder, kept, student=arguments.student, workers=arguments.workers,
                                watch=lambda result: shown.update(1), **options)  # fmt: skip
    _write(out, write(results))
    print(graded(arguments.student or folder.resolve().name, results))
    print(f"wrote {out}")
    return 0


def _grade_class(arguments: argparse.Namespace, options: dict[str, object]) -> int:
    folders = sorted(each for each in arguments.folder.iterdir() if each.is_dir() and is_handout(each))
    if not folders:
        raise DataError("grade", f"files of tasks in {arguments.folder}, or folders with such files", "none",
                        "name the folder that was handed in, or the one with a folder for each student")  # fmt: skip
    if arguments.secret is None:
        raise DataError("grade", "a secret for a class, so that a second run goes on with the same seeds", "none",
                        "give --secret SOMETHING")  # fmt: skip
    out = arguments.out or arguments.folder.resolve().with_name(f"{arguments.folder.resolve().name}-results")
    ending = "xml" if arguments.format == "junit" else "json"
    everyone: dict[str, Sequence[Result]] = {}
    with ThreadPoolExecutor(arguments.workers) as pool, bar(range(len(folders)), "grading", True) as shown:
        for name, results in grading.grade_class(folders, out, pool, **options):
            everyone[name] = results
            if arguments.format != "json":
                _write(out / f"{name}.{arguments.format}.{ending}", formats.FORMATS[arguments.format](results))
            shown.update(1)
    for name in sorted(everyone):
        total, most = (sum(getattr(r, what) for r in everyone[name]) for what in ("points", "most"))
        print(f"{name:<30}{total:>7.4g} of {most:g}")
    _write(out / "leaderboard.txt", _boards(everyone))
    print(f"wrote {out}{os.sep}, one file for each student, and leaderboard.txt")
    return 0


def _boards(everyone: dict[str, Sequence[Result]]) -> str:
    text = []
    for number, rows in grading.leaderboard(everyone).items():
        task = find(number)
        text.append(f"{number} {task.title}: {task.board}, the {'lowest' if task.best == 'low' else 'highest'} first")
        text += [f"{place:>5}. {name:<30}{value:g}" for place, (name, value) in enumerate(rows, 1)]
    return "\n".join(text) + "\n"


def _write(path: Path, text: str) -> None:
    with atomically(path) as file:
        file.write(text.encode("utf-8"))


if __name__ == "__main__":
    sys.exit(main())
