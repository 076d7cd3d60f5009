"""Threads: none waits for ever, none writes to an array after its call has returned, and bits are the same anywhere."""

from __future__ import annotations

import asyncio
import linecache
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from attacks import fgsm
from minidl import models
from minidl.kernels import threads
from minidl.testing import Mutant, line
from tests.unit.test_numba import assert_same_bits, convolved, kernels_at_work


def blas_threads() -> list[int]:
    return [library.get_num_threads() for library in threads._blas()]


@contextmanager
def two_blas_threads() -> Iterator[None]:
    """Two of each library's threads, whatever OPENBLAS_NUM_THREADS says and an earlier test has left."""
    threads.on_one_blas_thread(lambda: None)
    before = blas_threads()
    threads._limit(threads._blas(), 2)
    try:
        yield
    finally:
        threads._limit(threads._blas(), *before)


def pressing(functions: Iterable[Callable], lines: Iterable[int], call: Callable[[], Any]) -> tuple[Any, bool]:
    """What a call gives in which Ctrl-C comes at these lines, counted as they run, of some functions.

    Returns that (None if it is the interruption), and whether there were so many lines.  The line of a ``with`` is left
    out: it comes once more at the end of its block, where signals do not: a lock is let go of in one step.
    """
    before, left, codes = sys.gettrace(), sorted(lines, reverse=True), [function.__code__ for function in functions]
    count = [0]

    def each_line(frame, event, argument):
        text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        if event != "line" or text.startswith("with "):
            return each_line
        count[0] += 1
        if left and count[0] == left[-1]:
            left.pop()
            raise KeyboardInterrupt
        return each_line

    sys.settrace(lambda frame, event, argument: each_line if frame.f_code in codes else None)
    try:
        return call(), not left
    except KeyboardInterrupt:
        return None, not left
    finally:
        sys.settrace(before)


SHARING = (
    threads.share,
    threads._settle,
    threads._Task.run,
    threads._Task.settle,
    threads._Task.is_claimed_by,
    threads._worker,
)
LIMITING = (threads.on_one_blas_thread, threads._hold, threads._release, threads._limit)


class Rows:
    """Rows that a kernel works on, for a moment each; it knows who is at work."""

    def __init__(self) -> None:
        self.done, self.busy, self.lock = np.zeros(40, int), 0, threading.Lock()

    def kernel(self, first: int, last: int) -> None:
        with self.lock:
            self.busy += 1
        time.sleep(0.001 if threading.current_thread() is threading.main_thread() else 0.004)
        self.done[first:last] += 1
        with self.lock:
            self.busy -= 1


@pytest.mark.parametrize("count", ["2", "5"])
def test_ctrl_c_at_any_line_of_sharing(count, monkeypatch) -> None:
    """It is raised, no thread is at work then, and none waits for ever.  Without it, every row is done once."""
    monkeypatch.setenv("MINIDL_THREADS", count)
    threads.share(Rows().kernel, 40, 1e9)  # the workers are there
    number, there, seen = 0, True, 0
    while there:
        number, rows = number + 1, Rows()
        _, there = pressing(SHARING, [number], lambda rows=rows: threads.share(rows.kernel, 40, 1e9))
        assert rows.busy == 0, number
        seen += there
        after = rows.done.copy()
        if not there:
            np.testing.assert_array_equal(after, 1)
        assert (after <= 1).all()
        time.sleep(0.002)
        np.testing.assert_array_equal(rows.done, after)  # nor does anybody begin afterwards
    assert seen > 30


def test_ctrl_c_twice(monkeypatch) -> None:
    """The second may come while the first is being dealt with."""
    monkeypatch.setenv("MINIDL_THREADS", "3")
    for first in range(1, 60, 3):
        for later in (1, 2, 5, 9):
            rows = Rows()
            pressing(SHARING, [first, first + later], lambda rows=rows: threads.share(rows.kernel, 40, 1e9))
            rows = Rows()
            threads.share(rows.kernel, 40, 1e9)  # as if nothing had been
            np.testing.assert_array_equal(rows.done, 1)


@two_blas_threads()
def test_ctrl_c_at_any_line_leaves_blas_as_it_was() -> None:
    before, number, there = blas_threads(), 0, True
    while there:
        number += 1
        blas, there = pressing(LIMITING, [number], lambda: threads.on_one_blas_thread(lambda: blas_threads()))
        assert blas_threads() == before, number
        assert not threads._holders
        if not there:
            assert blas == [1] * len(before)
    assert number > 20


@two_blas_threads()
def test_ctrl_c_twice_is_made_good_by_the_next_product() -> None:
    before = blas_threads()
    for first in range(1, 40):
        pressing(LIMITING, [first, first + 3], lambda: threads.on_one_blas_thread(lambda: None))
        threads.on_one_blas_thread(lambda: None)
        assert blas_threads() == before, first


