"""One law for every kernel: on drawn shapes, dtypes and layouts, empty and read-only arrays included, it computes what
its twin in `reference` does.  ``LAWS[name](side, data)``, for each side: compiled, CUDA emulated, CUDA on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minidl.kernels import reference
from minidl.testing import layouts
from tests.support import strict

#: How far real numbers may be off, as a part of the greatest: tanh, exp and sums differ in their last bits.
TOLERANCE = {"float32": 2e-6, "float64": 1e-14, "float16": 4e-3}

FLOATS = st.sampled_from([np.float32, np.float64, np.float32, np.float64, np.float16])  # the last goes to the reference
sides = st.sampled_from([3, 1, 2, 4, 5, 7, 8, 30, 0])
rates = st.sampled_from([0.5, 0.3, 0.99, 0.0])
keys = st.none() | st.integers(0, 2**64 - 1)
activations = st.sampled_from(["identity", "relu", "tanh", "sigmoid"])


@st.composite
def tensors(draw, shape, dtype, ties: bool = False) -> np.ndarray:
    """Normally distributed, or small whole numbers; laid out in any way."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.integers(-2, 3, shape) if ties else rng.normal(size=shape)
    return draw(layouts(x.astype(dtype)))


@st.composite
def shapes(draw, rank: int) -> tuple[int, ...]:
    return tuple(draw(sides) for _ in range(rank))


# --- the law ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """Kernels to be compared with the reference, and how their arrays are made.

    keeps_roundings: updates round at each step as the reference does; otherwise sums may be contracted.
    """

    kernels: Any
    asarray: Callable[[np.ndarray], Any] = lambda x: x
    keeps_roundings: bool = False

    def to_device(self, x: Any) -> Any:
        return self.asarray(x) if isinstance(x, np.ndarray) else x


def to_host(x):
    return x._held if isinstance(x, strict.ndarray) else x.get() if hasattr(x, "get") else x


def assert_same(actual, expected, exactly: bool = False, each: bool = False) -> None:
    """exactly: to the bit; otherwise up to the tolerance, of the greatest, or of each one."""
    actual = to_host(actual)
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    if exactly or expected.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected)
    else:
        limit = TOLERANCE[str(expected.dtype)]
        least = np.finfo(expected.dtype).tiny if each else limit * max(1, abs(expected).max(initial=0))
        np.testing.assert_allclose(actual, expected, rtol=10 * limit if each else 0, atol=least)


def compare(side, name, *arguments, exactly: bool = False, each: bool = False, **options) -> None:
    actual = getattr(side.kernels, name)(*(side.to_device(a) for a in arguments), **options)
    expected = getattr(reference, name)(*arguments, **options)
    for ours, theirs in zip(actual, expected) if isinstance(expected, tuple) else [(actual, expected)]:
        assert_same(ours, theirs, exactly, each)


def activate(side, data) -> None:
    shape, dtype = data.draw(shapes(data.draw(st.integers(1, 3)))), data.draw(FLOATS)
    bias = data.draw(st.just(0) | tensors(shape[-1:], dtype))
    z, how = data.draw(tensors(shape, dtype)), data.draw(activations)
    compare(side, "activate", z, bias, how, data.draw(keys), data.draw(rates), exactly=how in ("identity", "relu"))


def activate_vjp(side, data) -> None:
    """At outputs of the unit: of others its slope cannot be told."""
    shape, stack, dtype = data.draw(shapes(2)), data.draw(st.sampled_from([(2,), (), (3, 1), (0,)])), data.draw(FLOATS)
    how = data.draw(activations), data.draw(keys), data.draw(rates)
    y, g = reference.activate(data.draw(tensors(shape, dtype)), 0, *how), data.draw(tensors(stack + shape, dtype))
    compare(side, "activate_vjp", g, data.draw(layouts(y)), *how, exactly=True)


def dropout_mask(side, data) -> None:
    like, key = data.draw(tensors(data.draw(shapes(2)), data.draw(FLOATS))), data.draw(st.integers(0, 2**64 - 1))
    compare(side, "dropout_mask", key, like, data.draw(rates), exactly=True)


def random_uniform(side, data) -> None:
    like, key = data.draw(tensors(data.draw(shapes(2)), data.draw(FLOATS))), data.draw(st.integers(0, 2**64 - 1))
    compare(side, "random_uniform", key, like, data.draw(st.integers(0, 2**40)), exactly=True)


#: The same numbers in memory that can be written to, and laid out in one way or another.
WRITABLE = [np.array, np.asfortranarray, lambda x: np.repeat(x, 2, -1)[..., ::2], lambda x: x[::-1].copy()[::-1]]


def update(name, slots, *options):
    """The law of an optimiser's update, which changes its arrays in place."""

    def law(side, data) -> None:
        shape, dtype = data.draw(shapes(data.draw(st.integers(1, 2)))), data.draw(FLOATS)
        numbers = data.draw(st.sampled_from(options))
        w, g, *states = (data.draw(tensors(shape, dtype)) for _ in range(2 + slots))
        w, states = np.array(w), [abs(s) for s in states]
        w.reshape(-1)[::3] = 0  # where a penalty has no slope
        places = [data.draw(st.sampled_from(WRITABLE)) for _ in range(1 + slots)]
        theirs = [place(np.array(a)) for place, a in zip(places, (w, *states))]
        ours = [side.to_device(place(np.array(a))) for place, a in zip(places, (w, *states))]
        getattr(reference, name)(theirs[0], g, *theirs[1:], *numbers)
        getattr(side.kernels, name)(ours[0], side.to_device(g), *ours[1:], *numbers)
        for actual, expected in zip(ours, theirs):
            assert_same(actual, expected, exactly=side.keeps_roundings)

    return law


