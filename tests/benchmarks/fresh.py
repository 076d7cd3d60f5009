"""What only a fresh process can tell: how long imports and first uses take, and how much memory an epoch does."""

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
    """Milliseconds, by module; a process each, in turns.  One round before the first makes sure of the files' cache."""
    found: dict[str, list[float]] = {module: [] for module in modules}
    for i in range(rounds + 1):
        for module in modules:
            seconds = float(_python(["-c", TIMED_IMPORT.format(module)]))
            found[module] += [1e3 * seconds] if i else []
    return found


def first_uses(rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]], dict[str, str]]:
    """Seconds of whole processes that do everything once: cold, warm and, beside that, with the numpy backend.

    Cold is the first, in an empty folder for compiled kernels; the warm ones find there what it left.  Also says
    where the time went.
    """
    name = backend.current().name
    warm: dict[str, list[float]] = {name: [], "numpy": []}
    spent: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as cache:
        places = {"NUMBA_CACHE_DIR": cache, "CUPY_CACHE_DIR": cache}
        cold, spent["cold"] = _first_use(name, places)
        for _ in range(rounds):
            for which, seconds in warm.items():
                one, spent[which] = _first_use(which, places)
                seconds.append(one)
    return {name: [cold]}, warm, spent


def _first_use(name: str, places: dict[str, str]) -> tuple[float, str]:
    start = time.perf_counter()
    parts = json.loads(_python(["-m", "tests.benchmarks.first_use"], MINIDL_BACKEND=name, **places))
    seconds = time.perf_counter() - start
    return seconds, ", ".join(f"{what} {spent:.2f}" for what, spent in parts.items())


def epoch_memory(who: list[str], x: np.ndarray, y: np.ndarray) -> dict[str, dict[str, float]]:
    """Megabytes at the imports' end and at most, for each of "minidl" and "torch" that is asked for."""
    with tempfile.TemporaryDirectory() as folder:
        digits = Path(folder) / "digits.npz"
        np.savez(digits, x=x, y=y)
        arguments = [str(digits), str(cores())]
        run: Any = lambda one: _python(["-m", "tests.benchmarks.epoch", one, *arguments],
                                       MINIDL_BACKEND=backend.current().name)  # fmt: skip
        return {one: json.loads(run(one)) for one in who}


def _python(arguments: list[str], **environment: str) -> str:
    """What a fresh interpreter prints; `SystemExit` with what it complained of if it fails."""
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env={**os.environ, **environment},
                          capture_output=True, text=True, check=False)  # fmt: skip
    if done.returncode:
        raise SystemExit(f"python {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout.strip().splitlines()[-1]
