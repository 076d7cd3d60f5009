"""Images that a network does not take as they are: channels last, in another dtype, or bytes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from attacks import PGDAdversary, Victim, fgsm, pgd
from minidl import backend, models
from minidl.data import Dataset
from minidl.errors import DTypeError, ShapeError
from minidl.inputs import reshaped, root_mean_square
from minidl.layers import Dense, Flatten, Layer, ReLU
from minidl.models import Sequential
from minidl.train import evaluate, fit
from tests.support import strict
from tests.support.other_arrays import add_the_stand_in

RNG = np.random.default_rng(0)
X, Y = RNG.random((6, 3, 4, 5)).astype(np.float32), np.array([0, 1, 2, 0, 1, 2])
NAMES = ("a", "b", "c")


def network(dtype: str = "float32") -> Sequential:
    return models.mlp((3, 4, 5), 3, (8,), bias=True, dtype=dtype)


def dataset(x: np.ndarray = X) -> Dataset:
    return Dataset(x, Y, NAMES)


def train(net: Sequential, x: np.ndarray, **options) -> None:
    fit(net, dataset(x), epochs=1, progress=False, **options)


LAST = X.transpose(0, 2, 3, 1)


@pytest.mark.parametrize("door", [
    lambda x: network()(x), lambda x: train(network(), x), lambda x: evaluate(network(), dataset(x)), lambda x: fgsm(network(), x, Y),
    lambda x: train(network(), X, validation=dataset(x))],
    ids=["network", "fit", "evaluate", "attack", "validation"])  # fmt: skip
def test_channels_last_raise_an_error_with_the_fix_everywhere(door) -> None:
    with pytest.raises(
        ShapeError,
        match=r"\(N, 3, 4, 5\), got \(6, 4, 5, 3\). Fix: x.transpose\(0, 3, 1, 2\) for channels first$",
    ) as caught:
        door(LAST)
    typed = eval(caught.value.fix.partition(" for ")[0], {"x": LAST})
    np.testing.assert_array_equal(typed, X)
    door(typed.copy())


@pytest.mark.parametrize(("shape", "wanted", "becomes"), [
    ((4, 5, 3), (3, 4, 5), (1, 3, 4, 5)), ((6, 4, 5, 3), (3, 4, 5), (6, 3, 4, 5)), ((6, 4, 5), (1, 4, 5), (6, 1, 4, 5)),
    ((3, 4, 5), (3, 4, 5), (1, 3, 4, 5)), ((7,), (7,), (1, 7)), ((6, 4, 5, 1), (1, 4, 5), (6, 1, 4, 5)), ((6, 4, 5), (3, 4, 5), None),
    ((6, 3, 5, 4), (3, 4, 5), None), ((6, 7), (8,), None), ((4, 5), (1, 4, 5), None), ((), (3, 4, 5), None)])  # fmt: skip
def test_the_fix_makes_a_batch(shape, wanted, becomes) -> None:
    fix = reshaped(shape, wanted)
    assert (fix == "") == (becomes is None)
    if becomes is not None:
        assert eval(fix.partition(" for ")[0], {"x": np.zeros(shape)}).shape == becomes


# --- dtypes ----------------------------------------------------------------------------------------------


def test_fit_refuses_what_is_wider_than_the_network() -> None:
    net = network()
    before = {name: w.copy() for name, w in net.params.items()}
    message = r"fit: expected images in float32, as the network computes, got float64. Fix: dataset.replace\(x=dataset.x.astype\('float32'\)\)"
    for options in ({"x": X.astype(float)}, {"x": X, "validation": dataset(X.astype(float))}):
        with pytest.raises(DTypeError, match=message):
            train(net, **options)
    assert all(np.array_equal(net.params[name], w) for name, w in before.items())
    for width in ("float16", "float32", "float64"):
        train(network("float64"), X.astype(width))
    for width in ("float16", "float32"):
        train(network(), X.astype(width))
    train(net, dataset(X.astype(float)).replace(x=X.astype(float).astype("float32")).x)  # what it said to type


def test_attacks_say_that_wider_images_take_longer() -> None:
    net, x = network(), X.astype(float)
    for attack in (fgsm, pgd):
        with pytest.warns(
            RuntimeWarning, match=r"images in float64 make the network compute in float64.*Fix: x.astype\('float32'\)"
        ) as warned:
            result = attack(net, x, Y)
        assert [w.filename for w in warned] == [__file__]
        assert result.x_adv.dtype == np.float64
    fgsm(network("float64"), x, Y)  # and nothing here: warnings are errors
    fgsm(net, X.astype(np.float16), Y)
    fgsm(lambda x: net(x), x, Y)


# --- bytes -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scaled(Layer):
    """Bytes brought to [0, 1]."""

    def apply(self, params, x, rng=None):
        return x * (1 / 255)


BYTES = np.rint(X * 255).astype(np.float32)


def test_fit_warns_of_bytes_where_it_is_called() -> None:
    message = r"fit: pixels of 1\d\d \(root mean square\); training works well for at most about 1. Fix: dataset.replace\(x=dataset.x / 255\) if they are bytes"
    with pytest.warns(RuntimeWarning, match=message) as warned:
        fit(network(), dataset(BYTES), epochs=1, progress=False)
    assert [w.filename for w in warned] == [__file__]
    data = dataset(BYTES)
    fit(network(), data.replace(x=data.x / 255), epochs=1, progress=False)  # what it said to type: without a word
    with pytest.warns(RuntimeWarning, match=message):
        fit(network(), dataset(), epochs=1, progress=False, validation=data)


def test_bytes_are_taken_where_a_layer_of_ones_own_may_scale_them() -> None:
    """Training, evaluation and attacks on pixels from 0 to 255, as with networks that scale for themselves."""
    net = Sequential(Scaled(), Flatten(), Dense(3), input_shape=(3, 4, 5))
    fit(net, dataset(BYTES), epochs=2, progress=False)
    fit(net, dataset(BYTES), epochs=1, progress=False, adversary=PGDAdversary(8, bounds=(0, 255)))
    evaluate(net, dataset(BYTES))
    assert pgd(Victim(net, bounds=(0, 255)), BYTES, Y, epsilon=8).linf.max() <= 8
    late = Sequential(Flatten(), Dense(3), ReLU(), Scaled(), input_shape=(3, 4, 5))  # behind the weights
    with pytest.warns(RuntimeWarning, match="bytes"):
        fit(late, dataset(BYTES), epochs=1, progress=False)


def test_usual_images_pass_without_a_word() -> None:
    outlying = np.zeros_like(X)
    outlying[0, 0, 0, 0] = 150.0  # standardised, a pixel that is lit once in many images has such values
    for x in (X, X * 2 - 1, (X - X.mean()) / X.std(), outlying, X * 10, X[:, :, :1] * 0 + X):
        train(network(), x)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_root_mean_square(dtype) -> None:
    for n in (1, 999, 1000, 2500):
        x = (RNG.normal(0, 300, (n, 2, 3))).astype(dtype)
        assert root_mean_square(x) == pytest.approx(np.sqrt((x.astype(float) ** 2).mean()), rel=1e-3)
    assert root_mean_square(np.full((2, 3), 3e38, dtype if dtype != "float16" else "float32")) > 1e3
    assert root_mean_square(np.zeros((0, 3), dtype)) == 0
    assert np.isnan(root_mean_square(np.full((2, 3), np.nan, dtype)))


def test_it_takes_one_synchronisation(monkeypatch) -> None:
    add_the_stand_in(monkeypatch)
    with backend.use("strict"):
        x, before = backend.asarray(RNG.random((2500, 3))), strict.synchronisations
        assert root_mean_square(x) == pytest.approx(3**-0.5, rel=0.1)
        assert strict.synchronisations == before + 1