def tanh_adam(side, data) -> None:
    """Two steps, rows at different ones, with and without pixels that stay and a threshold."""
    shape, dtype = data.draw(shapes(2)), data.draw(FLOATS)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    bounds, masked = data.draw(st.sampled_from([(0, 1), (-0.5, 2.0)])), data.draw(st.booleans())
    half, limit = 0.55 * (bounds[1] - bounds[0]), 1.55  # tanh 1.55 > 1/1.1
    x, start = (bounds[0] + (bounds[1] - bounds[0]) * rng.integers(0, 9, shape) / 8 for _ in range(2))
    w = np.arctanh((start - sum(bounds) / 2) / half)
    free = rng.random(shape) < 0.6 if masked else None
    tau = data.draw(st.none() | st.just(rng.random(shape[:1]).astype(dtype) / 2))
    g, mean, square = rng.normal(size=shape), rng.normal(size=shape), rng.random(shape)
    start = np.where(free, start, x) if masked else start
    states = [v.astype(dtype) for v in (w, mean, square, start)]
    places, g, x = data.draw(st.sampled_from(WRITABLE)), data.draw(layouts(g.astype(dtype))), x.astype(dtype)
    theirs, ours = [places(v.copy()) for v in states], [side.to_device(places(v.copy())) for v in states]
    rest = 0.05, bounds, half, limit
    for step in (rng.integers(1, 9, shape[0]), rng.integers(9, 999, shape[0])):
        expected = reference.tanh_adam(*theirs, g, x, step, *rest, free, tau)
        actual = side.kernels.tanh_adam(
            *ours, *map(side.to_device, (g, x, step)), *rest, *map(side.to_device, (free, tau))
        )
        for a, b in zip((actual, *ours), (expected, *theirs)):
            assert_same(a, b)


