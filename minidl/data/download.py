"""Downloads: a file from the first of its mirrors that delivers it, sound and in time.

A server may send too much, too little, nothing, or a byte a minute.  So there is a bound to what is taken and a
deadline for all of it, and any failure whatsoever leads to the next mirror, and at last to one `DataError`.
"""

from __future__ import annotations

import io
import queue
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import IO, Any, TypeVar

from ..errors import DataError
from .files import SLACK

T = TypeVar("T")

PATIENCE = 30.0  # seconds to wait for a server's next word, and to which a file's deadline adds its size / SLOWEST
SLOWEST = 100_000  # bytes a second
GLANCE = 0.1  # seconds between two looks at a download


def fetch(operation: str, name: str, urls: Sequence[str], most: int, check: Callable[[bytes], T], fix: str) -> T:
    """What `check` makes of a file, from the first of the addresses that gives one it accepts.

    ``most``: the bytes the file can have once unpacked.  No more (and some `SLACK`) is taken from any address, and
    each has `PATIENCE` seconds, and the time these bytes take at `SLOWEST`, for all of it.  `check` refuses by raising.
    Nothing is written: the file is in memory, and what is to be kept is for the caller to write.
    Raises `DataError`, in the name of the operation, that tells what each of the addresses did, whatever it was.
    """
    failures: list[Exception] = []
    for url in urls:
        outcome = _attempt(url, most, check)
        if not isinstance(outcome, Exception):
            return outcome
        failures.append(outcome)
    got = "; ".join(f"{url}: {_in_one_line(error)}" for url, error in zip(urls, failures))
    raise DataError(operation, f"to download {name}", got, fix) from failures[-1]


def _attempt(url: str, most: int, check: Callable[[bytes], T]) -> T | Exception:
    """What `check` makes of the file at an address, or the error instead.

    It happens in a thread, because no timeout of a socket ends a server that drips, but a thread can be left.  It
    is a daemon, so that the interpreter can exit without it.  Its file is in memory and closed when it is left: it
    can then write nowhere, and its result is dropped.
    """
    arriving = _Arriving(most + SLACK)
    outcome: queue.SimpleQueue[T | Exception] = queue.SimpleQueue()

    def deliver() -> None:
        try:
            _get(url, arriving)
            outcome.put(check(arriving.getvalue()))
        except Exception as error:  # a server of others can make any error happen, and each means: not from here
            outcome.put(error)

    seconds = PATIENCE + most / SLOWEST
    end = time.monotonic() + seconds
    try:
        threading.Thread(target=deliver, daemon=True).start()
        while time.monotonic() < end:
            with suppress(queue.Empty):
                return outcome.get(timeout=GLANCE)  # briefly: on Windows Ctrl-C has to wait for it
        return TimeoutError(f"not all there after {seconds:.1f} seconds")
    finally:
        arriving.close()


class _Arriving(io.BytesIO):
    """What has come of a file: it takes no more than `most` bytes."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def write(self, piece: Any, /) -> int:
        if self.tell() + len(piece) > self.most:
            raise DataError("download", f"at most {self.most} bytes", "more")
        return super().write(piece)


def _get(url: str, target: IO[bytes]) -> None:
    """What is at an address, to a file, byte for byte as it is sent."""
    import pooch

    with ExitStack() as answers:

        def look(answer: Any, **_: Any) -> None:
            answers.callback(answer.close)  # pooch leaves an answer open if it fails
            # A server may say that its body is packed.  It would be unpacked before `target` can count it.
            answer.raw.headers.discard("Content-Encoding")
            if answer.is_redirect:
                answer.close()  # or its body would be read, all of it, before the next address is tried
            elif answer.ok and "Transfer-Encoding" in answer.headers:
                # urllib3 and http.client read a chunk as long as it says, and one of length -1 without any end.
                raise DataError("download", "a body in one piece", "one in chunks")

        load = pooch.HTTPDownloader(
            progressbar=sys.stderr is not None and sys.stderr.isatty(),
            timeout=PATIENCE,
            headers={"Accept-Encoding": "identity"},
            hooks={"response": look},
        )
        load(url, target, None)


def _in_one_line(error: Exception) -> str:
    """An error in one line of bounded length, since servers can write into it what they like."""
    text = str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"
    return textwrap.shorten(text, 300, placeholder=" ...")