@two_blas_threads()
def test_errors_leave_blas_as_it_was() -> None:
    def failing() -> None:
        raise RuntimeError("inside")

    before = blas_threads()
    with pytest.raises(RuntimeError, match="inside"):
        threads.on_one_blas_thread(failing)
    convolved(60)
    assert blas_threads() == before


@two_blas_threads()
def test_blas_is_set_back_by_the_last_of_several_threads() -> None:
    before, seen = blas_threads(), []
    inside, leave = threading.Event(), threading.Event()

    def linger() -> None:
        inside.set()
        leave.wait(5)
        seen.append(blas_threads())

    other = threading.Thread(target=threads.on_one_blas_thread, args=(linger,))
    other.start()
    inside.wait(5)
    threads.on_one_blas_thread(lambda: seen.append(blas_threads()))
    seen.append(blas_threads())
    leave.set()
    other.join()
    assert seen == [[1] * len(before)] * 3
    assert blas_threads() == before


def test_libraries_are_distinguished_by_their_threads(monkeypatch) -> None:
    """OpenBLAS on OpenMP keeps a number for each thread; on pthreads, as other libraries, one for the process."""
    openmp, pthreads, other = (type(name, (), {"threading_layer": name})() for name in ("openmp", "pthreads", "?"))
    del type(other).threading_layer
    monkeypatch.setattr(threads, "_blas", lambda: [openmp, pthreads, other])
    assert threads._of_each_thread.__wrapped__() == [openmp]
    assert threads._of_the_process.__wrapped__() == [pthreads, other]


class Counted:
    """A library that keeps a number of threads for each thread that calls it."""

    threading_layer = "openmp"

    def __init__(self) -> None:
        self.memory = threading.local()

    def get_num_threads(self) -> int:
        return getattr(self.memory, "number", 4)

    def set_num_threads(self, number: int) -> None:
        self.memory.number = number


def test_libraries_with_a_number_for_each_thread(monkeypatch) -> None:
    """As conda builds OpenBLAS: every thread, our workers too, is told for itself."""
    library, seen = Counted(), {}
    monkeypatch.setattr(threads, "_of_each_thread", lambda: [library])
    monkeypatch.setattr(threads, "_workers", {})
    monkeypatch.setenv("MINIDL_THREADS", "3")
    barrier = threading.Barrier(3)

    def kernel(first: int, last: int) -> None:
        barrier.wait(5)
        seen[first] = library.get_num_threads()

    threads.on_one_blas_thread(lambda: threads.share(kernel, 30, 1e9))
    assert seen == {0: 1, 10: 1, 20: 1}
    assert library.get_num_threads() == 4


@two_blas_threads()
def test_threadpoolctl_limits_every_thread() -> None:
    """It obeys the first thread that asks, until that one gives way; somebody else's may have been the first."""
    before = blas_threads()
    with ThreadPoolExecutor(1) as pool:
        for library, number in zip(threads._blas(), before):
            library.set_num_threads(number)
        assert pool.submit(threads.on_one_blas_thread, blas_threads).result() == [1] * len(before)
        assert threads.on_one_blas_thread(blas_threads) == [1] * len(before)
        assert pool.submit(threads.on_one_blas_thread, blas_threads).result() == [1] * len(before)
    assert blas_threads() == before


# --- parts -----------------------------------------------------------------------------------------------


def test_what_no_worker_has_begun_its_caller_does(monkeypatch) -> None:
    """A worker that is busy for another call delays no caller; sharing within a shared part is no deadlock."""
    monkeypatch.setenv("MINIDL_THREADS", "3")
    release, rows, within = threading.Event(), Rows(), np.zeros(9, int)
    for number in (1, 2):
        threads._worker(number).tasks.put(threads._Task(lambda: release.wait(5), ()))
    start = time.perf_counter()
    threads.share(rows.kernel, 40, 1e9)
    assert time.perf_counter() - start < 2
    release.set()
    np.testing.assert_array_equal(rows.done, 1)

    def nested(first: int, last: int) -> None:
        for i in range(first, last):
            threads.share(lambda a, b, i=i: within.__setitem__(i, within[i] + (b - a)), 6, 1e9)

    threads.share(nested, 9, 1e9)
    np.testing.assert_array_equal(within, 6)


def test_what_is_taken_back_is_never_begun(monkeypatch) -> None:
    """The caller fails before a worker has reached its part, which is then not done."""
    monkeypatch.setenv("MINIDL_THREADS", "2")
    release, began = threading.Event(), []
    threads._worker(1).tasks.put(threads._Task(lambda: release.wait(5), ()))

    def kernel(first: int, last: int) -> None:
        began.append(first)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        threads.share(kernel, 40, 1e9)
    release.set()
    done = threading.Event()
    threads._worker(1).tasks.put(threads._Task(done.set, ()))
    assert done.wait(5)  # it has gone through its queue
    assert began == [0]