def polynomial_mutation(side, data) -> None:
    shape, dtype = data.draw(shapes(2)), data.draw(FLOATS)
    low, high = data.draw(st.sampled_from([(0, 1), (-0.5, 2.0)]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = data.draw(layouts((low + (high - low) * rng.random(shape)).clip(low, high).astype(dtype)))
    how = data.draw(st.sampled_from([0.1, 0.5, 1.0, 0.0])), data.draw(st.sampled_from([15, 1.5, 0, 200]))
    compare(side, "polynomial_mutation", data.draw(st.integers(0, 2**64 - 1)), x, *how, (low, high))


def cppn(side, data) -> None:
    """Where an error in the last bit stays one: some neurons add up anything, of inputs alone; the rest at most 1.

    Connections that do not count are there, too, and with weights of their own.
    """
    dtype, n, given = data.draw(FLOATS), data.draw(st.sampled_from([3, 1, 2, 5, 0])), data.draw(st.integers(1, 8))
    neurons, rng = given + data.draw(st.integers(0, 8)), np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    w = rng.uniform(-1, 1, (n, neurons, neurons)) * (rng.random((n, neurons, neurons)) < 0.4)
    counts = np.triu(np.ones(w.shape, bool), 1)
    small = w / np.maximum(1, abs(w * counts).sum(axis=1, keepdims=True))
    of_inputs = 30 * w * (np.arange(neurons)[:, None] < given)
    w = np.where(counts, np.where(rng.random((n, 1, neurons)) < 0.5, of_inputs, small), 99 * w)
    functions = rng.integers(0, 4, (n, neurons)).astype(data.draw(st.sampled_from([np.int8, np.int64])))
    inputs = rng.uniform(-1, 1, (given, data.draw(sides)))
    weights, functions, inputs = (data.draw(layouts(a)) for a in (w.astype(dtype), functions, inputs.astype(dtype)))
    compare(side, "cppn", weights, functions, inputs, data.draw(st.sampled_from([1, neurons, min(3, neurons), 0])))


def gather(side, data) -> None:
    shape, dtype = data.draw(shapes(data.draw(st.integers(1, 3)))), data.draw(FLOATS)
    n, kind = shape[0], data.draw(st.sampled_from([np.int64, np.int32, np.bool_]))
    numbers = data.draw(st.lists(st.integers(-n, n - 1), max_size=9)) if n else []
    rows = np.arange(n) % 3 == 0 if kind is np.bool_ else np.array(numbers, kind)
    compare(side, "gather", data.draw(tensors(shape, dtype)), data.draw(layouts(rows)), exactly=True)


def sign_step(side, data) -> None:
    shape, dtype = data.draw(shapes(2)), data.draw(FLOATS)
    x, g = data.draw(tensors(shape, dtype)), data.draw(tensors(shape, dtype, ties=True))
    bounds, origin = data.draw(st.sampled_from([None, (-0.5, 0.7)])), data.draw(st.none() | tensors(shape, dtype))
    actual = side.kernels.sign_step(*(side.to_device(a) for a in (x, g)), 0.3, bounds, side.to_device(origin), 0.1)
    assert_same(actual, reference.sign_step(x, g, 0.3, bounds, origin, 0.1), exactly=True)


def cross_entropy(side, data) -> None:
    """And its slope."""
    rows, dtype = data.draw(shapes(data.draw(st.integers(1, 2)))), data.draw(FLOATS)
    classes, size = data.draw(st.sampled_from([1, 2, 10])), data.draw(st.sampled_from([1, 100]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    labels = rng.integers(0, classes, rows).astype(data.draw(st.sampled_from([np.int64, np.uint8])))
    z = data.draw(tensors((*rows, classes), dtype)) * dtype(size)
    compare(side, "cross_entropy", z, data.draw(layouts(labels)))
    compare(side, "cross_entropy_gradient", z, labels, each=True)


few = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def convolutions(draw, dtype, ties: bool = False):
    """x, w, a bias or the number 0, stride and padding."""
    n, channels, filters = draw(sides), draw(st.sampled_from([1, 2, 3, 9])), draw(st.sampled_from([1, 2, 3, 6]))
    size, image = draw(few), draw(st.tuples(*[st.integers(3, 7)] * 2))
    stride, padding = draw(st.sampled_from([(1, 0), (2, 1), (3, 2), (1, 1)]))
    x, w = draw(tensors((n, channels, *image), dtype, ties)), draw(tensors((filters, channels, *size), dtype, ties))
    return x, w, draw(st.just(0) | tensors((filters,), dtype)), stride, padding


def conv2d(side, data) -> None:
    """And its two transposes."""
    dtype = data.draw(FLOATS)
    x, w, _, stride, padding = data.draw(convolutions(dtype))
    y = data.draw(tensors(reference.conv2d(x, w, stride, padding).shape, dtype))
    compare(side, "conv2d", x, w, stride, padding)
    compare(side, "conv2d_input", y, w, stride, padding, size=x.shape[2:])
    compare(side, "conv2d_weights", x, y, stride, padding, size=w.shape[2:])


def max_windows(side, data) -> None:
    """And where the maxima are, and the transpose, also of windows with too many pixels for a byte."""
    windows = st.sampled_from([((2, 2), 2, 2), ((3, 2), 1, 3), ((2, 2), 3, 2), ((1, 3), 2, 3), ((17, 16), 1, 17)])
    dtype, (size, stride, least) = data.draw(FLOATS), data.draw(windows)
    image = (data.draw(st.integers(least, least + 4)), data.draw(st.integers(least, least + 4)))
    lead = data.draw(shapes(data.draw(st.integers(0, 2))))
    x = data.draw(tensors(lead + image, dtype, ties=data.draw(st.booleans())))
    y = reference.max_windows(x, size, stride)
    places = reference.argmax_windows(x, y, size, stride)
    compare(side, "max_windows", x, size, stride, exactly=True)
    compare(side, "argmax_windows", x, y, size, stride)
    g = data.draw(tensors(data.draw(shapes(data.draw(st.integers(0, 1)))) + y.shape, dtype))
    exactly = side.keeps_roundings  # where windows overlap, the order of a sum matters
    compare(side, "put_into_windows", g, data.draw(layouts(places)), size, stride, image, exactly=exactly)


def conv2d_max(side, data) -> None:
    """And its two transposes.  Small whole numbers: sums are exact, ties many, and places well defined."""
    dtype = data.draw(FLOATS)
    x, w, bias, stride, padding = data.draw(convolutions(dtype, ties=True))
    between = reference.conv2d(x, w, stride, padding).shape[2:]
    size, step = data.draw(st.sampled_from([((2, 2), 2), ((3, 3), 2), ((2, 1), 3), ((2, 1), 1), ((1, 1), 1)]))
    size = (min(size[0], between[0]), min(size[1], between[1]))
    compare(side, "conv2d_max", x, w, bias, stride, padding, size, step, exactly=True)
    y, places = reference.conv2d_max(x, w, bias, stride, padding, size, step)
    stack, among = data.draw(st.sampled_from([(), (1,), (2,)])), {"size": size, "step": step, "between": between}
    g = data.draw(tensors(stack + y.shape, dtype))
    compare(side, "conv2d_max_input", g, places, w, stride, padding, image=x.shape[2:], **among)
    one = g[(0,) * len(stack)]
    compare(side, "conv2d_max_weights", x, one, places, stride, padding, filters=w.shape[2:], **among)


def slopes(rng, n: int, m: int, dtype) -> tuple[np.ndarray, np.ndarray]:
    """a and b, n rows of each kind: random; with ties; opposed; and such that sums, or products, round alike."""
    alike = 1 + rng.integers(0, 4, size=(3, n, m)) * np.finfo(dtype).eps
    rising = rng.integers(-3, 4, size=(n, m))
    opposed = rising, rng.integers(0, 2, size=(n, m)) - rising
    random, ties, size = rng.normal(size=(2, n, m)), rng.integers(-2, 3, size=(2, n, m)), 1e4 * rng.random((n, m))
    rows = [random, ties, opposed, alike[:2], (alike[2], size)]
    return tuple(np.concatenate(v).astype(dtype) for v in zip(*rows))


def best_pairs(side, data) -> None:
    """And the best features: exactly those of the definition, ties included."""
    dtype, n, m = (
        data.draw(FLOATS),
        data.draw(st.sampled_from([40, 1, 0])),
        data.draw(st.sampled_from([40, 9, 3, 2, 1])),
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    a, b = (data.draw(layouts(v)) for v in slopes(rng, n, m, dtype))
    domain = data.draw(layouts(rng.random(a.shape) < data.draw(st.sampled_from([0.3, 0.8, 1.0]))))
    compare(side, "best_features", a, b, domain)
    compare(side, "best_pairs", a, b, domain)
    if n:
        actual = side.kernels.best_pairs(*(side.to_device(v) for v in (a, b, domain)))
        assert_same(actual, reference.best_pairs_by_definition(a, b, domain))


def matmul(side, data) -> None:
    """Of matrices and stacks of them; now and then large enough to be shared among threads."""
    dtype, large = data.draw(FLOATS), data.draw(st.booleans())
    n, k, m = data.draw(st.sampled_from([(300, 180, 120), (120, 180, 300)])) if large else data.draw(shapes(3))
    stack = data.draw(st.sampled_from([(2,), ()] if large else [(), (2,), (3, 1), (0,)]))
    a, b = data.draw(tensors((*stack, n, k), dtype)), data.draw(tensors((k, m), dtype))
    compare(side, "matmul", a, b)
    compare(side, "matmul", data.draw(tensors((k, n), dtype)).T, data.draw(tensors((*stack, k, m), dtype)))


def channel_sums(side, data) -> None:
    """To within a part of what is summed, which may cancel."""
    shape = (*data.draw(st.sampled_from([(), (2,), (0,)])), *data.draw(shapes(4)))
    g = data.draw(tensors(shape, data.draw(FLOATS)))
    actual, expected = to_host(side.kernels.channel_sums(side.to_device(g))), reference.channel_sums(g)
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    limit = TOLERANCE[str(g.dtype)] * reference.channel_sums(abs(g.astype(np.float64)))
    assert (abs(actual.astype(np.float64) - expected) <= limit).all()


RATES = (0.1, 0.9)
LAWS = {law.__name__: law for law in (activate, activate_vjp, dropout_mask, random_uniform, gather, sign_step, tanh_adam,
                                      polynomial_mutation, cppn, cross_entropy, conv2d, max_windows, conv2d_max,
                                      best_pairs, matmul, channel_sums)} | {
    "sgd": update("sgd", 1, (*RATES, False), (*RATES, True, 0.0, 0.1), (0.1, 0.0, True, 0.01, 0.02)),
    "rmsprop": update("rmsprop", 1, (*RATES, 0.1, True), (*RATES, 0.1, False, 0.1, 0.0), (*RATES, 0.1, True, 0.1, 0.2)),
    "adam": update("adam", 2, (1, *RATES, 0.99, 0.01), (7, *RATES, 0.99, 0.01, 0.1, 0.2)),
}  # fmt: skip
