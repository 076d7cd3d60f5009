"""Convolution and pooling, on images N, C, H, W.  *Read after ops.py; nothing else in the engine needs it.*

Convolution is bilinear, and so are the two maps that its derivative consists of.  All three join the same
triple of arrays, images x (N, C, H, W), filters w (O, C, h, w) and outputs y (N, O, H', W'), and each computes
one of them from the other two:

    conv2d:          x, w  ->  y        y[n, o] = Σ_c x[n, c] ⋆ w[o, c]
    conv2d_input:    y, w  ->  x        the transpose of conv2d in x
    conv2d_weights:  x, y  ->  w        the transpose of conv2d in w

So each rule of one is a call of another, and derivatives can be differentiated without end.

Average pooling is linear; max-pooling is, too, once it is known which pixel wins in each window.
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
    """A map (a, b) -> c of the triple, linear in a and in b, all of rank 4.

    Of the axes N, C and O, each argument shares one with the result, and the third is summed over.
    shared: for a and for b, where the argument has that axis and where the result has it.  Extra leading axes
    of a tangent are folded into the shared axis: one convolution then serves the whole stack.
    """

    def __init__(self, name: str, shared: tuple[tuple[int, int], tuple[int, int]]) -> None:
        def push_first(t: Array, c: Array, a: Array, b: Array, **options: Any) -> Array:
            return self.stacked(t, b, **options)

        def push_second(t: Array, c: Array, a: Array, b: Array, **options: Any) -> Array:
            return self.stacked(a, t, **options)

        super().__init__(name, _kernel(name), push=(push_first, push_second), pull=())
        self.shared = shared

    def stacked(self, a: Array, b: Array, **options: Any) -> Array:
        """The map, where one of the two may carry extra leading axes, and the result then carries them too."""
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
    """A result of rank 4 with the stack taken out of axis 0 or 1 again, and put in front."""
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
    """Cross-correlation, which the field calls convolution: x (N, C, H, W), filters w (O, C, h, w) -> (N, O, H', W').

        y[n, o, i, j] = Σ_{c, u, v} x[n, c, i·stride + u - padding, j·stride + v - padding] · w[o, c, u, v]

    x counts as 0 outside of the image, and H' = ⌊(H + 2·padding - h)/stride⌋ + 1.  For dilation and groups see
    `layers.Conv2d`.
    Raises `ShapeError` if ranks or channels differ or a filter is larger than the padded image, `RangeError`
    for a stride below 1 or a negative padding.
    """
    check_filters(x, w)
    windows("conv2d", x.shape[2:], w.shape[2:], stride, padding)
    return _conv2d(x, w, stride=stride, padding=padding)


def check_filters(x: Array, w: Array) -> None:
    """Raise `ShapeError` unless these are images and filters of as many channels."""
    if x.ndim != 4 or w.ndim != 4 or x.shape[1] != w.shape[1]:
        got = f"x {x.shape}, w {w.shape}"
        raise ShapeError("conv2d", "x (N, C, H, W) and w (O, C, h, w) with the same C", got)


def windows(
    operation: str, image: Sequence[int], size: Sequence[int], stride: int, padding: int = 0
) -> tuple[int, int]:
    """How many windows of a size fit into an image, down and across.  Raises `ShapeError` if none does."""
    if not isinstance(stride, Integral) or stride < 1:
        raise RangeError(operation, "a whole stride of at least 1", repr(stride))
    if not isinstance(padding, Integral) or padding < 0:
        raise RangeError(operation, "a whole padding of at least 0", repr(padding))
    return pooled(operation, image, size, stride, padding)


# --- pooling ---------------------------------------------------------------------------------------------
# Both work on the last two axes and leave the others alone.  A window that would reach over the edge is left out.
# The kernels know one stride and no padding; the rest is composed: a frame around x, and some windows left out.

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
    """Where in each window its greatest pixel is.  A plain array: between ties, nothing about it changes with x."""
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
    """The greatest pixel of each window: (..., H, W) -> (..., H', W'), H' = ⌊(H + 2·padding - size)/stride⌋ + 1.

    size: of a window, one length or (height, width).  stride: from one window to the next, one length or
    (down, across); `size` if None.  padding: how far windows reach over the edges, likewise, at most half the size;
    what lies there is never the greatest.  Of equal pixels the first in row-major order wins, and it alone has a slope.
    Raises `ShapeError` if no window fits, `RangeError` for a stride below 1 or another padding, `DTypeError` for
    padded images of whole numbers.
    """
    size, stride, padding = _checked("max_pool2d", x, size, stride, padding)
    if padding and unbox(x).dtype.kind != "f":
        got, fix = str(unbox(x).dtype), "x.astype(np.float32)"
        raise DTypeError("max_pool2d", "floating-point images, which can be padded by minus infinity", got, fix)
    return _pool(_max_pool2d, _framed(x, padding, -namespace(unbox(x)).inf), size, stride)


def avg_pool2d(x: Array, size: Size = 2, stride: Size | None = None, padding: Size = 0) -> Array:
    """The mean of each window: (..., H, W) -> (..., H', W').  Arguments and errors as for `max_pool2d`.

    Beyond the edges lie zeros, which count in the mean.
    """
    size, stride, padding = _checked("avg_pool2d", x, size, stride, padding)
    return _pool(_sum_windows, _framed(x, padding, 0.0), size, stride) / prod(size)


def _pool(primitive: Primitive, x: Array, size: Size, stride: Size) -> Array:
    """With one stride for both axes, which is all that the kernels know, and then some of the windows left out."""
    steps = both(stride)
    step = gcd(*steps)
    y = primitive(x, size=size, stride=step)
    return y if steps == (step, step) else y[..., :: steps[0] // step, :: steps[1] // step]


def _framed(x: Array, padding: Size, value: float) -> Array:
    margins = both(padding)
    return ops.pad(x, [(0, 0)] * (x.ndim - 2) + [(n, n) for n in margins], value) if any(margins) else x


def both(given: Size) -> tuple[int, int]:
    """One number for both axes as two; two as they are."""
    return given if isinstance(given, tuple) else (given, given)


def pooled(
    operation: str, image: Sequence[int], size: Sequence[int], stride: Size, padding: Size = 0
) -> tuple[int, int]:
    """As `windows`, where stride and padding may be one for each axis, and are known to be right."""
    ends = zip(image, size, both(stride), both(padding))
    down, across = ((n + 2 * margin - k) // step + 1 for n, k, step, margin in ends)
    if min(down, across) < 1 or min(size) < 1:
        got = f"{tuple(size)} on {tuple(image)}, padding {padding}"
        raise ShapeError(operation, "windows that fit into the image", got)
    return down, across


def pair(operation: str, size: Size) -> tuple[int, int]:
    """A size as (height, width), where one length stands for both.  Raises `ShapeError` for anything else."""
    lengths = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(lengths) != 2 or not all(isinstance(n, Integral) and int(n) > 0 for n in lengths):
        raise ShapeError(operation, "a size of at least 1: one length or (height, width)", repr(size))
    return int(lengths[0]), int(lengths[1])


def window(operation: str, size: Size, stride: Size | None, padding: Size = 0) -> tuple[tuple[int, int], Size, Size]:
    """A pooling window: (height, width), stride and padding, each of these one number, or two where they differ.

    A stride of None lays windows side by side.  Errors as for `max_pool2d`.
    """
    lengths = pair(operation, size)
    stride = _whole(operation, "stride", lengths if stride is None else stride, 1)
    padding = _whole(operation, "padding", padding, 0)
    if any(2 * n > k for n, k in zip(both(padding), lengths)):
        raise RangeError(operation, f"a padding of at most half the window's {lengths}", repr(padding))
    return lengths, stride, padding


def _whole(operation: str, name: str, given: Any, least: int) -> Size:
    """One whole number, or two, (down, across); two that are alike as one."""
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
