"""Interrupt every loop at random moments with Ctrl-C: it must not hang, and its results must be valid.

    python -m tests.stress.interrupts [--interrupts 1000] [--seed 0] [--only training fgsm …]

Each loop runs in its own process, with a time limit that detects hangs.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from attacks import AttackResult, Victim
from attacks.evolution import DirectEncoding, evolve
from minidl import models
from minidl.data import Dataset
from minidl.kernels import threads
from minidl.optim import SGD
from minidl.train import fit
from tests.laws.attacks.every_attack import ATTACKS, FOOLING
from tests.laws.attacks.test_every_attack import images, network, other_targets

ROOT = Path(__file__).parents[2]
Loop = Callable[[], object]


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in other)


def uninterrupted(run: Callable[[], Any], interrupted: Callable[[Any], bool]) -> Any:
    """Run again until there is no interrupt, and return the result.  The loop's one Ctrl-C may come here, too."""
    while True:
        try:
            result = run()
            if not interrupted(result):
                return result
        except KeyboardInterrupt:
            continue


def training(checkpoint: bool) -> Loop:
    """Training: the parameters are always those of whole epochs; with a checkpoint, a second run continues."""
    rng = np.random.default_rng(0)
    data = Dataset(rng.random((300, 1, 28, 28), dtype=np.float32), rng.integers(0, 10, 300), tuple("0123456789"))
    new = lambda: models.lenet(channels=(4, 8), hidden=32)
    options = {"optimizer": SGD(0.01), "progress": False}
    states = [new().params]
    for epochs in (1, 2):
        net = new()
        fit(net, data, epochs=epochs, **options)
        states.append(net.params)

    def run() -> None:
        net = new()
        with tempfile.TemporaryDirectory() as folder:
            saving = {"checkpoint": Path(folder) / "run"} if checkpoint else {}
            try:
                history = fit(net, data, epochs=2, **options, **saving)
                assert history.interrupted or len(history) == 2
                assert equal(net.params, states[len(history)])
            except KeyboardInterrupt:  # between two epochs, or before the first
                assert any(equal(net.params, state) for state in states)
                raise
            finally:
                if checkpoint:
                    again = new()
                    uninterrupted(lambda: fit(again, data, epochs=2, **options, **saving), lambda h: h.interrupted)
                    assert equal(again.params, states[2])
                    assert os.listdir(folder) == ["run"]

    return run


def attacking(name: str) -> Loop:
    """An attack: success agrees with the predictions; without an interrupt the images are the same as always."""
    net, (x, _) = network(dtype="float64"), images(2, n=30, dtype=np.float64)
    y = net(x).argmax(axis=-1)
    t = other_targets(net, x, np.random.default_rng(2))
    expected = ATTACKS[name](Victim(net), x, y, t, 1.0)

    def run() -> AttackResult:
        result = ATTACKS[name](Victim(net), x, y, t, 1.0)
        np.testing.assert_array_equal(result.success, result.goal.achieved(net(result.x_adv).argmax(axis=-1)))
        assert np.isfinite(result.x_adv).all()
        if not result.params.get("interrupted"):
            np.testing.assert_array_equal(result.x_adv, expected.x_adv)
        return result

    return run


def fooling(name: str) -> Loop:
    """Fooling images: the confidences are probabilities."""
    net = network()

    def run() -> object:
        result = FOOLING[name](Victim(net))
        assert ((result.confidence >= 0) & (result.confidence <= 1)).all()
        assert len(result.history) <= 20
        return result

    return run


def evolving() -> Loop:
    """Evolution with a checkpoint: a second run continues, and ends with the same bits."""
    net, options = network(), {"generations": 6, "population": 30}
    encoding = DirectEncoding((1, 4, 4))
    expected = evolve(net, encoding, **options)

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run"
            try:
                evolve(net, encoding, checkpoint=path, **options)
            finally:
                again = uninterrupted(
                    lambda: evolve(net, encoding, checkpoint=path, **options), lambda r: r.params["interrupted"]
                )
                np.testing.assert_array_equal(again.images, expected.images)
                assert os.listdir(folder) == ["run"]

    return run


LOOPS: dict[str, Callable[[], Loop]] = {
    "training": lambda: training(checkpoint=False),
    "training with a checkpoint": lambda: training(checkpoint=True),
    **{name: (lambda name=name: attacking(name)) for name in ATTACKS},
    **{name: (lambda name=name: fooling(name)) for name in FOOLING},
    "evolution with a checkpoint": evolving,
}


def interrupt(name: str, times: int, seed: int) -> tuple[int, int]:
    """Interrupt a loop so many times; returns how often it raised KeyboardInterrupt, and how often it returned."""
    received: list[int] = []

    def receive(number: int, frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, receive)  # processes in the background ignore the signal by default
    loop = LOOPS[name]()
    loop()
    start = time.perf_counter()
    loop()
    usual = time.perf_counter() - start
    rng, blas = np.random.default_rng(seed), [library.get_num_threads() for library in threads._blas()]
    raised = returned = 0
    while raised + returned < times:
        timer = threading.Timer(rng.uniform(0, usual), os.kill, (os.getpid(), signal.SIGINT))
        interrupted = False
        try:
            timer.start()
            loop()
            while timer.is_alive():  # the loop has ended before the interrupt
                time.sleep(0.001)
            timer.join()
        except KeyboardInterrupt:
            interrupted = True
        timer.join()
        raised, returned = raised + interrupted, returned + (not interrupted)
        assert [library.get_num_threads() for library in threads._blas()] == blas, "BLAS has another number of threads"
        if (raised + returned) % 10 == 0:
            loop()  # runs as before
    assert len(received) == times, f"{len(received)} of {times} interrupts were received"
    return raised, returned


def in_a_process(name: str, times: int, seed: int, limit: float) -> str:
    """The return value of `interrupt` as text, from a new process, with three threads for each kernel."""
    code = f"from tests.stress.interrupts import interrupt; print(*interrupt({name!r}, {times}, {seed}))"
    environment = {**os.environ, "MINIDL_THREADS": "3", "PYTHONFAULTHANDLER": "1"}
    command = [sys.executable, "-W", "ignore::RuntimeWarning", "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit)
    if done.returncode:
        raise AssertionError(f"{name}: {done.stderr}")
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interrupts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=list(LOOPS), default=list(LOOPS))
    arguments = parser.parse_args()
    each = -(-arguments.interrupts // len(arguments.only))
    print(f"{'loop':<30}  {'interrupts':>10}  {'raised':>6}  {'returned':>8}  {'seconds':>7}")
    for name in arguments.only:
        start = time.perf_counter()
        raised, returned = in_a_process(name, each, arguments.seed, limit=600).split()
        print(f"{name:<30}  {each:>10}  {raised:>6}  {returned:>8}  {time.perf_counter() - start:>7.1f}", flush=True)
    print(f"{each * len(arguments.only)} interrupts: no hang, and all results are valid")


if __name__ == "__main__":
    main()
