"""One drawn case per operation: a function of one array, a point, and what NumPy says the value should be.

`CASES[name]` is a strategy of `Case`.  The laws are run over all of them, and so are the planted mutants.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minidl import conv, fused, layers, losses, ops
from minidl.kernels import reference
from minidl.layers import Glorot, He, Normal

from .strategies import arrays, axes_of, broadcastable, shapes


@dataclass
class Case:
    """f(x), the point x (float64), and the same function in NumPy alone."""

    f: Callable[[Any], Any]
    x: np.ndarray
    numpy: Callable[[np.ndarray], Any]
    text: str = ""

    def __repr__(self) -> str:
        held = inspect.getclosurevars(self.f).nonlocals if inspect.isfunction(self.f) else {}
        constants = [f"{name} = {value!r}" for name, value in held.items() if not callable(value)]
        return f"Case({self.text} at x = {', '.join([repr(self.x), *constants])})"


CASES: dict[str, st.SearchStrategy[Case]] = {}


def case(strategy: Callable[..., Any]) -> None:
    """Add a drawn case under the name of its function."""
    CASES[strategy.__name__] = st.composite(strategy)()


# --- elementwise, one argument ---------------------------------------------------------------------------


def unary(name: str, f: Callable, oracle: Callable, low: int = -16) -> None:
    @st.composite
    def drawn(draw) -> Case:
        return Case(f, draw(arrays(draw(shapes(0, 4)), low=low)), oracle, name)

    CASES[name] = drawn()


unary("exp", ops.exp, np.exp)
unary("log", ops.log, np.log, low=2)
unary("sqrt", ops.sqrt, np.sqrt, low=2)
unary("sin", ops.sin, np.sin)
unary("cos", ops.cos, np.cos)
unary("tanh", ops.tanh, np.tanh)
unary("sigmoid", ops.sigmoid, lambda x: 1 / (1 + np.exp(-x)))
unary("softplus", ops.softplus, lambda x: np.log(1 + np.exp(x)))
unary("relu", ops.relu, lambda x: np.where(x > 0, x, 0))
unary("sign", ops.sign, np.sign)
unary("absolute", ops.absolute, np.abs)
unary("negative", ops.negative, np.negative)
unary("cube_of_operators", lambda x: -(x * x - 1.0) * x + abs(2.0 - x) / 4, lambda x: -(x * x - 1) * x + abs(2 - x) / 4)
unary("numbers", lambda x: 3.0 - 2 * x + x / 4, lambda x: 3 - 2 * x + x / 4)
unary("one_over", lambda x: 1 / x, lambda x: 1 / x, low=2)
unary("square", lambda x: x**2, lambda x: x**2)
unary("fourth_root", lambda x: x**0.25, lambda x: x**0.25, low=2)
unary("to_the_nought", lambda x: x**0 * x, lambda x: x)
unary("two_to_the", lambda x: 2**x, lambda x: 2.0**x)
unary(
    "clip", lambda x: ops.clip(x, -1.0, 1.0) * ops.clip(x, high=0.5), lambda x: np.clip(x, -1, 1) * np.minimum(x, 0.5)
)
unary("clipped", lambda x: ops.minimum(ops.maximum(x, -1.0), 1.0), lambda x: np.clip(x, -1, 1))


# --- elementwise, two arguments: each side alone, and both at once ---------------------------------------


def binary(name: str, f: Callable, oracle: Callable, low: int = -16) -> None:
    @st.composite
    def drawn(draw) -> Case:
        first, second = draw(broadcastable())
        a, b = draw(arrays(first, low=low)), draw(arrays(second, low=low)) + 1 / 32  # never equal to a
        which = draw(st.sampled_from(["first", "second", "both"]))
        if which == "first":
            return Case(lambda x: f(x, b), a, lambda x: oracle(x, b), f"{name}, {first} with {second}, first")
        if which == "second":
            return Case(lambda x: f(a, x), b, lambda x: oracle(a, x), f"{name}, {first} with {second}, second")
        return Case(lambda x: f(x, x * x + 3), a, lambda x: oracle(x, x * x + 3), f"{name} of x and x² + 3")

    CASES[name] = drawn()


binary("add", ops.add, np.add)
binary("subtract", ops.subtract, np.subtract)
binary("multiply", ops.multiply, np.multiply)
binary("divide", ops.divide, np.divide, low=2)
binary("power", ops.power, np.power, low=2)
# 0.003: so that no b divides an a, nor nearly
binary("mod", lambda a, b: a % (b + 0.003), lambda a, b: np.mod(a, b + 0.003))
binary("maximum", ops.maximum, np.maximum)
binary("minimum", ops.minimum, np.minimum)


@case
def where(draw) -> Case:
    first, second = draw(broadcastable())
    shape = np.broadcast_shapes(first, second)
    condition = np.array(draw(st.lists(st.booleans(), min_size=(n := int(np.prod(shape))), max_size=n))).reshape(shape)
    a, b = draw(arrays(first)), draw(arrays(second))
    if draw(st.booleans()):
        return Case(lambda x: ops.where(condition, x, b), a, lambda x: np.where(condition, x, b), "where, first")
    return Case(lambda x: ops.where(condition, a, x), b, lambda x: np.where(condition, a, x), "where, second")


# --- linear ----------------------------------------------------------------------------------------------


@case
def reshape(draw) -> Case:
    shape = draw(shapes(0, 4))
    new = tuple(draw(st.permutations(shape)))
    if draw(st.booleans()):
        new = (*new, 1)
    if new and draw(st.booleans()):
        new = (-1, *new[1:])
    return Case(lambda x: ops.reshape(x, new), draw(arrays(shape)), lambda x: x.reshape(new), f"reshape to {new}")


@case
def transpose(draw) -> Case:
    shape = draw(shapes(0, 4))
    order = draw(st.sampled_from([*itertools.permutations(range(len(shape))), None]))
    return Case(lambda x: ops.transpose(x, order), draw(arrays(shape)), lambda x: x.transpose(order), f"{order}")


@case
def broadcast_to(draw) -> Case:
    full = draw(shapes(0, 4))
    own = tuple(draw(st.sampled_from([n, 1])) for n in full[draw(st.integers(0, len(full))) :])
    return Case(
        lambda x: ops.broadcast_to(x, full), draw(arrays(own)), lambda x: np.broadcast_to(x, full), f"to {full}"
    )


def reduction(name: str, f: Callable, oracle: Callable, distinct: bool = False) -> None:
    @st.composite
    def drawn(draw) -> Case:
        shape, keepdims = draw(shapes(0, 4)), draw(st.booleans())
        axis = draw(axes_of(len(shape)))
        text = f"{name} over {axis}, keepdims={keepdims}"
        return Case(lambda x: f(x, axis, keepdims), draw(arrays(shape, distinct=distinct)),
                    lambda x: oracle(x, axis=axis, keepdims=keepdims), text)  # fmt: skip

    CASES[name] = drawn()


reduction("sum", ops.sum, np.sum)
reduction("mean", ops.mean, np.mean)
reduction("max", ops.max, np.max, distinct=True)
reduction("min", ops.min, np.min, distinct=True)
reduction("prod", ops.prod, np.prod)
reduction("var", ops.var, np.var)
reduction("std", ops.std, np.std, distinct=True)
reduction("logsumexp", ops.logsumexp, lambda x, **over: np.log(np.exp(x).sum(**over)))
reduction("norm", ops.norm, lambda x, **over: np.sqrt((x * x).sum(**over)))


@case
def index(draw) -> Case:
    shape = draw(shapes(1, 4))
    kind = draw(st.sampled_from(["basic", "arrays", "mixed", "mask"]))

    def one(n: int, basic: bool):
        if not basic:
            return np.array(draw(st.lists(st.integers(-n, n - 1), min_size=2, max_size=2)))
        start, step = draw(st.integers(0, n - 1)), draw(st.sampled_from([1, -1, 2]))
        return draw(st.sampled_from([draw(st.integers(-n, n - 1)), slice(start, None, step), slice(None)]))

    if kind == "mask":
        bits = draw(st.lists(st.booleans(), min_size=(n := int(np.prod(shape))), max_size=n))
        key: Any = np.array(bits).reshape(shape)
    else:
        picks = [one(n, kind == "basic" or (kind == "mixed" and draw(st.booleans()))) for n in shape]
        cut = draw(st.integers(0, len(picks)))
        extra = [Ellipsis] if draw(st.booleans()) else []
        new = [None] if kind == "basic" and draw(st.booleans()) else []
        key = tuple(picks[:cut] + extra + new) if not extra else tuple(extra + picks[cut:] + new)
    return Case(lambda x: x[key] * 1.0, draw(arrays(shape)), lambda x: x[key] * 1.0, f"x[{key}]")


@case
def repeated_index(draw) -> Case:
    n = draw(st.integers(1, 4))
    rows = np.array(draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=6)))
    return Case(lambda x: x[rows], draw(arrays((n, 2))), lambda x: x[rows], f"rows {rows}")


@case
def concatenate(draw) -> Case:
    shape = draw(shapes(1, 3))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    before, after = draw(arrays(shape)), draw(arrays(shape))
    return Case(lambda x: ops.concatenate([before, x * x, after, x], axis), draw(arrays(shape)),
                lambda x: np.concatenate([before, x * x, after, x], axis), f"axis {axis}")  # fmt: skip


@case
def stack(draw) -> Case:
    shape = draw(shapes(0, 3))
    axis = draw(st.integers(-len(shape) - 1, len(shape)))
    other = draw(arrays(shape)) if shape else 0.5  # numbers among arrays of shape ()
    return Case(lambda x: ops.stack([x, other, x * x], axis), draw(arrays(shape)),
                lambda x: np.stack([x, other, x * x], axis), f"axis {axis}")  # fmt: skip


@case
def matmul(draw) -> Case:
    n, m, k = draw(st.tuples(*[st.integers(1, 3)] * 3))
    stacks = draw(broadcastable(2))
    first = draw(st.sampled_from([(m,), (n, m), (*stacks[0], n, m)]))
    second = draw(st.sampled_from([(m,), (m, k), (*stacks[1], m, k)]))
    a, b = draw(arrays(first)), draw(arrays(second))
    if draw(st.booleans()):
        return Case(lambda x: x @ b, a, lambda x: x @ b, f"{first} @ {second}, first")
    return Case(lambda x: a @ x, b, lambda x: a @ x, f"{first} @ {second}, second")


@case
def gram(draw) -> Case:
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    return Case(lambda x: ops.matmul(x, x.T), draw(arrays(shape)), lambda x: x @ x.T, "x·xᵀ")


@case
def prod_with_zeros(draw) -> Case:
    shape = draw(shapes(1, 3))
    bits = draw(st.lists(st.booleans(), min_size=(n := int(np.prod(shape))), max_size=n))
    axis = draw(axes_of(len(shape)))
    x = draw(arrays(shape)) * np.array(bits).reshape(shape)
    return Case(lambda x: ops.prod(x, axis), x, lambda x: np.prod(x, axis), f"over {axis}")


@case
def dot(draw) -> Case:
    n, m, k = draw(st.tuples(*[st.integers(1, 3)] * 3))
    first, second = draw(st.sampled_from([((), (n, m)), ((m,), (m,)), ((m,), ()), ((n, m), (m,)), ((n, m), (m, k))]))
    a, b = draw(arrays(first)), draw(arrays(second))
    if draw(st.booleans()):
        return Case(lambda x: ops.dot(x, b), a, lambda x: np.dot(x, b), f"{first} · {second}, first")
    return Case(lambda x: ops.dot(a, x), b, lambda x: np.dot(a, x), f"{first} · {second}, second")


#: Matrix products, outer and elementwise ones, sums, diagonals; in pairs, alone and three at a time; dots.
SUBSCRIPTS = ["ij,jk->ik", "ij,jk", "ji", "ij->j", "ij->", "ii", "ii->i", "iij,kj->ki", "ij,ij->ij", "i,j->ji", "i,ij->",
              "bij,bjk->bki", "ij,ik,il->jkl", "ij,jk,kl->il", ",i->i", "...ij,...jk->...ik", "i...,...", "b...,i->b..."]  # fmt: skip


@case
def einsum(draw) -> Case:
    """As a function of one of the operands, or of one that stands in the place of all that have its shape."""
    subscripts = draw(st.sampled_from(SUBSCRIPTS))
    lengths = {letter: draw(st.integers(1, 3)) for letter in "bijkl"}
    dots = draw(shapes(0, 2))

    def shape(word: str) -> tuple[int, ...]:
        shared = tuple(draw(st.sampled_from([n, 1])) for n in dots[draw(st.integers(0, len(dots))) :])
        before, found, after = word.partition("...")
        return (*(lengths[c] for c in before), *(shared if found else ()), *(lengths[c] for c in after))

    operands = [draw(arrays(shape(word))) for word in subscripts.split("->")[0].split(",")]
    which, several = draw(st.integers(0, len(operands) - 1)), draw(st.booleans())
    x = operands[which]
    ours = [i == which or (several and operand.shape == x.shape) for i, operand in enumerate(operands)]

    def among(x: Any) -> list[Any]:
        return [x if mine else operand for mine, operand in zip(ours, operands)]

    return Case(lambda x: ops.einsum(subscripts, *among(x)), x, lambda x: np.einsum(subscripts, *among(x)),
                f"{subscripts}, {[operand.shape for operand in operands]}, {ours}")  # fmt: skip


# --- changes of shape ------------------------------------------------------------------------------------


@case
def swapaxes(draw) -> Case:
    shape = draw(shapes(1, 4))
    pair = [draw(st.integers(-len(shape), len(shape) - 1)) for _ in range(2)]
    return Case(lambda x: x.swapaxes(*pair) * 1.0, draw(arrays(shape)), lambda x: np.swapaxes(x, *pair), f"{pair}")


@case
def squeeze(draw) -> Case:
    shape = draw(shapes(0, 4))
    ones = [i for i, n in enumerate(shape) if n == 1]
    axis = draw(st.sampled_from([None, tuple(ones), *ones, *(i - len(shape) for i in ones)]))
    return Case(lambda x: ops.squeeze(x, axis), draw(arrays(shape)), lambda x: np.squeeze(x, axis), f"{axis}")


@case
def expand_dims(draw) -> Case:
    shape = draw(shapes(0, 3))
    one = draw(st.integers(-len(shape) - 1, len(shape)))
    axis = draw(st.sampled_from([one, (0, -1), (1, 0), ()]))
    return Case(lambda x: ops.expand_dims(x, axis), draw(arrays(shape)), lambda x: np.expand_dims(x, axis), f"{axis}")


@case
def ravel(draw) -> Case:
    return Case(lambda x: ops.ravel(x) * x.flatten(), draw(arrays(draw(shapes(0, 3)))), lambda x: x.ravel() ** 2, "")


@case
def flip(draw) -> Case:
    shape = draw(shapes(0, 3))
    axis = draw(axes_of(len(shape)))
    return Case(lambda x: ops.flip(x, axis), draw(arrays(shape)), lambda x: np.flip(x, axis), f"{axis}")


@case
def pad(draw) -> Case:
    shape = draw(shapes(1, 3))
    ends = st.tuples(st.integers(0, 2), st.integers(0, 2))
    width = draw(st.one_of(st.integers(0, 2), ends, st.tuples(*[ends] * len(shape))))
    value = draw(st.sampled_from([0.0, -1.5]))
    return Case(lambda x: ops.pad(x, width, value), draw(arrays(shape)),
                lambda x: np.pad(x, width, constant_values=value), f"{width}, {value}")  # fmt: skip


@case
def repeat(draw) -> Case:
    shape = draw(shapes(1, 3))
    axis = draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
    length = int(np.prod(shape)) if axis is None else shape[axis]
    counts = draw(st.one_of(st.integers(0, 3), st.lists(st.integers(0, 2), min_size=length, max_size=length)))
    return Case(lambda x: ops.repeat(x, counts, axis), draw(arrays(shape)), lambda x: np.repeat(x, counts, axis),
                f"{counts} along {axis}")  # fmt: skip


@case
def astype(draw) -> Case:
    """To a wider dtype and back: in a narrower one, differences of 10⁻⁶ would be lost."""
    return Case(lambda x: ops.astype(x.astype("longdouble") * x, x.dtype), draw(arrays(draw(shapes(0, 3)))),
                lambda x: x * x, "squared as long doubles")  # fmt: skip


@case
def stop_gradient(draw) -> Case:
    """Where it makes no difference: log Σe^x does not depend on what is taken out of x and put back."""
    x = draw(arrays(draw(shapes(1, 3)), distinct=True))

    def scaled(x: Any) -> Any:
        greatest = ops.stop_gradient(ops.max(x, axis=-1, keepdims=True))
        return ops.log(ops.sum(ops.exp(x - greatest), axis=-1, keepdims=True)) + greatest

    return Case(scaled, x, lambda x: np.log(np.exp(x).sum(axis=-1, keepdims=True)), "log Σe^x")


# --- convolution and pooling -----------------------------------------------------------------------------


@st.composite
def convolutions(draw):
    """Images, filters, stride and padding that fit together; odd shapes and filters as large as the image included."""
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    stride, padding = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    size = (draw(st.integers(1, min(3, height + 2 * padding))), draw(st.integers(1, min(3, width + 2 * padding))))
    n, c, o = draw(st.tuples(*[st.integers(1, 2)] * 3))
    return draw(arrays((n, c, height, width))), draw(arrays((o, c, *size))), stride, padding


@case
def conv2d(draw) -> Case:
    x, w, stride, padding = draw(convolutions())

    def oracle(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        return reference.convolve_by_definition(x, w, stride, padding)

    which, text = draw(st.sampled_from(["images", "filters", "both"])), f"stride {stride}, padding {padding}"
    if which == "images":
        return Case(lambda x: conv.conv2d(x, w, stride, padding), x, lambda x: oracle(x, w), f"{text}, images")
    if which == "filters":
        return Case(lambda w: conv.conv2d(x, w, stride, padding), w, lambda w: oracle(x, w), f"{text}, filters")
    return Case(lambda w: conv.conv2d(x * w[0, 0, 0, 0], w, stride, padding), w,
                lambda w: oracle(x * w[0, 0, 0, 0], w), f"{text}, both")  # fmt: skip


def pooling(name: str, f: Callable, oracle: Callable, frame: float) -> None:
    """Strides and paddings of one number, or of one for each axis."""

    @st.composite
    def drawn(draw) -> Case:
        shape = (*draw(shapes(0, 2)), draw(st.integers(1, 5)), draw(st.integers(1, 5)))
        size = (draw(st.integers(1, min(3, shape[-2]))), draw(st.integers(1, min(3, shape[-1]))))
        one = st.integers(1, 3)
        stride = draw(st.one_of(one, st.tuples(one, one)))
        padding = draw(st.sampled_from([0, min(size) // 2, (size[0] // 2, size[1] // 2), (0, size[1] // 2)]))

        def windows(x: np.ndarray) -> np.ndarray:
            (down, across), (above, aside) = conv.both(stride), conv.both(padding)
            framed = [(0, 0)] * (x.ndim - 2) + [(above, above), (aside, aside)]
            x = np.pad(x, framed, constant_values=frame)
            seen = np.lib.stride_tricks.sliding_window_view(x, size, axis=(-2, -1))
            return oracle(seen[..., ::down, ::across, :, :], axis=(-2, -1))

        x = draw(arrays(shape, distinct=True))
        return Case(lambda x: f(x, size, stride, padding), x, windows, f"{size}, stride {stride}, padding {padding}")

    CASES[name] = drawn()


pooling("max_pool2d", conv.max_pool2d, np.max, -np.inf)
pooling("avg_pool2d", conv.avg_pool2d, np.mean, 0.0)


def greatest(x: np.ndarray, size: tuple[int, int], stride: int) -> np.ndarray:
    """The maximum of every window, in NumPy's words."""
    seen = np.lib.stride_tricks.sliding_window_view(x, size, axis=(-2, -1))
    return seen[..., ::stride, ::stride, :, :].max(axis=(-2, -1))


