"""Joined layers compute what the layers one by one do: outputs, derivatives in all they depend on, and masks."""

from __future__ import annotations

import contextlib
import copy
import io
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidl import backend, grad, hvp, linearize, losses, models, ops
from minidl import plan as planning
from minidl.kernels import reference
from minidl.layers import AvgPool2d, Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU, Sigmoid, Softmax, Tanh
from minidl.testing import Mutant, line

activations = st.sampled_from([ReLU(), Tanh(), Sigmoid()])
pools = st.sampled_from([MaxPool2d(2), MaxPool2d(3, 2), MaxPool2d(2, 1), MaxPool2d(2, (1, 2)), MaxPool2d(2, padding=1),
                         AvgPool2d(2)])  # fmt: skip


@st.composite
def networks(draw) -> models.Sequential:
    """Convolutions, poolings, dense layers, activations and dropout, in orders that the plan joins, and in others."""
    made = []
    for _ in range(draw(st.integers(0, 2))):
        made.append(Conv2d(draw(st.integers(1, 3)), draw(st.integers(1, 3)), 1, 1, draw(st.booleans())))
        made += draw(st.permutations([draw(activations), draw(pools)]) | activations.map(lambda a: [a]) | st.just([]))
    made.append(Flatten())
    for _ in range(draw(st.integers(1, 2))):
        made += [Dropout(draw(st.sampled_from([0.0, 0.3])))] * draw(st.integers(0, 1))
        made.append(Dense(draw(st.integers(1, 4)), draw(st.booleans())))
        made += [draw(activations)] * draw(st.integers(0, 1)) + [Dropout(0.5)] * draw(st.integers(0, 1))
    made.append(Dense(3))
    seed = draw(st.integers(0, 2**32 - 1))
    net = models.Sequential(*made, input_shape=(2, 8, 7), seed=seed, dtype="float64")
    rng = np.random.default_rng(seed)
    for name, w in net.params.items():
        if name.endswith(".b"):
            w += rng.normal(size=w.shape)
    return net


def everything(net, x, fused: bool) -> dict[str, np.ndarray]:
    """The outputs, awake and asleep, and all that is derived from them."""
    net.fused, y = fused, np.arange(len(x)) % 3
    t = np.random.default_rng(1).normal(size=(2, *x.shape))
    awake = linearize(lambda params: net.apply(params, x, np.random.default_rng(7)), net.params)
    by_input = linearize(net, x)

    def loss(x):
        return losses.cross_entropy(net(x), y)

    results = {"asleep": by_input.value, "awake": awake.value, "jvp": by_input.jvp(t), "hvp": hvp(loss, x, t[0])}
    results["vjp"] = by_input.vjp(np.random.default_rng(2).normal(size=(2, len(x), 3)))
    results |= awake.vjp(np.random.default_rng(3).normal(size=(2, len(x), 3)))
    results |= {
        f"grad of {name}": g for name, g in awake.vjp(np.random.default_rng(3).normal(size=(len(x), 3))).items()
    }
    moved = {name: np.random.default_rng(4).normal(size=w.shape) for name, w in net.params.items()}
    return results | {"awake, jvp": awake.jvp(moved)}


@pytest.fixture(params=["numba", "numpy"])
def joining(request, monkeypatch) -> None:
    """Layers are joined: by the compiled kernels, and, as they never are by themselves, by the readable ones."""
    with backend.use(request.param):
        if request.param == "numpy":
            monkeypatch.setattr(planning, "reference", None)
        yield


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(net=networks(), n=st.integers(0, 3), seed=st.integers(0, 2**32 - 1))
def test_joined_or_not_is_the_same_function(joining, net, n, seed) -> None:
    x = np.random.default_rng(seed).normal(size=(max(n, 1), 2, 8, 7))
    one_by_one, joined, empty = everything(net, x, False), everything(net, x, True), net(x[:0])
    assert empty.shape == (0, 3)
    for what, expected in one_by_one.items():
        assert joined[what].dtype == np.float64
        np.testing.assert_allclose(joined[what], expected, rtol=1e-9, atol=1e-9, err_msg=f"{what}\n{net.plan()}")


def test_the_plans_of_the_papers_networks() -> None:
    assert [step.layers for step in models.lenet().plan()] == [
        ("conv1", "relu1", "maxpool1"), ("conv2", "relu2", "maxpool2"), ("flatten1",), ("dense1", "relu3"), ("dense2",)]  # fmt: skip
    assert [step.layers for step in models.mlp().plan()] == [
        ("flatten1",), ("dropout1",), ("dense1", "relu1", "dropout2"), ("dense2", "relu2", "dropout3"), ("dense3",)]  # fmt: skip
    assert "convolution, bias and maximum in one, then tanh of what is left" in str(
        models.lenet(activation="tanh").plan()
    )
    net = models.lenet()
    net.fused = False
    assert [step.layers for step in net.plan()] == [(name,) for name in net.layers]
    assert str(net.plan()).splitlines()[0].split() == ["conv1", "as", "it", "is"]


@dataclass(frozen=True)
class Watched(ReLU):
    """ReLU, with a look at it."""

    def apply(self, params, x, rng=None):
        print("ReLU of", x.shape)
        return super().apply(params, x, rng)


