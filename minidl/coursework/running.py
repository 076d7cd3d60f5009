"""A check from outside: start the process, wait no longer than its limit, and read its results as they come.

Whatever a solution does, an endless loop, too much memory, an exit, a forged result on its output, ends in a line that
says so, and in no points.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import guarding
from .task import Task

#: Bytes that a check may have, where the system can limit them.
MEMORY = 4 * 2**30
#: Characters of what a solution prints that are kept.
PRINTED = 2000


@dataclass
class PartResult:
    """What came out of a part of a check: its name, the points, of how many, and a sentence for the student."""

    name: str
    points: float
    most: float
    sentence: str = ""
    seconds: float = 0.0


@dataclass
class Result:
    """What came out of the check of one task."""

    task: str
    title: str
    seed: int
    parts: list[PartResult] = field(default_factory=list)
    seconds: float = 0.0
    printed: str = ""
    value: float | None = None
    written: bool = True  # whether the stubs were filled at all

    @property
    def points(self) -> float:
        return round(sum(part.points for part in self.parts), 4)

    @property
    def most(self) -> float:
        return sum(part.most for part in self.parts)

    @property
    def passed(self) -> bool:
        return bool(self.parts) and all(part.points >= part.most for part in self.parts)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"points": self.points, "most": self.most}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Result:
        known = {name: fields[name] for name in cls.__dataclass_fields__ if name in fields}
        return cls(**known | {"parts": [PartResult(**part) for part in fields["parts"]]})


def check(task: Task, path: Path, seed: int, *, chaffs: tuple[Path, ...] = (), memory: int = MEMORY,
          seconds: float | None = None, watch: Callable[[int], None] = lambda parts: None) -> Result:  # fmt: skip
    """Check a student's file in a process of its own.

    task: which.
    path: of the student's file.
    seed: of everything that is drawn.
    chaffs: files with an instructor's own wrong programs.
    memory: in bytes, where the system can limit it.
    seconds: before it is stopped; None is the task's own limit.
    watch: is called after each part with the number of parts that are done, for a bar.

    Returns: a `Result`, whatever the student's code did.
    """
    result = Result(task.number, task.title, seed, [PartResult(p.name, 0.0, p.points) for p in task.parts])
    request = {"task": task.number, "file": str(Path(path).resolve()), "seed": seed, "memory": memory,
               "chaffs": [str(Path(each).resolve()) for each in chaffs]}  # fmt: skip
    limit = task.seconds if seconds is None else seconds
    before, start = guarding.digest(), time.perf_counter()
    ended, done = "", 0
    for message in conversation(request, limit, result):
        if "part" in message:
            done += 1
            part = result.parts[message["part"]]
            part.points = round(part.most * message["share"], 4)
            part.sentence, part.seconds = message["sentence"], message["seconds"]
            if message.get("value") is not None:
                result.value = message["value"]
            watch(done)
        ended = message.get("failed") or message.get("stopped") or ended
        if "ended" in message:
            break
    else:
        ended = ended or "your file ended the process before its check was over, so the rest does not count"
    if guarding.digest() != before:
        ended = "the installed sources of minidl were changed while the check ran: install them again"
        for part in result.parts:
            part.points, part.sentence = 0.0, ended
    for part in result.parts[done:]:
        part.sentence = ended
    result.written = not any(part.sentence.startswith("not written yet") for part in result.parts)
    result.seconds = round(time.perf_counter() - start, 2)
    return result


def draw(task: Task, path: Path, picture: Path, seconds: float = 120.0) -> str:
    """Draw a task's picture with the student's solution.  Returns "" if it is there, or why it is not."""
    request = {"task": task.number, "file": str(Path(path).resolve()), "memory": MEMORY,
               "picture": str(Path(picture).resolve())}  # fmt: skip
    reason = "the process ended before the picture was drawn"
    for message in conversation(request, seconds, Result(task.number, task.title, 0)):
        if "picture" in message:
            return ""
        reason = message.get("failed") or message.get("stopped") or reason
    return reason


def conversation(request: dict[str, Any], seconds: float, result: Result) -> Iterator[dict[str, Any]]:
    """The messages of a child process, as they come; the last is "ended", or "stopped" if the time was over.

    request: what it is to do.
    seconds: until it is stopped, together with what it has started.
    result: gets what it printed.
    """
    word = secrets.token_hex(16)
    with tempfile.TemporaryFile() as printed:
        # -P: a package called minidl or numpy that lies in the folder is not the one that is imported.
        process = subprocess.Popen([sys.executable, "-P", "-m", f"{__package__}.child"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=printed, env=_environment(), **_GROUP)  # fmt: skip
        late = threading.Event()

        def stop() -> None:
            late.set()
            _kill(process)

        alarm = threading.Timer(seconds, stop)  # and not SIGALRM, which Windows does not have
        alarm.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(OSError):
                process.stdin.write((json.dumps(request | {"word": word}) + "\n").encode())
                process.stdin.close()
            for line in process.stdout:
                text = line.decode("utf-8", "replace")
                if text.startswith(word):
                    yield json.loads(text[len(word) :])
            process.wait()
            if late.is_set():
                yield {"stopped": f"stopped after {seconds:g} seconds.  Likely cause: a loop without an end, or one "
                       "over single numbers where an array operation is meant"}  # fmt: skip
        finally:
            alarm.cancel()
            _kill(process)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
            printed.seek(0)
            result.printed = printed.read(PRINTED).decode("utf-8", "replace").strip()


_GROUP: dict[str, Any] = (
    {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined]
    if sys.platform == "win32"
    else {"start_new_session": True}
)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process, and those that it has started."""
    if sys.platform == "win32":
        if process.poll() is None:
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """Of the child: one thread, so that checks beside each other do not wait; UTF-8; no windows."""
    threads = dict.fromkeys(("MINIDL_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    own = {"PYTHONUTF8": "1", "MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1", "MINIDL_PROGRESS": "0",
           "HYPOTHESIS_STORAGE_DIRECTORY": os.path.join(tempfile.gettempdir(), "minidl-hypothesis")}  # fmt: skip
    root = str(Path(__file__).parents[2])  # where minidl is, also if it is not installed
    path = {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))}
    return dict(os.environ) | threads | own | path
