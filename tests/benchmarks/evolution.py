"""Evolution: seconds of a whole run for either encoding, what of them the network takes, and memory by generations.

    python -m tests.benchmarks.evolution

The victim is LeNet, trained for two epochs on the bundled digits; 200 generations of 200 genomes.  Competitors run in
turns: the compiled kernels, the plain ones, and the network alone, which is asked about as many images.  Memory is the
peak of what a run allocates through NumPy, of runs of more and more generations.
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
from .timing import Others, in_turns

ENCODINGS: dict[str, Callable[..., FoolingResult]] = {"direct": fool_direct, "CPPN": fool_cppn}
TARGETS = {"direct": 5.0, "CPPN": 15.0}  # seconds, on two cores


def competitors(net: Any, population: int, generations: int) -> dict[str, Callable[[], Any]]:
    """Whole runs by name, and the network alone."""
    images = np.random.default_rng(0).random((population, *net.input_shape), dtype=np.float32)
    found: dict[str, Callable[[], Any]] = {}
    for name, fool in ENCODINGS.items():
        run = partial(fool, net, population=population, generations=generations)
        found[name] = run
        if backend.current().kernels is not reference:
            found[f"{name}, plain kernels"] = partial(_plainly, run)
    found["the network alone"] = lambda: [net(images) for _ in range(generations)]
    return found


def _plainly(run: Callable[[], Any]) -> Any:
    with backend.use("numpy"):
        return run()


def megabytes(net: Any, name: str, population: int, generations: int) -> float:
    """The peak of what a run allocates, of which 8 bytes a class and generation are its history."""
    tracemalloc.start()
    ENCODINGS[name](net, population=population, generations=generations)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def measure(arguments: argparse.Namespace) -> None:
    """Measure, print, write."""
    facts, others, out = report.provenance("tests.benchmarks.evolution", {}), Others(), arguments.out or RESULTS
    population, generations = (8, 3) if arguments.quick else (200, 200)
    train, _ = load_digits()
    net = work.trained_lenet(train.take(slice(0, 64 if arguments.quick else len(train))), 2)
    seconds, results = in_turns(competitors(net, population, generations), arguments.repeats or 3, 0.0)
    rows = [("run", "seconds", "at most", "ms per generation", "median confidence")]
    for name, rounds in seconds.items():
        found, result = statistics.median(rounds), results[name]
        confidence = f"{result.median[-1]:.6f}" if isinstance(result, FoolingResult) else ""
        target = f"{TARGETS[name]:.0f}" if name in TARGETS else ""
        rows.append((name, f"{found:.2f}", target, f"{1e3 * found / generations:.2f}", confidence))
    lengths = [generations // 4 + 1, generations, 4 * generations]
    peaks: list[tuple[str, ...]] = [("MB at most, by generations", *map(str, lengths))]
    for name in ENCODINGS:
        peaks.append((name, *(f"{megabytes(net, name, population, length):.2f}" for length in lengths)))
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
