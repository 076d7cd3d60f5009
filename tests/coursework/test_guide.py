"""The instructor's guide is true: its table of tasks, its plan, and the commands that it names."""

from __future__ import annotations

import re

from minidl.coursework import every_task
from minidl.coursework.__main__ import _parser
from minidl.coursework.task import Task
from tests.support.project import ROOT

GUIDE = (ROOT / "demos" / "coursework.md").read_text(encoding="utf-8")


def row(task: Task) -> str:
    """The line of a task in the guide's table."""
    parts = "; ".join(f"{part.name}, {part.points:g}" for part in task.parts)
    kind = task.kind + (", practice" if task.practice else "")
    return f"| {task.number} {task.title} | {kind} | {task.minutes} | {task.points:g} | {parts} |"


def test_the_table_has_every_task_as_it_is() -> None:
    rows = [line for line in GUIDE.splitlines() if re.match(r"\| \d\d \w", line)]
    assert rows == [row(task) for task in every_task()]


def test_the_plan_has_every_task_once() -> None:
    plan = GUIDE.partition("## A term")[2].partition("\n## ")[0]
    weeks = [line.rstrip(" |").rpartition("|")[2] for line in plan.splitlines() if re.match(r"\| \d+ \|", line)]
    assert len(weeks) == 12
    assert sorted(number for week in weeks for number in re.findall(r"\d\d", week)) == [t.number for t in every_task()]


def test_the_commands_are_understood() -> None:
    commands = re.findall(r"python3? -m minidl\.coursework ([^#\n\\]*[^#\n\\ ])", GUIDE)
    assert len(commands) > 6
    for command in commands:
        _parser().parse_args(command.replace('"$SECRET"', "s").replace('"$STUDENT"', "ada").split())
