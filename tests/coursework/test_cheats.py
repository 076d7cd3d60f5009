"""No cheat gains points, and each ends in a line that says what happened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from minidl.coursework import find, guarding, running
from tests.coursework.cheats import CHEATS, Cheat

pytestmark = pytest.mark.slow
HONEST = 1.0  # points of task 01 for its value, which is right in most cheats


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda cheat: cheat.name)
def test_cheats_gain_nothing(cheat: Cheat, tmp_path) -> None:
    task = find(cheat.task)
    path = tmp_path / task.file
    path.write_text(cheat.text, encoding="utf-8")
    result = running.check(task, path, seed=3, seconds=3 if "endless" in cheat.name else None)
    text = "\n".join(part.sentence for part in result.parts)
    assert cheat.says in text, text
    assert not result.passed
    gained = [part.name for part in result.parts if part.points and part.name not in ("the value", "float32 stays float32",
              "nothing is changed in place", "stacks of tangents")]  # fmt: skip
    honest = "forged" in cheat.name or "nothing is called" in cheat.name  # its other laws are fulfilled by a wrong rule
    assert not gained or honest, gained


def test_a_child_of_the_solution_is_stopped_with_it(tmp_path) -> None:
    """A loop in a process that the solution has started does not go on."""
    task, mark = find("01"), tmp_path / "alive"
    path = tmp_path / task.file
    path.write_text(f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time, pathlib\\nfor i in range(600):\\n    pathlib.Path({str(mark)!r})"
                  ".write_text(str(i)); time.sleep(.05)"])
while True:
    pass
""")
    result = running.check(task, path, seed=0, seconds=3)
    assert "stopped after 3 seconds" in result.parts[0].sentence
    first = mark.read_text()
    import time

    time.sleep(0.5)
    assert mark.read_text() == first


def test_packages_in_the_folder_are_not_imported(tmp_path, monkeypatch) -> None:
    """A judge of one's own, handed in beside the tasks, and the grader's folder is that one."""
    task = find("01")
    (tmp_path / task.file).write_text(task.handout(), encoding="utf-8")
    for package in ("minidl", "minidl/coursework", "numpy"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise SystemExit(0)", encoding="utf-8")
    (tmp_path / "json.py").write_text("raise SystemExit(0)", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    result = running.check(task, tmp_path / task.file, seed=0)
    assert "x / (1 + |x|)" in result.parts[0].sentence


def test_installed_sources_that_were_changed_are_noticed(tmp_path, monkeypatch) -> None:
    """Here by a digest that differs: no test writes to what is installed."""
    digests = iter(["before", "after"])
    monkeypatch.setattr(guarding, "digest", lambda: next(digests))
    task = find("01")
    path = tmp_path / task.file
    path.write_text(task.handout(), encoding="utf-8")
    result = running.check(task, path, seed=0)
    assert "were changed while the check ran" in result.parts[0].sentence
    assert result.points == 0


def test_what_it_prints_is_kept_in_part(tmp_path) -> None:
    task = find("01")
    path = tmp_path / task.file
    path.write_text("print('hello ∂')\nprint('x' * 10**6)\n" + task.handout(), encoding="utf-8")
    result = running.check(task, path, seed=0)
    assert result.printed.startswith("hello ∂")
    assert len(result.printed) <= running.PRINTED


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"def broken(:\n", "SyntaxError in line 1"), (b"\xff\xfe\x00", "UnicodeDecodeError"), (b"", "a function for"),
     (b"1/0\n", "ZeroDivisionError in line 1"), (b"\x00" * 10, "null bytes"), (b"x = 1\n" * 400_000, "at most")],
)  # fmt: skip
def test_files_that_cannot_be_run(content, says, tmp_path) -> None:
    path = tmp_path / find("01").file
    path.write_bytes(content)
    result = running.check(find("01"), path, seed=0)
    assert says in result.parts[0].sentence
    assert result.points == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_is_no_file(tmp_path) -> None:
    path = tmp_path / find("01").file
    os.mkfifo(path)
    assert "a FIFO" in running.check(find("01"), path, seed=0).parts[0].sentence


def test_files_with_a_byte_order_mark_and_windows_lines(tmp_path) -> None:
    task, path = find("01"), Path(tmp_path) / "with spaces and ü" / find("01").file
    path.parent.mkdir()
    path.write_bytes(b"\xef\xbb\xbf" + task.handout().replace("\n", "\r\n").encode("utf-8"))
    result = running.check(task, path, seed=0)
    assert not result.written
    assert "x / (1 + |x|)" in result.parts[0].sentence
