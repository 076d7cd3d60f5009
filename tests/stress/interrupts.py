"""Ctrl-C at random moments of every loop: nothing hangs, and what comes back is sound.

    python -m tests.stress.interrupts [--interrupts 1000] [--seed 0] [--only training fgsm …]

Each loop runs in a process of its own, with a limit in time by which a hang is known.
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


def at_last(run: Callable[[], Any], interrupted: Callable[[Any], bool]) -> Any:
    """What a run gives when it is not interrupted, in which the one Ctrl-C of a loop may come, too."""
    while True:
        try:
            found = run()
            if not interrupted(found):
                return found
        except KeyboardInterrupt:
            continue


def training(checkpoint: bool) -> Loop:
    """Whatever comes, the parameters are those of a whole number of epochs; with a checkpoint the run then goes on."""
    rng = np.random.default_rng(0)
    data = Dataset(rng.random((300, 1, 28, 28), dtype=np.float32), rng.integers(0, 10, 300), tuple("0123456789"))
    made = lambda: models.lenet(channels=(4, 8), hidden=32)
    options = {"optimizer": SGD(0.01), "progress": False}
    states = [made().params]
    for epochs in (1, 2):
        net = made()
        fit(net, data, epochs=epochs, **options)
        states.append(net.params)

    def run() -> None:
        net = made()
        with tempfile.TemporaryDirectory() as folder:
            kept = {"checkpoint": Path(folder) / "run"} if checkpoint else {}
            try:
                history = fit(net, data, epochs=2, **options, **kept)
                assert history.interrupted or len(history) == 2
                assert equal(net.params, states[len(history)])
            except KeyboardInterrupt:  # between two epochs, or before the first
                assert any(equal(net.params, state) for state in states)
                raise
            finally:
                if checkpoint:
                    again = made()
                    at_last(lambda: fit(again, data, epochs=2, **options, **kept), lambda h: h.interrupted)
                    assert equal(again.params, states[2])
                    assert os.listdir(folder) == ["run"]

    return run


def attacking(name: str) -> Loop:
    """Success is true of the images, which are within the bounds; an attack that was not interrupted ends as ever."""
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
    net = network()

    def run() -> object:
        result = FOOLING[name](Victim(net))
        assert ((result.confidence >= 0) & (result.confidence <= 1)).all()
        assert len(result.history) <= 20
        return result

    return run


def evolving() -> Loop:
    """With a checkpoint, which is then gone on from, to the same bits."""
    net, options = network(), {"generations": 6, "population": 30}
    encoding = DirectEncoding((1, 4, 4))
    expected = evolve(net, encoding, **options)

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run"
            try:
                evolve(net, encoding, checkpoint=path, **options)
            finally:
                again = at_last(
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


def press(name: str, times: int, seed: int) -> tuple[int, int]:
    """Interrupt one loop so many times.  Returns how often it raised KeyboardInterrupt, and how often it returned."""
    heard: list[int] = []

    def hear(number: int, frame: object) -> None:
        heard.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, hear)  # which processes in the background ignore, unless they are told otherwise
    loop = LOOPS[name]()
    loop()
    start = time.perf_counter()
    loop()
    usual = time.perf_counter() - start
    rng, blas = np.random.default_rng(seed), [library.get_num_threads() for library in threads._blas()]
    raised = returned = 0
    while raised + returned < times:
        pressed = threading.Timer(rng.uniform(0, usual), os.kill, (os.getpid(), signal.SIGINT))
        came = False
        try:
            pressed.start()
            loop()
            while pressed.is_alive():  # the loop was over before
                time.sleep(0.001)
            pressed.join()
        except KeyboardInterrupt:
            came = True
        pressed.join()
        raised, returned = raised + came, returned + (not came)
        assert [library.get_num_threads() for library in threads._blas()] == blas, "BLAS has another number of threads"
        if (raised + returned) % 10 == 0:
            loop()  # goes on as if nothing had been
    assert len(heard) == times, f"{len(heard)} interrupts of {times} came"
    return raised, returned


def in_a_process(name: str, times: int, seed: int, limit: float) -> str:
    """What `press` says of a loop, in a process of its own, with three threads for each kernel."""
    code = f"from tests.stress.interrupts import press; print(*press({name!r}, {times}, {seed}))"
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
    print(f"{each * len(arguments.only)} interrupts: nothing hung, and all was sound")


if __name__ == "__main__":
    main()
