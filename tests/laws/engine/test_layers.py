"""Networks: what their layers own, how they start, and when dropout is active."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minidl
from minidl import layers, linearize, losses, models
from minidl.layers import Dense, Dropout, Flatten, Glorot, He, Normal, ReLU
from minidl.testing import Mutant, line


@pytest.mark.parametrize(
    ("initialiser", "deviation"),
    [
        (Normal(0.01), 0.01),
        (Glorot(), np.sqrt(2 / 700)),
        (He(), np.sqrt(2 / 300)),
        (layers.Uniform(0.3), 0.3 / np.sqrt(3)),
    ],
)
def test_initialisers_have_the_stated_spread(initialiser, deviation) -> None:
    w = initialiser((300, 400), 300, 400, np.random.default_rng(0))
    assert w.shape == (300, 400)
    assert abs(w.mean()) < 5 * deviation / np.sqrt(w.size)
    assert w.std() == pytest.approx(deviation, rel=0.02)
    if isinstance(initialiser, Glorot):
        assert abs(w).max() <= np.sqrt(6 / 700)


def test_initialisers_get_the_connections_of_a_unit() -> None:
    """Fan-in and fan-out: of a dense unit its inputs and outputs; of a filter's, those times the pixels of its window."""
    asked = []

    @dataclass(frozen=True)
    class Recording(layers.Initialiser):
        def __call__(self, shape, fan_in, fan_out, rng):
            asked.append((shape, fan_in, fan_out))
            return rng.normal(size=shape)

    rng = np.random.default_rng(0)
    dense = Dense(7, init_weights=Recording()).init((5,), rng)
    conv = layers.Conv2d(6, (2, 3), init_weights=Recording()).init((4, 8, 9), rng)
    assert asked == [((5, 7), 5, 7), ((6, 4, 2, 3), 4 * 6, 6 * 6)]
    for params, units in ((dense, 7), (conv, 6)):
        np.testing.assert_array_equal(params["b"], np.zeros(units))
    assert "b" not in Dense(7, bias=False).init((5,), rng)
    assert "b" not in layers.Conv2d(6, 2, bias=False).init((4, 8, 9), rng)


def test_lacoks_network_by_default() -> None:
    net = models.mlp()
    assert {name: w.shape for name, w in net.params.items()} == {
        "dense1.W": (784, 625), "dense2.W": (625, 625), "dense3.W": (625, 10)}  # fmt: skip
    assert [layer.rate for layer in net.layers.values() if isinstance(layer, Dropout)] == [0.2, 0.5, 0.5]
    assert all(w.dtype == np.float32 and w.std() == pytest.approx(0.01, rel=0.02) for w in net.params.values())


@given(st.integers(1, 7), st.integers(2, 5), st.integers(0, 99))
def test_any_number_of_inputs_and_classes(inputs, classes, seed) -> None:
    for net in (models.mlp(inputs, classes, (3,), seed=seed), models.softmax_regression(inputs, classes, seed=seed)):
        assert net(np.zeros((4, inputs), np.float32)).shape == (4, classes)
        assert net(np.zeros((0, inputs), np.float32)).shape == (0, classes)


def test_same_seed_same_network_other_seed_another() -> None:
    a, b, c = models.mlp(seed=1), models.mlp(seed=1), models.mlp(seed=2)
    assert all(np.array_equal(a.params[n], b.params[n]) for n in a.params)
    assert not np.array_equal(a.params["dense1.W"], c.params["dense1.W"])


def test_flat_networks_take_images_and_rows_alike() -> None:
    net = models.mlp(seed=0)
    x = np.random.default_rng(0).random((3, 1, 28, 28), np.float32)
    np.testing.assert_array_equal(net(x), net(x.reshape(3, 784)))


def test_calling_is_applying_the_own_parameters() -> None:
    net = models.mlp((4,), 3, (5,), bias=True)
    x = np.random.default_rng(0).random((2, 4), np.float32)
    np.testing.assert_array_equal(net(x), net.apply(net.params, x))
    other = {name: 2 * w for name, w in net.params.items()}
    assert not np.array_equal(net.apply(other, x), net(x))


