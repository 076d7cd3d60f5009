"""Time competitors in turns, in one process, so that a machine that slows down slows all of them down."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Seconds of pause between two turns.  The thread pools of BLAS, OpenMP and others spin for up to some 100 ms
#: after their last work; without the pause, one competitor would lose a core to the threads of another.
PAUSE = 0.2


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class OtherProcesses:
    """Measures the processor time of other processes, which slows down peers with spinning threads most."""

    def __init__(self) -> None:
        self._start = self._processor_times()

    def share(self) -> float | None:
        """The fraction of all cores that they have used since; None on systems without /proc."""
        if self._start is None:
            return None
        this_process, busy, total = (
            now - then for now, then in zip(self._processor_times() or self._start, self._start)
        )
        return max(0.0, busy - this_process) / max(total, 1e-9)

    def fact(self) -> dict[str, str]:
        """The share as a text, for the head of a table."""
        share = self.share()
        return {} if share is None else {"meanwhile": f"other processes took {share:.0%} of all cores"}

    @staticmethod
    def _processor_times() -> tuple[float, float, float] | None:
        """Seconds of processor time: of this process and its children, of all processes, and busy and idle together."""
        try:
            fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
        except OSError:
            return None
        user, nice, system, idle, waiting, *interrupts_and_stolen = (int(t) / os.sysconf("SC_CLK_TCK") for t in fields)
        busy = user + nice + system + sum(interrupts_and_stolen)
        return sum(os.times()[:4]), busy, busy + idle + waiting


def in_turns(
    competitors: dict[str, Callable[[], Any]], rounds: int, turn: float = 0.1
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Seconds per call, one number for each round, and the return value of each competitor's first call: both by name.

    In every round each competitor has one turn: it is called repeatedly for about `turn` seconds, and the median counts.
    The first call of a turn starts threads and fills caches.  It does not count, unless it alone takes longer than a
    turn.  Before the first round each competitor is called twice, to compile and to warm up.
    """
    calls: dict[str, int] = {}
    results: dict[str, Any] = {}
    for name, call in competitors.items():
        results[name] = call()
        calls[name] = max(1, math.ceil(turn / _seconds(call)))
        time.sleep(PAUSE)
    seconds: dict[str, list[float]] = {name: [] for name in competitors}
    for _ in range(rounds):
        for name, call in competitors.items():
            if calls[name] > 1:
                call()
            seconds[name].append(statistics.median(_seconds(call) for _ in range(calls[name])))
            time.sleep(PAUSE)
    return seconds, results


def once_each(competitors: dict[str, Callable[[], Any]]) -> tuple[dict[str, float], dict[str, Any]]:
    """Seconds and return value of one call of each, for calls that take minutes.  The caller warms them up."""
    seconds: dict[str, float] = {}
    results: dict[str, Any] = {}
    for name, call in competitors.items():
        start = time.perf_counter()
        results[name] = call()
        seconds[name] = time.perf_counter() - start
        time.sleep(PAUSE)
    return seconds, results


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
