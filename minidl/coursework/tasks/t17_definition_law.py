"""Task 17: a law by definition, for the convolution.

A fast convolution can be wrong in many ways.  The definition is slow, and hard to get wrong:

    y[n, o, i, j] = Σ_{c, u, v}  x[n, c, i·s + u - p, j·s + v - p] · w[o, c, u, v]

with stride s, padding p, and x = 0 outside of the image; y has H' = ⌊(H + 2p - h)/s⌋ + 1 rows, and columns alike.

Write a law that draws images and filters itself, computes the definition in plain loops, and raises AssertionError if
conv2d(x, w, stride, padding) differs from it in shape or value.  Draw other shapes, strides and paddings each time,
and several in each call: many mistakes do not show for some filters, for one channel, or for stride 1.  No false
alarm, then as many wrong programs as you can.
"""

import numpy as np

from minidl.coursework import solve


@solve("law.definition")
def law(conv2d, rng):
    """conv2d(x (N, C, H, W), w (O, C, h, w), stride, padding) -> (N, O, H', W').  AssertionError if it is wrong."""
    raise NotImplementedError("Draw x, w, stride and padding; loop over n, o, i, j; compare shapes, then values.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl import conv
from minidl.coursework.laws import Program, caught_by_name, law_part
from minidl.coursework.pictures import bars
from minidl.coursework.task import Task

windows_of = np.lib.stride_tricks.sliding_window_view


def padded(x, top, bottom, left, right):
    return np.pad(x, [(0, 0), (0, 0), (top, bottom), (left, right)])


def by_windows(x, w, stride, padding):
    view = windows_of(padded(x, *[padding] * 4), w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("ncijuv,ocuv->noij", view, w)


def by_products(x, w, stride, padding):
    view = windows_of(padded(x, *[padding] * 4), w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    n, _, high, wide = view.shape[:4]
    rows = view.transpose(0, 2, 3, 1, 4, 5).reshape(n * high * wide, -1)
    return (rows @ w.reshape(len(w), -1).T).reshape(n, high, wide, len(w)).transpose(0, 3, 1, 2)


def by_shifts(x, w, stride, padding):
    xp = padded(x, *[padding] * 4)
    high, wide = ((size - k) // stride + 1 for size, k in zip(xp.shape[2:], w.shape[2:]))
    return sum(
        np.einsum("ncij,oc->noij", xp[:, :, u:, v:][:, :, ::stride, ::stride][:, :, :high, :wide], w[:, :, u, v])
        for u in range(w.shape[2]) for v in range(w.shape[3])
    )  # fmt: skip


def program(name, conv2d, **options):
    return Program(name, lambda rng: (conv2d,), **options)


def strided_rows(x, w, stride, padding):
    whole = by_windows(x, w, 1, padding)
    return whole[:, :, ::stride]


WHEATS = (
    program("windows and einsum", by_windows),
    program("rows of windows, and one product", by_products),
    program("a sum of shifted images", by_shifts),
    program("the engine's readable kernel", conv.conv2d),
    program("the engine's compiled kernel", conv.conv2d, backend="numba"),
)
CHAFFS = (
    program("filters are flipped, as mathematicians do", lambda x, w, s, p: by_windows(x, w[:, :, ::-1, ::-1], s, p)),
    program("the height and width of filters are exchanged where they can be", lambda x, w, s, p: by_windows(
        x, w.swapaxes(2, 3) if w.shape[2] == w.shape[3] else w, s, p)),
    program("the stride counts for rows only", strided_rows),
    program("the padding is ignored", lambda x, w, s, p: by_windows(x, w, s, 0)),
    program("the padding is at the top and on the left only", lambda x, w, s, p: by_windows(
        padded(x, p, 0, p, 0), w, s, 0)),
    program("the border is repeated instead of 0", lambda x, w, s, p: by_windows(
        np.pad(x, [(0, 0), (0, 0), (p, p), (p, p)], mode="edge"), w, s, 0)),
    program("the first channel only", lambda x, w, s, p: by_windows(x[:, :1], w[:, :1], s, p)),
    program("a mean over the channels instead of a sum", lambda x, w, s, p: by_windows(x, w, s, p) / x.shape[1]),
    program("outputs are in reverse order", lambda x, w, s, p: by_windows(x, w[::-1], s, p), shown=False),
    program("the last window is left out where it just fits", lambda x, w, s, p: by_windows(x, w, s, p)[
        :, :, : max(1, (x.shape[2] + 2 * p - w.shape[2] - 1) // s + 1)], shown=False),
    program("every image is the first one", lambda x, w, s, p: by_windows(x[:1].repeat(len(x), 0), w, s, p),
            shown=False),
)  # fmt: skip


def demo(solution, path):
    caught = caught_by_name(solution["law.definition"], (*WHEATS, *CHAFFS), 20)
    bars(path, "How often your law fails, in 20 tries: a mistake that shows rarely needs many shapes", "share of tries",
         caught)  # fmt: skip


TASK = Task(
    module=__name__,
    kind="law",
    minutes=45,
    teaches="a slow definition is a good judge, if the cases are drawn well",
    reading="minidl/conv.py, the docstring of `conv2d`",
    forbidden=("minidl.conv", "minidl.kernels", "minidl.testing"),
    parts=(law_part("law.definition", 6, WHEATS, CHAFFS),),
    hints=(
        "Draw N, C, O, h and w from 1 to 3, H and W a little larger, stride 1 to 3, padding 0 to 2; several times.",
        "A filter must fit into the padded image: draw H as h + something.",
        "np.pad by zeros makes the definition shorter: y[n, o, i, j] = (xp[n, :, i*s : i*s + h, j*s : j*s + w] * "
        "w[o]).sum().  Compare the shape before the values.",
    ),
    demo=demo,
)
