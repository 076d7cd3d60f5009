"""Threads for the compiled kernels: `share` lets several of them work through one range.

A compiled kernel takes a range of rows and leaves all others alone; it runs without Python's lock, and so do NumPy's
matrix products.  So plain Python threads do, and nothing depends on how many there are: every row has one owner.
They take some 30 µs to wake, so small ranges are not shared.  But they sleep when idle, which neither Numba's nor
BLAS's own threads do: those wait for more work by spinning, and take turns in stealing each other's processor.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from typing import Any, TypeVar

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


WORTH_A_THREAD = 1_000_000  # simple operations: to wake one takes as long as some tens of thousands


def share(kernel: Callable[..., None], rows: int, work: float, *arguments: Any) -> None:
    """Call ``kernel(first, last, *arguments)`` over 0 … rows, in as many parts as there are threads and work for.

    work: roughly how many simple operations it is, of which `WORTH_A_THREAD` are worth one.
    Whatever happens, Ctrl-C at any line included, no part is being worked on once this returns: its arrays are the
    caller's again.
    """
    parts = max(1, min(count(), rows, int(work / WORTH_A_THREAD)))
    bounds = [rows * i // parts for i in range(parts + 1)]
    tasks = [_Task(kernel, (bounds[i], bounds[i + 1], *arguments)) for i in range(1, parts)]
    try:
        try:
            for number, task in enumerate(tasks, start=1):
                _worker(number).tasks.put(task)
            kernel(0, bounds[1], *arguments)
            for task in tasks:
                task.run(_CALLER)  # what no worker has begun yet, since all are at work for others
        finally:
            _settle(tasks)
    finally:
        _settle(tasks)  # once more, for a Ctrl-C that came at its first line
    for task in tasks:
        if task.failure is not None:
            raise task.failure


_CALLER, _WORKER = "its caller", "a worker"


class _Task:
    """A part of a range.  The first thread that claims it does it.  It is done once, or never if its caller fails."""

    __slots__ = ("arguments", "bell", "claims", "failure", "function", "over")

    def __init__(self, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments
        self.claims: list[str] = []  # to append is one step, which nothing can come into the midst of
        self.failure: BaseException | None = None
        self.over, self.bell = False, threading.Lock()
        self.bell.acquire()

    def run(self, who: str) -> None:
        """Do it, unless another thread has claimed it."""
        if not self.is_claimed_by(who):
            return
        try:
            self.function(*self.arguments)
        except BaseException as failure:
            self.failure = failure
        finally:
            self.over = True
            self.bell.release()

    def is_claimed_by(self, who: str) -> bool:
        """Claim it; whether the claim succeeded."""
        self.claims.append(who)
        return self.claims[0] is who

    def settle(self) -> None:
        """Wait until no worker does it or can still claim it."""
        while not self.is_claimed_by(_CALLER) and not self.over:
            self.bell.acquire()  # which can be interrupted, before or after: `over` tells how it is


def _settle(tasks: list[_Task]) -> None:
    """Wait for all tasks, however often Ctrl-C comes in between; it is raised when they are over."""
    pressed: list[KeyboardInterrupt] = []
    settled = False
    while not settled:
        try:
            for task in tasks:
                task.settle()
            settled = True
        except KeyboardInterrupt as error:
            pressed.append(error)
    if pressed:
        raise pressed[0]


class _Worker(threading.Thread):
    """A thread that does one task after the other."""

    def __init__(self, number: int, libraries: list[Any]) -> None:
        super().__init__(name=f"minidl {number}", daemon=True)
        self.tasks: SimpleQueue[_Task] = SimpleQueue()
        self.libraries = libraries  # that are to be told in this thread that its products are made on one
        self.start()

    def run(self) -> None:
        _limit(self.libraries, 1)
        while True:
            task = self.tasks.get()
            task.run(_WORKER)
            del task  # while it waits, it keeps no array alive


_workers: dict[int, _Worker] = {}
_lock = threading.Lock()


def _worker(number: int) -> _Worker:
    with _lock:
        if number not in _workers:
            _workers[number] = _Worker(number, _of_each_thread())
        return _workers[number]


# --- BLAS ------------------------------------------------------------------------------------------------

T = TypeVar("T")


def on_one_blas_thread(products: Callable[[], T]) -> T:
    """Call a function with one thread of BLAS for each matrix product, and return its result.

    Of several threads within, the first sets the number of BLAS's threads, and the last sets it back, also after
    Ctrl-C, at whichever line.  It does not nest.
    """
    try:
        try:
            _hold()
            return products()
        finally:
            _release()
    finally:
        _release()  # once more, for a Ctrl-C that came at its first line


_holders: set[int] = set()  # the threads that are within
_before: list[int] = []  # how many threads each library had when the first came
_blas_lock = threading.Lock()
_per_thread = threading.local()  # the same, of libraries that keep a number for each thread


def _hold() -> None:
    with _blas_lock:
        if not _holders:
            _before[:] = _numbers(_of_the_process())
        if _of_each_thread() and threading.get_ident() not in _holders:
            _per_thread.before = _numbers(_of_each_thread())
        _holders.add(threading.get_ident())
        _limit(_of_the_process(), 1)
    _limit(_of_each_thread(), 1)


def _release() -> None:
    """Restore the number of threads if no other thread is within.  A second call does nothing."""
    me = threading.get_ident()
    if me not in _holders:
        return
    if _of_each_thread():
        _limit(_of_each_thread(), *_per_thread.before)
    with _blas_lock:
        if _holders == {me}:
            _limit(_of_the_process(), *_before)
        _holders.discard(me)  # last: who is interrupted before is still within, and can come again


@cache
def _blas() -> list[Any]:
    """What threadpoolctl finds of libraries whose threads can be told how many they should be."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


@cache
def _of_each_thread() -> list[Any]:
    """Libraries with a number of threads for each thread that calls them: OpenBLAS on OpenMP, as conda builds it."""
    return [library for library in _blas() if getattr(library, "threading_layer", "") == "openmp"]


@cache
def _of_the_process() -> list[Any]:
    """Libraries with one number of threads for the whole process: OpenBLAS in NumPy's wheels."""
    return [library for library in _blas() if getattr(library, "threading_layer", "") != "openmp"]


def _numbers(libraries: list[Any]) -> list[int]:
    """How many threads each has now."""
    return [library.get_num_threads() for library in libraries]


def _limit(libraries: list[Any], *numbers: int) -> None:
    """Give each of the libraries a number of threads; one for all if there is one alone."""
    for library, number in zip(libraries, numbers if len(numbers) > 1 else numbers * len(libraries)):
        # threadpoolctl obeys one thread, the first that has ever asked, until that one gives way to others.
        give_way = getattr(library, "clear_controlling_thread", lambda force=False: None)
        give_way(force=True)
        library.set_num_threads(number)
        give_way()


def _forget() -> None:
    """A forked child has none of its parent's threads."""
    global _lock, _blas_lock
    _lock, _blas_lock = threading.Lock(), threading.Lock()
    _workers.clear()
    if _holders:
        _holders.clear()
        _limit(_of_the_process(), *_before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
