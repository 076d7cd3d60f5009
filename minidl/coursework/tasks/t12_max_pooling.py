"""Task 12: pushing a tangent through max-pooling.

Max-pooling passes on the largest pixel of each window.  A small change of the input changes the output of a window as
it changes that one pixel, as long as it stays the largest.  So J·t reads t at the places of the maxima:

    (J·t)[i, j] = t at the largest pixel of window (i, j) of x

Write the push-forward, as plain arrays.  Windows are of `size` (height, width), one every `stride` pixels in both
directions; with a stride below the size they overlap.  Of equal pixels the first in row-major order counts.  t may
have extra leading axes, a stack of tangents: t (..., *x.shape), and the maxima are those of x for all of them.

np.lib.stride_tricks.sliding_window_view makes all windows, [..., ::s, ::s] takes every s-th.  While it is checked, the
engine pushes all tangents through its pooling layers by your rule.

This is practice: the engine has this rule, so it gives few points.  Calling it is noticed.
"""

import numpy as np

from minidl.coursework import solve


@solve("max_pool2d.push")
def push(t, y, x, size, stride):
    """t (..., *x.shape), x (..., H, W), y (..., H', W'), size (h, w), stride one number -> J·t (..., *y.shape)."""
    raise NotImplementedError("Find the place of the maximum in each window of x, and read t there.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl import batch_jacobian, conv, layers, testing
from minidl.coursework.networks import digits
from minidl.coursework.pictures import images
from minidl.coursework.rules import DIFFERENTIATION, close, rule_parts
from minidl.coursework.task import Part, Task
from minidl.models import Sequential
from minidl.testing.primitives import behind
from minidl.testing.zoo import CASES


def around(solution):
    return testing.override(conv.max_pool2d, push=solution["max_pool2d.push"])


def forward_derivative(solution, seed):
    """The Jacobian of a LeNet: by push-forwards with the student's rule, and by the engine's pull-backs."""
    net = Sequential(layers.Conv2d(3, 3), layers.MaxPool2d(2), layers.ReLU(), layers.Flatten(), layers.Dense(10),
                     input_shape=(1, 14, 14), seed=seed % 2**31, dtype="float64")  # fmt: skip
    first = seed % 1000
    x = digits().test.x[first : first + 2].astype(np.float64)
    with around(solution):
        pushed = batch_jacobian(net, x, "forward")
    close("the forward derivative of a LeNet, against its pull-backs", pushed, batch_jacobian(net, x, "reverse"))


def demo(solution, path):
    x = digits().test.x[:1].astype(np.float64)
    t = np.tile(np.indices((14, 14)).sum(axis=0) % 2 * 2.0 - 1, (1, 1, 1, 1))
    from minidl import linearize

    with around(solution):
        lin = linearize(lambda x: conv.max_pool2d(x, 2), x)
        pushed = lin.jvp(t)
    images(path, "A chessboard as the tangent: each window passes on the sign of its largest pixel",
           {"": [x[0], t[0], lin.value[0], pushed[0]]}, [["x", "t", "pooled x", "J·t"]])  # fmt: skip


TASK = Task(
    module=__name__,
    kind="rule",
    minutes=40,
    teaches="a maximum passes on the tangent of its winner",
    reading="minidl/conv.py, `_max_pool2d`, after you have written yours",
    needs=("06",),
    forbidden=(*DIFFERENTIATION, behind(conv.max_pool2d), "minidl.kernels", "minidl.conv"),
    practice=True,
    parts=(
        *rule_parts(lambda solution: CASES["max_pool2d"], {"adjoint": 1, "stacked": 0.5}, around),
        Part("the forward derivative of a LeNet", 0.5, forward_derivative),
    ),
    hints=(
        "windows(x) = np.lib.stride_tricks.sliding_window_view(x, size, axis=(-2, -1))[..., ::s, ::s, :, :]: shape "
        "(..., H', W', h, w).  Flatten the last two axes, then argmax(axis=-1): the places, (..., H', W').",
        "Do the same with t: (..., *x.shape[:-2], H', W', h·w).  Its places are those of x.",
        "np.take_along_axis needs as many axes in both: broadcast the places with np.broadcast_to(places, "
        "tw.shape[:-1])[..., None], and take [..., 0].",
    ),
    demo=demo,
)
