"""One attack in many threads: the same bits, and how long each takes.

    python -m tests.stress.threads

Medians of several calls, in milliseconds for one attack.  Run it while nothing else does.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import numpy as np

from attacks import fgsm
from minidl import backend, models
from minidl.data import load_digits

REPEATS = 15


def in_threads(work: Callable[[], np.ndarray], count: int) -> list[np.ndarray]:
    """What that many threads give, which are at work at once."""
    found: list[np.ndarray] = []
    several = [threading.Thread(target=lambda: found.append(work())) for _ in range(count)]
    for thread in several:
        thread.start()
    for thread in several:
        thread.join()
    return found


def main() -> None:
    net, (_, test) = models.lenet(), load_digits()
    x, y = test.x[:64], test.y[:64]
    work = lambda: fgsm(net, x, y, epsilon=0.1).x_adv
    expected = work()
    ways: dict[str, tuple[Callable[[], list[np.ndarray]], int]] = {
        "main thread": (lambda: [work()], 1),
        "another thread": (lambda: in_threads(work, 1), 1),
        "asyncio.to_thread": (lambda: [asyncio.run(asyncio.to_thread(work))], 1),
        "2 threads at once": (lambda: in_threads(work, 2), 2),
        "8 threads at once": (lambda: in_threads(work, 8), 8),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS):  # in turns, so that whatever else goes on is shared
        for name, (way, count) in ways.items():
            start = time.perf_counter()
            found = way()
            times[name].append((time.perf_counter() - start) / count)
            assert all(np.array_equal(images, expected) for images in found), f"other bits: {name}"
    usual = np.median(times["main thread"])
    print(f"fgsm of LeNet on 64 digits, {backend.describe()}\n{'':<18}  {'ms each':>7}  {'of main':>7}  bits")
    for name, seconds in times.items():
        middle = np.median(seconds)
        print(f"{name:<18}  {1000 * middle:>7.1f}  {middle / usual:>7.2f}  equal")


if __name__ == "__main__":
    main()
