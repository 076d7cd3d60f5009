"""The table of all tasks: the stub, the answer over many seeds, and each mistake with the message that it gets.

    python -m tests.coursework [--seeds 20] [--only 01 02] [--out tests/coursework/results/table.md]

It goes on after a failure, and ends with exit code 1 if there was one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from minidl.coursework import find, running
from minidl.coursework.running import Result
from minidl.coursework.task import Task, numbers
from tests.coursework.answering import answer, wrong_answers


def first_sentence(result: Result) -> str:
    """Of the first part that is not full, on one line."""
    sentences = [part.sentence for part in result.parts if part.points < part.most]
    return " ".join(" ".join(sentences[:1]).split())


def rows(task: Task, seeds: int) -> tuple[list[str], list[str]]:
    """The lines of the table for a task, and what is wrong with it."""
    lines, failures = [], []

    def checked(text: str, seed: int) -> Result:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / task.file
            path.write_text(text, encoding="utf-8")
            return running.check(task, path, seed)

    stub = checked(task.handout(), 0)
    if stub.points or stub.written:
        failures.append(f"{task.number}: the stub has {stub.points} points: {first_sentence(stub)}")
    right = [checked(answer(task), seed) for seed in range(seeds)]
    passed, slowest = sum(result.passed for result in right), max(result.seconds for result in right)
    lines.append(f"| **{task.number} {task.title}** | {passed} of {seeds} seeds | {right[0].most:g} of "
                 f"{right[0].most:g} | at most {slowest:.1f} s |")  # fmt: skip
    failures += [f"{task.number}, seed {r.seed}: the answer has {r.points}: {first_sentence(r)}" for r in right
                 if not r.passed]  # fmt: skip
    for wrong in wrong_answers(task):
        result = checked(wrong.text, 1)
        whole = "\n".join(part.sentence for part in result.parts)
        text = first_sentence(result).replace("|", "\\|")
        lines.append(f"| | {wrong.name} | {result.points:g} of {result.most:g} | {text[:400]} |")
        if result.passed or wrong.says not in whole:
            failures.append(f"{task.number}, {wrong.name}: {result.points} points, does not say {wrong.says!r}: {text}")
    return lines, failures


def main() -> int:
    """Print the table; returns 1 if an answer fails or a mistake passes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="for each answer (default: 20)")
    parser.add_argument("--only", nargs="+", default=numbers(), metavar="TASK", help="numbers of tasks")
    parser.add_argument("--out", type=Path, help="file to write as well")
    arguments = parser.parse_args()
    table = [f"# Coursework: answers and mistakes, {date.today()}", "",
             f"`python -m tests.coursework --seeds {arguments.seeds}`", "",
             "| task | answer, or mistake | points | time, or what a student reads first |",
             "|---|---|---|---|"]  # fmt: skip
    print("\n".join(table))
    failures: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        for lines, wrong in pool.map(lambda number: rows(find(number), arguments.seeds), arguments.only):
            print("\n".join(lines), flush=True)
            table, failures = table + lines, failures + wrong
    print("\n".join(["", *failures, f"{len(failures)} failures"]))
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text("\n".join(table) + "\n", encoding="utf-8")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
