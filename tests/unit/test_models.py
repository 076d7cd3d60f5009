"""The papers' networks: their shapes, their numbers of parameters, the sizes of image they take, their files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minidl
from minidl import models
from minidl.layers import Conv2d, Dense, Dropout, MaxPool2d
from minidl.testing import Mutant, check_all, line

#: Tiny ones of each kind: every layer is there, few numbers in it.
TINY: dict[str, Any] = {
    "carlini": lambda **o: models.carlini((1, 16, 16), 3, channels=(2, 3), hidden=4, **o),
    "madry": lambda **o: models.madry((1, 8, 8), 3, channels=(2, 3), hidden=4, **o),
    "vgg": lambda **o: models.vgg((3, 9, 8), 3, width=2, hidden=4, **o),
}


class Weightless:
    """In place of a generator: "draws" that are one zero seen many times, so that a large network needs no memory."""

    @staticmethod
    def normal(mean: float, deviation: float, shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(0.0, shape)


def parameters_of(monkeypatch, *arguments: Any, **options: Any) -> int:
    """How many parameters a VGG would have, counted layer by layer without making them."""
    monkeypatch.setattr(models, "Sequential", lambda *layers, **_: layers)
    shape, total = arguments[0], 0
    for layer in models.vgg(*arguments, **options):
        total += sum(draw.size for draw in layer.init(shape, Weightless).values())
        shape = layer.output_shape(shape)
    assert shape == (arguments[1],)
    return total


@pytest.mark.parametrize(
    ("depth", "parameters"), [(11, 132_863_336), (13, 133_047_848), (16, 138_357_544), (19, 143_667_240)]
)
def test_vgg_has_as_many_parameters_as_the_papers(monkeypatch, depth, parameters) -> None:
    assert parameters_of(monkeypatch, (3, 224, 224), 1000, depth=depth) == parameters


@pytest.mark.parametrize(
    ("net", "parameters"),
    [
        (models.carlini(), 312_202),
        (models.carlini((3, 32, 32), channels=(64, 128), hidden=256), 1_147_978),
        (models.madry(), 3_274_634),
    ],
    ids=["carlini, MNIST", "carlini, CIFAR-10", "madry"],
)
def test_the_networks_for_small_images_too(net, parameters) -> None:
    assert sum(w.size for w in net.params.values()) == parameters
    assert net(np.zeros((2, *net.input_shape), np.float32)).shape == (2, 10)


def test_carlinis_layers_in_their_order() -> None:
    net = models.carlini()
    assert [s for name, s in net.shapes.items() if name.startswith(("conv", "maxpool"))] == [
        (32, 26, 26), (32, 24, 24), (32, 12, 12), (64, 10, 10), (64, 8, 8), (64, 4, 4)]  # fmt: skip
    assert list(net.shapes)[-7:] == ["flatten1", "dense1", "relu5", "dropout1", "dense2", "relu6", "dense3"]


@pytest.mark.parametrize(("depth", "stages"), [(11, "11222"), (13, "22222"), (16, "22333"), (19, "22444")])
def test_vggs_stages(depth, stages) -> None:
    net = models.vgg((3, 32, 32), 10, depth=depth, width=3, hidden=5)
    kinds = [type(layer) for layer in net.layers.values() if isinstance(layer, Conv2d | MaxPool2d)]
    assert kinds == [kind for count in stages for kind in [Conv2d] * int(count) + [MaxPool2d]]
    channels = [layer.channels for layer in net.layers.values() if isinstance(layer, Conv2d)]
    assert channels == [3 * factor for factor, count in zip((1, 2, 4, 8, 8), stages) for _ in range(int(count))]
    assert [layer.units for layer in net.layers.values() if isinstance(layer, Dense)] == [5, 5, 10]
    assert depth == len(channels) + 3  # as many layers with weights as its name says


@pytest.mark.parametrize(
    ("shape", "poolings"),
    [((1, 28, 28), 4), ((3, 32, 32), 5), ((3, 40, 33), 5), ((3, 1, 1), 0), ((2, 9, 3), 1), ((1, 3, 64), 1)],
)
def test_vgg_takes_images_of_any_size(shape, poolings) -> None:
    net = models.vgg(shape, 4, width=2, hidden=3)
    assert sum(isinstance(layer, MaxPool2d) for layer in net.layers.values()) == poolings
    assert net(np.ones((2, *shape), np.float32)).shape == (2, 4)
    assert net(np.ones((0, *shape), np.float32)).shape == (0, 4)


@pytest.mark.parametrize("name", TINY)
def test_derivatives_obey_the_laws(name) -> None:
    net = TINY[name](dtype="float64", seed=1)
    check_all(net, np.random.default_rng(0).random((2, *net.input_shape)))


@pytest.mark.parametrize("name", TINY)
def test_files_bring_the_same_network_back(name, tmp_path) -> None:
    net = TINY[name](seed=2)
    minidl.save(net, tmp_path / "net.npz")
    again = minidl.load(tmp_path / "net.npz")
    x = np.random.default_rng(0).random((3, *net.input_shape), np.float32)
    assert repr(again) == repr(net)
    np.testing.assert_array_equal(again(x), net(x))


@pytest.mark.parametrize("name", TINY)
def test_seeds(name) -> None:
    a, b, c = (TINY[name](seed=seed).params for seed in (3, 3, 4))
    assert all(np.array_equal(a[key], b[key]) for key in a)
    assert not np.array_equal(a["conv1.W"], c["conv1.W"])


def test_dropout_is_where_the_papers_have_it() -> None:
    around = {"carlini": {"relu5": "dense2"}, "madry": {}, "vgg": {"relu9": "dense2", "relu10": "dense3"}}
    for name, expected in around.items():
        layers = TINY[name]().layers
        names = list(layers)
        places = [i for i, layer in enumerate(layers.values()) if isinstance(layer, Dropout)]
        assert {names[i - 1]: names[i + 1] for i in places} == expected
        assert all(layers[names[i]].rate == 0.5 for i in places)
    assert models.vgg((1, 2, 2), width=1, hidden=2, dropout=0.1).layers["dropout2"].rate == 0.1


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("VGG: the width doubles in every stage", line(models, "vgg", "min(2**stage, 8)", "2**stage"), lambda: test_vggs_stages(11, "11222")),
    Mutant("VGG: a pooling too few", line(models, "vgg", "shorter_side > 1", "shorter_side > 2"), lambda: test_vggs_stages(11, "11222")),
]
# fmt: on
