"""Workers: each has a copy of the tree, where cosmic-ray makes one mutant after the other and runs its tests."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from queue import Queue

from attrs import evolve
from cosmic_ray.config import ConfigDict
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_item import TestOutcome, WorkItem, WorkResult

from .noticing import NOTICED, RUNNING, STUCK
from .trees import KERNELS, Tree, compiled_from


@dataclass(frozen=True)
class Task:
    """A mutant and its tests.

    limits: the seconds that each test may take, in the order in which they run.
    direct: how many of the tests run the mutated lines.
    """

    item: WorkItem
    limits: dict[str, float]
    direct: int


@dataclass(frozen=True)
class Verdict:
    """The outcome of a mutant.

    outcome: "killed", "timed out", "survived", or "error" if the harness failed.
    test: the test that detected the mutant.
    seconds: the run time.
    tests, direct: how many tests were chosen, and how many of them run the mutated lines.
    """

    outcome: str
    test: str
    seconds: float
    tests: int
    direct: int


def limit(seconds: float) -> float:
    """The time limit of a test, from its run time without a mutant; Numba may have to compile everything again."""
    return 40 + 6 * seconds


def run(tasks: list[Task], trees: list[Tree], config: ConfigDict) -> Iterator[tuple[WorkItem, WorkResult]]:
    """Run all tasks; yields each result when it is done."""
    spawning = get_context(
        "spawn"
    )  # a worker changes its folder and environment, and must not change those of this process
    free: Queue[Tree] = spawning.Queue()
    for tree in trees:
        free.put(tree)
    with ProcessPoolExecutor(len(trees), mp_context=spawning, initializer=_enter, initargs=(free,)) as pool:
        waiting = [pool.submit(_work, task, config["test-command"], config.timeout) for task in tasks]
        try:
            for done in as_completed(waiting):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)


_here: Tree
_sources: dict[str, set[str]]


def _enter(free: Queue[Tree]) -> None:
    global _here, _sources
    _here = free.get()
    _sources = compiled_from(_here.root)
    os.chdir(_here.root)
    environment = _here.environment()
    os.environ.clear()
    os.environ.update(environment)


def _work(task: Task, command: str, timeout: float) -> tuple[WorkItem, WorkResult]:
    """Run one task in a worker.

    Cosmic-ray changes the file, runs the test command, and restores the file.  Its date is restored here, because Numba
    would compile the file again otherwise.
    """
    path = task.item.mutations[0].module_path
    chosen, process = _here.folder / "chosen.json", _here.folder / "process"
    content = {"limits": task.limits, "process": str(process), "temporary": str(_here.folder / "pytest")}
    chosen.write_text(json.dumps(content), encoding="utf-8")
    process.unlink(missing_ok=True)
    stale = {name for name, sources in _sources.items() if path.parent == KERNELS and path.stem in sources}
    compiled = _here.compiled_without(stale) if stale else _here.compiled
    os.environ["NUMBA_CACHE_DIR"] = str(compiled)
    words = shlex.split(command)
    words[0] = sys.executable if words[0] == "python" else words[0]
    state, began = path.stat(), time.perf_counter()
    try:
        result = mutate_and_test(task.item.mutations, shlex.join([*words, str(chosen)]), timeout)
    finally:
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        with contextlib.suppress(
            FileNotFoundError, ProcessLookupError, ValueError
        ):  # processes that the tests left running
            os.killpg(int(process.read_text(encoding="utf-8")), signal.SIGKILL)
    seconds = time.perf_counter() - began
    for name in ("temporary", "pytest"):
        shutil.rmtree(_here.folder / name, ignore_errors=True)
    (_here.folder / "temporary").mkdir(exist_ok=True)
    head = json.dumps({"seconds": round(seconds, 1), "tests": len(task.limits), "direct": task.direct})
    return task.item, evolve(result, output=f"{head}\n{result.output}")


def verdict(result: WorkResult) -> Verdict:
    """The verdict of a result."""
    head, _, output = (result.output or "{}").partition("\n")
    counts = json.loads(head)
    numbers = counts.get("seconds", 0.0), counts.get("tests", 0), counts.get("direct", 0)
    lines = output.splitlines()
    noticed = [line.removeprefix(NOTICED) for line in lines if line.startswith(NOTICED)]
    running = [line.removeprefix(RUNNING) for line in lines if line.startswith(RUNNING)]
    if result.test_outcome == TestOutcome.SURVIVED:
        return Verdict("survived", "", *numbers)
    if result.test_outcome != TestOutcome.KILLED:
        return Verdict("error", "", *numbers)
    if noticed:
        return Verdict("killed", noticed[0], *numbers)
    if output.strip() == "timeout" or any(line.startswith(STUCK) for line in lines):
        return Verdict("timed out", running[-1] if running else "", *numbers)
    if running:  # the process ended during a test
        return Verdict("killed", f"{running[-1]}, crashed", *numbers)
    return Verdict("error", "", *numbers)