# --- fused operations ------------------------------------------------------------------------------------


@case
def unit(draw) -> Case:
    """As a function of the sums z, of the bias, or of one array that is both."""
    rows, units = draw(shapes(1, 2)), draw(st.integers(1, 3))
    z, bias = draw(arrays((*rows, units))), draw(arrays((units,))) - 1 / 16  # so that no sum is 0
    name, rate = draw(st.sampled_from(["identity", "relu", "tanh", "sigmoid"])), draw(st.sampled_from([0.0, 0.5]))
    key = draw(st.sampled_from([None, 3]))
    mask = 1 if key is None else reference.dropout_mask(key, z, rate)
    phi = {"identity": lambda v: v, "relu": lambda v: np.maximum(v, 0), "tanh": np.tanh,
           "sigmoid": lambda v: 1 / (1 + np.exp(-v))}[name]  # fmt: skip
    which = draw(st.sampled_from(["sums", "sums, no bias", "bias", "both"]))
    text = f"{name}, {which}, key {key}, rate {rate}"
    if which == "sums, no bias":
        return Case(lambda z: fused.unit(z, None, name, key, rate), z, lambda z: phi(z) * mask, text)
    if which == "sums":
        return Case(lambda z: fused.unit(z, bias, name, key, rate), z, lambda z: phi(z + bias) * mask, text)
    if which == "bias":
        return Case(lambda b: fused.unit(z, b, name, key, rate), bias, lambda b: phi(z + b) * mask, text)
    return Case(lambda b: fused.unit(z * b[..., :1], b, name, key, rate), bias + 1 / 32,
                lambda b: phi(z * b[..., :1] + b) * mask, text)  # fmt: skip


