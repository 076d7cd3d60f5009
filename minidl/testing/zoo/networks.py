"""Drawn cases of losses and layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import layers, losses, ops
from ...kernels import reference
from ...layers import Glorot, He, Normal
from ..drawing import Draw, arrays, shapes, st
from .cases import CASES, Case, case
from .images import convolutions

# --- losses ----------------------------------------------------------------------------------------------


@st.composite
def logits_and_labels(draw: Draw, min_rank: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (..., K) for one to four classes, and labels (...)."""
    shape = draw(shapes(min_rank, 2))
    classes, size = draw(st.integers(1, 4)), int(np.prod(shape))
    labels = np.array(draw(st.lists(st.integers(0, classes - 1), min_size=size, max_size=size)), dtype=np.int64)
    return draw(arrays((*shape, classes))), labels.reshape(shape)


def naive_softmax(z: np.ndarray) -> np.ndarray:
    """The softmax as it is defined."""
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


@case
def softmax(draw: Draw) -> Case:
    return Case(losses.softmax, draw(logits_and_labels())[0], naive_softmax, "softmax")


@case
def log_softmax(draw: Draw) -> Case:
    return Case(losses.log_softmax, draw(logits_and_labels())[0], lambda z: np.log(naive_softmax(z)), "log_softmax")


@case
def softmax_along(draw: Draw) -> Case:
    shape = draw(shapes(1, 3))
    axis, f = draw(st.integers(-len(shape), len(shape) - 1)), draw(st.sampled_from([ops.softmax, ops.log_softmax]))

    def oracle(x: np.ndarray) -> np.ndarray:
        p = np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)
        return p if f is ops.softmax else np.log(p)

    return Case(lambda x: f(x, axis), draw(arrays(shape)), oracle, f"{f.__name__} along {axis}")


@case
def cross_entropy(draw: Draw) -> Case:
    z, y = draw(logits_and_labels())
    reduction = draw(st.sampled_from(["mean", "sum", "none"]))

    def oracle(z: np.ndarray) -> Any:
        each = -np.log(np.take_along_axis(naive_softmax(z), y[..., None], -1)[..., 0])
        return each if reduction == "none" else each.mean() if reduction == "mean" else each.sum()

    return Case(lambda z: losses.cross_entropy(z, y, reduction), z, oracle, f"labels {y}, {reduction}")


@case
def soft_cross_entropy(draw: Draw) -> Case:
    z, y = draw(logits_and_labels())
    s, classes = draw(st.sampled_from([0.0, 0.1, 0.7])), z.shape[-1]
    w = draw(st.none() | st.just(np.arange(1.0, classes + 1)))

    def oracle(z: np.ndarray) -> Any:
        q = (1 - s) * np.eye(classes)[y] + s / classes
        return -(q * np.log(naive_softmax(z))).sum(axis=-1) * (1 if w is None else w[y])

    return Case(lambda z: losses.CrossEntropy(s, w)(z, y), z, oracle, f"labels {y}, {s}, {w}")


@case
def squared_error(draw: Draw) -> Case:
    shape = draw(shapes(0, 3))
    target = draw(arrays(shape))
    return Case(
        lambda x: losses.squared_error(x, target), draw(arrays(shape)), lambda x: ((x - target) ** 2).mean(), ""
    )


@case
def penalty(draw: Draw) -> Case:
    l1, l2 = draw(st.sampled_from([(0.5, 0.0), (0.0, 0.25), (0.5, 0.25)]))
    f = losses.Penalty(l1, l2)
    return Case(lambda x: f({"dense1.W": x, "dense1.b": x}), draw(arrays(draw(shapes(0, 2)))),
                lambda x: l1 * np.abs(x).sum() + l2 * (x * x).sum(), f"{f}")  # fmt: skip


@case
def binary_cross_entropy(draw: Draw) -> Case:
    z, y = draw(logits_and_labels())
    log_p = -1 / 16 - np.abs(z)  # at most 0; and p = 1 would be a corner

    def oracle(log_p: np.ndarray) -> Any:
        p, is_label = np.exp(log_p), np.eye(log_p.shape[-1])[y] == 1
        return -np.log(np.where(is_label, p, 1 - p)).sum(axis=-1)

    return Case(lambda log_p: losses.binary_cross_entropy(log_p, y), log_p, oracle, f"labels {y}")


# --- layers ----------------------------------------------------------------------------------------------


def layer(name: str, make: st.SearchStrategy[layers.Layer], rank: int, oracle: Callable) -> None:
    """A layer as a function of its input; dense layers as a function of their weights too."""

    @st.composite
    def drawn(draw: Draw) -> Case:
        it, shape = draw(make), draw(shapes(rank, rank))
        x = draw(arrays((draw(st.integers(1, 3)), *shape)))
        rng = np.random.default_rng(draw(st.integers(0, 99)))
        params = {key: w + rng.normal(size=w.shape) for key, w in it.init(shape, rng).items()}  # biases start at 0
        if params and draw(st.booleans()):
            key = draw(st.sampled_from(sorted(params)))
            return Case(
                lambda w: it.apply({**params, key: w}, x), params[key], lambda w: oracle(x, {**params, key: w}), key
            )
        return Case(lambda x: it.apply(params, x), x, lambda x: oracle(x, params), f"{it}")

    CASES[name] = drawn()


