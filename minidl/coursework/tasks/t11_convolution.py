"""Task 11: the two pull-backs of the convolution.

    y[n, o, i, j] = Σ_{c, u, v}  x[n, c, i·s + u - p, j·s + v - p] · w[o, c, u, v]

with stride s and padding p, and x = 0 outside of the image.  Each term multiplies a pixel by a weight, so each term
sends g·w to the pixel and g·x to the weight:

    the cotangent of x[n, c, i·s + u - p, j·s + v - p] gets g[n, o, i, j]·w[o, c, u, v], for all o, i, j, u, v
    the cotangent of w[o, c, u, v] gets g[n, o, i, j]·x[n, c, i·s + u - p, j·s + v - p], for all n, i, j

Write both, as plain arrays: loop over the h·w places (u, v) of a filter, and do the rest by slices and np.einsum.  A
padded copy of x turns the index into a slice: x̄[:, :, u : u + s·(H' - 1) + 1 : s, …] are the pixels that weight (u, v)
meets.  Here g has no extra leading axes.  While they are checked, every convolution of the engine uses your rules.

This is practice: the engine has these rules, so it gives few points.  Calling them is noticed.
"""

import numpy as np

from minidl.coursework import solve


@solve("conv2d.pull[0]")
def pull_x(g, y, x, w, stride, padding):
    """g (N, O, H', W'), x (N, C, H, W), w (O, C, h, w) -> the cotangent of x, (N, C, H, W)."""
    raise NotImplementedError("Begin with zeros of the padded shape, add for each (u, v), then cut the padding off.")


@solve("conv2d.pull[1]")
def pull_w(g, y, x, w, stride, padding):
    """g (N, O, H', W'), x (N, C, H, W) -> the cotangent of w, (O, C, h, w)."""
    raise NotImplementedError("For each (u, v): np.einsum of g and the slice of the padded x that it meets.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl import conv, linearize, testing
from minidl.coursework.networks import digits
from minidl.coursework.pictures import images
from minidl.coursework.rules import DIFFERENTIATION, rule_parts, trains_lenet
from minidl.coursework.task import Task
from minidl.testing.primitives import behind
from minidl.testing.zoo import CASES


def around(solution):
    return testing.override(conv.conv2d, pull=(solution["conv2d.pull[0]"], solution["conv2d.pull[1]"]))


def demo(solution, path):
    x = digits().test.x[:1].astype(np.float64)
    w = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])[None, None]
    with around(solution):
        lin = linearize(lambda x: conv.conv2d(x, w, padding=1), x)
        pulled = lin.vjp(np.maximum(lin.value, 0))
    images(path, "An edge filter forward; and its right-hand edges pulled back to the pixels that they come from",
           {"": [x[0], lin.value[0], pulled[0]]}, [["digit", "edges", "pulled back"]])  # fmt: skip


TASK = Task(
    module=__name__,
    kind="rule",
    minutes=60,
    teaches="a convolution is bilinear: each pull-back is a convolution, too",
    reading="minidl/conv.py, and minidl/kernels/reference/conv.py after you have written yours",
    needs=("04",),
    forbidden=(*DIFFERENTIATION, behind(conv.conv2d), "minidl.kernels", "minidl.conv"),
    practice=True,
    parts=(*rule_parts(lambda solution: CASES["conv2d"], {"adjoint": 1.5}, around), trains_lenet(around, 1)),
    hints=(
        "xp = np.pad(x, [(0, 0), (0, 0), (p, p), (p, p)]); the pixels that weight (u, v) meets are "
        "xp[:, :, u : u + s * (H1 - 1) + 1 : s, v : v + s * (W1 - 1) + 1 : s], with H1, W1 = g.shape[2:].",
        'The cotangent of w[:, :, u, v] is np.einsum("noij,ncij->oc", g, those pixels).',
        'The cotangent of the padded x: add np.einsum("noij,oc->ncij", g, w[:, :, u, v]) to the same slice, for each '
        "(u, v).  Then cut: [:, :, p : p + H, p : p + W], which also works for p = 0.",
    ),
    demo=demo,
)