@case
def conv2d_max(draw) -> Case:
    """As a function of the images, the filters or the bias; values at random, so that no two pixels are alike."""
    x, w, stride, padding = draw(convolutions())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x, w, bias = (rng.normal(size=shape) for shape in (x.shape, w.shape, (len(w),)))
    between = reference.convolve_by_definition(x, w, stride, padding).shape[2:]
    size = tuple(draw(st.integers(1, min(3, n))) for n in between)
    step = draw(st.integers(1, 3))

    def f(x: Any, w: Any, b: Any) -> Any:
        return fused.conv2d_max(x, w, b, stride, padding, size, step)

    def oracle(x: np.ndarray, w: np.ndarray, b: Any) -> np.ndarray:
        y = reference.convolve_by_definition(x, w, stride, padding)
        return greatest(y if b is None else y + b[:, None, None], size, step)

    b = draw(st.sampled_from([None, bias]))
    which, text = (
        draw(st.sampled_from(["images", "filters", "bias"])),
        f"stride {stride}, padding {padding}, {size}, {step}",
    )
    if which == "images":
        return Case(lambda x: f(x, w, b), x, lambda x: oracle(x, w, b), f"{which}, {text}")
    if which == "filters":
        return Case(lambda w: f(x, w, b), w, lambda w: oracle(x, w, b), f"{which}, {text}")
    return Case(lambda b: f(x, w, b), bias, lambda b: oracle(x, w, b), f"{which}, {text}")


