"""JSMA's pair search against the number of features M: time and memory of the skyband, and of all M² pairs.

    python -m tests.benchmarks.pair_search

The slopes are those of LeNet-like networks: random, and, for the worst case, opposed, so that every feature is a
candidate.  Times are medians per image, in one process; memory is the peak of what the search itself allocates.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import tracemalloc
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np

from attacks import plots
from minidl.io import atomically
from minidl.kernels import reference

SIZES = [196, 784, 3_072, 12_288]
BRUTE_FORCE_UP_TO = 3_072  # beyond, M² pairs of one image take gigabytes


def measure(search: Callable, slopes: tuple[np.ndarray, ...], repeats: int) -> tuple[float, float]:
    """Milliseconds and peak megabytes per image."""
    search(*slopes)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        search(*slopes)
        seconds.append(time.perf_counter() - start)
    tracemalloc.start()
    search(*slopes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return 1e3 * statistics.median(seconds) / len(slopes[0]), peak / 1e6 / len(slopes[0])


def slopes(features: int, images: int, kind: str) -> tuple[np.ndarray, ...]:
    """a, b and the domain of some images."""
    rng = np.random.default_rng(features)
    a, b = rng.normal(size=(2, images, features)).astype(np.float32)
    if kind == "opposed":  # a falling, concave front: no feature dominates another
        a = np.sort(np.abs(a), axis=1) / 4
        b = np.float32(10) - a * a
    return a, b, np.ones(a.shape, bool)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="runs of which the median is taken (default: 5)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    lines: dict[str, list[float]] = {"skyband": [], "skyband, all candidates": [], "all pairs": []}
    text = [f"{date.today().isoformat()}   python -m tests.benchmarks.pair_search   NumPy {np.__version__}",
            f"{'M':>7}  {'search':<24}{'ms per image':>14}{'MB per image':>14}{'ms / (M log₂ M)':>18}"]  # fmt: skip
    for features in SIZES:
        for name, search, kind, images in (
            ("skyband", reference.best_pairs, "random", 16),
            ("skyband, all candidates", reference.best_pairs, "opposed", 1),
            ("all pairs", reference.best_pairs_by_definition, "random", 1),
        ):
            if name == "all pairs" and features > BRUTE_FORCE_UP_TO:
                lines[name].append(math.nan)
                continue
            ms, megabytes = measure(search, slopes(features, images, kind), arguments.repeats)
            lines[name].append(ms)
            rate = ms / (features * math.log2(features))
            text.append(f"{features:>7}  {name:<24}{ms:>14.3f}{megabytes:>14.3f}{rate:>18.2e}")
    print("\n".join(text))
    figure = plots.curves(SIZES, lines, title="Finding the best pair of M features", x_label="M", y_label="ms per image",
                          y_limits=None)  # fmt: skip
    figure.axes[0].set(xscale="log", yscale="log")
    with atomically(arguments.out / "pair_search.txt") as file:
        file.write(("\n".join(text) + "\n").encode())
    with atomically(arguments.out / "pair_search.png") as file:
        figure.savefig(file, format="png")


if __name__ == "__main__":
    main()
