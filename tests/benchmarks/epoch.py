"""Measure the memory of one epoch of LeNet in a new process, with minidl or with PyTorch.

    python -m tests.benchmarks.epoch minidl|torch DIGITS.npz CORES

Prints megabytes as JSON: the peak after the imports, the digits, and the peak at the end.  DIGITS.npz has x (N, 1, 28, 28) float32 and
y (N,) int64.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Epoch = Callable[[Any, Any], None]


def main() -> None:
    """Import, measure, train, measure."""
    who, digits, cores = sys.argv[1:]
    epoch = {"minidl": ours, "torch": theirs}[who](int(cores))
    megabytes = {"imports": peak()}
    with np.load(digits) as file:
        x, y = file["x"], file["y"]
    megabytes["data"] = (x.nbytes + y.nbytes) / 1e6
    epoch(x, y)
    print(json.dumps({**megabytes, "peak": peak()}))


def ours(cores: int) -> Epoch:
    """An epoch of `train.fit`; all modules that it needs are imported here."""
    from minidl import backend, data, models, train

    assert backend.current().kernels  # imports Numba

    def epoch(x: Any, y: Any) -> None:
        names = tuple(map(str, range(10)))
        train.fit(models.lenet(), data.Dataset(backend.asarray(x), backend.asarray(y), names), epochs=1, progress=False)

    return epoch


def theirs(cores: int) -> Epoch:
    """An epoch of PyTorch's usual loop."""
    import torch

    from .torch_peer import lenet, stepper

    torch.set_num_threads(cores)

    def epoch(x: Any, y: Any) -> None:
        images, labels, step = torch.from_numpy(x), torch.from_numpy(y), stepper(lenet())
        for rows in torch.randperm(len(x)).split(128):
            step(images[rows], labels[rows])

    return epoch


def peak() -> float:
    """The peak of this process's resident memory so far, in megabytes.

    The number comes from /proc if that exists.  On Linux, getrusage's number is not reset by exec: a child would start
    with its parent's.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource  # does not exist on Windows

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    main()