# --- losses ----------------------------------------------------------------------------------------------


@st.composite
def logits_and_labels(draw, min_rank: int = 0):
    shape = draw(shapes(min_rank, 2))
    classes, size = draw(st.integers(1, 4)), int(np.prod(shape))
    labels = np.array(draw(st.lists(st.integers(0, classes - 1), min_size=size, max_size=size)), dtype=np.int64)
    return draw(arrays((*shape, classes))), labels.reshape(shape)


def naive_softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


@case
def softmax(draw) -> Case:
    return Case(losses.softmax, draw(logits_and_labels())[0], naive_softmax, "softmax")


@case
def log_softmax(draw) -> Case:
    return Case(losses.log_softmax, draw(logits_and_labels())[0], lambda z: np.log(naive_softmax(z)), "log_softmax")


@case
def softmax_along(draw) -> Case:
    shape = draw(shapes(1, 3))
    axis, f = draw(st.integers(-len(shape), len(shape) - 1)), draw(st.sampled_from([ops.softmax, ops.log_softmax]))

    def oracle(x: np.ndarray) -> np.ndarray:
        p = np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)
        return p if f is ops.softmax else np.log(p)

    return Case(lambda x: f(x, axis), draw(arrays(shape)), oracle, f"{f.__name__} along {axis}")


