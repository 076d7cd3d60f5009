"""Drawn cases of convolution and pooling, and of operations that are computed as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import conv, fused
from ...kernels import reference
from ..drawing import Draw, arrays, shapes, st
from .cases import CASES, Case, case

# --- convolution and pooling -----------------------------------------------------------------------------


@st.composite
def convolutions(draw: Draw) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Images, filters, stride and padding that fit together; odd shapes and filters as large as the image included."""
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    stride, padding = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    size = (draw(st.integers(1, min(3, height + 2 * padding))), draw(st.integers(1, min(3, width + 2 * padding))))
    n, c, o = draw(st.tuples(*[st.integers(1, 2)] * 3))
    return draw(arrays((n, c, height, width))), draw(arrays((o, c, *size))), stride, padding


@case
def conv2d(draw: Draw) -> Case:
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
    def drawn(draw: Draw) -> Case:
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
def activate(draw: Draw) -> Case:
    """As a function of the sums z, of the bias, or of one array that is both."""
    rows, units = draw(shapes(1, 2)), draw(st.integers(1, 3))
    z, bias = draw(arrays((*rows, units))), draw(arrays((units,))) - 1 / 16  # so that no sum is 0
    name, rate = draw(st.sampled_from(["identity", "relu", "tanh", "sigmoid"])), draw(st.sampled_from([0.0, 0.5]))
    key = draw(st.sampled_from([None, 3]))
    mask = 1 if key is None else reference.dropout_mask(key, z, rate)
    functions: dict[str, Callable[[Any], Any]] = {
        "identity": lambda v: v,
        "relu": lambda v: np.maximum(v, 0),
        "tanh": np.tanh,
        "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
    }
    phi = functions[name]
    which = draw(st.sampled_from(["sums", "sums, no bias", "bias", "both"]))
    text = f"{name}, {which}, key {key}, rate {rate}"
    if which == "sums, no bias":
        return Case(lambda z: fused.activate(z, None, name, key, rate), z, lambda z: phi(z) * mask, text)
    if which == "sums":
        return Case(lambda z: fused.activate(z, bias, name, key, rate), z, lambda z: phi(z + bias) * mask, text)
    if which == "bias":
        return Case(lambda b: fused.activate(z, b, name, key, rate), bias, lambda b: phi(z + b) * mask, text)
    return Case(lambda b: fused.activate(z * b[..., :1], b, name, key, rate), bias + 1 / 32,
                lambda b: phi(z * b[..., :1] + b) * mask, text)  # fmt: skip


@case
def conv2d_max(draw: Draw) -> Case:
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