def test_an_error_in_any_part_is_raised_when_all_are_over(monkeypatch) -> None:
    monkeypatch.setenv("MINIDL_THREADS", "4")
    for wrong in (0, 10, 20, 30):
        rows = Rows()

        def kernel(first: int, last: int, rows=rows, wrong=wrong) -> None:
            rows.kernel(first, last)
            if first == wrong:
                raise ZeroDivisionError(f"at {first}")

        with pytest.raises(ZeroDivisionError, match=f"at {wrong}"):
            threads.share(kernel, 40, 1e9)
        assert rows.busy == 0


def test_arrays_are_let_go_of() -> None:
    """A worker that waits for its next task keeps nothing of the last one."""

    class Held:
        pass

    held = Held()
    watched = weakref.ref(held)
    threads.share(lambda first, last, held: time.sleep(0.01), 40, 1e9, held)
    del held
    for _ in range(100):
        if watched() is None:
            break
        time.sleep(0.01)
    assert watched() is None


# --- other threads ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def attack() -> Callable[[], np.ndarray]:
    net, rng = models.lenet(), np.random.default_rng(0)
    x, y = rng.random((64, 1, 28, 28), dtype=np.float32), rng.integers(0, 10, 64)
    return lambda: fgsm(net, x, y, epsilon=0.1).x_adv


def test_other_threads_compute_the_same_bits(attack) -> None:
    """By a thread, a pool, asyncio, and several at once; products among them."""
    expected, products = attack(), convolved(60)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: attack(), range(8)):
            np.testing.assert_array_equal(result, expected)
        for result in pool.map(lambda _: convolved(60), range(20)):
            assert_same_bits(products, result)
        for result in pool.map(lambda _: kernels_at_work(20), range(8)):
            assert_same_bits(kernels_at_work(20), result)
    np.testing.assert_array_equal(asyncio.run(asyncio.to_thread(attack)), expected)


def at_any_line(monkeypatch: object) -> None:
    test_ctrl_c_at_any_line_of_sharing("3", monkeypatch)


def fresh(plant: Callable[[Any], None]) -> Callable[[Any], None]:
    """The mutant, with workers that begin under it: those that are there go on as they have begun."""
    return lambda patch: (plant(patch), patch.setattr(threads, "_workers", {}))


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("threads: a Ctrl-C at the wrong line leaves workers at work", line(threads, "share", "_settle(tasks)  # once more, for a Ctrl-C that came at its first line", "pass"), at_any_line),
    Mutant("threads: no wait for the workers", line(threads._Task, "settle", "not self.over", "False"), at_any_line),
    Mutant("threads: parts are begun after all is over", line(threads._Task, "settle", "while not self.is_claimed_by(_CALLER) and not self.over:", "while self.claims and self.claims[0] is _WORKER and not self.over:"), test_what_is_taken_back_is_never_begun),
    Mutant("threads: a part is done by every worker", line(threads._Task, "run", "if not self.is_claimed_by(who):", "if False:"), test_what_is_taken_back_is_never_begun),
    Mutant("threads: a busy worker delays its caller", line(threads, "share", "task.run(_CALLER)", "pass"), test_what_no_worker_has_begun_its_caller_does),
    Mutant("threads: errors of workers are lost", line(threads, "share", "raise task.failure", "pass"), test_an_error_in_any_part_is_raised_when_all_are_over),
    Mutant("threads: workers keep what they have done", fresh(line(threads._Worker, "run", "del task", "pass")), test_arrays_are_let_go_of),
    Mutant("BLAS: a Ctrl-C at the wrong line leaves it on one thread", line(threads, "on_one_blas_thread", "_release()  # once more, for a Ctrl-C that came at its first line", "pass"), test_ctrl_c_at_any_line_leaves_blas_as_it_was),
    Mutant("BLAS: the limit does not reach every thread", line(threads, "_limit", "give_way(force=True)", "pass"), test_threadpoolctl_limits_every_thread),
    Mutant("BLAS: set back by the first of several", line(threads, "_release", "if _holders == {me}:", "if True:"), test_blas_is_set_back_by_the_last_of_several_threads),
    Mutant("BLAS: set back to what a holder had left", line(threads, "_hold", "if not _holders:", "if True:"), test_blas_is_set_back_by_the_last_of_several_threads),
    Mutant("BLAS: the workers' own numbers", line(threads._Worker, "run", "_limit(self.libraries, 1)", "pass"), test_libraries_with_a_number_for_each_thread),
]
# fmt: on