@case
def cross_entropy(draw) -> Case:
    z, y = draw(logits_and_labels())
    reduction = draw(st.sampled_from(["mean", "sum", "none"]))

    def oracle(z: np.ndarray) -> Any:
        each = -np.log(np.take_along_axis(naive_softmax(z), y[..., None], -1)[..., 0])
        return each if reduction == "none" else each.mean() if reduction == "mean" else each.sum()

    return Case(lambda z: losses.cross_entropy(z, y, reduction), z, oracle, f"labels {y}, {reduction}")


@case
def soft_cross_entropy(draw) -> Case:
    z, y = draw(logits_and_labels())
    s, classes = draw(st.sampled_from([0.0, 0.1, 0.7])), z.shape[-1]
    w = draw(st.none() | st.just(np.arange(1.0, classes + 1)))

    def oracle(z: np.ndarray) -> Any:
        q = (1 - s) * np.eye(classes)[y] + s / classes
        return -(q * np.log(naive_softmax(z))).sum(axis=-1) * (1 if w is None else w[y])

    return Case(lambda z: losses.CrossEntropy(s, w)(z, y), z, oracle, f"labels {y}, {s}, {w}")


@case
def squared_error(draw) -> Case:
    shape = draw(shapes(0, 3))
    target = draw(arrays(shape))
    return Case(
        lambda x: losses.squared_error(x, target), draw(arrays(shape)), lambda x: ((x - target) ** 2).mean(), ""
    )


