"""Time the first training steps and attacks of a new process, as after typing a command.

    python -m tests.benchmarks.first_use

Prints the seconds of each part as JSON.
"""

from __future__ import annotations

import json
import time
from typing import Any


def main() -> None:
    """Run everything once, on the backend that MINIDL_BACKEND names."""
    seconds, start = {}, time.perf_counter()

    def record(part: str) -> None:
        nonlocal start
        seconds[part], start = time.perf_counter() - start, time.perf_counter()

    import numpy as np

    from attacks import Targeted, fgsm, jsma
    from minidl import models
    from minidl.backend import asarray, to_numpy

    record("import")
    x = asarray(np.random.default_rng(0).random((128, 1, 28, 28), np.float32))
    y = asarray(np.arange(128) % 10)
    net = models.lenet()
    _step(net, x, y)
    record("LeNet's step")
    _step(models.mlp(), x, y)
    record("MLP's step")
    to_numpy(fgsm(net, x, y).x_adv)
    record("FGSM")
    targets = (net(x[:4]).argmax(axis=-1) + 1) % 10
    to_numpy(jsma(net, x[:4], Targeted(targets), max_distortion=0.02).x_adv)
    record("JSMA")
    print(json.dumps(seconds))


def _step(net: Any, x: Any, y: Any) -> None:
    import numpy as np

    from minidl import optim, train

    optimizer = optim.RMSProp()
    grads = train.gradient(net, x, y, np.random.default_rng(0))[-1]
    optimizer.update(net.params, grads, optimizer.init(net.params))
    float(sum(w.sum() for w in net.params.values()))  # a Python number: this waits for the device


if __name__ == "__main__":
    main()
