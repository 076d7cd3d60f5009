"""Evolution: run time and memory for both encodings, and how much of the time the network takes.

    python -m tests.benchmarks.evolution

The victim is LeNet, trained for two epochs on the bundled digits.  A run has 200 generations of 200 genomes.  The
competitors run in turns: the compiled kernels, the plain kernels, and the network alone on as many images.  Memory is
the peak that a run allocates through NumPy, for several numbers of generations.
"""

from __future__ import annotations

import argparse
import statistics
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from attacks import fool_cppn, fool_direct
from attacks.evolution import FoolingResult
from minidl import backend
from minidl.data import load_digits
from minidl.kernels import reference

from . import report, work
from .options import RESULTS, command_line, use_backend
from .timing import OtherProcesses, in_turns

ENCODINGS: dict[str, Callable[..., FoolingResult]] = {"direct": fool_direct, "CPPN": fool_cppn}
TARGETS = {"direct": 5.0, "CPPN": 15.0}  # seconds, on two cores


def competitors(net: Any, population: int, generations: int) -> dict[str, Callable[[], Any]]:
    """The calls to time, by name: whole runs, and the network alone."""
    images = np.random.default_rng(0).random((population, *net.input_shape), dtype=np.float32)
    calls: dict[str, Callable[[], Any]] = {}
    for name, fool in ENCODINGS.items():
        run = partial(fool, net, population=population, generations=generations)
        calls[name] = run
        if backend.current().kernels is not reference:
            calls[f"{name}, plain kernels"] = partial(_with_plain_kernels, run)
    calls["the network alone"] = lambda: [net(images) for _ in range(generations)]
    return calls


def _with_plain_kernels(run: Callable[[], Any]) -> Any:
    with backend.use("numpy"):
        return run()


def megabytes(net: Any, name: str, population: int, generations: int) -> float:
    """The peak that a run allocates, including 8 bytes of history for each class and generation."""
    tracemalloc.start()
    ENCODINGS[name](net, population=population, generations=generations)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def measure(arguments: argparse.Namespace) -> None:
    """Measure, print, write."""
    facts, others, out = report.provenance("tests.benchmarks.evolution", {}), OtherProcesses(), arguments.out or RESULTS
    population, generations = (8, 3) if arguments.quick else (200, 200)
    train, _ = load_digits()
    net = work.trained_lenet(train.take(slice(0, 64 if arguments.quick else len(train))), 2)
    seconds, results = in_turns(competitors(net, population, generations), arguments.repeats or 3, 0.0)
    rows = [("run", "seconds", "at most", "ms per generation", "median confidence")]
    for name, rounds in seconds.items():
        median, result = statistics.median(rounds), results[name]
        confidence = f"{result.median[-1]:.6f}" if isinstance(result, FoolingResult) else ""
        target = f"{TARGETS[name]:.0f}" if name in TARGETS else ""
        rows.append((name, f"{median:.2f}", target, f"{1e3 * median / generations:.2f}", confidence))
    counts = [generations // 4 + 1, generations, 4 * generations]
    peaks: list[tuple[str, ...]] = [("MB at most, by generations", *map(str, counts))]
    for name in ENCODINGS:
        peaks.append((name, *(f"{megabytes(net, name, population, count):.2f}" for count in counts)))
    title = f"LeNet, {generations} generations of {population} genomes"
    tables = [title, *report.columns(rows, left=("run",)), "", *report.columns(peaks, left=(peaks[0][0],))]
    text = "\n".join([report.head(facts | others.fact()), "", *tables, ""])
    print(text)
    report.write_text(out / "evolution.txt", text)


def main() -> None:
    """The command line."""
    arguments = command_line("tests.benchmarks.evolution", __doc__).parse_args()
    with use_backend(arguments.backend):
        measure(arguments)


if __name__ == "__main__":
    main()