@case
def penalty(draw) -> Case:
    l1, l2 = draw(st.sampled_from([(0.5, 0.0), (0.0, 0.25), (0.5, 0.25)]))
    f = losses.Penalty(l1, l2)
    return Case(lambda x: f({"dense1.W": x, "dense1.b": x}), draw(arrays(draw(shapes(0, 2)))),
                lambda x: l1 * np.abs(x).sum() + l2 * (x * x).sum(), f"{f}")  # fmt: skip


# --- layers ----------------------------------------------------------------------------------------------


def layer(name: str, make: st.SearchStrategy[layers.Layer], rank: int, oracle: Callable) -> None:
    """A layer as a function of its input; dense layers as a function of their weights too."""

    @st.composite
    def drawn(draw) -> Case:
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


_initialisers = st.sampled_from([Normal(0.5), Glorot(), He()])
layer("dense_layer", st.builds(layers.Dense, st.integers(1, 3), st.booleans(), _initialisers), 1,
      lambda x, p: x @ p["W"] + p.get("b", 0))  # fmt: skip
layer("relu_layer", st.just(layers.ReLU()), 2, lambda x, p: np.maximum(x, 0))
layer("tanh_layer", st.just(layers.Tanh()), 2, lambda x, p: np.tanh(x))
layer("sigmoid_layer", st.just(layers.Sigmoid()), 2, lambda x, p: 1 / (1 + np.exp(-x)))
layer("softmax_layer", st.just(layers.Softmax()), 1, lambda x, p: naive_softmax(x))
layer("flatten_layer", st.just(layers.Flatten()), 3, lambda x, p: x.reshape(len(x), -1))
layer("dropout_asleep", st.just(layers.Dropout(0.5)), 2, lambda x, p: x)


@case
def dropout_awake(draw) -> Case:
    it, seed = layers.Dropout(draw(st.sampled_from([0.2, 0.5, 0.8]))), draw(st.integers(0, 99))
    x = draw(arrays((3, 4)))
    mask = it.apply({}, np.ones((3, 4)), np.random.default_rng(seed))
    return Case(lambda x: it.apply({}, x, np.random.default_rng(seed)), x, lambda x: x * mask, f"{it}, seed {seed}")


@case
def conv_layer(draw) -> Case:
    x, w, stride, padding = draw(convolutions())
    it = layers.Conv2d(len(w), w.shape[2:], stride, padding, draw(st.booleans()))
    params = {key: w + 1 / 16 for key, w in it.init(x.shape[1:], np.random.default_rng(0)).items()}
    key = draw(st.sampled_from(sorted(params)))

    def oracle(p: np.ndarray) -> np.ndarray:
        both = {**params, key: p}
        y = reference.convolve_by_definition(x, both["W"], stride, padding)
        return y + both["b"][:, None, None] if "b" in both else y

    return Case(lambda p: it.apply({**params, key: p}, x), params[key], oracle, f"{it}, {key}")
