"""Kill processes that train or evolve: the next one continues from the checkpoint and ends with the same bits.

python -m tests.stress.kills [--kills 100] [--seed 0]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]

#: Programs that write a checkpoint to sys.argv[1], and print a digest of their result.
TRAINING = """
import sys, numpy as np
from minidl import models
from minidl.data import Dataset
from minidl.identity import digest
from minidl.train import fit
rng = np.random.default_rng(0)
data = Dataset(rng.random((400, 784), dtype=np.float32), rng.integers(0, 10, 400), tuple("0123456789"))
net = models.mlp(hidden=(50,))
history = fit(net, data, epochs=40, checkpoint=sys.argv[1], progress=False)
print(digest(*net.params.values()), len(history))
"""
EVOLUTION = """
import sys
import attacks.evolution.evolve
from attacks.evolution import DirectEncoding, evolve
from minidl import models
from minidl.identity import digest
sys.modules["attacks.evolution.evolve"].EVERY = 0.0
net = models.mlp((1, 8, 8), 10, (20,), bias=True)
result = evolve(net, DirectEncoding((1, 8, 8)), generations=80, population=30, checkpoint=sys.argv[1])
print(digest(result.images, result.confidence), len(result.history))
"""
PROGRAMS = {"training": TRAINING, "evolution": EVOLUTION}


def run(program: str, path: Path, limit: float | None = None) -> str | None:
    """The output of the program, or None if it was killed at its time limit."""
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    assert process.returncode == 0
    return output.strip()


def kill(name: str, times: int, seed: int) -> tuple[int, int]:
    """Kill a program so many times.

    Returns the number of runs that were continued to their end, and how many unfinished files the killed processes left.
    Later writes remove these files.
    """
    rng, program = np.random.default_rng(seed), PROGRAMS[name]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        expected = run(program, Path(folder) / "whole")
        usual = time.perf_counter() - start
    ended = killed = unfinished = 0
    while killed < times:
        with tempfile.TemporaryDirectory() as folder:
            path, output = Path(folder) / "run", None
            while output is None:
                output = run(program, path, limit=rng.uniform(0.3, 1) * usual if killed < times else None)
                killed += output is None
                parts = [part for part in os.listdir(folder) if part.startswith(".")]
                unfinished += len(parts)
                assert len(parts) <= 1, f"unfinished files were not removed: {parts}"
            assert output == expected, f"{output}, but {expected} without kills"
            ended += 1
    return ended, unfinished


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    each = -(-arguments.kills // len(PROGRAMS))
    print(f"{'program':<10}  {'kills':>5}  {'runs ended':>10}  {'parts left':>10}  {'seconds':>7}")
    for name in PROGRAMS:
        start = time.perf_counter()
        ended, unfinished = kill(name, each, arguments.seed)
        print(f"{name:<10}  {each:>5}  {ended:>10}  {unfinished:>10}  {time.perf_counter() - start:>7.1f}", flush=True)
    print(f"{each * len(PROGRAMS)} kills: every run ended with the same bits")


if __name__ == "__main__":
    main()