def names(net: models.Sequential) -> list[tuple[str, ...]]:
    return [step.layers for step in net.plan()]


def test_on_readable_kernels_a_network_runs_its_layers(monkeypatch) -> None:
    """Each with its own `apply`, so that what is written there is what happens."""
    net, seen = models.lenet(), []
    for kind in {type(layer) for layer in net.layers.values()}:
        apply = kind.apply
        monkeypatch.setattr(kind, "apply", lambda *a, kind=kind, apply=apply: seen.append(kind) or apply(*a))
    for name, expected in (("numba", [Flatten, Dense]), ("numpy", [type(layer) for layer in net.layers.values()])):
        with backend.use(name):
            seen.clear()
            net(np.zeros((1, 1, 28, 28), np.float32))
            assert seen == expected
            assert (len(net.plan()) == len(net.layers)) == (backend.current().kernels is reference)


def test_joining_can_be_left_for_a_while() -> None:
    net = models.lenet()
    joined, each = names(net), [(name,) for name in net.layers]
    with planning.one_by_one():
        assert names(net) == each
        with planning.one_by_one():
            assert names(net) == each
        assert names(net) == each
    assert names(net) == joined != each
    with pytest.raises(ZeroDivisionError), planning.one_by_one():
        raise ZeroDivisionError
    assert names(net) == joined


def test_a_plan_is_kept_until_something_is_another() -> None:
    net = models.lenet()
    first, joined = net.plan(), names(net)
    assert net.plan() is first
    with backend.use("numpy"):
        assert names(net) == [(name,) for name in net.layers]
    assert names(net) == joined
    net.fused = False
    assert names(net) == [(name,) for name in net.layers]
    net.fused = True
    assert names(net) == joined
    net.layers["relu1"] = Watched()
    assert names(net) == [("conv1",), ("relu1",), ("maxpool1",), *joined[1:]]
    with contextlib.redirect_stdout(io.StringIO()) as output:
        net(np.zeros((1, 1, 28, 28), np.float32))
    assert output.getvalue() == "ReLU of (1, 20, 24, 24)\n"
    del net.layers["relu3"]
    assert names(net)[-2:] == [("dense1",), ("dense2",)]


def test_networks_with_a_plan_can_be_copied_and_pickled() -> None:
    net = models.lenet(seed=3)
    x = np.random.default_rng(0).random((2, 1, 28, 28), dtype=np.float32)
    expected, plan = net(x), net.plan()
    for copied in (copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))):
        other = copied(net)
        np.testing.assert_array_equal(other(x), expected)
        assert net.plan() is plan is not other.plan()


def test_what_is_not_exactly_a_known_layer_stays_alone() -> None:
    @dataclass(frozen=True)
    class Softened(ReLU):
        def apply(self, params, x, rng=None):
            return ops.softplus(x)

    net = models.Sequential(Conv2d(2, 3), Softened(), MaxPool2d(2), Conv2d(2, 2), ReLU(), AvgPool2d(2), Flatten(),
                            Dense(3), Softened(), Dense(2), Softmax(), input_shape=(1, 8, 8))  # fmt: skip
    assert [step.layers for step in net.plan()] == [(name,) for name in net.layers]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_gradients_of_gradients_go_through_joined_layers(joining, activation) -> None:
    """The derivative of ‖∂loss/∂x‖² in the parameters, as gradient penalties want it."""
    net = models.lenet((1, 16, 16), 4, channels=(2, 3), hidden=5, activation=activation, dtype="float64")
    x, y = np.random.default_rng(0).random((3, 1, 16, 16)), np.array([0, 3, 1])

    def steepness(params):
        slope = grad(lambda x: losses.cross_entropy(net.apply(params, x), y), x)
        return (slope * slope).sum()

    joined = grad(steepness, net.params)
    net.fused = False
    for name, expected in grad(steepness, net.params).items():
        np.testing.assert_allclose(joined[name], expected, rtol=1e-9, atol=1e-12)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("plan: joined on readable kernels, too", line(planning, "joining", " and current().kernels is not reference", ""), test_on_readable_kernels_a_network_runs_its_layers),
    Mutant("plan: never joined", line(planning, "joining", "is not reference", "is reference"), test_on_readable_kernels_a_network_runs_its_layers),
    Mutant("plan: joined within one_by_one", line(planning, "joining", "not _apart.get() and ", ""), test_joining_can_be_left_for_a_while, "numba"),
    Mutant("plan: the first for ever", line(models.Sequential, "plan", "last is None or last[0] != made_for", "last is None"), test_a_plan_is_kept_until_something_is_another, "numba"),
    Mutant("plan: blind to layers", line(models.Sequential, "plan", "(name, id(layer))", "name"), test_a_plan_is_kept_until_something_is_another, "numba"),
    Mutant("plan: made at every call", line(models.Sequential, "plan", "last is None or last[0] != made_for", "True"), test_a_plan_is_kept_until_something_is_another, "numba"),
    Mutant("plan: given to copies", line(models.Sequential, "__getstate__", ' if name != "_kept"', ""), test_networks_with_a_plan_can_be_copied_and_pickled, "numba"),
]
# fmt: on