def test_dropout_is_active_exactly_when_an_rng_is_given() -> None:
    net = models.mlp((50,), 3, (50,), init_weights=He(), dropout=(0.5, 0.5))
    x = np.ones((4, 50), np.float32)
    quiet = net(x)
    np.testing.assert_array_equal(quiet, net(x))
    loud = net.apply(net.params, x, np.random.default_rng(0))
    assert not np.allclose(quiet, loud)
    np.testing.assert_array_equal(loud, net.apply(net.params, x, np.random.default_rng(0)))
    assert not np.array_equal(loud, net.apply(net.params, x, np.random.default_rng(1)))


def test_dropout_layers_draw_different_masks() -> None:
    layer, x = Dropout(0.5), np.ones((1, 200))
    rng = np.random.default_rng(0)
    assert not np.array_equal(layer.apply({}, x, rng), layer.apply({}, x, rng))


def test_dropout_of_a_linear_network_is_right_on_average() -> None:
    net = models.Sequential(Dropout(0.3), Dense(1, init_weights=He()), input_shape=40, dtype="float64")
    x = np.random.default_rng(0).normal(size=(1, 40))
    outputs = [net.apply(net.params, x, np.random.default_rng(seed)) for seed in range(2000)]
    spread = np.std(outputs) / np.sqrt(len(outputs))
    assert abs(np.mean(outputs) - net(x)) < 4 * spread


def test_summary_and_repr_show_layers_shapes_and_counts() -> None:
    net = models.mlp((1, 2, 2), 3, (5,), bias=True)
    lines = net.summary().splitlines()
    assert lines[-1].split() == ["total", str(4 * 5 + 5 + 5 * 3 + 3)]
    assert any(line.split() == ["dense1", "Dense", "(5,)", "25"] for line in lines)
    assert "Dense(units=5" in repr(net)
    rebuilt = eval(repr(net), {**vars(layers), "Sequential": models.Sequential})
    assert repr(rebuilt) == repr(net)


def test_steps_show_every_layer() -> None:
    net = models.Sequential(Flatten(), Dense(3), ReLU(), Dense(2), input_shape=(1, 2, 2))
    outputs = dict(net.steps(net.params, np.ones((5, 1, 2, 2), np.float32)))
    assert {name: y.shape for name, y in outputs.items()} == {
        "flatten1": (5, 4), "dense1": (5, 3), "relu1": (5, 3), "dense2": (5, 2)}  # fmt: skip
    assert net.shapes == {name: y.shape[1:] for name, y in outputs.items()}


def test_a_layer_of_ones_own_trains_differentiates_saves_and_loads(tmp_path) -> None:
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Scale(layers.Layer):
        factor: float = 2.0

        def init(self, shape, rng):
            return {"W": self.factor * np.ones(shape)}

        def apply(self, params, x, rng=None):
            return x * params["W"]

    net = models.Sequential(Scale(3.0), Dense(2), input_shape=4, dtype="float64")
    minidl.testing.check_all(net, np.random.default_rng(0).normal(size=(2, 4)))
    y = np.array([0, 1])
    lin = linearize(lambda p: losses.cross_entropy(net.apply(p, np.ones((2, 4))), y), net.params)
    assert lin.vjp(np.array(1.0))["scale1.W"].shape == (4,)
    minidl.save(net, tmp_path / "net.npz")
    again = minidl.load(tmp_path / "net.npz")
    assert again.layers["scale1"] == Scale(3.0)
    np.testing.assert_array_equal(again(np.ones((1, 4))), net(np.ones((1, 4))))


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("dropout: also in evaluation", line(layers.Dropout, "key", "if rng is None or self.rate == 0:\n        return None", "import numpy as np\n    rng = rng or np.random.default_rng()"), test_dropout_is_active_exactly_when_an_rng_is_given),
    Mutant("dropout: one mask for all layers", line(layers.Dropout, "key", "int(rng.integers(2**63))", "1"), test_dropout_layers_draw_different_masks),
    Mutant("He: fan-out", line(layers.He, "__call__", "fan_in)", "fan_out)"), lambda: test_initialisers_have_the_stated_spread(layers.He(), np.sqrt(2 / 300))),
    Mutant("uniform: from 0", line(layers.Uniform, "__call__", "-self.limit", "0"), lambda: test_initialisers_have_the_stated_spread(layers.Uniform(0.3), 0.3 / np.sqrt(3))),
    Mutant("Glorot: √3", line(layers.Glorot, "__call__", "6 /", "3 /"), lambda: test_initialisers_have_the_stated_spread(layers.Glorot(), np.sqrt(2 / 700))),
]
# fmt: on
