"""Measurements that need a new process: the run time of imports and first uses, and the memory of an epoch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from minidl import backend

from .timing import cores

ROOT = Path(__file__).absolute().parents[2]
TIMED_IMPORT = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def import_times(modules: list[str], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each import, by module; one process each, in turns.  A first round warms the file cache."""
    milliseconds: dict[str, list[float]] = {module: [] for module in modules}
    for i in range(rounds + 1):
        for module in modules:
            seconds = float(_python(["-c", TIMED_IMPORT.format(module)]))
            milliseconds[module] += [1e3 * seconds] if i else []
    return milliseconds


def first_uses(rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]], dict[str, str]]:
    """Seconds of whole processes that do everything once: cold, warm, and texts with the seconds of each part.

    The cold process has an empty folder for compiled kernels; the warm ones load what it compiled.  Warm processes also
    run with the numpy backend, for comparison.
    """
    name = backend.current().name
    warm: dict[str, list[float]] = {name: [], "numpy": []}
    parts: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as cache:
        environment = {"NUMBA_CACHE_DIR": cache, "CUPY_CACHE_DIR": cache}
        cold, parts["cold"] = _first_use(name, environment)
        for _ in range(rounds):
            for which, seconds in warm.items():
                value, parts[which] = _first_use(which, environment)
                seconds.append(value)
    return {name: [cold]}, warm, parts


def _first_use(name: str, environment: dict[str, str]) -> tuple[float, str]:
    start = time.perf_counter()
    parts = json.loads(_python(["-m", "tests.benchmarks.first_use"], MINIDL_BACKEND=name, **environment))
    seconds = time.perf_counter() - start
    return seconds, ", ".join(f"{part} {value:.2f}" for part, value in parts.items())


def epoch_memory(who: list[str], x: np.ndarray, y: np.ndarray) -> dict[str, dict[str, float]]:
    """Megabytes after the imports and at the peak, for "minidl", "torch" or both."""
    with tempfile.TemporaryDirectory() as folder:
        digits = Path(folder) / "digits.npz"
        np.savez(digits, x=x, y=y)
        arguments = [str(digits), str(cores())]
        run: Any = lambda one: _python(["-m", "tests.benchmarks.epoch", one, *arguments],
                                       MINIDL_BACKEND=backend.current().name)  # fmt: skip
        return {one: json.loads(run(one)) for one in who}


def _python(arguments: list[str], **environment: str) -> str:
    """The last line that a new interpreter prints; raises `SystemExit` with its errors if it fails."""
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env={**os.environ, **environment},
                          capture_output=True, text=True, check=False)  # fmt: skip
    if done.returncode:
        raise SystemExit(f"python {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout.strip().splitlines()[-1]
