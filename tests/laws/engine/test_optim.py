"""Each optimiser against its published equation, written out once more in float64, over several steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl.kernels import reference
from minidl.optim import SGD, Adam, RMSProp
from minidl.testing import Mutant, line


def by_hand_sgd(o: SGD, w, g, m):
    v = o.momentum * m.get("v", 0) - o.lr * g
    m["v"] = v
    return w + (o.momentum * v - o.lr * g if o.nesterov else v)


def by_hand_rmsprop(o: RMSProp, w, g, m):
    m["s"] = o.rho * m.get("s", 0) + (1 - o.rho) * g**2
    return w - o.lr * g / (np.sqrt(m["s"] + o.epsilon) if o.epsilon_inside else np.sqrt(m["s"]) + o.epsilon)


def by_hand_adam(o: Adam, w, g, m):
    m["t"] = m.get("t", 0) + 1
    m["m"] = o.beta1 * m.get("m", 0) + (1 - o.beta1) * g
    m["s"] = o.beta2 * m.get("s", 0) + (1 - o.beta2) * g**2
    mean, square = m["m"] / (1 - o.beta1 ** m["t"]), m["s"] / (1 - o.beta2 ** m["t"])
    return w - o.lr * mean / (np.sqrt(square) + o.epsilon)


OPTIMIZERS = {
    "sgd": (SGD(lr=0.3), by_hand_sgd),
    "momentum": (SGD(lr=0.3, momentum=0.7), by_hand_sgd),
    "nesterov": (SGD(lr=0.3, momentum=0.7, nesterov=True), by_hand_sgd),
    "rmsprop": (RMSProp(lr=0.1, rho=0.8, epsilon=0.01), by_hand_rmsprop),
    "rmsprop, outside": (RMSProp(lr=0.1, rho=0.8, epsilon=0.01, epsilon_inside=False), by_hand_rmsprop),
    "adam": (Adam(lr=0.1, beta1=0.7, beta2=0.9, epsilon=0.01), by_hand_adam),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@given(seed=st.integers(0, 2**32 - 1))
def test_equation(name, seed) -> None:
    optimizer, by_hand = OPTIMIZERS[name]
    rng = np.random.default_rng(seed)
    params = {"a": rng.normal(size=(2, 3)), "b": rng.normal(size=())[None]}
    expected, memory = {n: w.copy() for n, w in params.items()}, {n: {} for n in params}
    state, kept = optimizer.init(params), dict(params)
    for step in range(1, 5):
        grads = {n: rng.normal(size=w.shape) for n, w in params.items()}
        untouched = {n: g.copy() for n, g in grads.items()}
        optimizer.update(params, grads, state)
        for n in params:
            expected[n] = by_hand(optimizer, expected[n], grads[n], memory[n])
            np.testing.assert_allclose(params[n], expected[n], rtol=1e-12, atol=1e-14)
            np.testing.assert_array_equal(grads[n], untouched[n])
            assert params[n] is kept[n]  # in place
        assert int(state["step"]) == step


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float32_stays_float32(name) -> None:
    optimizer, _ = OPTIMIZERS[name]
    params = {"w": np.ones(3, np.float32)}
    state = optimizer.init(params)
    optimizer.update(params, {"w": np.ones(3, np.float32)}, state)
    assert params["w"].dtype == np.float32
    assert all(s.dtype == np.float32 for key, s in state.items() if key != "step")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_finds_the_bottom_of_a_bowl(name) -> None:
    optimizer, _ = OPTIMIZERS[name]
    params = {"w": np.array([3.0, -2.0])}
    state = optimizer.init(params)
    for _ in range(300):
        optimizer.update(params, {"w": 0.5 * params["w"]}, state)
    assert abs(params["w"]).max() < 0.11


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("SGD: uphill", line(reference, "sgd", "velocity -= lr * g", "velocity += lr * g"), lambda: test_equation("sgd")),
    Mutant("Nesterov: plain momentum", line(reference, "sgd", "momentum * velocity - lr * g if nesterov else velocity", "velocity"), lambda: test_equation("nesterov")),
    Mutant("RMSProp: ε always outside", line(reference, "rmsprop", "(mean_square + epsilon) ** 0.5 if inside else ", ""), lambda: test_equation("rmsprop")),
    Mutant("RMSProp: ρ and 1 - ρ swapped", line(reference, "rmsprop", "mean_square *= rho\n    mean_square += (1 - rho)", "mean_square *= 1 - rho\n    mean_square += rho"), lambda: test_equation("rmsprop")),
    Mutant("Adam: no bias correction", line(reference, "adam", "(lr / (1 - beta1**step))", "lr"), lambda: test_equation("adam")),
    Mutant("Adam: ε inside the root", line(reference, "adam", ") ** 0.5 + epsilon)", " + epsilon) ** 0.5)"), lambda: test_equation("adam")),
]
# fmt: on
