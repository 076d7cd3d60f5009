"""Threads for the compiled kernels: `share` lets several of them work through one range.

A compiled kernel takes a range of rows and leaves all others alone; it runs without Python's lock, and so do NumPy's
matrix products.  So plain Python threads do, and nothing depends on how many there are: every row has one owner.
They take some 30 µs to wake, so small ranges are not shared.  But they sleep when idle, which neither Numba's nor
BLAS's own threads do: those wait for more work by spinning, and take turns in stealing each other's processor.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from functools import cache
from queue import SimpleQueue
from typing import Any

from ..errors import RangeError


def count() -> int:
    """How many threads share a kernel: MINIDL_THREADS, or as many as this process may use cores."""
    wanted = os.environ.get("MINIDL_THREADS")
    if not wanted:
        return _cores()
    if not wanted.isdecimal() or int(wanted) < 1:
        raise RangeError("MINIDL_THREADS", "a number of threads, at least 1", repr(wanted))
    return int(wanted)


@cache
def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share(kernel: Callable[..., None], rows: int, work: float, *arguments: Any) -> None:
    """Call ``kernel(first, last, *arguments)`` over 0 … rows, in as many parts as there are threads and work for.

    work: roughly how many simple operations it is.  A part is worth a thread from about a million.
    """
    parts = max(1, min(count(), rows, int(work / 1_000_000)))
    bounds = [rows * i // parts for i in range(parts + 1)]
    done: SimpleQueue[BaseException | None] = SimpleQueue()
    handed_out, failure = 0, None
    try:
        for i in range(1, parts):
            _worker(i).tasks.put((kernel, (bounds[i], bounds[i + 1], *arguments), done))
            handed_out += 1
        kernel(0, bounds[1], *arguments)
    except BaseException as error:  # Ctrl-C among them
        failure = error
    while handed_out:  # whatever happens, nobody goes on to write to these arrays once this returns
        try:
            found = done.get()
            handed_out -= 1
            failure = failure or found
        except KeyboardInterrupt as error:
            failure = error
    if failure is not None:
        raise failure


class _Worker(threading.Thread):
    """A thread that does one task after the other, and tells each caller when his is done."""

    def __init__(self, number: int) -> None:
        super().__init__(name=f"minidl {number}", daemon=True)
        self.tasks: SimpleQueue[tuple[Callable[..., None], tuple[Any, ...], SimpleQueue[Any]]] = SimpleQueue()
        self.start()

    def run(self) -> None:
        while True:
            function, arguments, done = self.tasks.get()
            try:
                function(*arguments)
                done.put(None)
            except BaseException as failure:
                done.put(failure)
            del function, arguments, done  # while it waits, it keeps nobody's arrays alive


_workers: dict[int, _Worker] = {}
_lock = threading.Lock()


def _worker(number: int) -> _Worker:
    with _lock:
        if number not in _workers:
            _workers[number] = _Worker(number)
        return _workers[number]


# --- BLAS ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def single_blas() -> Iterator[None]:
    """NumPy's matrix products on one thread each, for those who share them out by `share`; then as before.

    OpenBLAS takes such orders from the main thread only.  In others products are right, but may be slower.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [library.get_num_threads() for library in _blas()]
    try:
        _limit([1] * len(before))
        yield
    finally:
        _limit(before)


@cache
def _blas() -> list[Any]:
    """What threadpoolctl finds of libraries whose threads can be told how many they should be."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


def _limit(numbers: list[int]) -> None:
    for library, number in zip(_blas(), numbers):
        library.set_num_threads(number)


def _forget() -> None:
    """A forked child has none of its parent's threads."""
    global _lock
    _lock = threading.Lock()
    _workers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
