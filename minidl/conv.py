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
from math import prod
from numbers import Integral
from typing import Any

from . import ops
from .backend import kernels
from .core import Array, Primitive, linear, unbox
from .errors import RangeError, ShapeError

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

        super().__init__(name, _kernel(name), push=[push_first, push_second], pull=[])
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

_conv2d.pull = [
    lambda g, y, x, w, **o: _input.stacked(g, w, size=x.shape[2:], **o),
    lambda g, y, x, w, **o: _weights.stacked(x, g, size=w.shape[2:], **o),
]
_input.pull = [
    lambda g, x, y, w, size, **o: _conv2d.stacked(g, w, **o),
    lambda g, x, y, w, size, **o: _weights.stacked(g, y, size=w.shape[2:], **o),
]
_weights.pull = [
    lambda g, w, x, y, size, **o: _input.stacked(y, g, size=x.shape[2:], **o),
    lambda g, w, x, y, size, **o: _conv2d.stacked(x, g, **o),
]


def conv2d(x: Array, w: Array, stride: int = 1, padding: int = 0) -> Array:
    """Cross-correlation, which the field calls convolution: x (N, C, H, W), filters w (O, C, h, w) -> (N, O, H', W').

        y[n, o, i, j] = Σ_{c, u, v} x[n, c, i·stride + u - padding, j·stride + v - padding] · w[o, c, u, v]

    x counts as 0 outside of the image, and H' = ⌊(H + 2·padding - h)/stride⌋ + 1.
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
    counts = [(n + 2 * padding - k) // stride + 1 for n, k in zip(image, size)]
    if min(counts) < 1 or min(size) < 1:
        got = f"{tuple(size)} on {tuple(image)}, padding {padding}"
        raise ShapeError(operation, "windows that fit into the image", got)
    return counts[0], counts[1]


# --- pooling ---------------------------------------------------------------------------------------------
# Both work on the last two axes and leave the others alone.  A window that would reach over the edge is left out.

_max_pool2d = Primitive(
    "max_pool2d",
    lambda x, **window: kernels(x).max_windows(x, **window),
    push=[lambda t, y, x, **window: _pick(t, places=_winners(x, y, **window), **window)],
    pull=[lambda g, y, x, **window: _unpick(g, places=_winners(x, y, **window), image=x.shape[-2:], **window)],
)
_pick: Primitive = linear(
    "pick",
    lambda x, places, **window: kernels(x).pick(x, places, **window),
    transpose=lambda g, x, places, **window: _unpick(g, places=places, image=x.shape[-2:], **window),
)
_unpick: Primitive = linear(
    "unpick",
    lambda g, places, image, **window: kernels(g).unpick(g, places, image=image, **window),
    transpose=lambda t, g, places, image, **window: _pick(t, places=places, **window),
)


def _winners(x: Array, y: Array, **window: Any) -> Array:
    """Where in each window its greatest pixel is.  A plain array: between ties, nothing about it changes with x."""
    return kernels(unbox(x)).winners(unbox(x), unbox(y), **window)


_sum_windows: Primitive = linear(
    "sum_windows",
    lambda x, **window: kernels(x).sum_windows(x, **window),
    transpose=lambda g, x, **window: _spread(g, image=x.shape[-2:], **window),
)
_spread: Primitive = linear(
    "spread",
    lambda g, image, **window: kernels(g).spread(g, image=image, **window),
    transpose=lambda t, g, image, **window: _sum_windows(t, **window),
)


def max_pool2d(x: Array, size: Size = 2, stride: int | None = None) -> Array:
    """The greatest pixel of each window: (..., H, W) -> (..., H', W'), H' = ⌊(H - size)/stride⌋ + 1.

    size: of a window, one length or (height, width); stride: `size` if None.  Of equal pixels the first in
    row-major order wins, and it alone has a slope.  Raises `ShapeError` if no window fits, `RangeError` for a
    stride below 1.
    """
    size, step = _checked("max_pool2d", x, size, stride)
    return _max_pool2d(x, size=size, stride=step)


def avg_pool2d(x: Array, size: Size = 2, stride: int | None = None) -> Array:
    """The mean of each window: (..., H, W) -> (..., H', W').  Arguments and errors as for `max_pool2d`."""
    size, step = _checked("avg_pool2d", x, size, stride)
    return _sum_windows(x, size=size, stride=step) / prod(size)


def pair(operation: str, size: Size) -> tuple[int, int]:
    """A size as (height, width), where one length stands for both.  Raises `ShapeError` for anything else."""
    lengths = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(lengths) != 2 or not all(isinstance(n, Integral) and int(n) > 0 for n in lengths):
        raise ShapeError(operation, "a size of at least 1: one length or (height, width)", repr(size))
    return int(lengths[0]), int(lengths[1])


def window(operation: str, size: Size, stride: int | None) -> tuple[tuple[int, int], int]:
    """A pooling window as ((height, width), stride); side by side, for square ones, if the stride is None."""
    lengths = pair(operation, size)
    if stride is None and lengths[0] != lengths[1]:
        raise ShapeError(operation, "a stride, for windows that are not square", f"size {lengths}")
    return lengths, lengths[0] if stride is None else stride


def _checked(operation: str, x: Array, size: Size, stride: int | None) -> tuple[tuple[int, int], int]:
    if x.ndim < 2:
        raise ShapeError(operation, "images (..., H, W)", f"{x.shape}")
    lengths, step = window(operation, size, stride)
    windows(operation, x.shape[-2:], lengths, step)
    return lengths, step
