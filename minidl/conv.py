"""Convolution and pooling, on images N, C, H, W.  *Read after ops.py; nothing else in the engine needs it.*

Convolution is bilinear, and so are the two maps that make up its derivative.  All three relate the same arrays, images
x (N, C, H, W), filters w (O, C, h, w) and outputs y (N, O, H', W').  Each computes one of them from the other two:

    conv2d:          x, w  ->  y        y[n, o] = Σ_c x[n, c] ⋆ w[o, c]
    conv2d_input:    y, w  ->  x        the transpose of conv2d in x
    conv2d_weights:  x, y  ->  w        the transpose of conv2d in w

So each rule of one is a call of another, and derivatives can be differentiated any number of times.

Average pooling is linear.  So is max-pooling, once the place of the largest pixel in each window is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd, prod
from numbers import Integral
from typing import Any

from . import ops
from .backend import kernels, namespace
from .core import Array, Primitive, linear, unbox
from .errors import DTypeError, RangeError, ShapeError

Size = Any  # one length, or (height, width)


# --- convolution -----------------------------------------------------------------------------------------


class Bilinear(Primitive):
    """One of the three maps, (a, b) -> c, linear in a and in b, all of rank 4.

    name: of the kernel that computes it.
    shared: for a and for b, the place of the axis that it shares with the result: in the argument, and in the result.
    Of the axes N, C and O, each argument shares one with the result, and the third is summed over.

    Extra leading axes of a tangent are folded into the shared axis: one convolution then serves the whole stack.

    >>> from minidl.conv import _conv2d
    >>> _conv2d.shared
    ((0, 0), (0, 1))
    """

    def __init__(self, name: str, shared: tuple[tuple[int, int], tuple[int, int]]) -> None:
        def push_first(t: Array, c: Array, a: Array, b: Array, **options: Any) -> Array:
            return self.stacked(t, b, **options)

        def push_second(t: Array, c: Array, a: Array, b: Array, **options: Any) -> Array:
            return self.stacked(a, t, **options)

        super().__init__(name, _kernel(name), push=(push_first, push_second), pull=())
        self.shared = shared

    def stacked(self, a: Array, b: Array, **options: Any) -> Array:
        """The map, where one of the two may have extra leading axes, which the result then has, too."""
        pair, which = [a, b], 0 if a.ndim > 4 else 1
        stack, (own, result) = pair[which].shape[:-4], self.shared[which]
        if not stack:
            return self(a, b, **options)
        length = pair[which].shape[own - 4]
        pair[which] = _fold(pair[which], own)
        return _unfold(self(*pair, **options), result, stack, length)


def _kernel(name: str) -> Callable[..., Array]:
    return lambda *arguments, **options: getattr(kernels(*arguments), name)(*arguments, **options)


def _fold(a: Array, axis: int) -> Array:
    """(*stack, p, q, h, w) with the stack folded into axis 0 or 1 of the last four."""
    stack, (p, q, *rest) = prod(a.shape[:-4]), a.shape[-4:]
    a = ops.reshape(a, (stack, p, q, *rest))
    if axis == 0:
        return ops.reshape(a, (stack * p, q, *rest))
    return ops.reshape(ops.transpose(a, (1, 0, 2, 3, 4)), (p, stack * q, *rest))


def _unfold(a: Array, axis: int, stack: tuple[int, ...], length: int) -> Array:
    """A result of rank 4 with the stack moved from axis 0 or 1 back to the front."""
    p, q, *rest = a.shape
    if axis == 0:
        return ops.reshape(a, (*stack, length, q, *rest))
    a = ops.transpose(ops.reshape(a, (p, prod(stack), length, *rest)), (1, 0, 2, 3, 4))
    return ops.reshape(a, (*stack, p, length, *rest))


_conv2d = Bilinear("conv2d", shared=((0, 0), (0, 1)))  # images share N, filters share O
_input = Bilinear("conv2d_input", shared=((0, 0), (1, 1)))  # outputs share N, filters share C
_weights = Bilinear("conv2d_weights", shared=((1, 1), (1, 0)))  # images share C, outputs share O

_conv2d.pull = (
    lambda g, y, x, w, **o: _input.stacked(g, w, size=x.shape[2:], **o),
    lambda g, y, x, w, **o: _weights.stacked(x, g, size=w.shape[2:], **o),
)
_input.pull = (
    lambda g, x, y, w, size, **o: _conv2d.stacked(g, w, **o),
    lambda g, x, y, w, size, **o: _weights.stacked(g, y, size=w.shape[2:], **o),
)
_weights.pull = (
    lambda g, w, x, y, size, **o: _input.stacked(y, g, size=x.shape[2:], **o),
    lambda g, w, x, y, size, **o: _conv2d.stacked(x, g, **o),
)


def conv2d(x: Array, w: Array, stride: int = 1, padding: int = 0) -> Array:
    """Cross-correlation, which the field calls convolution:  x ⋆ w.

        y[n, o, i, j] = Σ_{c, u, v} x[n, c, i·stride + u - padding, j·stride + v - padding] · w[o, c, u, v]

    x: images (N, C, H, W), 0 outside of the image.
    w: filters (O, C, h, w).
    stride: from one window to the next, at least 1.
    padding: zeros added on each side, at least 0.

    Returns: (N, O, H', W') with H' = ⌊(H + 2·padding - h)/stride⌋ + 1.  For dilation and groups see `layers.Conv2d`.
    Raises: `ShapeError` if ranks or channels differ, or a filter is larger than the padded image; `RangeError` for a
    stride or padding out of range.

    >>> import numpy as np
    >>> from minidl.conv import conv2d
    >>> conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)))
    array([[[[4., 4.],
             [4., 4.]]]])
    """
    check_filters(x, w)
    windows("conv2d", x.shape[2:], w.shape[2:], stride, padding)
    return _conv2d(x, w, stride=stride, padding=padding)


def check_filters(x: Array, w: Array) -> None:
    """Raise `ShapeError` unless these are images and filters with the same number of channels.

    x: (N, C, H, W).
    w: (O, C, h, w).

    >>> import numpy as np
    >>> from minidl.conv import check_filters
    >>> check_filters(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)))
    """
    if x.ndim != 4 or w.ndim != 4 or x.shape[1] != w.shape[1]:
        got = f"x {x.shape}, w {w.shape}"
        raise ShapeError("conv2d", "x (N, C, H, W) and w (O, C, h, w) with the same C", got)


def windows(
    operation: str, image: Sequence[int], size: Sequence[int], stride: int, padding: int = 0
) -> tuple[int, int]:
    """How many windows of a size fit into an image, down and across.

    operation: for the error.
    image: its (height, width).
    size: of a window (height, width).
    stride: from one window to the next, at least 1.
    padding: zeros added on each side, at least 0.

    Raises: `ShapeError` if no window fits, `RangeError` for a stride or padding out of range.

    >>> from minidl.conv import windows
    >>> windows("conv2d", (28, 28), (5, 5), stride=1)
    (24, 24)
    """
    if not isinstance(stride, Integral) or stride < 1:
        raise RangeError(operation, "a whole stride of at least 1", repr(stride))
    if not isinstance(padding, Integral) or padding < 0:
        raise RangeError(operation, "a whole padding of at least 0", repr(padding))
    return pooled(operation, image, size, stride, padding)


# --- pooling ---------------------------------------------------------------------------------------------
# Both work on the last two axes only.  A window that would reach over the edge is left out.  The kernels have one
# stride and no padding; the rest is composed: x is padded first, and some windows are left out afterwards.

_max_pool2d = Primitive(
    "max_pool2d",
    lambda x, **window: kernels(x).max_windows(x, **window),
    push=[lambda t, y, x, **window: _take(t, places=_argmax(x, y, **window), **window)],
    pull=[lambda g, y, x, **window: _put(g, places=_argmax(x, y, **window), image=x.shape[-2:], **window)],
)
_take: Primitive = linear(
    "take_from_windows",
    lambda x, places, **window: kernels(x).take_from_windows(x, places, **window),
    transpose=lambda g, x, places, **window: _put(g, places=places, image=x.shape[-2:], **window),
)
_put: Primitive = linear(
    "put_into_windows",
    lambda g, places, image, **window: kernels(g).put_into_windows(g, places, image=image, **window),
    transpose=lambda t, g, places, image, **window: _take(t, places=places, **window),
)


def _argmax(x: Array, y: Array, **window: Any) -> Array:
    """The place of the largest pixel in each window.  A plain array: except at ties, it does not change with x."""
    return kernels(unbox(x)).argmax_windows(unbox(x), unbox(y), **window)


_sum_windows: Primitive = linear(
    "sum_windows",
    lambda x, **window: kernels(x).sum_windows(x, **window),
    transpose=lambda g, x, **window: _spread(g, image=x.shape[-2:], **window),
)
_spread: Primitive = linear(
    "spread_into_windows",
    lambda g, image, **window: kernels(g).spread_into_windows(g, image=image, **window),
    transpose=lambda t, g, image, **window: _sum_windows(t, **window),
)


def max_pool2d(x: Array, size: Size = 2, stride: Size | None = None, padding: Size = 0) -> Array:
    """The largest pixel of each window.

    x: (..., H, W), 2 axes at least.
    size: of a window, one length or (height, width).
    stride: from one window to the next, one length or (down, across); None is the size.
    padding: how far windows reach over the edges, one length or (down, across), at most half the size.

    Returns: (..., H', W') with H' = ⌊(H + 2·padding - size)/stride⌋ + 1.  Of equal pixels, only the first in row-major
    order has a derivative.
    Raises: `ShapeError` if no window fits, `RangeError` for a stride or padding out of range, `DTypeError` for padded
    images that are not floating point.

    >>> import numpy as np
    >>> from minidl.conv import max_pool2d
    >>> max_pool2d(np.array([[1.0, 2.0], [4.0, 3.0]]))
    array([[4.]])
    """
    size, stride, padding = _checked("max_pool2d", x, size, stride, padding)
    if padding and unbox(x).dtype.kind != "f":
        got, fix = str(unbox(x).dtype), "x.astype(np.float32)"
        raise DTypeError("max_pool2d", "floating-point images, which can be padded by minus infinity", got, fix)
    return _pool(_max_pool2d, _framed(x, padding, -namespace(unbox(x)).inf), size, stride)


def avg_pool2d(x: Array, size: Size = 2, stride: Size | None = None, padding: Size = 0) -> Array:
    """The mean of each window.  Zeros beyond the edges count.

    x: (..., H, W), 2 axes at least.
    size: of a window, one length or (height, width).
    stride: from one window to the next, one length or (down, across); None is the size.
    padding: how far windows reach over the edges, one length or (down, across), at most half the size.

    Returns: (..., H', W') with H' = ⌊(H + 2·padding - size)/stride⌋ + 1.
    Raises: `ShapeError` if no window fits, `RangeError` for a stride or padding out of range.

    >>> import numpy as np
    >>> from minidl.conv import avg_pool2d
    >>> avg_pool2d(np.array([[1.0, 2.0], [4.0, 3.0]]))
    array([[2.5]])
    """
    size, stride, padding = _checked("avg_pool2d", x, size, stride, padding)
    return _pool(_sum_windows, _framed(x, padding, 0.0), size, stride) / prod(size)


def _pool(primitive: Primitive, x: Array, size: Size, stride: Size) -> Array:
    """Windows with one stride for both axes, as the kernels have it, of which some are then left out."""
    steps = both(stride)
    step = gcd(*steps)
    y = primitive(x, size=size, stride=step)
    return y if steps == (step, step) else y[..., :: steps[0] // step, :: steps[1] // step]


def _framed(x: Array, padding: Size, value: float) -> Array:
    margins = both(padding)
    return ops.pad(x, [(0, 0)] * (x.ndim - 2) + [(n, n) for n in margins], value) if any(margins) else x


def both(given: Size) -> tuple[int, int]:
    """(down, across), from one number for both or from two.

    given: one number, or two.

    >>> from minidl.conv import both
    >>> both(2), both((2, 3))
    ((2, 2), (2, 3))
    """
    return given if isinstance(given, tuple) else (given, given)


def pooled(
    operation: str, image: Sequence[int], size: Sequence[int], stride: Size, padding: Size = 0
) -> tuple[int, int]:
    """How many windows fit, down and across, for a stride and padding that were checked, one or one for each axis.

    operation: for the error.
    image: its (height, width).
    size: of a window (height, width).
    stride: from one window to the next.
    padding: on each side.

    >>> from minidl.conv import pooled
    >>> pooled("max_pool2d", (24, 24), (2, 2), 2)
    (12, 12)
    """
    ends = zip(image, size, both(stride), both(padding))
    down, across = ((n + 2 * margin - k) // step + 1 for n, k, step, margin in ends)
    if min(down, across) < 1 or min(size) < 1:
        got = f"{tuple(size)} on {tuple(image)}, padding {padding}"
        raise ShapeError(operation, "windows that fit into the image", got)
    return down, across


def pair(operation: str, size: Size) -> tuple[int, int]:
    """A size as (height, width).

    operation: for the error.
    size: one length for both, or (height, width), at least 1; else `ShapeError`.

    >>> from minidl.conv import pair
    >>> pair("conv2d", 5)
    (5, 5)
    """
    lengths = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(lengths) != 2 or not all(isinstance(n, Integral) and int(n) > 0 for n in lengths):
        raise ShapeError(operation, "a size of at least 1: one length or (height, width)", repr(size))
    return int(lengths[0]), int(lengths[1])


def window(operation: str, size: Size, stride: Size | None, padding: Size = 0) -> tuple[tuple[int, int], Size, Size]:
    """A checked pooling window: (height, width), stride and padding.  These are one number, or two if they differ.

    operation: for the errors, which are those of `max_pool2d`.
    size: of a window, one length or (height, width).
    stride: from one window to the next, one length or (down, across); None is the size.
    padding: how far windows reach over the edges, one length or (down, across), at most half the size.

    >>> from minidl.conv import window
    >>> window("max_pool2d", 2, None)
    ((2, 2), 2, 0)
    """
    lengths = pair(operation, size)
    stride = _whole(operation, "stride", lengths if stride is None else stride, 1)
    padding = _whole(operation, "padding", padding, 0)
    if any(2 * n > k for n, k in zip(both(padding), lengths)):
        raise RangeError(operation, f"a padding of at most half the window's {lengths}", repr(padding))
    return lengths, stride, padding


def _whole(operation: str, name: str, given: Any, least: int) -> Size:
    """One whole number, or two, (down, across); two equal ones become one."""
    numbers = tuple(given) if isinstance(given, list | tuple) else (given,)
    if len(numbers) not in (1, 2) or not all(isinstance(n, Integral) and int(n) >= least for n in numbers):
        raise RangeError(operation, f"a whole {name} of at least {least}", repr(given))
    down, across = int(numbers[0]), int(numbers[-1])
    return down if down == across else (down, across)


def _checked(operation: str, x: Array, size: Size, stride: Size | None, padding: Size) -> tuple[Any, Size, Size]:
    if x.ndim < 2:
        raise ShapeError(operation, "images (..., H, W)", f"{x.shape}")
    lengths, stride, padding = window(operation, size, stride, padding)
    pooled(operation, x.shape[-2:], lengths, stride, padding)
    return lengths, stride, padding