def naive_distances(x: np.ndarray, params: dict[str, np.ndarray]) -> np.ndarray:
    """q of an RBF layer, unit by unit."""
    each = [((x - mu) ** 2 @ np.exp(log_beta)) for mu, log_beta in zip(params["mu"], params["log_beta"])]
    return np.stack(each, axis=-1)


_initialisers = st.sampled_from([Normal(0.5), Glorot(), He()])
layer("dense_layer", st.builds(layers.Dense, st.integers(1, 3), st.booleans(), _initialisers), 1,
      lambda x, p: x @ p["W"] + p.get("b", 0))  # fmt: skip
layer("log_rbf_layer", st.builds(layers.LogRBF, st.integers(1, 3), _initialisers), 1,
      lambda x, p: -naive_distances(x, p))  # fmt: skip
layer("rbf_layer", st.builds(layers.RBF, st.integers(1, 3), _initialisers), 1,
      lambda x, p: np.exp(-naive_distances(x, p)))  # fmt: skip
layer("relu_layer", st.just(layers.ReLU()), 2, lambda x, p: np.maximum(x, 0))
layer("tanh_layer", st.just(layers.Tanh()), 2, lambda x, p: np.tanh(x))
layer("sigmoid_layer", st.just(layers.Sigmoid()), 2, lambda x, p: 1 / (1 + np.exp(-x)))
layer("softmax_layer", st.just(layers.Softmax()), 1, lambda x, p: naive_softmax(x))
layer("flatten_layer", st.just(layers.Flatten()), 3, lambda x, p: x.reshape(len(x), -1))
layer("dropout_asleep", st.just(layers.Dropout(0.5)), 2, lambda x, p: x)


@case
def reshape_layer(draw: Draw) -> Case:
    shape = draw(shapes(1, 3))
    it, x = layers.Reshape(draw(st.permutations(shape))), draw(arrays((draw(st.integers(1, 3)), *shape)))
    return Case(lambda x: it.apply({}, x), x, lambda x: x.reshape(len(x), *it.shape), f"{it}")


@case
def dropout_awake(draw: Draw) -> Case:
    it, seed = layers.Dropout(draw(st.sampled_from([0.2, 0.5, 0.8]))), draw(st.integers(0, 99))
    x = draw(arrays((3, 4)))
    mask = it.apply({}, np.ones((3, 4)), np.random.default_rng(seed))
    return Case(lambda x: it.apply({}, x, np.random.default_rng(seed)), x, lambda x: x * mask, f"{it}, seed {seed}")


@case
def conv_layer(draw: Draw) -> Case:
    x, w, stride, padding = draw(convolutions())
    it = layers.Conv2d(len(w), w.shape[2:], stride, padding, draw(st.booleans()))
    params = {key: w + 1 / 16 for key, w in it.init(x.shape[1:], np.random.default_rng(0)).items()}
    key = draw(st.sampled_from(sorted(params)))

    def oracle(p: np.ndarray) -> np.ndarray:
        both = {**params, key: p}
        y = reference.convolve_by_definition(x, both["W"], stride, padding)
        return y + both["b"][:, None, None] if "b" in both else y

    return Case(lambda p: it.apply({**params, key: p}, x), params[key], oracle, f"{it}, {key}")


@case
def maxout_layer(draw: Draw) -> Case:
    it = layers.Maxout(draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.booleans()))
    return _maxout(draw, it, draw(shapes(1, 1)), lambda x, w: x @ w)


@case
def maxout_conv_layer(draw: Draw) -> Case:
    x, w, stride, padding = draw(convolutions())
    it = layers.MaxoutConv2d(draw(st.integers(1, 2)), w.shape[2:], draw(st.integers(1, 3)), stride, padding)
    return _maxout(draw, it, x.shape[1:], lambda x, w: reference.convolve_by_definition(x, w, stride, padding))


def _maxout(draw: Draw, it: Any, shape: tuple[int, ...], linear: Callable) -> Case:
    """As a function of the images, the weights or the biases; values at random, so that no two pieces are equal."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    inputs = {"x": rng.normal(size=(draw(st.integers(1, 3)), *shape))}
    inputs |= {key: rng.normal(size=w.shape) for key, w in it.init(shape, rng).items()}
    key = draw(st.sampled_from(sorted(inputs)))

    def oracle(value: np.ndarray) -> np.ndarray:
        given = {**inputs, key: value}
        z = linear(given["x"], given["W"])
        z = z + given.get("b", np.zeros(z.shape[1])).reshape(-1, *(1,) * (z.ndim - 2))
        return np.stack([z[:, j :: it.pieces] for j in range(it.pieces)]).max(axis=0)

    def function(value: Any) -> Any:
        given = {**inputs, key: value}
        return it.apply(given, given["x"])

    return Case(function, inputs[key], oracle, f"{it}, {key}")
