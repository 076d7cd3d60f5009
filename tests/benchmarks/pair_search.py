"""Run time and memory of JSMA's pair search against the number of features M.

    python -m tests.benchmarks.pair_search

The competitors are the kernels in use, the plain kernels, and a search through all M² pairs.  The gradients are random,
and, for the worst case, opposed, so that every feature is a candidate.  Times are medians per image, of runs in turns.
Memory is the peak that the search allocates through NumPy.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tracemalloc
from collections.abc import Callable

import numpy as np

from attacks import plots
from minidl import backend
from minidl.kernels import reference

from . import report, work
from .options import RESULTS, command_line, use_backend
from .timing import OtherProcesses, in_turns

SIZES = [196, 784, 3_072, 12_288]
BRUTE_FORCE_UP_TO = 3_072  # beyond, M² pairs of one image take gigabytes
IMAGES = 16


def searches(features: int) -> dict[str, tuple[Callable[[], object], int]]:
    """The competitors by name, each with the number of images of one call."""
    calls: dict[str, tuple[Callable[[], object], int]] = {}
    random, opposed = work.random_gradients(IMAGES, features), opposed_gradients(features)
    for kind, gradients in (("", random), (", all candidates", opposed)):
        calls[f"plain kernels{kind}"] = work.pair_search(gradients, plain=True), len(gradients[0])
        if backend.current().kernels is not reference:
            calls[f"{backend.current().name} kernels{kind}"] = work.pair_search(gradients), len(gradients[0])
    if features <= BRUTE_FORCE_UP_TO:
        single = work.random_gradients(1, features)
        calls["all pairs"] = lambda: reference.best_pairs_by_definition(*single), 1
    return calls


def opposed_gradients(features: int) -> tuple[np.ndarray, ...]:
    """Gradients of one image such that no feature dominates another: b is a decreasing concave function of a."""
    a, _, domain = work.random_gradients(1, features)
    a = np.sort(np.abs(a), axis=1) / 4
    return a, np.float32(10) - a * a, domain


def megabytes(call: Callable[[], object]) -> float:
    """The peak that a call allocates."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def measure(arguments: argparse.Namespace) -> None:
    """Measure, print, write, draw."""
    facts, others, out = (
        report.provenance("tests.benchmarks.pair_search", {}),
        OtherProcesses(),
        arguments.out or RESULTS,
    )
    sizes, turn = (SIZES[:2], 0.0) if arguments.quick else (SIZES, 0.1)
    lines: dict[str, list[float]] = {name: [] for name in searches(sizes[0])}
    rows = [("M", "search", "ms per image", "MB per image", "µs / (M log₂ M)")]
    for features in sizes:
        calls = searches(features)
        seconds, _ = in_turns({name: call for name, (call, _) in calls.items()}, arguments.repeats or 5, turn)
        for name in lines:
            if name not in calls:
                lines[name].append(math.nan)
                continue
            call, images = calls[name]
            ms = 1e3 * statistics.median(seconds[name]) / images
            lines[name].append(ms)
            rate = report.number(1e3 * ms / (features * math.log2(features)))
            rows.append((str(features), name, f"{ms:.3f}", f"{megabytes(call) / images:.3f}", rate))
    text = "\n".join([report.head(facts | others.fact()), "", *report.columns(rows, left=("search",)), ""])
    print(text)
    report.write_text(out / "pair_search.txt", text)
    title = "Finding the best pair of M features"
    figure = plots.curves(sizes, lines, title=title, x_label="M", y_label="ms per image", y_limits=None)
    figure.axes[0].set(xscale="log", yscale="log")
    report.write_figure(out / "pair_search.png", figure)


def main() -> None:
    """The command line."""
    arguments = command_line("tests.benchmarks.pair_search", __doc__).parse_args()
    with use_backend(arguments.backend):
        measure(arguments)


if __name__ == "__main__":
    main()
