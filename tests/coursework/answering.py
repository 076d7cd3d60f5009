"""The reference solutions and the wrong ones, as files that a student might hand in."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from minidl.coursework.task import Task

ANSWERS = Path(__file__).parent / "answers"
CUT = "# --- What students get wrong"


@dataclass(frozen=True)
class Wrong:
    """A typical mistake: its name, the text of the file, and what the message has to name."""

    name: str
    text: str
    says: str


def answer(task: Task) -> str:
    """The reference solution of a task, as the text of a file."""
    return _file(task).read_text(encoding="utf-8").partition(CUT)[0]


def wrong_answers(task: Task) -> list[Wrong]:
    """Typical wrong solutions of a task: the reference with one text replaced by another."""
    specification = importlib.util.spec_from_file_location(f"answers_{task.number}", _file(task))
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    right, wrong = answer(task), []
    for name, old, new, says in module.WRONG:
        assert old in right, f"task {task.number}, {name!r}: {old!r} is not in the answer"
        wrong.append(Wrong(name, right.replace(old, new), says))
    return wrong


def _file(task: Task) -> Path:
    return ANSWERS / f"a{task.file}"
