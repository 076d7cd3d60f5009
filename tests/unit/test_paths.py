"""Which way work takes: which kernels a step calls, what is compiled, forwards or backwards.  See `tests.support.approval`.

All ways give the same results, so that no law would notice a step that is suddenly done the slow one.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attacks import Targeted, cw_l2, fgsm, fool_cppn, fool_direct, jsma, pgd
from minidl import backend, models
from minidl.core import Linearization
from minidl.data import Dataset
from minidl.derivatives import batch_jacobian, hvp, jacobian
from minidl.losses import Penalty, cross_entropy
from minidl.optim import SGD, Adam
from minidl.sequential import Sequential
from minidl.train import fit, gradient
from tests.support.approval import approve

RNG = np.random.default_rng(0)
X = RNG.random((6, 1, 18, 18)).astype(np.float32)
Y = np.arange(6) % 3
NETS = {
    "mlp": models.mlp((1, 18, 18), 3, (8, 8)), "tanh": models.mlp((1, 18, 18), 3, (8,), activation="tanh", bias=True),
    "lenet": models.lenet((1, 18, 18), 3), "carlini": models.carlini((1, 18, 18), 3), "madry": models.madry((1, 18, 18), 3),
}  # fmt: skip


def learn(net: Sequential, **options: Any) -> None:
    fit(net, Dataset(X, Y, tuple("abc")), epochs=1, progress=False, **options)


def target(net: Sequential) -> Targeted:
    return Targeted((net(X).argmax(axis=1) + 1) % 3)


STEPS: dict[str, Callable[[Sequential], object]] = {
    "an answer": lambda net: net(X),
    "a gradient": lambda net: gradient(net, X, Y),
    "an epoch by Adam": lambda net: learn(net, optimizer=Adam()),
    "an epoch by SGD with a penalty": lambda net: learn(net, optimizer=SGD(), penalty=Penalty(1e-3, 1e-3)),
    "an epoch by RMSProp with a penalty of one's own": lambda net: learn(net, penalty=lambda params: sum((w * w).sum() for w in params.values())),
    "FGSM": lambda net: fgsm(net, X, Y),
    "PGD": lambda net: pgd(net, X, target(net), steps=2, norm="l2", early_stop=False),
    "JSMA": lambda net: jsma(net, X, target(net), max_distortion=0.01),
    "C&W": lambda net: cw_l2(net, X, target(net), steps=2, binary_search_steps=2),
    "a Jacobian forwards": lambda net: batch_jacobian(net, X[:1, :, :, :], mode="forward", chunk=324),
    "a Jacobian backwards": lambda net: batch_jacobian(net, X, mode="reverse"),
    "a curvature": lambda net: hvp(lambda x: cross_entropy(net(x), Y), X, X),
}  # fmt: skip


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each compiled kernel is called, by no other kernel."""
    with backend.use("numba"):
        fast = backend.kernels(X)
    if backend._compiled()[1] or not hasattr(fast.draws.draw, "py_func"):
        pytest.skip("nothing is compiled here")
    count: Counter[str] = Counter()
    inside: list[str] = []

    def counted(name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(kernel)
        def call(*arguments: Any, **options: Any) -> Any:
            if not inside:
                count[name] += 1
            inside.append(name)
            try:
                return kernel(*arguments, **options)
            finally:
                inside.pop()

        return call

    for name, kernel in list(vars(fast).items()):
        if inspect.isfunction(kernel) and name[0] != "_" and (kernel.__module__ or "").startswith("minidl.kernels."):
            monkeypatch.setattr(fast, name, counted(name, kernel))
    return count


@pytest.mark.parametrize("step", STEPS)
def test_steps_call_the_kernels_that_were_approved(step, called) -> None:
    lines = []
    with backend.use("numba"):
        for name, net in NETS.items():
            called.clear()
            STEPS[step](net)
            lines.append(f"{name}: " + ", ".join(f"{kernel} {n}" for kernel, n in sorted(called.items())))
    approve(f"paths/{step}", "\n".join(lines))


def test_evolution_calls_the_kernels_that_were_approved(called) -> None:
    lines = []
    with backend.use("numba"):
        for attack in (fool_direct, fool_cppn):
            called.clear()
            attack(NETS["lenet"], generations=2, population=5)
            lines.append(f"{attack.__name__}: " + ", ".join(f"{kernel} {n}" for kernel, n in sorted(called.items())))
    approve("paths/evolution", "\n".join(lines))


def test_what_is_compiled_is_as_it_was_approved(called) -> None:
    """And how: a loop that may reorder its sums need not have the reference's bits."""
    lines = []
    for part in sorted(module.name for module in pkgutil.iter_modules(backend.kernels(X).__path__)):
        for name, loop in vars(importlib.import_module(f"minidl.kernels.cpu.{part}")).items():
            if hasattr(loop, "py_func") and loop.py_func.__module__.endswith(f".{part}"):
                lines.append(f"{part}.{name}{' may reorder' if loop.targetoptions['fastmath'] else ''}")
    approve("paths/compiled", "\n".join(lines))


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 5), (5, 3), (4, 4)])
@pytest.mark.parametrize("mode", ["forward", "reverse", "auto"])
@pytest.mark.parametrize("pieces", [False, True])
@pytest.mark.parametrize("batch", [False, True])
def test_a_jacobian_walks_in_the_given_mode(inputs, outputs, mode, pieces, batch, monkeypatch) -> None:
    walked = []
    for walk in ("jvp", "vjp"):
        known = getattr(Linearization, walk)
        monkeypatch.setattr(
            Linearization, walk, lambda lin, t, walk=walk, known=known: walked.append(walk) or known(lin, t)
        )
    weights, x = RNG.normal(size=(inputs, outputs)), RNG.normal(size=(2, inputs) if batch else inputs)
    if batch:
        batch_jacobian(lambda x: x @ weights, x, mode=mode)
    elif pieces:
        jacobian(lambda x: x["a"] @ weights, {"a": x}, mode=mode)
    else:
        jacobian(lambda x: x @ weights, x, mode=mode)
    expected = {"forward": "jvp", "reverse": "vjp", "auto": "jvp" if inputs <= outputs else "vjp"}[mode]
    assert set(walked) == {expected}
