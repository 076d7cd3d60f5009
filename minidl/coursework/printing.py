"""What the command line prints: tables and results, wrapped to the terminal, in plain words."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Mapping

from .running import PartResult, Result
from .task import Task

COMMAND = "python -m minidl.coursework"


def width() -> int:
    """Of the terminal, 100 characters at most."""
    return min(shutil.get_terminal_size((80, 24)).columns, 100) - 1


def wrapped(text: str, indent: str) -> str:
    """Lines of text, each wrapped, with an indent."""
    lines = [textwrap.wrap(line, width() - len(indent), break_long_words=False, drop_whitespace=True,
                           subsequent_indent=" " * (len(line) - len(line.lstrip()))) or [""]
             for line in text.splitlines()]  # fmt: skip
    return "\n".join(indent + each for group in lines for each in group)


def listed(tasks: Iterable[Task], results: Mapping[str, Mapping[str, float]]) -> str:
    """The tasks as a table: number, title, kind, minutes, points so far, and what each teaches."""
    rows, total, most = [], 0.0, 0.0
    for task in tasks:
        points = results.get(task.number, {}).get("points")
        total, most = total + (points or 0.0), most + task.points
        so_far = f"{points:g}/{task.points:g}" if points is not None else f"-/{task.points:g}"
        rows.append(f"{task.number}  {task.title:<22} {task.kind:<8}{task.minutes:>3} min {so_far:>8}")
        rows.append(wrapped(task.teaches, "      "))
    return "\n".join([*rows, f"{total:g} of {most:g} points"])


def reported(task: Task, result: Result, following: Task | None) -> str:
    """The result of a check: each part, what is wrong, how to repeat it, and what to do next."""
    text = [f"{task.number} {task.title}, seed {result.seed}"]
    shown: set[str] = set()
    for part in result.parts:
        text.append(f"  {_word(part)}  {part.points:>4.3g} of {part.most:<4g} {part.name}")
        if part.points < part.most and part.sentence not in shown:  # the first at length: it is to be mended first
            text.append(wrapped(part.sentence.partition("\n")[0] if shown else part.sentence, "      "))
            shown.add(part.sentence)
    if result.printed:
        text.append("Printed by your file:\n" + wrapped(result.printed, "  | "))
    text.append(f"{result.points:g} of {result.most:g} points, in {result.seconds:.1f} s")
    if result.passed:
        text.append(f"Next: {COMMAND} demo {task.number} draws what you made" +
                    (f"; then task {following.number}, {following.title}" if following else ""))  # fmt: skip
    elif not result.written:
        text.append(f"Next: write it in {task.file}; the text above the stub says how")
    else:
        text.append(f"Repeat: {COMMAND} check {task.number} --seed {result.seed}")
        text.append(f"Next: mend {task.file}, or read a hint: {COMMAND} hint {task.number}")
    return "\n".join(text)


def _word(part: PartResult) -> str:
    if part.points >= part.most:
        return "passed"
    return "partly" if part.points else "to do " if part.sentence.startswith("not written yet") else "failed"


def graded(name: str, results: Iterable[Result]) -> str:
    """The points of a student, task by task."""
    results = list(results)
    rows = [f"  {r.task} {r.title:<22}{r.points:>6.3g} of {r.most:<5g}{r.seconds:>6.1f} s" for r in results]
    total, most = sum(r.points for r in results), sum(r.most for r in results)
    return "\n".join([name, *rows, f"  {'':<2} {'in all':<22}{total:>6.4g} of {most:g}"])
