"""Files on disk, written whole or not at all (`atomically`), and what to ask before reading or writing one."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .errors import DataError

try:
    import fcntl
except ImportError:  # Windows, where no open file can be removed
    fcntl = None  # type: ignore[assignment]

DAY = 24 * 3600.0


def regular_file(operation: str, path: str | Path, most: int | None = None) -> None:
    """Refuse a path that is not a regular file, without opening it.  Ask this before opening any file of others.

    To open a FIFO is to wait for somebody to write into it, and a device such as /dev/zero has no end.  Links are
    followed.  ``most``: the bytes the file may have; without it, any number.
    Raises `DataError`, in the name of the operation, for a folder, FIFO, socket or device, for a file that is missing
    or longer than that, and for a path that cannot be looked at.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(operation, f"a file {path}", "no such file", "check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise DataError(operation, f"a file {path}", repr(error), "check the path and who may read it") from error
    if not stat.S_ISREG(status.st_mode):
        got = "a folder" if stat.S_ISDIR(status.st_mode) else "a FIFO, socket or device"
        raise DataError(operation, f"{path} to be a regular file", got, "put the file itself there")
    if most is not None and status.st_size > most:
        raise DataError(operation, f"at most {most} bytes in {path}", f"{status.st_size}", "fetch it again")


def check_writable(operation: str, path: str | Path) -> None:
    """Refuse a path that no file can be written to, with `DataError`, now rather than after the work."""
    path = Path(path)
    fix = "name a file in a folder that you may write to"
    if path.is_dir():
        raise DataError(operation, f"{path} to be a file to write", "a folder", fix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise DataError(operation, f"to be able to write {path}", str(error), fix) from error


@contextlib.contextmanager
def atomically(path: str | Path) -> Iterator[IO[bytes]]:
    """A file to write, that takes its name once it is whole and on disk; if the block fails nothing is left.

    A writer that was killed has left a part of a file beside it, which is removed first.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    parts: list[Path] = []
    try:
        with _begun(path, parts) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl is not None:
                os.replace(parts[-1], path)  # while it is locked: no other writer can remove it
        if fcntl is None:
            os.replace(parts[-1], path)
    except BaseException:
        for part in parts:
            with contextlib.suppress(OSError):  # it was never made, has its name already, or is open still (Windows)
                os.unlink(part)
        raise


def _begun(path: Path, parts: list[Path]) -> IO[bytes]:
    """A new file beside the path, open and locked for as long as it is, which shows that its writer is alive.

    parts: gets its name before it is there, so that it can be removed whenever Ctrl-C comes.
    """
    while True:
        parts.append(path.with_name(f".{path.name}.{secrets.token_hex(4)}.part"))
        file = open(parts[-1], "xb")  # noqa: SIM115  # its caller closes it
        if fcntl is not None:
            with contextlib.suppress(OSError):  # file systems without locks: there nothing is swept either
                fcntl.flock(file, fcntl.LOCK_EX)
        if os.path.exists(parts[-1]):
            return file
        file.close()  # it was swept away before it was locked


def _sweep(path: Path) -> None:
    """Remove what killed writers have left of this file: parts that are not locked."""
    part = re.compile(re.escape(f".{path.name}.") + r"\w{8}\.part")
    for entry in os.scandir(path.parent):
        if part.fullmatch(entry.name):
            with contextlib.suppress(OSError):  # somebody is writing it, or has just finished
                _remove_unlocked(entry.path)


def _remove_unlocked(part: str) -> None:
    if fcntl is None:
        if os.path.getmtime(part) < time.time() - DAY:
            os.unlink(part)
        return
    with open(part, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(part)
