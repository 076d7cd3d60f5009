"""Run one attack in several threads: the results must have the same bits; prints the run times.

    python -m tests.stress.threads

The times are medians of several calls, in milliseconds for one attack.  Run nothing else meanwhile.
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
    """The return values of `work` in so many simultaneous threads."""
    results: list[np.ndarray] = []
    started = [threading.Thread(target=lambda: results.append(work())) for _ in range(count)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return results


def main() -> None:
    net, (_, test) = models.lenet(), load_digits()
    x, y = test.x[:64], test.y[:64]
    work = lambda: fgsm(net, x, y, epsilon=0.1).x_adv
    expected = work()
    calls: dict[str, tuple[Callable[[], list[np.ndarray]], int]] = {
        "main thread": (lambda: [work()], 1),
        "another thread": (lambda: in_threads(work, 1), 1),
        "asyncio.to_thread": (lambda: [asyncio.run(asyncio.to_thread(work))], 1),
        "2 threads at once": (lambda: in_threads(work, 2), 2),
        "8 threads at once": (lambda: in_threads(work, 8), 8),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(REPEATS):  # in turns, so that other processes slow down all alike
        for name, (call, count) in calls.items():
            start = time.perf_counter()
            results = call()
            times[name].append((time.perf_counter() - start) / count)
            assert all(np.array_equal(images, expected) for images in results), f"different bits: {name}"
    usual = np.median(times["main thread"])
    print(f"fgsm of LeNet on 64 digits, {backend.describe()}\n{'':<18}  {'ms each':>7}  {'of main':>7}  bits")
    for name, seconds in times.items():
        median = np.median(seconds)
        print(f"{name:<18}  {1000 * median:>7.1f}  {median / usual:>7.2f}  equal")


if __name__ == "__main__":
    main()
