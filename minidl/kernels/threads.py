"""Threads for the compiled kernels: `spread` lets several of them work through one range.

A compiled kernel takes a range of rows and leaves all others alone; it runs without Python's lock.  So plain
Python threads do, and nothing depends on how many there are, since every row has one owner.  Compared with
Numba's own threads these are slower to wake (some 30 µs), so small ranges are not shared; but they sleep when idle,
where Numba's spin and slow down the matrix products that run in between, and they survive a fork.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from ..errors import RangeError

_lock = Lock()
_pool: ThreadPoolExecutor | None = None


def count() -> int:
    """How many threads share a kernel: MINIDL_THREADS, or as many as this process may use cores."""
    wanted = os.environ.get("MINIDL_THREADS")
    if wanted is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not wanted.isdecimal() or int(wanted) < 1:
        raise RangeError("MINIDL_THREADS", "a number of threads, at least 1", repr(wanted))
    return int(wanted)


def spread(kernel: Callable[..., None], rows: int, work: float, *arguments: Any) -> None:
    """Call ``kernel(first, last, *arguments)`` over 0 … rows, in as many parts as there are threads and work for.

    work: roughly how many simple operations it is.  A part is worth a thread from about 200,000.
    """
    parts = max(1, min(count(), rows, int(work / 200_000)))
    bounds = [rows * i // parts for i in range(parts + 1)]
    others = [_workers().submit(kernel, bounds[i], bounds[i + 1], *arguments) for i in range(1, parts)]
    kernel(0, bounds[1], *arguments)
    for other in others:
        other.result()


def _workers() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(1, count() - 1), thread_name_prefix="minidl")
        return _pool


def _forget() -> None:
    """A forked child has none of its parent's threads."""
    global _pool, _lock
    _pool, _lock = None, Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
